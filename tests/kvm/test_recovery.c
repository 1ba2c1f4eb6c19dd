/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_recovery.c - what comes after a crash: a recovery VM that waits for nothing, a row of them
 * that is bounded, and a minivmm that is after fifty of them what it was before.
 *
 * HANDOVER_CYCLES: crashes of the last test (`make check`: 50, `make check-long`: 1000).
 */
#include "tests/kvm/judges.h"
#include "tests/kvm/suites.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static struct output output;

/* ---- it waits for nothing -------------------------------------------------------------------- */

START_TEST(the_recovery_vm_runs_before_the_dump_of_a_large_guest_is_done)
{
	const char *timeline;
	uint64_t ran, copied;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:60",
				.recovery = "scenario=ready-poweroff",
				.memory = 2048,
				.vcpus = 2});
	run_ends(&run, CODE_OK);
	timeline = run_event(&run, "timeline", 0);
	ran = run_u64(&run, timeline, "recovery-run");
	copied = run_u64(&run, timeline, "copied");
	run_assert(&run, ran < copied, "the recovery VM ran after the last chunk was copied: %s", timeline);
	run_assert(&run, run_u64(&run, timeline, "ready") > ran, "ready before it ran: %s", timeline);
	run_finish(&run);
}
END_TEST

/* Has minivmm run on a slow or full host: tests/preload/faults.c. */
static void preload(const char *name, const char *value)
{
	const char *minivmm = getenv("MINIVMM"), *slash = strrchr(minivmm, '/');
	char library[512], path[PATH_MAX];

	snprintf(library, sizeof(library), "%.*s/tests/preload/faults.so", (int)(slash - minivmm), minivmm);
	ck_assert_msg(realpath(library, path), "%s: %s", library, strerror(errno));
	ck_assert_int_eq(setenv("LD_PRELOAD", path, 1), 0);
	ck_assert_int_eq(setenv(name, value, 1), 0);
	ck_assert_int_eq(setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1), 0);
}

/* A copy of the stub in the run's directory: the kernel of recovery VMs alone, read with @ms for each call. */
static void slow_recovery_kernel(struct run *run, const char *ms, char *more, size_t size)
{
	char path[400], buf[65536];
	FILE *from = fopen(getenv("STUB"), "re"), *to;
	size_t n;

	snprintf(path, sizeof(path), "%s/slow-kernel", run->dir);
	to = fopen(path, "we");
	ck_assert(from && to);
	while ((n = fread(buf, 1, sizeof(buf), from)))
		ck_assert_uint_eq(fwrite(buf, 1, n, to), n);
	ck_assert(!fclose(to) && !fclose(from));
	snprintf(more, size, "[recovery]\nkernel = %s", path);
	preload("SLOW_FILE", path);
	ck_assert_int_eq(setenv("SLOW_MS", ms, 1), 0);
}

START_TEST(a_recovery_kernel_that_is_read_for_seconds_holds_up_neither_dump_nor_operator)
{
	uint64_t done, ran;
	char more[512];
	struct run run;

	NEEDS_KVM();
	run_prepare(&run);
	slow_recovery_kernel(&run, "1000", more, sizeof(more));
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref",
				.recovery = "scenario=ready-poweroff",
				.more = more});
	run_await(&run, "recovery-waits", 1);
	run_minivmm(&run, &output, arg("ctl"), run.dump_dir, arg("--json"), arg("status"), NULL);
	run_assert(&run, !output.code && strstr(output.out, "\"state\":\"waits-standby\""), "%s%s",
		output.out, output.err);
	run_ends(&run, CODE_OK);
	done = event_ns(run_event(&run, "dump-done", 0));
	ran = event_ns(run_event(&run, "run", 1));
	run_assert(&run, done < ran, "the dump waited for the kernel: done %llu, ran %llu",
		(unsigned long long)done, (unsigned long long)ran);
	run_finish(&run);
}
END_TEST

