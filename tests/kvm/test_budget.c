/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_budget.c - crashed VM, dump and recovery VM stay within vm.memory + recovery.reserve, at
 * every moment, by the kernel's figures (sampler.h), through rows of crashes.
 *
 * HANDOVER_CYCLES: crashes of the first combination (`make check`: 100, `make check-long`: 1000).
 */
#include "tests/kvm/judges.h"
#include "tests/kvm/sampler.h"
#include "tests/kvm/suites.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CYCLES 100
/* our choice: minivmm has some 2 MiB of its own, and a dumper at most 4 MiB of buffers for each worker */
#define PRIVATE_MAX (32 * MIB)

/*
 * Contents of the guests.  T is what a guest touches, D its dump, B the budget: T + 2 D < B, so that each guest
 * can have all it wants in the end, beside its predecessor's dump and the one before.  But 2 T + D > B: it cannot
 * as long as its predecessor has its memory.
 */
#define SELECTABLE "fill=zero:40,pattern:20" /* dumped without the zeros */
#define COMPRESSIBLE "fill=text:47"          /* dumped with lz4: little more than half */
#define SELF_DUMPED "fill=freed:40,pattern:20 dump=used"

/* Who removes the dumps. */
enum removal {
	REMOVED_BY_TEST, /* one is always left; crashes come when they come, also while a dump is under way */
	ROTATED,         /* dump.rotate; the next crash is ordered when the dump is done */
};

struct combination {
	const char *name;
	const char *fill;
	const char *dump; /* lines of [dump] */
	unsigned reserve; /* MiB */
	unsigned memory;  /* MiB */
	unsigned cycles;
	enum removal removal;
	bool small_pages;
};

static const struct combination combinations[] = {
	{"vmapp", SELECTABLE, "select = zero", 16, 256, CYCLES, REMOVED_BY_TEST, false},
	{"vmapp, rotated", SELECTABLE, "select = zero", 16, 256, 10, ROTATED, false},
	{"vmapp, reserve 64M", SELECTABLE, "select = zero", 64, 256, 10, REMOVED_BY_TEST, false},
	{"vmapp, 4 KiB pages", SELECTABLE, "select = zero", 16, 64, 6, REMOVED_BY_TEST, true},
	{"lz4", COMPRESSIBLE, "compress = lz4\nworkers = 2", 32, 256, 8, REMOVED_BY_TEST, false},
	{"lz4, rotated", COMPRESSIBLE, "compress = lz4", 32, 256, 5, ROTATED, false},
	{"remap", SELECTABLE, "strategy = remap\nselect = zero", 16, 256, 10, REMOVED_BY_TEST, false},
	{"remap, 4 KiB pages", SELECTABLE, "strategy = remap\nselect = zero", 16, 64, 6, REMOVED_BY_TEST,
		true},
	{"hybrid", SELECTABLE, "strategy = hybrid\nselect = zero", 16, 256, 10, REMOVED_BY_TEST, false},
	{"hybrid, 4 KiB pages", SELECTABLE, "strategy = hybrid\nselect = zero", 16, 64, 6, REMOVED_BY_TEST,
		true},
	{"hypercall", SELF_DUMPED " release=1", "strategy = hypercall", 16, 256, 8, REMOVED_BY_TEST, false},
	{"addmem", SELF_DUMPED, "strategy = addmem", 16, 256, 8, REMOVED_BY_TEST, false},
};
#define NR_COMBINATIONS ((int)(sizeof(combinations) / sizeof(combinations[0])))

static void start_sampler(struct run *run, struct sampler *sampler)
{
	struct process dumper;
	int err;

	run_await(run, "run", 0);
	run_find_dumper(run, &dumper);
	err = sampler_start(sampler, run->vmm.pid, dumper.pid, run->dump_dir);
	ck_assert_msg(!err, "sampler: %s", strerror(-err));
	process_close(&dumper);
}

static void remove_dump(struct run *run, int generation)
{
	char path[512];

	find_final(run, generation, path, sizeof(path));
	ck_assert_int_eq(unlink(path), 0);
}

/* Sees the guest through its crashes. */
static void go_through(struct run *run, int cycles, enum removal removal)
{
	const char *done = NULL, *ready = NULL;

	for (int generation = 0; generation < cycles; generation++) {
		if (removal == ROTATED) {
			ready = run_await_next(run, "ready", generation, ready);
			run_signal(run, SIGUSR1);
		}
		done = run_await_next(run, "dump-done", generation, done);
		if (removal == REMOVED_BY_TEST && generation)
			remove_dump(run, generation - 1);
	}
}

static void tell(const char *name, int cycles, const struct sampler *sampler, uint64_t budget)
{
	printf("note: %s, %d crashes: peak %.1f of %.0f MiB (%.1f without a name), private %.1f MiB, "
	       "mapped %.0f "
	       "MiB, %llu samples, longest gap %.1f ms\n",
		name, cycles, (double)sampler->peak / MIB, (double)budget / MIB,
		(double)sampler->peak_unnamed / MIB, (double)sampler->peak_private / MIB,
		(double)sampler->peak_shared / MIB, (unsigned long long)sampler->samples,
		(double)sampler->longest_gap_ns / NSEC_PER_MSEC);
}

