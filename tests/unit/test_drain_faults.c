/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_drain_faults.c - a dump goes from memory to a disk, and whatever call fails, whatever is killed: it is whole in
 * one of the two places, and nothing has its name that is not.
 */
#include "tests/unit/drain_fixture.h"
#include "tests/unit/io_recorder.h"
#include "tests/unit/suites.h"

#include "dump/files/publish.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

static unsigned calls, fail_nth;
static int fail_error; /* 0: it does half of what it is to */

static int fail_one(enum io_call call, size_t *len)
{
	if (++calls != fail_nth)
		return 0;
	if (!fail_error)
		*len -= *len / 2;
	/* what is never interrupted fails for another reason */
	return fail_error == EINTR && call != IO_PREAD && call != IO_PWRITE ? EIO : fail_error;
}

/* All calls of a run one after the other; of the hundreds that an LZ4 file takes for its table, some. */
static unsigned next_call(unsigned nth)
{
	return nth + (nth < 40 ? 1 : 17);
}

/* True if the @nth call was made. */
static bool run_with_fault(unsigned nth, int error, int *ret)
{
	calls = 0;
	fail_nth = nth;
	fail_error = error;
	io_test_hook = fail_one;
	*ret = drain_fixture_run(&f);
	io_test_hook = NULL;
	return calls >= nth;
}

static const struct {
	int error;
	int format;
	bool on_disk; /* which takes its time */
} faults[] = {
	{EIO, 0, true},
	{EIO, 1, false},
	{EIO, 2, true},
	{EIO, 0, false},
	{ENOSPC, 0, false},
	{EINTR, 0, false},
	{EINTR, 2, false},
	{0, 0, true},
	{0, 1, false},
	{0, 2, false},
};

START_TEST(whatever_call_fails_the_dump_is_whole_in_one_place)
{
	int error = faults[_i].error, r;
	unsigned failures = 0;

	if (!faults[_i].on_disk) {
		drain_fixture_fini(&f);
		drain_fixture_init(&f, drain_in_memory);
	}
	drain_fixture_format(&f, faults[_i].format);
	for (unsigned nth = 1; run_with_fault(nth, error, &r); nth = next_call(nth)) {
		failures += r != 0;
		drain_fixture_check(&f, r);
		ck_assert_msg(r || error != EIO, "call %u failed, and nobody noticed", nth);
		/* once more, with everything in order */
		if (r && nth % 8 == 1) {
			ck_assert_msg(!drain_fixture_source_is_there(&f) || !drain_fixture_run(&f),
				"call %u: %s", nth, f.why);
			ck_assert(drain_fixture_copy_is_whole(&f));
		}
		drain_fixture_again(&f);
	}
	ck_assert_int_eq(r, 0); /* beyond the last call */
	/* half a call, or one that is interrupted, is no reason to fail where a call can be that */
	ck_assert_msg(error == EIO ? failures > 10 : error || !failures, "%u", failures);
}
END_TEST

static int die_at(enum io_call call, size_t *len)
{
	(void)call;
	(void)len;
	if (++calls == fail_nth)
		_exit(9);
	return 0;
}

/* True if it was killed. */
static bool run_and_kill(unsigned nth)
{
	pid_t child;
	int status;

	drain_fixture_open(&f);
	fflush(NULL);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) { /* which asserts nothing: that is the parent's */
		calls = 0;
		fail_nth = nth;
		io_test_hook = die_at;
		f.drain.proc_fd = publish_proc_open(); /* the parent's is of its own files */
		_exit(drain_run(&f.drain, &f.step, f.why, sizeof(f.why)) ? 1 : 0);
	}
	reader_close(f.drain.reader);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
	return WEXITSTATUS(status) == 9;
}

