/* SPDX-License-Identifier: Apache-2.0 */
/* dump/format/tail.c - see tail.h */
#include "dump/format/tail.h"

#include "dump/base/io.h"
#include "dump/base/bitmap.h"
#include "dump/base/filemap.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>

bool dump_tail_is_shm(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && (fs.f_type == TMPFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC);
}

/* The parts of the tail room that are used. */
struct tables {
	struct {
		uint64_t off, bytes; /* off: in the file */
	} part[4];
};

static struct tables tables_of(const struct vmcore_places *places)
{
	uint64_t dropped = vmcore_dropped_off(places);

	return (struct tables){{
		{places->bitmap_off, places->bitmap_bytes},
		{places->progress_off, places->progress_bytes},
		{places->trailer_off, PAGE_SIZE_4K},
		{dropped, dropped ? places->progress_bytes * sizeof(uint32_t) : 0},
	}};
}

static unsigned char *at_offset(const struct dump_tail *tail, uint64_t off)
{
	return (unsigned char *)tail->map + (off - tail->start);
}

static int reserve_tables(struct dump_tail *tail, int fd, const struct tables *tables)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(tables->part) && tables->part[i].bytes && !r; i++)
		r = filemap_reserve(at_offset(tail, tables->part[i].off), tables->part[i].bytes, fd,
			tables->part[i].off);
	return r;
}

static int read_tables(struct dump_tail *tail, int fd, const struct tables *tables)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(tables->part) && tables->part[i].bytes && !r; i++)
		r = io_pread_full(fd, at_offset(tail, tables->part[i].off), tables->part[i].bytes,
			tables->part[i].off);
	return r;
}

