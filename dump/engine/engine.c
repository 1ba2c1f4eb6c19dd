/* SPDX-License-Identifier: Apache-2.0 */
/* dump/engine/engine.c - see engine.h */
#include "dump/engine/engine_impl.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/engine/release.h"
#include "dump/select/select.h"
#include "dump/engine/sink.h"
#include "dump/engine/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * our choice, for dump.workers = 0: half of the CPUs stay with the recovery VM, and more copy threads
 * than this wait for memory (docs/vmcore.md, "Speed")
 */
#define WORKERS_AUTO_MAX 4

void engine_mark(struct dump_engine *engine, enum dump_moment moment)
{
	dump_record_mark(engine->record, moment, clock_mono_ns());
}

int dump_engine_fail(struct dump_engine *engine, int error, const char *fmt, ...)
{
	va_list args;
	int len;

	pthread_mutex_lock(&engine->lock);
	if (!engine->error) {
		engine->error = error;
		va_start(args, fmt);
		len = vsnprintf(engine->why, sizeof(engine->why), fmt, args);
		va_end(args);
		if (len >= 0 && (size_t)len < sizeof(engine->why))
			snprintf(engine->why + len, sizeof(engine->why) - (size_t)len, ": %s",
				strerror(-error));
	}
	pthread_mutex_unlock(&engine->lock);
	return error;
}

/* Makes the cached run the one that @from lies in, or the next one; -ENXIO if there is none. */
static int find_extent(struct dump_engine *engine, uint64_t from)
{
	uint64_t head = engine->layout.head;
	off_t start, stop;

	if (from >= engine->extent_start && from < engine->extent_end)
		return 0;
	start = io_test_fails(IO_SEEK, NULL) ? -1
					     : lseek(engine->region_fd, (off_t)(head + from), SEEK_DATA);
	if (start < 0)
		return -errno;
	if ((uint64_t)start - head >= engine->extent_start && (uint64_t)start - head < engine->extent_end)
		return 0;
	stop = io_test_fails(IO_SEEK, NULL) ? -1 : lseek(engine->region_fd, start, SEEK_HOLE);
	if (stop < 0)
		return -errno;
	engine->extent_start = (uint64_t)start - head;
	engine->extent_end = (uint64_t)stop - head;
	return 0;
}

int dump_engine_extent(
	struct dump_engine *engine, uint64_t from, uint64_t end, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t start, stop;
	int r;

	if (from >= end)
		return 0;
	pthread_mutex_lock(&engine->extent_lock);
	r = find_extent(engine, from);
	start = u64_max(engine->extent_start, from);
	stop = u64_min(engine->extent_end, end);
	pthread_mutex_unlock(&engine->extent_lock);
	if (r)
		return r == -ENXIO ? 0 : r;
	if (start >= end)
		return 0;
	*ret_start = start;
	*ret_end = stop;
	return 1;
}

void dump_engine_forget_extents(struct dump_engine *engine)
{
	pthread_mutex_lock(&engine->extent_lock);
	engine->extent_start = 0;
	engine->extent_end = 0;
	pthread_mutex_unlock(&engine->extent_lock);
}

void dump_engine_released(struct dump_engine *engine, uint64_t bytes)
{
	if (!bytes)
		return;
	atomic_fetch_add(&engine->released, bytes);
	if (!atomic_load(&engine->record->moments[DUMP_MOMENT_FIRST_RELEASE]))
		engine_mark(engine, DUMP_MOMENT_FIRST_RELEASE);
	engine_notify(engine, DUMP_NOTICE_PROGRESS);
}

int dump_engine_chunk_done(struct dump_engine *engine, uint64_t index, uint64_t populated)
{
	uint64_t off, len;
	int r;

	dump_engine_chunk(engine, index, &off, &len);
	r = dump_tail_chunk_done(&engine->tail, index);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot note what is done in %s", engine->names.dump_partial);
	atomic_fetch_add(&engine->done, len);
	r = populated ? dump_release(engine, off, len) : 0;
	if (!r && populated)
		dump_engine_released(engine, populated); /* notifies */
	else
		engine_notify(engine, DUMP_NOTICE_PROGRESS);
	if (r && !atomic_flag_test_and_set(&engine->release_warned))
		log_warn("cannot release memory of the crashed VM: %s", strerror(-r));
	return 0;
}

void dump_engine_alive(struct dump_engine *engine)
{
	engine_notify(engine, DUMP_NOTICE_PROGRESS);
}

void dump_engine_chunk_kept(struct dump_engine *engine, uint64_t index)
{
	uint64_t off, len;

	dump_engine_chunk(engine, index, &off, &len);
	atomic_fetch_add(&engine->done, len);
	engine_notify(engine, DUMP_NOTICE_PROGRESS);
}

static int map_ram(struct dump_engine *engine)
{
	void *at = mmap(NULL, engine->layout.ram, PROT_READ, MAP_SHARED | MAP_NORESERVE, engine->region_fd,
		(off_t)engine->layout.head);

	if (at == MAP_FAILED)
		return dump_engine_fail(engine, -errno, "cannot map the crashed VM's memory");
	engine->ram = at;
	return 0;
}

