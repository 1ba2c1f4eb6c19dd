/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_drain.c - a dump goes from memory to a disk: what is done in which order, what others may do meanwhile, and
 * what is found there.  What fails is in test_drain_faults.c.
 */
#include "tests/unit/drain_fixture.h"
#include "tests/unit/io_recorder.h"
#include "tests/unit/suites.h"

#include "dump/files/catalog.h"
#include "dump/files/publish.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct drain_fixture f;

static void setup(void)
{
	drain_fixture_init(&f, NULL);
}

static void teardown(void)
{
	drain_fixture_fini(&f);
}

/* ---- what it does ------------------------------------------------------------------------------------------ */

START_TEST(a_dump_is_on_the_disk_and_goes_from_memory_only_if_it_is_to)
{
	bool keep = _i % 2;

	drain_fixture_format(&f, _i / 2);
	f.drain.keep = keep;
	ck_assert_msg(!drain_fixture_run(&f), "%s: %s", drain_step_name(f.step), f.why);
	ck_assert_int_eq(f.step, DRAIN_DONE);
	ck_assert(drain_fixture_copy_is_whole(&f));
	ck_assert(drain_fixture_source_is_there(&f) == keep);
	ck_assert_uint_eq(place_nr_files(&f.place), 1);
}
END_TEST

START_TEST(what_is_left_under_partial_names_goes_with_the_dump)
{
	int dir_fd = f.dump.dir_fd;

	ck_assert_int_eq(linkat(dir_fd, DRAIN_SOURCE_FILE, dir_fd, DRAIN_SOURCE_FILE ".partial", 0), 0);
	ck_assert_int_eq(linkat(dir_fd, DRAIN_SOURCE_FILE, dir_fd, "guest-test-g0.region.partial", 0), 0);
	ck_assert_int_eq(drain_fixture_run(&f), 0);
	ck_assert(!drain_fixture_source_is_there(&f));
	ck_assert(!fixture_exists(&f.dump, DRAIN_SOURCE_FILE ".partial"));
	ck_assert(!fixture_exists(&f.dump, "guest-test-g0.region.partial"));
}
END_TEST

START_TEST(it_is_durable_and_compared_before_it_has_a_name)
{
	drain_fixture_need_disk(&f);
	io_recorder_start(IO_NR_CALLS, 0, 0);
	ck_assert_int_eq(drain_fixture_run(&f), 0);
	/* the second one is commit()'s own */
	ck_assert_str_eq(io_recorder_stop(), "data sync name dir remove");
	ck_assert_uint_gt(io_recorder_calls(IO_PREAD), 0);
}
END_TEST

START_TEST(the_pace_holds_writing_and_reading_back)
{
	struct pacer_settings settings;
	struct pacer pacer;
	uint64_t begun_ns = clock_mono_ns();

	ck_assert_int_eq(pacer_parse("rate=4M", &settings), 0);
	pacer_init(&pacer, &settings, NULL, begun_ns);
	f.drain.pacer = &pacer;
	ck_assert_int_eq(drain_fixture_run(&f), 0);
	/* 800 KiB and more to the disk and back from it; nobody waits for what the last piece of both costs */
	ck_assert_uint_ge(clock_mono_ns() - begun_ns, 250 * NSEC_PER_MSEC);
}
END_TEST

START_TEST(memory_is_wanted_as_it_fills)
{
	ck_assert_uint_eq(drain_urgency(0, 0), 0);
	ck_assert_uint_eq(drain_urgency(GIB(4), GIB(4)), 0);
	ck_assert_uint_eq(drain_urgency(GIB(1), GIB(4)), 0);
	ck_assert_uint_eq(drain_urgency(MIB(512), GIB(4)), 50);
	ck_assert_uint_eq(drain_urgency(0, GIB(4)), 100);
}
END_TEST

/* ---- what others do meanwhile -------------------------------------------------------------------------------- */

static void (*meddle)(void);

static void on_tell(void *arg, enum drain_step step, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)done;
	(void)total;
	if (step != DRAIN_VERIFY || !meddle)
		return;
	meddle();
	meddle = NULL;
}

