/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dumper_lies.c - a dumper that its input has taken over, against vmm/jobs: it lies in every field of its
 * messages and of the crash record, repeats itself, goes back, closes its socket and lives on.
 *
 * The test itself speaks for the dumper; the process behind it is a child that does nothing.
 */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/chance.h"
#include "tests/unit/dump_fixture.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "vmm/jobs/jobs.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define RAM MIB(16)

static struct dump_fixture f;
static struct config config;
static struct events events;
static struct jobs jobs;
static struct vm vm;
static struct dump_job *job;
static int theirs;    /* the dumper's end of its socket */
static unsigned told; /* times that the owner was told of names, or of memory */

static void tell(void *opaque, enum jobs_news news, const struct dump_job *of)
{
	(void)opaque;
	(void)of;
	told += news == JOBS_LINKED;
}

static void count_line(void *opaque, const char *line, size_t len)
{
	(void)len;
	*(unsigned *)opaque += strstr(line, "\"dump-linked\"") != NULL;
}

static void give_dumper(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	jobs.dumper.socket = pair[0];
	theirs = pair[1];
	jobs.dumper.pid = fork();
	if (!jobs.dumper.pid) {
		close(pair[0]);
		close(pair[1]);
		for (;;)
			pause();
	}
	jobs.dumper.busy = true;
	job->sent = true;
}

static void setup(void)
{
	static char guest[] = "guest", none[] = "";

	fixture_init(&f, RAM, GIB(3), 2);
	config = (struct config){.vm = {.name = guest, .memory = RAM, .memory_dir = f.dir},
		.dump = {.enabled = true,
			.dir = f.dir,
			.select = 1,
			.chunk = PAGE_SIZE_2M,
			.fallback_dir = none}};
	ck_assert_int_eq(events_open(&events, NULL), 0);
	jobs_init(&jobs);
	jobs_open(&jobs, &(struct jobs_setup){.config = &config,
				 .events = &events,
				 .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
				 .dir_fd = f.dir_fd,
				 .dump_dir_fd = f.dir_fd,
				 .fallback_dir_fd = f.dir_fd,
				 .released_fd = -1,
				 .tell = tell});
	vm = (struct vm){.record = f.record, .record_fd = f.record_fd, .generation = 3};
	vm.region.fd = f.region_fd;
	vm.region.layout = f.layout;
	job = jobs_add(&jobs, &vm, &(struct vm_end){.reason = DUMP_REASON_PANIC, .ns = clock_mono_ns()});
	ck_assert_ptr_nonnull(job);
	give_dumper();
	told = 0;
}

static void teardown(void)
{
	jobs.abandon = true;
	jobs_fini(&jobs);
	close(theirs);
	fixture_fini(&f);
}

static void say(const struct dumper_event *event)
{
	ck_assert_int_eq(send(theirs, event, sizeof(*event), MSG_NOSIGNAL), sizeof(*event));
}

static struct dumper_event honest(enum dumper_event_type type)
{
	return (struct dumper_event){.type = type,
		.generation = 3,
		.status = type == DUMPER_FAILED ? -EIO : 0,
		.done = MIB(8),
		.total = RAM,
		.released = MIB(4),
		.dumped = MIB(4)};
}

/* ---- messages ----------------------------------------------------------------------------------- */

#define FIELD(name) #name, offsetof(struct dumper_event, name), sizeof(((struct dumper_event *)0)->name)

static const struct {
	const char *name;
	size_t offset, size;
} fields[] = {{FIELD(type)}, {FIELD(generation)}, {FIELD(status)}, {FIELD(fallback)}, {FIELD(done)},
	{FIELD(total)}, {FIELD(released)}, {FIELD(dumped)}, {FIELD(file_bytes)}, {FIELD(excluded)},
	{FIELD(reasons)}, {FIELD(distrusted)}, {FIELD(pad2)}, {FIELD(text)}};

enum lie { ZERO, MAX, CHANCE, BACKWARDS, NR_LIES };

