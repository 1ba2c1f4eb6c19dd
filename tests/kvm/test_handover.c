/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_handover.c - a recovery VM behind its gate: it computes what it should, can wait and be stopped
 * while it waits, and goes on when memory is given back.  The budget itself: test_budget.c.
 */
#include "tests/kvm/judges.h"
#include "tests/kvm/sampler.h"
#include "tests/kvm/suites.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* our choice: a stop takes milliseconds; with this much, one that waits for a dump or a timeout is found out */
#define PROMPT_NS (8 * NSEC_PER_SEC)

/* ---- what it computes ------------------------------------------------------------------------- */

static const unsigned vcpus[] = {1, 2, 4};
#define NR_VCPUS ((int)(sizeof(vcpus) / sizeof(vcpus[0])))

START_TEST(a_gated_vm_fills_all_memory_beside_a_slow_dump_and_every_page_of_its_own_dump_is_right)
{
	char path[512];
	struct run run;

	NEEDS_KVM();
	/* compressing text takes ten times as long as to write it: each VM meets its predecessor's dump */
	run_start(&run,
		&(struct guest){.cmdline = "scenario=null-deref generations=3 fill=text:50,pattern:35",
			.memory = 128,
			.vcpus = vcpus[_i],
			.more = "[recovery]\nbackoff = 0\nreserve = 16M\n"
				"[dump]\ncompress = lz4\nworkers = 1"});
	run_ends(&run, CODE_OK);
	run_count(&run, "dump-done", 3);
	for (int generation = 0; generation < 3; generation++) {
		find_final(&run, generation, path, sizeof(path));
		judge_dump(&run, path, &(struct claim){.generation = generation, .select = "all"});
		run_event(&run, "handover-start", generation + 1);
	}
	run_finish(&run);
}
END_TEST

/* ---- waiting ---------------------------------------------------------------------------------- */

/* A complete dump keeps most of the budget; what comes then wants more than the rest. */
#define BLOCKED_GUEST                                                                                      \
	.cmdline = "scenario=null-deref fill=pattern:80 heartbeat=100",                                    \
	.recovery = "scenario=service fill=pattern:5 touch=192 heartbeat=100", .memory = 256
#define BLOCKED_MORE "[recovery]\novercommit = wait\nreserve = 16M\nbackoff = 0\n"

/* Runs until generation 1 waits for memory that a dump keeps. */
static void run_until_blocked(struct run *run, const char *more, unsigned nr_vcpus)
{
	const char *blocked;

	run_start(run, &(struct guest){BLOCKED_GUEST, .vcpus = nr_vcpus, .more = more});
	blocked = run_await(run, "handover-blocked", 1);
	run_assert(
		run, event_ns(blocked) >= event_ns(run_event(run, "dump-done", 0)), "it comes too early");
	run_count(run, "ready", 0);
}

static void remove_dump(struct run *run, int generation)
{
	static struct output output;
	char path[512];

	find_final(run, generation, path, sizeof(path));
	run_minivmm(run, &output, "dump", "rm", path, NULL);
	run_assert(run, !output.code, "dump rm ended with %d: %.500s", output.code, output.err);
}

START_TEST(a_vm_that_waits_goes_on_when_a_dump_is_removed)
{
	char err[1 << 14];
	struct run run;

	NEEDS_KVM();
	run_until_blocked(&run, BLOCKED_MORE, 2);
	read_file(run.err, err, sizeof(err));
	run_assert(&run, strstr(err, "minivmm dump rm"), "it does not say what to do");
	remove_dump(&run, 0);
	run_await(&run, "ready", 1);
	run_u64(&run, run_await(&run, "handover-done", 1), "opened");
	run_count(&run, "crash", 1);
	run_stops(&run);
	run_finish(&run);
}
END_TEST

START_TEST(a_vm_that_waits_is_stopped_promptly)
{
	uint64_t asked;
	struct run run;

	NEEDS_KVM();
	run_until_blocked(&run, BLOCKED_MORE, vcpus[_i]);
	asked = now_ns();
	run_stops(&run);
	run_assert(&run, now_ns() - asked < PROMPT_NS, "it took %llu ms",
		(unsigned long long)((now_ns() - asked) / NSEC_PER_MSEC));
	run_count(&run, "crash", 1);
	run_count(&run, "dump-done", 1);
	run_finish(&run);
}
END_TEST

static void ctl(struct run *run, const char *command, const char *text)
{
	static struct output output;

	run_minivmm(run, &output, "ctl", "--json", run->name, command, NULL);
	run_assert(run, !output.code && strstr(output.out, text), "ctl %s: %d, no %s in %s%s", command,
		output.code, text, output.out, output.err);
}

