/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dump_ways.c - every way of dumping keeps the same promises: strategy x sink x selector x
 * order x workers give the same pages, the same holes and the same names; also when the engine is killed
 * in the middle and another one goes on.
 */
#include "tests/unit/chance.h"
#include "tests/unit/dump_ways.h"
#include "tests/unit/suites.h"

#include "dump/base/io.h"
#include "dump/dumper/dumper.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
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

/* Until the engine's process has been killed, or has ended. */
#define TO_ITS_END 0

static int linked_fd = -1; /* in the child */

static void tell_linked(struct dump_engine *engine, enum dump_notice notice)
{
	(void)engine;
	if (notice == DUMP_NOTICE_LINKED && write(linked_fd, "", 1) != 1)
		_exit(3);
}

/* When a process is killed: @us microseconds after its start, or after its files have their names. */
struct moment {
	bool after_linked;
	unsigned us; /* TO_ITS_END: never */
};

/*
 * The engine in a process of its own, killed at the moment, or left to its end.
 * Result: true if it was killed before its end.
 */
static bool run_and_kill(struct dump_fixture *f, struct moment moment, bool resume, int given)
{
	struct dump_engine engine = fixture_engine(f);
	int status, ends[2];
	pid_t child;
	char byte;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		engine.proc_fd = publish_proc_open(); /* the parent's shows the parent's files */
		engine.resume = resume;
		engine.given_dump_fd = given;
		engine.notify = tell_linked;
		linked_fd = ends[1];
		_exit(dump_engine_run(&engine) ? 1 : 0);
	}
	close(ends[1]);
	if (moment.after_linked)
		(void)!read(ends[0], &byte, 1);
	if (moment.us != TO_ITS_END) {
		usleep(moment.us);
		kill(child, SIGKILL);
	}
	close(ends[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) || !WEXITSTATUS(status));
	return WIFSIGNALED(status);
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

static bool setup_small_chunks(struct dump_fixture *f, const struct way *way)
{
	if (!way_setup(f, way))
		return false;
	f->record->options.chunk = way->huge ? MIB(2) : KIB(64);
	return true;
}

/* What a dump takes here and now that nobody kills, in microseconds; 0 = cannot be done here. */
static unsigned duration_of(const struct way *way)
{
	struct dump_fixture f;
	uint64_t start;

	if (!setup_small_chunks(&f, way))
		return 0;
	start = clock_mono_ns();
	run_and_kill(&f, (struct moment){.us = TO_ITS_END}, false, -1);
	start = clock_mono_ns() - start;
	fixture_fini(&f);
	return (unsigned)(start / 1000) + 1;
}

/*
 * One killed twice, at random moments, and then left to work to the end.
 * Result: true if the first kill came in the middle of a dump: it had its name, and not yet the final one.
 */
static bool kill_and_resume(const struct way *way, unsigned us, int try)
{
	/* any moment; or soon after the files have names, of some tries very soon: what follows may take little time */
	struct moment first = {
		.after_linked = try % 2, .us = (unsigned)chance_below((us >> try % 8) + 1) + 1};
	struct moment second = {.us = (unsigned)chance_below(us) + 1};
	struct publish_names names;
	struct dump_fixture f;
	bool hit;
	int left;

	ck_assert(setup_small_chunks(&f, way));
	way_names(way, &names);
	hit = run_and_kill(&f, first, false, -1);
	hit = hit && fixture_exists(&f, names.region_partial) && !fixture_exists(&f, names.final);
	left = open_what_is_left(&f, way);
	run_and_kill(&f, second, true, left);
	if (left >= 0)
		close(left);
	resume(&f, way);
	fixture_fini(&f);
	return hit;
}

/*
 * So many kills in the middle of a dump are wanted, and so many tries made for them; one at least is needed,
 * but of a strategy that moves nothing and is done within some microseconds.
 */
#define HITS 3
#define TRIES 60

START_TEST(an_engine_that_is_killed_at_any_moment_is_replaced_by_one_that_goes_on)
{
	const struct way *way = &ways[_i];
	unsigned us = duration_of(way);
	int hits = 0;

	if (!us)
		return;
	chance_begin("kill", _i);
	for (int i = 0; i < TRIES && hits < HITS; i++)
		hits += kill_and_resume(way, us, i);
	ck_assert_msg(hits || !strcmp(way->strategy, "remap"), "no kill came in the middle of a dump");
}
END_TEST

/* ---- the same with dumpers, in their sandbox ------------------------------------------------------------- */

static struct dumper_event last_event(struct dumper *dumper)
{
	struct dumper_event event = {0};
	int r;

	do {
		struct pollfd poll_fd = {.fd = dumper->socket, .events = POLLIN};

		ck_assert_int_eq(poll(&poll_fd, 1, 20000), 1);
		r = dumper_receive(dumper, &event);
		ck_assert_msg(r >= 0, "the dumper is gone");
	} while (event.type != DUMPER_DONE && event.type != DUMPER_FAILED);
	return event;
}

START_TEST(a_dumper_that_is_killed_is_replaced_by_one_that_goes_on)
{
	const struct way *way = &ways[_i];
	struct dumper_files files = {.fallback_dir = -1, .dump = -1};
	struct dumper_event event;
	struct dump_fixture f;
	struct dumper dumper;

	if (!setup_small_chunks(&f, way))
		return;
	chance_begin("dumper", _i);
	files.record = f.record_fd;
	files.region = f.region_fd;
	files.region_dir = files.dir = f.dir_fd;
	ck_assert_int_eq(dumper_spawn(&dumper), 0);
	ck_assert_int_eq(dumper_start(&dumper, &files), 0);
	usleep((unsigned)chance_below(12000)); /* starting takes half of that, the dump the rest */
	kill(dumper.pid, SIGKILL);
	waitpid(dumper.pid, NULL, 0);
	dumper.pid = 0;
	dumper_fini(&dumper);
	files.resume = true;
	files.dump = open_what_is_left(&f, way);
	ck_assert_int_eq(dumper_spawn(&dumper), 0);
	ck_assert_int_eq(dumper_start(&dumper, &files), 0);
	event = last_event(&dumper);
	ck_assert_msg(event.type == DUMPER_DONE, "%s", event.text);
	dumper_fini(&dumper);
	if (files.dump >= 0)
		close(files.dump);
	way_check(&f, way, f.dir_fd);
	fixture_fini(&f);
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
	tcase_add_loop_test(tc, a_dumper_that_is_killed_is_replaced_by_one_that_goes_on, 0, nr_ways);
	suite_add_tcase(suite, tc);
	return suite;
}
