/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_salvage.c - dumps that were cut short at every stage become whole ones; nothing is lost
 * when salvaging is cut short as well; and nobody's work is disturbed.
 */
#include "tests/unit/chance.h"
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"

#include "dump/base/io.h"
#include "dump/files/catalog.h"
#include "dump/read/reader.h"
#include "dump/save/salvage.h"
#include "dump/record/choices.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REGION_PARTIAL "guest-test-g0.region.partial"
#define DUMP_PARTIAL "guest-test-g0.vmcore.partial"
#define FINAL "guest-test-g0.vmcore"
#define LZ4_PARTIAL "guest-test-g0.vmcore.lz4.partial"
#define SEED 4711
#define CHUNKS 8
#define PAGES (CHUNKS * 512)

static unsigned stop_after;

static void stop_in_the_middle(struct dump_engine *engine, enum dump_notice notice)
{
	(void)engine;
	if ((notice == DUMP_NOTICE_LINKED && !stop_after) ||
		(notice == DUMP_NOTICE_PROGRESS && stop_after && !--stop_after))
		_exit(0);
}

/* A guest whose memory is full but for [PAGES / 4, PAGES / 2). */
static void make_guest(struct dump_fixture *f)
{
	fixture_init(f, PAGES * PAGE_SIZE_4K, MIB(5), 1);
	fixture_fill(f, 0, PAGES / 4, SEED);
	fixture_fill(f, PAGES / 2, PAGES / 2, SEED);
}