/* our choice: a VM that may go on does so within this time, or the test finds nothing wrong */
#define PAUSED_NS (300 * NSEC_PER_MSEC)

START_TEST(a_vm_that_waits_can_be_paused_and_gets_its_memory_when_it_goes_on)
{
	struct run run;

	NEEDS_KVM();
	run_until_blocked(&run, BLOCKED_MORE "[vm]\nwatchdog = 2s", vcpus[_i]);
	ctl(&run, "status", "\"waits_for_memory\":true");
	/* how many stop at once depends on the kernel: before Linux 6.2 a vCPU does not leave a fault */
	ctl(&run, "pause", "\"generation\":1");
	ctl(&run, "status", "\"state\":\"paused\"");
	if (_i) { /* going on, it waits again */
		ctl(&run, "resume", "\"generation\":1");
		ctl(&run, "status", "\"waits_for_memory\":true");
		ctl(&run, "pause", "\"generation\":1");
	}
	remove_dump(&run, 0);
	run_await(&run, "handover-done", 1);
	sleep_until(now_ns() + PAUSED_NS);
	run_assert(&run, !event_count(&run.log, "ready"), "it runs in its pause");
	ctl(&run, "status", "\"waits_for_memory\":false");
	ctl(&run, "resume", "\"generation\":1");
	run_await(&run, "ready", 1);
	run_count(&run, "crash", 1);
	run_stops(&run);
	run_finish(&run);
}
END_TEST

START_TEST(a_paused_vm_that_waits_is_stopped_promptly)
{
	uint64_t asked;
	struct run run;

	NEEDS_KVM();
	run_until_blocked(&run, BLOCKED_MORE, 2);
	ctl(&run, "pause", "\"generation\":1");
	asked = now_ns();
	if (_i)
		run_signal(&run, SIGTERM);
	else
		ctl(&run, "stop", "\"button\":false");
	run_ends(&run, CODE_OK);
	run_assert(&run, now_ns() - asked < PROMPT_NS, "it took %llu ms",
		(unsigned long long)((now_ns() - asked) / NSEC_PER_MSEC));
	run_count(&run, "crash", 1);
	run_finish(&run);
}
END_TEST

START_TEST(a_paused_vm_that_waits_can_be_crashed_and_its_dump_is_right)
{
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_until_blocked(&run, BLOCKED_MORE, 2);
	ctl(&run, "pause", "\"generation\":1");
	ctl(&run, "crash", "\"generation\":1");
	run_await(&run, "dump-done", 1);
	find_final(&run, 1, path, sizeof(path));
	judge_dump(
		&run, path, &(struct claim){.generation = 1, .select = "all", .flags = JUDGE_NO_REGISTERS});
	run_stops(&run);
	run_finish(&run);
}
END_TEST

START_TEST(a_vm_that_waits_can_be_crashed_and_its_dump_is_right)
{
	char path[512];
	struct sampler sampler;
	struct run run;

	NEEDS_KVM();
	run_until_blocked(&run, BLOCKED_MORE, vcpus[_i]);
	ck_assert_int_eq(sampler_start(&sampler, run.vmm.pid, 0, run.dump_dir), 0);
	run_signal(&run, SIGUSR1);
	run_await(&run, "dump-done", 1);
	for (int generation = 0; generation < 2; generation++) {
		find_final(&run, generation, path, sizeof(path));
		judge_dump(&run, path,
			&(struct claim){.generation = generation,
				.select = "all",
				.flags = generation ? JUDGE_NO_REGISTERS : 0});
	}
	run_await(&run, "handover-blocked", 2);
	remove_dump(&run, 0);
	remove_dump(&run, 1);
	run_await(&run, "ready", 2);
	run_stops(&run);
	sampler_stop(&sampler);
	/* to be stopped, it is let through: what its vCPUs touch in this moment is little */
	run_assert(&run, sampler.peak <= (256 + 16) * MIB, "%llu KiB were in use",
		(unsigned long long)(sampler.peak >> 10));
	run_finish(&run);
}
END_TEST

START_TEST(the_watchdog_does_not_bite_a_vm_that_waits)
{
	struct run run;

	NEEDS_KVM();
	run_until_blocked(&run, BLOCKED_MORE "[vm]\nwatchdog = 2s", 1);
	sleep_until(now_ns() + 5 * NSEC_PER_SEC); /* more than twice as long as it may be silent */
	run_assert(&run, event_count(&run.log, "crash") == 1, "it counts as crashed");
	remove_dump(&run, 0);
	run_await(&run, "ready", 1);
	run_count(&run, "crash", 1);
	run_stops(&run);
	run_finish(&run);
}
END_TEST

