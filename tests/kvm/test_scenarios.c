/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_scenarios.c - every scenario of the guest stub: what minivmm makes of it, in which order,
 * and with which exit code it ends.
 */
#include "tests/kvm/run.h"
#include "tests/kvm/suites.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* our choices: far over what a boot takes on a busy machine, so that only a guest that hangs is one */
#define WATCHDOG "[vm]\nwatchdog = 2s"
#define WATCHDOG_NS (2 * NSEC_PER_SEC)

/* How a scenario ends a VM. */
struct crash {
	const char *scenario;
	const char *reason; /* of the crash event */
	const char *text;   /* part of the event's text */
	const char *more;   /* of guest.cfg */
	unsigned judge;     /* JUDGE_* */
	bool other_cpu;     /* any vCPU but 0 may be the one that crashes */
};

static const struct crash crashes[] = {
	{.scenario = "null-deref", .reason = "panic", .text = "null pointer dereference: write of 0x0"},
	{.scenario = "panic-call", .reason = "panic", .text = "requested by scenario=panic-call"},
	{.scenario = "div-zero", .reason = "panic", .text = "divide error"},
	{.scenario = "triple-fault",
		.reason = "triple-fault",
		.text = "triple-fault on vCPU 0",
		.judge = JUDGE_NO_REGISTERS},
	{.scenario = "hang",
		.reason = "hang",
		.text = "hang",
		.more = WATCHDOG,
		.judge = JUDGE_NO_REGISTERS},
	{.scenario = "panic-early",
		.reason = "panic",
		.text = "requested by scenario=panic-early",
		.judge = JUDGE_NO_FILL | JUDGE_NO_REGISTERS /* of CPUs that were never started */},
	{.scenario = "ready-panic", .reason = "panic", .text = "requested by scenario=ready-panic"},
	/* last: it needs a second vCPU */
	{.scenario = "null-deref-ap",
		.reason = "panic",
		.text = "null pointer dereference",
		.other_cpu = true},
};
#define NR_CRASHES ((int)(sizeof(crashes) / sizeof(crashes[0])))

static const unsigned cpu_counts[] = {1, 2, 4};
#define NR_CPU_COUNTS ((int)(sizeof(cpu_counts) / sizeof(cpu_counts[0])))

/* The events of a crash are there, in the order in which things must happen. */
static void check_order(struct run *run, int generation)
{
	const char *crash = run_event(run, "crash", generation),
		   *done = run_event(run, "dump-done", generation);
	const char *next = run_event(run, "run", generation + 1);
	const uint64_t moments[] = {
		event_ns(run_event(run, "start", 0)),
		event_ns(run_event(run, "run", generation)),
		event_ns(crash),
		event_ns(run_event(run, "dump-start", generation)),
		event_ns(run_event(run, "dump-linked", generation)),
		event_ns(done),
		event_ns(run_event(run, "exit", -1)),
	};

	for (size_t i = 1; i < sizeof(moments) / sizeof(moments[0]); i++)
		run_assert(run, moments[i] >= moments[i - 1], "event %zu of a crash is before event %zu", i,
			i - 1);
	run_assert(run, event_ns(next) > event_ns(crash), "the recovery VM ran before the crash");
	run_assert(
		run, event_is_true(next, "recovery"), "the next VM is not told that it recovers: %s", next);
	run_assert(run, event_ns(run_event(run, "ready", generation + 1)) > event_ns(next),
		"ready before it ran");
	run_event(run, "timeline", generation);
}

static void check_crash(struct run *run, const struct crash *crash, unsigned vcpus)
{
	const char *event = run_event(run, "crash", 0);
	char reason[64], text[2048];
	uint64_t cpu = run_u64(run, event, "cpu");

	event_text(event, "reason", reason, sizeof(reason));
	event_text(event, "text", text, sizeof(text));
	run_assert(run, !strcmp(reason, crash->reason), "reason '%s', not '%s'", reason, crash->reason);
	run_assert(run, strstr(text, crash->text), "'%s' does not tell '%s'", text, crash->text);
	run_assert(
		run, crash->other_cpu ? cpu && cpu < vcpus : !cpu, "it crashed on vCPU %u", (unsigned)cpu);
	run_assert(run, !run_u64(run, event, "detail"), "a detail where there is none: %s", event);
}