START_TEST(wherever_it_is_killed_the_dump_is_whole_in_one_place_and_the_next_one_goes_on)
{
	if (_i) { /* one of them is enough for a disk */
		drain_fixture_fini(&f);
		drain_fixture_init(&f, drain_in_memory);
	}
	drain_fixture_format(&f, _i);
	for (unsigned nth = 1; run_and_kill(nth); nth = next_call(nth)) {
		drain_fixture_check(&f, -1);
		if (drain_fixture_source_is_there(&f))
			ck_assert_msg(!drain_fixture_run(&f), "call %u: %s", nth, f.why);
		ck_assert(drain_fixture_copy_is_whole(&f) && !drain_fixture_source_is_there(&f));
		drain_fixture_again(&f);
	}
	ck_assert(drain_fixture_copy_is_whole(&f) && !drain_fixture_source_is_there(&f));
}
END_TEST

START_TEST(a_disk_that_has_failed_is_not_asked_again)
{
	drain_fixture_need_disk(&f);
	io_recorder_start(IO_SYNC, 1, EIO);
	ck_assert_int_eq(drain_fixture_run(&f), -EIO);
	io_recorder_stop();
	ck_assert_int_eq(f.step, DRAIN_DURABLE);
	ck_assert_uint_eq(io_recorder_calls(IO_SYNC), 1);
	drain_fixture_check(&f, -EIO);
	/* the next one begins with a new file */
	io_recorder_start(IO_NR_CALLS, 0, 0);
	ck_assert_int_eq(drain_fixture_run(&f), 0);
	io_recorder_stop();
	ck_assert_uint_ge(io_recorder_calls(IO_TMPFILE), 1);
}
END_TEST

/* Turns a bit of the file without a name, as a disk that lies would: before it is brought there for good. */
static int bit_percent;

static int turn_a_bit(enum io_call call, size_t *len)
{
	struct stat st;
	unsigned char byte;
	off_t at;
	int fd;

	(void)len;
	if (call != IO_SYNC || calls++)
		return 0;
	fd = drain_fixture_open_unnamed(&f);
	ck_assert(!fstat(fd, &st) && st.st_size);
	at = (st.st_size - 1) * bit_percent / 100;
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
	return 0;
}

START_TEST(a_bit_that_the_disk_gives_back_wrongly_is_seen)
{
	static const int percents[] = {0, 1, 50, 100};
	int r;

	drain_fixture_need_disk(&f);
	drain_fixture_format(&f, _i % 3);
	bit_percent = percents[_i / 3];
	calls = 0;
	io_test_hook = turn_a_bit;
	r = drain_fixture_run(&f);
	io_test_hook = NULL;
	ck_assert_msg(r == -EBADMSG, "%d %s: %s", r, drain_step_name(f.step), f.why);
	ck_assert_int_eq(f.step, DRAIN_VERIFY);
	ck_assert_ptr_nonnull(strstr(f.why, "gives back"));
	drain_fixture_check(&f, r);
	ck_assert_uint_eq(place_nr_files(&f.place), 0);
}
END_TEST

START_TEST(a_full_disk_leaves_nothing_and_the_dump_stays)
{
	drain_fixture_fini(&f);
	if (!drain_fixture_init(&f, "size=256k")) {
		printf("SKIP a full disk: mounting a tmpfs needs privileges\n");
		return;
	}
	drain_fixture_format(&f, _i);
	ck_assert_int_eq(drain_fixture_run(&f), -ENOSPC);
	drain_fixture_check(&f, -ENOSPC);
	ck_assert_uint_eq(place_nr_files(&f.place), 0);
}
END_TEST

Suite *suite_drain_faults(void)
{
	Suite *suite = suite_create("drain faults");
	TCase *tc = tcase_create("faults");

	tcase_set_timeout(tc, 120); /* a disk that others use takes its time */
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, whatever_call_fails_the_dump_is_whole_in_one_place, 0, ARRAY_LEN(faults));
	tcase_add_loop_test(
		tc, wherever_it_is_killed_the_dump_is_whole_in_one_place_and_the_next_one_goes_on, 0, 3);
	tcase_add_test(tc, a_disk_that_has_failed_is_not_asked_again);
	tcase_add_loop_test(tc, a_bit_that_the_disk_gives_back_wrongly_is_seen, 0, 12);
	tcase_add_loop_test(tc, a_full_disk_leaves_nothing_and_the_dump_stays, 0, 3);
	suite_add_tcase(suite, tc);
	return suite;
}