/* ---- overcommit = allow ----------------------------------------------------------------------- */

START_TEST(what_the_budget_does_not_cover_is_said_and_the_service_comes_up)
{
	uint64_t uncovered;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){BLOCKED_GUEST, .vcpus = 2,
				.more = "[recovery]\novercommit = allow\nreserve = 16M"});
	run_await(&run, "ready", 1);
	uncovered = run_u64(&run, run_await(&run, "handover-done", 1), "uncovered");
	/* 80 % of 256 MiB are in the dump, so little more than 20 % and the reserve are left of the budget */
	run_assert(&run, uncovered > 128 * MIB && uncovered < 256 * MIB, "%llu MiB uncovered",
		(unsigned long long)(uncovered / MIB));
	run_count(&run, "handover-blocked", 0);
	run_stops(&run);
	run_finish(&run);
}
END_TEST

static const char *const tight[] = {
	"[dump]\nrotate = no\n[recovery]\novercommit = allow\nreserve = 16M",
	/* a budget that the tmpfs cannot hold */
	"[dump]\nrotate = no\n[recovery]\novercommit = allow\nreserve = 64M",
};

START_TEST(on_a_tmpfs_that_is_too_small_it_waits_instead_of_failing)
{
	char dir[256];
	struct run run;

	NEEDS_KVM();
	if (!private_tmpfs(dir, sizeof(dir), "size=290M,huge=always")) {
		print_skip(__func__, "this user may not mount a tmpfs");
		return;
	}
	run_start(&run, &(struct guest){BLOCKED_GUEST, .vcpus = 2, .dir = dir, .more = tight[_i]});
	run_await(&run, "handover-blocked", 1);
	run_await(&run, "dump-done", 0);
	run_count(&run, "crash", 1);
	remove_dump(&run, 0);
	run_await(&run, "ready", 1);
	run_count(&run, "crash", 1);
	run_stops(&run);
	run_finish(&run);
}
END_TEST

/* ---- order ------------------------------------------------------------------------------------ */

START_TEST(with_concurrent_no_the_recovery_vm_runs_after_the_dump)
{
	const char *timeline, *waits;
	char reason[32];
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:60",
				.recovery = "scenario=ready-poweroff",
				.memory = 256,
				.more = "[recovery]\nconcurrent = no"});
	run_ends(&run, CODE_OK);
	waits = run_event(&run, "recovery-waits", 1);
	run_assert(&run, event_text(waits, "for", reason, sizeof(reason)) && !strcmp(reason, "dump"), "%s",
		waits);
	timeline = run_event(&run, "timeline", 0);
	run_assert(&run, run_u64(&run, timeline, "recovery-run") >= run_u64(&run, timeline, "published"),
		"it ran before the dump was complete: %s", timeline);
	run_finish(&run);
}
END_TEST

/* our choice: a VM that may touch memory touches more of it within this time, on a busy machine too */
#define STILL_NS (500 * NSEC_PER_MSEC)

/* Waits until the memory in use has stood still for a while. */
static void await_standstill(struct run *run, struct sampler *sampler)
{
	uint64_t end = now_ns() + RUN_LIMIT_MS * NSEC_PER_MSEC, since = now_ns(), last = 0, now;

	while (now_ns() - since < STILL_NS) {
		now = atomic_load(&sampler->now);
		if (now != last)
			since = now_ns();
		last = now;
		run_assert(run, now_ns() < end, "the memory in use does not come to a standstill");
		sleep_until(now_ns() + NSEC_PER_MSEC);
	}
}

/*
 * The dumper stands still, so generation 1 gets what is left of the budget and no more.  When that one crashes
 * there is nothing for a third.
 */
