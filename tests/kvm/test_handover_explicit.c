/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_handover_explicit.c - recovery.handover = explicit: a recovery VM boots with a part of its memory,
 * gets the rest as the crashed one gives it back, and dies at any moment in between.
 *
 * Memory is held back by stopping the dumper process: what is given back then is nothing, for as long as
 * the test wants.
 */
#include "tests/kvm/judges.h"
#include "tests/kvm/suites.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MEMORY 256u /* MiB of the guest */
#define INITIAL 64u /* MiB that its recovery VM boots with: the default */
/* Memory slots of a VM, docs/handover.md; one or two are in use from the start. */
#define GRANTS_MAX 31u
#define HOLE_BASE (3ull << 30) /* RAM goes on at 4 GiB: docs/handover.md */
#define HOLE_END (4ull << 30)

/*
 * A crashed guest that used 88 % of its memory leaves room for what the recovery VM boots with and for a part of
 * the rest: at most half of its memory in all.  A dump without the zeros gives back more than it takes.
 */
#define FULL "fill=zero:50,pattern:38 "
#define EXPLICIT "[recovery]\nhandover = explicit\nreserve = 96M\n"
#define GIVING "[dump]\nselect = zero\n"
#define PACKED "[dump]\ncompress = lz4\n"
#define HALF (MEMORY / 2)

static const unsigned cpu_counts[] = {1, 2, 4};
#define NR_CPU_COUNTS ((int)(sizeof(cpu_counts) / sizeof(cpu_counts[0])))

/* What a VM of @generation got: pieces that follow each other, @first MiB before them; returns MiB in the end. */
static uint64_t check_growth(struct run *run, int generation, uint64_t first)
{
	uint64_t memory = first * MIB;
	unsigned grants = 0;

	event_log_update(&run->log);
	for (const char *event = NULL;
		(event = event_find(&run->log, "memory-added", generation, event)) != NULL; grants++) {
		uint64_t start = run_u64(run, event, "start"), bytes = run_u64(run, event, "bytes");

		run_assert(run, start == (memory < HOLE_BASE ? memory : memory + HOLE_END - HOLE_BASE),
			"a gap or an overlap: %s", event);
		run_assert(run, bytes && !(bytes % (2 * MIB)) && !(start % (2 * MIB)), "odd memory: %s",
			event);
		memory += bytes;
		run_assert(run, run_u64(run, event, "memory") == memory, "the sum is wrong: %s", event);
	}
	run_assert(run, grants <= GRANTS_MAX, "%u pieces of memory", grants);
	return memory / MIB;
}

/* Waits until the VM of @generation has @mib MiB. */
static void await_memory(struct run *run, int generation, uint64_t mib)
{
	const char *event = NULL;

	do
		event = run_await_next(run, "memory-added", generation, event);
	while (run_u64(run, event, "memory") < mib * MIB);
}

/* The guest is up, and then crashes with its dumper stopped. */
static void crash_without_dumper(struct run *run, struct process *ret_dumper)
{
	run_await(run, "ready", 0);
	run_find_dumper(run, ret_dumper);
	ck_assert_int_eq(process_signal(ret_dumper, SIGSTOP), 0);
	run_signal(run, SIGUSR1);
}

static void go_on(struct process *dumper)
{
	ck_assert_int_eq(process_signal(dumper, SIGCONT), 0);
	process_close(dumper);
}

/* The dump of @generation is right, and of as much memory as the VM had. */
static void judge_generation(struct run *run, int generation, unsigned flags)
{
	char path[512];

	find_final(run, generation, path, sizeof(path));
	judge_dump(run, path, &(struct claim){.generation = generation, .flags = flags});
}

static void no_errors(struct run *run)
{
	static char console[1 << 18];

	read_file(run->console, console, sizeof(console));
	run_assert(run, !strstr(console, "stub: error:"), "the guest was treated wrongly: %.1000s",
		strstr(console, "stub: error:"));
}

/* ---- memory comes -------------------------------------------------------------------------------- */