/* Events of a handover that ended say how often the guest had to wait. */
static uint64_t sum_of(const struct run *run, const char *field)
{
	uint64_t sum = 0, value;

	for (const char *event = NULL; (event = event_find(&run->log, "handover-done", -1, event));)
		sum += event_u64(event, field, &value) ? value : 0;
	return sum;
}

static void start_combination(
	struct run *run, const struct combination *combination, int cycles, const char *dir)
{
	char cmdline[256], more[512];

	snprintf(cmdline, sizeof(cmdline), "scenario=%s generations=%d %s",
		combination->removal == ROTATED ? "idle" : "ready-panic", cycles, combination->fill);
	snprintf(more, sizeof(more),
		"[recovery]\nmax = 2000\nbackoff = 0\novercommit = wait\nreserve = %uM\n[dump]\n%s%s",
		combination->reserve,
		combination->removal == ROTATED ? "max_count = 1\nrotate = yes\n" : "", combination->dump);
	run_start(run, &(struct guest){.cmdline = cmdline,
			       .memory = combination->memory,
			       .vcpus = 2,
			       .dir = combination->small_pages ? dir : NULL,
			       .more = more});
}

START_TEST(crashed_vm_dump_and_recovery_vm_stay_within_the_budget)
{
	const struct combination *combination = &combinations[_i];
	int cycles = (int)(_i ? combination->cycles : env_number("HANDOVER_CYCLES", CYCLES));
	uint64_t budget = (combination->memory + combination->reserve) * MIB;
	unsigned flags = combination->removal == ROTATED ? JUDGE_NO_REGISTERS : 0;
	char dir[256], path[512];
	struct sampler sampler;
	struct run run;

	NEEDS_KVM();
	if (combination->small_pages && !private_tmpfs(dir, sizeof(dir), "huge=never")) {
		print_skip(__func__, "this user may not mount a tmpfs");
		return;
	}
	start_combination(&run, combination, cycles, dir);
	start_sampler(&run, &sampler);
	go_through(&run, cycles, combination->removal);
	run_wait(&run);
	sampler_stop(&sampler);
	tell(combination->name, cycles, &sampler, budget);
	run_assert(&run, run.code == CODE_OK, "minivmm ended with %d", run.code);
	run_count(&run, "crash", (unsigned)cycles);
	run_count(&run, "ready", (unsigned)cycles + 1);
	run_count(&run, "handover-start", (unsigned)cycles);
	run_assert(&run, !sum_of(&run, "uncovered"), "the budget did not cover everything");
	run_assert(&run, sampler.samples >= (uint64_t)cycles, "%llu samples prove nothing",
		(unsigned long long)sampler.samples);
	run_assert(&run, sampler.peak <= budget, "%llu KiB were in use, %llu are the budget",
		(unsigned long long)(sampler.peak >> 10), (unsigned long long)(budget >> 10));
	run_assert(&run, sampler.peak_private <= PRIVATE_MAX, "%llu KiB of private memory",
		(unsigned long long)(sampler.peak_private >> 10));
	find_final(&run, cycles - 1, path, sizeof(path));
	judge_dump(
		&run, path, &(struct claim){.generation = cycles - 1, .any = "zero,freed", .flags = flags});
	run_finish(&run);
}
END_TEST

/* The same sampler sees what happens without a gate: so it can see it. */
START_TEST(without_a_gate_the_budget_is_exceeded)
{
	const uint64_t budget = (256 + 16) * MIB;
	struct sampler sampler;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=ready-panic generations=3 fill=pattern:70",
				.memory = 256,
				.vcpus = 2,
				.more = "[recovery]\nhandover = none\nreserve = 16M\nbackoff = 0\n"
					"[dump]\nmax_count = 2\nrotate = yes"});
	start_sampler(&run, &sampler);
	run_wait(&run);
	sampler_stop(&sampler);
	tell("handover = none", 3, &sampler, budget);
	run_count(&run, "handover-start", 0);
	run_assert(&run, sampler.peak > budget, "only %llu KiB were seen in use",
		(unsigned long long)(sampler.peak >> 10));
	run_finish(&run);
}
END_TEST

Suite *suite_budget(void)
{
	Suite *suite = suite_create("budget");
	TCase *tcase = tcase_create("sampled");

	/* a crash takes a tenth of a second; ten times that for a busy machine */
	tcase_set_timeout(tcase, TEST_TIMEOUT + env_number("HANDOVER_CYCLES", CYCLES));
	tcase_add_test(tcase, without_a_gate_the_budget_is_exceeded);
	tcase_add_loop_test(
		tcase, crashed_vm_dump_and_recovery_vm_stay_within_the_budget, 0, NR_COMBINATIONS);
	suite_add_tcase(suite, tcase);
	return suite;
}
