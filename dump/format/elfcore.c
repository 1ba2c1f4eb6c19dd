/* SPDX-License-Identifier: Apache-2.0 */
/* dump/format/elfcore.c - see elfcore.h */
#include "dump/format/elfcore.h"

#include "dump/base/sort.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* our choices: what is far beyond any real dump and still little memory */
#define PHDRS_MAX (1u << 20)
#define NOTES_MAX MIB(16)

/* of the parts of a note, also in 64-bit core files */
#define NOTE_ALIGN 4

static const char *check_ehdr(const Elf64_Ehdr *ehdr)
{
	if (memcmp(ehdr->e_ident, ELFMAG, SELFMAG))
		return "no ELF file";
	if (ehdr->e_ident[EI_CLASS] != ELFCLASS64 || ehdr->e_ident[EI_DATA] != ELFDATA2LSB)
		return "not a 64-bit little-endian ELF file";
	if (ehdr->e_type != ET_CORE)
		return "an ELF file, but no core file";
	if (ehdr->e_phentsize != sizeof(Elf64_Phdr))
		return "program headers of a wrong size";
	return NULL;
}

/* Number of program headers: with 65,535 and more of them it stands in the first section header. */
static int count_phdrs(struct image *image, const Elf64_Ehdr *ehdr, uint32_t *ret_nr)
{
	Elf64_Shdr first;
	int r;

	*ret_nr = ehdr->e_phnum;
	if (ehdr->e_phnum != PN_XNUM)
		return 0;
	r = image_read(image, ehdr->e_shoff, &first, sizeof(first));
	if (!r)
		*ret_nr = first.sh_info;
	return r;
}

static void add_notes(struct image *image, struct elfcore *core, const Elf64_Phdr *phdr)
{
	uint64_t room = NOTES_MAX - core->notes_bytes;
	uint64_t len = phdr->p_filesz;
	unsigned char *grown;

	if (phdr->p_offset >= image->size || !len)
		return;
	if (len > image->size - phdr->p_offset || len > room) {
		len = u64_min(image->size - phdr->p_offset, room);
		core->notes_cut = true;
	}
	grown = len ? realloc(core->notes, core->notes_bytes + len + NOTE_ALIGN) : NULL;
	if (grown)
		core->notes = grown;
	if (!grown || image_read(image, phdr->p_offset, grown + core->notes_bytes, len)) {
		core->notes_cut = true;
		return;
	}
	memset(grown + core->notes_bytes + len, 0, NOTE_ALIGN);
	core->notes_bytes = u64_align_up(core->notes_bytes + len, NOTE_ALIGN);
}

static void add_segment(struct elfcore *core, const Elf64_Phdr *phdr)
{
	uint64_t end;

	if (!phdr->p_memsz || u64_add_overflows(phdr->p_paddr, phdr->p_memsz, &end) ||
		u64_add_overflows(phdr->p_offset, phdr->p_memsz, &end))
		return;
	core->segments[core->nr_segments++] = (struct core_segment){
		.gpa = phdr->p_paddr,
		.size = phdr->p_memsz,
		.off = phdr->p_offset,
		.file_bytes = u64_min(phdr->p_filesz, phdr->p_memsz),
	};
}

static int by_gpa(const void *a, const void *b, void *arg)
{
	const struct core_segment *left = a, *right = b;

	(void)arg;
	return left->gpa < right->gpa ? -1 : left->gpa > right->gpa;
}

/* Drops from @segment what lies below @gpa; false if nothing is left. */
static bool trim_start(struct core_segment *segment, uint64_t gpa)
{
	uint64_t cut = gpa > segment->gpa ? gpa - segment->gpa : 0;

	if (cut >= segment->size)
		return false;
	segment->gpa += cut;
	segment->off += cut;
	segment->size -= cut;
	segment->file_bytes -= u64_min(cut, segment->file_bytes);
	return true;
}

