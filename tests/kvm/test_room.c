/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_room.c - room for dumps: dump.max_count, dump.max_bytes and dump.rotate, a directory that
 * is too small, dump.fallback_dir, and what is kept when there is no room at all.
 */
#include "tests/kvm/judges.h"
#include "tests/kvm/suites.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- quota -------------------------------------------------------------------------------------- */

#define CRASHES 5 /* generations 0 to 4, one dump each */
/* The pause lets a dump come to its end before the next crash, as dumps under way count, too. */
#define CRASHING "scenario=panic-call delay=200 fill=pattern:40,zero:10 generations=5"
/* A name that sorts before every dump of today, and that no run makes. */
#define OLD_PARTIAL "a-20200101T000000.000Z-g0.vmcore.partial"
#define OLD_REGION "a-20200101T000000.000Z-g0.region.partial"

struct quota {
	const char *more;    /* lines of [dump] */
	int first, last;     /* generations whose dumps are there in the end */
	uint64_t most_bytes; /* that they take together; 0 = any number */
	const char *says;    /* a word of minivmm's that must be there */
	int code;
};

static const struct quota quotas[] = {
	{"max_count = 3\nrotate = yes", 2, 4, 0, "removed the old dump", CODE_OK},
	{"max_count = 2\nrotate = no", 0, 1, 0, "dump.max_count", CODE_DUMP},
	{"max_count = 3\nrotate = yes\ncompress = lz4", 2, 4, 0, "removed the old dump", CODE_OK},
	{"max_count = 3\nrotate = yes\nstrategy = remap", 2, 4, 0, "removed the old dump", CODE_OK},
	/* three of 64 MiB, half full, are within 128 MiB, a fourth is not */
	{"max_bytes = 128M\nrotate = yes", 2, 4, 128 * MIB, "removed the old dump", CODE_OK},
	{"max_bytes = 128M\nrotate = no", 0, 2, 128 * MIB, "dump.max_bytes", CODE_DUMP},
	/* room for none: nothing is removed in vain */
	{"max_bytes = 8M\nrotate = yes", 0, -1, 0, "dump.max_bytes", CODE_DUMP},
	{"max_count = 5\nmax_bytes = 1G", 0, 4, 1024 * MIB, "ready", CODE_OK},
};
#define NR_QUOTAS ((int)(sizeof(quotas) / sizeof(quotas[0])))

static void make_file(struct run *run, const char *name)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", run->dump_dir, name);
	file = fopen(path, "we");
	run_assert(run, file, "%s: %s", path, strerror(errno));
	fputs("all that is left of a crash\n", file);
	ck_assert_int_eq(fclose(file), 0);
}

/* Bytes behind the final dumps; each that must be there is judged. */
static uint64_t judge_kept(struct run *run, const struct quota *quota)
{
	uint64_t bytes = 0;
	char path[512];
	struct stat st;

	for (int generation = quota->first; generation <= quota->last; generation++) {
		find_final(run, generation, path, sizeof(path));
		judge_dump(run, path, &(struct claim){.generation = generation});
		ck_assert_int_eq(stat(path, &st), 0);
		bytes += (uint64_t)st.st_blocks * 512; /* its unit */
	}
	return bytes;
}

START_TEST(the_quota_is_kept_by_removing_the_oldest_or_by_refusing_the_newest)
{
	const struct quota *quota = &quotas[_i];
	char more[256], err[1 << 16];
	unsigned kept = (unsigned)(quota->last - quota->first + 1), finals;
	uint64_t bytes;
	struct run run;

	NEEDS_KVM();
	snprintf(more, sizeof(more), "[dump]\n%s\n[recovery]\nmax = 10\nbackoff = 0", quota->more);
	run_start(&run, &(struct guest){.cmdline = CRASHING, .more = more});
	run_await(&run, "run", 0);
	make_file(&run, OLD_PARTIAL);
	make_file(&run, OLD_REGION);
	run_ends(&run, quota->code);
	run_count(&run, "crash", CRASHES);
	run_event(&run, "ready", CRASHES);
	run_count(&run, "dump-failed", quota->code == CODE_DUMP ? CRASHES - kept : 0);
	finals = run_files(&run, ".vmcore", NULL, 0) + run_files(&run, ".vmcore.lz4", NULL, 0);
	run_assert(&run, finals == kept, "%u dumps are there, not %u", finals, kept);
	run_assert(&run, run_files(&run, OLD_PARTIAL, NULL, 0) && run_files(&run, OLD_REGION, NULL, 0),
		"a partial dump was removed");
	run_assert(&run, run_files(&run, ".partial", NULL, 0) == 2, "more partial dumps than before");
	bytes = judge_kept(&run, quota);
	run_assert(&run, !quota->most_bytes || bytes <= quota->most_bytes, "the dumps take %llu bytes",
		(unsigned long long)bytes);
	read_file(run.err, err, sizeof(err));
	run_assert(&run, strstr(err, quota->says), "it does not say '%s'", quota->says);
	run_finish(&run);
}
END_TEST

