/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_kill.c - kill -9 at any moment of a dump: nothing incomplete under a final name, and
 * nothing lost.
 *
 * The moments are spread over the usual duration of a dump, which a first run measures.  KVM_TESTS_SEED
 * chooses others than the usual ones; each failure tells its seed and moment.
 */
#include "tests/kvm/run.h"
#include "tests/kvm/suites.h"
#include "tests/kvm/vmcore.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KILLS 10
#define SEED 20101104u
/* our choice: some moments come when a dump of the usual duration has just ended */
#define STRETCH_PERCENT 110
#define CODE_KILLED (128 + SIGKILL)

static const struct guest victim = {.cmdline = "scenario=null-deref fill=pattern:60,text:15,freed:10",
	.recovery = "scenario=ready-poweroff",
	.memory = 1024,
	.vcpus = 2};

static uint32_t seed(void)
{
	const char *text = getenv("KVM_TESTS_SEED");

	return text ? (uint32_t)strtoul(text, NULL, 0) : SEED;
}

/* How long a dump takes that nobody disturbs, ns, from the event dump-start to dump-done. */
static uint64_t usual_duration(void)
{
	uint64_t start, done;
	struct run run;

	run_start(&run, &victim);
	run_ends(&run, CODE_OK);
	start = event_ns(run_event(&run, "dump-start", 0));
	done = event_ns(run_event(&run, "dump-done", 0));
	run_assert(&run, done > start, "the dump was done before it began");
	run_finish(&run);
	return done - start;
}

/* Moment number @i after dump-start: random within its tenth of the time, so that all of it is covered. */
static uint64_t pick_moment(unsigned *state, int i, uint64_t duration)
{
	uint64_t tenth = duration * STRETCH_PERCENT / 100 / KILLS;

	return tenth * (uint64_t)i + tenth * (uint64_t)((unsigned)rand_r(state) % 1000) / 1000;
}

/* Runs a victim up to the moment; the dumper must be there from before the crash. */
static void run_to_moment(struct run *run, struct process *dumper, uint64_t after)
{
	run_start(run, &victim);
	run_await(run, "run", 0);
	run_find_dumper(run, dumper);
	sleep_until(event_ns(run_await(run, "dump-start", 0)) + after);
}

/* Every file under a final name must be a whole dump.  Result: how many there are. */
static unsigned judge_finals(struct run *run, const char *console)
{
	char path[512];
	unsigned count = run_files(run, ".vmcore", path, sizeof(path));

	run_assert(run, count <= 1, "%u dumps of one crash", count);
	if (count)
		run_judge(run, path, 0, 0, console);
	return count;
}

/* The two .partial files are there, and together they are the whole dump. */
static void judge_partials(struct run *run, uint64_t moment)
{
	char dump[512], region[512];
	long copied;

	run_assert(run,
		run_files(run, ".vmcore.partial", dump, sizeof(dump)) == 1 &&
			run_files(run, ".region.partial", region, sizeof(region)) == 1,
		"killed %llu us after dump-start: neither a dump nor its .partial files",
		(unsigned long long)(moment / 1000));
	copied = vmcore_complete(dump, region);
	run_assert(run, copied >= 0, "completing %s: %s", dump, strerror((int)-copied));
	run_judge(run, dump, 0, 0, NULL);
}

/* Result: true if the dump was complete. */
static bool kill_dumper(uint64_t moment)
{
	struct process dumper;
	struct run run;
	bool complete;

	run_to_moment(&run, &dumper, moment);
	process_signal(&dumper, SIGKILL); /* it may have ended together with minivmm already */
	process_close(&dumper);
	run_wait(&run);
	run_event(&run, "ready", 1);
	run_event(&run, "power-off", 1);
	run_count(&run, "crash", 1);
	complete = judge_finals(&run, NULL);
	if (run.code == CODE_OK) {
		run_assert(&run, complete, "exit code 0 without a dump");
		run_event(&run, "dump-done", 0);
	} else {
		run_assert(&run, run.code == CODE_DUMP, "minivmm ended with %d", run.code);
		run_event(&run, "dump-failed", 0);
		if (!complete)
			judge_partials(&run, moment);
	}
	run_finish(&run);
	return complete;
}

START_TEST(a_killed_dumper_leaves_a_whole_dump_or_the_parts_of_one_and_the_guest_recovers)
{
	unsigned state = seed(), complete = 0;
	uint64_t duration;

	NEEDS_KVM();
	duration = usual_duration();
	printf("note: kills of the dumper: seed %u, over %llu ms\n", seed(),
		(unsigned long long)(duration / NSEC_PER_MSEC));
	for (int i = 0; i < KILLS; i++)
		complete += kill_dumper(pick_moment(&state, i, duration));
	printf("note: %u of %d dumps became complete all the same\n", complete, KILLS);
}
END_TEST

