/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/linux_guest.c - see linux_guest.h */
#include "tests/fuzz/linux_guest.h"

#include "tests/fuzz/guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX 256

struct undo {
	uint64_t off, value;
};

static struct mini *kernels[2 * MINI_KERNELS];
static struct undo undone[RECORDS_MAX];
static size_t nr_undone;

static int read_ram(void *arg, uint64_t gpa, void *buf, size_t len)
{
	const struct mini *mini = arg;
	uint64_t off;

	if (dump_layout_offset(&mini->layout, gpa, len, &off))
		return -EFAULT;
	memcpy(buf, mini->ram + off, len);
	return 0;
}

/* The unchanged kernel, with pages of every kind. */
static struct mini *kernel_of(uint8_t choice)
{
	unsigned nr = choice % (2 * MINI_KERNELS);
	struct mini *mini = kernels[nr];

	if (mini)
		return mini;
	mini = malloc(sizeof(*mini));
	must(mini, "memory");
	mini_init(mini, (enum mini_kernel)(nr / 2), nr % 2);
	mini_free(mini, 8, 3);
	mini_cache(mini, 16, 0, false);
	mini_cache(mini, 17, 0, true);
	mini_swapcache(mini, 18);
	mini_anon(mini, 19, 0);
	mini_offline(mini, 20);
	mini_hwpoison(mini, 21);
	mini_slab(mini, 24, 2);
	mini_anon(mini, MINI_HIGH_PFN + 64, 5);
	mini_hugetlb(mini, MINI_HIGH_PFN + 128, 6);
	kernels[nr] = mini;
	return mini;
}

/* Where a record's place begins to count: what is worth changing lies together. */
static uint64_t place_of(uint8_t kind, uint32_t place)
{
	static const uint64_t starts[] = {0, 0xa0000, 0x80000, 0x22000};
	uint64_t start = starts[kind >> 3 & 3];

	return (start + (uint64_t)place * 8) % (MINI_RAM - 8) & ~7ull;
}

static void change(struct mini *mini, const uint8_t *data, size_t size)
{
	for (nr_undone = 0; size && nr_undone < RECORDS_MAX; nr_undone++) {
		struct undo *undo = &undone[nr_undone];
		uint32_t place = 0;
		uint64_t value;
		uint8_t kind;

		fuzz_take(&data, &size, &kind, 1);
		fuzz_take(&data, &size, &place, 3);
		fuzz_take(&data, &size, &value, 8);
		undo->off = place_of(kind, place);
		if ((kind & 7) >= 6) {
			undo->off = MINI_NOTE_PHYS + place % 4096 / 8 * 8;
			memcpy(&undo->value, mini->ram + undo->off, 8);
			mini->ram[undo->off + place % 8] = (uint8_t)value;
			continue;
		}
		memcpy(&undo->value, mini->ram + undo->off, 8);
		memcpy(mini->ram + undo->off, &value, 8);
	}
}

struct linux_guest *linux_guest_init(uint8_t choice, const uint8_t *records, size_t size)
{
	static struct linux_guest guest;

	guest.mini = kernel_of(choice);
	guest.view = (struct guest_view){
		.fd = -1, .layout = &guest.mini->layout, .read = read_ram, .arg = guest.mini};
	change(guest.mini, records, size);
	return &guest;
}

void linux_guest_done(struct linux_guest *guest)
{
	while (nr_undone) {
		const struct undo *undo = &undone[--nr_undone];

		memcpy(guest->mini->ram + undo->off, &undo->value, 8);
	}
}

struct linux_kernel *linux_guest_kernel(struct linux_guest *guest)
{
	static struct linux_kernel kernel;
	struct vmcoreinfo info;

	if (!vmcoreinfo_at(&guest->view, MINI_NOTE_PHYS, &info) ||
		linux_kernel_init(&kernel, &guest->view, &info))
		return NULL;
	return &kernel;
}
