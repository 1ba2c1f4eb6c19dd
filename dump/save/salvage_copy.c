/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/save/salvage_copy.c - everything that is left of a dump into a new file: see salvage_impl.h
 *
 * What cannot be read is left out, and the new file says so: a chunk of which nothing is left is not marked as done, a
 * page that nobody can read is not selected any more.
 */
#include "dump/save/salvage_impl.h"

#include "dump/base/bitmap.h"
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/read/reader_chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_zero(const unsigned char *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE_SIZE_4K - 1);
}

int salvage_write_pages(
	struct salvage *salvage, int fd, const unsigned char *buf, uint64_t off, uint64_t len)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	bool in_ram = reader_is_ram(salvage->reader, off);
	uint64_t at = 0, start;
	int r = 0;

	while (!r && at < len) {
		for (start = at; at < len; at += PAGE_SIZE_4K) {
			bool wanted = !in_ram || bitmap_test(salvage->selected,
							 (off + at - trailer->head) / PAGE_SIZE_4K);

			if (!wanted || is_zero(buf + at))
				break;
		}
		if (at > start)
			r = io_pwrite_full(fd, buf + start, at - start, off + start);
		salvage->moved += in_ram ? at - start : 0;
		at += PAGE_SIZE_4K;
	}
	return r ? salvage_fail_write(salvage, r, "the new dump") : 0;
}

/* A page in a chunk of which the dump once had everything is lost; else nobody ever had it. */
static int leave_out(struct salvage *salvage, uint64_t index, uint64_t page)
{
	bool done;
	int r = reader_chunk_done(salvage->reader, index, &done);

	if (r)
		return salvage_fail(salvage, r, "cannot read the progress table: %s", strerror(-r));
	salvage_leave_out(salvage, page, done);
	return 0;
}

/* [@off, @off + @len) of chunk @index page by page, after an error that concerns one of them.  As copy_chunk(). */
static int copy_pages(
	struct salvage *salvage, int fd, unsigned char *buf, uint64_t index, uint64_t off, uint64_t len)
{
	uint64_t head = salvage->reader->trailer.head;
	int r = 0;

	for (uint64_t end = off + len; !r && off < end; off += PAGE_SIZE_4K) {
		uint64_t page = (off - head) / PAGE_SIZE_4K;

		if (!bitmap_test(salvage->selected, page))
			continue;
		r = reader_read_image(salvage->reader, off, buf, PAGE_SIZE_4K);
		if (!r)
			r = salvage_write_pages(salvage, fd, buf, off, PAGE_SIZE_4K);
		else
			r = salvage_is_bad_page(r) ? leave_out(salvage, index, page) : 1;
	}
	return r;
}

/* 0, and all of chunk @index is in @fd; 1: it is in none of the files, or what is there of it makes no sense; or -errno. */
static int copy_chunk(struct salvage *salvage, int fd, unsigned char *buf, uint64_t index)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	uint64_t off = trailer->head + index * trailer->chunk;
	uint64_t end = u64_min(off + trailer->chunk, trailer->head + trailer->ram);
	int r = 0;

	for (uint64_t len; !r && off < end; off += len) {
		len = u64_min(SALVAGE_PIECE_BYTES, end - off);
		r = reader_read_image(salvage->reader, off, buf, len);
		if (!r)
			r = salvage_write_pages(salvage, fd, buf, off, len);
		else if (r == -ENOMEM)
			r = salvage_fail(salvage, r, "out of memory");
		else
			r = salvage_is_bad_page(r) ? copy_pages(salvage, fd, buf, index, off, len) : 1;
	}
	return r;
}

/* Every chunk, and the table that says which are there. */
static int copy_ram(struct salvage *salvage, int fd, unsigned char *buf)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;
	uint64_t chunk_pages = trailer->chunk / PAGE_SIZE_4K;
	uint64_t chunks = vmcore_nr_chunks(trailer->ram, trailer->chunk);
	autofree unsigned char *marks = malloc(chunks);
	int r = marks ? 0 : salvage_fail(salvage, -ENOMEM, "out of memory for the progress table");

	for (uint64_t i = 0; r >= 0 && i < chunks; i++) {
		uint64_t first = i * chunk_pages;
		uint64_t last = u64_min(first + chunk_pages, trailer->ram / PAGE_SIZE_4K);
		uint64_t pages = bitmap_count_range(salvage->selected, first, last);

		/* of a chunk without selected pages nothing can be missing */
		r = pages ? copy_chunk(salvage, fd, buf, i) : 0;
		marks[i] = r ? VMCORE_CHUNK_PENDING : VMCORE_CHUNK_DONE;
		salvage->missing += r > 0 ? pages * PAGE_SIZE_4K : 0;
	}
	if (r < 0)
		return r;
	r = io_pwrite_full(fd, marks, chunks, trailer->places.progress_off);
	return r ? salvage_fail_write(salvage, r, "the progress table") : 0;
}

static int copy_head(struct salvage *salvage, int fd, unsigned char *buf)
{
	uint64_t head = salvage->reader->trailer.head;
	int r = 0;

	for (uint64_t off = 0, len; !r && off < head; off += len) {
		len = u64_min(SALVAGE_PIECE_BYTES, head - off);
		r = reader_read_image(salvage->reader, off, buf, len);
		if (r)
			return salvage_fail(salvage, r, "cannot read its head: %s", strerror(-r));
		r = salvage_write_pages(salvage, fd, buf, off, len);
	}
	return r;
}

int salvage_copy_all(struct salvage *salvage, int fd)
{
	autofree unsigned char *buf = malloc(SALVAGE_PIECE_BYTES);
	int r;

	if (!buf)
		return salvage_fail(salvage, -ENOMEM, "out of memory");
	r = salvage_load_bitmap(salvage);
	if (!r)
		r = copy_head(salvage, fd, buf);
	if (!r)
		r = copy_ram(salvage, fd, buf);
	if (!r)
		r = salvage_write_bitmap(salvage, fd);
	return r ? r : salvage_write_trailer(salvage, fd);
}
