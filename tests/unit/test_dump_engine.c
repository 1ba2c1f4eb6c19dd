/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dump_engine.c - a crashed region becomes a published vmcore: every page, every hole,
 * every name at its time, for workers and chunk sizes of all kinds; and what stays after a failure.
 */
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"

#include "dump/base/io.h"
#include "dump/base/bitmap.h"
#include "dump/record/choices.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define REGION_PARTIAL "guest-test-g0.region.partial"
#define DUMP_PARTIAL "guest-test-g0.vmcore.partial"
#define FINAL "guest-test-g0.vmcore"
#define SEED 12345

/* Runs of pages with memory behind them, in a guest of ODD_PAGES pages that is no multiple of anything. */
#define ODD_PAGES (16 * 512 + 37)
static const struct {
	uint64_t first, count;
} runs[] = {
	{0, 1},
	{2, 1},
	{5, 10},
	{511, 2},
	{1000, 24},
	{1024, 512},
	{1536 + 15, 1},
	{1536 + 17, 1600},
	{5 * 1024 - 1, 1},
	{6000, 1},
	{16 * 512 - 1, 1},
	{ODD_PAGES - 1, 1},
};

static void fill_runs(struct dump_fixture *f)
{
	for (size_t i = 0; i < ARRAY_LEN(runs); i++)
		fixture_fill(f, runs[i].first, runs[i].count, SEED);
}

static uint64_t bytes_of_runs(void)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < ARRAY_LEN(runs); i++)
		pages += runs[i].count;
	return pages * PAGE_SIZE_4K;
}

static void check_runs(const struct dump_fixture *f, int fd)
{
	for (size_t i = 0; i < ARRAY_LEN(runs); i++)
		ck_assert_uint_eq(
			fixture_bad_pages(fd, f->layout.head, runs[i].first, runs[i].count, SEED), 0);
	/* 4 KiB pages on a plain /dev/shm: holes stay holes, page by page */
	ck_assert_uint_eq(fixture_populated(fd, f->layout.head, f->layout.ram), bytes_of_runs());
}

static void check_trailer(const struct dump_fixture *f, int fd, uint32_t state)
{
	struct vmcore_trailer trailer;
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_size, dump_layout_file_size(&f->layout));
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(pread(fd, &trailer, sizeof(trailer), st.st_size - 4096), sizeof(trailer));
	ck_assert_mem_eq(trailer.magic, "MVMMTAIL", 8);
	ck_assert_uint_eq(trailer.role, VMCORE_ROLE_DUMP);
	ck_assert_uint_eq(trailer.state, state);
	ck_assert_uint_eq(trailer.ram, f->layout.ram);
	ck_assert_uint_eq(trailer.file_size, (uint64_t)st.st_size);
}

static void check_progress_all_done(int fd, uint64_t ram, uint64_t head, uint64_t chunk)
{
	uint64_t nr = (ram + chunk - 1) / chunk;
	uint64_t bitmap = ((ram / 4096 + 7) / 8 + 4095) / 4096 * 4096;
	unsigned char *table = malloc(nr);

	ck_assert_int_eq(pread(fd, table, nr, (off_t)(head + ram + bitmap)), (ssize_t)nr);
	for (uint64_t i = 0; i < nr; i++)
		ck_assert_uint_eq(table[i], VMCORE_CHUNK_DONE);
	free(table);
}

static const struct {
	uint32_t workers;
	uint64_t chunk;
} shapes[] = {
	{1, KIB(64)},
	{1, MIB(2)},
	{2, MIB(2)},
	{4, KIB(64)},
	{7, KIB(256)},
	{3, MIB(32)},
	{64, MIB(1)},
	{0, MIB(2)},
	{2, GIB(1)},
};