/* ---- a directory that is too small ---------------------------------------------------------------- */

/* A tmpfs too small for any dump, and a directory on a disk beside it; false: said why not. */
static bool make_dirs(char *small, char *disk, size_t size, const char *test)
{
	char copy[256];
	int fd;

	if (!private_tmpfs(small, size, "size=16M")) {
		print_skip(test, "this user may not mount a tmpfs");
		return false;
	}
	snprintf(copy, sizeof(copy), "%s", small);
	snprintf(disk, size, "%.200s/disk-%d", dirname(copy), getpid());
	ck_assert_int_eq(mkdir(disk, 0700), 0);
	fd = open(disk, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) {
		print_skip(test, "TMPDIR is on a file system without O_TMPFILE");
		return false;
	}
	close(fd);
	return true;
}

static void crash_without_room(struct run *run, const char *small, const char *disk, const char *dump)
{
	char more[512];

	snprintf(more, sizeof(more), "[dump]\n%s%s\n%s", disk ? "fallback_dir = " : "", disk ? disk : "",
		dump);
	run_start(run,
		&(struct guest){.cmdline = "scenario=null-deref fill=pattern:20,text:20,zero:15,freed:15",
			.recovery = "scenario=ready-poweroff",
			.memory = 96,
			.vcpus = 2,
			.dump_dir = small,
			.more = more});
	run_wait(run);
	run_event(run, "ready", 1);
	run_count(run, "crash", 1);
}

/* What a dump that failed left makes a whole one, on the disk. */
static void salvage_to(struct run *run, const char *disk, unsigned flags)
{
	static struct output output;
	char region[512], file[300], memory_dir[300];

	snprintf(memory_dir, sizeof(memory_dir), "/dev/shm/minivmm/%s", run->name);
	snprintf(run->dump_dir, sizeof(run->dump_dir), "%.250s", memory_dir);
	run_assert(run, run_files(run, ".region.partial", region, sizeof(region)) == 1,
		"the dead VM's memory was not kept");
	snprintf(file, sizeof(file), "%s/salvaged-g0.vmcore", disk);
	run_minivmm(run, &output, "dump", "salvage", "--output", file, region, NULL);
	run_assert(run, !output.code, "salvage ended with %d: %.1000s", output.code, output.err);
	judge_dump(run, file, &(struct claim){.flags = flags});
	unlink(file);
}

START_TEST(the_fallback_directory_has_limits_of_its_own)
{
	char small[256], disk[256], more[512];
	struct run run;

	NEEDS_KVM();
	if (!make_dirs(small, disk, sizeof(small), __func__))
		return;
	snprintf(more, sizeof(more),
		"[dump]\nmax_count = 1\nfallback_dir = %s\nfallback_max_count = 2\n[recovery]\nmax = "
		"10\nbackoff = 0",
		disk);
	run_start(&run, &(struct guest){.cmdline = CRASHING, .dump_dir = small, .more = more});
	run_ends(&run, CODE_OK);
	run_count(&run, "dump-done", CRASHES);
	run_count(&run, "dump-fallback", CRASHES);
	snprintf(run.dump_dir, sizeof(run.dump_dir), "%s", disk);
	run_assert(&run, run_files(&run, ".vmcore", NULL, 0) == 2, "%u dumps are there, not 2",
		run_files(&run, ".vmcore", NULL, 0));
	judge_kept(&run, &(struct quota){.first = CRASHES - 2, .last = CRASHES - 1});
	run_finish(&run);
}
END_TEST

/* ---- the service comes first ---------------------------------------------------------------------- */

/* The first event of either name. */
static const char *await_either(struct run *run, const char *one, const char *other)
{
	uint64_t end = now_ns() + RUN_LIMIT_MS * NSEC_PER_MSEC;

	for (;;) {
		const char *event;

		event_log_update(&run->log);
		event = event_find(&run->log, one, -1, NULL);
		if (!event)
			event = event_find(&run->log, other, -1, NULL);
		if (event)
			return event;
		run_assert(run, now_ns() < end, "neither event '%s' nor '%s'", one, other);
		sleep_until(now_ns() + 10 * NSEC_PER_MSEC);
	}
}

