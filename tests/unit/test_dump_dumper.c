/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dump_dumper.c - the dumper process from end to end, in its sandbox: a dump, rubbish,
 * the death of either side in mid-dump.  The test program itself is executed as the dumper.
 */
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"

#include "dump/base/io.h"
#include "dump/dumper/dumper.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REGION_PARTIAL "guest-test-g0.region.partial"
#define DUMP_PARTIAL "guest-test-g0.vmcore.partial"
#define FINAL "guest-test-g0.vmcore"
#define SEED 99
#define WAIT_MS 20000

static struct dump_fixture f;
static struct dumper dumper;

/* A dump of 64 MiB in chunks of 64 KiB takes about 50 ms: time to kill somebody. */
#define PAGES (16ull << 10)

static void setup(void)
{
	fixture_init(&f, PAGES * 4096, GIB(3), 2);
	fixture_fill(&f, 0, PAGES, SEED);
	f.record->options.chunk = KIB(64);
	ck_assert_int_eq(dumper_spawn(&dumper), 0);
}

static void teardown(void)
{
	dumper_fini(&dumper);
	fixture_fini(&f);
}

/* dumper_start with the files that every dump has. */
static int start(struct dumper *to, int record_fd, int region_fd, int dir_fd)
{
	const struct dumper_files files = {.record = record_fd,
		.region = region_fd,
		.region_dir = dir_fd,
		.dir = dir_fd,
		.fallback_dir = -1,
		.dump = -1};

	return dumper_start(to, &files);
}

/* The next event, or -EPIPE, or what is wrong with the message. */
static int next_event(struct dumper_event *event)
{
	struct pollfd poll_fd = {.fd = dumper.socket, .events = POLLIN};

	ck_assert_int_eq(poll(&poll_fd, 1, WAIT_MS), 1);
	return dumper_receive(&dumper, event);
}

/* Reads events up to one of @type or to the end of the dumper. */
static int wait_for(uint32_t type, struct dumper_event *event)
{
	int r;

	do
		r = next_event(event);
	while (r == 1 && event->type != type && event->type != DUMPER_FAILED && event->type != DUMPER_DONE);
	return r;
}

static void check_final_pages(void)
{
	int fd = fixture_open(&f, FINAL);

	ck_assert_uint_eq(fixture_bad_pages(fd, f.layout.head, 0, PAGES, SEED), 0);
	close(fd);
}

static void check_final(void)
{
	check_final_pages();
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
}

START_TEST(a_crash_is_dumped_by_another_process_and_reported)
{
	struct dumper_event event;
	unsigned progress = 0;
	uint64_t done = 0;
	int r;

	f.record->options.workers = 3; /* thread creation inside the sandbox */
	ck_assert_int_eq(start(&dumper, f.record_fd, f.region_fd, f.dir_fd), 0);
	ck_assert(dumper.busy);
	ck_assert_int_eq(next_event(&event), 1);
	ck_assert_uint_eq(event.type, DUMPER_LINKED);
	while ((r = next_event(&event)) == 1 && event.type == DUMPER_PROGRESS) {
		ck_assert_uint_ge(event.done, done);
		ck_assert_uint_eq(event.total, PAGES * 4096);
		done = event.done;
		progress++;
	}
	ck_assert_int_eq(r, 1);
	ck_assert_msg(event.type == DUMPER_DONE, "%s", event.text);
	ck_assert_uint_ge(progress, 2);
	ck_assert_uint_le(progress, 100);
	ck_assert_uint_eq(done, PAGES * 4096);
	ck_assert_uint_eq(event.released, PAGES * 4096);
	ck_assert_uint_ge(event.file_bytes, PAGES * 4096);
	ck_assert(!dumper.busy);
	ck_assert_uint_gt(f.record->moments[DUMP_MOMENT_PUBLISHED], 0);
	check_final();
}
END_TEST

START_TEST(one_dumper_serves_one_crash_after_another)
{
	struct dumper_event event;

	for (int i = 0; i < 3; i++) {
		snprintf(f.record->name, sizeof(f.record->name), "guest-test-g%d", i);
		f.record->generation = (uint32_t)i;
		if (i)
			fixture_fill(&f, 0, PAGES, SEED + (uint64_t)i);
		ck_assert_int_eq(start(&dumper, f.record_fd, f.region_fd, f.dir_fd), 0);
		ck_assert_int_eq(wait_for(DUMPER_DONE, &event), 1);
		/* one region can be linked only once: its link count falls to 0 when it is published */
		if (i) {
			ck_assert_uint_eq(event.type, DUMPER_FAILED);
			ck_assert_int_eq(event.status, -ENOENT);
			ck_assert_ptr_nonnull(strstr(event.text, "region.partial"));
		} else {
			ck_assert_uint_eq(event.type, DUMPER_DONE);
		}
		ck_assert_uint_eq(event.generation, (uint32_t)i);
	}
}
END_TEST