START_TEST(a_crash_has_its_reason_is_dumped_and_recovered)
{
	const struct crash *crash = &crashes[_i / NR_CPU_COUNTS];
	unsigned vcpus = cpu_counts[_i % NR_CPU_COUNTS];
	char cmdline[128], path[512];
	struct run run;

	NEEDS_KVM();
	snprintf(cmdline, sizeof(cmdline), "scenario=%s fill=pattern:20,freed:10", crash->scenario);
	run_start(&run, &(struct guest){.cmdline = cmdline,
				.recovery = "scenario=ready-poweroff",
				.vcpus = vcpus,
				.more = crash->more});
	run_ends(&run, CODE_OK);
	check_crash(&run, crash, vcpus);
	check_order(&run, 0);
	run_count(&run, "crash", 1);
	run_count(&run, "dump-done", 1);
	run_count(&run, "run", 2);
	run_dump_path(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, crash->judge, NULL);
	run_assert(&run, !run_files(&run, ".partial", NULL, 0), "names of an unfinished dump are left");
	run_finish(&run);
}
END_TEST

START_TEST(a_hang_is_noticed_when_the_watchdog_runs_out_and_not_before)
{
	uint64_t ran, crashed;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=hang heartbeat=10",
				.recovery = "scenario=ready-poweroff",
				.more = WATCHDOG});
	run_ends(&run, CODE_OK);
	ran = event_ns(run_event(&run, "run", 0));
	crashed = event_ns(run_event(&run, "crash", 0));
	run_assert(&run, crashed - ran >= WATCHDOG_NS, "a hang after %llu ms",
		(unsigned long long)((crashed - ran) / NSEC_PER_MSEC));
	run_finish(&run);
}
END_TEST

START_TEST(heartbeats_keep_a_slow_guest_from_being_a_hang)
{
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=ready-poweroff delay=4500 heartbeat=50",
				.more = WATCHDOG});
	run_ends(&run, CODE_OK);
	run_count(&run, "crash", 0);
	run_event(&run, "ready", 0);
	run_finish(&run);
}
END_TEST

START_TEST(a_guest_that_powers_off_ends_with_0_and_leaves_no_dump)
{
	struct run run;

	NEEDS_KVM();
	run_start(&run,
		&(struct guest){.cmdline = "scenario=ready-poweroff fill=20", .vcpus = cpu_counts[_i]});
	run_ends(&run, CODE_OK);
	run_event(&run, "ready", 0);
	run_assert(&run, !run_u64(&run, run_event(&run, "power-off", 0), "code"), "a code other than 0");
	run_count(&run, "crash", 0);
	run_assert(&run, !run_files(&run, "", NULL, 0), "files are left");
	run_finish(&run);
}
END_TEST

START_TEST(firmware_calls_are_made_and_timed_by_the_scenario_calls)
{
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=calls"});
	run_ends(&run, CODE_OK);
	run_event(&run, "ready", 0);
	run_said(&run, "stub: calls port: 4000, ");
	run_said(&run, "stub: calls query: 4000, ");
	run_finish(&run);
}
END_TEST

START_TEST(a_guest_that_powers_off_with_a_code_ends_with_7)
{
	struct run run;

	NEEDS_KVM();
	/* the stub answers a wrong command line with code 2: docs/guest-stub.md */
	run_start(&run, &(struct guest){.cmdline = "no-such-key=1"});
	run_ends(&run, CODE_GUEST);
	run_assert(&run, run_u64(&run, run_event(&run, "power-off", 0), "code") == 2, "the code is not 2");
	run_said(&run, "unknown key \"no-such-key\"");
	run_count(&run, "crash", 0);
	run_finish(&run);
}
END_TEST

START_TEST(a_reboot_is_a_fresh_vm_and_no_crash)
{
	struct run run;

	NEEDS_KVM();
	/* recovery.max = 0: reboots are not counted there */
	run_start(&run, &(struct guest){.cmdline = "scenario=reboot generations=3 fill=pattern:20",
				.vcpus = cpu_counts[_i],
				.more = "[recovery]\nmax = 0"});
	run_ends(&run, CODE_OK);
	run_count(&run, "reboot", 3);
	run_count(&run, "run", 4);
	run_count(&run, "crash", 0);
	for (int generation = 0; generation < 4; generation++)
		run_assert(&run, !event_is_true(run_event(&run, "run", generation), "recovery"),
			"generation %d is told that it recovers", generation);
	run_event(&run, "ready", 3);
	run_assert(&run, !run_files(&run, "", NULL, 0), "files are left");
	run_finish(&run);
}
END_TEST

