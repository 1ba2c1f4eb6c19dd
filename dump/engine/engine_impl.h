/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine_impl.h - the engine's inside.  Private to dump/engine/engine.c (order of the steps, helpers of
 * strategies), engine_files.c (the files and their names), engine_publish.c (their end) and
 * engine_space.c (which directory).
 */
#ifndef DUMP_ENGINE_ENGINE_IMPL_H
#define DUMP_ENGINE_ENGINE_IMPL_H

#include "dump/engine/engine.h"

#include <elf.h>

static inline void engine_notify(struct dump_engine *engine, enum dump_notice notice)
{
	if (engine->notify)
		engine->notify(engine, notice);
}

/* Threads that a dump with these options uses: 1 or more. */
uint32_t engine_workers(const struct dump_options *options);

void engine_mark(struct dump_engine *engine, enum dump_moment moment);

/* Finds VMCOREINFO, if the guest has it: engine->vmcoreinfo and the record's copy. */
void engine_look_at_guest(struct dump_engine *engine);

/* The end of its log and what else people want to know first, into the record; before memory is released. */
void engine_report_guest(struct dump_engine *engine);

/*
 * With dump_options.virtual_headers and a Linux that can be believed: program headers with its virtual addresses.
 * Result: how many; *ret: heap block, owned by the caller, untouched if there are none.
 */
size_t engine_virtual_headers(const struct dump_engine *engine, Elf64_Phdr **ret);

/* What the selectors did, into the trailer; the state that is set next makes it valid. */
void engine_save_selection(struct dump_engine *engine);

/* All that follow: 0, or -errno with the failure recorded (dump_engine_fail). */

/* Which directory has room: sets out_dir_fd, and detour if it is not the first choice. */
int warn_unused engine_choose_dir(struct dump_engine *engine);

/* Head and trailer of the region, and its .partial name. */
int warn_unused engine_link_region(struct dump_engine *engine);

/* Before the first release: where the tables are not its own, the region says that it is not all. */
int warn_unused engine_mark_released(struct dump_engine *engine);

/* The dump file with head and tables, and its .partial name; or what an earlier engine left of it. */
int warn_unused engine_make_dump(struct dump_engine *engine);

/* The region is the dump, from here on or from the beginning. */
int warn_unused engine_take_region(struct dump_engine *engine);

/* Everything is dumped: final timeline, state, name. */
int warn_unused engine_publish(struct dump_engine *engine);

/* Appends to engine->why where the evidence is. */
void engine_tell_what_is_kept(struct dump_engine *engine);

/* Closes what the engine opened.  The locks of the files that it was given stay: see engine.h. */
void engine_close_files(struct dump_engine *engine);

#endif /* DUMP_ENGINE_ENGINE_IMPL_H */
