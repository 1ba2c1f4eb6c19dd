/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/files/dumpfile_head.c - the head of a file that may have a name: see dumpfile.h.
 *
 * New notes go where none are that count, then one write inside one page makes them count (struct vmcore_start).  More
 * program headers lie where notes may be: the notes then move first, the headers are written where no number
 * reaches them, and one more write makes the number larger.
 */
#include "dump/files/dumpfile.h"

#include "dump/base/cleanup.h"
#include "dump/base/filemap.h"
#include "dump/base/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int dump_head_create(
	const struct dump_record *record, Elf64_Phdr *more, size_t nr_more, struct dump_head *ret)
{
	struct dump_head head = {.record = record, .more = more, .nr_more = nr_more};
	int r = vmcore_notes_create(record, &head.notes);

	if (r)
		dump_head_fini(&head);
	else
		*ret = head;
	return r;
}

void dump_head_fini(struct dump_head *head)
{
	free(head->notes.buf);
	free(head->more);
	*head = (struct dump_head){0};
}

int dump_head_image(const struct dump_head *head, unsigned char **ret_image, size_t *ret_bytes,
	uint64_t *ret_timeline_off)
{
	return vmcore_head_create(head->record, &head->notes, head->more, head->nr_more, ret_image,
		ret_bytes, ret_timeline_off);
}

/* ---- what is there ---------------------------------------------------------------------------------- */

/* The head that a file has. */
struct present {
	bool valid;          /* ours in every field but the numbers below, which are in bounds */
	enum vmcore_slot at; /* where its notes are */
	uint64_t notes_off, notes_bytes;
	size_t nr_more; /* program headers besides those of RAM */
};

static uint64_t more_off(const struct dump_layout *layout)
{
	return sizeof(struct vmcore_start) + layout->nr_segments * sizeof(Elf64_Phdr);
}

static struct present look_at_head(int fd, const struct dump_layout *layout)
{
	Elf64_Phdr want[DUMP_SEGMENTS_MAX], loads[DUMP_SEGMENTS_MAX];
	size_t nr = vmcore_loads(layout, want);
	struct vmcore_start start, same;
	struct present present = {0};

	if (io_pread_full(fd, &start, sizeof(start), 0) ||
		io_pread_full(fd, loads, nr * sizeof(*loads), sizeof(start)))
		return present;
	present.notes_off = start.note.p_offset;
	present.notes_bytes = start.note.p_filesz;
	present.at = present.notes_off < VMCORE_SLOT_BYTES ? VMCORE_SLOT_A : VMCORE_SLOT_B;
	same = vmcore_start(present.notes_off, present.notes_bytes, start.ehdr.e_phnum - 1u);
	if (start.ehdr.e_phnum < 1 + nr || start.ehdr.e_phnum > 1 + nr + VMCORE_VIRTUAL_MAX ||
		memcmp(&start, &same, sizeof(start)) || memcmp(loads, want, nr * sizeof(*loads)) ||
		present.notes_bytes > VMCORE_SLOT_BYTES ||
		present.notes_off > layout->head - VMCORE_SLOT_BYTES + VMCORE_TIMELINE_BYTES)
		return present;
	present.nr_more = start.ehdr.e_phnum - 1 - nr;
	present.valid = true;
	return present;
}

/* True if the notes that are there are these ones, whatever time their timeline shows. */
static bool has_notes(int fd, const struct present *present, const struct dump_head *head)
{
	const struct vmcore_notes *notes = &head->notes;
	size_t behind = notes->timeline + VMCORE_TIMELINE_BYTES;
	autofree unsigned char *found = NULL;

	if (!present->valid || present->notes_bytes != notes->bytes ||
		present->notes_off != vmcore_notes_off(present->at, &head->record->layout, notes->timeline))
		return false;
	found = malloc(notes->bytes);
	return found && !io_pread_full(fd, found, notes->bytes, present->notes_off) &&
	       !memcmp(found, notes->buf, notes->timeline) &&
	       !memcmp(found + behind, notes->buf + behind, notes->bytes - behind);
}

static bool has_more(int fd, const struct present *present, const struct dump_head *head)
{
	size_t bytes = head->nr_more * sizeof(*head->more);
	autofree Elf64_Phdr *found = malloc(bytes);

	return present->nr_more == head->nr_more &&
	       (!bytes || (found && !io_pread_full(fd, found, bytes, more_off(&head->record->layout)) &&
				  !memcmp(found, head->more, bytes)));
}

