/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_linux_pages.c - intent: no VMCOREINFO, page table, section or struct page of a Linux guest makes
 * the selector linux read outside RAM, mark pages that do not exist, count one twice, or work for long.
 *
 * Input: u8 level, then as tests/fuzz/linux_guest.h.
 */
#include "tests/fuzz/guest.h"
#include "tests/fuzz/linux_guest.h"

#include "dump/base/bitmap.h"
#include "dump/linux/linux_pages.h"

#define WORDS (MINI_PAGES / 64)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pages(struct linux_kernel *kernel, uint32_t level)
{
	uint64_t drop[WORDS + 2] = {0}, counts[LINUX_REASONS] = {0}, sum = 0;
	const char *lack;
	const char *why = linux_pages_mark(kernel, level, 1, drop + 1, counts, &lack);

	must(!drop[0] && !drop[WORDS + 1], "no bits of pages that do not exist");
	for (size_t i = 0; i < LINUX_REASONS; i++)
		sum += counts[i];
	must(sum == bitmap_count(drop + 1, MINI_PAGES), "each page counts once");
	must(!why || !sum, "who is not believed drops nothing");
	must(!why || !lack, "one message");
	must(level > 1 || !sum, "levels 0 and 1 drop nothing here");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct linux_kernel *kernel;
	struct linux_guest *guest;
	uint8_t choice, level;

	fuzz_take(&data, &size, &level, 1);
	fuzz_take(&data, &size, &choice, 1);
	guest = linux_guest_init(choice, data, size);
	kernel = linux_guest_kernel(guest);
	if (kernel)
		check_pages(kernel, level & LINUX_LEVEL_MAX);
	linux_guest_done(guest);
	return 0;
}