START_TEST(once_the_standby_is_made_a_crash_does_not_wait_for_a_slow_kernel)
{
	uint64_t crashed, ran, end;
	char more[512];
	struct run run;

	NEEDS_KVM();
	run_prepare(&run);
	slow_recovery_kernel(&run, "300", more, sizeof(more));
	run_start(&run,
		&(struct guest){
			.cmdline = "scenario=idle", .recovery = "scenario=ready-poweroff", .more = more});
	run_await(&run, "ready", 0);
	end = now_ns() + RUN_LIMIT_MS * 1000000ull;
	do { /* the standby takes memory as soon as it is there */
		run_assert(&run, now_ns() < end, "no standby: %s", output.out);
		usleep(50000);
		run_minivmm(&run, &output, arg("ctl"), run.dump_dir, arg("--json"), arg("status"), NULL);
	} while (strstr(output.out, "\"other\":0}"));
	run_minivmm(&run, &output, arg("ctl"), run.dump_dir, arg("crash"), NULL);
	run_ends(&run, CODE_OK);
	run_count(&run, "recovery-waits", 0);
	crashed = event_ns(run_event(&run, "crash", 0));
	ran = event_ns(run_event(&run, "run", 1));
	/* a millisecond, and much more on a busy host; a single read of the kernel takes longer */
	run_assert(&run, ran - crashed < 250 * 1000000ull, "%llu ns from crash to run",
		(unsigned long long)(ran - crashed));
	run_finish(&run);
}
END_TEST

/* The standby fails first, then what is made when it is needed: each time there is no memory. */
START_TEST(a_recovery_vm_for_which_there_is_no_memory_is_made_again_until_there_is)
{
	static const char *const failures[] = {"1", "2", "5"};
	struct run run;

	NEEDS_KVM();
	preload("FULL_BUILDS", failures[_i]);
	run_start(&run,
		&(struct guest){.cmdline = "scenario=null-deref", .recovery = "scenario=ready-poweroff"});
	run_ends(&run, CODE_OK);
	run_event(&run, "power-off", 1);
	run_event(&run, "dump-done", 0);
	if (_i == 2)
		run_event(&run, "recovery-waits", 1);
	run_finish(&run);
}
END_TEST

START_TEST(a_dumper_that_stands_still_does_not_hold_up_the_recovery_vm)
{
	struct process dumper;
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle fill=pattern:50",
				.recovery = "scenario=ready-poweroff",
				.vcpus = 2});
	run_await(&run, "ready", 0);
	run_find_dumper(&run, &dumper);
	ck_assert_int_eq(process_signal(&dumper, SIGSTOP), 0);
	run_signal(&run, SIGUSR1);
	run_await(&run, "ready", 1);
	run_await(&run, "power-off", 1);
	run_count(&run, "dump-linked", 0);
	/* minivmm itself has named the dead VM's memory; the stopped process has made nothing */
	run_assert(&run,
		run_files(&run, "", NULL, 0) == 1 && run_files(&run, ".region.partial", NULL, 0) == 1,
		"there is more than the dead VM's memory");
	ck_assert_int_eq(process_signal(&dumper, SIGCONT), 0);
	process_close(&dumper);
	run_ends(&run, CODE_OK);
	run_dump_path(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, JUDGE_NO_REGISTERS, NULL);
	run_finish(&run);
}
END_TEST

/* ---- rows of recoveries ---------------------------------------------------------------------- */

START_TEST(a_vm_is_told_its_generation_and_that_it_recovers)
{
	char text[64];
	struct run run;

	NEEDS_KVM();
	/* on-recovery= is obeyed by the recovery flag of the query call, generations= by its number */
	run_start(&run,
		&(struct guest){.cmdline = "scenario=panic-call on-recovery=ready-panic generations=3"});
	run_ends(&run, CODE_OK);
	run_count(&run, "crash", 3);
	run_count(&run, "run", 4);
	for (int generation = 0; generation < 4; generation++) {
		const char *event = run_event(&run, "run", generation);

		run_assert(&run, event_is_true(event, "recovery") == (generation > 0),
			"recovery is wrong: %s", event);
		snprintf(text, sizeof(text), "1 cpus, generation %d\n", generation);
		run_said(&run, text);
	}
	run_said(&run, "stub: scenario panic-call\n");
	run_said(&run, "stub: scenario ready-panic\n");
	run_assert(&run, !event_find(&run.log, "ready", 0, NULL), "generation 0 did as if it recovered");
	run_event(&run, "ready", 1);
	run_event(&run, "ready", 2);
	run_event(&run, "power-off", 3);
	run_finish(&run);
}
END_TEST