START_TEST(sigusr1_crashes_a_healthy_guest)
{
	char reason[64], path[512];
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle fill=pattern:20",
				.recovery = "scenario=ready-poweroff",
				.vcpus = cpu_counts[_i]});
	run_await(&run, "ready", 0);
	run_signal(&run, SIGUSR1);
	run_ends(&run, CODE_OK);
	event_text(run_event(&run, "crash", 0), "reason", reason, sizeof(reason));
	run_assert(&run, !strcmp(reason, "operator"), "reason '%s'", reason);
	check_order(&run, 0);
	run_dump_path(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, JUDGE_NO_REGISTERS, NULL);
	run_finish(&run);
}
END_TEST

START_TEST(a_guest_that_computes_on_every_vcpu_is_crashed_by_sigusr1_too)
{
	char path[512];
	struct run run;

	NEEDS_KVM();
	/* spins for ever, and nobody watches */
	run_start(&run, &(struct guest){.cmdline = "scenario=hang fill=pattern:20",
				.recovery = "scenario=ready-poweroff",
				.vcpus = 4});
	run_await(&run, "run", 0);
	run_signal(&run, SIGUSR1);
	run_ends(&run, CODE_OK);
	run_dump_path(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, JUDGE_NO_REGISTERS | JUDGE_NO_FILL /* it may not have got so far */, NULL);
	run_finish(&run);
}
END_TEST

START_TEST(signals_that_ask_to_stop_end_the_guest_with_0)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle", .vcpus = 2});
	run_await(&run, "ready", 0);
	run_signal(&run, signals[_i]);
	run_ends(&run, CODE_OK);
	run_event(&run, "stop", 0);
	run_count(&run, "crash", 0);
	run_assert(&run, !run_files(&run, "", NULL, 0), "files are left");
	run_finish(&run);
}
END_TEST

START_TEST(a_service_touches_its_memory_is_ready_and_its_pages_are_in_its_dump)
{
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_start(&run,
		&(struct guest){.cmdline = "scenario=null-deref fill=pattern:60",
			.recovery = "scenario=service touch=16 then=panic-call generations=2 seed=0x77",
			.vcpus = cpu_counts[_i]});
	run_ends(&run, CODE_OK);
	run_count(&run, "crash", 2);
	run_assert(&run, event_ns(run_event(&run, "ready", 1)) < event_ns(run_event(&run, "crash", 1)),
		"not ready before its crash");
	run_said(&run, "stub: service touched 16 MiB in ");
	run_dump_path(&run, 1, path, sizeof(path));
	run_judge(&run, path, 1, 0, NULL);
	run_finish(&run);
}
END_TEST

Suite *suite_scenarios(void)
{
	Suite *suite = suite_create("scenarios");
	TCase *tcase = run_tcase(suite, "crashes");

	tcase_add_loop_test(
		tcase, a_crash_has_its_reason_is_dumped_and_recovered, 0, (NR_CRASHES - 1) * NR_CPU_COUNTS);
	tcase_add_loop_test(tcase, a_crash_has_its_reason_is_dumped_and_recovered,
		(NR_CRASHES - 1) * NR_CPU_COUNTS + 1, NR_CRASHES * NR_CPU_COUNTS);
	tcase_add_test(tcase, a_hang_is_noticed_when_the_watchdog_runs_out_and_not_before);
	tcase_add_test(tcase, heartbeats_keep_a_slow_guest_from_being_a_hang);

	tcase = run_tcase(suite, "ends");
	tcase_add_loop_test(
		tcase, a_guest_that_powers_off_ends_with_0_and_leaves_no_dump, 0, NR_CPU_COUNTS);
	tcase_add_test(tcase, firmware_calls_are_made_and_timed_by_the_scenario_calls);
	tcase_add_test(tcase, a_guest_that_powers_off_with_a_code_ends_with_7);
	tcase_add_loop_test(tcase, a_reboot_is_a_fresh_vm_and_no_crash, 0, NR_CPU_COUNTS);
	tcase_add_loop_test(tcase, a_service_touches_its_memory_is_ready_and_its_pages_are_in_its_dump, 0,
		NR_CPU_COUNTS);

	tcase = run_tcase(suite, "signals");
	tcase_add_loop_test(tcase, sigusr1_crashes_a_healthy_guest, 0, NR_CPU_COUNTS);
	tcase_add_test(tcase, a_guest_that_computes_on_every_vcpu_is_crashed_by_sigusr1_too);
	tcase_add_loop_test(tcase, signals_that_ask_to_stop_end_the_guest_with_0, 0, 3);
	return suite;
}
