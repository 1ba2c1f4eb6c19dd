/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_salvage.c - kill -9 of the dumper, of minivmm, of both, at random moments of a dump, for
 * every way of dumping: either the dump is complete, or "minivmm dump salvage" makes it so.
 *
 * SALVAGE_KILLS is the number of kills in all (`make check`: 20, `make check-long`: 200), KVM_TESTS_SEED
 * chooses other moments than the usual ones; every failure tells both.
 */
#include "tests/kvm/judges.h"
#include "tests/kvm/suites.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 20110427u
#define KILLS 20
/* our choice: some moments come when a dump of the usual duration has just ended */
#define STRETCH_PERCENT 110
/* our choice: what remap takes less than, with the time that its events need */
#define DURATION_MIN (2 * NSEC_PER_MSEC)
#define CODE_KILLED (128 + SIGKILL)

struct way {
	const char *name;
	const char *strategy, *more; /* lines of [dump] */
	const char *any;             /* kinds that a selector may have left out, or not yet */
	bool resumes;                /* a second dumper completes what the first one began */
};

static const struct way ways[] = {
	{"vmapp", "vmapp", "", NULL, true},
	{"vmapp and lz4", "vmapp", "compress = lz4", NULL, true},
	{"remap", "remap", "select = pages", "freed", true},
	/* a chunk of both kinds is what hybrid is about */
	{"hybrid", "hybrid", "select = zero,pages\nchunk = 32M", "freed,zero", true},
};
#define NR_WAYS ((int)(sizeof(ways) / sizeof(ways[0])))

/* Who is killed. */
enum who { WHO_DUMPER, WHO_MINIVMM, WHO_BOTH, WHO_NR };
static const char *const who_names[WHO_NR] = {"the dumper", "minivmm", "both"};

/* One kill: what failures tell. */
struct kill {
	const struct way *way;
	enum who who;
	uint64_t moment;  /* ns after dump-start */
	uint64_t salvage; /* ns after its start the first salvage is killed, too; 0 = it is not */
};

#define kill_assert(run, kill, expr, what)                                                                 \
	run_assert(run, expr, "%s, kill of %s %llu us after dump-start, seed %u: %s", (kill)->way->name,   \
		who_names[(kill)->who], (unsigned long long)((kill)->moment / 1000), seed(), what)

static unsigned seed(void)
{
	return env_number("KVM_TESTS_SEED", SEED);
}

static void start(struct run *run, const struct way *way)
{
	char more[256];

	snprintf(more, sizeof(more), "[dump]\nstrategy = %s\n%s", way->strategy, way->more);
	run_start(run,
		&(struct guest){.cmdline = "scenario=null-deref fill=pattern:30,text:25,zero:5,freed:20",
			.recovery = "scenario=ready-poweroff",
			.memory = 192,
			.vcpus = 2,
			.more = more});
}

/* How long a dump takes that nobody disturbs, ns, from the event dump-start to dump-done. */
static uint64_t usual_duration(const struct way *way)
{
	uint64_t begin, done;
	struct run run;

	start(&run, way);
	run_ends(&run, CODE_OK);
	begin = event_ns(run_event(&run, "dump-start", 0));
	done = event_ns(run_event(&run, "dump-done", 0));
	run_assert(&run, done > begin, "the dump was done before it began");
	run_finish(&run);
	return done - begin > DURATION_MIN ? done - begin : DURATION_MIN;
}

/* The console up to its last whole line: a kill may have cut what comes after it. */
static void whole_lines(const struct run *run, char *path, size_t size)
{
	static char text[1 << 16];
	char *end;
	FILE *file;

	snprintf(path, size, "%s/whole-lines", run->dir);
	read_file(run->console, text, sizeof(text));
	end = strrchr(text, '\n');
	file = fopen(path, "we");
	ck_assert(file);
	fprintf(file, "%.*s\n", end ? (int)(end - text) : 0, text);
	ck_assert_int_eq(fclose(file), 0);
}

/* The number of final names; each is judged. */
static unsigned judge_finals(struct run *run, const struct kill *kill)
{
	char path[512], console[300];
	unsigned count = run_files(run, ".vmcore", NULL, 0) + run_files(run, ".vmcore.lz4", NULL, 0);

	kill_assert(run, kill, count <= 1, "more than one dump of one crash");
	if (!count)
		return 0;
	find_final(run, 0, path, sizeof(path));
	whole_lines(run, console, sizeof(console));
	judge_dump(run, path, &(struct claim){.any = kill->way->any, .console = console});
	return count;
}