START_TEST(a_recovery_vm_gets_all_its_memory_while_it_runs_and_uses_it)
{
	uint64_t ready, before = 0;
	struct run run;

	NEEDS_KVM();
	run_start(&run,
		&(struct guest){.cmdline = "scenario=null-deref " FULL,
			.recovery = "scenario=service touch=200 then=panic-call generations=2 seed=0x77",
			.memory = MEMORY,
			.vcpus = cpu_counts[_i],
			.more = EXPLICIT GIVING});
	run_ends(&run, CODE_OK);
	run_count(&run, "crash", 2);
	no_errors(&run);
	ck_assert_uint_ge(check_growth(&run, 1, INITIAL), 200);
	check_growth(&run, 2, INITIAL);
	/* it was ready when it had enough and not before */
	ready = event_ns(run_event(&run, "ready", 1));
	for (const char *event = NULL;
		(event = event_find(&run.log, "memory-added", 1, event)) && event_ns(event) < ready;)
		before = run_u64(&run, event, "memory");
	run_assert(&run, before >= 200 * MIB, "ready with %llu MiB", before / MIB);
	run_said(&run, "stub: memory added pfn=16384-");
	run_said(&run, "stub: service touched 200 MiB in ");
	judge_generation(&run, 0, 0);
	judge_generation(&run, 1, 0);
	run_finish(&run);
}
END_TEST

START_TEST(a_service_that_needs_more_than_it_boots_with_is_not_ready_until_memory_is_given_back)
{
	struct process dumper;
	uint64_t went_on;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle " FULL,
				.recovery = "scenario=service touch=200 then=ready-poweroff",
				.memory = MEMORY,
				.vcpus = 2,
				.more = EXPLICIT GIVING});
	crash_without_dumper(&run, &dumper);
	run_await(&run, "run", 1);
	sleep_until(now_ns() + 200 * NSEC_PER_MSEC); /* time to be ready, were it not for memory */
	event_log_update(&run.log);
	run_assert(&run, !event_find(&run.log, "ready", 1, NULL), "ready without memory");
	ck_assert_uint_le(check_growth(&run, 1, INITIAL), HALF);
	went_on = now_ns();
	go_on(&dumper);
	run_ends(&run, CODE_OK);
	ck_assert_uint_gt(event_ns(run_event(&run, "ready", 1)), went_on);
	check_growth(&run, 1, INITIAL);
	no_errors(&run);
	run_finish(&run);
}
END_TEST

START_TEST(a_guest_that_knows_nothing_of_events_gets_its_memory_all_the_same)
{
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref " FULL,
				.recovery = "scenario=service touch=30 events=0",
				.memory = MEMORY,
				.vcpus = 2,
				.more = EXPLICIT GIVING "[recovery]\nmax = 1\n"});
	await_memory(&run, 1, MEMORY);
	run_signal(&run, SIGUSR1);
	run_ends(&run, CODE_CRASHED);
	ck_assert_uint_eq(check_growth(&run, 1, INITIAL), MEMORY);
	judge_generation(&run, 1, JUDGE_NO_REGISTERS);
	run_finish(&run);
}
END_TEST

START_TEST(memory_that_a_dump_keeps_comes_when_the_dump_is_removed)
{
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:88",
				.recovery = "scenario=service touch=200 then=ready-poweroff",
				.memory = MEMORY,
				.vcpus = 2,
				.more = EXPLICIT "overcommit = wait\n"});
	run_await(&run, "handover-blocked", 1);
	run_await(&run, "dump-done", 0);
	find_final(&run, 0, path, sizeof(path));
	run_assert(&run, !event_find(&run.log, "ready", 1, NULL), "ready without memory");
	ck_assert_int_eq(unlink(path), 0);
	run_ends(&run, CODE_OK);
	run_count(&run, "handover-blocked", 1);
	run_event(&run, "ready", 1);
	check_growth(&run, 1, INITIAL);
	no_errors(&run);
	run_finish(&run);
}
END_TEST

START_TEST(memory_that_a_dump_keeps_is_given_at_once_where_that_is_allowed)
{
	struct process dumper;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle fill=pattern:88",
				.recovery = "scenario=service touch=200 then=ready-poweroff",
				.memory = MEMORY,
				.vcpus = 2,
				.more = EXPLICIT});
	crash_without_dumper(&run, &dumper);
	run_await(&run, "ready", 1);
	ck_assert_uint_eq(check_growth(&run, 1, INITIAL), MEMORY);
	go_on(&dumper);
	run_ends(&run, CODE_OK);
	run_finish(&run);
}
END_TEST

START_TEST(memory_goes_on_above_the_hole_below_4_gib)
{
	const uint64_t memory = 3584;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:2",
				.recovery = "await=3584 fill=pattern:1 scenario=service touch=8 "
					    "then=panic-call generations=2",
				.memory = memory,
				.vcpus = 2,
				.more = EXPLICIT});
	run_ends(&run, CODE_OK);
	no_errors(&run);
	ck_assert_uint_eq(check_growth(&run, 1, INITIAL), memory);
	run_said(&run, "stub: memory added pfn=1048576-1179647\n");
	judge_generation(&run, 1, 0);
	run_finish(&run);
}
END_TEST

