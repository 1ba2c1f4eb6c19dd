/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_ctl.c - the control socket of a running guest: each command by "minivmm ctl", and clients that
 * mean no good, by sockets of the test's own (docs/control.md).
 */
#include "tests/kvm/run.h"
#include "tests/kvm/suites.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct output output;

/* "minivmm ctl GUEST command" must end with @code. */
static const char *ctl(struct run *run, const char *command, int code)
{
	run_minivmm(run, &output, arg("ctl"), arg("--json"), arg(run->name), arg(command), NULL);
	run_assert(run, output.code == code, "ctl %s ended with %d, not %d:\n%s%s", command, output.code,
		code, output.out, output.err);
	return output.out;
}

/* It answered with @text in it. */
static void ctl_says(struct run *run, const char *command, const char *text)
{
	const char *answer = ctl(run, command, CODE_OK);

	run_assert(run, strstr(answer, text), "ctl %s: no %s in %s", command, text, answer);
}

static int join(struct run *run)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "/dev/shm/minivmm/%.64s/control", run->name);
	run_assert(run, fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof(address)),
		"cannot connect to %s", address.sun_path);
	return fd;
}

/* Reads until @text has come, or the end; false then. */
static bool hear(int fd, char *buf, size_t size, const char *text)
{
	size_t len = strlen(buf);

	while (!strstr(buf, text)) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (len + 1 >= size || poll(&ready, 1, RUN_LIMIT_MS) != 1)
			return false;
		n = read(fd, buf + len, size - 1 - len);
		if (n <= 0)
			return false;
		len += (size_t)n;
		buf[len] = '\0';
	}
	return true;
}

/* ---- commands -------------------------------------------------------------------------------- */

START_TEST(each_command_does_what_it_says)
{
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle", .vcpus = 2});
	run_await(&run, "ready", 0);
	ctl_says(&run, "status", "\"state\":\"ready\"");
	ctl_says(&run, "status", "\"ready\":true");
	ctl(&run, "resume", CODE_REFUSED);
	ctl_says(&run, "pause", "\"not_yet_stopped\":0");
	ctl_says(&run, "status", "\"state\":\"paused\"");
	ctl(&run, "pause", CODE_REFUSED);
	ctl(&run, "resume", CODE_OK);
	ctl_says(&run, "status", "\"state\":\"ready\"");
	ctl(&run, "dump-cancel", CODE_REFUSED);
	ctl(&run, "nonsense", CODE_REFUSED);
	ctl_says(&run, "crash", "\"generation\":0");
	ctl_says(&run, "status", "\"generation\":1");
	run_await(&run, "ready", 1);
	ctl(&run, "stop", CODE_OK);
	run_ends(&run, CODE_OK);
	run_event(&run, "pause", 0);
	run_event(&run, "resume", 0);
	run_event(&run, "dump-done", 0);
	ctl(&run, "status", CODE_NOT_RUNNING);
	run_finish(&run);
}
END_TEST

START_TEST(people_get_text_and_a_guest_is_found_by_its_configuration_too)
{
	char config[300];
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle"});
	run_await(&run, "ready", 0);
	snprintf(config, sizeof(config), "%s/guest.cfg", run.dir);
	run_minivmm(&run, &output, arg("ctl"), config, arg("status"), NULL);
	run_assert(&run, !output.code && strstr(output.out, "state       ready\n"), "%s%s", output.out,
		output.err);
	run_minivmm(&run, &output, arg("ctl"), config, arg("resume"), NULL);
	run_assert(&run, output.code == CODE_REFUSED && strstr(output.err, "the VM is not paused\n"), "%s",
		output.err);
	run_minivmm(&run, &output, arg("ctl"), run.dump_dir, arg("stop"), NULL);
	run_assert(&run, !output.code && !strcmp(output.out, "stopped\n"), "%s", output.out);
	run_ends(&run, CODE_OK);
	run_finish(&run);
}
END_TEST

