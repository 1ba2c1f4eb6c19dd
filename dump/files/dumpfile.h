/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/files/dumpfile.h - the only writer of heads, tables, trailers and timelines of the files of a dump, the crashed region
 * among them.
 *
 * A file may have its name while it is written to: whatever is killed at any moment leaves a head, a timeline
 * and a trailer that are the old ones or the new ones.  Nobody believes what another process left because it looks
 * right: files are adopted by the identity that was fixed when they were made (vmcore_trailer_is_of), and what is adopted
 * is bounded.
 *
 * Errors: -ENOSPC when there is no room, else -errno.  Locks: none; one thread a file, but for marks (dump/format/tail.h).
 */
#ifndef DUMP_FILES_DUMPFILE_H
#define DUMP_FILES_DUMPFILE_H

#include "dump/format/tail.h"
#include "dump/format/vmcore.h"

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

/* What belongs into the head rooms of a dump's files, the same in all of them. */
struct dump_head {
	const struct dump_record *record; /* borrowed */
	struct vmcore_notes notes;        /* owned */
	Elf64_Phdr *more;                 /* owned: program headers besides those of RAM, or NULL */
	size_t nr_more;
};

/* dump_head_create - of @record as it is now.  Takes @more, a heap block or NULL, in any case.  Errors: -ENOMEM. */
int warn_unused dump_head_create(
	const struct dump_record *record, Elf64_Phdr *more, size_t nr_more, struct dump_head *ret);
void dump_head_fini(struct dump_head *head); /* harmless for one that is all 0 */

/*
 * dump_head_image - a new head room as one block, for files that are not laid out as an image.  As vmcore_head_create().
 */
int warn_unused dump_head_image(const struct dump_head *head, unsigned char **ret_image, size_t *ret_bytes,
	uint64_t *ret_timeline_off);

/*
 * dumpfile_write_head - give @fd the head: a new one, or what differs from the one that is there.
 * Result: *ret_timeline_off: file offset of the timeline text, for dumpfile_write_timeline().
 */
int warn_unused dumpfile_write_head(int fd, const struct dump_head *head, uint64_t *ret_timeline_off);

/*
 * dumpfile_virtual_headers - program headers besides those of RAM that another process has given to @fd, each of which is
 * inside RAM and says of it what the layout says.
 * Result: how many; *ret: heap block, owned by the caller, untouched if there are none.
 */
size_t dumpfile_virtual_headers(int fd, const struct dump_layout *layout, Elf64_Phdr **ret);

/* The timeline of @record as it is now, at @off of a file that has its head. */
int warn_unused dumpfile_write_timeline(int fd, uint64_t off, const struct dump_record *record);

/* What the trailer of a file says, if it is one of this dump's. */
struct dumpfile_facts {
	bool ours;      /* the rest is 0 without it */
	uint32_t role;  /* VMCORE_ROLE_* */
	uint32_t state; /* VMCORE_STATE_* */
	uint32_t flags; /* VMCORE_FLAG_* */
};

/* @fd may be -1 or any file. */
struct dumpfile_facts dumpfile_look(int fd, const struct dump_record *record);

/*
 * dumpfile_write_trailer - the trailer of a region whose tables are in the dump beside it, state PREPARING; nothing to do
 * if it is there.  @flags: VMCORE_FLAG_*.
 */
int warn_unused dumpfile_write_trailer(int fd, const struct dump_record *record, uint32_t flags);

/* From here on memory of the region @fd may be missing; a region without a trailer has nothing to be believed. */
int warn_unused dumpfile_mark_released(int fd, const struct dump_record *record);

/* What the selectors and the engine counted, from one set of tables to another one. */
void dumpfile_copy_counts(struct vmcore_trailer *to, const struct vmcore_trailer *from);

/* The tables @to of a region get what @from has of it, whose file goes: all that is wanted is in the region. */
int warn_unused dumpfile_take_tables(struct dump_tail *to, const struct dump_tail *from);

/* Everything is in the file: says so.  The last thing before its name. */
int warn_unused dumpfile_complete(struct dump_tail *tail, uint64_t nr_chunks);

/*
 * The tables of a file without its crash record, as a salvage has it: where they are says @trailer, a checked copy of the
 * file's own.  By writes alone, which a full file system lets fail.
 */
int warn_unused dumpfile_put_bitmap(int fd, const struct vmcore_trailer *trailer, const uint64_t *selected);

/* Marks chunks [@first, @end) with VMCORE_CHUNK_*. */
int warn_unused dumpfile_put_marks(
	int fd, const struct vmcore_trailer *trailer, uint64_t first, uint64_t end, uint8_t mark);

/* One word of the trailer. */
int warn_unused dumpfile_put_state(int fd, const struct vmcore_trailer *trailer, uint32_t state);
int warn_unused dumpfile_put_flags(int fd, const struct vmcore_trailer *trailer, uint32_t flags);

/* All of the trailer, by one write: before it the file is what it was, after it what @trailer says. */
int warn_unused dumpfile_put_trailer(int fd, const struct vmcore_trailer *trailer);

#endif /* DUMP_FILES_DUMPFILE_H */