START_TEST(every_page_and_every_hole_arrives_whatever_the_workers_and_chunks)
{
	struct dump_fixture f;
	struct dump_engine engine;
	int fd;

	fixture_init(&f, ODD_PAGES * PAGE_SIZE_4K, MIB(5), 2);
	f.record->options.workers = shapes[_i].workers;
	f.record->options.chunk = shapes[_i].chunk;
	fill_runs(&f);
	engine = fixture_engine(&f);
	ck_assert_int_eq(dump_engine_run(&engine), 0);
	fd = fixture_open(&f, FINAL);
	check_runs(&f, fd);
	check_trailer(&f, fd, VMCORE_STATE_COMPLETE);
	check_progress_all_done(fd, f.layout.ram, f.layout.head, shapes[_i].chunk);
	ck_assert_uint_eq(engine.done, f.layout.ram);
	ck_assert_uint_eq(engine.released, bytes_of_runs());
	ck_assert_uint_eq(engine.dumped, bytes_of_runs());
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
	ck_assert_uint_eq(fixture_populated(f.region_fd, f.layout.head, f.layout.ram), 0);
	close(fd);
	fixture_fini(&f);
}
END_TEST

START_TEST(a_guest_without_one_touched_page_gives_a_dump_of_one_hole)
{
	struct dump_fixture f;
	struct dump_engine engine;
	int fd;

	fixture_init(&f, PAGE_SIZE_4K, GIB(3), 1);
	engine = fixture_engine(&f);
	ck_assert_int_eq(dump_engine_run(&engine), 0);
	fd = fixture_open(&f, FINAL);
	ck_assert_uint_eq(fixture_populated(fd, f.layout.head, f.layout.ram), 0);
	ck_assert_uint_eq(engine.dumped, 0);
	close(fd);
	fixture_fini(&f);
}
END_TEST

/* The names that exist at each notice. */
static struct {
	struct dump_fixture *f;
	unsigned linked, copied, progress;
} seen;

static void watch(struct dump_engine *engine, enum dump_notice notice)
{
	const struct dump_fixture *f = engine->notify_arg;

	ck_assert(fixture_exists(f, REGION_PARTIAL));
	ck_assert(fixture_exists(f, DUMP_PARTIAL));
	ck_assert(!fixture_exists(f, FINAL));
	if (notice == DUMP_NOTICE_LINKED) {
		int fd = fixture_open(f, DUMP_PARTIAL);

		check_trailer(f, fd, VMCORE_STATE_PREPARING);
		ck_assert_uint_eq(engine->released, 0);
		close(fd);
	}
	seen.linked += notice == DUMP_NOTICE_LINKED;
	seen.copied += notice == DUMP_NOTICE_COPIED;
	seen.progress += notice == DUMP_NOTICE_PROGRESS;
}

START_TEST(the_partial_names_come_first_and_the_final_name_last)
{
	struct dump_fixture f;
	struct dump_engine engine;
	const _Atomic uint64_t *at;

	fixture_init(&f, MIB(8), GIB(3), 1);
	fixture_fill(&f, 0, 2048, SEED);
	engine = fixture_engine(&f);
	engine.notify = watch;
	engine.notify_arg = &f;
	ck_assert_int_eq(dump_engine_run(&engine), 0);
	ck_assert_uint_eq(seen.linked, 1);
	ck_assert_uint_eq(seen.copied, 1);
	ck_assert_uint_eq(seen.progress, 4);
	ck_assert(fixture_exists(&f, FINAL));
	ck_assert(!fixture_exists(&f, REGION_PARTIAL) && !fixture_exists(&f, DUMP_PARTIAL));
	at = f.record->moments;
	ck_assert_uint_gt(at[DUMP_MOMENT_DUMP_START], 0);
	ck_assert_uint_le(at[DUMP_MOMENT_DUMP_START], at[DUMP_MOMENT_LINKED]);
	ck_assert_uint_le(at[DUMP_MOMENT_LINKED], at[DUMP_MOMENT_FIRST_RELEASE]);
	ck_assert_uint_le(at[DUMP_MOMENT_FIRST_RELEASE], at[DUMP_MOMENT_COPIED]);
	ck_assert_uint_le(at[DUMP_MOMENT_COPIED], at[DUMP_MOMENT_PUBLISHED]);
	fixture_fini(&f);
}
END_TEST