START_TEST(events_are_followed_to_the_end)
{
	static char text[65536];
	struct run run;
	int fd;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle on-recovery=ready-poweroff"});
	run_await(&run, "ready", 0);
	fd = join(&run);
	text[0] = '\0';
	ck_assert_int_eq(write(fd, "events\ncrash\n", 13), 13);
	run_assert(&run, hear(fd, text, sizeof(text), "\"event\":\"exit\""), "no end: %s", text);
	run_assert(&run, strstr(text, "\"event\":\"dump-done\"") && strstr(text, "\"command\":\"crash\""),
		"something is missing: %s", text);
	run_ends(&run, CODE_OK);
	/* what was streamed is what the log has */
	for (const char *event = run_event(&run, "crash", 0); event; event = event_next(&run.log, event))
		run_assert(&run, strstr(text, event), "not in the stream: %s", event);
	close(fd);
	run_finish(&run);
}
END_TEST

/* ---- pause ----------------------------------------------------------------------------------- */

START_TEST(the_watchdog_sleeps_while_the_vm_is_paused_and_begins_anew_after_it)
{
	struct run run;

	NEEDS_KVM();
	/* it makes no heartbeat at all: without the pause it would end 3 s after its start */
	run_start(&run, &(struct guest){.cmdline = "scenario=hang",
				.recovery = "scenario=ready-poweroff",
				.more = "[vm]\nwatchdog = 3s"});
	run_await(&run, "run", 0);
	ctl(&run, "pause", CODE_OK);
	sleep_until(now_ns() + 4 * NSEC_PER_SEC); /* longer than the watchdog waits */
	ctl_says(&run, "status", "\"state\":\"paused\"");
	run_count(&run, "crash", 0);
	ctl(&run, "resume", CODE_OK);
	run_ends(&run, CODE_OK);
	run_assert(&run,
		event_ns(run_event(&run, "crash", 0)) >=
			event_ns(run_event(&run, "resume", 0)) + 3 * NSEC_PER_SEC,
		"the watchdog did not begin anew");
	run_finish(&run);
}
END_TEST

START_TEST(a_paused_vm_can_be_crashed_and_its_dump_is_whole)
{
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle fill=pattern:40",
				.recovery = "scenario=ready-poweroff",
				.vcpus = 2});
	run_await(&run, "ready", 0);
	ctl(&run, "pause", CODE_OK);
	ctl(&run, "crash", CODE_OK);
	run_ends(&run, CODE_OK);
	run_dump_path(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, JUDGE_NO_REGISTERS, NULL);
	run_event(&run, "power-off", 1);
	run_finish(&run);
}
END_TEST

START_TEST(a_paused_vm_can_be_stopped)
{
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle", .vcpus = 2});
	run_await(&run, "ready", 0);
	ctl(&run, "pause", CODE_OK);
	if (_i)
		run_signal(&run, SIGTERM);
	else
		ctl(&run, "stop", CODE_OK);
	run_ends(&run, CODE_OK);
	run_count(&run, "crash", 0);
	run_finish(&run);
}
END_TEST

/* ---- while a dump is made -------------------------------------------------------------------- */

/* A guest whose dump stands still, because its dumper does. */
static void start_stuck_dump(struct run *run, struct process *dumper)
{
	run_start(run,
		&(struct guest){.cmdline = "scenario=idle fill=pattern:50", .recovery = "scenario=idle"});
	run_await(run, "ready", 0);
	run_find_dumper(run, dumper);
	ck_assert_int_eq(process_signal(dumper, SIGSTOP), 0);
	ctl(run, "crash", CODE_OK);
	run_await(run, "run", 1);
}

START_TEST(a_dump_under_way_is_shown_and_a_stop_waits_for_it)
{
	struct process dumper;
	char path[512];
	struct run run;

	NEEDS_KVM();
	start_stuck_dump(&run, &dumper);
	ctl_says(&run, "status", "\"dumps\":[{\"generation\":0,\"state\":\"running\"");
	ctl_says(&run, "stop", "\"dumps\":1,\"waits\":true");
	ctl_says(&run, "status", "\"state\":\"ending\"");
	ctl(&run, "pause", CODE_REFUSED);
	ck_assert_int_eq(process_signal(&dumper, SIGCONT), 0);
	process_close(&dumper);
	run_ends(&run, CODE_OK);
	run_dump_path(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, JUDGE_NO_REGISTERS, NULL);
	run_finish(&run);
}
END_TEST

