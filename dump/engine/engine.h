/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine.h - one dump from the crashed region to its published file.
 *
 *      link region -> make dump, link it -> select -> release what is excluded
 *      -> strategy: { select, copy, mark, release } chunk by chunk -> publish
 *
 * Owns the order of these steps.  A strategy owns how bytes move.  What makes a kill at any moment harmless is the
 * order that the helpers of dump/engine/engine_state.h keep: a page's bytes are in the dump before its chunk is marked,
 * and the chunk is marked before any of its memory is released (docs/vmcore.md, "Partial dumps").
 *
 * Locks: from the announcement on, or else from its beginning, region and dump are locked (publish_lock) until the last
 * duplicate of the region's descriptor is closed or whoever began the job calls publish_unlock(): the job is over
 * when that one says so, and not when an engine ends, since another one may go on.
 *
 * Knows nothing of sockets, processes and KVM.  Any number of engines may run in one process.
 */
#ifndef DUMP_ENGINE_ENGINE_H
#define DUMP_ENGINE_ENGINE_H

#include "dump/record/record.h"

struct dump_engine; /* dump/engine/engine_state.h */

/*
 * dump_engine_run - dump, release and publish, from the beginning to the end.  Zeroes every field
 * but those "set by the caller", so that the counters and @why stay readable afterwards.
 * Result: 0: complete under its final name; a .partial name that could not be removed is logged.  -errno: @engine->why
 * tells the object and what is left; nothing is under the final name, but for one that could not be brought to the disk; no
 * memory without its copy is released.
 */
int warn_unused dump_engine_run(struct dump_engine *engine);

/*
 * What dump_engine_run() does with @resume: continues from the tables in the files.  Chunks that are
 * marked there stay as they are; given_dump_fd is the <name>.vmcore.partial, or the <name>.vmcore that
 * was linked last, or -1 if there is neither.
 */

/*
 * dump_engine_announce - give a crashed region its .partial name, with what is needed to make sense of it
 * after a kill, before anything else happens to it; and the file that its guest dumps into, if there is
 * one (@dump_fd -1: none).  dump_engine_run() does the same, if that has not been done.  Errors: -errno.
 * Locks: both files, before they have names, so that nobody takes a dump that waits for one that was left.
 */
int warn_unused dump_engine_announce(
	const struct dump_record *record, int region_fd, int region_dir_fd, int dump_fd, int dir_fd);

/*
 * dump_engine_in_flight - bytes of memory that a dump in memory takes at most, for a while, before it gives back
 * any for them.  @options: of a valid record; @ram: bytes.
 */
uint64_t dump_engine_in_flight(const struct dump_options *options, uint64_t ram);

/*
 * dump_engine_space - bytes that must be free on the file system of @dir_fd for the dump of @record, which is valid, to
 * begin there: what dump_engine_run() asks for, to a page or so.  0 for a dump that stays where the memory is.
 */
uint64_t dump_engine_space(const struct dump_record *record, int region_fd, int dir_fd);

#endif /* DUMP_ENGINE_ENGINE_H */
