/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_terminal.c - vmm/host/terminal.c, vmm/base/deadly.c: the terminal is given back whatever happens, and
 * is touched only in the foreground.
 *
 * A child is the leader of a session that has a terminal of its own, and runs jobs in it as a shell does.
 */
#include "dump/base/cleanup.h"
#include "tests/unit/suites.h"
#include "vmm/host/console.h"
#include "vmm/host/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define STEP_MS 5000 /* our choice: what takes so long does not happen */

static int keyboard = -1, side = -1;

/*
 * A terminal, and a process that is the leader of its session: the shell, which goes on with the test.  False: it is
 * over, here.
 */
static bool be_shell(const char *test)
{
	pid_t shell;
	int status;

	keyboard = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (keyboard < 0) {
		printf("SKIP %s: there are no pseudo-terminals\n", test);
		return false;
	}
	shell = fork(); /* the leader of a process group, as Check makes each test, cannot become that of a session */
	if (shell) {
		ck_assert_int_eq(waitpid(shell, &status, 0), shell);
		if (status)
			exit(EXIT_FAILURE); /* it has told Check why */
		return false;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* Check's time limit does not reach other sessions */
	ck_assert(!grantpt(keyboard) && !unlockpt(keyboard) && setsid() >= 0);
	side = open(ptsname(keyboard), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(side, 0);
	signal(SIGTTOU, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	ck_assert_int_eq(ioctl(side, TIOCSCTTY, 0), 0);
	return true;
}

static bool has_echo(void)
{
	struct termios now;

	ck_assert_int_eq(tcgetattr(side, &now), 0);
	return now.c_lflag & ECHO;
}

static bool echo_becomes(bool on)
{
	for (int i = 0; i < STEP_MS && has_echo() != on; i++)
		usleep(1000);
	return has_echo() == on;
}

/* What minivmm does with its terminal: a console, raw mode, an event loop that reads. */
static void minivmm(void)
{
	static struct console console;
	char keys[64];

	signal(SIGTTOU, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
	if (console_open(&console, "stdio", 0))
		_exit(98);
	console_raw_mode(&console);
	for (;;) {
		int n = console_read(&console, keys, sizeof(keys));

		if (n < 0)
			_exit(97);
		if (n > 0)
			console_write(&console, 0, keys, (size_t)n, NULL);
		usleep(1000);
	}
}

/* Starts @body as a job, in the foreground or not. */
static pid_t start_job(void (*body)(void), bool foreground)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		setpgid(0, 0);
		if (foreground)
			tcsetpgrp(side, getpid());
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 1; i < NSIG; i++)
			signal(i, SIG_DFL); /* the shell ignores some, Check has handlers */
		if (dup2(side, STDIN_FILENO) < 0 || dup2(side, STDOUT_FILENO) < 0)
			_exit(99);
		body();
		_exit(0);
	}
	setpgid(pid, pid);
	if (foreground)
		tcsetpgrp(side, pid);
	return pid;
}

/* waitpid() with a limit. */
static int wait_for(pid_t pid, int options)
{
	int status = 0;

	for (int i = 0; i < STEP_MS; i++) {
		if (waitpid(pid, &status, options | WNOHANG) == pid)
			return status;
		usleep(1000);
	}
	kill(pid, SIGKILL);
	ck_abort_msg("the job neither ends nor stops");
}

static void end_job(pid_t pid)
{
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* ---- ends -------------------------------------------------------------------------------------- */

static const int ends[] = {SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGUSR1, SIGUSR2,
	SIGALRM, SIGTERM, SIGINT, SIGHUP, SIGSTKFLT, SIGXCPU, SIGVTALRM, SIGPROF, SIGIO, SIGPWR, SIGSYS, 40,
	64};

START_TEST(a_signal_that_ends_the_process_finds_the_terminal_as_it_was)
{
	pid_t pid;
	int status;

	if (!be_shell(__func__))
		return;
	pid = start_job(minivmm, true);
	ck_assert_msg(echo_becomes(false), "never raw");
	kill(pid, ends[_i]);
	status = wait_for(pid, 0);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == ends[_i], "status 0x%x", (unsigned)status);
	ck_assert_msg(has_echo(), "left raw after %s", strsignal(ends[_i]));
}
END_TEST

static void fault(void)
{
	struct console *console = calloc(1, sizeof(*console));

	if (!console || console_open(console, "stdio", 0))
		_exit(98);
	console_raw_mode(console);
	usleep(100000);
	*(volatile char *)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
}

START_TEST(a_fault_of_our_own_finds_the_terminal_as_it_was_and_is_what_the_process_dies_of)
{
#ifdef __SANITIZE_ADDRESS__
	(void)fault;
	printf("SKIP %s: the sanitizer takes faults for itself\n", __func__);
#else
	int status;

	if (!be_shell(__func__))
		return;
	status = wait_for(start_job(fault, true), 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	ck_assert(has_echo());
#endif
}
END_TEST

/* ---- stop and go on ---------------------------------------------------------------------------- */

START_TEST(a_job_that_is_stopped_gives_the_terminal_back_and_takes_it_again_in_the_foreground)
{
	pid_t pid;
	int status;

	if (!be_shell(__func__))
		return;
	pid = start_job(minivmm, true);
	ck_assert_msg(echo_becomes(false), "never raw");
	for (int i = 0; i < 3; i++) {
		kill(pid, SIGTSTP);
		status = wait_for(pid, WUNTRACED);
		ck_assert(WIFSTOPPED(status));
		ck_assert_msg(has_echo(), "raw while it is stopped");
		kill(pid, SIGCONT);
		ck_assert_msg(echo_becomes(false), "not raw when it goes on");
	}
	end_job(pid);
}
END_TEST

START_TEST(a_job_in_the_background_leaves_the_terminal_alone_and_runs_until_it_is_brought_to_the_front)
{
	struct termios stop_output;
	char echoed[8] = "";
	pid_t pid;
	int status;

	if (!be_shell(__func__))
		return;
	ck_assert_int_eq(tcgetattr(side, &stop_output), 0);
	stop_output.c_lflag |= TOSTOP; /* a job that writes from the background is stopped by SIGTTOU */
	ck_assert_int_eq(tcsetattr(side, TCSANOW, &stop_output), 0);
	ck_assert_int_eq(tcsetpgrp(side, getpgrp()), 0);
	pid = start_job(minivmm, false);
	ck_assert_int_eq(write(keyboard, "shell\n", 6), 6); /* keys that are the shell's */
	usleep(700000);
	ck_assert_msg(
		!waitpid(pid, &status, WNOHANG | WUNTRACED), "stopped or ended: 0x%x", (unsigned)status);
	ck_assert_msg(has_echo(), "raw from the background");
	ck_assert_int_eq(tcflush(side, TCIFLUSH), 0);
	ck_assert_int_eq(tcflush(keyboard, TCIFLUSH), 0);
	ck_assert_int_eq(tcsetpgrp(side, pid), 0); /* fg of a job that runs: no signal tells */
	ck_assert_msg(echo_becomes(false), "not raw in the foreground");
	ck_assert_int_eq(write(keyboard, "k", 1), 1);
	ck_assert_int_eq(read(keyboard, echoed, 1), 1);
	ck_assert_str_eq(echoed, "k");
	end_job(pid);
}
END_TEST

Suite *suite_terminal(void)
{
	Suite *suite = suite_create("terminal");
	TCase *tc = tcase_create("terminal");

	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(
		tc, a_signal_that_ends_the_process_finds_the_terminal_as_it_was, 0, (int)ARRAY_LEN(ends));
	tcase_add_test(tc, a_fault_of_our_own_finds_the_terminal_as_it_was_and_is_what_the_process_dies_of);
	tcase_add_test(
		tc, a_job_that_is_stopped_gives_the_terminal_back_and_takes_it_again_in_the_foreground);
	tcase_add_test(tc,
		a_job_in_the_background_leaves_the_terminal_alone_and_runs_until_it_is_brought_to_the_front);
	suite_add_tcase(suite, tc);
	return suite;
}
