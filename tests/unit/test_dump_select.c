/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dump_select.c - selectors at work in the engine: what is in the dump, what is a hole, who is
 * counted, and what is released when.
 */
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"

#include "dump/region/pagewalk.h"
#include "dump/record/choices.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FINAL "guest-test-g0.vmcore"
#define DUMP_PARTIAL "guest-test-g0.vmcore.partial"
#define SEED 3

#define ZERO 1
#define LIST 2
#define PAGES 3
#define LINUX 4
#define LEVEL(n) ((n) << DUMP_SELECT_LEVEL_SHIFT)

/* RAM: 0 .. 5 MiB and 4 GiB .. ; page n of RAM offset */
#define HOLE MIB(5)
#define NR_PAGES 4096ull
#define DESC_PAGE 16ull /* page descriptors of frames below the hole, and of some that do not exist */
#define NR_DESC (HOLE / 4096 + 100)

static struct dump_fixture f;
static struct dump_engine engine;

static void setup(void)
{
	fixture_init(&f, NR_PAGES * 4096, HOLE, 1);
	fixture_fill(&f, 0, NR_PAGES, SEED);
}

static void teardown(void)
{
	fixture_fini(&f);
}

static void put(uint64_t off, const void *data, size_t len)
{
	ck_assert_int_eq(pwrite(f.region_fd, data, len, (off_t)(f.layout.head + off)), (ssize_t)len);
}

static void choose(const char *text)
{
	ck_assert_int_eq(dump_select_parse(text, &f.record->options.selectors), 0);
}

static int run(void)
{
	engine = fixture_engine(&f);
	ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
	return fixture_open(&f, FINAL);
}

/* Frames 100 to 999 are free but for every 7th. */
static bool is_free(uint64_t frame)
{
	return frame >= 100 && frame < 1000 && frame % 7;
}

static void describe_frames(void)
{
	static struct fw_page_desc desc[NR_DESC];

	for (uint64_t i = 0; i < NR_DESC; i++)
		desc[i] = (struct fw_page_desc){!is_free(i) || i % 2, is_free(i) ? FW_PAGE_FREE : 0};
	put(DESC_PAGE * 4096, desc, sizeof(desc));
	f.record->panic.page_desc = DESC_PAGE * 4096;
	f.record->panic.nr_page_desc = NR_DESC;
}

static bool is_array(uint64_t page)
{
	return page >= DESC_PAGE && page < DESC_PAGE + (NR_DESC * 8 + 4095) / 4096;
}

static void make_zero(uint64_t page)
{
	static const char zeros[4096];

	put(page * 4096, zeros, sizeof(zeros));
}

/* Every third page of the first 700, and the 200 after them. */
static bool is_zero(uint64_t page)
{
	return page < 900 && (page >= 700 || page % 3 == 0);
}

static bool is_selected(int fd, uint64_t page)
{
	unsigned char byte;

	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)(f.layout.head + f.layout.ram + page / 8)), 1);
	return byte >> page % 8 & 1;
}

static bool is_hole(int fd, uint64_t page)
{
	return !fixture_populated(fd, f.layout.head + page * 4096, 4096);
}

static void check_dumped(int fd, uint64_t page)
{
	ck_assert_msg(is_selected(fd, page), "page %d", (int)page);
	ck_assert_msg(is_array(page) || !fixture_bad_pages(fd, f.layout.head, page, 1, SEED), "page %d",
		(int)page);
}

static void check_excluded(int fd, uint64_t page)
{
	ck_assert_msg(!is_selected(fd, page), "page %d", (int)page);
	ck_assert_msg(is_hole(fd, page), "page %d", (int)page);
}

