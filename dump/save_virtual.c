/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save_virtual.c - see save_virtual.h */
#include "dump/save_virtual.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/linux_dump.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* e_phnum has 16 bits, and all ones mean something else */
#define PHDRS_MAX (PN_XNUM - 1)
/* our choice: entries of page tables that are looked at; 1 TiB in pages of 4 KiB has as many */
#define STEPS_MAX (1ull << 28)
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
	size_t nr;
	Elf64_Phdr phdrs[PHDRS_MAX];
};

/* ---- which memory is where ------------------------------------------------------------------------------ */

static bool extend(struct headers *h, uint64_t gva, uint64_t gpa, uint64_t off, uint64_t bytes)
{
	Elf64_Phdr *last = &h->phdrs[h->nr - 1];

	if (last->p_type != PT_LOAD || last->p_vaddr + last->p_memsz != gva ||
		last->p_paddr + last->p_memsz != gpa || last->p_offset + last->p_filesz != off)
		return false;
	last->p_filesz += bytes;
	last->p_memsz += bytes;
	return true;
}

/* @bytes at @gva, which are at @gpa; what is not memory in the file has no program header. */
static void add_run(struct headers *h, size_t max, uint64_t gva, uint64_t gpa, uint64_t bytes)
{
	const struct core_segment *seg = elfcore_find(h->core, gpa);
	uint64_t at = seg ? gpa - seg->gpa : 0;

	if (!seg || at >= seg->file_bytes)
		return;
	bytes = u64_min(bytes, seg->file_bytes - at);
	if (extend(h, gva, gpa, seg->off + at, bytes) || h->nr >= max)
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

/* Kernel-virtual [@start, @start + @bytes), until there is no room for more than @max headers. */
static void add_range(struct headers *h, size_t max, uint64_t start, uint64_t bytes)
{
	struct pagewalk_run run;

	for (uint64_t at = 0; at < bytes && h->nr < max && h->steps_left; at += run.bytes) {
		int r = pagewalk_run(&h->walk, start + at, &run);

		h->steps_left--;
		if (r == -E2BIG)
			return;
		if (r)
			run = (struct pagewalk_run){.bytes = SKIP - (start + at) % SKIP};
		run.bytes = u64_min(run.bytes, bytes - at);
		if (run.mapped)
			add_run(h, max, start + at, run.gpa, run.bytes);
	}
}

static void add_kernel(struct headers *h, const struct linux_kernel *kernel, size_t max)
{
	uint64_t half;

	linux_kernel_walk(kernel, &h->walk);
	h->steps_left = STEPS_MAX;
	half = -pagewalk_room(&h->walk, 0); /* the upper half is as large as the lower one */
	add_range(h, max, LINUX_KERNEL_MAP, -LINUX_KERNEL_MAP);
	add_range(h, max, half, ALIASES_START - half);
}

/* ---- the file ------------------------------------------------------------------------------------------- */

/* The dump's own headers: notes to the front, the others behind what add_kernel() makes. */
static int take_own(struct reader *reader, Elf64_Ehdr *ehdr, Elf64_Phdr **ret)
{
	Elf64_Phdr *own;
	int r = image_read(&reader->image, 0, ehdr, sizeof(*ehdr));

	if (!r && ehdr->e_phnum >= PHDRS_MAX)
		r = -EFBIG;
	if (r)
		return r;
	own = calloc(ehdr->e_phnum, sizeof(*own));
	r = own ? image_read(&reader->image, ehdr->e_phoff, own, ehdr->e_phnum * sizeof(*own)) : -ENOMEM;
	if (r)
		free(own);
	else
		*ret = own;
	return r;
}

static void make_headers(
	struct headers *h, const struct linux_kernel *kernel, const Elf64_Phdr *own, size_t nr_own)
{
	for (size_t i = 0; i < nr_own; i++)
		if (own[i].p_type == PT_NOTE)
			h->phdrs[h->nr++] = own[i];
	add_kernel(h, kernel, PHDRS_MAX - (nr_own - h->nr));
	for (size_t i = 0; i < nr_own; i++)
		if (own[i].p_type != PT_NOTE)
			h->phdrs[h->nr++] = own[i];
}

const char *save_virtual_check(struct reader *reader)
{
	struct linux_dump *dump;
	const char *why = linux_dump_open(reader, true, &dump);

	if (!why)
		linux_dump_close(dump);
	return why;
}

int save_virtual_add(struct reader *reader, int fd)
{
	uint64_t off = u64_align_up(reader->image.size, PAGE_SIZE_4K);
	autofree struct headers *h = calloc(1, sizeof(*h));
	autofree Elf64_Phdr *own = NULL;
	struct linux_dump *dump;
	Elf64_Ehdr ehdr;
	int r = h ? take_own(reader, &ehdr, &own) : -ENOMEM;

	if (r)
		return r;
	if (linux_dump_open(reader, true, &dump))
		return -EINVAL;
	h->core = &reader->core;
	make_headers(h, &dump->kernel, own, ehdr.e_phnum);
	linux_dump_close(dump);
	ehdr.e_phoff = off;
	ehdr.e_phnum = (Elf64_Half)h->nr;
	r = io_pwrite_full(fd, h->phdrs, h->nr * sizeof(h->phdrs[0]), off);
	return r ? r : io_pwrite_full(fd, &ehdr, sizeof(ehdr), 0);
}
