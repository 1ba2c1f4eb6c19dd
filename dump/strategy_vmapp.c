/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/strategy_vmapp.c - the dumper copies: workers take chunks from a counter, write each chunk's
 * selected pages at their own offsets, then release it whole.
 *
 * Two ways of copying a run, both safe on a full file system (docs/vmcore.md, "Speed"):
 *
 *   pwrite() from the mapped region: the kernel fills fresh pages of the dump without zeroing them
 *   first, and the pages that the last release freed are the next to be handed out, still warm in the
 *   cache.  The fastest way for one thread, but a file takes one writer at a time.
 *
 *   pread() of the region into the mapped dump: zeroes first, but runs beside the writer.  Pays with
 *   huge pages only, where one fault maps 2 MiB.
 *
 * A dump with huge pages takes 4 KiB pages where only some of 2 MiB is to be copied, so that what is
 * excluded costs no memory there either.  A mapping can ask for that, a write() cannot.
 */
#include "dump/bitmap.h"
#include "dump/engine.h"
#include "dump/select.h"

#include "dump/base/io.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct vmapp {
	struct dump_engine *engine;
	unsigned char *dest;    /* the dump's RAM, mapped; NULL if nobody is to copy through a mapping */
	unsigned char *sparse;  /* the same with 4 KiB pages; NULL if the dump has no other */
	pthread_mutex_t writer; /* held by the worker that is in pwrite() */
	cpu_set_t cpus;         /* where this process may run; empty = not known */
	int first_cpu;          /* where the first worker was when the others were started */
	_Atomic int started;    /* workers beside the first one */
	_Atomic uint64_t next;  /* first chunk that no worker has taken */
	_Atomic int error;      /* first worker's -errno; stops the others */
};

static int write_run(struct dump_engine *engine, uint64_t off, uint64_t len)
{
	return io_pwrite_full(engine->dump_fd, engine->ram + off, len, engine->layout.head + off);
}

/*
 * Without page-table entries for all of its source, pwrite() would copy a huge page in pieces and zero
 * the rest of it each time: 5 GB/s instead of 8.  @off, @len have memory behind them, so that this
 * allocates nothing.  A kernel before 5.14 refuses, which costs only time.
 */
static void map_source(struct dump_engine *engine, uint64_t off, uint64_t len)
{
	(void)madvise(engine->ram + off, len, MADV_POPULATE_READ);
}

static int copy_by_write(struct vmapp *job, uint64_t off, uint64_t len)
{
	int r;

	map_source(job->engine, off, len);
	pthread_mutex_lock(&job->writer);
	r = write_run(job->engine, off, len);
	pthread_mutex_unlock(&job->writer);
	return r;
}

static bool is_whole_huge_pages(uint64_t off, uint64_t len)
{
	return !(off % PAGE_SIZE_2M) && !(len % PAGE_SIZE_2M);
}

/* A store that finds no memory is -EFAULT in a system call, where it would be SIGBUS in memcpy(). */
static int copy_through(struct vmapp *job, unsigned char *dest, uint64_t off, uint64_t len)
{
	struct dump_engine *engine = job->engine;
	int r = io_pread_full(engine->region_fd, dest + off, len, engine->layout.head + off);

	return r == -EFAULT ? copy_by_write(job, off, len) : r; /* which tells why */
}

static int copy_dense(struct vmapp *job, uint64_t off, uint64_t len)
{
	struct dump_engine *engine = job->engine;
	int r;

	if (!job->dest || !is_whole_huge_pages(off, len))
		return copy_by_write(job, off, len);
	if (!pthread_mutex_trylock(&job->writer)) {
		map_source(engine, off, len);
		r = write_run(engine, off, len);
		pthread_mutex_unlock(&job->writer);
		return r;
	}
	return copy_through(job, job->dest, off, len);
}

/* True if some of the 2 MiB around @off is not to be copied. */
static bool is_sparse(const struct dump_engine *engine, uint64_t off)
{
	uint64_t first = u64_align_down(off, PAGE_SIZE_2M) / PAGE_SIZE_4K;
	uint64_t end = u64_min(first + PAGE_SIZE_2M / PAGE_SIZE_4K, engine->layout.ram / PAGE_SIZE_4K);

	return bitmap_next(engine->copy, first, end, false) < end;
}