/* While a dump runs, nothing is ever lost: chunk by chunk the page is in the region or in the dump. */
static void check_chunk_somewhere(struct dump_engine *engine, enum dump_notice notice)
{
	const struct dump_fixture *f = engine->notify_arg;
	uint64_t pages = f->layout.ram / 4096, bitmap = ((pages + 7) / 8 + 4095) / 4096 * 4096;
	int dump, region;

	if (notice != DUMP_NOTICE_PROGRESS)
		return;
	dump = fixture_open(f, DUMP_PARTIAL);
	region = fixture_open(f, REGION_PARTIAL);
	for (uint64_t i = 0; i < f->layout.ram / MIB(2); i++) {
		unsigned char state;

		ck_assert_int_eq(
			pread(dump, &state, 1, (off_t)(f->layout.head + f->layout.ram + bitmap + i)), 1);
		ck_assert_uint_eq(
			fixture_bad_pages(state ? dump : region, f->layout.head, i * 512, 512, SEED), 0);
	}
	close(dump);
	close(region);
}

START_TEST(at_every_moment_region_and_dump_together_hold_every_page)
{
	struct dump_fixture f;
	struct dump_engine engine;

	fixture_init(&f, MIB(16), GIB(3), 1);
	fixture_fill(&f, 0, 4096, SEED);
	engine = fixture_engine(&f);
	engine.notify = check_chunk_somewhere;
	engine.notify_arg = &f;
	ck_assert_int_eq(dump_engine_run(&engine), 0);
	fixture_fini(&f);
}
END_TEST

START_TEST(the_linked_region_is_a_vmcore_by_itself)
{
	struct dump_fixture f;
	struct dump_engine engine;
	struct elf_view view;
	struct vmcore_trailer trailer;
	int fd;

	fixture_init(&f, MIB(4), GIB(3), 2);
	fixture_fill(&f, 0, 1024, SEED);
	engine = fixture_engine(&f);
	close(openat(f.dir_fd, DUMP_PARTIAL, O_CREAT | O_WRONLY, 0600)); /* makes the dump fail early */
	ck_assert_int_eq(dump_engine_run(&engine), -EEXIST);
	fd = fixture_open(&f, REGION_PARTIAL);
	elf_open(&view, fd);
	ck_assert_uint_eq(view.ehdr->e_phnum, 2);
	elf_note(&view, "MINIVMM", VMCORE_NOTE_META, 0);
	ck_assert_uint_eq(fixture_bad_pages(fd, view.phdrs[1].p_offset, 0, 1024, SEED), 0);
	ck_assert_int_eq(pread(fd, &trailer, sizeof(trailer), (off_t)view.size - 4096), sizeof(trailer));
	ck_assert_uint_eq(trailer.role, VMCORE_ROLE_REGION);
	ck_assert_uint_eq(engine.released, 0);
	ck_assert_ptr_nonnull(strstr(engine.why, "cannot link " DUMP_PARTIAL));
	ck_assert_ptr_nonnull(strstr(engine.why, "kept: " REGION_PARTIAL));
	elf_close(&view);
	close(fd);
	fixture_fini(&f);
}
END_TEST

START_TEST(a_name_that_is_taken_is_never_replaced)
{
	struct dump_fixture f;
	struct dump_engine engine;
	struct stat st;

	fixture_init(&f, MIB(4), GIB(3), 1);
	fixture_fill(&f, 0, 1024, SEED);
	close(openat(f.dir_fd, FINAL, O_CREAT | O_WRONLY, 0600));
	engine = fixture_engine(&f);
	ck_assert_int_eq(dump_engine_run(&engine), -EEXIST);
	ck_assert_int_eq(fstatat(f.dir_fd, FINAL, &st, 0), 0);
	ck_assert_int_eq(st.st_size, 0);
	ck_assert(fixture_exists(&f, DUMP_PARTIAL));
	ck_assert_ptr_nonnull(strstr(engine.why, "the dump is complete"));
	fixture_fini(&f);
}
END_TEST

