/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/punch.h - punching the pages that are not wanted out of a region that becomes the dump itself.
 *
 * Runs are joined across chunks, since a punch costs by the call.  Locks: one thread a struct punch.
 */
#ifndef DUMP_ENGINE_PUNCH_H
#define DUMP_ENGINE_PUNCH_H

#include "dump/engine/engine_state.h"

struct punch {
	struct dump_engine *engine; /* borrowed */
	uint64_t start, end;        /* RAM offsets: run that is not punched yet, empty if equal */
	uint64_t before;            /* bytes behind the region when that was last asked */
};

void punch_init(struct punch *punch, struct dump_engine *engine);

/* Punches the pages of [@start, @end) whose bits are clear in engine->selection.copy; a run at the end may wait. */
int warn_unused punch_unwanted(struct punch *punch, uint64_t start, uint64_t end);

/* Punches what waits, and counts what was given back. */
int warn_unused punch_flush(struct punch *punch);

/* Counts what was given back since it was last asked, whoever punched. */
void punch_count(struct punch *punch);

#endif /* DUMP_ENGINE_PUNCH_H */