static void lie(struct dumper_event *event, size_t field, enum lie how)
{
	unsigned char *at = (unsigned char *)event + fields[field].offset;

	for (size_t i = 0; i < fields[field].size; i++)
		at[i] = how == ZERO ? 0 : how == MAX ? 0xff : (unsigned char)chance_below(256);
	if (how == BACKWARDS) { /* a small number, where a larger one was before */
		memset(at, 0, fields[field].size);
		at[0] = 1;
	}
}

static void check_numbers(void)
{
	const struct dumper_event *last = &job->last;

	ck_assert_uint_le(last->total, RAM);
	ck_assert(
		last->done <= last->total && last->released <= last->total && last->dumped <= last->total);
}

START_TEST(no_message_with_a_lie_in_any_field_gets_further_than_the_log)
{
	static const enum dumper_event_type types[] = {
		DUMPER_LINKED, DUMPER_PROGRESS, DUMPER_DONE, DUMPER_FAILED};
	size_t field = (size_t)_i / NR_LIES;
	enum lie how = (enum lie)((size_t)_i % NR_LIES);

	stderr_capture();
	jobs.abandon = true; /* no other dumper */
	for (size_t i = 0; i < ARRAY_LEN(types) && jobs.dumper.socket >= 0 && !job->finished; i++) {
		struct dumper_event event = honest(DUMPER_PROGRESS);

		say(&event);
		event = honest(types[i]);
		lie(&event, field, how);
		say(&event);
		jobs_receive(&jobs);
		check_numbers();
	}
	jobs_retire(&jobs);
	free(stderr_text());
}
END_TEST

START_TEST(messages_of_another_size_end_the_dumper)
{
	static const size_t sizes[] = {
		1, 3, sizeof(struct dumper_event) - 1, sizeof(struct dumper_event) + 1, 8192};
	char bytes[8192] = {DUMPER_PROGRESS};
	pid_t pid = jobs.dumper.pid;

	stderr_capture();
	jobs.abandon = true;
	ck_assert_int_eq(send(theirs, bytes, sizes[_i], MSG_NOSIGNAL), (ssize_t)sizes[_i]);
	jobs_receive(&jobs);
	ck_assert(job->finished && job->failed && jobs.dumper.socket < 0);
	free(stderr_text());
	for (int i = 0; i < 5000 && !kill(pid, 0); i++)
		usleep(1000);
	ck_assert_msg(kill(pid, 0) < 0 && errno == ESRCH, "the dumper lives, or is a zombie");
}
END_TEST

START_TEST(counters_that_go_back_or_beyond_the_guests_memory_do_not)
{
	struct dumper_event event = honest(DUMPER_PROGRESS);

	say(&event);
	jobs_receive(&jobs);
	event.done = event.released = event.dumped = MIB(1);
	say(&event);
	event.total = event.done = event.released = event.dumped = DUMP_RAM_MAX;
	jobs_receive(&jobs);
	ck_assert_uint_eq(job->last.done, MIB(8));
	ck_assert_uint_eq(job->last.released, MIB(4));
	say(&event);
	jobs_receive(&jobs);
	ck_assert_uint_eq(job->last.total, RAM);
	ck_assert_uint_eq(job->last.released, RAM);
}
END_TEST

START_TEST(a_flood_of_one_message_is_one_line_and_one_event_and_leaves_the_loop_its_turn)
{
	static char elsewhere[] = "elsewhere";
	struct dumper_event event = honest(DUMPER_LINKED);
	unsigned linked = 0, sent = 0, warnings = 0;
	autofree char *log = NULL;

	config.dump.fallback_dir = elsewhere;
	events.listener = count_line;
	events.opaque = &linked;
	event.fallback = 1;
	strcpy(event.text, "no room");
	stderr_capture();
	fcntl(theirs, F_SETFL, O_NONBLOCK);
	for (int turn = 0; turn < 50; turn++) {
		while (send(theirs, &event, sizeof(event), MSG_NOSIGNAL) > 0)
			sent++;
		jobs_receive(&jobs);
	}
	log = stderr_text();
	for (const char *at = log; (at = strstr(at, "no room")); at++)
		warnings++;
	ck_assert_uint_gt(sent, 50);
	ck_assert_uint_eq(linked, 1);
	ck_assert_uint_eq(told, 1);
	ck_assert_uint_eq(warnings, 1);
}
END_TEST

