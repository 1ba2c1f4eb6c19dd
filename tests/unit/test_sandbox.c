/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_sandbox.c - what a dumper that its input has taken over can do to files: nothing outside
 * its directories, and in them what a dump needs.  A child plays the dumper; its exit status is the verdict.
 */
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"

#include "dump/dumper/dumper.h"
#include "dump/dumper/sandbox.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_LANDLOCK()                                                                                      \
	do {                                                                                               \
		if (!sandbox_paths_abi()) {                                                                \
			printf("SKIP %s: no Landlock here\n", __func__);                                   \
			return;                                                                            \
		}                                                                                          \
	} while (0)

static struct dump_fixture f, other; /* a directory of the dumper's, and one that is not */
static char second[64];              /* below the first one's parent, the dumper's too */
static int second_fd;

static void setup(void)
{
	fixture_init(&f, MIB(4), GIB(3), 1);
	fixture_init(&other, MIB(4), GIB(3), 1);
	strcpy(second, "/dev/shm/minivmm-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(second));
	second_fd = open(second, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(openat(other.dir_fd, "precious", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	close(openat(f.dir_fd, "old", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void teardown(void)
{
	unlinkat(second_fd, "linked", 0);
	close(second_fd);
	rmdir(second);
	fixture_fini(&f);
	fixture_fini(&other);
}

/* Runs @body in a confined child.  Result: its exit status, the number of the step that went wrong. */
static int in_the_sandbox(int (*body)(int proc_fd))
{
	pid_t child = fork();
	int status;

	if (!child) {
		const int dirs[] = {f.dir_fd, second_fd, -1};
		int proc_fd = publish_proc_open();

		if (sandbox_enter() || sandbox_confine(dirs, 3))
			_exit(99);
		_exit(body(proc_fd));
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status), "signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* True if a call failed, and because it was not allowed. */
static bool is_denied(int result)
{
	return result < 0 && (errno == EACCES || errno == EXDEV);
}

static int attack(int proc_fd)
{
	int fd, r;

	if (!is_denied(openat(other.dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)))
		return 1;
	if (!is_denied(openat(AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)))
		return 2;
	if (!is_denied(openat(other.dir_fd, "precious", O_RDWR | O_CLOEXEC)))
		return 3;
	if (!is_denied(unlinkat(other.dir_fd, "precious", 0)))
		return 4;
	if (!is_denied(unlinkat(f.dir_fd, "../../../tmp", AT_REMOVEDIR)))
		return 5;
	/* what it may make, and what it holds, it may not put elsewhere */
	r = publish_tmpfile(f.dir_fd, 4096, &fd);
	if (r)
		return 6;
	r = publish_link(proc_fd, fd, other.dir_fd, "planted");
	if (r != -EACCES && r != -EXDEV)
		return 7;
	r = publish_link(proc_fd, f.region_fd, other.dir_fd, "planted");
	if (r != -EACCES && r != -EXDEV)
		return 8;
	/* nor bring in what is elsewhere */
	if (!is_denied(linkat(other.dir_fd, "precious", f.dir_fd, "stolen", 0)))
		return 9;
	return 0;
}

START_TEST(a_dumper_reaches_no_file_outside_its_directories)
{
	NO_LANDLOCK();
	ck_assert_int_eq(in_the_sandbox(attack), 0);
	ck_assert(fixture_exists(&other, "precious") && fixture_nr_files(&other) == 1);
	ck_assert(!fixture_exists(&f, "stolen"));
}
END_TEST

/* All that engine and publish do. */
static int work(int proc_fd)
{
	char byte = 1;
	int fd;

	if (publish_tmpfile(f.dir_fd, MIB(1), &fd) || pwrite(fd, &byte, 1, 5) != 1)
		return 1;
	if (publish_link(proc_fd, fd, f.dir_fd, "new") || ftruncate(fd, 10) < 0)
		return 2;
	if (unlinkat(f.dir_fd, "new", 0) < 0 || unlinkat(f.dir_fd, "old", 0) < 0)
		return 3;
	/* made by the VMM before, in a directory of the dumper's: within it, and into its other one */
	if (publish_link(proc_fd, f.region_fd, f.dir_fd, "region"))
		return 4;
	if (publish_link(proc_fd, f.region_fd, second_fd, "linked"))
		return 5;
	if (fallocate(f.region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) < 0 ||
		ftruncate(f.region_fd, MIB(1)) < 0)
		return 6;
	return 0;
}

START_TEST(in_its_directories_a_dumper_does_what_a_dump_needs)
{
	NO_LANDLOCK();
	ck_assert_int_eq(in_the_sandbox(work), 0);
	ck_assert(!fixture_exists(&f, "old") && fixture_exists(&f, "region"));
}
END_TEST

/* ---- calls that reach another process ----------------------------------------------------------- */

#ifndef __SANITIZE_ADDRESS__

/* An open file that the dumper shares with the VMM. */
static int shared_fd;

static int be_signalled(void)
{
	return fcntl(shared_fd, F_SETOWN, getppid());
}

static int choose_signal(void)
{
	return fcntl(shared_fd, F_SETSIG, SIGKILL);
}

static int ask_for_signals(void)
{
	return fcntl(shared_fd, F_SETFL, O_ASYNC);
}

static int let_reads_wait(void)
{
	return fcntl(shared_fd, F_SETFL, 0);
}

static int own_by_owner(void)
{
	struct f_owner_ex owner = {.type = F_OWNER_PID, .pid = getppid()};

	return fcntl(shared_fd, F_SETOWN_EX, &owner);
}

static int lease(void)
{
	return fcntl(f.region_fd, F_SETLEASE, F_WRLCK);
}

static int be_notified(void)
{
	return fcntl(f.dir_fd, F_NOTIFY, DN_CREATE);
}

static int shrink_pipe(void)
{
	return fcntl(shared_fd, F_SETPIPE_SZ, 4096);
}

/* The upper half of a command is nothing to the kernel. */
static int be_signalled_in_disguise(void)
{
	return (int)syscall(SYS_fcntl, shared_fd, 0x100000000ul | F_SETOWN, getppid());
}

static int move_the_vmm(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	return sched_setaffinity(getppid(), sizeof(one), &one);
}

static int kill_the_vmm(void)
{
	return kill(getppid(), SIGKILL);
}

static int kill_its_thread(void)
{
	return (int)syscall(SYS_tgkill, getppid(), getppid(), SIGKILL);
}

static int ioctl_shared(void)
{
	int on = 1;

	return ioctl(shared_fd, FIOASYNC, &on);
}

static int (*const reaches[])(void) = {be_signalled, choose_signal, ask_for_signals, let_reads_wait,
	own_by_owner, lease, be_notified, shrink_pipe, be_signalled_in_disguise, move_the_vmm, kill_the_vmm,
	kill_its_thread, ioctl_shared};

START_TEST(a_dumper_that_reaches_for_the_vmm_dies_of_it)
{
	int fds[2], status;
	pid_t child;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	shared_fd = fds[0];
	child = fork();
	if (!child) {
		if (sandbox_enter())
			_exit(99);
		(void)reaches[_i]();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "status 0x%x", (unsigned)status);
	ck_assert(fcntl(shared_fd, F_GETFL) & O_NONBLOCK);
}
END_TEST

/* What of these calls a dump needs. */
static int need(int proc_fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	cpu_set_t cpus;
	int fd = fcntl(f.region_fd, F_DUPFD_CLOEXEC, 0);

	(void)proc_fd;
	if (fd < 0 || fcntl(fd, F_GETFL) < 0 || fcntl(f.record_fd, F_GET_SEALS) < 0)
		return 1;
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return 2;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		return 3;
	return 0;
}

START_TEST(a_dumper_may_lock_its_files_and_move_itself)
{
	NO_LANDLOCK();
	ck_assert_int_eq(in_the_sandbox(need), 0);
}
END_TEST

#endif

static struct dumper_event dump_to(struct dumper *dumper, int dir_fd)
{
	const struct dumper_files files = {.record = f.record_fd,
		.region = f.region_fd,
		.region_dir = f.dir_fd,
		.dir = dir_fd,
		.fallback_dir = -1,
		.dump = -1};
	struct dumper_event event = {0};

	ck_assert_int_eq(dumper_start(dumper, &files), 0);
	while (event.type != DUMPER_DONE && event.type != DUMPER_FAILED) {
		struct pollfd poll_fd = {.fd = dumper->socket, .events = POLLIN};

		ck_assert_int_eq(poll(&poll_fd, 1, 20000), 1);
		ck_assert_int_ge(dumper_receive(dumper, &event), 0);
	}
	return event;
}

START_TEST(a_dumper_stays_with_the_directories_of_its_first_dump)
{
	struct dumper_event event;
	struct dumper dumper;

	NO_LANDLOCK();
	ck_assert_int_eq(dumper_spawn(&dumper), 0);
	ck_assert_int_eq(dump_to(&dumper, second_fd).type, DUMPER_DONE);
	event = dump_to(&dumper, other.dir_fd);
	ck_assert_int_eq(event.type, DUMPER_FAILED);
	ck_assert_ptr_nonnull(strstr(event.text, "another directory"));
	ck_assert_uint_eq(fixture_nr_files(&other), 1);
	ck_assert_int_eq(unlinkat(second_fd, "guest-test-g0.vmcore", 0), 0);
	/* and a later one in them works */
	close(f.region_fd);
	f.region_fd = open(f.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_eq(ftruncate(f.region_fd, (off_t)dump_layout_file_size(&f.layout)), 0);
	event = dump_to(&dumper, second_fd);
	ck_assert_msg(event.type == DUMPER_DONE, "%s", event.text);
	ck_assert_int_eq(unlinkat(second_fd, "guest-test-g0.vmcore", 0), 0);
	dumper_fini(&dumper);
}
END_TEST

Suite *suite_sandbox(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *tc = tcase_create("paths");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_dumper_reaches_no_file_outside_its_directories);
	tcase_add_test(tc, in_its_directories_a_dumper_does_what_a_dump_needs);
	tcase_add_test(tc, a_dumper_stays_with_the_directories_of_its_first_dump);
#ifndef __SANITIZE_ADDRESS__ /* there is no filter with it */
	tcase_add_loop_test(tc, a_dumper_that_reaches_for_the_vmm_dies_of_it, 0, (int)ARRAY_LEN(reaches));
	tcase_add_test(tc, a_dumper_may_lock_its_files_and_move_itself);
#endif
	suite_add_tcase(suite, tc);
	return suite;
}