static int run_meddled(void (*how)(void))
{
	meddle = how;
	f.drain.tell = on_tell;
	return drain_fixture_run(&f);
}

static void remove_source(void)
{
	ck_assert_int_eq(unlinkat(f.dump.dir_fd, DRAIN_SOURCE_FILE, 0), 0);
}

static void replace_source(void)
{
	remove_source();
	close(openat(f.dump.dir_fd, DRAIN_SOURCE_FILE, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
}

static void remove_directory(void)
{
	ck_assert_int_eq(rmdir(f.place.path), 0);
}

static void take_name(void)
{
	close(openat(f.place.fd, f.name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
}

static void try_to_remove(void)
{
	struct catalog catalog;
	int fd = openat(f.dump.dir_fd, DRAIN_SOURCE_FILE, O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(publish_lock(fd), -EWOULDBLOCK);
	ck_assert_int_eq(publish_lock_read(fd), 0); /* who only reads is welcome */
	close(fd);
	ck_assert_int_eq(catalog_read(f.dump.dir_fd, &catalog), 0);
	ck_assert_uint_eq(catalog.nr, 1);
	ck_assert(catalog.dumps[0].in_use && !catalog_is_complete(&catalog.dumps[0]));
	ck_assert_int_eq(catalog_remove(f.dump.dir_fd, &catalog.dumps[0], ~0u), -EBUSY);
	catalog_fini(&catalog);
}

START_TEST(a_source_that_is_removed_meanwhile_is_on_the_disk)
{
	ck_assert_int_eq(run_meddled(remove_source), 0);
	ck_assert(drain_fixture_copy_is_whole(&f));
}
END_TEST

START_TEST(another_file_under_the_name_of_the_source_stays)
{
	ck_assert_int_eq(run_meddled(replace_source), 0);
	ck_assert(drain_fixture_copy_is_whole(&f) && drain_fixture_source_is_there(&f));
}
END_TEST

START_TEST(a_directory_that_goes_away_costs_nothing)
{
	int r = run_meddled(remove_directory);

	ck_assert_int_eq(r, -ENOENT);
	ck_assert_int_eq(f.step, DRAIN_NAME);
	ck_assert(drain_fixture_source_is_there(&f));
	ck_assert_int_eq(mkdir(f.place.path, 0700), 0);
}
END_TEST

START_TEST(a_name_that_is_taken_meanwhile_is_anothers)
{
	ck_assert_int_eq(run_meddled(take_name), -EEXIST);
	ck_assert(drain_fixture_source_is_there(&f));
}
END_TEST

START_TEST(the_source_is_in_use_as_long_as_it_is_read)
{
	struct catalog catalog;

	f.drain.keep = true;
	ck_assert_int_eq(run_meddled(try_to_remove), 0);
	ck_assert_ptr_null(meddle);
	ck_assert_int_eq(catalog_read(f.dump.dir_fd, &catalog), 0);
	ck_assert(catalog_is_complete(&catalog.dumps[0])); /* and no longer */
	catalog_fini(&catalog);
}
END_TEST

/* ---- what it finds ----------------------------------------------------------------------------------------- */

START_TEST(a_copy_that_is_there_counts_if_it_is_the_same)
{
	drain_fixture_format(&f, _i);
	f.drain.keep = true;
	ck_assert_int_eq(drain_fixture_run(&f), 0);
	f.drain.keep = false;
	io_recorder_start(IO_NR_CALLS, 0, 0);
	ck_assert_msg(!drain_fixture_run(&f), "%s", f.why);
	io_recorder_stop();
	ck_assert_uint_eq(io_recorder_calls(IO_PWRITE), 0);
	ck_assert(drain_fixture_copy_is_whole(&f) && !drain_fixture_source_is_there(&f));
}
END_TEST

START_TEST(a_file_that_has_the_name_and_is_not_the_same_stays_and_so_does_the_dump)
{
	int fd, r;

	drain_fixture_format(&f, _i / 2);
	f.drain.keep = true;
	ck_assert_int_eq(drain_fixture_run(&f), 0);
	f.drain.keep = false;
	fd = openat(f.place.fd, f.name, O_RDWR | O_CLOEXEC);
	if (_i % 2)
		ck_assert_int_eq(ftruncate(fd, lseek(fd, 0, SEEK_END) - 1), 0);
	else
		ck_assert_int_eq(pwrite(fd, "another", 7, 5000), 7);
	close(fd);
	r = drain_fixture_run(&f);
	ck_assert_msg(r == -EEXIST, "%d: %s", r, f.why);
	ck_assert(drain_fixture_source_is_there(&f));
	ck_assert_uint_eq(place_nr_files(&f.place), 1);
}
END_TEST

START_TEST(a_dump_is_not_its_own_copy)
{
	f.drain.dir_fd = f.dump.dir_fd;
	if (_i) { /* another name of it, or a link to it */
		ck_assert_int_eq(unlinkat(f.dump.dir_fd, "pristine", 0), 0);
		ck_assert_int_eq(symlinkat(DRAIN_SOURCE_FILE, f.place.fd, f.name), 0);
		f.drain.dir_fd = f.place.fd;
	}
	ck_assert_int_eq(drain_fixture_run(&f), -EEXIST);
	ck_assert(drain_fixture_source_is_there(&f));
}
END_TEST

START_TEST(a_dump_that_somebody_works_on_is_left_alone)
{
	int fd = openat(f.dump.dir_fd, DRAIN_SOURCE_FILE, O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(publish_lock(fd), 0);
	ck_assert_int_eq(drain_fixture_run(&f), -EBUSY);
	ck_assert_int_eq(f.step, DRAIN_SOURCE);
	close(fd);
	ck_assert_int_eq(drain_fixture_run(&f), 0);
}
END_TEST

START_TEST(what_is_not_whole_is_never_drained)
{
	drain_fixture_spoil(&f, _i);
	ck_assert_int_eq(drain_fixture_run(&f), -EINVAL);
	ck_assert_int_eq(f.step, DRAIN_SOURCE);
	ck_assert_uint_eq(place_nr_files(&f.place), 0);
	ck_assert(drain_fixture_source_is_there(&f));
}
END_TEST

START_TEST(a_format_that_cannot_be_compared_is_refused)
{
	f.drain.format = save_find_format("virtual");
	ck_assert_int_eq(drain_fixture_run(&f), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(f.why, "virtual"));
}
END_TEST

Suite *suite_drain(void)
{
	Suite *suite = suite_create("drain");
	TCase *tc = tcase_create("drain");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_dump_is_on_the_disk_and_goes_from_memory_only_if_it_is_to, 0, 6);
	tcase_add_test(tc, what_is_left_under_partial_names_goes_with_the_dump);
	tcase_add_test(tc, it_is_durable_and_compared_before_it_has_a_name);
	tcase_add_test(tc, the_pace_holds_writing_and_reading_back);
	tcase_add_test(tc, memory_is_wanted_as_it_fills);
	tcase_add_test(tc, a_source_that_is_removed_meanwhile_is_on_the_disk);
	tcase_add_test(tc, another_file_under_the_name_of_the_source_stays);
	tcase_add_test(tc, a_directory_that_goes_away_costs_nothing);
	tcase_add_test(tc, a_name_that_is_taken_meanwhile_is_anothers);
	tcase_add_test(tc, the_source_is_in_use_as_long_as_it_is_read);
	tcase_add_loop_test(tc, a_copy_that_is_there_counts_if_it_is_the_same, 0, 3);
	tcase_add_loop_test(
		tc, a_file_that_has_the_name_and_is_not_the_same_stays_and_so_does_the_dump, 0, 6);
	tcase_add_loop_test(tc, a_dump_is_not_its_own_copy, 0, 2);
	tcase_add_test(tc, a_dump_that_somebody_works_on_is_left_alone);
	tcase_add_loop_test(tc, what_is_not_whole_is_never_drained, 0, 2);
	tcase_add_test(tc, a_format_that_cannot_be_compared_is_refused);
	suite_add_tcase(suite, tc);
	return suite;
}
