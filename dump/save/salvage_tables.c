/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/salvage_tables.c - bitmap, progress table and trailer of what is salvaged: see salvage_impl.h */
#include "dump/save/salvage_impl.h"

#include "dump/base/bitmap.h"
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/files/dumpfile.h"
#include "dump/format/tail.h"
#include "dump/read/reader_chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int salvage_fail_write(struct salvage *salvage, int error, const char *what)
{
	return salvage_fail(salvage, error, "cannot write %s: %s%s", what, strerror(-error),
		error == -ENOSPC ? "; nothing is lost: make room and try again" : "");
}

static uint64_t nr_pages(const struct salvage *salvage)
{
	return salvage->reader->trailer.ram / PAGE_SIZE_4K;
}

static uint64_t trailer_off(const struct salvage *salvage)
{
	return salvage->reader->trailer.file_size - PAGE_SIZE_4K;
}

int salvage_load_bitmap(struct salvage *salvage)
{
	struct reader *reader = salvage->reader;
	uint64_t pages = nr_pages(salvage);
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
	if (pages % 64)
		map[pages / 64] &= (1ull << pages % 64) - 1;
	free(salvage->selected);
	salvage->selected = take_ptr(&map);
	return 0;
}

int salvage_write_bitmap(struct salvage *salvage, int fd)
{
	int r = dumpfile_put_bitmap(fd, &salvage->reader->trailer, salvage->selected);

	if (r)
		return salvage_fail_write(salvage, r, "the page bitmap");
	salvage->selected_changed = false;
	return 0;
}

void salvage_leave_out(struct salvage *salvage, uint64_t page, bool lost)
{
	bitmap_clear(salvage->selected, page);
	salvage->selected_changed = true;
	if (lost)
		salvage->missing += PAGE_SIZE_4K;
	else
		salvage->unreadable += PAGE_SIZE_4K;
}

int salvage_mark_chunks(struct salvage *salvage, int fd, uint64_t first, uint64_t end, uint8_t mark)
{
	int r = dumpfile_put_marks(fd, &salvage->reader->trailer, first, end, mark);

	return r ? salvage_fail_write(salvage, r, "the progress table") : 0;
}

int salvage_settle_bitmap(struct salvage *salvage)
{
	int r;

	if (reader_has_bitmap(salvage->reader))
		return 0;
	r = salvage_write_bitmap(salvage, salvage->dump_fd);
	if (r)
		return r;
	r = dumpfile_put_state(salvage->dump_fd, &salvage->reader->trailer, VMCORE_STATE_DUMPING);
	return r ? salvage_fail_write(salvage, r, "the trailer") : 0;
}

static int write_flags(struct salvage *salvage, int fd, uint32_t flags, const char *what)
{
	int r = dumpfile_put_flags(fd, &salvage->reader->trailer, flags);

	return r ? salvage_fail_write(salvage, r, what) : 0;
}

int salvage_mark_region(struct salvage *salvage)
{
	char magic[sizeof(VMCORE_TRAILER_MAGIC) - 1];
	int r = io_pread_full(salvage->region_fd, magic, sizeof(magic), trailer_off(salvage));

	if (!r && memcmp(magic, VMCORE_TRAILER_MAGIC, sizeof(magic)))
		return 0; /* there was no room for a trailer: nothing there that could be believed */
	return r ? salvage_fail_write(salvage, r, "the region's trailer")
		 : write_flags(salvage, salvage->region_fd, VMCORE_FLAG_RELEASED, "the region's trailer");
}

int salvage_mark_durable(struct salvage *salvage)
{
	salvage->reader->trailer.flags |= VMCORE_FLAG_DURABLE;
	return write_flags(salvage, salvage->dump_fd, salvage->reader->trailer.flags, "the trailer");
}

/* Of a region that had lost its dump, or of a dump that had lost pages, there is no whole one: it says so for good. */
int salvage_write_trailer(struct salvage *salvage, int fd)
{
	struct vmcore_trailer trailer;
	bool whole = !salvage->missing && !reader_is_lossy(salvage->reader);
	int r;

	memcpy(&trailer, &salvage->reader->trailer, sizeof(trailer));
	trailer.role = VMCORE_ROLE_DUMP;
	trailer.size = sizeof(trailer);
	trailer.flags &= ~VMCORE_FLAG_DURABLE;
	trailer.flags |= dump_tail_is_shm(fd) ? 0 : VMCORE_FLAG_DURABLE; /* it gets no name before it is */
	trailer.unreadable += salvage->unreadable / PAGE_SIZE_4K;
	trailer.error = whole ? 0 : -ENODATA;
	atomic_store_explicit(
		&trailer.state, whole ? VMCORE_STATE_COMPLETE : VMCORE_STATE_FAILED, memory_order_relaxed);
	r = dumpfile_put_trailer(fd, &trailer);
	return r ? salvage_fail_write(salvage, r, "the trailer") : 0;
}

static int mark_all(struct salvage *salvage, int fd)
{
	const struct vmcore_trailer *trailer = &salvage->reader->trailer;

	return salvage_mark_chunks(
		salvage, fd, 0, vmcore_nr_chunks(trailer->ram, trailer->chunk), VMCORE_CHUNK_DONE);
}

/* Written anew even where they are right already: a write of somebody who is dead may have failed since. */
int salvage_seal_dump(void *arg)
{
	struct salvage *salvage = arg;
	int r = salvage_write_bitmap(salvage, salvage->dump_fd);

	if (!r)
		r = mark_all(salvage, salvage->dump_fd);
	return r ? r : salvage_write_trailer(salvage, salvage->dump_fd);
}

/*
 * The marks come after the trailer: in the region of a compressed dump they would say, to who salvages after a kill, that
 * the chunks are in the LZ4 file.
 */
int salvage_seal_region(void *arg)
{
	struct salvage *salvage = arg;
	int r = salvage_write_trailer(salvage, salvage->region_fd);

	return r ? r : mark_all(salvage, salvage->region_fd);
}