/* The file to salvage: that of the dump, or the region, if that is all there is; false if there is none. */
static bool find_partial(struct run *run, char *path, size_t size)
{
	return run_files(run, ".vmcore.partial", path, size) ||
	       run_files(run, ".vmcore.lz4.partial", path, size) ||
	       run_files(run, ".region.partial", path, size);
}

/* Starts a salvage and kills it in the middle, or thereabouts. */
static void salvage_and_kill(struct run *run, const char *partial, uint64_t after)
{
	char *argv[] = {arg(minivmm_path), arg("dump"), arg("salvage"), arg(partial), NULL};
	struct process process;
	char out[300];

	snprintf(out, sizeof(out), "%s/killed-salvage", run->dir);
	ck_assert_int_eq(process_start(&process, argv, out, out), 0);
	sleep_until(now_ns() + after);
	process_signal(&process, SIGKILL); /* it may have ended already */
	ck_assert_int_ge(process_wait(&process, RUN_LIMIT_MS), 0);
}

/* What is left is whole, or becomes so by a salvage.  Result: a salvage was needed. */
static bool salvage(struct run *run, const struct kill *kill)
{
	static struct output output;
	bool finished = judge_finals(run, kill);
	char partial[512];

	if (kill->salvage && find_partial(run, partial, sizeof(partial))) {
		salvage_and_kill(run, partial, kill->salvage);
		judge_finals(run, kill);
	}
	if (find_partial(run, partial, sizeof(partial))) {
		run_minivmm(run, &output, "dump", "salvage", partial, NULL);
		kill_assert(run, kill, !output.code, output.err);
	}
	kill_assert(run, kill, judge_finals(run, kill), "there is no dump in the end");
	kill_assert(
		run, kill, !run_files(run, ".partial", NULL, 0), "names of an unfinished dump are left");
	return !finished;
}

/* Kills at the moment; the dumper must be there from before the crash.  Waits for the end of everything. */
static void strike(struct run *run, const struct kill *kill)
{
	struct process dumper;

	start(run, kill->way);
	run_await(run, "run", 0);
	run_find_dumper(run, &dumper);
	sleep_until(event_ns(run_await(run, "dump-start", 0)) + kill->moment);
	if (kill->who != WHO_DUMPER)
		process_signal(&run->vmm, SIGKILL); /* who is hit may have ended already */
	if (kill->who != WHO_MINIVMM)
		process_signal(&dumper, SIGKILL);
	run_wait(run);
	kill_assert(run, kill, !process_wait_gone(&dumper, RUN_LIMIT_MS), "the dumper has not ended");
	process_close(&dumper);
}

/* minivmm lives on: the recovery VM must not notice, and a second dumper completes what it can. */
static bool after_dumper(struct run *run, const struct kill *kill)
{
	bool needed;

	run_event(run, "ready", 1);
	run_event(run, "power-off", 1);
	run_count(run, "crash", 1);
	kill_assert(run, kill, run->code == CODE_OK || (!kill->way->resumes && run->code == CODE_DUMP),
		"minivmm ended with the wrong code");
	needed = salvage(run, kill);
	kill_assert(run, kill, needed == (run->code == CODE_DUMP), "the exit code is wrong about the dump");
	run_event(run, needed ? "dump-failed" : "dump-done", 0);
	return needed;
}

/* Result: a salvage was needed. */
static bool survive(const struct kill *kill)
{
	bool needed = false;
	struct run run;

	strike(&run, kill);
	if (kill->who == WHO_DUMPER) {
		needed = after_dumper(&run, kill);
	} else {
		kill_assert(
			&run, kill, run.code == CODE_KILLED || run.code == CODE_OK, "minivmm's exit code");
		if (event_find(&run.log, "dump-linked", 0, NULL) || run_files(&run, ".partial", NULL, 0) ||
			judge_finals(&run, kill))
			needed = salvage(&run, kill);
		else /* the promise begins with dump-linked */
			printf("note: %s: killed before the dump was linked\n", kill->way->name);
		kill_assert(&run, kill, kill->who == WHO_BOTH || !needed,
			"the dumper alone has not completed the dump");
	}
	run_finish(&run);
	return needed;
}

