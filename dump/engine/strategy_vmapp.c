/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/strategy_vmapp.c - the dumper copies: workers take chunks from a counter, find what of each is to
 * be dumped, and give it to the sink (dump/engine/sink.h), after which the chunk is released whole.
 */
#include "dump/base/bitmap.h"
#include "dump/engine/engine_state.h"
#include "dump/engine/tables.h"
#include "dump/engine/sink.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

struct vmapp {
	struct dump_engine *engine;
	cpu_set_t cpus;        /* where this process may run; empty = not known */
	int first_cpu;         /* where the first worker was when the others were started */
	_Atomic int started;   /* workers beside the first one */
	_Atomic uint64_t next; /* first chunk that no worker has taken */
	_Atomic int error;     /* first worker's -errno; stops the others */
};

/* One thread. */
struct worker {
	struct dump_engine *engine;
	void *sink;            /* what the sink wants with each call */
	struct dump_run *runs; /* room for those of a chunk */
	size_t nr_runs;
};

/* Runs never touch, so that a chunk has no more of them than every second page. */
static void add_run(struct worker *worker, uint64_t off, uint64_t len)
{
	struct dump_run *last = worker->nr_runs ? &worker->runs[worker->nr_runs - 1] : NULL;

	if (last && last->off + last->len == off)
		last->len += len;
	else
		worker->runs[worker->nr_runs++] = (struct dump_run){.off = off, .len = len};
}

/* Adds the selected pages of [@start, @end), which has memory behind it, to the runs. */
static void add_selected(struct worker *worker, uint64_t start, uint64_t end)
{
	const uint64_t *copy = worker->engine->selection.copy;
	uint64_t page = start / PAGE_SIZE_4K;
	uint64_t last = end / PAGE_SIZE_4K;

	for (;;) {
		uint64_t first = bitmap_next(copy, page, last, true);

		if (first == last)
			return;
		page = bitmap_next(copy, first, last, false);
		add_run(worker, first * PAGE_SIZE_4K, (page - first) * PAGE_SIZE_4K);
	}
}

/* A chunk that an earlier engine has dumped: its memory is still to go, perhaps. */
static int finish_chunk(struct dump_engine *engine, uint64_t index, uint64_t populated)
{
	uint64_t off, len;

	dump_engine_chunk(engine, index, &off, &len);
	atomic_fetch_add(&engine->dumped,
		bitmap_count_range(engine->tail.selected, off / PAGE_SIZE_4K, (off + len) / PAGE_SIZE_4K) *
			PAGE_SIZE_4K);
	return dump_engine_chunk_done(engine, index, populated);
}

static int dump_chunk(struct worker *worker, uint64_t index)
{
	struct dump_engine *engine = worker->engine;
	bool done = dump_engine_is_done(engine, index);
	uint64_t off, len, start, end;
	uint64_t populated = 0;
	int r;

	r = done ? 0 : engine_select_chunk(engine, index);
	if (r)
		return dump_engine_fail(engine, r, "cannot read the crashed VM's memory");
	dump_engine_chunk(engine, index, &off, &len);
	worker->nr_runs = 0;
	for (uint64_t at = off; (r = dead_region_extent(&engine->region, at, off + len, &start, &end)) == 1;
		at = end) {
		populated += end - start;
		add_selected(worker, start, end);
	}
	if (r < 0)
		return dump_engine_fail(engine, r, "cannot find the used parts of the crashed VM's memory");
	if (done && engine->old_fd >= 0)
		return engine->ops->carry(engine->sink_state, worker->sink, index);
	if (done)
		return finish_chunk(engine, index, populated);
	return engine->ops->chunk(
		engine->sink_state, worker->sink, index, worker->runs, worker->nr_runs, populated);
}

static uint64_t next_chunk(struct vmapp *job)
{
	const struct dump_engine *engine = job->engine;
	uint64_t nth = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);

	if (nth >= engine->nr_chunks || engine->record->options.order == DUMP_ORDER_ASCENDING)
		return nth;
	return engine->nr_chunks - 1 - nth;
}

static int open_worker(struct vmapp *job, struct worker *ret)
{
	struct dump_engine *engine = job->engine;
	uint64_t nr_runs = engine->chunk / PAGE_SIZE_4K / 2 + 1;
	int r = 0;

	*ret = (struct worker){.engine = engine, .runs = calloc(nr_runs, sizeof(*ret->runs))};
	if (ret->runs && engine->ops->worker_open)
		r = engine->ops->worker_open(engine->sink_state, &ret->sink);
	if (ret->runs && !r)
		return 0;
	free(ret->runs);
	return dump_engine_fail(engine, ret->runs ? r : -ENOMEM, "cannot start a worker");
}

static void *work(void *arg)
{
	struct vmapp *job = arg;
	struct worker worker;
	int none = 0;
	int r = open_worker(job, &worker);

	if (!r) {
		while (!r && !atomic_load_explicit(&job->error, memory_order_relaxed)) {
			uint64_t index = next_chunk(job);

			if (index >= job->engine->nr_chunks)
				break;
			r = dump_chunk(&worker, index);
		}
		if (job->engine->ops->worker_close)
			job->engine->ops->worker_close(worker.sink);
		free(worker.runs);
	}
	if (r)
		atomic_compare_exchange_strong(&job->error, &none, r);
	return NULL;
}

/*
 * Moves the calling thread to the @nth allowed CPU after the first worker's, and leaves it free to move
 * on: a scheduler may keep a new thread on its parent's CPU for the whole time of a dump.
 */
static void spread(const struct vmapp *job, int nth)
{
	int cpu = job->first_cpu;
	cpu_set_t one;

	while (nth--)
		do
			cpu = (cpu + 1) % CPU_SETSIZE;
		while (!CPU_ISSET(cpu, &job->cpus));
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (!sched_setaffinity(0, sizeof(one), &one))
		(void)sched_setaffinity(0, sizeof(job->cpus), &job->cpus);
}

static void *work_beside(void *arg)
{
	struct vmapp *job = arg;

	if (CPU_COUNT(&job->cpus))
		spread(job, atomic_fetch_add(&job->started, 1) + 1);
	return work(job);
}

/* The calling thread is the first worker, so that a host without room for threads still dumps. */
static void run_workers(struct vmapp *job, uint64_t workers)
{
	pthread_t *threads = calloc(workers, sizeof(*threads));
	uint64_t started = 0;

	if (threads)
		while (started < workers - 1 && !pthread_create(&threads[started], NULL, work_beside, job))
			started++;
	work(job);
	for (uint64_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

int strategy_vmapp(struct dump_engine *engine)
{
	uint64_t workers = u64_min(engine->workers, engine->nr_chunks);
	struct vmapp job = {.engine = engine};
	int r;

	if (sched_getaffinity(0, sizeof(job.cpus), &job.cpus) < 0)
		CPU_ZERO(&job.cpus);
	job.first_cpu = (int)u64_min((uint64_t)sched_getcpu(), CPU_SETSIZE - 1);
	r = engine->ops->open(engine, workers, &engine->sink_state);
	if (r)
		return dump_engine_fail(engine, r, "cannot write %s", engine->names.dump_partial);
	run_workers(&job, workers);
	r = atomic_load(&job.error);
	if (!r && engine->ops->finish)
		r = engine->ops->finish(engine->sink_state);
	return r;
}
