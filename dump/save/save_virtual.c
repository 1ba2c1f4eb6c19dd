/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/save_virtual.c - see save_virtual.h */
#include "dump/save/save_virtual.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/read/linux_dump.h"
#include "dump/format/virtual.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* e_phnum has 16 bits, and all ones mean something else */
#define PHDRS_MAX (PN_XNUM - 1)
/* our choice: entries of page tables that are looked at; 1 TiB in pages of 4 KiB has as many */
#define STEPS_MAX (1ull << 28)

struct headers {
	size_t nr;
	Elf64_Phdr phdrs[PHDRS_MAX];
};

/* The dump's own headers: notes to the front, the others behind what virtual_headers() makes. */
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

static void make_headers(struct headers *h, const struct linux_kernel *kernel, const struct elfcore *core,
	const Elf64_Phdr *own, size_t nr_own)
{
	for (size_t i = 0; i < nr_own; i++)
		if (own[i].p_type == PT_NOTE)
			h->phdrs[h->nr++] = own[i];
	h->nr += virtual_headers(kernel, core, true, STEPS_MAX, h->phdrs + h->nr, PHDRS_MAX - nr_own);
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
	make_headers(h, &dump->kernel, &reader->core, own, ehdr.e_phnum);
	linux_dump_close(dump);
	ehdr.e_phoff = off;
	ehdr.e_phnum = (Elf64_Half)h->nr;
	r = io_pwrite_full(fd, h->phdrs, h->nr * sizeof(h->phdrs[0]), off);
	return r ? r : io_pwrite_full(fd, &ehdr, sizeof(ehdr), 0);
}