START_TEST(a_third_vm_waits_for_memory_and_starts_when_the_dump_gives_some_back)
{
	const uint64_t budget = (256 + 16) * MIB;
	const char *waits, *done;
	struct sampler sampler;
	struct process dumper;
	char reason[32], path[512];
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle fill=text:80",
				.recovery = "generations=2 scenario=service touch=240",
				.memory = 256,
				.vcpus = 2,
				.more = "[recovery]\nreserve = 16M\nbackoff = 0\n"
					"[dump]\ncompress = lz4\nstall_timeout = 0"});
	run_await(&run, "ready", 0);
	run_find_dumper(&run, &dumper);
	ck_assert_int_eq(sampler_start(&sampler, run.vmm.pid, dumper.pid, run.dump_dir), 0);
	ck_assert_int_eq(process_signal(&dumper, SIGSTOP), 0);
	run_signal(&run, SIGUSR1);
	run_await(&run, "handover-start", 1);
	await_standstill(&run, &sampler); /* now it waits for memory */
	run_count(&run, "ready", 1);
	run_signal(&run, SIGUSR1);
	waits = run_await(&run, "recovery-waits", 2);
	run_assert(&run, event_text(waits, "for", reason, sizeof(reason)) && !strcmp(reason, "memory"),
		"%s", waits);
	run_count(&run, "run", 2);
	ck_assert_int_eq(process_signal(&dumper, SIGCONT), 0);
	process_close(&dumper);
	run_ends(&run, CODE_OK);
	sampler_stop(&sampler);
	run_event(&run, "ready", 2);
	done = run_event(&run, "dump-done", 0);
	run_assert(&run, event_ns(done) < event_ns(run_event(&run, "dump-done", 1)), "dump 1 came first");
	run_assert(&run, event_ns(run_event(&run, "run", 2)) > event_ns(waits), "it did not wait");
	run_assert(&run, sampler.peak <= budget, "%llu KiB were in use",
		(unsigned long long)(sampler.peak >> 10));
	for (int generation = 0; generation < 2; generation++) {
		find_final(&run, generation, path, sizeof(path));
		judge_dump(&run, path,
			&(struct claim){.generation = generation,
				.flags = JUDGE_NO_REGISTERS | (generation ? JUDGE_NO_FILL : 0)});
	}
	run_finish(&run);
}
END_TEST

/* ---- without userfaultfd ---------------------------------------------------------------------- */

/* As a kernel does that lets only privileged users have one: the call, and what /dev/userfaultfd offers. */
static int forbid_userfaultfd(void)
{
	/* USERFAULTFD_IOC_NEW, linux/userfaultfd.h */
	const struct scmp_arg_cmp ioc_new = {.arg = 1, .op = SCMP_CMP_EQ, .datum_a = 0xaa00, .datum_b = 0};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int err = filter ? 0 : -ENOMEM;

	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(userfaultfd), 0);
	if (!err)
		err = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, &ioc_new);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}

START_TEST(without_userfaultfd_it_says_so_and_recovers_without_a_gate)
{
	char err[1 << 14], path[512];
	struct run run;

	NEEDS_KVM();
	ck_assert_int_eq(forbid_userfaultfd(), 0);
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:60",
				.recovery = "scenario=service touch=40 then=ready-poweroff"});
	run_ends(&run, CODE_OK);
	read_file(run.err, err, sizeof(err));
	run_assert(&run, strstr(err, "userfaultfd: Operation not permitted"),
		"it does not say what is missing");
	run_count(&run, "handover-start", 0);
	run_event(&run, "ready", 1);
	run_dump_path(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, 0, NULL);
	run_finish(&run);
}
END_TEST

Suite *suite_handover(void)
{
	Suite *suite = suite_create("handover");
	TCase *tcase = run_tcase(suite, "contents");

	tcase_add_loop_test(tcase,
		a_gated_vm_fills_all_memory_beside_a_slow_dump_and_every_page_of_its_own_dump_is_right, 0,
		NR_VCPUS);

	tcase = run_tcase(suite, "waiting");
	tcase_add_test(tcase, a_vm_that_waits_goes_on_when_a_dump_is_removed);
	tcase_add_loop_test(tcase, a_vm_that_waits_is_stopped_promptly, 0, NR_VCPUS);
	tcase_add_loop_test(tcase, a_vm_that_waits_can_be_crashed_and_its_dump_is_right, 0, NR_VCPUS);
	tcase_add_loop_test(
		tcase, a_vm_that_waits_can_be_paused_and_gets_its_memory_when_it_goes_on, 0, NR_VCPUS);
	tcase_add_loop_test(tcase, a_paused_vm_that_waits_is_stopped_promptly, 0, 2);
	tcase_add_test(tcase, a_paused_vm_that_waits_can_be_crashed_and_its_dump_is_right);
	tcase_add_test(tcase, the_watchdog_does_not_bite_a_vm_that_waits);

	tcase = run_tcase(suite, "allow");
	tcase_add_test(tcase, what_the_budget_does_not_cover_is_said_and_the_service_comes_up);
	tcase_add_loop_test(tcase, on_a_tmpfs_that_is_too_small_it_waits_instead_of_failing, 0, 2);

	tcase = run_tcase(suite, "order");
	tcase_add_test(tcase, with_concurrent_no_the_recovery_vm_runs_after_the_dump);
	tcase_add_test(tcase, a_third_vm_waits_for_memory_and_starts_when_the_dump_gives_some_back);

	tcase = run_tcase(suite, "no userfaultfd");
	tcase_add_test(tcase, without_userfaultfd_it_says_so_and_recovers_without_a_gate);
	return suite;
}
