/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/dump_ways.c - see dump_ways.h */
#include "tests/unit/dump_ways.h"

#include "dump/base/io.h"
#include "dump/lz4/lz4_reader.h"
#include "dump/record/choices.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEED 4711
/*
 * The guest has UNITS units of memory and a bit.  Small ones, since every way makes and judges some hundred
 * guests, but for huge pages, which are to be whole, in part, and empty.
 */
#define UNITS 12
#define PAGES_MAX (UNITS * 512 + 37)
/* the descriptor array lies at these pages, and describes all */
#define DESC_PAGE 8
#define DESC_PAGES ((PAGES_MAX * sizeof(struct fw_page_desc) + 4095) / 4096)

/* pages of a unit and of the guest, for the way that was set up last */
static uint64_t unit, nr_pages;

const struct way ways[] = {
	{"vmapp", "none", "all", 1, DUMP_ORDER_ASCENDING, false},
	{"vmapp", "none", "all", 3, DUMP_ORDER_DESCENDING, false},
	{"vmapp", "none", "zero", 2, DUMP_ORDER_DESCENDING, false},
	{"vmapp", "none", "pages", 1, DUMP_ORDER_ASCENDING, false},
	{"vmapp", "none", "zero,pages", 4, DUMP_ORDER_ASCENDING, false},
	{"vmapp", "lz4", "all", 1, DUMP_ORDER_ASCENDING, false},
	{"vmapp", "lz4", "all", 4, DUMP_ORDER_ASCENDING, false},
	{"vmapp", "lz4", "zero", 2, DUMP_ORDER_ASCENDING, false},
	{"vmapp", "lz4", "pages", 1, DUMP_ORDER_ASCENDING, false},
	{"vmapp", "lz4", "zero,pages", 3, DUMP_ORDER_ASCENDING, false},
	{"remap", "none", "all", 1, DUMP_ORDER_ASCENDING, false},
	{"remap", "none", "zero", 1, DUMP_ORDER_ASCENDING, false},
	{"remap", "none", "pages", 1, DUMP_ORDER_ASCENDING, false},
	{"remap", "none", "zero,pages", 2, DUMP_ORDER_ASCENDING, false},
	{"hybrid", "none", "all", 1, DUMP_ORDER_ASCENDING, false},
	{"hybrid", "none", "zero", 1, DUMP_ORDER_ASCENDING, false},
	{"hybrid", "none", "pages", 1, DUMP_ORDER_ASCENDING, false},
	{"hybrid", "none", "zero,pages", 2, DUMP_ORDER_ASCENDING, false},
	{"vmapp", "none", "pages", 2, DUMP_ORDER_ASCENDING, true},
	{"vmapp", "lz4", "zero,pages", 2, DUMP_ORDER_ASCENDING, true},
	{"remap", "none", "zero,pages", 1, DUMP_ORDER_ASCENDING, true},
	{"hybrid", "none", "all", 1, DUMP_ORDER_ASCENDING, true},
	{"hybrid", "none", "pages", 1, DUMP_ORDER_ASCENDING, true},
	{"hybrid", "none", "zero,pages", 1, DUMP_ORDER_ASCENDING, true},
};
const int nr_ways = ARRAY_LEN(ways);

static bool is_for_disks(const struct way *way)
{
	return !strcmp(way->strategy, "vmapp") && !way->huge;
}

int nr_ways_for_disks(void)
{
	int count = 0;

	for (int i = 0; i < nr_ways; i++)
		count += is_for_disks(&ways[i]);
	return count;
}

const struct way *way_for_disks(int nth)
{
	for (int i = 0; i < nr_ways; i++)
		if (is_for_disks(&ways[i]) && !nth--)
			return &ways[i];
	ck_abort_msg("there are not so many ways for disks");
	return NULL;
}

static uint32_t find_strategy(const char *name)
{
	for (size_t i = 0; i < dump_nr_strategies; i++)
		if (!strcmp(dump_strategies[i].name, name))
			return (uint32_t)i;
	ck_abort_msg("no strategy %s", name);
	return 0;
}

static uint32_t find_sink(const char *name)
{
	for (size_t i = 0; i < dump_nr_sinks; i++)
		if (!strcmp(dump_sinks[i].name, name))
			return (uint32_t)i;
	ck_abort_msg("no sink %s", name);
	return 0;
}

/* What the guest has at each page. */
enum what { HOLE, ZERO, DATA };

