/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/save/salvage_move.c - moves memory between the files of a dump, in the order that docs/vmcore.md prescribes: pages,
 * on a disk their sync, then the chunks' marks, then the release of the region's memory.  See salvage_impl.h.
 *
 * Through pread and pwrite alone: a full file system is an error, never a signal.
 */
#include "dump/save/salvage_impl.h"

#include "dump/base/bitmap.h"
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/format/tail.h"
#include "dump/read/reader_chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* our choice: what is written to a disk before it is synced, marked and released from the region */
#define BATCH_BYTES MIB(256)

/* Punches RAM offsets [@start, @end) out of the region. */
static int release(struct salvage *salvage, uint64_t start, uint64_t end)
{
	int r = io_fallocate(salvage->region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		salvage->reader->trailer.head + start, end - start);

	if (!r || r == -EOPNOTSUPP)
		return 0;
	return salvage_fail(salvage, r, "cannot release the region's memory: %s", strerror(-r));
}

/* What was not selected becomes holes, as in any dump. */
static int release_excluded(struct salvage *salvage)
{
	uint64_t pages = salvage->reader->trailer.ram / PAGE_SIZE_4K;
	uint64_t page = 0;
	int r = 0;

	while (!r) {
		uint64_t first = bitmap_next(salvage->selected, page, pages, false);

		if (first == pages)
			break;
		page = bitmap_next(salvage->selected, first, pages, true);
		r = release(salvage, first * PAGE_SIZE_4K, page * PAGE_SIZE_4K);
	}
	return r;
}

int salvage_convert_region(struct salvage *salvage)
{
	int r = salvage_write_bitmap(salvage, salvage->region_fd);

	return r ? r : release_excluded(salvage);
}

int salvage_check_missing(struct salvage *salvage)
{
	struct reader_counts counts;
	int r = reader_count(salvage->reader, &counts);

	if (r)
		return salvage_fail(salvage, r, "cannot count its pages: %s", strerror(-r));
	if (!counts.missing)
		return 0;
	return salvage_fail(salvage, -ENODATA,
		"%" PRIu64 " KiB were not dumped and the region with them is gone, or the other way round; "
		"what is there can be read as it is, and --output FILE copies it",
		(uint64_t)(counts.missing * PAGE_SIZE_4K) >> 10);
}

/* ---- pending chunks from the region into the dump ---------------------------------------------------------- */

/* RAM offsets [@start, @end) page by page: one of them cannot be read. */
static int move_pages(struct salvage *salvage, unsigned char *buf, uint64_t start, uint64_t end)
{
	uint64_t head = salvage->reader->trailer.head;
	int r = 0;

	for (; !r && start < end; start += PAGE_SIZE_4K) {
		r = io_pread_full(salvage->region_fd, buf, PAGE_SIZE_4K, head + start);
		if (salvage_is_bad_page(r)) {
			salvage_leave_out(salvage, start / PAGE_SIZE_4K, false);
			r = 0;
			continue;
		}
		if (r)
			return salvage_fail(salvage, r, "cannot read the region: %s", strerror(-r));
		r = io_pwrite_full(salvage->dump_fd, buf, PAGE_SIZE_4K, head + start);
		if (r)
			return salvage_fail_write(salvage, r, "the dump");
		salvage->moved += PAGE_SIZE_4K;
	}
	return r;
}

/* Copies RAM offsets [@start, @end), which have memory behind them and are selected. */
static int move_run(struct salvage *salvage, unsigned char *buf, uint64_t start, uint64_t end)
{
	uint64_t head = salvage->reader->trailer.head;
	int r = 0;

	for (uint64_t n; !r && start < end; start += n) {
		n = u64_min(end - start, SALVAGE_PIECE_BYTES);
		r = io_pread_full(salvage->region_fd, buf, n, head + start);
		if (salvage_is_bad_page(r)) {
			r = move_pages(salvage, buf, start, start + n);
			continue;
		}
		if (r)
			return salvage_fail(salvage, r, "cannot read the region: %s", strerror(-r));
		r = io_pwrite_full(salvage->dump_fd, buf, n, head + start);
		if (r)
			return salvage_fail_write(salvage, r, "the dump");
		salvage->moved += n;
	}
	return r;
}

