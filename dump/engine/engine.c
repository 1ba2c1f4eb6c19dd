/* SPDX-License-Identifier: Apache-2.0 */
/* dump/engine/engine.c - see engine.h */
#include "dump/engine/engine.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/engine/engine_files.h"
#include "dump/engine/engine_guest.h"
#include "dump/engine/engine_publish.h"
#include "dump/engine/engine_space.h"
#include "dump/engine/engine_state.h"
#include "dump/engine/release.h"
#include "dump/engine/tables.h"
#include "dump/select/select.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* The bitmap counts from here on: on a disk it is there first, and the word of it before memory goes. */
static int set_dumping(struct dump_engine *engine)
{
	bool on_disk = engine->tail.fd >= 0;
	int r = on_disk ? dump_tail_write_bitmap(&engine->tail) : 0;

	if (!r && on_disk)
		r = io_sync(engine->tail.fd);
	if (!r)
		r = dump_tail_set_state(&engine->tail, VMCORE_STATE_DUMPING);
	return !r && on_disk ? io_sync(engine->tail.fd) : r;
}

/* Decides which pages belong in the dump.  A guest that dumps by itself has decided already. */
static int select_pages_of(struct dump_engine *engine)
{
	int r = 0;

	engine->selection.selected = engine->tail.selected;
	if (engine->strategy->guest_mode == FW_DUMP_MODE_VMM) {
		if (plan_adopts(engine->plan))
			engine_load_selection(engine);
		r = plan_adopts(engine->plan) ? dump_select_resume(&engine->selection)
					      : dump_select_prepare(&engine->selection);
		if (r)
			return dump_engine_fail(engine, r, "cannot select pages");
		engine_save_selection(engine);
	}
	r = set_dumping(engine);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot write the page bitmap of %s", engine->names.dump_partial);
	r = engine_mark_released(engine);
	if (r)
		return r;
	if (engine->strategy->guest_mode == FW_DUMP_MODE_VMM && engine->old_fd < 0)
		dump_release_excluded(engine);
	if (engine->record->options.selectors != DUMP_SELECT_ALL)
		engine_mark(engine, DUMP_MOMENT_EXCLUDED);
	return 0;
}

static int move_bytes(struct dump_engine *engine)
{
	int r;

	engine_report_guest(engine);
	r = dead_region_map(&engine->region);
	if (r)
		return dump_engine_fail(engine, r, "cannot map the crashed VM's memory");
	r = select_pages_of(engine);
	if (r)
		return r;
	r = strategy_runs[engine->record->options.strategy](engine);
	if (r)
		return dump_engine_fail(engine, r, "strategy %s", engine->strategy->name);
	r = durable_settle(engine);
	if (r)
		return r;
	assert(atomic_load(&engine->done) == engine->layout.ram);
	engine_mark(engine, DUMP_MOMENT_COPIED);
	engine_notify(engine, DUMP_NOTICE_COPIED);
	return 0;
}

static void engine_init(struct dump_engine *engine)
{
	const struct dump_record *record = engine->record;
	uint32_t sink = dump_strategies[record->options.strategy].sinks ? record->options.sink : 0;

	*engine = (struct dump_engine){
		.record = engine->record,
		.region_fd = engine->region_fd,
		.region_dir_fd = engine->region_dir_fd,
		.dir_fd = engine->dir_fd,
		.fallback_dir_fd = engine->fallback_dir_fd,
		.given_dump_fd = engine->given_dump_fd,
		.resume = engine->resume,
		.proc_fd = engine->proc_fd,
		.notify = engine->notify,
		.notify_arg = engine->notify_arg,
		.layout = record->layout,
		.chunk = record->options.chunk,
		.nr_chunks = vmcore_nr_chunks(record->layout.ram, record->options.chunk),
		.workers = engine_workers(&record->options),
		.strategy = &dump_strategies[record->options.strategy],
		.dump_fd = -1,
		.out_dir_fd = engine->dir_fd,
		.old_fd = -1,
		.tail.fd = -1,
		.seal.fd = -1,
		.release_warned = ATOMIC_FLAG_INIT,
	};
	engine->sink = &dump_sinks[sink];
	engine->ops = sink_ops[sink];
	engine->region_tables = engine->strategy->in_place || engine->sink->compressed;
	pthread_mutex_init(&engine->lock, NULL);
	durable_init(&engine->durable);
	dead_region_init(&engine->region, engine->region_fd, &engine->layout);
	engine->selection = (struct selection){.record = record,
		.region = &engine->region,
		.vmcoreinfo = &engine->vmcoreinfo,
		.chunk = engine->chunk,
		.workers = engine->workers,
		.selectors = record->options.selectors};
	if (engine->sink->compressed)
		publish_names_init_lz4(&engine->names, record->name);
	else
		publish_names_init(&engine->names, record->name);
}

/* Without a page bitmap the state stays PREPARING: everything is in the region. */
static void note_failure(struct dump_engine *engine)
{
	uint32_t state = engine->tail.trailer->state;

	if (state == VMCORE_STATE_COMPLETE)
		return;
	engine->tail.trailer->error = engine->error;
	if (state != VMCORE_STATE_PREPARING) {
		engine_save_selection(engine);
		state = VMCORE_STATE_FAILED;
	}
	if (dump_tail_set_state(&engine->tail, state))
		log_debug("%s does not say that it failed", engine->names.dump_partial);
}

static void engine_fini(struct dump_engine *engine)
{
	if (engine->error)
		engine_tell_what_is_kept(engine);
	if (engine->error && engine->tail.map)
		note_failure(engine);
	dump_select_fini(&engine->selection);
	dead_region_fini(&engine->region);
	engine_close_files(engine);
	dump_head_fini(&engine->head);
	durable_fini(&engine->durable);
	pthread_mutex_destroy(&engine->lock);
}

/* What an earlier engine knew of the kernel's addresses, if memory may be missing that they were learnt from. */
static size_t virtual_headers_of(const struct dump_engine *engine, Elf64_Phdr **ret)
{
	size_t nr;

	if (!engine->record->options.virtual_headers)
		return 0;
	if (!plan_adopts(engine->plan))
		return engine_virtual_headers(engine, ret);
	nr = dumpfile_virtual_headers(engine->region_fd, &engine->layout, ret);
	return nr || engine->sink->compressed
		       ? nr
		       : dumpfile_virtual_headers(engine->given_dump_fd, &engine->layout, ret);
}

static void make_head(struct dump_engine *engine)
{
	Elf64_Phdr *more = NULL;
	size_t nr = virtual_headers_of(engine, &more);
	int r = dump_head_create(engine->record, more, nr, &engine->head);

	if (r)
		dump_engine_fail(engine, r, "cannot make the head of the dump");
}

int dump_engine_run(struct dump_engine *engine)
{
	int r;

	engine_init(engine);
	engine_mark(engine, DUMP_MOMENT_DUMP_START);
	r = engine_make_plan(engine);
	if (!r) {
		engine_look_at_guest(engine);
		make_head(engine);
	}
	r = engine_link_region(engine); /* even without a head */
	if (!engine->error)
		r = engine_choose_dir(engine);
	if (!engine->error)
		r = engine_make_dump(engine);
	if (!engine->error && plan_moves(engine->plan))
		r = move_bytes(engine);
	if (!engine->error)
		r = engine_publish(engine);
	r = engine->error;
	engine_fini(engine);
	return r;
}
