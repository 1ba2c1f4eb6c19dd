/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dump_ways.c - every way of dumping keeps the same promises: strategy x sink x selector x
 * order x workers give the same pages, the same holes and the same names; also when the engine is killed
 * in the middle and another one goes on.
 */
#include "tests/unit/dump_ways.h"
#include "tests/unit/suites.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(every_way_of_dumping_gives_the_same_pages_and_holes)
{
	const struct way *way = &ways[_i];
	struct dump_fixture f;
	struct dump_engine engine;

	if (!way_setup(&f, way))
		return;
	engine = fixture_engine(&f);
	ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
	ck_assert_uint_eq(engine.done, f.layout.ram);
	ck_assert_uint_le(engine.released, f.layout.ram);
	ck_assert_uint_le(engine.dumped, f.layout.ram);
	way_check(&f, way, f.dir_fd);
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
	fixture_fini(&f);
}
END_TEST

/* ---- killed and resumed --------------------------------------------------------------------------------- */

/* The engine in a process of its own, which dies after @us microseconds, or at its end. */
static void run_and_kill(struct dump_fixture *f, unsigned us, bool resume, int given)
{
	struct dump_engine engine = fixture_engine(f);
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (!child) {
		engine.proc_fd = publish_proc_open(); /* the parent's shows the parent's files */
		engine.resume = resume;
		engine.given_dump_fd = given;
		_exit(dump_engine_run(&engine) ? 1 : 0);
	}
	usleep(us);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

/* What the VMM does: the dump under its partial name, or the final one, or nothing. */
static int open_what_is_left(const struct dump_fixture *f, const struct way *way)
{
	struct publish_names names;
	int fd;

	way_names(way, &names);
	fd = openat(f->dir_fd, names.dump_partial, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd : openat(f->dir_fd, names.final, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
}

static void resume(struct dump_fixture *f, const struct way *way)
{
	struct dump_engine engine = fixture_engine(f);

	engine.resume = true;
	engine.given_dump_fd = open_what_is_left(f, way);
	ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
	ck_assert_uint_le(engine.released, f->layout.ram);
	ck_assert_uint_le(engine.dumped, f->layout.ram);
	if (engine.given_dump_fd >= 0)
		close(engine.given_dump_fd);
	way_check(f, way, f->dir_fd);
	ck_assert_uint_eq(fixture_nr_files(f), 1);
}

/* One killed twice, at random moments, and then left to work to the end. */
static void kill_and_resume(const struct way *way)
{
	struct dump_fixture f;
	int left;

	if (!way_setup(&f, way))
		return;
	f.record->options.chunk = way->huge ? MIB(2) : KIB(64);
	run_and_kill(&f, (unsigned)random() % 15000, false, -1);
	left = open_what_is_left(&f, way);
	run_and_kill(&f, (unsigned)random() % 15000, true, left);
	if (left >= 0)
		close(left);
	resume(&f, way);
	fixture_fini(&f);
}

START_TEST(an_engine_that_is_killed_at_any_moment_is_replaced_by_one_that_goes_on)
{
	const struct way *way = &ways[_i];

	srandom((unsigned)getpid());
	for (int i = 0; i < 4; i++)
		kill_and_resume(way);
}
END_TEST

Suite *suite_dump_ways(void)
{
	Suite *suite = suite_create("dump ways");
	TCase *tc = tcase_create("ways");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, every_way_of_dumping_gives_the_same_pages_and_holes, 0, nr_ways);
	tcase_add_loop_test(
		tc, an_engine_that_is_killed_at_any_moment_is_replaced_by_one_that_goes_on, 0, nr_ways);
	suite_add_tcase(suite, tc);
	return suite;
}