/* What the console has got so far, up to its last whole line: more may come at any time. */
static void keep_console(const struct run *run, char *path, size_t size)
{
	static char text[1 << 16];
	char *end;
	FILE *file;

	snprintf(path, size, "%s/console-at-crash", run->dir);
	read_file(run->console, text, sizeof(text));
	end = strrchr(text, '\n');
	file = fopen(path, "we");
	ck_assert_msg(file, "%s: %s", path, strerror(errno));
	fprintf(file, "%.*s\n", end ? (int)(end - text) : 0, text);
	ck_assert_int_eq(fclose(file), 0);
}

static void kill_minivmm(uint64_t moment)
{
	struct process dumper;
	char console[300];
	struct run run;
	unsigned finals;

	run_to_moment(&run, &dumper, moment);
	keep_console(&run, console, sizeof(console));
	process_signal(&run.vmm, SIGKILL); /* it may have ended already */
	run_wait(&run);
	run_assert(&run, run.code == CODE_KILLED || run.code == CODE_OK, "minivmm ended with %d", run.code);
	judge_finals(&run, console); /* whatever is there now must be whole already */
	run_assert(&run, !process_wait_gone(&dumper, RUN_LIMIT_MS), "the dumper has not ended by itself");
	process_close(&dumper);
	finals = judge_finals(&run, console);
	run_assert(&run, finals == 1,
		"killed %llu us after dump-start: the dumper has not finished the dump",
		(unsigned long long)(moment / 1000));
	run_assert(&run, !run_files(&run, ".partial", NULL, 0), "names of an unfinished dump are left");
	run_finish(&run);
}

START_TEST(a_dumper_whose_minivmm_was_killed_finishes_the_dump_and_ends)
{
	unsigned state = seed();
	uint64_t duration;

	NEEDS_KVM();
	duration = usual_duration();
	printf("note: kills of minivmm: seed %u, over %llu ms\n", seed(),
		(unsigned long long)(duration / NSEC_PER_MSEC));
	for (int i = 0; i < KILLS; i++)
		kill_minivmm(pick_moment(&state, i, duration));
}
END_TEST

START_TEST(an_idle_dumper_that_was_killed_is_replaced)
{
	struct process dumper;
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle fill=pattern:20",
				.recovery = "scenario=ready-poweroff"});
	run_await(&run, "ready", 0);
	run_find_dumper(&run, &dumper);
	ck_assert_int_eq(process_signal(&dumper, SIGKILL), 0);
	ck_assert_int_eq(process_wait_gone(&dumper, RUN_LIMIT_MS), 0);
	process_close(&dumper);
	run_signal(&run, SIGUSR1);
	run_ends(&run, CODE_OK);
	run_dump_path(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, JUDGE_NO_REGISTERS, NULL);
	run_finish(&run);
}
END_TEST

START_TEST(an_idle_dumper_ends_when_minivmm_was_killed)
{
	struct process dumper;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle", .vcpus = 2});
	run_await(&run, "ready", 0);
	run_find_dumper(&run, &dumper);
	run_signal(&run, SIGKILL);
	run_ends(&run, CODE_KILLED);
	run_assert(&run, !process_wait_gone(&dumper, RUN_LIMIT_MS), "the dumper has not ended by itself");
	process_close(&dumper);
	run_assert(&run, !run_files(&run, "", NULL, 0), "files are left");
	run_finish(&run);
}
END_TEST

Suite *suite_kill(void)
{
	Suite *suite = suite_create("kill");
	TCase *tcase = tcase_create("dumper");

	tcase_set_timeout(tcase, 2 * TEST_TIMEOUT);
	tcase_add_test(
		tcase, a_killed_dumper_leaves_a_whole_dump_or_the_parts_of_one_and_the_guest_recovers);
	tcase_add_test(tcase, an_idle_dumper_that_was_killed_is_replaced);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("minivmm");
	tcase_set_timeout(tcase, 2 * TEST_TIMEOUT);
	tcase_add_test(tcase, a_dumper_whose_minivmm_was_killed_finishes_the_dump_and_ends);
	tcase_add_test(tcase, an_idle_dumper_ends_when_minivmm_was_killed);
	suite_add_tcase(suite, tcase);
	return suite;
}