START_TEST(a_file_size_limit_fails_the_dump_and_keeps_the_region)
{
	const struct rlimit limit = {.rlim_cur = MIB(3), .rlim_max = MIB(3)};
	struct dump_fixture f;
	struct dump_engine engine;

	fixture_init(&f, MIB(4), GIB(3), 1);
	fixture_fill(&f, 0, 1024, SEED);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	engine = fixture_engine(&f);
	ck_assert_int_eq(dump_engine_run(&engine), -EFBIG);
	ck_assert(fixture_exists(&f, REGION_PARTIAL) && !fixture_exists(&f, FINAL));
	ck_assert_uint_eq(fixture_bad_pages(f.region_fd, f.layout.head, 0, 1024, SEED), 0);
	fixture_fini(&f);
}
END_TEST

START_TEST(a_full_file_system_is_found_before_anything_is_released)
{
	struct dump_fixture f;
	struct dump_engine engine;

	fixture_init(&f, MIB(8), GIB(3), 1);
	if (fixture_mount(&f, "size=9m")) {
		fixture_fill(&f, 0, 2048, SEED);
		engine = fixture_engine(&f);
		ck_assert_int_eq(dump_engine_run(&engine), -ENOSPC);
		ck_assert_uint_eq(fixture_bad_pages(f.region_fd, f.layout.head, 0, 2048, SEED), 0);
		ck_assert_uint_eq(engine.released, 0);
		ck_assert(fixture_exists(&f, REGION_PARTIAL) && !fixture_exists(&f, FINAL));
		ck_assert_ptr_nonnull(strstr(engine.why, "MiB free"));
	} else {
		printf("SKIP %s: cannot mount a tmpfs: %s\n", __func__, strerror(errno));
	}
	fixture_fini(&f);
}
END_TEST

START_TEST(room_for_one_chunk_is_enough_for_a_whole_dump)
{
	struct dump_fixture f;
	struct dump_engine engine;

	fixture_init(&f, MIB(64), GIB(3), 1);
	if (fixture_mount(&f, "size=67m")) {
		fixture_fill(&f, 0, 64 * 256, SEED);
		engine = fixture_engine(&f);
		ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
		ck_assert(fixture_exists(&f, FINAL));
	} else {
		printf("SKIP %s: cannot mount a tmpfs: %s\n", __func__, strerror(errno));
	}
	fixture_fini(&f);
}
END_TEST

/* Fills the file system up in mid-dump. */
static void eat_space(struct dump_engine *engine, enum dump_notice notice)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int fd = -1;

	if (notice != DUMP_NOTICE_PROGRESS || engine->done < MIB(8))
		return;
	pthread_mutex_lock(&lock);
	if (fd < 0)
		fd = openat(engine->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	for (off_t at = lseek(fd, 0, SEEK_END); !fallocate(fd, 0, at, 4096); at += 4096)
		;
	pthread_mutex_unlock(&lock);
}

START_TEST(a_file_system_that_fills_up_in_mid_dump_loses_no_page)
{
	struct dump_fixture f;
	struct dump_engine engine;
	struct vmcore_trailer trailer;
	int dump;

	fixture_init(&f, MIB(16), GIB(3), 1);
	if (fixture_mount(&f, "size=32m")) {
		fixture_fill(&f, 0, 4096, SEED);
		engine = fixture_engine(&f);
		engine.notify = eat_space;
		ck_assert_int_eq(dump_engine_run(&engine), -ENOSPC);
		ck_assert(!fixture_exists(&f, FINAL));
		dump = fixture_open(&f, DUMP_PARTIAL);
		check_trailer(&f, dump, VMCORE_STATE_FAILED);
		ck_assert_int_eq(pread(dump, &trailer, sizeof(trailer),
					 (off_t)dump_layout_file_size(&f.layout) - 4096),
			sizeof(trailer));
		ck_assert_int_eq(trailer.error, -ENOSPC);
		ck_assert_uint_eq(engine.done, MIB(8));
		ck_assert_uint_eq(fixture_bad_pages(dump, f.layout.head, 0, 2048, SEED), 0);
		ck_assert_uint_eq(fixture_bad_pages(f.region_fd, f.layout.head, 2048, 2048, SEED), 0);
		close(dump);
	} else {
		printf("SKIP %s: cannot mount a tmpfs: %s\n", __func__, strerror(errno));
	}
	fixture_fini(&f);
}
END_TEST