static enum what what_is(uint64_t page)
{
	if (page >= DESC_PAGE && page < DESC_PAGE + DESC_PAGES)
		return DATA;
	if (page >= 3 * unit && page < 5 * unit)
		return HOLE;
	if (page >= 6 * unit && page < 7 * unit + unit / 2)
		return ZERO;
	switch (page * 2654435761u >> 7 & 7) {
	case 0:
		return HOLE;
	case 1:
		return ZERO;
	default:
		return DATA;
	}
}

static bool is_free(uint64_t page)
{
	if (page >= DESC_PAGE && page < DESC_PAGE + DESC_PAGES)
		return false;
	return (page >= 8 * unit && page < 10 * unit - 3) || (page * 40503u >> 5 & 3) == 1;
}

/* All of the guest's memory, zeros where it has none.  Made once for each test, never freed. */
static const unsigned char *guest_memory(void)
{
	static unsigned char *memory;
	struct fw_page_desc *descs;

	if (memory)
		return memory;
	memory = calloc(nr_pages, 4096);
	ck_assert_ptr_nonnull(memory);
	for (uint64_t page = 0; page < nr_pages; page++)
		if (what_is(page) == DATA)
			fixture_page(page, SEED, memory + page * 4096);
	memset(memory + DESC_PAGE * 4096, 0, DESC_PAGES * 4096);
	descs = (struct fw_page_desc *)(void *)(memory + DESC_PAGE * 4096);
	for (uint64_t page = 0; page < nr_pages; page++)
		descs[page].refcount = is_free(page) ? 0 : 1;
	return memory;
}

static void make_guest(struct dump_fixture *f)
{
	const unsigned char *memory = guest_memory();

	for (uint64_t page = 0, first; page < nr_pages; page++) {
		for (first = page; page < nr_pages && what_is(page) != HOLE; page++)
			;
		if (page > first && io_pwrite_full(f->region_fd, memory + first * 4096,
					    (page - first) * 4096, f->layout.head + first * 4096))
			ck_abort_msg("cannot make the guest");
	}
	f->record->panic.page_desc = DESC_PAGE * 4096ul;
	f->record->panic.nr_page_desc = nr_pages;
}

bool way_setup(struct dump_fixture *f, const struct way *way)
{
	return way_setup_on(f, way, way->huge ? "huge=always,size=256m" : NULL);
}

bool way_setup_on(struct dump_fixture *f, const struct way *way, const char *mount_options)
{
	unit = way->huge ? 512 : 64;
	nr_pages = UNITS * unit + 37;
	fixture_init(f, nr_pages * 4096, nr_pages * 4096, 2);
	f->record->options.chunk = unit * 4096;
	if (mount_options && !fixture_mount(f, mount_options)) {
		printf("SKIP %s %s %s: cannot mount a tmpfs: %s\n", way->strategy, way->sink, way->select,
			strerror(errno));
		fixture_fini(f);
		return false;
	}
	f->record->options.strategy = find_strategy(way->strategy);
	f->record->options.sink = find_sink(way->sink);
	f->record->options.workers = way->workers;
	f->record->options.order = way->order;
	ck_assert_int_eq(dump_select_parse(way->select, &f->record->options.selectors), 0);
	make_guest(f);
	return true;
}

static bool is_selected(const struct way *way, uint64_t page)
{
	return !strstr(way->select, "pages") || !is_free(page);
}

/* ---- the published file, by readers that share no code with the writers ----------------------------- */

struct file {
	int fd;
	struct lz4_reader *lz4; /* NULL = the file is the image */
};

static void file_read(const struct file *file, uint64_t off, void *buf, size_t len)
{
	int r = file->lz4 ? lz4_reader_read(file->lz4, off, buf, len)
			  : io_pread_full(file->fd, buf, len, off);

	if (r)
		ck_abort_msg("offset %#llx: %s", (unsigned long long)off, strerror(-r));
}

void way_names(const struct way *way, struct publish_names *ret)
{
	if (!strcmp(way->sink, "lz4"))
		publish_names_init_lz4(ret, "guest-test-g0");
	else
		publish_names_init(ret, "guest-test-g0");
}

static void file_open(struct file *file, int dir_fd, const char *name)
{
	*file = (struct file){.fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC)};
	ck_assert_msg(file->fd >= 0, "%s: %s", name, strerror(errno));
	if (strstr(name, ".lz4"))
		ck_assert_int_eq(lz4_reader_open(file->fd, 0, &file->lz4), 0);
}