/* Copies what is selected of RAM offsets [@start, @end), which have memory behind them. */
static int move_selected(struct salvage *salvage, unsigned char *buf, uint64_t start, uint64_t end)
{
	uint64_t page = start / PAGE_SIZE_4K, last = (end + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K;
	int r = 0;

	while (!r) {
		uint64_t first = bitmap_next(salvage->selected, page, last, true);

		if (first == last)
			break;
		page = bitmap_next(salvage->selected, first, last, false);
		r = move_run(salvage, buf, first * PAGE_SIZE_4K, page * PAGE_SIZE_4K);
	}
	return r;
}

/* Copies what the region has of a chunk. */
static int move_chunk(struct salvage *salvage, unsigned char *buf, uint64_t index)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	uint64_t start = trailer->head + index * trailer->chunk;
	uint64_t stop = u64_min(start + trailer->chunk, trailer->head + trailer->ram);
	uint64_t at = start, data, data_end;
	int r;

	while (at < stop && (r = image_data(&salvage->reader->region, at, &data, &data_end)) != 0) {
		if (r < 0)
			return salvage_fail(
				salvage, r, "cannot find the used parts of the region: %s", strerror(-r));
		if (data >= stop || data_end <= at)
			break;
		at = u64_min(data_end, stop);
		r = move_selected(salvage, buf, u64_max(data, start) - trailer->head, at - trailer->head);
		if (r)
			return r;
	}
	return 0;
}

static int sync_dump(struct salvage *salvage)
{
	int r = commit_data(salvage->dump_fd, NULL, NULL);

	if (!r)
		return 0;
	return salvage_fail(salvage, r,
		"cannot bring the dump to the disk: %s; what is not there stays where it is", strerror(-r));
}

/* Chunks [@first, @end) are in the dump: from here on they are nowhere else. */
static int settle_chunks(struct salvage *salvage, uint64_t first, uint64_t end)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	int r = salvage->selected_changed ? salvage_write_bitmap(salvage, salvage->dump_fd) : 0;

	if (r)
		return r;
	r = sync_dump(salvage);
	if (!r)
		r = salvage_mark_chunks(salvage, salvage->dump_fd, first, end, VMCORE_CHUNK_DONE);
	if (!r)
		r = sync_dump(salvage); /* a mark that is lost would lose its chunk */
	return r ? r
		 : release(salvage, first * trailer->chunk, u64_min(end * trailer->chunk, trailer->ram));
}

static int chunk_done(struct salvage *salvage, uint64_t index, bool *ret)
{
	int r = reader_chunk_done(salvage->reader, index, ret);

	return r ? salvage_fail(salvage, r, "cannot read the progress table: %s", strerror(-r)) : 0;
}

static int move_all(struct salvage *salvage, unsigned char *buf)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	uint64_t chunks = vmcore_nr_chunks(trailer->ram, trailer->chunk), first = 0;
	/* in memory a chunk at a time, since what was copied is there twice */
	uint64_t batch = dump_tail_is_shm(salvage->dump_fd) ? 0 : BATCH_BYTES, moved = salvage->moved;
	bool pending = false;
	int r = 0;

	for (uint64_t i = 0; !r && i < chunks; i++) {
		bool done;

		r = chunk_done(salvage, i, &done);
		if (!r && done && !pending)
			first = i + 1;
		if (!r && !done) {
			pending = true;
			r = move_chunk(salvage, buf, i);
		}
		if (!r && pending && (salvage->moved - moved >= batch || i + 1 == chunks)) {
			r = settle_chunks(salvage, first, i + 1);
			first = i + 1;
			moved = salvage->moved;
			pending = false;
		}
	}
	return r;
}

/*
 * Chunks that are marked as done in a dump on a disk, by somebody who did not wait for the disk: as far as the region still
 * has them, they come from there once more.  The rest is written anew from what the file reads as.
 */
static int make_durable(struct salvage *salvage, unsigned char *buf)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	uint64_t chunks = vmcore_nr_chunks(trailer->ram, trailer->chunk);
	int r = 0;

	if (dump_tail_is_shm(salvage->dump_fd) || (trailer->flags & VMCORE_FLAG_DURABLE))
		return 0;
	for (uint64_t i = 0; !r && salvage->reader->has_region && i < chunks; i++) {
		bool done;

		r = chunk_done(salvage, i, &done);
		if (!r && done)
			r = move_chunk(salvage, buf, i);
	}
	if (!r)
		r = salvage_rewrite(salvage);
	return r ? r : salvage_mark_durable(salvage);
}

