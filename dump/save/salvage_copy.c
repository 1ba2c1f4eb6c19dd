/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/save/salvage_copy.c - moves bytes for dump/save/salvage.c, in the order that docs/vmcore.md prescribes: pages,
 * then the chunk's mark, then the release of the region's memory; the trailer last.
 *
 * Through pread and pwrite alone: a full file system is an error, never a signal.
 */
#include "dump/save/salvage_impl.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/bitmap.h"
#include "dump/read/reader_chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* our choice: what one system call moves */
#define PIECE_BYTES MIB(2)

static int fail_write(struct salvage *salvage, int error, const char *what)
{
	return salvage_fail(salvage, error, "cannot write %s: %s%s", what, strerror(-error),
		error == -ENOSPC ? "; nothing is lost: make room and try again" : "");
}

static uint64_t nr_pages(const struct vmcore_trailer *trailer)
{
	return trailer->ram / PAGE_SIZE_4K;
}

/* The page bitmap in memory; all set where there is none yet.  The caller frees it. */
static int load_bitmap(struct salvage *salvage, uint64_t **ret)
{
	struct reader *reader = salvage->reader;
	uint64_t pages = nr_pages(&reader->trailer);
	autofree uint64_t *map = calloc((pages + 63) / 64, sizeof(*map));
	int r = 0;

	if (!map)
		return salvage_fail(salvage, -ENOMEM, "out of memory for the page bitmap");
	if (reader_has_bitmap(reader))
		r = image_read(&reader->image, reader->trailer.places.bitmap_off, map, (pages + 7) / 8);
	else
		bitmap_fill(map, pages);
	if (r)
		return salvage_fail(salvage, r, "cannot read the page bitmap: %s", strerror(-r));
	*ret = take_ptr(&map);
	return 0;
}

static int write_bitmap(struct salvage *salvage, int fd, const uint64_t *map)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	int r = io_pwrite_full(fd, map, (nr_pages(trailer) + 7) / 8, trailer->places.bitmap_off);

	return r ? fail_write(salvage, r, "the page bitmap") : 0;
}

/* Marks chunks [@first, @end) with VMCORE_CHUNK_*. */
static int mark_chunks(struct salvage *salvage, int fd, uint64_t first, uint64_t end, int mark)
{
	unsigned char marks[4096];
	int r = 0;

	memset(marks, mark, sizeof(marks));
	while (!r && first < end) {
		uint64_t n = u64_min(end - first, sizeof(marks));

		r = io_pwrite_full(fd, marks, n, salvage->reader->trailer.places.progress_off + first);
		first += n;
	}
	return r ? fail_write(salvage, r, "the progress table") : 0;
}

/*
 * The trailer of a complete dump, in one piece: before, the file is what it was; after, it is complete.  Of a
 * region that had lost its dump there is no whole one: it says so for good.
 */
static int complete_trailer(struct salvage *salvage, int fd)
{
	struct vmcore_trailer trailer;
	int r;

	memcpy(&trailer, &salvage->reader->trailer, sizeof(trailer));
	trailer.role = VMCORE_ROLE_DUMP;
	trailer.size = sizeof(trailer);
	trailer.error = 0;
	atomic_store_explicit(&trailer.state, VMCORE_STATE_COMPLETE, memory_order_relaxed);
	if (reader_is_lossy(salvage->reader)) {
		trailer.error = -ENODATA;
		atomic_store_explicit(&trailer.state, VMCORE_STATE_FAILED, memory_order_relaxed);
	}
	r = io_pwrite_full(fd, &trailer, sizeof(trailer), trailer.file_size - PAGE_SIZE_4K);
	return r ? fail_write(salvage, r, "the trailer") : 0;
}

/* Punches RAM offsets [@start, @end) out of the region. */
static int release(struct salvage *salvage, uint64_t start, uint64_t end)
{
	off_t at = (off_t)(salvage->reader->trailer.head + start);

	if (!fallocate(salvage->region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
		    (off_t)(end - start)) ||
		errno == EOPNOTSUPP)
		return 0;
	return salvage_fail(salvage, -errno, "cannot release the region's memory: %s", strerror(errno));
}

/* What was not selected becomes holes, as in any dump. */
static int release_excluded(struct salvage *salvage, const uint64_t *map)
{
	uint64_t pages = nr_pages(&salvage->reader->trailer);
	uint64_t page = 0;
	int r = 0;

	while (!r) {
		uint64_t first = bitmap_next(map, page, pages, false);

		if (first == pages)
			break;
		page = bitmap_next(map, first, pages, true);
		r = release(salvage, first * PAGE_SIZE_4K, page * PAGE_SIZE_4K);
	}
	return r;
}

int salvage_mark_all(struct salvage *salvage, int fd)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;

	return mark_chunks(
		salvage, fd, 0, vmcore_nr_chunks(trailer->ram, trailer->chunk), VMCORE_CHUNK_DONE);
}

/*
 * The marks come after the trailer: in the region of a compressed dump they would say, to who salvages after a kill, that
 * the chunks are in the LZ4 file.
 */