static int map_memory(struct dump_tail *tail)
{
	tail->map = mmap(NULL, tail->map_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (tail->map != MAP_FAILED)
		return 0;
	tail->map = NULL;
	return -ENOMEM;
}

/* The tables in memory, as they are in the file. */
static int tail_open(struct dump_tail *tail, int fd, const struct dump_record *record)
{
	const struct dump_layout *layout = &record->layout;
	struct vmcore_places places = vmcore_places(layout, record->options.chunk);
	const struct tables tables = tables_of(&places);
	unsigned char *map = NULL;
	int r;

	*tail = (struct dump_tail){
		.map_bytes = layout->tail, .start = layout->head + layout->ram, .fd = -1};
	if (dump_tail_is_shm(fd)) {
		r = filemap_open(fd, tail->start, tail->map_bytes, &map);
		tail->map = map;
		if (!r)
			r = reserve_tables(tail, fd, &tables);
	} else {
		tail->fd = fd;
		r = map_memory(tail);
		if (!r)
			r = read_tables(tail, fd, &tables);
	}
	if (r) {
		dump_tail_fini(tail);
		return r;
	}
	tail->selected = (uint64_t *)(void *)at_offset(tail, places.bitmap_off);
	tail->progress = (_Atomic uint8_t *)at_offset(tail, places.progress_off);
	tail->trailer = (struct vmcore_trailer *)(void *)at_offset(tail, places.trailer_off);
	if (vmcore_dropped_off(&places))
		tail->dropped = (_Atomic uint32_t *)(void *)at_offset(tail, vmcore_dropped_off(&places));
	return 0;
}

/* Writes [@at, @at + @len) of the tables to the file, if they are not the file. */
static int flush(const struct dump_tail *tail, const void *at, uint64_t len)
{
	uint64_t off = tail->start + (uint64_t)((const unsigned char *)at - (unsigned char *)tail->map);

	return tail->fd < 0 ? 0 : io_pwrite_full(tail->fd, at, len, off);
}

int dump_tail_mark_all(struct dump_tail *tail, uint64_t nr_chunks, uint8_t value)
{
	(void)io_test_fails(IO_STORE, NULL);
	for (uint64_t i = 0; i < nr_chunks; i++)
		atomic_store_explicit(&tail->progress[i], value, memory_order_release);
	return flush(tail, at_offset(tail, tail->trailer->places.progress_off), nr_chunks);
}

/*
 * The file may have its name already, as a region does: what a kill leaves of this is a trailer of the old kind or none.
 * Memory that is missing stays missing.
 */
static int reset(struct dump_tail *tail, const struct dump_record *record, uint32_t role)
{
	uint64_t nr_chunks = vmcore_nr_chunks(record->layout.ram, record->options.chunk);
	const size_t magic = sizeof(tail->trailer->magic);
	struct vmcore_trailer trailer;
	int r;

	vmcore_trailer_init(&trailer, record, role);
	if (vmcore_trailer_is_of(tail->trailer, record))
		trailer.flags = tail->trailer->flags & VMCORE_FLAG_RELEASED;
	else
		memset(tail->trailer->magic, 0, magic);
	atomic_store_explicit(&tail->trailer->state, VMCORE_STATE_PREPARING, memory_order_release);
	memcpy((char *)tail->trailer + magic, (const char *)&trailer + magic, sizeof(trailer) - magic);
	bitmap_fill(tail->selected, record->layout.ram / PAGE_SIZE_4K);
	r = dump_tail_mark_all(tail, nr_chunks, VMCORE_CHUNK_PENDING);
	for (uint64_t i = 0; i < nr_chunks && tail->dropped && !r; i++)
		if (tail->dropped[i])
			r = dump_tail_note_dropped(tail, i, 0);
	memcpy(tail->trailer->magic, trailer.magic, magic);
	return r ? r : dump_tail_set_state(tail, VMCORE_STATE_PREPARING);
}

int dump_tail_init(struct dump_tail *tail, int fd, const struct dump_record *record, uint32_t role)
{
	int r = tail_open(tail, fd, record);

	if (!r)
		r = reset(tail, record, role);
	if (r)
		dump_tail_fini(tail);
	return r;
}

int dump_tail_adopt(struct dump_tail *tail, int fd, const struct dump_record *record)
{
	uint64_t pages = record->layout.ram / PAGE_SIZE_4K;
	int r = tail_open(tail, fd, record);

	if (r)
		return r;
	if (!vmcore_trailer_is_of(tail->trailer, record)) {
		dump_tail_fini(tail);
		return -ESTALE;
	}
	tail->trailer->distrust[sizeof(tail->trailer->distrust) - 1] = '\0';
	if (pages % 64)
		tail->selected[pages / 64] &= (1ull << pages % 64) - 1;
	return 0;
}

void dump_tail_fini(struct dump_tail *tail)
{
	if (tail->map)
		munmap(tail->map, tail->map_bytes);
	*tail = (struct dump_tail){.fd = -1};
}

int dump_tail_mark(struct dump_tail *tail, uint64_t chunk, uint8_t value)
{
	(void)io_test_fails(IO_STORE, NULL);
	atomic_store_explicit(&tail->progress[chunk], value, memory_order_release);
	return flush(tail, at_offset(tail, tail->trailer->places.progress_off + chunk), 1);
}

int dump_tail_note_dropped(struct dump_tail *tail, uint64_t chunk, uint32_t pages)
{
	if (!tail->dropped)
		return 0;
	atomic_store_explicit(&tail->dropped[chunk], pages, memory_order_release);
	return flush(tail,
		at_offset(tail, vmcore_dropped_off(&tail->trailer->places) + chunk * sizeof(pages)),
		sizeof(pages));
}

int dump_tail_write_bitmap(const struct dump_tail *tail)
{
	return flush(tail, tail->selected, tail->trailer->places.bitmap_bytes);
}

int dump_tail_set_state(struct dump_tail *tail, uint32_t state)
{
	int r = dump_tail_write_bitmap(tail);

	if (r)
		return r;
	(void)io_test_fails(IO_STORE, NULL);
	atomic_store_explicit(&tail->trailer->state, state, memory_order_release);
	return flush(tail, tail->trailer, PAGE_SIZE_4K);
}

int dump_tail_set_role(struct dump_tail *tail, uint32_t role)
{
	(void)io_test_fails(IO_STORE, NULL);
	tail->trailer->role = role;
	return flush(tail, tail->trailer, PAGE_SIZE_4K);
}

int dump_tail_set_flags(struct dump_tail *tail, uint32_t flags)
{
	(void)io_test_fails(IO_STORE, NULL);
	tail->trailer->flags = flags;
	return flush(tail, tail->trailer, PAGE_SIZE_4K);
}