static void *flood(void *opaque)
{
	struct dumper_event event = honest(DUMPER_PROGRESS);

	(void)opaque;
	while (send(theirs, &event, sizeof(event), MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

START_TEST(a_dumper_that_never_stops_talking_does_not_keep_the_loop)
{
	pthread_t thread;

	stderr_capture();
	ck_assert_int_eq(pthread_create(&thread, NULL, flood, NULL), 0);
	for (int i = 0; i < 100; i++)
		jobs_receive(&jobs); /* comes back */
	dumper_kill(&jobs.dumper);
	pthread_join(thread, NULL);
	free(stderr_text());
}
END_TEST

START_TEST(a_dumper_that_closes_its_socket_and_lives_on_is_ended_and_is_no_zombie)
{
	pid_t pid = jobs.dumper.pid;

	stderr_capture();
	jobs.abandon = true;
	close(theirs);
	for (int i = 0; i < 5000 && jobs.dumper.socket >= 0; i++) {
		jobs_receive(&jobs); /* the child has the socket until it has closed it, too */
		usleep(1000);
	}
	free(stderr_text());
	for (int i = 0; i < 5000 && !kill(pid, 0); i++)
		usleep(1000);
	ck_assert_msg(kill(pid, 0) < 0 && errno == ESRCH, "it lives, or is a zombie");
	theirs = -1;
}
END_TEST

/* ---- the record --------------------------------------------------------------------------------- */

/* True if something is mapped at @at. */
static bool is_mapped(const void *at)
{
	unsigned char there;

	return !mincore((void *)((uintptr_t)at & ~4095ul), 1, &there);
}

START_TEST(whatever_stands_in_the_record_later_the_vmm_reports_and_unmaps_what_it_had)
{
	size_t bytes = dump_record_bytes(2);
	char *mine = (char *)f.record, *jobs_own = (char *)job->record;
	void *behind = mmap(jobs_own + bytes + 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct dumper_event event = honest(DUMPER_DONE);

	stderr_capture();
	for (size_t i = 0; i < bytes; i++)
		mine[i] = _i == ZERO ? 0 : _i == MAX ? (char)0xff : (char)chance_below(256);
	if (_i == BACKWARDS) { /* everything plausible, but for the sizes */
		f.record->nr_cpus = 1;
		f.record->size = 1;
	}
	say(&event);
	jobs_receive(&jobs);
	ck_assert(job->finished && !job->failed);
	jobs_retire(&jobs);
	ck_assert_msg(
		!is_mapped(jobs_own) && !is_mapped(jobs_own + bytes - 1), "the job's mapping is left");
	dump_record_unmap(f.record, f.nr_cpus);
	ck_assert_msg(!is_mapped(mine) && !is_mapped(mine + bytes - 1), "the VM's mapping is left");
	ck_assert_msg(is_mapped(behind), "more was unmapped");
	f.record = NULL;
	free(stderr_text());
}
END_TEST

Suite *suite_dumper_lies(void)
{
	Suite *suite = suite_create("dumper lies");
	TCase *tc = tcase_create("lies");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, no_message_with_a_lie_in_any_field_gets_further_than_the_log, 0,
		(int)(ARRAY_LEN(fields) * NR_LIES));
	tcase_add_loop_test(tc, messages_of_another_size_end_the_dumper, 0, 5);
	tcase_add_test(tc, counters_that_go_back_or_beyond_the_guests_memory_do_not);
	tcase_add_test(tc, a_flood_of_one_message_is_one_line_and_one_event_and_leaves_the_loop_its_turn);
	tcase_add_test(tc, a_dumper_that_never_stops_talking_does_not_keep_the_loop);
	tcase_add_test(tc, a_dumper_that_closes_its_socket_and_lives_on_is_ended_and_is_no_zombie);
	tcase_add_loop_test(
		tc, whatever_stands_in_the_record_later_the_vmm_reports_and_unmaps_what_it_had, 0, NR_LIES);
	suite_add_tcase(suite, tc);
	return suite;
}
