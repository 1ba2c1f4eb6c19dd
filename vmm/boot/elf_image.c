/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/boot/elf_image.c - see elf_image.h */
#include "vmm/boot/elf_image.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Xen public headers, elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY */
#define NOTE_PHYS32_ENTRY 18
/* our choices: bounds of what is looked at; vmlinux has under 20 headers and 1 KiB of notes */
#define PHDRS_MAX 128
#define NOTES_MAX 65536

struct parser {
	int fd;
	uint64_t file_size;
	char *why;
	size_t why_size;
};

#define BAD(p, ...) (snprintf((p)->why, (p)->why_size, __VA_ARGS__), -EINVAL)

static int read_at(struct parser *p, uint64_t off, void *buf, size_t len, const char *what)
{
	uint64_t end;
	int err;

	if (u64_add_overflows(off, len, &end) || end > p->file_size)
		return BAD(p, "%s reaches beyond the end of the file (%llu bytes)", what,
			(unsigned long long)p->file_size);
	err = io_pread_full(p->fd, buf, len, off);
	if (err)
		snprintf(p->why, p->why_size, "cannot read the %s: %s", what, strerror(-err));
	return err;
}

static int check_header(struct parser *p, const Elf64_Ehdr *eh)
{
	if (memcmp(eh->e_ident, ELFMAG, SELFMAG))
		return BAD(p, "not an ELF file");
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB)
		return BAD(p, "not a 64-bit little-endian ELF file");
	if (eh->e_machine != EM_X86_64)
		return BAD(p, "ELF machine %u, need %u (x86-64)", eh->e_machine, EM_X86_64);
	if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
		return BAD(p, "ELF type %u is no executable", eh->e_type);
	if (eh->e_phentsize != sizeof(Elf64_Phdr))
		return BAD(p, "program headers of %u bytes, need %zu", eh->e_phentsize, sizeof(Elf64_Phdr));
	if (!eh->e_phnum || eh->e_phnum > PHDRS_MAX)
		return BAD(p, "%u program headers; allowed: 1 to %d", eh->e_phnum, PHDRS_MAX);
	return 0;
}

static int add_segment(struct parser *p, struct elf_image *image, const Elf64_Phdr *ph)
{
	uint64_t end;

	if (!ph->p_memsz)
		return 0;
	if (ph->p_filesz > ph->p_memsz)
		return BAD(p, "segment at 0x%llx has more bytes in the file than in memory",
			(unsigned long long)ph->p_paddr);
	if (u64_add_overflows(ph->p_offset, ph->p_filesz, &end) || end > p->file_size)
		return BAD(p, "segment at 0x%llx reaches beyond the end of the file",
			(unsigned long long)ph->p_paddr);
	if (u64_add_overflows(ph->p_paddr, ph->p_memsz, &end))
		return BAD(p, "segment at 0x%llx wraps around", (unsigned long long)ph->p_paddr);
	if (image->nr_segments == ELF_IMAGE_SEGMENTS_MAX)
		return BAD(p, "more than %d loadable segments", ELF_IMAGE_SEGMENTS_MAX);
	image->segments[image->nr_segments++] = (struct elf_segment){
		.file_off = ph->p_offset,
		.file_size = ph->p_filesz,
		.gpa = ph->p_paddr,
		.mem_size = ph->p_memsz,
	};
	return 0;
}

/* Notes are padded to 4 bytes, and to 8 in segments with that alignment (gABI, System V x86-64 psABI). */
static int find_entry(struct parser *p, const Elf64_Phdr *ph, struct elf_image *image, bool *found)
{
	uint64_t align = ph->p_align == 8 ? 8 : 4;
	autofree char *notes = NULL;
	uint64_t at = 0;
	int err;

	if (ph->p_filesz > NOTES_MAX)
		return BAD(p, "a note segment of %llu bytes; at most %d", (unsigned long long)ph->p_filesz,
			NOTES_MAX);
	notes = malloc(ph->p_filesz + 1);
	if (!notes)
		return -ENOMEM;
	err = read_at(p, ph->p_offset, notes, ph->p_filesz, "note segment");
	if (err)
		return err;
	while (at + sizeof(Elf64_Nhdr) <= ph->p_filesz) {
		uint64_t name = at + sizeof(Elf64_Nhdr), desc;
		uint64_t entry = 0;
		Elf64_Nhdr nh;

		memcpy(&nh, notes + at, sizeof(nh));
		desc = u64_align_up(name + nh.n_namesz, align);
		at = u64_align_up(desc + nh.n_descsz, align);
		if (at > u64_align_up(ph->p_filesz, align) || desc + nh.n_descsz > ph->p_filesz)
			return BAD(p, "a note reaches beyond its segment");
		if (nh.n_type != NOTE_PHYS32_ENTRY || nh.n_namesz != 4 || memcmp(notes + name, "Xen", 4))
			continue;
		if (nh.n_descsz != 4 && nh.n_descsz != 8)
			return BAD(p, "PVH entry note of %u bytes, need 4 or 8", nh.n_descsz);
		memcpy(&entry, notes + desc, nh.n_descsz);
		if (entry > UINT32_MAX)
			return BAD(p, "PVH entry 0x%llx is above 4 GiB", (unsigned long long)entry);
		image->pvh_entry = (uint32_t)entry;
		*found = true;
		return 0;
	}
	return 0;
}

int elf_image_read(int fd, struct elf_image *ret, char *why, size_t why_size)
{
	struct parser p = {.fd = fd, .why = why, .why_size = why_size};
	struct elf_image image = {0};
	Elf64_Phdr ph[PHDRS_MAX];
	bool found = false;
	Elf64_Ehdr eh;
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return BAD(&p, "not a regular file");
	p.file_size = (uint64_t)st.st_size;
	err = read_at(&p, 0, &eh, sizeof(eh), "ELF header");
	if (!err)
		err = check_header(&p, &eh);
	if (!err)
		err = read_at(&p, eh.e_phoff, ph, eh.e_phnum * sizeof(ph[0]), "program header table");
	for (uint32_t i = 0; !err && i < eh.e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD)
			err = add_segment(&p, &image, &ph[i]);
		else if (ph[i].p_type == PT_NOTE && !found)
			err = find_entry(&p, &ph[i], &image, &found);
	}
	if (err)
		return err;
	if (!image.nr_segments)
		return BAD(&p, "no loadable segment");
	if (!found)
		return BAD(&p, "no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY)");
	*ret = image;
	return 0;
}
