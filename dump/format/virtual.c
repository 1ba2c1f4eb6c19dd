/* SPDX-License-Identifier: Apache-2.0 */
/* dump/format/virtual.c - see virtual.h */
#include "dump/format/virtual.h"

#include "dump/base/sort.h"

#include <errno.h>
#include <stdlib.h>

/* our choice: where an address cannot be translated, what is skipped with it */
#define SKIP MIB(2)
/*
 * Documentation/arch/x86/x86_64/mm.rst: from here to the kernel's image lie stacks of the return to 16-bit
 * code, each mapped thousands of times, and memory of the firmware
 */
#define ALIASES_START 0xffffff0000000000ull

struct headers {
	const struct elfcore *core;
	struct pagewalk walk;
	uint64_t steps_left;
	Elf64_Phdr *phdrs; /* borrowed */
	size_t nr, max;
};

static bool extend(struct headers *h, uint64_t gva, uint64_t gpa, uint64_t off, uint64_t bytes)
{
	Elf64_Phdr *last = h->nr ? &h->phdrs[h->nr - 1] : NULL;

	if (!last || last->p_vaddr + last->p_memsz != gva || last->p_paddr + last->p_memsz != gpa ||
		last->p_offset + last->p_filesz != off)
		return false;
	last->p_filesz += bytes;
	last->p_memsz += bytes;
	return true;
}

/* @bytes at @gva, which are at @gpa; what is not memory in the file has no program header. */
static void add_run(struct headers *h, uint64_t gva, uint64_t gpa, uint64_t bytes)
{
	const struct core_segment *seg = elfcore_find(h->core, gpa);
	uint64_t at = seg ? gpa - seg->gpa : 0;

	if (!seg || at >= seg->file_bytes)
		return;
	bytes = u64_min(bytes, seg->file_bytes - at);
	if (extend(h, gva, gpa, seg->off + at, bytes) || h->nr >= h->max)
		return;
	h->phdrs[h->nr++] = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_W | PF_X,
		.p_offset = seg->off + at,
		.p_vaddr = gva,
		.p_paddr = gpa,
		.p_filesz = bytes,
		.p_memsz = bytes,
	};
}

/* Kernel-virtual [@start, @start + @bytes). */
static void add_range(struct headers *h, uint64_t start, uint64_t bytes)
{
	struct pagewalk_run run;

	for (uint64_t at = 0; at < bytes && h->nr < h->max && h->steps_left; at += run.bytes) {
		int r = pagewalk_run(&h->walk, start + at, &run);

		h->steps_left--;
		if (r == -E2BIG)
			return;
		if (r)
			run = (struct pagewalk_run){.bytes = SKIP - (start + at) % SKIP};
		run.bytes = u64_min(run.bytes, bytes - at);
		if (run.mapped)
			add_run(h, start + at, run.gpa, run.bytes);
	}
}

/* Of the direct map every run has the same distance to its memory as the largest run outside the image. */
static uint64_t find_direct(const struct headers *h)
{
	uint64_t distance = 0, largest = 0;

	for (size_t i = 0; i < h->nr; i++)
		if (h->phdrs[i].p_vaddr < LINUX_KERNEL_MAP && h->phdrs[i].p_memsz > largest) {
			largest = h->phdrs[i].p_memsz;
			distance = h->phdrs[i].p_vaddr - h->phdrs[i].p_paddr;
		}
	return distance;
}

/* Image, ascending, direct map.  @arg: its distance. */
static int by_place(const void *a, const void *b, void *arg)
{
	const Elf64_Phdr *x = a, *y = b;
	uint64_t distance = *(const uint64_t *)arg;
	bool x_direct = x->p_vaddr - x->p_paddr == distance, y_direct = y->p_vaddr - y->p_paddr == distance;
	uint64_t x_place = x->p_vaddr - LINUX_KERNEL_MAP, y_place = y->p_vaddr - LINUX_KERNEL_MAP;

	if (x_direct != y_direct)
		return x_direct ? 1 : -1;
	return (x_place > y_place) - (x_place < y_place);
}

/* arch/x86/include/asm/page_64_types.h: KERNEL_IMAGE_SIZE, 512 MiB without KASLR; modules lie behind it */
static uint64_t image_bytes(const struct linux_kernel *kernel)
{
	uint64_t bytes;

	return vmcoreinfo_measure(&kernel->info, "NUMBER", "KERNEL_IMAGE_SIZE", -LINUX_KERNEL_MAP, &bytes)
		       ? bytes
		       : MIB(512);
}

size_t virtual_headers(const struct linux_kernel *kernel, const struct elfcore *core, bool modules,
	uint64_t steps, Elf64_Phdr *phdrs, size_t max)
{
	struct headers h = {.core = core, .steps_left = steps, .phdrs = phdrs, .max = max};
	uint64_t half, distance;

	linux_kernel_walk(kernel, &h.walk);
	half = -pagewalk_room(&h.walk, 0); /* the upper half is as large as the lower one */
	add_range(&h, LINUX_KERNEL_MAP, modules ? -LINUX_KERNEL_MAP : image_bytes(kernel));
	add_range(&h, half, ALIASES_START - half);
	distance = find_direct(&h);
	sort_array(h.phdrs, h.nr, sizeof(h.phdrs[0]), by_place, &distance);
	return h.nr;
}
