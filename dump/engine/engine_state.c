/* SPDX-License-Identifier: Apache-2.0 */
/* dump/engine/engine_state.c - see engine_state.h */
#include "dump/engine/engine_state.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/select/select.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

int dump_engine_error(struct dump_engine *engine)
{
	int error;

	pthread_mutex_lock(&engine->lock);
	error = engine->error;
	pthread_mutex_unlock(&engine->lock);
	return error;
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

void engine_save_selection(struct dump_engine *engine)
{
	struct vmcore_trailer *trailer = engine->tail.trailer;

	trailer->distrusted = engine->selection.distrusted;
	for (size_t i = 0; i < VMCORE_SELECTORS_MAX; i++)
		trailer->excluded[i] = atomic_load(&engine->selection.excluded[i]);
	memcpy(trailer->reasons, engine->selection.reasons, sizeof(engine->selection.reasons));
	memcpy(trailer->distrust, engine->selection.distrust, sizeof(trailer->distrust));
}

/* What an earlier engine noted of chunk @index, if it can be. */
static uint64_t dropped_before(const struct dump_engine *engine, uint64_t index)
{
	return engine->tail.dropped ? u64_min(engine->tail.dropped[index], engine->chunk / PAGE_SIZE_4K)
				    : 0;
}

int engine_select_chunk(struct dump_engine *engine, uint64_t index)
{
	uint64_t dropped, before = dropped_before(engine, index);
	int r = dump_select_chunk(&engine->selection, index, &dropped);

	if (!r && dropped > before)
		r = dump_tail_note_dropped(&engine->tail, index, (uint32_t)dropped);
	atomic_fetch_add(&engine->selection.excluded[DUMP_SELECTOR_ZERO], u64_max(dropped, before));
	return r;
}

void engine_load_selection(struct dump_engine *engine)
{
	const struct vmcore_trailer *trailer = engine->tail.trailer;
	struct selection *selection = &engine->selection;
	uint64_t pages = engine->layout.ram / PAGE_SIZE_4K;

	selection->distrusted = trailer->distrusted & DUMP_SELECT_SET;
	for (size_t i = 0; i < DUMP_SELECTORS_MAX; i++)
		selection->excluded[i] = u64_min(trailer->excluded[i], pages);
	for (size_t i = 0; i < LINUX_REASONS; i++)
		selection->reasons[i] = u64_min(trailer->reasons[i], pages);
	memcpy(selection->distrust, trailer->distrust, sizeof(selection->distrust) - 1);
	if (!engine->tail.dropped)
		return;
	selection->excluded[DUMP_SELECTOR_ZERO] =
		0; /* by chunks: those that are not done will be counted */
	for (uint64_t i = 0; i < engine->nr_chunks; i++)
		if (dump_engine_is_done(engine, i))
			selection->excluded[DUMP_SELECTOR_ZERO] += dropped_before(engine, i);
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
	return engine->on_disk ? durable_add(engine, index, populated)
			       : engine_release_chunk(engine, index, populated);
}

int engine_release_chunk(struct dump_engine *engine, uint64_t index, uint64_t populated)
{
	uint64_t off, len;
	int r;

	dump_engine_chunk(engine, index, &off, &len);
	r = dump_tail_chunk_done(&engine->tail, index);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot note what is done in %s", engine->names.dump_partial);
	atomic_fetch_add(&engine->done, len);
	r = populated ? dead_region_release(&engine->region, off, len) : 0;
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