int salvage_finish_dump(struct salvage *salvage)
{
	autofree unsigned char *buf = malloc(SALVAGE_PIECE_BYTES);
	int r;

	if (!buf)
		return salvage_fail(salvage, -ENOMEM, "out of memory");
	r = salvage->reader->has_region ? 0 : salvage_check_missing(salvage);
	if (!r)
		r = salvage_settle_bitmap(salvage);
	if (!r)
		r = make_durable(salvage, buf);
	if (!r && salvage->reader->has_region)
		r = salvage_mark_region(salvage);
	return r || !salvage->reader->has_region ? r : move_all(salvage, buf);
}

/* ---- a file anew -------------------------------------------------------------------------------------------- */

static int rewrite_run(struct salvage *salvage, unsigned char *buf, uint64_t at, uint64_t end)
{
	int r = 0;

	for (uint64_t n; !r && at < end; at += n) {
		n = u64_min(end - at, SALVAGE_PIECE_BYTES);
		r = io_pread_full(salvage->dump_fd, buf, n, at);
		if (r)
			return salvage_fail(salvage, r,
				"cannot read the dump: %s; --output FILE copies the rest", strerror(-r));
		r = io_pwrite_full(salvage->dump_fd, buf, n, at);
		if (r)
			return salvage_fail_write(salvage, r, "the dump");
	}
	return r;
}

int salvage_rewrite(struct salvage *salvage)
{
	autofree unsigned char *buf = malloc(SALVAGE_PIECE_BYTES);
	struct stat st;
	off_t at = 0, end;
	int r = buf ? 0 : -ENOMEM;

	if (!r && fstat(salvage->dump_fd, &st) < 0)
		r = -errno;
	while (!r && (at = lseek(salvage->dump_fd, at, SEEK_DATA)) >= 0) {
		end = lseek(salvage->dump_fd, at, SEEK_HOLE);
		r = rewrite_run(salvage, buf, (uint64_t)at, end < 0 ? (uint64_t)st.st_size : (uint64_t)end);
		at = end < 0 ? st.st_size : end;
	}
	if (!r && at < 0 && errno != ENXIO)
		r = -errno;
	if (r)
		return salvage->why[0] ? r
				       : salvage_fail(salvage, r, "cannot read the dump: %s", strerror(-r));
	return sync_dump(salvage);
}

/* ---- compressed chunks back into the region ------------------------------------------------------------ */

static int unpack_chunk(struct salvage *salvage, unsigned char *buf, uint64_t index)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	uint64_t off = trailer->head + index * trailer->chunk;
	uint64_t end = u64_min(off + trailer->chunk, trailer->head + trailer->ram);
	int r = 0;

	for (uint64_t len; !r && off < end; off += len) {
		len = u64_min(SALVAGE_PIECE_BYTES, end - off);
		r = image_read(&salvage->reader->packed, off, buf, len);
		if (r)
			return salvage_fail(salvage, r, "cannot read %s: %s; --output FILE copies the rest",
				salvage->names.dump_partial, strerror(-r));
		r = salvage_write_pages(salvage, salvage->region_fd, buf, off, len);
	}
	/* from here on the region has it again */
	return r ? r
		 : salvage_mark_chunks(salvage, salvage->region_fd, index, index + 1, VMCORE_CHUNK_PENDING);
}

int salvage_unpack(struct salvage *salvage)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	uint64_t chunks = vmcore_nr_chunks(trailer->ram, trailer->chunk);
	autofree unsigned char *buf = malloc(SALVAGE_PIECE_BYTES);
	int r;

	if (!buf)
		return salvage_fail(salvage, -ENOMEM, "out of memory");
	r = salvage_check_missing(salvage);
	for (uint64_t i = 0; !r && i < chunks; i++) {
		bool done;

		r = chunk_done(salvage, i, &done);
		if (!r && done)
			r = unpack_chunk(salvage, buf, i);
	}
	return r ? r : salvage_convert_region(salvage);
}
