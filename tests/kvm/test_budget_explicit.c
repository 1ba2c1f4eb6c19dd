/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_budget_explicit.c - the same promise as test_budget.c's for recovery.handover = explicit: crashed VM,
 * dump and recovery VM stay within vm.memory + recovery.reserve while guests take all their memory as it comes.
 */
#include "tests/kvm/judges.h"
#include "tests/kvm/sampler.h"
#include "tests/kvm/suites.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MEMORY 256u /* MiB of the guest */
#define RESERVE 32u /* MiB */
#define INITIAL 32u /* MiB */
#define LEAST 220u  /* MiB that a guest must have got to crash */
#define CYCLES 10

/*
 * T is what a guest touches, D its dump, B the budget: MEMORY + 2 D < B, so that each guest gets all its memory in
 * the end, beside its predecessor's dump and the one before.  But 2 T + D > B: not as long as its predecessor has it.
 */
static const struct {
	const char *cmdline; /* of every guest; it is ready before it crashes */
	const char *dump;
} rows[] = {
	/* touches what it gets as it gets it; pages of one word and zeros are packed to nearly nothing */
	{"scenario=service touch=220 then=panic-call", "compress = lz4"},
	/* waits for all of it first */
	{"scenario=ready-panic await=256 fill=zero:70,pattern:2", "select = zero"},
	{"scenario=ready-panic await=256 fill=zero:70,pattern:2", "strategy = remap\nselect = zero"},
	{"scenario=ready-panic await=256 fill=zero:70,pattern:2", "strategy = hybrid\nselect = zero"},
};
#define NR_ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

static void start_sampler(struct run *run, struct sampler *sampler, struct process *ret_dumper)
{
	run_await(run, "run", 0);
	run_find_dumper(run, ret_dumper);
	ck_assert_int_eq(sampler_start(sampler, run->vmm.pid, ret_dumper->pid, run->dump_dir), 0);
}

static void check_peak(struct run *run, const struct sampler *sampler)
{
	const uint64_t budget = (MEMORY + RESERVE) * MIB;

	run_assert(run, sampler->peak <= budget, "%llu KiB were in use, %llu are the budget",
		(unsigned long long)(sampler->peak >> 10), (unsigned long long)(budget >> 10));
}

/* Nothing is given back for a while, and the recovery VM touches all it has. */
START_TEST(while_the_dumper_stands_still_no_more_than_the_budget_is_taken)
{
	struct sampler sampler;
	struct process dumper;
	char more[256];
	struct run run;

	NEEDS_KVM();
	snprintf(more, sizeof(more),
		"[recovery]\nhandover = explicit\ninitial = %uM\nreserve = %uM\n[dump]\nselect = zero\n",
		INITIAL, RESERVE);
	run_start(&run, &(struct guest){.cmdline = "scenario=idle fill=zero:60,pattern:5",
				.recovery = "scenario=service touch=220 then=ready-poweroff",
				.memory = MEMORY,
				.vcpus = 2,
				.more = more});
	run_await(&run, "ready", 0);
	start_sampler(&run, &sampler, &dumper);
	ck_assert_int_eq(process_signal(&dumper, SIGSTOP), 0);
	run_signal(&run, SIGUSR1);
	run_await(&run, "run", 1);
	sleep_until(now_ns() + 500 * NSEC_PER_MSEC);
	event_log_update(&run.log);
	run_assert(&run, !event_find(&run.log, "ready", 1, NULL), "ready without memory");
	ck_assert_int_eq(process_signal(&dumper, SIGCONT), 0);
	process_close(&dumper);
	run_wait(&run);
	sampler_stop(&sampler);
	run_assert(&run, run.code == CODE_OK, "minivmm ended with %d", run.code);
	check_peak(&run, &sampler);
	run_finish(&run);
}
END_TEST

START_TEST(guests_that_take_all_their_memory_as_it_comes_stay_within_the_budget)
{
	char cmdline[128], more[256], path[512];
	const char *done = NULL;
	struct sampler sampler;
	struct process dumper;
	struct run run;

	NEEDS_KVM();
	snprintf(cmdline, sizeof(cmdline), "%s generations=%d", rows[_i].cmdline, CYCLES);
	snprintf(more, sizeof(more),
		"[recovery]\nmax = 100\nbackoff = 0\novercommit = wait\nhandover = explicit\n"
		"initial = %uM\nreserve = %uM\n[dump]\n%s\n",
		INITIAL, RESERVE, rows[_i].dump);
	run_start(&run, &(struct guest){.cmdline = cmdline, .memory = MEMORY, .vcpus = 2, .more = more});
	start_sampler(&run, &sampler, &dumper);
	process_close(&dumper);
	for (int generation = 0; generation < CYCLES; generation++) {
		done = run_await_next(&run, "dump-done", generation, done);
		if (generation) {
			find_final(&run, generation - 1, path, sizeof(path));
			ck_assert_int_eq(unlink(path), 0);
		}
	}
	run_wait(&run);
	sampler_stop(&sampler);
	printf("note: explicit, row %d, %d crashes: peak %.1f of %u MiB, %llu samples\n", _i, CYCLES,
		(double)sampler.peak / MIB, MEMORY + RESERVE, (unsigned long long)sampler.samples);
	run_assert(&run, run.code == CODE_OK, "minivmm ended with %d", run.code);
	run_count(&run, "crash", CYCLES);
	for (int generation = 1; generation < CYCLES; generation++)
		ck_assert_uint_ge(run_added_memory(&run, generation), LEAST);
	run_assert(&run, sampler.samples >= CYCLES, "%llu samples prove nothing",
		(unsigned long long)sampler.samples);
	check_peak(&run, &sampler);
	find_final(&run, CYCLES - 1, path, sizeof(path));
	judge_dump(&run, path, &(struct claim){.generation = CYCLES - 1, .any = "zero"});
	run_finish(&run);
}
END_TEST

Suite *suite_budget_explicit(void)
{
	Suite *suite = suite_create("budget-explicit");
	TCase *tcase = run_tcase(suite, "sampled");

	tcase_add_test(tcase, while_the_dumper_stands_still_no_more_than_the_budget_is_taken);
	tcase_add_loop_test(
		tcase, guests_that_take_all_their_memory_as_it_comes_stay_within_the_budget, 0, NR_ROWS);
	return suite;
}