START_TEST(killed_at_any_moment_a_dump_is_complete_or_is_made_so_by_salvage)
{
	const struct way *way = &ways[_i / WHO_NR];
	struct kill kill = {.way = way, .who = (enum who)(_i % WHO_NR)};
	unsigned total = env_number("SALVAGE_KILLS", KILLS), state = seed() + (unsigned)_i, needed = 0;
	unsigned kills = (total + NR_WAYS * WHO_NR - 1) / (NR_WAYS * WHO_NR);
	uint64_t duration, part;
	struct run run;
	bool offered;

	NEEDS_KVM();
	run_prepare(&run);
	offered = has_strategy(&run, way->strategy);
	run_finish(&run);
	if (!offered) {
		print_skip(__func__, "this minivmm does not have the strategy");
		return;
	}
	duration = usual_duration(way) * STRETCH_PERCENT / 100;
	part = duration / kills; /* each kill has its part of the time, so that all of it is covered */
	for (unsigned i = 0; i < kills; i++) {
		kill.moment = part * i + part * (uint64_t)((unsigned)rand_r(&state) % 1000) / 1000;
		kill.salvage = i % 2 ? duration * (uint64_t)((unsigned)rand_r(&state) % 1000) / 1000 : 0;
		needed += survive(&kill);
	}
	printf("note: %s, kill of %s: seed %u, %u kills over %llu us, %u salvaged\n", way->name,
		who_names[kill.who], seed(), kills, (unsigned long long)(duration / 1000), needed);
}
END_TEST

/* ---- a dumper that is replaced -------------------------------------------------------------------- */

/* A dump that takes long enough for a signal to reach its dumper in the middle, and what is done to it. */
static const struct {
	const char *strategy;
	int signal;
} replaced[] = {
	{"vmapp", SIGKILL}, {"vmapp", SIGSTOP}, /* says no more: dump.stall_timeout */
};

START_TEST(a_dumper_that_dies_or_hangs_is_replaced_and_the_recovery_does_not_notice)
{
	struct process dumper;
	char more[128], path[512];
	const char *resumed;
	struct run run;

	NEEDS_KVM();
	snprintf(more, sizeof(more), "[dump]\nstrategy = %s\nstall_timeout = 500ms", replaced[_i].strategy);
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:60,text:15,freed:15",
				.recovery = "scenario=ready-poweroff",
				.memory = 1024,
				.vcpus = 2,
				.more = more});
	run_await(&run, "run", 0);
	run_find_dumper(&run, &dumper);
	run_await(&run, "dump-linked", 0);
	ck_assert_int_eq(process_signal(&dumper, replaced[_i].signal), 0);
	run_ends(&run, CODE_OK);
	process_close(&dumper);
	run_count(&run, "crash", 1);
	run_count(&run, "run", 2);
	run_count(&run, "ready", 1);
	run_count(&run, "dump-resumed", 1);
	run_count(&run, "dump-done", 1);
	resumed = run_event(&run, "dump-resumed", 0);
	run_assert(&run, event_ns(run_event(&run, "dump-done", 0)) > event_ns(resumed),
		"done before it resumed");
	find_final(&run, 0, path, sizeof(path));
	judge_dump(&run, path, &(struct claim){.select = "all"});
	run_assert(&run, !run_files(&run, ".partial", NULL, 0), "names of an unfinished dump are left");
	run_finish(&run);
}
END_TEST

START_TEST(a_crash_after_dumpers_have_died_again_and_again_is_dumped)
{
	struct process dumper;
	char path[512];
	struct run run;
	pid_t before = 0;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle fill=pattern:10",
				.recovery = "scenario=ready-poweroff"});
	run_await(&run, "ready", 0);
	for (int deaths = 0; deaths < 3; deaths++) { /* as many as DUMPER_FAILURES_MAX of vmm/jobs/jobs.h */
		run_find_dumper(&run, &dumper);
		ck_assert_int_ne(dumper.pid, before);
		before = dumper.pid;
		ck_assert_int_eq(process_signal(&dumper, SIGKILL), 0);
		ck_assert_int_eq(process_wait_gone(&dumper, RUN_LIMIT_MS), 0);
		process_close(&dumper);
	}
	run_signal(&run, SIGUSR1);
	run_ends(&run, CODE_OK);
	run_count(&run, "dump-done", 1);
	find_final(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, JUDGE_NO_REGISTERS, NULL);
	run_finish(&run);
}
END_TEST

Suite *suite_salvage(void)
{
	Suite *suite = suite_create("salvage");
	TCase *tcase = tcase_create("kills");

	/* in `make check-long` one of these makes many kills */
	tcase_set_timeout(tcase, TEST_TIMEOUT * (1 + env_number("SALVAGE_KILLS", KILLS) / 40));
	tcase_add_loop_test(tcase, killed_at_any_moment_a_dump_is_complete_or_is_made_so_by_salvage, 0,
		NR_WAYS * WHO_NR);
	tcase_add_loop_test(tcase, a_dumper_that_dies_or_hangs_is_replaced_and_the_recovery_does_not_notice,
		0, (int)(sizeof(replaced) / sizeof(replaced[0])));
	tcase_add_test(tcase, a_crash_after_dumpers_have_died_again_and_again_is_dumped);
	suite_add_tcase(suite, tcase);
	return suite;
}
