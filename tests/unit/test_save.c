/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_save.c - copies of a dump: every page of every format, and nothing left of one that fails. */
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"

#include "dump/base/io.h"
#include "dump/save/save.h"
#include "dump/record/choices.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define SOURCE "guest-test-g0.vmcore"
#define SEED 11
/* RAM: 0 .. 4 MiB and 4 GiB .. 4 GiB + 4 MiB; pages of RAM offset that have contents */
#define HOLE MIB(4)
#define NR_PAGES 2048ull
#define FIRST 101ull
#define COUNT 1500ull
/* in between, zeros that take memory */
#define IS_ZERO(page) ((page) == 700 || (page) == 703 || (page) == 704)

static struct dump_fixture f;
static struct reader *reader;
static char path[PATH_MAX], why[512];

static void open_path(const char *name)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", f.dir, name);
	ck_assert_msg(!reader_open(full, NULL, &reader, why, sizeof(why)), "%s", why);
}

static void setup(void)
{
	static const unsigned char zeros[PAGE_SIZE_4K];
	struct dump_engine engine;

	fixture_init(&f, NR_PAGES * PAGE_SIZE_4K, HOLE, 2);
	fixture_fill(&f, FIRST, COUNT, SEED);
	for (uint64_t page = 0; page < NR_PAGES; page++)
		if (IS_ZERO(page))
			ck_assert_int_eq(io_pwrite_full(f.region_fd, zeros, sizeof(zeros),
						 f.layout.head + page * PAGE_SIZE_4K),
				0);
	ck_assert_int_eq(dump_select_parse("all", &f.record->options.selectors), 0);
	engine = fixture_engine(&f);
	ck_assert_int_eq(dump_engine_run(&engine), 0);
	ck_assert_int_eq(mkdirat(f.dir_fd, "out", 0700), 0);
	open_path(SOURCE);
}

static void teardown(void)
{
	static const char *const names[] = {
		"out/guest-test-g0.vmcore", "out/guest-test-g0.vmcore.lz4", "out/guest-test-g0.kdump"};

	reader_close(reader);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unlinkat(f.dir_fd, names[i], 0);
	unlinkat(f.dir_fd, "out", AT_REMOVEDIR);
	fixture_fini(&f);
}

static int save(const char *format)
{
	char dir[80];

	snprintf(dir, sizeof(dir), "%s/out", f.dir);
	return dump_save(reader, dir, save_find_format(format), NULL, path, why, sizeof(why));
}

static uint64_t gpa_of(uint64_t page)
{
	uint64_t off = page * PAGE_SIZE_4K;

	return off < HOLE ? off : GIB(4) + off - HOLE;
}

static void want_page(uint64_t page, unsigned char *want)
{
	memset(want, 0, PAGE_SIZE_4K);
	if (page >= FIRST && page < FIRST + COUNT && !IS_ZERO(page))
		fixture_page(page, SEED, want);
}

START_TEST(a_copy_reads_as_the_dump)
{
	unsigned char want[PAGE_SIZE_4K], got[PAGE_SIZE_4K];
	struct reader *copy;

	ck_assert_msg(!save(_i ? "lz4" : "elf"), "%s", why);
	ck_assert_msg(!reader_open(path, NULL, &copy, why, sizeof(why)), "%s", why);
	ck_assert_int_eq(copy->kind, READER_COMPLETE);
	ck_assert_str_eq(reader_format_name(copy), _i ? "lz4" : "elf");
	for (uint64_t page = 0; page < NR_PAGES; page++) {
		want_page(page, want);
		ck_assert_int_eq(reader_read(copy, gpa_of(page), got, sizeof(got)), 0);
		ck_assert_msg(!memcmp(want, got, sizeof(got)), "page %d", (int)page);
	}
	ck_assert_uint_eq(copy->core.notes_bytes, reader->core.notes_bytes);
	ck_assert_int_eq(memcmp(copy->core.notes, reader->core.notes, reader->core.notes_bytes), 0);
	reader_close(copy);
}
END_TEST

START_TEST(an_elf_copy_is_the_same_file_with_its_holes)
{
	unsigned char a[PAGE_SIZE_4K], b[PAGE_SIZE_4K];
	struct stat from, to;
	int fd, copy;

	ck_assert_int_eq(save("elf"), 0);
	fd = fixture_open(&f, SOURCE);
	copy = open(path, O_RDONLY);
	ck_assert(!fstat(fd, &from) && !fstat(copy, &to));
	ck_assert_int_eq(from.st_size, to.st_size);
	ck_assert_int_lt(to.st_blocks, from.st_blocks);
	ck_assert_int_eq(to.st_mode & 0777, 0600);
	for (off_t at = 0; at < from.st_size; at += 4096) {
		ck_assert_int_eq(pread(fd, a, 4096, at), 4096);
		ck_assert_int_eq(pread(copy, b, 4096, at), 4096);
		ck_assert(!memcmp(a, b, 4096));
	}
	close(fd);
	close(copy);
}
END_TEST

static uint64_t get(int fd, uint64_t off, unsigned bytes)
{
	uint64_t value = 0;

	ck_assert_int_eq(pread(fd, &value, bytes, (off_t)off), bytes);
	return value;
}