START_TEST(the_console_tells_which_generation_speaks)
{
	char text[16384], marker[32];
	const char *at = text;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=ready-panic generations=2"});
	run_ends(&run, CODE_OK);
	read_file(run.console, text, sizeof(text));
	run_assert(&run, !strstr(text, "[generation 0]"), "the first VM's output needs no mark:\n%s", text);
	for (int generation = 1; generation < 3; generation++) {
		char banner[32];

		snprintf(banner, sizeof(banner), "1 cpus, generation %d\n", generation - 1);
		at = strstr(at, banner);
		run_assert(&run, at, "generation %d said nothing:\n%s", generation - 1, text);
		/* what the dead VM said comes first, all of it */
		at = strstr(at, "stub: panic");
		snprintf(marker, sizeof(marker), "\n[generation %d]\n", generation);
		at = at ? strstr(at, marker) : NULL;
		run_assert(&run, at && !strstr(at + 1, marker), "no mark of generation %d:\n%s", generation,
			text);
	}
	run_finish(&run);
}
END_TEST

START_TEST(a_recovery_vm_that_panics_is_dumped_in_its_turn)
{
	char path[512];
	uint64_t done[3];
	struct run run;

	NEEDS_KVM();
	run_start(&run,
		&(struct guest){.cmdline = "scenario=null-deref fill=pattern:40,text:20 generations=3",
			.memory = 256,
			.vcpus = 2,
			.more = "[recovery]\nbackoff = 0"});
	run_ends(&run, CODE_OK);
	for (int generation = 0; generation < 3; generation++) {
		done[generation] = event_ns(run_event(&run, "dump-done", generation));
		run_assert(&run, !generation || done[generation] > done[generation - 1],
			"dump %d was done before the one before it", generation);
		run_dump_path(&run, generation, path, sizeof(path));
		run_judge(&run, path, generation, 0, NULL);
	}
	run_count(&run, "dump-done", 3);
	run_count(&run, "timeline", 3);
	run_assert(&run, run_files(&run, ".vmcore", NULL, 0) == 3, "not three dumps");
	run_finish(&run);
}
END_TEST

START_TEST(without_recovery_a_crash_is_dumped_and_ends_with_5)
{
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:40",
				.more = _i ? "[recovery]\nmax = 0" : "[recovery]\nenabled = no"});
	run_ends(&run, CODE_CRASHED);
	run_count(&run, "run", 1);
	run_count(&run, "crash", 1);
	run_dump_path(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, 0, NULL);
	run_finish(&run);
}
END_TEST

START_TEST(a_row_of_crashes_ends_with_5_at_recovery_max_and_has_a_dump_each)
{
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:20",
				.more = "[recovery]\nmax = 3\nbackoff = 0"});
	run_ends(&run, CODE_CRASHED);
	run_count(&run, "crash", 4);
	run_count(&run, "run", 4);
	run_count(&run, "dump-done", 4);
	for (int generation = 0; generation < 4; generation++) {
		run_dump_path(&run, generation, path, sizeof(path));
		run_judge(&run, path, generation, 0, NULL);
	}
	run_finish(&run);
}
END_TEST

START_TEST(a_recovery_vm_that_was_never_ready_is_recovered_after_a_pause_that_doubles)
{
	/* the first crash is no crash loop yet, so its recovery comes at once */
	static const uint64_t pause_ms[] = {0, 200, 400};
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=panic-early",
				.more = "[recovery]\nmax = 3\nbackoff = 200ms"});
	run_ends(&run, CODE_CRASHED);
	run_count(&run, "crash", 4);
	for (int generation = 0; generation < 3; generation++) {
		uint64_t crash = event_ns(run_event(&run, "crash", generation));
		uint64_t next = event_ns(run_event(&run, "run", generation + 1));

		run_assert(&run, next - crash >= pause_ms[generation] * NSEC_PER_MSEC,
			"generation %d ran %llu ms after the crash, not %llu", generation + 1,
			(unsigned long long)((next - crash) / NSEC_PER_MSEC),
			(unsigned long long)pause_ms[generation]);
	}
	run_finish(&run);
}
END_TEST

START_TEST(a_recovery_vm_that_was_ready_is_recovered_without_a_pause)
{
	struct run run;

	NEEDS_KVM();
	/* a pause would last longer than a run may */
	run_start(&run, &(struct guest){.cmdline = "scenario=ready-panic generations=3",
				.more = "[recovery]\nbackoff = 10m"});
	run_ends(&run, CODE_OK);
	run_count(&run, "crash", 3);
	run_finish(&run);
}
END_TEST