static void check_counters(int fd, uint64_t zero, uint64_t list, uint64_t pages)
{
	struct vmcore_trailer trailer;

	ck_assert_int_eq(
		pread(fd, &trailer, sizeof(trailer), (off_t)dump_layout_file_size(&f.layout) - 4096),
		sizeof(trailer));
	ck_assert_uint_eq(trailer.selectors, f.record->options.selectors);
	ck_assert_uint_eq(trailer.distrusted, engine.selection.distrusted);
	ck_assert_uint_eq(trailer.excluded[0], 0);
	ck_assert_uint_eq(trailer.excluded[ZERO], zero);
	ck_assert_uint_eq(trailer.excluded[LIST], list);
	ck_assert_uint_eq(trailer.excluded[PAGES], pages);
	ck_assert_uint_eq(engine.dumped, (NR_PAGES - zero - list - pages) * 4096);
	ck_assert_uint_eq(engine.released, NR_PAGES * 4096);
	ck_assert_uint_eq(engine.done, NR_PAGES * 4096);
	ck_assert_uint_eq(fixture_populated(f.region_fd, f.layout.head, f.layout.ram), 0);
}

static const struct {
	uint32_t workers;
	uint64_t chunk;
} shapes[] = {{1, MIB(2)}, {4, KIB(64)}, {2, MIB(8)}, {3, KIB(128)}};

static void set_shape(int i)
{
	f.record->options.workers = shapes[i].workers;
	f.record->options.chunk = shapes[i].chunk;
}

START_TEST(pages_that_the_guest_does_not_use_are_holes)
{
	uint64_t excluded = 0;
	int fd;

	describe_frames();
	choose("pages");
	set_shape(_i);
	fd = run();
	for (uint64_t page = 0; page < NR_PAGES; page++) {
		if (is_free(page) && !is_array(page)) {
			check_excluded(fd, page);
			excluded++;
		} else {
			check_dumped(fd, page);
		}
	}
	check_counters(fd, 0, 0, excluded);
	ck_assert_str_eq(engine.selection.distrust, "");
	close(fd);
}
END_TEST

START_TEST(pages_of_zeros_are_holes_that_stay_selected)
{
	uint64_t zeros = 0;
	int fd;

	for (uint64_t page = 0; page < NR_PAGES; page++) {
		if (is_zero(page)) {
			make_zero(page);
			zeros++;
		}
	}
	choose("zero");
	set_shape(_i);
	fd = run();
	for (uint64_t page = 0; page < NR_PAGES; page++) {
		if (is_zero(page)) {
			ck_assert(is_selected(fd, page));
			ck_assert(is_hole(fd, page));
		} else {
			check_dumped(fd, page);
		}
	}
	check_counters(fd, zeros, 0, 0);
	close(fd);
}
END_TEST

START_TEST(a_page_counts_for_the_selector_that_excluded_it_first)
{
	uint64_t excluded = 0, zeros = 0;
	int fd;

	describe_frames();
	for (uint64_t page = 98; page < 1100; page++)
		make_zero(page);
	choose("zero , pages");
	set_shape(_i);
	fd = run();
	for (uint64_t page = 98; page < 1100; page++) {
		if (is_free(page)) {
			check_excluded(fd, page);
			excluded++;
		} else {
			ck_assert(is_selected(fd, page) && is_hole(fd, page));
			zeros++;
		}
	}
	check_counters(fd, zeros, 0, excluded);
	close(fd);
}
END_TEST

/* Page tables at pages 1 to 4: page 0x400 of virtual memory is page 2000 of RAM offset, and 0x401 2001. */
static void list_two_pages(void)
{
	const uint64_t gpa = 2000 * 4096 - HOLE + GIB(4);
	const uint64_t entries[][2] = {{1 * 4096, 2 * 4096 | 1}, {2 * 4096, 3 * 4096 | 1},
		{3 * 4096 + 2 * 8, 4 * 4096 | 1}, {4 * 4096, gpa | 1}, {4 * 4096 + 8, (gpa + 4096) | 1}};
	const struct fw_select tuple = {MIB(4), 2};
	static const char zeros[4 * 4096];

	put(4096, zeros, sizeof(zeros));
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		put(entries[i][0], &entries[i][1], 8);
	put(5 * 4096, &tuple, sizeof(tuple));
	f.record->cpus[0].cr[4] = PAGEWALK_CR4_PAE;
	f.record->panic.page_table = 4096;
	f.record->panic.select = 5 * 4096;
	f.record->panic.nr_select = 1;
}

