/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/format/tail.h - the tail room of a dump: page bitmap, progress table, trailer.
 *
 * The file always has what the tables say, so that whoever finds it after a kill reads exactly what the
 * dead process knew.  On tmpfs the tables are the file, mapped: their memory is allocated before the
 * first store, which therefore never finds the file system full.  On other file systems, where a store
 * may fail later than it is made (SIGBUS), they are memory, and each change is written.
 *
 * Locks: see the accessors; init and fini from one thread.
 */
#ifndef DUMP_FORMAT_TAIL_H
#define DUMP_FORMAT_TAIL_H

#include "dump/format/vmcore.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct dump_tail {
	uint64_t *selected;             /* page bitmap, dump/base/bitmap.h; all set by dump_tail_init */
	_Atomic uint8_t *progress;      /* VMCORE_CHUNK_*, one for each chunk */
	_Atomic uint32_t *dropped;      /* see vmcore_dropped_off(), one for each chunk; NULL = no room */
	struct vmcore_trailer *trailer; /* state PREPARING by dump_tail_init */
	void *map;                      /* the whole tail room, owned; NULL = none */
	size_t map_bytes;
	uint64_t start; /* file offset of @map */
	int fd;         /* borrowed: where changes are written; -1 = @map is the file */
};

/*
 * dump_tail_init - make the tables of the file @fd, which has its final size.
 * @record has passed dump_record_map; @role: VMCORE_ROLE_*.
 * Errors: -ENOSPC when the tables do not fit, else -errno; dump_tail_fini() is then harmless.
 */
int warn_unused dump_tail_init(
	struct dump_tail *tail, int fd, const struct dump_record *record, uint32_t role);

/*
 * dump_tail_adopt - go on with the tables that an earlier engine left in @fd for the same record.  The bitmap and the
 * progress table may say anything, the counts in the trailer too.
 * Errors: -ESTALE if they are another dump's (vmcore_trailer_is_of); else as dump_tail_init.
 */
int warn_unused dump_tail_adopt(struct dump_tail *tail, int fd, const struct dump_record *record);

void dump_tail_fini(struct dump_tail *tail); /* the file keeps everything */

/* True if @fd is on a file system whose pages are its storage, so that stores cannot fail later. */
bool dump_tail_is_shm(int fd);

/*
 * Marks a chunk; what is dumped of it has been written.  Any thread.
 * Paired with the kernel's copy on return from the syscalls before and after it.
 * Errors: -errno of the write; the chunk then counts as not dumped.
 */
int warn_unused dump_tail_mark(struct dump_tail *tail, uint64_t chunk, uint8_t value);

/* The same for the first @nr_chunks chunks. */
int warn_unused dump_tail_mark_all(struct dump_tail *tail, uint64_t nr_chunks, uint8_t value);

static inline int warn_unused dump_tail_chunk_done(struct dump_tail *tail, uint64_t chunk)
{
	return dump_tail_mark(tail, chunk, VMCORE_CHUNK_DONE);
}

static inline bool dump_tail_is_done(const struct dump_tail *tail, uint64_t chunk)
{
	return atomic_load_explicit(&tail->progress[chunk], memory_order_acquire) == VMCORE_CHUNK_DONE;
}

/* Notes how many pages of a chunk are dropped by their contents; before they are gone.  As dump_tail_mark(). */
int warn_unused dump_tail_note_dropped(struct dump_tail *tail, uint64_t chunk, uint32_t pages);

/* The bitmap is in the file, where that is not the same. */
int warn_unused dump_tail_write_bitmap(const struct dump_tail *tail);

/* Sets the state; the bitmap and the rest of the trailer are in the file before it.  One thread. */
int warn_unused dump_tail_set_state(struct dump_tail *tail, uint32_t state);

/* The same for the role. */
int warn_unused dump_tail_set_role(struct dump_tail *tail, uint32_t role);

/* The same for the flags. */
int warn_unused dump_tail_set_flags(struct dump_tail *tail, uint32_t flags);

#endif /* DUMP_FORMAT_TAIL_H */