static void file_close(struct file *file)
{
	lz4_reader_close(file->lz4);
	close(file->fd);
}

/* Which pages of the file's RAM have memory behind them. */
static void find_populated(const struct dump_fixture *f, int fd, bool populated[PAGES_MAX])
{
	off_t head = (off_t)f->layout.head, end = head + (off_t)f->layout.ram, at = head;

	memset(populated, 0, PAGES_MAX * sizeof(populated[0]));
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && at < end)
		for (off_t stop = lseek(fd, at, SEEK_HOLE); at < stop && at < end; at += 4096)
			populated[(at - head) / 4096] = true;
}

/* What is wrong with a page that reads as @got; NULL = nothing.  No assertions: Check writes a file at each. */
static const char *judge_page(const struct way *way, const unsigned char *bitmap, bool populated,
	const unsigned char *got, uint64_t page)
{
	static const unsigned char zeros[4096];
	bool selected = is_selected(way, page), wanted = selected && what_is(page) == DATA;

	if (!!(bitmap[page / 8] & 1 << page % 8) != selected)
		return "its bit in the bitmap";
	if (memcmp(got, wanted ? guest_memory() + page * 4096 : zeros, 4096))
		return "its contents";
	/* what is not selected takes no memory, nor do zeros that were looked for */
	if (populated && !wanted && (!selected || what_is(page) == HOLE || strstr(way->select, "zero")))
		return "memory where a hole should be";
	return NULL;
}

/* pages read at once */
#define BLOCK 64

static void check_pages(const struct dump_fixture *f, const struct way *way, const struct file *file,
	const unsigned char *bitmap)
{
	static unsigned char got[BLOCK * 4096];
	static bool populated[PAGES_MAX];

	if (!file->lz4 && !way->huge)
		find_populated(f, file->fd, populated);
	for (uint64_t first = 0; first < nr_pages; first += BLOCK) {
		uint64_t nr = u64_min(BLOCK, nr_pages - first);

		file_read(file, f->layout.head + first * 4096, got, nr * 4096);
		for (uint64_t i = 0; i < nr; i++) {
			const char *wrong = judge_page(
				way, bitmap, populated[first + i], got + i * 4096, first + i);

			if (wrong)
				ck_abort_msg("page %llu: %s", (unsigned long long)(first + i), wrong);
		}
	}
}

void way_check_file(const struct dump_fixture *f, const struct way *way, int dir_fd, const char *name,
	const char *select, bool holes)
{
	struct vmcore_places places = vmcore_places(&f->layout, f->record->options.chunk);
	unsigned char *bitmap = malloc(places.bitmap_bytes), *progress = malloc(places.progress_bytes);
	struct way judged = *way;
	struct vmcore_trailer trailer;
	unsigned char ident[4];
	struct file file;

	judged.select = select;
	judged.huge = !holes;
	file_open(&file, dir_fd, name);
	file_read(&file, 0, ident, sizeof(ident));
	ck_assert_mem_eq(ident, "\177ELF", 4);
	file_read(&file, places.trailer_off, &trailer, sizeof(trailer));
	ck_assert_mem_eq(trailer.magic, VMCORE_TRAILER_MAGIC, 8);
	ck_assert_uint_eq(trailer.role, VMCORE_ROLE_DUMP);
	ck_assert_uint_eq(trailer.state, VMCORE_STATE_COMPLETE);
	ck_assert_int_eq(trailer.error, 0);
	file_read(&file, places.bitmap_off, bitmap, places.bitmap_bytes);
	file_read(&file, places.progress_off, progress, places.progress_bytes);
	for (uint64_t i = 0; i < places.progress_bytes; i++)
		if (progress[i] != VMCORE_CHUNK_DONE)
			ck_abort_msg("chunk %llu is not done", (unsigned long long)i);
	check_pages(f, &judged, &file, bitmap);
	file_close(&file);
	free(bitmap);
	free(progress);
}

void way_check(const struct dump_fixture *f, const struct way *way, int dir_fd)
{
	struct publish_names names;

	way_names(way, &names);
	way_check_file(f, way, dir_fd, names.final, way->select, !way->huge);
	ck_assert_uint_eq(fixture_nr_files(f), dir_fd == f->dir_fd ? 1 : 0);
}