START_TEST(a_list_selects_its_pages_with_tables_and_list)
{
	int fd;

	list_two_pages();
	choose("list");
	set_shape(_i);
	fd = run();
	for (uint64_t page = 0; page < NR_PAGES; page++) {
		if (page >= 1 && page <= 5)
			ck_assert(is_selected(fd, page) && !is_hole(fd, page));
		else if (page == 2000 || page == 2001)
			check_dumped(fd, page);
		else
			check_excluded(fd, page);
	}
	check_counters(fd, 0, NR_PAGES - 7, 0);
	close(fd);
}
END_TEST

START_TEST(selectors_that_cannot_believe_the_guest_keep_everything_and_say_so)
{
	int fd;

	f.record->panic.page_desc = GIB(100);
	f.record->panic.nr_page_desc = 1ull << 63;
	choose("pages,list,zero");
	fd = run();
	for (uint64_t page = 0; page < NR_PAGES; page++)
		check_dumped(fd, page);
	ck_assert_uint_eq(engine.selection.distrusted, 1u << LIST | 1u << PAGES);
	ck_assert_str_eq(engine.selection.distrust,
		"list: the guest gave no list; pages: the page descriptors are outside RAM");
	check_counters(fd, 0, 0, 0);
	close(fd);
}
END_TEST

/* At the first release nothing is copied yet, and the file tells that the bitmap is valid. */
static void check_first_release(struct dump_engine *e, enum dump_notice notice)
{
	static bool seen;
	uint64_t end = dump_layout_file_size(&f.layout);
	struct vmcore_trailer trailer;
	int fd;

	if (seen || !e->released)
		return;
	seen = true;
	ck_assert_int_eq(notice, DUMP_NOTICE_PROGRESS);
	ck_assert_uint_eq(e->dumped, 0);
	ck_assert_uint_eq(e->done, 0);
	fd = fixture_open(&f, DUMP_PARTIAL);
	ck_assert_int_eq(pread(fd, &trailer, sizeof(trailer), (off_t)end - 4096), sizeof(trailer));
	ck_assert_uint_eq(trailer.state, VMCORE_STATE_DUMPING);
	for (uint64_t page = 0; page < NR_PAGES; page++)
		if (is_selected(fd, page) && !is_array(page))
			ck_assert_uint_eq(fixture_bad_pages(f.region_fd, f.layout.head, page, 1, SEED), 0);
	close(fd);
}

START_TEST(what_is_excluded_is_released_before_the_first_copy)
{
	describe_frames();
	choose("pages");
	engine = fixture_engine(&f);
	engine.notify = check_first_release;
	ck_assert_int_eq(dump_engine_run(&engine), 0);
	ck_assert_uint_ne(f.record->moments[DUMP_MOMENT_FIRST_RELEASE], 0);
}
END_TEST