START_TEST(a_stop_during_the_pause_before_a_recovery_ends_at_once)
{
	struct run run;

	NEEDS_KVM();
	run_start(&run,
		&(struct guest){.cmdline = "scenario=panic-early", .more = "[recovery]\nbackoff = 10m"});
	run_await(&run, "dump-done", 1); /* now it pauses for ten minutes */
	run_stops(&run);
	run_count(&run, "run", 2);
	run_count(&run, "dump-done", 2);
	run_finish(&run);
}
END_TEST

/* ---- fifty of them --------------------------------------------------------------------------- */

#define CYCLES 50
#define WINDOW 10 /* cycles that are compared: those after the first ten or tenth, and the last ones */
/* our choices: slack that does not grow with the number of cycles; a leak in each would show 30 times at least */
#define SLACK_COUNT 6         /* descriptors, threads: one VM that is just being taken apart */
#define SLACK_BYTES (2 * MIB) /* of private memory: the C library's arenas */
#define SLACK_SHM (24 * MIB)  /* of tmpfs: huge pages of a kernel image and of a VM being taken apart */

/* The least that was seen in some cycles: what is there for ever, without what comes and goes. */
struct floor {
	struct process_usage vmm, dumper;
	uint64_t shm; /* bytes of tmpfs, without dumps */
};

static void lower(struct process_usage *floor, const struct process_usage *now)
{
	floor->fds = now->fds < floor->fds ? now->fds : floor->fds;
	floor->threads = now->threads < floor->threads ? now->threads : floor->threads;
	floor->anonymous = now->anonymous < floor->anonymous ? now->anonymous : floor->anonymous;
}

/*
 * @own: the tmpfs is this run's alone, so that its df tells even of memory that nobody has open.  Else the
 * open files are counted: others on /dev/shm would disturb.
 */
static uint64_t shm_in_use(struct run *run, const struct process *dumper, bool own)
{
	struct statvfs fs;

	if (!own)
		return process_unnamed_bytes(run->vmm.pid) + process_unnamed_bytes(dumper->pid);
	ck_assert_int_eq(statvfs(run->dump_dir, &fs), 0);
	return (fs.f_blocks - fs.f_bfree) * fs.f_bsize;
}

static void sample(struct run *run, const struct process *dumper, bool own, struct floor *floor)
{
	struct process_usage usage;
	uint64_t used = shm_in_use(run, dumper, own);
	int err;

	err = process_usage(run->vmm.pid, &usage);
	run_assert(run, !err, "/proc of minivmm: %s", strerror(-err));
	lower(&floor->vmm, &usage);
	err = process_usage(dumper->pid, &usage);
	run_assert(run, !err, "/proc of the dumper: %s", strerror(-err));
	lower(&floor->dumper, &usage);
	floor->shm = used < floor->shm ? used : floor->shm;
}

static void check_usage(struct run *run, const char *who, const struct process_usage *early,
	const struct process_usage *late)
{
	run_assert(run, late->fds <= early->fds + SLACK_COUNT, "%s had %u descriptors, now %u", who,
		early->fds, late->fds);
	run_assert(run, late->threads <= early->threads + SLACK_COUNT, "%s had %u threads, now %u", who,
		early->threads, late->threads);
	run_assert(run, late->anonymous <= early->anonymous + SLACK_BYTES, "%s had %llu KiB, now %llu", who,
		(unsigned long long)early->anonymous >> 10, (unsigned long long)late->anonymous >> 10);
}

static void tell(const struct floor *floor, int cycles)
{
	printf("note: after %d crashes: minivmm %u descriptors, %u threads, %llu KiB; dumper %u, %u, %llu "
	       "KiB; tmpfs "
	       "%llu KiB\n",
		cycles, floor->vmm.fds, floor->vmm.threads, (unsigned long long)floor->vmm.anonymous >> 10,
		floor->dumper.fds, floor->dumper.threads, (unsigned long long)floor->dumper.anonymous >> 10,
		(unsigned long long)floor->shm >> 10);
}

