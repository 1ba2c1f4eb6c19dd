/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/sink_elf.c - the vmcore as it is: every page at its own offset of the file.
 *
 * Ways of copying a run, all safe on a full file system (docs/vmcore.md, "Speed"):
 *
 *   pwrite() from the mapped region: the kernel fills fresh pages of the dump without zeroing them
 *   first, and the pages that the last release freed are the next to be handed out, still warm in the
 *   cache.  The fastest way for one thread, but a file takes one writer at a time.
 *
 *   pread() of the region into the mapped dump: zeroes first, but runs beside the writer.  Pays with
 *   huge pages only, where one fault maps 2 MiB; and with a mapping of 4 KiB pages where not all of a
 *   huge page is wanted.
 */
#include "dump/engine/sink.h"

#include "dump/base/io.h"
#include "dump/base/bitmap.h"
#include "dump/engine/engine_state.h"
#include "dump/base/filemap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

/*
 * our choice: what is copied before somebody hears of it, a multiple of a huge page.  Chunks may have 1 GiB, and
 * a disk that takes 1 MB/s is slow but not hung (dump.stall_timeout).
 */
#define PIECE MIB(8)

struct sink_elf {
	struct dump_engine *engine;
	unsigned char *dest;    /* the dump's RAM, mapped; NULL if nobody is to copy through a mapping */
	unsigned char *sparse;  /* the same with 4 KiB pages; NULL if the dump has no other */
	pthread_mutex_t writer; /* held by the worker that is in pwrite() */
};

static int write_run(struct dump_engine *engine, uint64_t off, uint64_t len)
{
	return io_pwrite_full(engine->dump_fd, engine->region.ram + off, len, engine->layout.head + off);
}

/*
 * Without page-table entries for all of its source, pwrite() would copy a huge page in pieces and zero
 * the rest of it each time: 5 GB/s instead of 8.  @off, @len have memory behind them, so that this
 * allocates nothing.  A kernel before 5.14 refuses, which costs only time.
 */
static void map_source(struct dump_engine *engine, uint64_t off, uint64_t len)
{
	(void)madvise(engine->region.ram + off, len, MADV_POPULATE_READ);
}

static int copy_by_write(struct sink_elf *sink, uint64_t off, uint64_t len)
{
	int r;

	map_source(sink->engine, off, len);
	pthread_mutex_lock(&sink->writer);
	r = write_run(sink->engine, off, len);
	pthread_mutex_unlock(&sink->writer);
	return r;
}

static bool is_whole_huge_pages(uint64_t off, uint64_t len)
{
	return !(off % PAGE_SIZE_2M) && !(len % PAGE_SIZE_2M);
}

/* A store that finds no memory is -EFAULT in a system call, where it would be SIGBUS in memcpy(). */
static int copy_through(struct sink_elf *sink, unsigned char *dest, uint64_t off, uint64_t len)
{
	struct dump_engine *engine = sink->engine;
	int r = io_pread_full(engine->region_fd, dest + off, len, engine->layout.head + off);

	return r == -EFAULT ? copy_by_write(sink, off, len) : r; /* which tells why */
}

static int copy_dense(struct sink_elf *sink, uint64_t off, uint64_t len)
{
	struct dump_engine *engine = sink->engine;
	int r;

	if (!sink->dest || !is_whole_huge_pages(off, len))
		return copy_by_write(sink, off, len);
	if (!pthread_mutex_trylock(&sink->writer)) {
		map_source(engine, off, len);
		r = write_run(engine, off, len);
		pthread_mutex_unlock(&sink->writer);
		return r;
	}
	return copy_through(sink, sink->dest, off, len);
}

/* True if some of the 2 MiB around @off is not to be copied. */
static bool is_sparse(const struct dump_engine *engine, uint64_t off)
{
	uint64_t first = u64_align_down(off, PAGE_SIZE_2M) / PAGE_SIZE_4K;
	uint64_t end = u64_min(first + PAGE_SIZE_2M / PAGE_SIZE_4K, engine->layout.ram / PAGE_SIZE_4K);

	return bitmap_next(engine->selection.copy, first, end, false) < end;
}

static int copy_run(struct sink_elf *sink, uint64_t off, uint64_t len)
{
	int r = 0;

	if (!sink->sparse)
		return copy_dense(sink, off, len);
	for (uint64_t end = off + len; off < end && !r; off += len) {
		len = u64_min(end - off, PAGE_SIZE_2M - off % PAGE_SIZE_2M);
		r = is_sparse(sink->engine, off) ? copy_through(sink, sink->sparse, off, len)
						 : copy_dense(sink, off, len);
	}
	return r;
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

static void map_dests(struct sink_elf *sink, uint64_t workers)
{
	const struct dump_engine *engine = sink->engine;

	if (!dump_tail_is_shm(engine->dump_fd) || !has_huge_pages(engine->dump_fd))
		return;
	if (workers > 1)
		sink->dest = map_dump(engine);
	sink->sparse = map_dump(engine);
	if (sink->sparse)
		(void)madvise(sink->sparse, engine->layout.ram, MADV_NOHUGEPAGE);
}

static void unmap_dests(struct sink_elf *sink)
{
	if (sink->dest)
		munmap(sink->dest, sink->engine->layout.ram);
	if (sink->sparse)
		munmap(sink->sparse, sink->engine->layout.ram);
}

static int elf_open(struct dump_engine *engine, uint64_t workers, void **ret_sink)
{
	struct sink_elf *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return -ENOMEM;
	sink->engine = engine;
	pthread_mutex_init(&sink->writer, NULL);
	map_dests(sink, workers);
	*ret_sink = sink;
	return 0;
}

static void elf_close(void *opaque)
{
	struct sink_elf *sink = opaque;

	unmap_dests(sink);
	pthread_mutex_destroy(&sink->writer);
	free(sink);
}

/* A run in pieces; *@silent: bytes since the last sign of life. */
static int copy_pieces(struct sink_elf *sink, const struct dump_run *run, uint64_t *silent)
{
	struct dump_engine *engine = sink->engine;
	uint64_t end = run->off + run->len, len;
	int r = 0;

	for (uint64_t off = run->off; off < end && !r; off += len) {
		len = u64_min(end - off, PIECE - off % PIECE);
		if (*silent >= PIECE) {
			dump_engine_alive(engine);
			*silent = 0;
		}
		r = copy_run(sink, off, len);
		atomic_fetch_add(&engine->dumped, r ? 0 : len);
		*silent += len;
	}
	return r;
}

static int elf_chunk(void *opaque, void *worker, uint64_t index, const struct dump_run *runs,
	size_t nr_runs, uint64_t populated)
{
	struct sink_elf *sink = opaque;
	struct dump_engine *engine = sink->engine;
	uint64_t silent = 0;

	(void)worker;
	for (size_t i = 0; i < nr_runs; i++) {
		int r = copy_pieces(sink, &runs[i], &silent);

		if (r)
			return dump_engine_fail(engine, r, "cannot write %llu KiB at offset %#llx of %s",
				(unsigned long long)(runs[i].len >> 10),
				(unsigned long long)(engine->layout.head + runs[i].off),
				engine->names.dump_partial);
	}
	return dump_engine_chunk_done(engine, index, populated);
}

static int elf_write(void *opaque, uint64_t off, const void *data, size_t len)
{
	const struct sink_elf *sink = opaque;

	return io_pwrite_full(sink->engine->dump_fd, data, len, off);
}

const struct sink_ops sink_elf = {
	.open = elf_open,
	.chunk = elf_chunk,
	.write = elf_write,
	.close = elf_close,
};