/* ---- a long chunk ---------------------------------------------------------------------------------------- */

static struct {
	unsigned signs;  /* of life, before the chunk was done */
	uint64_t dumped; /* bytes, when the last one came */
} life;

static void note_life(struct dump_engine *engine, enum dump_notice notice)
{
	if (notice != DUMP_NOTICE_PROGRESS || engine->done)
		return;
	life.signs += engine->dumped > life.dumped;
	life.dumped = engine->dumped;
}

START_TEST(a_long_chunk_shows_life_while_it_is_copied)
{
	struct dump_engine engine;
	struct dump_fixture f;

	fixture_init(&f, MIB(64), GIB(3), 1);
	fixture_fill(&f, 0, 64 * 256, SEED);
	f.record->options.chunk = MIB(64);
	engine = fixture_engine(&f);
	engine.notify = note_life;
	ck_assert_int_eq(dump_engine_run(&engine), 0);
	ck_assert_uint_eq(life.signs, 64 / 8 - 1); /* the last one comes with the chunk's end */
	ck_assert_uint_eq(engine.dumped, MIB(64));
	fixture_fini(&f);
}
END_TEST

/* Every page is in the dump if its chunk of 2 MiB is marked, else in the region. */
static uint64_t bad_pages_of_partials(const struct dump_fixture *f)
{
	uint64_t pages = f->layout.ram / 4096, bitmap = ((pages + 7) / 8 + 4095) / 4096 * 4096;
	int dump = fixture_open(f, DUMP_PARTIAL);
	uint64_t bad = 0;

	for (uint64_t i = 0; i < pages / 512; i++) {
		unsigned char state;

		ck_assert_int_eq(
			pread(dump, &state, 1, (off_t)(f->layout.head + f->layout.ram + bitmap + i)), 1);
		bad += fixture_bad_pages(state ? dump : f->region_fd, f->layout.head, i * 512, 512, SEED);
	}
	close(dump);
	return bad;
}

START_TEST(several_workers_on_huge_pages_copy_every_page)
{
	struct dump_fixture f;
	struct dump_engine engine;
	int fd;

	fixture_init(&f, MIB(64) + PAGE_SIZE_4K, MIB(5), 1);
	if (fixture_mount(&f, "huge=always,size=160m")) {
		f.record->options.workers = 4;
		fixture_fill(&f, 0, 64 * 256 + 1, SEED);
		engine = fixture_engine(&f);
		ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
		fd = fixture_open(&f, FINAL);
		ck_assert_uint_eq(fixture_bad_pages(fd, f.layout.head, 0, 64 * 256 + 1, SEED), 0);
		check_trailer(&f, fd, VMCORE_STATE_COMPLETE);
		ck_assert_uint_eq(fixture_populated(f.region_fd, f.layout.head, f.layout.ram), 0);
		/* the head and tail rooms do not take huge pages */
		ck_assert_uint_le(fixture_populated(fd, 0, f.layout.head), KIB(64));
		close(fd);
	} else {
		printf("SKIP %s: cannot mount a tmpfs: %s\n", __func__, strerror(errno));
	}
	fixture_fini(&f);
}
END_TEST

START_TEST(several_workers_on_huge_pages_lose_no_page_when_the_file_system_fills_up)
{
	struct dump_fixture f;
	struct dump_engine engine;

	fixture_init(&f, MIB(64), GIB(3), 1);
	if (fixture_mount(&f, "huge=always,size=80m")) {
		f.record->options.workers = 4;
		fixture_fill(&f, 0, 64 * 256, SEED);
		engine = fixture_engine(&f);
		engine.notify = eat_space;
		ck_assert_int_eq(dump_engine_run(&engine), -ENOSPC);
		ck_assert(!fixture_exists(&f, FINAL));
		ck_assert_uint_eq(bad_pages_of_partials(&f), 0);
	} else {
		printf("SKIP %s: cannot mount a tmpfs: %s\n", __func__, strerror(errno));
	}
	fixture_fini(&f);
}
END_TEST