int salvage_convert_region(struct salvage *salvage)
{
	autofree uint64_t *map = NULL;
	int r;

	r = load_bitmap(salvage, &map);
	if (!r)
		r = write_bitmap(salvage, salvage->region_fd, map);
	if (!r)
		r = release_excluded(salvage, map);
	if (!r)
		r = complete_trailer(salvage, salvage->region_fd);
	return r ? r : salvage_mark_all(salvage, salvage->region_fd);
}

/* ---- pending chunks from the region into the dump ---------------------------------------------------------- */

/* Copies RAM offsets [@start, @end), which have memory behind them and are selected. */
static int move_run(struct salvage *salvage, unsigned char *buf, uint64_t start, uint64_t end)
{
	uint64_t head = salvage->reader->trailer.head;

	while (start < end) {
		uint64_t n = u64_min(end - start, PIECE_BYTES);
		int r = io_pread_full(salvage->region_fd, buf, n, head + start);

		if (r)
			return salvage_fail(salvage, r, "cannot read the region: %s", strerror(-r));
		r = io_pwrite_full(salvage->dump_fd, buf, n, head + start);
		if (r)
			return fail_write(salvage, r, "the dump");
		salvage->moved += n;
		start += n;
	}
	return 0;
}

/* Copies what is selected of RAM offsets [@start, @end), which have memory behind them. */
static int move_selected(
	struct salvage *salvage, const uint64_t *map, unsigned char *buf, uint64_t start, uint64_t end)
{
	uint64_t page = start / PAGE_SIZE_4K, last = (end + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K;
	int r = 0;

	while (!r) {
		uint64_t first = bitmap_next(map, page, last, true);

		if (first == last)
			break;
		page = bitmap_next(map, first, last, false);
		r = move_run(salvage, buf, first * PAGE_SIZE_4K, page * PAGE_SIZE_4K);
	}
	return r;
}

static int move_chunk(struct salvage *salvage, const uint64_t *map, unsigned char *buf, uint64_t index)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	uint64_t off = index * trailer->chunk;
	uint64_t end = u64_min(off + trailer->chunk, trailer->ram);
	uint64_t at = trailer->head + off, stop = trailer->head + end;
	uint64_t data, data_end;
	int r;

	while (at < stop && (r = image_data(&salvage->reader->region, at, &data, &data_end)) != 0) {
		if (r < 0)
			return salvage_fail(
				salvage, r, "cannot find the used parts of the region: %s", strerror(-r));
		if (data >= stop || data_end <= at)
			break;
		at = u64_min(data_end, stop);
		r = move_selected(salvage, map, buf, u64_max(data, trailer->head + off) - trailer->head,
			at - trailer->head);
		if (r)
			return r;
	}
	r = mark_chunks(salvage, salvage->dump_fd, index, index + 1, VMCORE_CHUNK_DONE);
	if (!r &&
		fallocate(salvage->region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)(trailer->head + off), (off_t)(end - off)) < 0 &&
		errno != EOPNOTSUPP)
		r = salvage_fail(
			salvage, -errno, "cannot release the region's memory: %s", strerror(errno));
	return r;
}

/* Without the region what was not dumped is lost, and the dump will never be whole. */
static int check_nothing_missing(struct salvage *salvage)
{
	struct reader_counts counts;
	int r = reader_count(salvage->reader, &counts);

	if (r)
		return salvage_fail(salvage, r, "cannot count its pages: %s", strerror(-r));
	if (!counts.missing)
		return 0;
	return salvage_fail(salvage, -ENODATA,
		"%" PRIu64 " KiB were not dumped and the region with them is gone, or the other way round; "
		"what is there can be read as it is",
		(uint64_t)(counts.missing * PAGE_SIZE_4K) >> 10);
}

/* A selector may have been at work: all pages are selected, and from here on the bitmap counts. */
static int settle_bitmap(struct salvage *salvage, const uint64_t *map)
{
	uint32_t state = VMCORE_STATE_DUMPING;
	uint64_t at = salvage->reader->trailer.file_size - PAGE_SIZE_4K +
		      offsetof(struct vmcore_trailer, state);
	int r;

	if (reader_has_bitmap(salvage->reader))
		return 0;
	r = write_bitmap(salvage, salvage->dump_fd, map);
	if (r)
		return r;
	r = io_pwrite_full(salvage->dump_fd, &state, sizeof(state), at);
	return r ? fail_write(salvage, r, "the trailer") : 0;
}

/* From here on the region alone is not all there is, as the engine notes too before it releases. */
static int mark_region(struct salvage *salvage)
{
	const uint64_t at = salvage->reader->trailer.file_size - PAGE_SIZE_4K;
	const uint32_t flags = VMCORE_FLAG_RELEASED;
	char magic[sizeof(VMCORE_TRAILER_MAGIC) - 1];
	int r = io_pread_full(salvage->region_fd, magic, sizeof(magic), at);

	if (!r && memcmp(magic, VMCORE_TRAILER_MAGIC, sizeof(magic)))
		return 0;
	if (!r)
		r = io_pwrite_full(salvage->region_fd, &flags, sizeof(flags),
			at + offsetof(struct vmcore_trailer, flags));
	return r ? fail_write(salvage, r, "the region's trailer") : 0;
}

