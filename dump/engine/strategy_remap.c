/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/strategy_remap.c - nobody moves a byte: the region's own file becomes the dump.
 *
 * With the selector `all` there is nothing to do here, whatever the size of the guest.  With others, the
 * pages that are not to be in the dump are punched out where they are, in runs as long as they come:
 * a punch costs microseconds, more inside a huge page (docs/vmcore.md, "Speed").
 */
#include "dump/base/bitmap.h"
#include "dump/engine/engine_state.h"
#include "dump/engine/tables.h"
#include "dump/engine/punch.h"

/* All that is populated stays: counting it exactly would take time with the size of the guest. */
static int keep_everything(struct dump_engine *engine)
{
	atomic_store(&engine->dumped, dead_region_host_bytes(&engine->region));
	atomic_store(&engine->done, engine->layout.ram);
	return 0;
}

int strategy_remap(struct dump_engine *engine)
{
	struct punch punch;
	int r = 0;

	if (engine->record->options.selectors == DUMP_SELECT_ALL)
		return keep_everything(engine);
	punch_init(&punch, engine);
	for (uint64_t i = 0; i < engine->nr_chunks && !r; i++) {
		uint64_t off, len;

		dump_engine_chunk(engine, i, &off, &len);
		if (!dump_engine_is_done(engine, i)) {
			r = engine_select_chunk(engine, i);
			if (r)
				return dump_engine_fail(engine, r, "cannot read the crashed VM's memory");
			r = punch_unwanted(&punch, off, off + len);
		}
		if (!r)
			dump_engine_chunk_kept(engine, i);
	}
	if (!r)
		r = punch_flush(&punch);
	atomic_store(&engine->dumped, dead_region_host_bytes(&engine->region));
	return r ? dump_engine_fail(engine, r, "cannot punch pages out of %s", engine->names.region_partial)
		 : 0;
}