START_TEST(the_tables_name_at_least_vmapp_and_all_and_no_name_twice)
{
	ck_assert_str_eq(dump_strategies[0].name, "vmapp");
	ck_assert_str_eq(dump_selectors[0].name, "all");
	for (size_t i = 0; i < dump_nr_strategies; i++) {
		ck_assert_ptr_nonnull(dump_strategies[i].help);
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(dump_strategies[i].name, dump_strategies[j].name);
	}
}
END_TEST

static int pins[2] = {-1, -1}; /* a pipe that holds a page */
static int punches;

/* Whoever holds the page lets go of it when it has been in the way three times. */
static int let_go(enum io_call call, size_t *len)
{
	(void)len;
	if (call == IO_FALLOCATE && ++punches == 4) {
		close(pins[0]);
		close(pins[1]);
	}
	return 0;
}

START_TEST(a_punch_that_somebody_who_holds_the_page_is_in_the_way_of_is_repeated)
{
	struct dead_region region;
	struct dump_fixture f;
	struct iovec page;
	uint64_t at;

	fixture_init(&f, MIB(4), GIB(3), 1);
	if (!fixture_mount(&f, "huge=always,size=64m")) {
		printf("SKIP punches in a huge page that is held: cannot mount a tmpfs: %s\n",
			strerror(errno));
		fixture_fini(&f);
		return;
	}
	fixture_fill(&f, 0, 1024, SEED);
	at = f.layout.head + KIB(64);
	dead_region_init(&region, f.region_fd, &f.layout);
	ck_assert_int_eq(dead_region_map(&region), 0);
	ck_assert_int_eq(pipe(pins), 0);
	page = (struct iovec){region.ram, PAGE_SIZE_4K};
	ck_assert_int_eq(vmsplice(pins[1], &page, 1, 0), PAGE_SIZE_4K);
	munmap(region.ram, f.layout.ram); /* who maps it is not in the way */
	region.ram = NULL;
	punches = 0;
	io_test_hook = let_go;
	ck_assert_int_eq(dead_region_release(&region, KIB(64), KIB(64)), 0);
	io_test_hook = NULL;
	ck_assert_uint_eq(fixture_populated(f.region_fd, at, KIB(64)), 0);
	ck_assert_int_ge(punches, 4);
	dead_region_fini(&region);
	fixture_fini(&f);
}
END_TEST

Suite *suite_dump_engine(void)
{
	Suite *suite = suite_create("dump engine");
	TCase *tc = tcase_create("engine");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, every_page_and_every_hole_arrives_whatever_the_workers_and_chunks, 0,
		ARRAY_LEN(shapes));
	tcase_add_test(tc, a_guest_without_one_touched_page_gives_a_dump_of_one_hole);
	tcase_add_test(tc, the_partial_names_come_first_and_the_final_name_last);
	tcase_add_test(tc, at_every_moment_region_and_dump_together_hold_every_page);
	tcase_add_test(tc, the_linked_region_is_a_vmcore_by_itself);
	tcase_add_test(tc, a_name_that_is_taken_is_never_replaced);
	tcase_add_test(tc, a_file_size_limit_fails_the_dump_and_keeps_the_region);
	tcase_add_test(tc, a_full_file_system_is_found_before_anything_is_released);
	tcase_add_test(tc, room_for_one_chunk_is_enough_for_a_whole_dump);
	tcase_add_test(tc, a_file_system_that_fills_up_in_mid_dump_loses_no_page);
	tcase_add_test(tc, a_long_chunk_shows_life_while_it_is_copied);
	tcase_add_test(tc, several_workers_on_huge_pages_copy_every_page);
	tcase_add_test(tc, several_workers_on_huge_pages_lose_no_page_when_the_file_system_fills_up);
	tcase_add_test(tc, the_tables_name_at_least_vmapp_and_all_and_no_name_twice);
	tcase_add_test(tc, a_punch_that_somebody_who_holds_the_page_is_in_the_way_of_is_repeated);
	suite_add_tcase(suite, tc);
	return suite;
}