START_TEST(a_guest_larger_than_its_tmpfs_is_refused_and_if_it_must_run_it_is_said_what_is_full)
{
	char dir[256], err[1 << 14], reason[32];
	struct run run;

	NEEDS_KVM();
	if (!private_tmpfs(dir, sizeof(dir), "size=64M")) {
		print_skip(__func__, "this user may not mount a tmpfs");
		return;
	}
	run_start(
		&run, &(struct guest){.cmdline = "scenario=idle fill=pattern:80",
			      .memory = 128,
			      .dir = dir,
			      .more = _i ? "[vm]\nmemory_overcommit = yes\n[recovery]\nenabled = no" : ""});
	if (!_i) {
		run_ends(&run, CODE_CONFIG);
		run_count(&run, "run", 0);
	} else {
		/* which of the two is the kernel's choice; but no guest stands still in silence, or for another reason */
		if (event_text(await_either(&run, "dir-full", "crash"), "reason", reason, sizeof(reason)))
			run_assert(&run, !strcmp(reason, "no-memory"), "reason '%s'", reason);
		run_signal(&run, SIGKILL);
		run_wait(&run);
	}
	read_file(run.err, err, sizeof(err));
	run_assert(&run, strstr(err, dir) && strstr(err, _i ? "is full" : "memory_overcommit"),
		"it does not say what is wrong");
	run_finish(&run);
}
END_TEST

START_TEST(a_new_dump_that_does_not_fit_leaves_the_old_one)
{
	char small[256], old[512], other[512];
	struct run run;

	NEEDS_KVM();
	if (!private_tmpfs(small, sizeof(small), "size=24M")) {
		print_skip(__func__, "this user may not mount a tmpfs");
		return;
	}
	/* the second VM has touched more than there is room for */
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:20",
				.recovery = "scenario=panic-call fill=pattern:70 generations=2",
				.dump_dir = small,
				.more = "[dump]\nmax_count = 1\nrotate = yes\n[recovery]\nconcurrent = no\n"
					"backoff = 0"});
	run_ends(&run, CODE_DUMP);
	run_count(&run, "dump-done", 1);
	run_event(&run, "dump-failed", 1);
	find_final(&run, 0, old, sizeof(old));
	judge_dump(&run, old, &(struct claim){.generation = 0});
	snprintf(run.dump_dir, sizeof(run.dump_dir), "/dev/shm/minivmm/%s", run.name);
	run_assert(&run, run_files(&run, ".region.partial", other, sizeof(other)) == 1,
		"the newest crash was not kept");
	run_finish(&run);
}
END_TEST

START_TEST(a_service_that_crashes_again_and_again_comes_back_whatever_dumps_there_are)
{
	static const char *const dumps[] = {
		"strategy = vmapp", "strategy = vmapp\nmax_count = 0", "strategy = remap\nmax_count = 0"};
	char dir[256], more[256], err[1 << 16];
	struct run run;

	NEEDS_KVM();
	/* room for two VMs and a dump */
	if (!private_tmpfs(dir, sizeof(dir), "size=160M")) {
		print_skip(__func__, "this user may not mount a tmpfs");
		return;
	}
	snprintf(more, sizeof(more), "[dump]\n%s\n[recovery]\nmax = 20\nbackoff = 0", dumps[_i]);
	run_start(&run,
		&(struct guest){.cmdline = "scenario=panic-call delay=100 fill=pattern:40 generations=10",
			.dir = dir,
			.more = more});
	run_ends(&run, CODE_OK);
	run_count(&run, "crash", 10);
	run_event(&run, "ready", 10);
	run_count(&run, "handover-blocked", 0);
	read_file(run.err, err, sizeof(err));
	run_assert(&run, strstr(err, "removed the old dump"), "it does not say which dumps went");
	run_finish(&run);
}
END_TEST

static const char *const fallbacks[] = {"", "compress = lz4", "select = zero,pages"};
#define NR_FALLBACKS ((int)(sizeof(fallbacks) / sizeof(fallbacks[0])))

START_TEST(a_dump_without_room_lands_in_the_fallback_directory_and_the_event_says_so)
{
	char small[256], disk[256], dir[256], path[512];
	const char *fallback, *done;
	struct run run;

	NEEDS_KVM();
	if (!make_dirs(small, disk, sizeof(small), __func__))
		return;
	crash_without_room(&run, small, disk, fallbacks[_i]);
	run_assert(&run, run.code == CODE_OK, "minivmm ended with %d", run.code);
	run_assert(&run, !run_files(&run, "", NULL, 0), "something is in the directory that is too small");
	fallback = run_event(&run, "dump-fallback", 0);
	run_assert(
		&run, event_text(fallback, "dir", dir, sizeof(dir)) && !strcmp(dir, disk), "%s", fallback);
	run_assert(&run, event_text(fallback, "why", path, sizeof(path)) && strstr(path, "MiB"), "%s",
		fallback);
	done = run_event(&run, "dump-done", 0);
	run_assert(&run, event_text(done, "dir", dir, sizeof(dir)) && !strcmp(dir, disk), "%s", done);
	snprintf(run.dump_dir, sizeof(run.dump_dir), "%s", disk);
	find_final(&run, 0, path, sizeof(path));
	judge_dump(&run, path,
		&(struct claim){.select = strstr(fallbacks[_i], "select") ? "zero,pages" : "all",
			.absent = strstr(fallbacks[_i], "select") ? "zero,freed" : NULL});
	run_assert(&run, !run_files(&run, ".partial", NULL, 0), "names of an unfinished dump are left");
	run_finish(&run);
}
END_TEST

