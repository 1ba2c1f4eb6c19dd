/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine_files.h - the two files of a dump and their names.  Functions with a result: 0, or -errno with the
 * failure recorded (dump_engine_fail).
 */
#ifndef DUMP_ENGINE_ENGINE_FILES_H
#define DUMP_ENGINE_ENGINE_FILES_H

#include "dump/engine/engine_state.h"

/* What is to be done, by what there is: engine->plan, and old_fd.  Changes nothing. */
int warn_unused engine_make_plan(struct dump_engine *engine);

/* Head and trailer of the region, and its .partial name. */
int warn_unused engine_link_region(struct dump_engine *engine);

/* Before the first release: where the tables are not its own, the region says that it is not all. */
int warn_unused engine_mark_released(struct dump_engine *engine);

/* The dump file with head and tables, and its .partial name; or what an earlier engine left of it. */
int warn_unused engine_make_dump(struct dump_engine *engine);

/* The region is the dump, from here on or from the beginning. */
int warn_unused engine_take_region(struct dump_engine *engine);

/* Appends to engine->why where the evidence is. */
void engine_tell_what_is_kept(struct dump_engine *engine);

/* Closes what the engine opened.  The locks of the files that it was given stay: see dump/engine/engine.h. */
void engine_close_files(struct dump_engine *engine);

#endif /* DUMP_ENGINE_ENGINE_FILES_H */
