/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_jobs.c - vmm/jobs/: what becomes of each dump is told once and in order, and no job is gone before its
 * owner is done with it.  The dumpers are processes that sleep (main.c); what they say is written here.
 */
#include "dump/base/io.h"
#include "dump/record/choices.h"
#include "tests/unit/suites.h"
#include "vmm/jobs/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RAM MIB(4)
#define WAIT_MS 20000

static char dir[] = "/dev/shm/minivmm-test-XXXXXX";
static char name[] = "guest", memory_dir[] = "/memory", dump_dir[] = "/dumps", none[] = "";
static struct config config;
static struct events events;
static struct jobs jobs;
static struct vm *vms[3];
static int dir_fd;
static int said; /* the dumper's end of the socket */
static char news[64];

static void hear(void *opaque, enum jobs_news what, const struct dump_job *job)
{
	static const char letters[] = {[JOBS_LINKED] = 'l',
		[JOBS_RELEASED] = 'r',
		[JOBS_FINISHED] = 'F',
		[JOBS_FAILED] = 'A',
		[JOBS_RETIRED] = 'x'};
	size_t len = strlen(news);

	ck_assert_ptr_eq(opaque, news);
	ck_assert_uint_lt(len + 2, sizeof(news));
	news[len] = letters[what];
	news[len + 1] = (char)('0' + job->generation);
}

static struct vm *make_vm(uint32_t generation)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	ck_assert_ptr_nonnull(vm);
	vm->generation = generation;
	ck_assert_int_eq(region_create(&vm->region, dir_fd, RAM), 0);
	ck_assert_int_eq(dump_record_create(1, &vm->record_fd, &vm->record), 0);
	vm->record->layout = vm->region.layout;
	return vm;
}

/* From here on the dumper says what say() says. */
static void speak_for_the_dumper(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	close(jobs.dumper.socket);
	jobs.dumper.socket = pair[0];
	said = pair[1];
}

static void setup(void)
{
	ck_assert_int_eq(setenv("UNIT_TESTS_DUMPER", "sleeps", 1), 0);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	config = (struct config){.vm.name = name,
		.vm.memory_dir = memory_dir,
		.dump = {.enabled = true,
			.dir = dump_dir,
			.fallback_dir = none,
			.select = DUMP_SELECT_ALL,
			.chunk = MIB(2)}};
	ck_assert_int_eq(events_open(&events, NULL), 0);
	memset(news, 0, sizeof(news));
	jobs_init(&jobs);
	jobs_open(&jobs, &(struct jobs_setup){.config = &config,
				 .events = &events,
				 .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
				 .dir_fd = dir_fd,
				 .dump_dir_fd = dir_fd,
				 .fallback_dir_fd = -1,
				 .released_fd = -1,
				 .tell = hear,
				 .opaque = news});
	for (uint32_t i = 0; i < ARRAY_LEN(vms); i++)
		vms[i] = make_vm(i);
	jobs_begin(&jobs);
	ck_assert(!jobs.failed);
}

static void teardown(void)
{
	if (jobs.dumper.pid)
		kill(jobs.dumper.pid, SIGKILL);
	jobs_fini(&jobs);
	for (uint32_t i = 0; i < ARRAY_LEN(vms); i++) {
		region_destroy(&vms[i]->region);
		dump_record_unmap(vms[i]->record, 1);
		close(vms[i]->record_fd);
		free(vms[i]);
	}
	close(dir_fd);
	rmdir(dir);
}

static struct dump_job *crash(uint32_t generation)
{
	const struct vm_end end = {
		.kind = VM_END_CRASH, .reason = DUMP_REASON_PANIC, .ns = clock_mono_ns()};
	struct dump_job *job = jobs_add(&jobs, vms[generation], &end);

	ck_assert_ptr_nonnull(job);
	return job;
}

static void say(uint32_t type)
{
	struct dumper_event event = {
		.type = type, .total = RAM, .done = RAM / 2, .status = type == DUMPER_FAILED ? -EIO : 0};

	ck_assert_int_eq(send(said, &event, sizeof(event), 0), (int)sizeof(event));
	jobs_receive(&jobs);
}

static void dumper_dies(void)
{
	struct pollfd end = {.fd = jobs.dumper.socket, .events = POLLIN};
	pid_t pid = jobs.dumper.pid;

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(poll(&end, 1, WAIT_MS), 1);
	jobs_receive(&jobs);
	ck_assert_int_ne(jobs.dumper.pid, pid);
}

static void completes(void)
{
	(void)crash(0);
	jobs_submit(&jobs);
	speak_for_the_dumper();
	say(DUMPER_LINKED);
	say(DUMPER_PROGRESS);
	say(DUMPER_DONE);
}

static void fails(void)
{
	(void)crash(0);
	jobs_submit(&jobs);
	speak_for_the_dumper();
	say(DUMPER_LINKED);
	say(DUMPER_FAILED);
}