START_TEST(without_a_dump_memory_comes_as_the_dead_vm_goes)
{
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref " FULL,
				.recovery = "scenario=service touch=200 then=ready-poweroff",
				.memory = MEMORY,
				.more = EXPLICIT "[dump]\nenabled = no\n"});
	run_ends(&run, CODE_OK);
	no_errors(&run);
	ck_assert_uint_ge(check_growth(&run, 1, INITIAL), 200);
	run_finish(&run);
}
END_TEST

START_TEST(a_recovery_vm_that_reboots_beside_the_dump_starts_small_again)
{
	struct process dumper;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle on-recovery=reboot generations=2 " FULL,
				.recovery = "scenario=reboot",
				.memory = MEMORY,
				.more = EXPLICIT GIVING});
	crash_without_dumper(&run, &dumper);
	run_await(&run, "run", 2);
	ck_assert_uint_le(check_growth(&run, 2, INITIAL), HALF);
	go_on(&dumper);
	run_ends(&run, CODE_OK);
	check_growth(&run, 2, INITIAL); /* whatever came, came on top of that */
	if (!event_find(&run.log, "memory-added", 2, NULL))
		run_said(&run, ", 64 MiB, 1 cpus, generation 2\n");
	no_errors(&run);
	run_finish(&run);
}
END_TEST

/* ---- and the VM dies in between ------------------------------------------------------------------ */

/* How both are dumped.  None of them takes all that is given back, or the VM would get its memory at once. */
static const struct {
	const char *dump;
	bool guest_dumps;
} ways[] = {
	{GIVING, false},
	{PACKED, false},
	{GIVING "strategy = remap\n", false},
	{GIVING "strategy = hybrid\n", false},
	{"overcommit = wait\n[dump]\nstrategy = hypercall\n", true},
	{"overcommit = wait\n[dump]\nstrategy = addmem\n", true},
};
#define NR_WAYS ((int)(sizeof(ways) / sizeof(ways[0])))

START_TEST(a_vm_that_dies_before_any_memory_was_given_back_is_dumped_with_what_it_had)
{
	struct process dumper;
	char more[256];
	uint64_t had;
	struct run run;

	NEEDS_KVM();
	snprintf(more, sizeof(more), "%s%s", EXPLICIT, ways[_i].dump);
	run_start(&run,
		&(struct guest){.cmdline = "scenario=idle " FULL,
			.recovery = "scenario=null-deref fill=pattern:40,text:10,freed:10 generations=2",
			.memory = MEMORY,
			.vcpus = 2,
			.more = more});
	crash_without_dumper(&run, &dumper);
	run_await(&run, "crash", 1);
	go_on(&dumper);
	run_ends(&run, CODE_OK);
	run_count(&run, "dump-done", 2);
	had = check_growth(&run, 1, INITIAL);
	ck_assert_uint_le(had, HALF);
	ck_assert_uint_eq(run_u64(&run, run_event(&run, "dump-start", 1), "memory"), had * MIB);
	if (ways[_i].guest_dumps)
		run_assert(&run, event_is_true(run_event(&run, "guest-dumped", 1), "complete"),
			"the guest did not dump by itself");
	no_errors(&run);
	judge_generation(&run, 0, JUDGE_NO_REGISTERS);
	judge_generation(&run, 1, 0);
	run_finish(&run);
}
END_TEST

START_TEST(a_vm_that_dies_in_the_middle_of_the_handover_is_dumped_with_what_it_had)
{
	uint64_t had;
	struct run run;

	NEEDS_KVM();
	/*
	 * The dump keeps 60 %: what comes after the first release is more than half, and never all.  A third
	 * VM would wait for that for ever.
	 */
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=zero:30,pattern:60",
				.recovery = "await=130 fill=pattern:60,text:10,freed:10 "
					    "scenario=null-deref",
				.memory = MEMORY,
				.vcpus = cpu_counts[_i],
				.more = EXPLICIT "overcommit = wait\nmax = 1\n" GIVING});
	run_ends(&run, CODE_CRASHED);
	run_count(&run, "dump-done", 2);
	had = check_growth(&run, 1, INITIAL);
	run_assert(&run, had > HALF && had < MEMORY, "it had %" PRIu64 " MiB: not the middle", had);
	ck_assert_uint_eq(run_u64(&run, run_event(&run, "dump-start", 1), "memory"), had * MIB);
	no_errors(&run);
	judge_generation(&run, 0, 0);
	judge_generation(&run, 1, 0);
	run_finish(&run);
}
END_TEST