int salvage_finish_dump(struct salvage *salvage)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	uint64_t chunks = vmcore_nr_chunks(trailer->ram, trailer->chunk);
	autofree unsigned char *buf = malloc(PIECE_BYTES);
	autofree uint64_t *map = NULL;
	int r;

	if (!buf)
		return salvage_fail(salvage, -ENOMEM, "out of memory");
	if (!salvage->reader->has_region)
		r = check_nothing_missing(salvage);
	else
		r = load_bitmap(salvage, &map);
	if (!r && map)
		r = settle_bitmap(salvage, map);
	if (!r && map)
		r = mark_region(salvage);
	for (uint64_t i = 0; !r && map && i < chunks; i++) {
		bool done;

		r = reader_chunk_done(salvage->reader, i, &done);
		if (r)
			r = salvage_fail(salvage, r, "cannot read the progress table: %s", strerror(-r));
		else if (!done)
			r = move_chunk(salvage, map, buf, i);
	}
	return r ? r : complete_trailer(salvage, salvage->dump_fd);
}

/* ---- everything into a new file ----------------------------------------------------------------------------- */

static bool is_zero(const unsigned char *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE_SIZE_4K - 1);
}

/* Writes the pages of @buf, which is @len bytes at @off of the image, that hold something and are selected. */
static int write_pages(struct salvage *salvage, int fd, const uint64_t *map, const unsigned char *buf,
	uint64_t off, uint64_t len)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	bool in_ram = reader_is_ram(salvage->reader, off);
	uint64_t at = 0, start;
	int r = 0;

	while (!r && at < len) {
		for (start = at; at < len; at += PAGE_SIZE_4K) {
			bool wanted = !in_ram ||
				      bitmap_test(map, (off + at - trailer->head) / PAGE_SIZE_4K);

			if (!wanted || is_zero(buf + at))
				break;
		}
		if (at > start)
			r = io_pwrite_full(fd, buf + start, at - start, off + start);
		salvage->moved += in_ram ? at - start : 0;
		at += PAGE_SIZE_4K;
	}
	return r ? fail_write(salvage, r, "the new dump") : 0;
}

int salvage_copy_all(struct salvage *salvage, int fd)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	uint64_t end = trailer->head + trailer->ram;
	autofree unsigned char *buf = malloc(PIECE_BYTES);
	autofree uint64_t *map = NULL;
	int r;

	if (!buf)
		return salvage_fail(salvage, -ENOMEM, "out of memory");
	r = load_bitmap(salvage, &map);
	/* head and pieces are multiples of 2 MiB: no piece is in both head and RAM */
	for (uint64_t off = 0; !r && off < end; off += PIECE_BYTES) {
		uint64_t len = u64_min(PIECE_BYTES, end - off);

		r = reader_read_image(salvage->reader, off, buf, len);
		if (r == -ENODATA)
			r = check_nothing_missing(salvage);
		else if (r)
			r = salvage_fail(salvage, r, "cannot read it: %s", strerror(-r));
		if (!r)
			r = write_pages(salvage, fd, map, buf, off, len);
	}
	if (!r)
		r = write_bitmap(salvage, fd, map);
	if (!r)
		r = salvage_mark_all(salvage, fd);
	return r ? r : complete_trailer(salvage, fd);
}

/* ---- compressed chunks back into the region ------------------------------------------------------------ */

static int unpack_chunk(struct salvage *salvage, const uint64_t *map, unsigned char *buf, uint64_t index)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	uint64_t off = trailer->head + index * trailer->chunk;
	uint64_t end = u64_min(off + trailer->chunk, trailer->head + trailer->ram);

	while (off < end) {
		uint64_t len = u64_min(PIECE_BYTES, end - off);
		int r = image_read(&salvage->reader->packed, off, buf, len);

		if (r)
			return salvage_fail(salvage, r, "cannot read %s: %s", salvage->names.dump_partial,
				strerror(-r));
		r = write_pages(salvage, salvage->region_fd, map, buf, off, len);
		if (r)
			return r;
		off += len;
	}
	/* from here on the region has it again */
	return mark_chunks(salvage, salvage->region_fd, index, index + 1, VMCORE_CHUNK_PENDING);
}

int salvage_unpack(struct salvage *salvage)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	uint64_t chunks = vmcore_nr_chunks(trailer->ram, trailer->chunk);
	autofree unsigned char *buf = malloc(PIECE_BYTES);
	autofree uint64_t *map = NULL;
	int r;

	if (!buf)
		return salvage_fail(salvage, -ENOMEM, "out of memory");
	r = check_nothing_missing(salvage);
	if (!r)
		r = load_bitmap(salvage, &map);
	for (uint64_t i = 0; !r && i < chunks; i++) {
		bool done;

		r = reader_chunk_done(salvage->reader, i, &done);
		if (r)
			r = salvage_fail(salvage, r, "cannot read the progress table: %s", strerror(-r));
		else if (done)
			r = unpack_chunk(salvage, map, buf, i);
	}
	return r ? r : salvage_convert_region(salvage);
}