static bool is_in_ram(const struct dump_layout *layout, const Elf64_Phdr *load)
{
	uint64_t off;

	return load->p_type == PT_LOAD && load->p_filesz == load->p_memsz && load->p_filesz &&
	       !dump_layout_offset(layout, load->p_paddr, load->p_filesz, &off) &&
	       load->p_offset == layout->head + off;
}

size_t dumpfile_virtual_headers(int fd, const struct dump_layout *layout, Elf64_Phdr **ret)
{
	struct present present = fd < 0 ? (struct present){0} : look_at_head(fd, layout);
	size_t bytes = present.nr_more * sizeof(Elf64_Phdr), nr = present.nr_more;
	Elf64_Phdr *more = nr ? malloc(bytes) : NULL;

	if (!more || io_pread_full(fd, more, bytes, more_off(layout)))
		nr = 0;
	for (size_t i = 0; i < nr; i++)
		if (!is_in_ram(layout, &more[i]))
			nr = 0; /* one that lies, and none is believed */
	if (nr)
		*ret = more;
	else
		free(more);
	return nr;
}

/* ---- what is made ----------------------------------------------------------------------------------- */

static int put(int fd, uint64_t off, const void *data, uint64_t len)
{
	return dump_tail_is_shm(fd) ? filemap_write(fd, off, data, len)
				    : io_pwrite_full(fd, data, len, off);
}

/* Makes the notes and the number of program headers count.  Its page has memory: see begin(). */
static int put_start(int fd, const struct present *present, const struct dump_layout *layout)
{
	struct vmcore_start start = vmcore_start(
		present->notes_off, present->notes_bytes, layout->nr_segments + present->nr_more);

	return io_pwrite_full(fd, &start, sizeof(start), 0);
}

/* A file without a head: what does not change later, and memory for the first page in a page of 4 KiB. */
static int begin(int fd, const struct dump_layout *layout)
{
	struct {
		struct vmcore_start start;
		Elf64_Phdr loads[DUMP_SEGMENTS_MAX];
	} first = {0};
	size_t nr = vmcore_loads(layout, first.loads);

	return put(fd, 0, &first, sizeof(first.start) + nr * sizeof(first.loads[0]));
}

/* The notes into @at, which is not where those are that count. */
static int move_notes(int fd, struct present *present, const struct dump_head *head, enum vmcore_slot at)
{
	const struct dump_layout *layout = &head->record->layout;
	uint64_t off = vmcore_notes_off(at, layout, head->notes.timeline);
	int r = 0;

	if (at == VMCORE_SLOT_A && present->nr_more) {
		present->nr_more = 0; /* they lie there */
		r = put_start(fd, present, layout);
	}
	if (!r)
		r = put(fd, off, head->notes.buf, head->notes.bytes);
	if (r)
		return r;
	*present = (struct present){.valid = true,
		.at = at,
		.notes_off = off,
		.notes_bytes = head->notes.bytes,
		.nr_more = present->nr_more};
	return put_start(fd, present, layout);
}

static int put_more(int fd, struct present *present, const struct dump_head *head)
{
	const struct dump_layout *layout = &head->record->layout;
	int r = 0;

	if (present->nr_more) {
		present->nr_more = 0;
		r = put_start(fd, present, layout);
	}
	if (r || !head->nr_more)
		return r;
	if (present->at != VMCORE_SLOT_B)
		r = move_notes(fd, present, head, VMCORE_SLOT_B);
	if (!r)
		r = put(fd, more_off(layout), head->more, head->nr_more * sizeof(*head->more));
	present->nr_more = head->nr_more;
	return r ? r : put_start(fd, present, layout);
}

int dumpfile_write_head(int fd, const struct dump_head *head, uint64_t *ret_timeline_off)
{
	struct present present = look_at_head(fd, &head->record->layout);
	int r = 0;

	if (!present.valid) {
		present = (struct present){.at = head->nr_more ? VMCORE_SLOT_A : VMCORE_SLOT_B};
		r = begin(fd, &head->record->layout);
	}
	if (!r && !has_notes(fd, &present, head))
		r = move_notes(
			fd, &present, head, present.at == VMCORE_SLOT_A ? VMCORE_SLOT_B : VMCORE_SLOT_A);
	if (!r && !has_more(fd, &present, head))
		r = put_more(fd, &present, head);
	if (!r)
		*ret_timeline_off = present.notes_off + head->notes.timeline;
	return r;
}