static int copy_run(struct vmapp *job, uint64_t off, uint64_t len)
{
	int r = 0;

	if (!job->sparse)
		return copy_dense(job, off, len);
	for (uint64_t end = off + len; off < end && !r; off += len) {
		len = u64_min(end - off, PAGE_SIZE_2M - off % PAGE_SIZE_2M);
		r = is_sparse(job->engine, off) ? copy_through(job, job->sparse, off, len)
						: copy_dense(job, off, len);
	}
	return r;
}

/* Copies the selected pages of [@start, @end), which has memory behind it. */
static int copy_selected(struct vmapp *job, uint64_t start, uint64_t end)
{
	struct dump_engine *engine = job->engine;
	uint64_t page = start / PAGE_SIZE_4K;
	uint64_t last = end / PAGE_SIZE_4K;

	for (;;) {
		uint64_t first = bitmap_next(engine->copy, page, last, true);
		uint64_t off = first * PAGE_SIZE_4K;
		uint64_t len;
		int r;

		if (first == last)
			return 0;
		page = bitmap_next(engine->copy, first, last, false);
		len = (page - first) * PAGE_SIZE_4K;
		r = copy_run(job, off, len);
		if (r)
			return dump_engine_fail(engine, r, "cannot write %llu KiB at offset %#llx of %s",
				(unsigned long long)(len >> 10),
				(unsigned long long)(engine->layout.head + off),
				engine->names.dump_partial);
		atomic_fetch_add(&engine->dumped, len);
	}
}

static int dump_chunk(struct vmapp *job, uint64_t index)
{
	struct dump_engine *engine = job->engine;
	uint64_t off, len, start, end;
	bool done = dump_engine_is_done(engine, index); /* then its memory is still to go, perhaps */
	uint64_t populated = 0;
	int r;

	r = done ? 0 : dump_select_chunk(engine, index);
	if (r)
		return dump_engine_fail(engine, r, "cannot read the crashed VM's memory");
	dump_engine_chunk(engine, index, &off, &len);
	for (uint64_t at = off; (r = dump_engine_extent(engine, at, off + len, &start, &end)) == 1;
		at = end) {
		populated += end - start;
		r = done ? 0 : copy_selected(job, start, end);
		if (r)
			return r;
	}
	if (r < 0)
		return dump_engine_fail(engine, r, "cannot find the used parts of the crashed VM's memory");
	return dump_engine_chunk_done(engine, index, populated);
}

static void *work(void *arg)
{
	struct vmapp *job = arg;

	while (!atomic_load_explicit(&job->error, memory_order_relaxed)) {
		uint64_t index = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
		int none = 0;
		int r;

		if (index >= job->engine->nr_chunks)
			break;
		r = dump_chunk(job, index);
		if (r)
			atomic_compare_exchange_strong(&job->error, &none, r);
	}
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

/* tmpfs tells the size of its pages as the preferred block size. */
static bool has_huge_pages(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (uint64_t)st.st_blksize >= PAGE_SIZE_2M;
}

/* The dump's RAM mapped for copying; NULL if it cannot be, which costs time or memory only. */
static unsigned char *map_dump(const struct dump_engine *engine)
{
	void *at = mmap(NULL, engine->layout.ram, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		engine->dump_fd, (off_t)engine->layout.head);

	return at == MAP_FAILED ? NULL : at;
}

static void map_dests(struct vmapp *job, uint64_t workers)
{
	const struct dump_engine *engine = job->engine;

	if (!has_huge_pages(engine->dump_fd))
		return;
	if (workers > 1)
		job->dest = map_dump(engine);
	job->sparse = map_dump(engine);
	if (job->sparse)
		(void)madvise(job->sparse, engine->layout.ram, MADV_NOHUGEPAGE);
}

static void unmap_dests(struct vmapp *job)
{
	if (job->dest)
		munmap(job->dest, job->engine->layout.ram);
	if (job->sparse)
		munmap(job->sparse, job->engine->layout.ram);
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

	if (sched_getaffinity(0, sizeof(job.cpus), &job.cpus) < 0)
		CPU_ZERO(&job.cpus);
	job.first_cpu = (int)u64_min((uint64_t)sched_getcpu(), CPU_SETSIZE - 1);
	pthread_mutex_init(&job.writer, NULL);
	map_dests(&job, workers);
	run_workers(&job, workers);
	unmap_dests(&job);
	pthread_mutex_destroy(&job.writer);
	return atomic_load(&job.error);
}