void engine_save_selection(struct dump_engine *engine)
{
	struct vmcore_trailer *trailer = engine->tail.trailer;

	trailer->distrusted = engine->distrusted;
	for (size_t i = 0; i < VMCORE_SELECTORS_MAX; i++)
		trailer->excluded[i] = atomic_load(&engine->excluded[i]);
	memcpy(trailer->reasons, engine->reasons, sizeof(engine->reasons));
	memcpy(trailer->distrust, engine->distrust, sizeof(trailer->distrust));
}

/* The other way round, for an engine that goes on with what another one had selected. */
static void load_selection(struct dump_engine *engine)
{
	const struct vmcore_trailer *trailer = engine->tail.trailer;
	uint64_t pages = engine->layout.ram / PAGE_SIZE_4K;

	engine->distrusted = trailer->distrusted & ((1u << VMCORE_SELECTORS_MAX) - 1);
	for (size_t i = 0; i < VMCORE_SELECTORS_MAX; i++)
		engine->excluded[i] = u64_min(trailer->excluded[i], pages);
	for (size_t i = 0; i < LINUX_REASONS; i++)
		engine->reasons[i] = u64_min(trailer->reasons[i], pages);
	memcpy(engine->distrust, trailer->distrust, sizeof(engine->distrust) - 1);
}

/* Decides which pages belong in the dump.  A guest that dumps by itself has decided already. */
static int select_pages_of(struct dump_engine *engine)
{
	int r = 0;

	if (engine->strategy->guest_mode == FW_DUMP_MODE_VMM) {
		if (engine->found)
			load_selection(engine);
		r = engine->found ? dump_select_resume(engine) : dump_select_prepare(engine);
		if (r)
			return dump_engine_fail(engine, r, "cannot select pages");
		engine_save_selection(engine);
	}
	r = dump_tail_set_state(&engine->tail, VMCORE_STATE_DUMPING);
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
	r = map_ram(engine);
	if (!r)
		r = select_pages_of(engine);
	if (r)
		return r;
	r = engine->strategy->run(engine);
	if (r)
		return dump_engine_fail(engine, r, "strategy %s", engine->strategy->name);
	assert(atomic_load(&engine->done) == engine->layout.ram);
	engine_mark(engine, DUMP_MOMENT_COPIED);
	engine_notify(engine, DUMP_NOTICE_COPIED);
	return 0;
}

uint32_t engine_workers(const struct dump_options *options)
{
	cpu_set_t cpus;

	if (options->workers)
		return options->workers;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return 1;
	return (uint32_t)u64_min(u64_max((uint64_t)CPU_COUNT(&cpus) / 2, 1), WORKERS_AUTO_MAX);
}

static void engine_init(struct dump_engine *engine)
{
	const struct dump_record *record = engine->record;

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
		.selectors = record->options.selectors,
		.strategy = &dump_strategies[record->options.strategy],
		.dump_fd = -1,
		.out_dir_fd = engine->dir_fd,
		.old_fd = -1,
		.tail.fd = -1,
		.seal.fd = -1,
		.release_warned = ATOMIC_FLAG_INIT,
	};
	engine->sink = dump_sinks[engine->strategy->sinks ? record->options.sink : 0];
	engine->region_tables = engine->strategy->in_place || engine->sink->compressed;
	pthread_mutex_init(&engine->lock, NULL);
	pthread_mutex_init(&engine->extent_lock, NULL);
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
	dump_select_fini(engine);
	if (engine->ram)
		munmap(engine->ram, engine->layout.ram);
	engine->ram = NULL;
	engine_close_files(engine);
	free(engine->head);
	engine->head = NULL;
	pthread_mutex_destroy(&engine->extent_lock);
	pthread_mutex_destroy(&engine->lock);
}

static int make_head(struct dump_engine *engine)
{
	autofree Elf64_Phdr *more = NULL;
	size_t nr = engine_virtual_headers(engine, &more);

	return vmcore_head_create(
		engine->record, more, nr, &engine->head, &engine->head_len, &engine->timeline_off);
}

int dump_engine_run(struct dump_engine *engine)
{
	int r;

	engine_init(engine);
	engine_mark(engine, DUMP_MOMENT_DUMP_START);
	engine_look_at_guest(engine);
	r = make_head(engine);
	if (r)
		dump_engine_fail(engine, r, "cannot make the head of the dump");
	r = engine_link_region(engine); /* even without a head */
	if (!r && engine->head)
		r = engine_choose_dir(engine);
	if (!r && engine->head)
		r = engine_make_dump(engine);
	if (!engine->error && engine->found != VMCORE_STATE_COMPLETE)
		r = move_bytes(engine);
	if (!engine->error)
		r = engine_publish(engine);
	r = engine->error;
	engine_fini(engine);
	return r;
}