START_TEST(an_idle_dumper_exits_when_the_vmm_goes)
{
	pid_t pid = dumper.pid;

	dumper_fini(&dumper);
	ck_assert_int_eq(kill(pid, 0), -1);
	ck_assert_int_eq(errno, ESRCH);
	ck_assert_int_eq(dumper.socket, -1);
}
END_TEST

START_TEST(the_idle_dumper_holds_no_capability_and_no_other_file)
{
	char path[64], line[256];
	unsigned fds = 0;
	FILE *status;
	struct dumper_event event;

	/* An answer to rubbish shows that it is in its sandbox. */
	ck_assert_int_eq(send(dumper.socket, "x", 1, 0), 1);
	ck_assert_int_eq(next_event(&event), 1);
	snprintf(path, sizeof(path), "/proc/%d/status", dumper.pid);
	status = fopen(path, "re");
	while (fgets(line, sizeof(line), status)) {
		if (!strncmp(line, "CapEff:", 7) || !strncmp(line, "CapPrm:", 7) ||
			!strncmp(line, "CapBnd:", 7) || !strncmp(line, "CapInh:", 7) ||
			!strncmp(line, "CapAmb:", 7))
			ck_assert_msg(!strtoull(line + 8, NULL, 16) || geteuid(), "%s", line);
		if (!strncmp(line, "NoNewPrivs:", 11))
			ck_assert_int_eq(atoi(line + 11), 1);
	}
	fclose(status);
	for (int fd = 0; fd < 64; fd++) {
		char target[64];

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", dumper.pid, fd);
		fds += readlink(path, target, sizeof(target)) > 0;
	}
	ck_assert_uint_eq(fds, 5); /* stdin, stdout, stderr, socket, /proc/self/fd */
}
END_TEST