/* Its dump ends after @chunks chunks. */
static void dump_up_to(struct dump_fixture *f, unsigned chunks)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct dump_engine engine = fixture_engine(f);

		engine.proc_fd = publish_proc_open(); /* of this process */
		engine.notify = stop_in_the_middle;
		stop_after = chunks;
		_exit(dump_engine_run(&engine) ? 1 : 2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	/* as the death of the VMM would */
	close(f->region_fd);
	f->region_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void cut_short(struct dump_fixture *f, unsigned chunks)
{
	make_guest(f);
	dump_up_to(f, chunks);
}

static int salvage(struct dump_fixture *f, const char *name, const char *output, bool keep, char why[256])
{
	char path[160], output_path[160];
	struct salvage_request request = {.path = path, .keep = keep};
	struct salvage_result result;
	int r;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	if (output) {
		snprintf(output_path, sizeof(output_path), "%s/%s", f->dir, output);
		request.output = output_path;
	}
	why[0] = '\0';
	r = dump_salvage(&request, &result, why, 256);
	ck_assert_msg(!r || why[0], "no reason given");
	if (!r)
		free(result.path);
	return r;
}

static void salvage_well(struct dump_fixture *f, const char *name, const char *output, bool keep)
{
	char why[256];
	int r = salvage(f, name, output, keep, why);

	ck_assert_msg(!r, "%s (%d)", why, r);
}

/* Every page is there, every hole is one. */
static void check_memory(struct dump_fixture *f, const char *name)
{
	int fd = fixture_open(f, name);

	ck_assert_uint_eq(fixture_bad_pages(fd, f->layout.head, 0, PAGES / 4, SEED), 0);
	ck_assert_uint_eq(fixture_bad_pages(fd, f->layout.head, PAGES / 2, PAGES / 2, SEED), 0);
	ck_assert_uint_eq(fixture_populated(fd, f->layout.head, f->layout.ram), PAGES / 4 * 3 * 4096);
	close(fd);
}

static void check_whole(struct dump_fixture *f, const char *name)
{
	int fd = fixture_open(f, name);
	struct reader *reader;
	struct reader_counts counts;
	struct stat st;
	char why[256];

	check_memory(f, name);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(reader_open_fds(fd, -1, &reader, why, sizeof(why)), 0);
	ck_assert_int_eq(reader->kind, READER_COMPLETE);
	ck_assert_str_eq(reader->damage, "");
	ck_assert(reader->metadata.has_meta);
	ck_assert_int_eq(reader_count(reader, &counts), 0);
	ck_assert_uint_eq(counts.dumped, PAGES);
	ck_assert_uint_eq(counts.zero, PAGES / 4);
	reader_close(reader);
}

static const struct {
	unsigned chunks; /* done when the dumper died */
	const char *name;
	bool keep;
	const char *output;
} cases[] = {
	{0, DUMP_PARTIAL, false, NULL},
	{1, REGION_PARTIAL, false, NULL},
	{5, DUMP_PARTIAL, false, NULL},
	{7, DUMP_PARTIAL, false, NULL},
	{0, DUMP_PARTIAL, true, NULL},
	{5, DUMP_PARTIAL, true, NULL},
	{5, REGION_PARTIAL, false, "elsewhere.vmcore"},
	{0, REGION_PARTIAL, true, "elsewhere.vmcore"},
};

START_TEST(a_dump_that_was_cut_short_becomes_whole)
{
	struct dump_fixture f;

	cut_short(&f, cases[_i].chunks);
	salvage_well(&f, cases[_i].name, cases[_i].output, cases[_i].keep);
	check_whole(&f, cases[_i].output ? cases[_i].output : FINAL);
	ck_assert_uint_eq(fixture_nr_files(&f), cases[_i].keep ? 3 : 1);
	fixture_fini(&f);
}
END_TEST

START_TEST(a_region_alone_becomes_the_dump_without_a_copy)
{
	struct dump_fixture f;
	struct stat before, after;

	cut_short(&f, 0);
	ck_assert_int_eq(unlinkat(f.dir_fd, DUMP_PARTIAL, 0), 0);
	ck_assert_int_eq(fstatat(f.dir_fd, REGION_PARTIAL, &before, 0), 0);
	salvage_well(&f, REGION_PARTIAL, NULL, false);
	check_whole(&f, FINAL);
	ck_assert_int_eq(fstatat(f.dir_fd, FINAL, &after, 0), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
	fixture_fini(&f);
}
END_TEST

START_TEST(a_region_alone_can_be_copied_and_kept)
{
	struct dump_fixture f;

	cut_short(&f, 0);
	ck_assert_int_eq(unlinkat(f.dir_fd, DUMP_PARTIAL, 0), 0);
	salvage_well(&f, REGION_PARTIAL, NULL, true);
	check_whole(&f, FINAL);
	ck_assert_uint_eq(fixture_nr_files(&f), 2);
	fixture_fini(&f);
}
END_TEST

static void set_strategy(struct dump_fixture *f, const char *name)
{
	while (strcmp(dump_strategies[f->record->options.strategy].name, name))
		f->record->options.strategy++;
}

/* With remap there is one file all the time. */
START_TEST(a_region_that_was_becoming_the_dump_becomes_it)
{
	struct dump_fixture f;
	struct stat before, after;

	make_guest(&f);
	set_strategy(&f, "remap");
	f.record->options.selectors = 1u << (_i & 1); /* all or zero */
	dump_up_to(&f, _i & 1 ? (unsigned)_i : 0);
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
	ck_assert_int_eq(fstatat(f.dir_fd, REGION_PARTIAL, &before, 0), 0);
	salvage_well(&f, REGION_PARTIAL, NULL, false);
	check_memory(&f, FINAL);
	ck_assert_int_eq(fstatat(f.dir_fd, FINAL, &after, 0), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
	fixture_fini(&f);
}
END_TEST

START_TEST(a_hybrid_dump_that_was_cut_short_becomes_whole)
{
	struct dump_fixture f;

	make_guest(&f);
	set_strategy(&f, "hybrid");
	f.record->options.selectors = 1u << 1; /* zero */
	dump_up_to(&f, (unsigned)_i);
	salvage_well(&f, DUMP_PARTIAL, NULL, false);
	check_memory(&f, FINAL);
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
	fixture_fini(&f);
}
END_TEST

/* Salvages @name, killed up to three times at random moments, and at last to its end. */
static void kill_salvages(struct dump_fixture *f, const char *name, int iteration)
{
	chance_begin(name, iteration);
	for (int kills = 0; kills < 3 && !fixture_exists(f, FINAL); kills++) {
		struct timespec pause = {.tv_nsec = (long)chance_below(4000000)};
		int status;
		pid_t pid = fork();

		if (!pid) {
			char why[256];

			_exit(salvage(f, name, NULL, false, why) ? 1 : 0);
		}
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status) || !WEXITSTATUS(status));
	}
	if (fixture_nr_files(f) > 1 || !fixture_exists(f, FINAL))
		salvage_well(f, name, NULL, false);
}

/* Ends the dump of a compressed guest after @chunks chunks. */
static void cut_short_lz4(struct dump_fixture *f, unsigned chunks)
{
	make_guest(f);
	while (strcmp(dump_sinks[f->record->options.sink].name, "lz4"))
		f->record->options.sink++;
	dump_up_to(f, chunks);
	ck_assert(fixture_exists(f, LZ4_PARTIAL) && fixture_exists(f, REGION_PARTIAL));
}

START_TEST(a_compressed_dump_that_was_cut_short_becomes_whole_and_uncompressed)
{
	bool keep = _i & 1;
	struct dump_fixture f;

	cut_short_lz4(&f, (unsigned)_i % (CHUNKS + 1));
	salvage_well(&f, _i & 2 ? LZ4_PARTIAL : REGION_PARTIAL, NULL, keep);
	check_whole(&f, FINAL);
	ck_assert_uint_eq(fixture_nr_files(&f), keep ? 3 : 1);
	fixture_fini(&f);
}
END_TEST

START_TEST(salvaging_a_compressed_dump_that_is_killed_can_be_done_again)
{
	struct dump_fixture f;

	cut_short_lz4(&f, (unsigned)_i % (CHUNKS + 1));
	kill_salvages(&f, REGION_PARTIAL, _i);
	check_whole(&f, FINAL);
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
	fixture_fini(&f);
}
END_TEST

static unsigned writes_left;

/* As a full disk, and much as a kill, after so many writes. */
static int fail_later(enum io_call call, size_t *len)
{
	(void)len;
	return call == IO_PWRITE && (!writes_left || !--writes_left) ? ENOSPC : 0;
}

START_TEST(salvaging_a_compressed_dump_that_fails_in_any_write_can_be_done_again)
{
	int failures = 0, r;

	do {
		struct dump_fixture f;
		char why[256];

		cut_short_lz4(&f, 2);
		writes_left = (unsigned)++failures;
		io_test_hook = fail_later;
		r = salvage(&f, _i ? LZ4_PARTIAL : REGION_PARTIAL, NULL, false, why);
		io_test_hook = NULL;
		if (r)
			salvage_well(&f, REGION_PARTIAL, NULL, false);
		check_whole(&f, FINAL);
		ck_assert_uint_eq(fixture_nr_files(&f), 1);
		fixture_fini(&f);
	} while (r);
	ck_assert_int_ge(failures, 6); /* contents and marks of two chunks, trailer, marks */
}
END_TEST

START_TEST(a_region_whose_compressed_dump_is_gone_is_not_called_whole)
{
	struct dump_fixture f;
	char why[256];

	cut_short_lz4(&f, 4);
	ck_assert_int_eq(unlinkat(f.dir_fd, LZ4_PARTIAL, 0), 0);
	ck_assert_int_eq(salvage(&f, REGION_PARTIAL, NULL, false, why), -ENODATA);
	ck_assert(!fixture_exists(&f, FINAL) && fixture_exists(&f, REGION_PARTIAL));
	fixture_fini(&f);
}
END_TEST

/* Opens a file of the fixture and counts its pages; nothing beside it is looked at. */
static struct reader *open_alone(struct dump_fixture *f, const char *name, struct reader_counts *counts)
{
	struct reader *reader;
	char why[256];

	ck_assert_int_eq(reader_open_fds(fixture_open(f, name), -1, &reader, why, sizeof(why)), 0);
	ck_assert_int_eq(reader_count(reader, counts), 0);
	ck_assert_uint_eq(counts->total, PAGES);
	return reader;
}

static const char *const separate[] = {"vmapp", "hybrid"};

/* Removed by hand, or elsewhere. */
START_TEST(a_region_whose_dump_is_gone_is_not_called_whole_and_its_rest_can_be_copied)
{
	bool hybrid = _i == 1;
	struct reader_counts counts, copied;
	struct dump_fixture f;
	struct reader *reader;
	char why[256], page[1];

	make_guest(&f);
	set_strategy(&f, separate[_i]);
	f.record->options.selectors = 1u << hybrid; /* all or zero */
	dump_up_to(&f, 2);
	ck_assert_int_eq(unlinkat(f.dir_fd, DUMP_PARTIAL, 0), 0);
	ck_assert_int_eq(salvage(&f, REGION_PARTIAL, NULL, false, why), -ENODATA);
	ck_assert_int_eq(salvage(&f, REGION_PARTIAL, NULL, true, why), -ENODATA);
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
	reader = open_alone(&f, REGION_PARTIAL, &counts);
	ck_assert_ptr_nonnull(strstr(reader->damage, "may be missing"));
	ck_assert_uint_eq(counts.pending, PAGES / 4 * 3 - (hybrid ? 0 : 1024));
	ck_assert_uint_eq(counts.missing, PAGES - counts.pending);
	ck_assert_int_eq(reader_read(reader, PAGES / 4 * 4096ull, page, 1), -ENODATA);
	ck_assert_int_eq(reader_read(reader, (PAGES - 1) * 4096ull + (GIB(4) - MIB(5)), page, 1), 0);
	reader_close(reader);
	salvage_well(&f, REGION_PARTIAL, "rest.vmcore", false);
	ck_assert(!fixture_exists(&f, "rest.vmcore"));
	reader = open_alone(&f, "rest.vmcore.partial", &copied);
	ck_assert_int_eq(reader->kind, READER_PARTIAL);
	ck_assert_ptr_nonnull(strstr(reader->damage, "may be missing"));
	ck_assert_uint_eq(copied.dumped, counts.pending);
	ck_assert_uint_eq(copied.missing, counts.missing);
	reader_close(reader);
	ck_assert(fixture_exists(&f, REGION_PARTIAL) && fixture_nr_files(&f) == 2);
	fixture_fini(&f);
}
END_TEST

START_TEST(the_region_of_a_guest_that_dumps_by_itself_is_never_called_whole)
{
	struct reader_counts counts;
	struct dump_fixture f;
	struct reader *reader;
	int dump_fd;

	make_guest(&f);
	ck_assert_int_eq(publish_tmpfile(f.dir_fd, dump_layout_file_size(&f.layout), &dump_fd), 0);
	ck_assert_int_eq(dump_engine_announce(f.record, f.region_fd, f.dir_fd, dump_fd, f.dir_fd), 0);
	reader = open_alone(&f, REGION_PARTIAL, &counts);
	ck_assert_uint_eq(counts.missing, PAGES / 4);
	reader_close(reader);
	close(dump_fd);
	fixture_fini(&f);
}
END_TEST

/* What salvage releases is missed as well if somebody removes the dump while it is at work. */
START_TEST(a_salvage_marks_the_region_before_it_releases)
{
	struct reader_counts counts;
	struct dump_fixture f;
	struct reader *reader;

	cut_short(&f, 0);
	reader = open_alone(&f, REGION_PARTIAL, &counts);
	ck_assert_uint_eq(counts.missing, 0);
	reader_close(reader);
	/* stays open, to be looked at afterwards */
	ck_assert_int_eq(linkat(f.dir_fd, REGION_PARTIAL, f.dir_fd, "mine.region.partial", 0), 0);
	salvage_well(&f, DUMP_PARTIAL, NULL, false);
	reader = open_alone(&f, "mine.region.partial", &counts);
	ck_assert_uint_eq(counts.missing, PAGES);
	reader_close(reader);
	fixture_fini(&f);
}
END_TEST

START_TEST(a_dump_without_its_region_is_refused_and_stays)
{
	struct dump_fixture f;
	char why[256];

	cut_short(&f, 3);
	ck_assert_int_eq(unlinkat(f.dir_fd, REGION_PARTIAL, 0), 0);
	ck_assert_int_eq(salvage(&f, DUMP_PARTIAL, NULL, false, why), -ENODATA);
	ck_assert_ptr_nonnull(strstr(why, "10240 KiB"));
	ck_assert_int_eq(salvage(&f, DUMP_PARTIAL, NULL, true, why), -ENODATA);
	ck_assert(!fixture_exists(&f, FINAL) && fixture_exists(&f, DUMP_PARTIAL));
	fixture_fini(&f);
}
END_TEST

/* A dumper killed between the final name and the removal of the others. */
START_TEST(names_left_beside_a_complete_dump_go)
{
	struct dump_fixture f;
	struct dump_engine engine;
	char why[256];

	make_guest(&f);
	engine = fixture_engine(&f);
	ck_assert_int_eq(dump_engine_run(&engine), 0);
	ck_assert_int_eq(linkat(f.dir_fd, FINAL, f.dir_fd, DUMP_PARTIAL, 0), 0);
	salvage_well(&f, DUMP_PARTIAL, NULL, false);
	check_whole(&f, FINAL);
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
	/* and the region alone */
	ck_assert_int_eq(publish_link(f.proc_fd, f.region_fd, f.dir_fd, REGION_PARTIAL), -ENOENT);
	/* another dump under that name is none of our business */
	close(openat(f.dir_fd, DUMP_PARTIAL, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(salvage(&f, DUMP_PARTIAL, NULL, false, why), -EEXIST);
	fixture_fini(&f);
}
END_TEST

START_TEST(what_somebody_works_on_is_left_alone)
{
	static const char *const names[] = {DUMP_PARTIAL, REGION_PARTIAL};
	struct dump_fixture f;
	struct catalog catalog;
	char why[256];

	cut_short(&f, 2);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int fd = fixture_open(&f, names[i]);

		ck_assert_int_eq(publish_lock(fd), 0);
		ck_assert_int_eq(salvage(&f, DUMP_PARTIAL, NULL, false, why), -EBUSY);
		ck_assert_ptr_nonnull(strstr(why, names[i]));
		ck_assert_int_eq(catalog_read(f.dir_fd, &catalog), 0);
		ck_assert(catalog.dumps[0].in_use);
		catalog_fini(&catalog);
		close(fd);
	}
	ck_assert_int_eq(catalog_read(f.dir_fd, &catalog), 0);
	ck_assert(!catalog.dumps[0].in_use);
	catalog_fini(&catalog);
	salvage_well(&f, DUMP_PARTIAL, NULL, false);
	fixture_fini(&f);
}
END_TEST

static void salvage_beside(struct dump_engine *engine, enum dump_notice notice)
{
	struct dump_fixture *f = engine->notify_arg;
	char why[256];

	if (notice == DUMP_NOTICE_PROGRESS)
		ck_assert_int_eq(salvage(f, DUMP_PARTIAL, NULL, false, why), -EBUSY);
}

START_TEST(a_dump_in_progress_is_left_alone)
{
	struct dump_fixture f;
	struct dump_engine engine;

	fixture_init(&f, PAGES * PAGE_SIZE_4K, MIB(5), 1);
	fixture_fill(&f, 0, PAGES, SEED);
	engine = fixture_engine(&f);
	engine.notify = salvage_beside;
	engine.notify_arg = &f;
	ck_assert_int_eq(dump_engine_run(&engine), 0);
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
	fixture_fini(&f);
}
END_TEST

/* Salvaging that is killed again and again, at moments over its usual duration, ends with a whole dump. */
START_TEST(salvaging_that_is_killed_can_be_done_again)
{
	struct dump_fixture f;

	cut_short(&f, (unsigned)_i % CHUNKS);
	if (_i % 5 == 4)
		ck_assert_int_eq(
			unlinkat(f.dir_fd, _i % CHUNKS ? "none" : DUMP_PARTIAL, 0), _i % CHUNKS ? -1 : 0);
	kill_salvages(&f, DUMP_PARTIAL, _i);
	check_whole(&f, FINAL);
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
	fixture_fini(&f);
}
END_TEST

START_TEST(what_is_no_partial_dump_is_refused)
{
	struct dump_fixture f;
	char why[256];

	fixture_init(&f, MIB(4), GIB(3), 1);
	ck_assert_int_eq(salvage(&f, DUMP_PARTIAL, NULL, false, why), -ENOENT);
	ck_assert_int_eq(salvage(&f, FINAL, NULL, false, why), -EINVAL);
	ck_assert_int_eq(salvage(&f, "notes.txt", NULL, false, why), -EINVAL);
	close(openat(f.dir_fd, DUMP_PARTIAL, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(salvage(&f, DUMP_PARTIAL, NULL, false, why), -EINVAL);
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
	fixture_fini(&f);
}
END_TEST

Suite *suite_salvage(void)
{
	Suite *suite = suite_create("salvage");
	TCase *tc = tcase_create("salvage");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_dump_that_was_cut_short_becomes_whole, 0, ARRAY_LEN(cases));
	tcase_add_test(tc, a_region_alone_becomes_the_dump_without_a_copy);
	tcase_add_test(tc, a_region_alone_can_be_copied_and_kept);
	tcase_add_loop_test(tc, a_region_that_was_becoming_the_dump_becomes_it, 0, CHUNKS);
	tcase_add_loop_test(tc, a_hybrid_dump_that_was_cut_short_becomes_whole, 0, CHUNKS);
	tcase_add_loop_test(tc, a_compressed_dump_that_was_cut_short_becomes_whole_and_uncompressed, 0,
		2 * (CHUNKS + 1));
	tcase_add_loop_test(tc, salvaging_a_compressed_dump_that_is_killed_can_be_done_again, 0, 20);
	tcase_add_loop_test(
		tc, salvaging_a_compressed_dump_that_fails_in_any_write_can_be_done_again, 0, 2);
	tcase_add_test(tc, a_region_whose_compressed_dump_is_gone_is_not_called_whole);
	tcase_add_loop_test(tc, a_region_whose_dump_is_gone_is_not_called_whole_and_its_rest_can_be_copied,
		0, ARRAY_LEN(separate));
	tcase_add_test(tc, the_region_of_a_guest_that_dumps_by_itself_is_never_called_whole);
	tcase_add_test(tc, a_salvage_marks_the_region_before_it_releases);
	tcase_add_test(tc, a_dump_without_its_region_is_refused_and_stays);
	tcase_add_test(tc, names_left_beside_a_complete_dump_go);
	tcase_add_test(tc, what_somebody_works_on_is_left_alone);
	tcase_add_test(tc, a_dump_in_progress_is_left_alone);
	tcase_add_loop_test(tc, salvaging_that_is_killed_can_be_done_again, 0, 20);
	tcase_add_test(tc, what_is_no_partial_dump_is_refused);
	suite_add_tcase(suite, tc);
	return suite;
}