START_TEST(without_room_anywhere_the_dead_memory_is_kept_and_can_be_salvaged)
{
	char small[256], disk[256], err[1 << 14];
	struct run run;

	NEEDS_KVM();
	if (!make_dirs(small, disk, sizeof(small), __func__))
		return;
	crash_without_room(&run, small, NULL, "");
	run_assert(&run, run.code == CODE_DUMP, "minivmm ended with %d", run.code);
	run_event(&run, "dump-failed", 0);
	read_file(run.err, err, sizeof(err));
	run_assert(&run, strstr(err, "MiB are missing") && strstr(err, ".region.partial"),
		"it does not say how much is missing and what is kept");
	salvage_to(&run, disk, 0);
	run_finish(&run);
}
END_TEST

START_TEST(a_guest_that_dumps_into_a_directory_without_room_loses_nothing)
{
	static const char *const strategies[] = {"strategy = hypercall", "strategy = addmem"};
	char small[256], disk[256], path[512];
	struct run run;

	NEEDS_KVM();
	if (!make_dirs(small, disk, sizeof(small), __func__))
		return;
	crash_without_room(&run, small, disk, strategies[_i]);
	run_assert(&run, run.code == CODE_OK, "minivmm ended with %d", run.code);
	snprintf(run.dump_dir, sizeof(run.dump_dir), "%s", disk);
	find_final(&run, 0, path, sizeof(path));
	judge_dump(&run, path, &(struct claim){.flags = JUDGE_ANY_REGISTERS});
	run_finish(&run);
}
END_TEST

START_TEST(a_dump_that_is_the_memory_itself_cannot_lie_on_another_file_system)
{
	static const char *const strategies[] = {"remap", "hybrid"};
	char small[256], err[1 << 14], more[64];
	struct run run;

	NEEDS_KVM();
	if (!private_tmpfs(small, sizeof(small), "size=16M")) {
		print_skip(__func__, "this user may not mount a tmpfs");
		return;
	}
	snprintf(more, sizeof(more), "[dump]\nstrategy = %s", strategies[_i]);
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref", .dump_dir = small, .more = more});
	run_ends(&run, CODE_CONFIG);
	read_file(run.err, err, sizeof(err));
	run_assert(&run, strstr(err, "strategy") && strstr(err, "dir") && strstr(err, "memory_dir"),
		"it does not name both keys");
	run_count(&run, "run", 0);
	run_finish(&run);
}
END_TEST

Suite *suite_room(void)
{
	Suite *suite = suite_create("room");
	TCase *tcase = run_tcase(suite, "quota");

	tcase_add_loop_test(
		tcase, the_quota_is_kept_by_removing_the_oldest_or_by_refusing_the_newest, 0, NR_QUOTAS);

	tcase = run_tcase(suite, "fallback");
	tcase_add_loop_test(tcase,
		a_dump_without_room_lands_in_the_fallback_directory_and_the_event_says_so, 0, NR_FALLBACKS);
	tcase_add_test(tcase, without_room_anywhere_the_dead_memory_is_kept_and_can_be_salvaged);
	tcase_add_test(tcase, the_fallback_directory_has_limits_of_its_own);
	tcase_add_loop_test(tcase, a_guest_that_dumps_into_a_directory_without_room_loses_nothing, 0, 2);
	tcase_add_loop_test(
		tcase, a_dump_that_is_the_memory_itself_cannot_lie_on_another_file_system, 0, 2);
	tcase = run_tcase(suite, "service first");
	tcase_add_test(tcase, a_new_dump_that_does_not_fit_leaves_the_old_one);
	tcase_add_loop_test(tcase,
		a_guest_larger_than_its_tmpfs_is_refused_and_if_it_must_run_it_is_said_what_is_full, 0, 2);
	tcase_add_loop_test(
		tcase, a_service_that_crashes_again_and_again_comes_back_whatever_dumps_there_are, 0, 3);
	return suite;
}