START_TEST(fifty_crashes_leave_no_descriptor_thread_or_memory_behind)
{
	int cycles = (int)env_number("HANDOVER_CYCLES", CYCLES), warm = cycles > 100 ? cycles / 10 : WINDOW;
	struct floor early, late;
	struct process dumper;
	const char *done = NULL, *crash = NULL;
	char dir[256], path[512];
	bool own;
	struct run run;

	NEEDS_KVM();
	memset(&early, 0xff, sizeof(early));
	late = early;
	own = private_tmpfs(dir, sizeof(dir), "huge=always");
	/* the pause lets what was begun in the background come to its end: the floor is seen in every cycle */
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:10 delay=60",
				.memory = 256,
				.dir = own ? dir : NULL,
				.more = "[recovery]\nmax = 100000\nbackoff = 0"});
	run_await(&run, "run", 0);
	run_find_dumper(&run, &dumper);
	for (int generation = 0; generation < cycles; generation++) {
		struct floor *floor = generation >= cycles - WINDOW                      ? &late
				      : generation >= warm && generation < warm + WINDOW ? &early
											 : NULL;

		done = run_await_next(&run, "dump-done", generation, done);
		run_dump_path(&run, generation, path, sizeof(path));
		if (generation == 0 || generation == cycles - 1)
			run_judge(&run, path, generation, 0, NULL);
		ck_assert_int_eq(unlink(path), 0);
		if (floor) /* before the next crash is handled, and right after it */
			sample(&run, &dumper, own, floor);
		crash = run_await_next(&run, "crash", generation + 1, crash);
		if (floor)
			sample(&run, &dumper, own, floor);
	}
	process_close(&dumper);
	run_signal(&run, SIGTERM); /* it crashes until then, so that no sample comes too late */
	run_ends(&run, CODE_OK);
	run_assert(&run, event_count(&run.log, "crash") == event_count(&run.log, "timeline"),
		"not a timeline for each crash");
	tell(&early, warm);
	tell(&late, cycles);
	check_usage(&run, "minivmm", &early.vmm, &late.vmm);
	check_usage(&run, "the dumper", &early.dumper, &late.dumper);
	run_assert(&run, late.shm <= early.shm + SLACK_SHM, "%llu KiB of tmpfs were in use, now %llu",
		(unsigned long long)early.shm >> 10, (unsigned long long)late.shm >> 10);
	run_finish(&run);
}
END_TEST

Suite *suite_recovery(void)
{
	Suite *suite = suite_create("recovery");
	TCase *tcase = run_tcase(suite, "at once");

	tcase_add_test(
		tcase, a_recovery_kernel_that_is_read_for_seconds_holds_up_neither_dump_nor_operator);
	tcase_add_test(tcase, once_the_standby_is_made_a_crash_does_not_wait_for_a_slow_kernel);
	tcase_add_loop_test(
		tcase, a_recovery_vm_for_which_there_is_no_memory_is_made_again_until_there_is, 0, 3);
	tcase_add_test(tcase, the_recovery_vm_runs_before_the_dump_of_a_large_guest_is_done);
	tcase_add_test(tcase, a_dumper_that_stands_still_does_not_hold_up_the_recovery_vm);

	tcase = run_tcase(suite, "rows");
	tcase_add_test(tcase, a_vm_is_told_its_generation_and_that_it_recovers);
	tcase_add_test(tcase, the_console_tells_which_generation_speaks);
	tcase_add_test(tcase, a_recovery_vm_that_panics_is_dumped_in_its_turn);
	tcase_add_loop_test(tcase, without_recovery_a_crash_is_dumped_and_ends_with_5, 0, 2);
	tcase_add_test(tcase, a_row_of_crashes_ends_with_5_at_recovery_max_and_has_a_dump_each);
	tcase_add_test(tcase, a_recovery_vm_that_was_never_ready_is_recovered_after_a_pause_that_doubles);
	tcase_add_test(tcase, a_recovery_vm_that_was_ready_is_recovered_without_a_pause);
	tcase_add_test(tcase, a_stop_during_the_pause_before_a_recovery_ends_at_once);

	tcase = tcase_create("fifty");
	tcase_set_timeout(tcase, TEST_TIMEOUT + env_number("HANDOVER_CYCLES", CYCLES));
	tcase_add_test(tcase, fifty_crashes_leave_no_descriptor_thread_or_memory_behind);
	suite_add_tcase(suite, tcase);
	return suite;
}