/* A descriptor's page. */
static void unpack(int fd, uint64_t desc, unsigned char *page)
{
	unsigned char bytes[PAGE_SIZE_4K];
	uint64_t off = get(fd, desc, 8), len = get(fd, desc + 8, 4), flags = get(fd, desc + 12, 4);
	uLongf room = PAGE_SIZE_4K;

	ck_assert_uint_le(len, sizeof(bytes));
	ck_assert_int_eq(pread(fd, bytes, len, (off_t)off), (ssize_t)len);
	if (flags == 1) {
		ck_assert_int_eq(uncompress(page, &room, bytes, len), Z_OK);
	} else {
		ck_assert_uint_eq(flags, 0);
		ck_assert_uint_eq(len, PAGE_SIZE_4K);
		memcpy(page, bytes, len);
	}
	ck_assert_uint_eq(room, PAGE_SIZE_4K);
}

/* Places by makedumpfile's diskdump_mod.h, not by dump/save/kdump.c. */
START_TEST(a_kdump_file_has_every_page)
{
	unsigned char want[PAGE_SIZE_4K], got[PAGE_SIZE_4K], byte;
	uint64_t bitmap, descs, half;
	int fd;

	ck_assert_msg(!save("kdump"), "%s", why);
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(pread(fd, got, 8, 0), 8);
	ck_assert_int_eq(memcmp(got, "KDUMP   ", 8), 0);
	ck_assert_uint_eq(get(fd, 8, 4), 6);
	ck_assert_uint_eq(get(fd, 424, 4), 1); /* zlib */
	ck_assert_uint_eq(get(fd, 428, 4), 4096);
	ck_assert_uint_eq(get(fd, 444, 4), NR_PAGES);
	ck_assert_uint_eq(get(fd, 460, 4), 2);
	ck_assert_uint_eq(get(fd, 4096 + 96, 8), (GIB(4) + HOLE) / 4096);
	bitmap = (1 + get(fd, 432, 4)) * 4096;
	half = get(fd, 436, 4) / 2 * 4096;
	descs = bitmap + 2 * half;
	for (uint64_t page = 0; page < NR_PAGES; page++) {
		uint64_t pfn = gpa_of(page) / 4096;

		ck_assert_int_eq(pread(fd, &byte, 1, (off_t)(bitmap + pfn / 8)), 1);
		ck_assert(byte >> pfn % 8 & 1);
		ck_assert_int_eq(pread(fd, &byte, 1, (off_t)(bitmap + half + pfn / 8)), 1);
		ck_assert(byte >> pfn % 8 & 1);
		unpack(fd, descs + page * 24, got);
		want_page(page, want);
		ck_assert_msg(!memcmp(want, got, sizeof(got)), "page %d", (int)page);
		if (page < FIRST || IS_ZERO(page)) /* pages of zeros share their bytes */
			ck_assert_uint_eq(get(fd, descs + page * 24, 8), descs + NR_PAGES * 24);
	}
	/* the notes are where the sub header says */
	ck_assert_uint_eq(get(fd, 4096 + 56, 8), reader->core.notes_bytes);
	ck_assert_uint_eq(get(fd, get(fd, 4096 + 48, 8), 4), 5); /* "CORE" */
	close(fd);
}
END_TEST

START_TEST(a_name_that_is_taken_stays_what_it_is)
{
	ck_assert_int_eq(save("kdump"), 0);
	ck_assert_int_eq(save("kdump"), -EEXIST);
	ck_assert_ptr_nonnull(strstr(why, "File exists"));
}
END_TEST

static int fail_at;

static int fail_some_write(enum io_call call, size_t *len)
{
	(void)len;
	return call == IO_PWRITE && fail_at-- == 0 ? ENOSPC : 0;
}

START_TEST(a_full_disk_leaves_nothing)
{
	io_test_hook = fail_some_write;
	fail_at = _i % 4;
	ck_assert_int_eq(save(_i < 4 ? "elf" : _i < 8 ? "lz4" : "kdump"), -ENOSPC);
	io_test_hook = NULL;
	ck_assert_int_eq(unlinkat(f.dir_fd, "out", AT_REMOVEDIR), 0);
}
END_TEST

START_TEST(what_is_not_complete_is_not_saved)
{
	uint32_t state = VMCORE_STATE_DUMPING;
	int fd = openat(f.dir_fd, SOURCE, O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(
		pwrite(fd, &state, sizeof(state), (off_t)dump_layout_file_size(&f.layout) - 4096 + 20),
		sizeof(state));
	close(fd);
	reader_close(reader);
	open_path(SOURCE);
	ck_assert_int_eq(save("elf"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "salvage"));
}
END_TEST

Suite *suite_save(void)
{
	Suite *suite = suite_create("save");
	TCase *tc = tcase_create("formats");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_copy_reads_as_the_dump, 0, 2);
	tcase_add_test(tc, an_elf_copy_is_the_same_file_with_its_holes);
	tcase_add_test(tc, a_kdump_file_has_every_page);
	tcase_add_test(tc, a_name_that_is_taken_stays_what_it_is);
	tcase_add_loop_test(tc, a_full_disk_leaves_nothing, 0, 12);
	tcase_add_test(tc, what_is_not_complete_is_not_saved);
	suite_add_tcase(suite, tc);
	return suite;
}
