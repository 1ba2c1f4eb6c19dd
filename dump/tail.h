/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/tail.h - the tail room of a dump, mapped: page bitmap, progress table, trailer.
 *
 * The tables are changed in place, in the file, so that whoever finds the file after a kill reads
 * exactly what the dead process knew.  Their memory is allocated before the first store, which
 * therefore never finds the file system full.
 *
 * Locks: see the accessors; init and fini from one thread.
 */
#ifndef DUMP_TAIL_H
#define DUMP_TAIL_H

#include "dump/vmcore.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct dump_tail {
	uint64_t *selected;            /* page bitmap, dump/bitmap.h; all set by dump_tail_init */
	_Atomic uint8_t *progress;     /* VMCORE_CHUNK_*, one for each chunk */
	struct vmcore_trailer *trailer; /* state PREPARING by dump_tail_init */
	void *map;                     /* the whole tail room, owned; NULL = none */
	size_t map_bytes;
};

/*
 * dump_tail_init - allocate and map the tail of the dump file @fd, which has its final size.
 * @record has passed dump_record_map.
 * Errors: -ENOSPC when the tables do not fit, else -errno; dump_tail_fini() is then harmless.
 */
int warn_unused dump_tail_init(struct dump_tail *tail, int fd, const struct dump_record *record);

void dump_tail_fini(struct dump_tail *tail); /* the file keeps everything */

/* Any thread.  Paired with the kernel's copy on return from the syscalls before and after it. */
static inline void dump_tail_chunk_done(struct dump_tail *tail, uint64_t chunk)
{
	atomic_store_explicit(&tail->progress[chunk], VMCORE_CHUNK_DONE, memory_order_release);
}

static inline void dump_tail_set_state(struct dump_tail *tail, uint32_t state)
{
	atomic_store_explicit(&tail->trailer->state, state, memory_order_release);
}

#endif /* DUMP_TAIL_H */