START_TEST(six_recovery_vms_in_a_row_each_die_with_the_memory_they_have)
{
	struct run run;

	NEEDS_KVM();
	run_start(&run,
		&(struct guest){.cmdline = "scenario=null-deref fill=text:30,pattern:20 generations=6",
			.memory = MEMORY,
			.vcpus = 2,
			.more = EXPLICIT "backoff = 0\nmax = 10\n" GIVING "max_count = 10\n"});
	run_ends(&run, CODE_OK);
	run_count(&run, "crash", 6);
	run_count(&run, "dump-done", 6);
	no_errors(&run);
	for (int generation = 0; generation < 6; generation++) {
		check_growth(&run, generation, generation ? INITIAL : MEMORY);
		judge_generation(&run, generation, 0);
	}
	run_finish(&run);
}
END_TEST

/* ---- lies ---------------------------------------------------------------------------------------- */

START_TEST(a_guest_that_polls_wrongly_and_acknowledges_nothing_gets_its_memory_and_no_more)
{
	static char console[1 << 18];
	struct process dumper;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle " FULL,
				.recovery = "scenario=lie-events events=0 fill=pattern:20 generations=2",
				.memory = MEMORY,
				.vcpus = cpu_counts[_i],
				.more = EXPLICIT GIVING});
	crash_without_dumper(&run, &dumper);
	run_await(&run, "ready", 1); /* it has tried memory that it does not have */
	go_on(&dumper);
	run_ends(&run, CODE_OK);
	no_errors(&run);
	run_said(&run, "stub: lie events: memory 256 MiB in the end\n");
	read_file(run.console, console, sizeof(console));
	run_assert(
		&run, !strstr(console, "stub: lie events: all memory was there"), "memory came too soon");
	ck_assert_uint_eq(check_growth(&run, 1, INITIAL), MEMORY);
	judge_generation(&run, 1, 0);
	run_finish(&run);
}
END_TEST

START_TEST(calls_that_make_no_sense_do_no_harm_in_a_vm_that_grows)
{
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref " FULL,
				.recovery = "scenario=lie-calls fill=pattern:20 generations=2",
				.memory = MEMORY,
				.vcpus = 2,
				.more = EXPLICIT GIVING});
	run_ends(&run, CODE_OK);
	no_errors(&run);
	judge_generation(&run, 1, 0);
	run_finish(&run);
}
END_TEST

Suite *suite_handover_explicit(void)
{
	Suite *suite = suite_create("handover-explicit");
	TCase *grows = tcase_create("grows"), *dies = tcase_create("dies"), *lies = tcase_create("lies");

	tcase_set_timeout(grows, TEST_TIMEOUT);
	tcase_add_loop_test(
		grows, a_recovery_vm_gets_all_its_memory_while_it_runs_and_uses_it, 0, NR_CPU_COUNTS);
	tcase_add_test(grows,
		a_service_that_needs_more_than_it_boots_with_is_not_ready_until_memory_is_given_back);
	tcase_add_test(grows, a_guest_that_knows_nothing_of_events_gets_its_memory_all_the_same);
	tcase_add_test(grows, memory_that_a_dump_keeps_comes_when_the_dump_is_removed);
	tcase_add_test(grows, memory_that_a_dump_keeps_is_given_at_once_where_that_is_allowed);
	tcase_add_test(grows, memory_goes_on_above_the_hole_below_4_gib);
	tcase_add_test(grows, without_a_dump_memory_comes_as_the_dead_vm_goes);
	tcase_add_test(grows, a_recovery_vm_that_reboots_beside_the_dump_starts_small_again);
	suite_add_tcase(suite, grows);

	tcase_set_timeout(dies, TEST_TIMEOUT);
	tcase_add_loop_test(dies,
		a_vm_that_dies_before_any_memory_was_given_back_is_dumped_with_what_it_had, 0, NR_WAYS);
	tcase_add_loop_test(dies, a_vm_that_dies_in_the_middle_of_the_handover_is_dumped_with_what_it_had,
		0, NR_CPU_COUNTS);
	tcase_add_test(dies, six_recovery_vms_in_a_row_each_die_with_the_memory_they_have);
	suite_add_tcase(suite, dies);

	tcase_set_timeout(lies, TEST_TIMEOUT);
	tcase_add_loop_test(lies,
		a_guest_that_polls_wrongly_and_acknowledges_nothing_gets_its_memory_and_no_more, 0,
		NR_CPU_COUNTS);
	tcase_add_test(lies, calls_that_make_no_sense_do_no_harm_in_a_vm_that_grows);
	suite_add_tcase(suite, lies);
	return suite;
}