START_TEST(a_cancelled_dump_gives_its_memory_back_and_the_next_one_is_made)
{
	struct process dumper;
	char path[512];
	struct run run;

	NEEDS_KVM();
	start_stuck_dump(&run, &dumper);
	process_close(&dumper);
	run_await(&run, "ready", 1);
	run_minivmm(&run, &output, arg("ctl"), run.name, arg("dump-cancel"), arg("1"), NULL);
	ck_assert_int_eq(output.code, CODE_REFUSED); /* another generation's */
	ctl_says(&run, "dump-cancel", "\"generation\":0");
	run_await(&run, "dump-cancelled", 0);
	run_assert(&run, !run_files(&run, ".region.partial", NULL, 0), "its memory still has its name");
	run_assert(&run, !run_files(&run, ".vmcore", NULL, 0), "there is a complete dump");
	ctl_says(&run, "status", "\"dumps\":[]");
	ctl(&run, "crash", CODE_OK);
	run_await(&run, "dump-done", 1);
	ctl(&run, "stop", CODE_OK);
	run_ends(&run, CODE_DUMP);
	run_dump_path(&run, 1, path, sizeof(path));
	run_judge(&run, path, 1, JUDGE_NO_REGISTERS | JUDGE_NO_FILL, NULL);
	run_finish(&run);
}
END_TEST

START_TEST(what_was_dumped_before_it_was_cancelled_can_be_read)
{
	struct process dumper;
	char path[512];
	uint64_t end;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle fill=pattern:60",
				.recovery = "scenario=idle",
				.memory = 1024});
	run_await(&run, "ready", 0);
	run_find_dumper(&run, &dumper);
	ctl(&run, "crash", CODE_OK);
	run_await(&run, "dump-linked", 0);
	ck_assert_int_eq(process_signal(&dumper, SIGSTOP), 0);
	process_close(&dumper);
	end = now_ns() + NSEC_PER_SEC;
	if (event_find(&run.log, "dump-done", 0, NULL)) {
		print_skip(__func__, "the dump was faster than the test");
	} else {
		ctl(&run, "dump-cancel", CODE_OK);
		run_await(&run, "dump-cancelled", 0);
		run_assert(&run, now_ns() < end + RUN_LIMIT_MS * NSEC_PER_MSEC, "it took a minute");
		ck_assert_uint_eq(run_files(&run, ".vmcore.partial", path, sizeof(path)), 1);
		ck_assert_uint_eq(run_files(&run, ".region.partial", NULL, 0), 0);
		run_minivmm(&run, &output, arg("dump"), arg("info"), path, NULL);
		run_assert(&run, strstr(output.out, "missing"), "dump info: %s%s", output.out, output.err);
	}
	ctl(&run, "stop", CODE_OK);
	run_wait(&run);
	run_finish(&run);
}
END_TEST

/* ---- clients that mean no good --------------------------------------------------------------- */

START_TEST(clients_that_flood_stall_or_crowd_hold_up_no_crash_and_no_recovery)
{
	static char garbage[65536];
	struct run run;
	int fds[100];

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle fill=pattern:20",
				.recovery = "scenario=ready-poweroff"});
	run_await(&run, "ready", 0);
	memset(garbage, 'g', sizeof(garbage));
	for (size_t i = 0; i < 100; i++) {
		fds[i] = join(&run);
		switch (i % 4) {
		case 0: /* asks and never listens */
			for (size_t k = 0; k < sizeof(garbage); k += 7)
				memcpy(garbage + k, "status\n", sizeof(garbage) - k < 7 ? 0 : 7);
			send(fds[i], garbage, sizeof(garbage), MSG_DONTWAIT | MSG_NOSIGNAL);
			break;
		case 1: /* no line at all */
			memset(garbage, i % 8 == 1 ? 'g' : 0xff, sizeof(garbage));
			send(fds[i], garbage, sizeof(garbage), MSG_DONTWAIT | MSG_NOSIGNAL);
			break;
		case 2: /* half a request */
			send(fds[i], "cra", 3, MSG_DONTWAIT | MSG_NOSIGNAL);
			break;
		default: /* nothing */
			break;
		}
	}
	run_count(&run, "crash", 0);
	run_signal(&run, SIGUSR1);
	run_await(&run, "ready", 1);
	run_ends(&run, CODE_OK);
	run_event(&run, "dump-done", 0);
	for (size_t i = 0; i < 100; i++)
		close(fds[i]);
	run_finish(&run);
}
END_TEST