/* Memory that several program headers name counts once: kdump describes the kernel's text twice. */
static void sort_segments(struct elfcore *core)
{
	uint64_t end = 0;
	size_t nr = 0;

	sort_array(core->segments, core->nr_segments, sizeof(core->segments[0]), by_gpa, NULL);
	for (size_t i = 0; i < core->nr_segments; i++) {
		struct core_segment segment = core->segments[i];

		if (!trim_start(&segment, end))
			continue;
		end = segment.gpa + segment.size;
		core->segments[nr++] = segment;
	}
	core->nr_segments = nr;
}

static int read_phdrs(struct image *image, const Elf64_Ehdr *ehdr, uint32_t nr, struct elfcore *core)
{
	Elf64_Phdr *phdrs = calloc(nr, sizeof(*phdrs));
	int r = -ENOMEM;

	core->segments = calloc(nr, sizeof(core->segments[0]));
	if (phdrs && core->segments)
		r = image_read(image, ehdr->e_phoff, phdrs, nr * sizeof(*phdrs));
	for (uint32_t i = 0; !r && i < nr; i++) {
		if (phdrs[i].p_type == PT_LOAD)
			add_segment(core, &phdrs[i]);
		else if (phdrs[i].p_type == PT_NOTE)
			add_notes(image, core, &phdrs[i]);
	}
	free(phdrs);
	return r;
}

int elfcore_read(struct image *image, struct elfcore *ret, char *why, size_t why_size)
{
	struct elfcore core = {0};
	const char *wrong;
	Elf64_Ehdr ehdr;
	uint32_t nr = 0;
	int r;

	r = image_read(image, 0, &ehdr, sizeof(ehdr));
	wrong = r ? NULL : check_ehdr(&ehdr);
	if (wrong) {
		snprintf(why, why_size, "%s", wrong);
		return -EINVAL;
	}
	if (!r)
		r = count_phdrs(image, &ehdr, &nr);
	if (!r && nr > PHDRS_MAX) {
		snprintf(why, why_size, "%u program headers, more than %u", nr, PHDRS_MAX);
		return -EFBIG;
	}
	if (!r && nr)
		r = read_phdrs(image, &ehdr, nr, &core);
	if (!r)
		sort_segments(&core);
	if (r == -ENODATA || (!r && !core.nr_segments)) {
		snprintf(why, why_size,
			r ? "an ELF core file, cut off within its headers"
			  : "an ELF core file without memory (no PT_LOAD)");
		r = -EINVAL;
	}
	if (r) {
		elfcore_fini(&core);
		return r;
	}
	*ret = core;
	return 0;
}

void elfcore_fini(struct elfcore *core)
{
	free(core->segments);
	free(core->notes);
	*core = (struct elfcore){0};
}

const struct core_segment *elfcore_find(const struct elfcore *core, uint64_t gpa)
{
	size_t low = 0, high = core->nr_segments;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct core_segment *segment = &core->segments[middle];

		if (gpa < segment->gpa)
			high = middle;
		else if (gpa - segment->gpa >= segment->size)
			low = middle + 1;
		else
			return segment;
	}
	return NULL;
}

/* Bytes that @len takes with its padding, in a place where @left are left; false if it does not fit. */
static bool padded(uint32_t len, size_t left, size_t *ret)
{
	uint64_t with = ((uint64_t)len + 3) & ~3ull;

	if (len > left)
		return false;
	*ret = (size_t)u64_min(with, left); /* the last one may lack its padding */
	return true;
}

bool elfcore_note(const struct elfcore *core, size_t *pos, struct core_note *ret)
{
	size_t left = core->notes_bytes - *pos;
	size_t name_bytes, desc_bytes;
	const unsigned char *at;
	Elf64_Nhdr note;

	if (left < sizeof(note))
		return false;
	at = core->notes + *pos;
	memcpy(&note, at, sizeof(note));
	at += sizeof(note);
	left -= sizeof(note);
	if (!padded(note.n_namesz, left, &name_bytes) ||
		!padded(note.n_descsz, left - name_bytes, &desc_bytes))
		return false;
	if (note.n_namesz && at[note.n_namesz - 1])
		return false;
	ret->name = note.n_namesz ? (const char *)at : "";
	ret->type = note.n_type;
	ret->desc = at + name_bytes;
	ret->len = note.n_descsz;
	*pos += sizeof(note) + name_bytes + desc_bytes;
	return true;
}