static void kills_two_dumpers(void)
{
	(void)crash(0);
	jobs_submit(&jobs);
	dumper_dies();
	ck_assert_str_eq(news, "");
	dumper_dies();
}

static void is_cancelled_before_its_turn(void)
{
	struct dump_job *job = crash(0);

	job->held = true;
	jobs_cancel(&jobs, job);
}

static void is_cancelled_in_its_turn(void)
{
	struct dump_job *job = crash(0);

	jobs_submit(&jobs);
	jobs_cancel(&jobs, job);
	dumper_dies();
}

static void says_what_is_no_event(void)
{
	(void)crash(0);
	jobs_submit(&jobs);
	speak_for_the_dumper();
	say(77);
	dumper_dies();
}

/* One finishes, one dies with its dumper for the first time, one is refused, and the first two are gone on with. */
static void finds_no_room_behind_another(void)
{
	struct dump_job *job;

	config.dump.max_count = 1;
	(void)crash(0);
	job = crash(1);
	ck_assert(!jobs_check_quota(&jobs, job));
	ck_assert(job->finished && job->failed);
	jobs_submit(&jobs);
	speak_for_the_dumper();
	say(DUMPER_DONE);
}

static const struct {
	void (*act)(void);
	const char *told;    /* before the jobs are retired */
	const char *retired; /* by that */
} fates[] = {
	{completes, "l0r0F0", "x0"},
	{fails, "l0A0", "x0"},
	{kills_two_dumpers, "A0", "x0"},
	{is_cancelled_before_its_turn, "A0", "x0"},
	{is_cancelled_in_its_turn, "A0", "x0"},
	{says_what_is_no_event, "A0", "x0"},
	{finds_no_room_behind_another, "A1F0", "x0x1"},
};

START_TEST(what_becomes_of_a_dump_is_told_in_order_and_nothing_is_gone_before_the_owner_says_so)
{
	fates[_i].act();
	ck_assert_str_eq(news, fates[_i].told);
	ck_assert(!jobs_busy(&jobs));
	news[0] = '\0';
	memset(news, 0, sizeof(news));
	jobs_retire(&jobs);
	ck_assert_str_eq(news, fates[_i].retired);
	ck_assert_ptr_null(jobs.list);
}
END_TEST

/*
 * A refused job whose recovery VM will not come is over, and behind it in the list nothing waits: the loop that gives up
 * the job before it must not free it on the way.
 */
START_TEST(a_dumper_that_dies_again_and_again_frees_no_job_under_the_loop_that_walks_over_them)
{
	struct dump_job *first, *refused, *third;

	config.dump.max_count = 1;
	first = crash(0);
	jobs_submit(&jobs);
	refused = crash(1);
	jobs_expect(refused, 2); /* its recovery VM is to start after a pause */
	ck_assert(!jobs_check_quota(&jobs, refused));
	third = crash(2);
	jobs_settle(&jobs, 2, 0); /* stop: it will not */
	dumper_dies();
	dumper_dies();
	ck_assert_str_eq(news, "A1A0");
	ck_assert_ptr_eq(jobs.list, first);
	ck_assert_ptr_eq(first->next, refused);
	ck_assert_ptr_eq(refused->next, third);
	ck_assert(first->finished && refused->finished && !third->finished);
	jobs_retire(&jobs);
	ck_assert_ptr_eq(jobs.list, third);
}
END_TEST

START_TEST(a_timeline_waits_for_the_vm_that_follows)
{
	struct dump_job *job = crash(0);

	jobs_expect(job, 1);
	jobs_submit(&jobs);
	speak_for_the_dumper();
	say(DUMPER_DONE);
	jobs_retire(&jobs);
	ck_assert_ptr_eq(jobs_awaiting(&jobs, 0, 1), job);
	ck_assert(jobs_await(&jobs, 1) && !jobs_await(&jobs, 2) && !jobs_busy(&jobs));
	jobs_settle(&jobs, 1, 0);
	ck_assert_ptr_null(jobs_awaiting(&jobs, 0, 1));
	jobs_retire(&jobs);
	ck_assert_str_eq(news, "F0x0");
}
END_TEST

Suite *suite_jobs(void)
{
	Suite *suite = suite_create("jobs");
	TCase *tcase = tcase_create("jobs");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase,
		what_becomes_of_a_dump_is_told_in_order_and_nothing_is_gone_before_the_owner_says_so, 0,
		ARRAY_LEN(fates));
	tcase_add_test(
		tcase, a_dumper_that_dies_again_and_again_frees_no_job_under_the_loop_that_walks_over_them);
	tcase_add_test(tcase, a_timeline_waits_for_the_vm_that_follows);
	suite_add_tcase(suite, tcase);
	return suite;
}