START_TEST(rubbish_and_refused_requests_are_answered_and_survived)
{
	struct dumper_event event;
	int pipe_fds[2];

	ck_assert_int_eq(send(dumper.socket, "rubbish", 7, 0), 7);
	ck_assert_int_eq(next_event(&event), 1);
	ck_assert_uint_eq(event.type, DUMPER_FAILED);
	ck_assert_int_eq(event.status, -EPROTO);
	ck_assert_int_eq(pipe(pipe_fds), 0);
	ck_assert_int_eq(start(&dumper, pipe_fds[0], f.region_fd, f.dir_fd), 0);
	ck_assert_int_eq(next_event(&event), 1);
	ck_assert_int_eq(event.status, -EINVAL);
	ck_assert_int_eq(start(&dumper, f.record_fd, pipe_fds[1], f.dir_fd), 0);
	ck_assert_int_eq(next_event(&event), 1);
	ck_assert_ptr_nonnull(strstr(event.text, "the region"));
	ck_assert_int_eq(start(&dumper, f.record_fd, f.region_fd, pipe_fds[1]), 0);
	ck_assert_int_eq(next_event(&event), 1);
	ck_assert_ptr_nonnull(strstr(event.text, "directory"));
	ck_assert_int_eq(ftruncate(f.region_fd, 4096), 0);
	ck_assert_int_eq(start(&dumper, f.record_fd, f.region_fd, f.dir_fd), 0);
	ck_assert_int_eq(next_event(&event), 1);
	ck_assert_ptr_nonnull(strstr(event.text, "size"));
	ck_assert_uint_eq(fixture_nr_files(&f), 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}
END_TEST

/* Every page is in the dump if its chunk is marked, else in the region. */
static void check_partials(void)
{
	int dump = fixture_open(&f, DUMP_PARTIAL), region = fixture_open(&f, REGION_PARTIAL);
	uint64_t per_chunk = KIB(64) / 4096;
	uint64_t table = f.layout.head + f.layout.ram + (PAGES / 8 + 4095) / 4096 * 4096;

	for (uint64_t i = 0; i < PAGES / per_chunk; i++) {
		unsigned char state;

		ck_assert_int_eq(pread(dump, &state, 1, (off_t)(table + i)), 1);
		ck_assert_uint_eq(fixture_bad_pages(state ? dump : region, f.layout.head, i * per_chunk,
					  per_chunk, SEED),
			0);
	}
	close(dump);
	close(region);
}

START_TEST(a_dumper_killed_in_mid_dump_leaves_partials_that_hold_every_page)
{
	struct dumper_event event;
	int r;

	ck_assert_int_eq(start(&dumper, f.record_fd, f.region_fd, f.dir_fd), 0);
	ck_assert_int_eq(wait_for(DUMPER_PROGRESS, &event), 1);
	/* the loop number moves the kill over the whole dump */
	while (_i && f.record->moments[DUMP_MOMENT_FIRST_RELEASE] + (uint64_t)_i * NSEC_PER_MSEC * 4 >
			     clock_mono_ns())
		sched_yield();
	kill(dumper.pid, SIGKILL);
	ck_assert_int_eq(waitpid(dumper.pid, NULL, 0), dumper.pid);
	dumper.pid = 0;
	while ((r = dumper_receive(&dumper, &event)) == 1)
		;
	ck_assert_int_eq(r, -EPIPE);
	if (fixture_exists(&f, FINAL))
		check_final_pages(); /* faster than the kill; the .partial names may still be there */
	else
		check_partials();
}
END_TEST

/* Waits until @name is there; false after the longest time a dump can take. */
static bool wait_for_name(const char *name)
{
	uint64_t end = clock_mono_ns() + WAIT_MS * NSEC_PER_MSEC;

	while (!fixture_exists(&f, name) && clock_mono_ns() < end)
		poll(NULL, 0, 1);
	return fixture_exists(&f, name);
}

START_TEST(a_dump_is_finished_and_published_although_the_vmm_is_gone)
{
	pid_t pid = dumper.pid;

	ck_assert_int_eq(start(&dumper, f.record_fd, f.region_fd, f.dir_fd), 0);
	close(dumper.socket);
	dumper.socket = -1;
	ck_assert(wait_for_name(FINAL));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	dumper.pid = 0;
	check_final();
}
END_TEST

START_TEST(a_vmm_that_reads_no_events_does_not_hold_up_the_dump)
{
	ck_assert_int_eq(start(&dumper, f.record_fd, f.region_fd, f.dir_fd), 0);
	ck_assert(wait_for_name(FINAL));
}
END_TEST

/* The other end of the socket in the test's own hands: a dumper that its input has taken over. */
START_TEST(a_message_that_is_no_event_is_refused)
{
	struct dumper fake = {.pid = 0};
	struct dumper_event event = {.type = DUMPER_DONE}, got;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	fake.socket = pair[0];
	ck_assert_int_eq(dumper_receive(&fake, &got), 0);
#define SENT(result)                                                                                       \
	do {                                                                                               \
		ck_assert(send(pair[1], &event, sizeof(event), 0) > 0);                                    \
		ck_assert_int_eq(dumper_receive(&fake, &got), result);                                     \
	} while (0)
	SENT(1);
	event.type = 0;
	SENT(-EPROTO);
	event.type = 77;
	SENT(-EPROTO);
	event = (struct dumper_event){.type = DUMPER_PROGRESS, .done = 2, .total = 1};
	SENT(-EPROTO);
	event = (struct dumper_event){.type = DUMPER_PROGRESS, .total = UINT64_MAX};
	SENT(-EPROTO);
	event = (struct dumper_event){.type = DUMPER_FAILED, .status = 1};
	SENT(-EPROTO);
	event = (struct dumper_event){.type = DUMPER_FAILED, .status = INT32_MIN};
	SENT(-EPROTO);
	event = (struct dumper_event){.type = DUMPER_FAILED, .status = -EIO};
	memset(event.text, '\033', sizeof(event.text));
	SENT(1);
	ck_assert_uint_eq(strlen(got.text), sizeof(got.text) - 1);
	ck_assert_int_eq(got.text[0], '?');
	ck_assert_int_eq(send(pair[1], &event, 3, 0), 3);
	ck_assert_int_eq(dumper_receive(&fake, &got), -EPROTO);
	close(pair[1]);
	ck_assert_int_eq(dumper_receive(&fake, &got), -EPIPE);
	close(pair[0]);
#undef SENT
}
END_TEST

START_TEST(fini_accepts_a_dumper_that_never_was)
{
	struct dumper none;

	dumper_init(&none);
	dumper_fini(&none);
	dumper_fini(&none);
}
END_TEST

Suite *suite_dump_dumper(void)
{
	Suite *suite = suite_create("dump dumper");
	TCase *tc = tcase_create("dumper");
	TCase *alone = tcase_create("client");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_crash_is_dumped_by_another_process_and_reported);
	tcase_add_test(tc, one_dumper_serves_one_crash_after_another);
	tcase_add_test(tc, an_idle_dumper_exits_when_the_vmm_goes);
	tcase_add_test(tc, the_idle_dumper_holds_no_capability_and_no_other_file);
	tcase_add_test(tc, rubbish_and_refused_requests_are_answered_and_survived);
	tcase_add_loop_test(tc, a_dumper_killed_in_mid_dump_leaves_partials_that_hold_every_page, 0, 10);
	tcase_add_test(tc, a_dump_is_finished_and_published_although_the_vmm_is_gone);
	tcase_add_test(tc, a_vmm_that_reads_no_events_does_not_hold_up_the_dump);
	tcase_add_test(alone, a_message_that_is_no_event_is_refused);
	tcase_add_test(alone, fini_accepts_a_dumper_that_never_was);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, alone);
	return suite;
}
