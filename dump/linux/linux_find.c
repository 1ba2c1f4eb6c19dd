/* SPDX-License-Identifier: Apache-2.0 */
/* dump/linux/linux_find.c - see linux_find.h */
#include "dump/linux/linux_find.h"

#include "dump/base/cleanup.h"
#include "dump/linux/linux_kernel.h"

#include <errno.h>

/* arch/x86/include/asm/page_64_types.h: KERNEL_IMAGE_SIZE with KASLR; modules lie behind it */
#define IMAGE_BYTES GIB(1)
/* the lowest address of the upper half with 5 levels: the direct map is above it and below the image */
#define UPPER_HALF 0xff00000000000000ull
/* arch/x86/mm/pti.c: a process' own top table is the page behind the kernel's, and lacks most of the kernel */
#define PTI_USER_TABLE PAGE_SIZE_4K

/* our choices: Debian's 6.1 has 20 MiB that it writes to, with 11,000 words like pointers, in 190 tables */
#define LOOKED_MAX MIB(128)
#define POINTERS_MAX 65536
#define TABLES_MAX 16384
/* measured: stays in the L2 cache */
#define BLOCK KIB(256)

struct find {
	const struct guest_view *view;
	struct vmcoreinfo *ret;
	uint64_t looked;   /* bytes of image */
	uint64_t pointers; /* that were followed */
	uint64_t last;     /* the one before: some come in rows */
	struct vmcoreinfo info;
	struct pagewalk image, direct; /* one would lose its place to the other */
	uint64_t words[BLOCK / sizeof(uint64_t)];
};

static bool is_pointer_to_page(uint64_t word)
{
	return !(word % PAGE_SIZE_4K) && word >= UPPER_HALF && word < LINUX_KERNEL_MAP;
}

static bool follow(struct find *find, uint64_t gva)
{
	struct pagewalk_run run;

	if (gva == find->last || find->pointers >= POINTERS_MAX)
		return false;
	find->last = gva;
	find->pointers++;
	if (pagewalk_run(&find->direct, gva, &run) || !run.mapped ||
		!vmcoreinfo_at(find->view, run.gpa, &find->info) ||
		!linux_kernel_accepts((void *)(uintptr_t)find->view, &find->info))
		return false;
	*find->ret = find->info;
	return true;
}

/* The image's bytes at [@gpa, @gpa + @bytes), whole pages; those that are not RAM have nothing. */
static bool look_at(struct find *find, uint64_t gpa, uint64_t bytes)
{
	while (bytes) {
		uint64_t part = u64_min(bytes, BLOCK);

		if (guest_view_read(find->view, gpa, find->words, part))
			return false;
		for (size_t i = 0; i < part / sizeof(find->words[0]); i++)
			if (is_pointer_to_page(find->words[i]) && follow(find, find->words[i]))
				return true;
		gpa += part;
		bytes -= part;
	}
	return false;
}

static int look_through(struct find *find, uint64_t cr3, uint64_t cr4)
{
	struct pagewalk_run run;

	pagewalk_init(&find->image, find->view, cr3, cr4, TABLES_MAX);
	pagewalk_init(&find->direct, find->view, cr3, cr4, TABLES_MAX);
	find->looked = 0;
	find->pointers = 0;
	find->last = 0;
	for (uint64_t at = 0; at < IMAGE_BYTES && find->looked < LOOKED_MAX; at += run.bytes) {
		uint64_t gva = LINUX_KERNEL_MAP + at;

		if (pagewalk_run(&find->image, gva, &run))
			break;
		run.bytes = u64_min(run.bytes, IMAGE_BYTES - at);
		/* the pointer is a variable; what is only read has thousands of words that look like one */
		if (!run.mapped || !run.writable)
			continue;
		run.bytes = u64_min(run.bytes, LOOKED_MAX - find->looked);
		find->looked += run.bytes;
		if (look_at(find, run.gpa, run.bytes))
			return 1;
	}
	return find->looked ? 0 : -ENOENT;
}

int linux_find_info(const struct guest_view *view, uint64_t cr3, uint64_t cr4, struct vmcoreinfo *ret)
{
	autofree struct find *find = malloc(sizeof(*find));
	int r = -ENOENT, again;

	if (!find)
		return -ENOMEM;
	find->view = view;
	find->ret = ret;
	if (cr3 & PTI_USER_TABLE)
		r = look_through(find, cr3 & ~PTI_USER_TABLE, cr4);
	if (r == 1)
		return r;
	again = look_through(find, cr3, cr4);
	return again == -ENOENT ? r : again;
}