START_TEST(sets_of_selectors_are_read_and_written)
{
	static const struct {
		const char *text, *again;
		uint32_t mask;
	} good[] = {
		{"all", "all", 1},
		{"zero", "zero", 1 << ZERO},
		{"pages,zero", "zero,pages", 1 << ZERO | 1 << PAGES},
		{" list ,\tzero ", "zero,list", 1 << ZERO | 1 << LIST},
		{"all,pages", "pages", 1 << PAGES},
		{"zero,zero,all,zero", "zero", 1 << ZERO},
		{"linux", "zero,linux:31", 1 << ZERO | 1 << LINUX | LEVEL(31)},
		{"linux:31", "zero,linux:31", 1 << ZERO | 1 << LINUX | LEVEL(31)},
		{" linux:8 , pages", "pages,linux:8", 1 << PAGES | 1 << LINUX | LEVEL(8)},
		{"linux:2,linux:4", "linux:4", 1 << LINUX | LEVEL(4)},
		{"linux:0", "all", 1},
		{"zero,linux:00", "zero", 1 << ZERO},
	};
	static const char *const bad[] = {"", ",", "zero,", ",zero", "zero,,pages", "ze ro", "Zero", "none",
		"al", "linux:32", "linux:", "linux:-1", "linux:031", "linux: 3", "linux:1x", "zero:1",
		"all:0", ":3"};
	char text[DUMP_SELECT_TEXT], tiny[4];
	uint32_t mask;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ck_assert_int_eq(dump_select_parse(good[i].text, &mask), 0);
		ck_assert_uint_eq(mask, good[i].mask);
		ck_assert(dump_select_is_valid(mask));
		dump_select_format(mask, text, sizeof(text));
		ck_assert_str_eq(text, good[i].again);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		mask = 77;
		ck_assert_int_eq(dump_select_parse(bad[i], &mask), -EINVAL);
		ck_assert_uint_eq(mask, 77);
	}
	ck_assert(!dump_select_is_valid(0) && !dump_select_is_valid(3) && !dump_select_is_valid(1u << 31));
	ck_assert(!dump_select_is_valid(1 << LINUX));
	ck_assert(!dump_select_is_valid(1 << LINUX | LEVEL(31)));
	ck_assert(!dump_select_is_valid(1 << ZERO | LEVEL(2)));
	ck_assert(!dump_select_is_valid(1 << LINUX | LEVEL(32)));
	dump_select_format(((1u << dump_nr_selectors) - 2) | LEVEL(31), text, sizeof(text));
	ck_assert_uint_lt(strlen(text), sizeof(text) - 1);
	dump_select_format(1 << PAGES | 1 << ZERO, tiny, sizeof(tiny));
	ck_assert_str_eq(tiny, "zer");
}
END_TEST

START_TEST(selectors_keep_their_numbers)
{
	ck_assert_str_eq(dump_selectors[0].name, "all");
	ck_assert_str_eq(dump_selectors[ZERO].name, "zero");
	ck_assert_str_eq(dump_selectors[LIST].name, "list");
	ck_assert_str_eq(dump_selectors[PAGES].name, "pages");
	ck_assert_str_eq(dump_selectors[LINUX].name, "linux");
	ck_assert_uint_eq(DUMP_SELECT_ZERO, 1 << ZERO);
	ck_assert_uint_eq(DUMP_SELECT_LINUX, 1 << LINUX);
}
END_TEST

Suite *suite_dump_select(void)
{
	Suite *suite = suite_create("dump select");
	TCase *tc = tcase_create("engine"), *set = tcase_create("set");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, pages_that_the_guest_does_not_use_are_holes, 0, ARRAY_LEN(shapes));
	tcase_add_loop_test(tc, pages_of_zeros_are_holes_that_stay_selected, 0, ARRAY_LEN(shapes));
	tcase_add_loop_test(
		tc, a_page_counts_for_the_selector_that_excluded_it_first, 0, ARRAY_LEN(shapes));
	tcase_add_loop_test(tc, a_list_selects_its_pages_with_tables_and_list, 0, ARRAY_LEN(shapes));
	tcase_add_test(tc, selectors_that_cannot_believe_the_guest_keep_everything_and_say_so);
	tcase_add_test(tc, what_is_excluded_is_released_before_the_first_copy);
	suite_add_tcase(suite, tc);
	tcase_add_test(set, sets_of_selectors_are_read_and_written);
	tcase_add_test(set, selectors_keep_their_numbers);
	suite_add_tcase(suite, set);
	return suite;
}