START_TEST(the_socket_that_a_killed_minivmm_left_is_replaced)
{
	char config[300];
	struct process second;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle"});
	run_await(&run, "ready", 0);
	run_signal(&run, SIGKILL);
	run_wait(&run);
	ctl(&run, "status", CODE_NOT_RUNNING);
	snprintf(config, sizeof(config), "%s/guest.cfg", run.dir);
	ck_assert_int_eq(process_start(&second,
				 (char *[]){arg(minivmm_path), arg("run"), config, arg("--console"),
					 arg("none"), arg("--events"), arg("/dev/null"), NULL},
				 run.err, run.err),
		0);
	for (uint64_t end = now_ns() + RUN_LIMIT_MS * NSEC_PER_MSEC; now_ns() < end;) {
		run_minivmm(&run, &output, arg("ctl"), run.name, arg("stop"), NULL);
		if (!output.code)
			break;
	}
	ck_assert_int_eq(output.code, CODE_OK);
	ck_assert_int_eq(process_wait(&second, RUN_LIMIT_MS), CODE_OK);
	run_finish(&run);
}
END_TEST

/* A minivmm that was killed: its socket takes connections until the last of its processes is gone, and answers nothing. */
START_TEST(who_ends_the_connection_without_an_answer_is_not_running)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct run run;
	pid_t child;

	run_prepare(&run);
	ck_assert_int_lt(snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", run.dir),
		(int)sizeof(address.sun_path));
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
	child = fork();
	if (!child) {
		for (;;)
			close(accept(listener, NULL, NULL));
	}
	run_minivmm(&run, &output, arg("ctl"), address.sun_path, arg("status"), NULL);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(listener);
	ck_assert_msg(output.code == CODE_NOT_RUNNING, "ended with %d", output.code);
	run_finish(&run);
}
END_TEST

Suite *suite_ctl(void)
{
	Suite *suite = suite_create("ctl");
	TCase *tcase = run_tcase(suite, "commands");

	tcase_add_test(tcase, each_command_does_what_it_says);
	tcase_add_test(tcase, people_get_text_and_a_guest_is_found_by_its_configuration_too);
	tcase_add_test(tcase, events_are_followed_to_the_end);

	tcase = run_tcase(suite, "pause");
	tcase_add_test(tcase, the_watchdog_sleeps_while_the_vm_is_paused_and_begins_anew_after_it);
	tcase_add_test(tcase, a_paused_vm_can_be_crashed_and_its_dump_is_whole);
	tcase_add_loop_test(tcase, a_paused_vm_can_be_stopped, 0, 2);

	tcase = run_tcase(suite, "dumps");
	tcase_add_test(tcase, a_dump_under_way_is_shown_and_a_stop_waits_for_it);
	tcase_add_test(tcase, a_cancelled_dump_gives_its_memory_back_and_the_next_one_is_made);
	tcase_add_test(tcase, what_was_dumped_before_it_was_cancelled_can_be_read);

	tcase = run_tcase(suite, "hostile");
	tcase_add_test(tcase, clients_that_flood_stall_or_crowd_hold_up_no_crash_and_no_recovery);
	tcase_add_test(tcase, the_socket_that_a_killed_minivmm_left_is_replaced);
	tcase_add_test(tcase, who_ends_the_connection_without_an_answer_is_not_running);
	return suite;
}
