/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_campaign.c - dumps that everything happens to: each trial picks a way of dumping, a place for the
 * dump, and up to four mishaps, one after the other (the process killed at a call or a moment, a call that fails, calls that
 * fail from one on, a process that stands still), of engines and then of salvages.  What is left is then made whole by an
 * engine or by a salvage that nothing happens to, and judged page by page.  After each mishap what has the final name is
 * judged, too.
 *
 * CAMPAIGN=FIRST,COUNT chooses the trials (tests/campaign does); a trial is a function of UNIT_TESTS_SEED and its
 * number alone, but for the moments.  CAMPAIGN_LOG names a file that gets a line for each trial.
 */
#include "tests/unit/chance.h"
#include "tests/unit/dump_ways.h"
#include "tests/unit/place.h"
#include "tests/unit/suites.h"

#include "dump/base/io.h"
#include "dump/lz4/lz4_reader.h"
#include "dump/save/salvage.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* our choice: some seconds of make check; tests/campaign makes thousands */
#define DEFAULT_COUNT 100
#define MISHAPS_MAX 4

enum where { BESIDE, ON_DISK, SMALL, SMALL_WITH_FALLBACK, FULL, NR_PLACES };
static const char *const where_names[NR_PLACES] = {"beside", "disk", "small", "small+fallback", "full"};

enum mishap {
	KILLED_AT_CALL,
	KILLED_AT_MOMENT,
	CALL_FAILS,
	CALLS_FAIL,
	CALL_SHORT,
	STANDS_STILL,
	NR_MISHAPS
};
static const char *const mishap_names[NR_MISHAPS] = {
	"killed-at-call", "killed-at-moment", "call-fails", "calls-fail", "short", "stopped"};

struct trial {
	const struct way *way;
	struct dump_fixture f;
	enum where where;
	struct place out, fallback; /* fd -1 = none */
	struct publish_names names;
	bool salvages; /* from here on: a salvage has been at work */
	bool may_keep; /* a call failed that selectors depend on: every page may have been kept */
	char log[512];
};

__attribute__((format(printf, 2, 3))) static void note(struct trial *trial, const char *fmt, ...)
{
	size_t len = strlen(trial->log);
	va_list args;

	va_start(args, fmt);
	vsnprintf(trial->log + len, sizeof(trial->log) - len, fmt, args);
	va_end(args);
}

/* ---- in the child: what happens to its calls ------------------------------------------------------------ */

static struct {
	_Atomic unsigned calls;
	unsigned nth;
	enum mishap mishap;
	int error;
} plan;

static int hook(enum io_call call, size_t *len)
{
	unsigned number = atomic_fetch_add(&plan.calls, 1) + 1;

	if (number < plan.nth || (number > plan.nth && plan.mishap != CALLS_FAIL))
		return 0;
	switch (plan.mishap) {
	case KILLED_AT_CALL:
		kill(getpid(), SIGKILL);
		pause();
		return 0;
	case CALL_FAILS:
	case CALLS_FAIL:
		return call == IO_PREAD && plan.error == ENOSPC ? EIO : plan.error;
	case CALL_SHORT:
		*len = *len > 1 ? *len / 2 : *len;
		return 0;
	default:
		return 0;
	}
}

static int dir_of_dump(const struct trial *trial)
{
	return trial->out.fd >= 0 ? trial->out.fd : trial->f.dir_fd;
}

static bool is_there(int dir_fd, const char *name)
{
	return dir_fd >= 0 && !faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* What the VMM does: the dump under its partial name, or the final one, or nothing, in the first directory or the other. */
static int open_what_is_left(const struct trial *trial)
{
	const char *names[] = {trial->names.dump_partial, trial->names.final};
	int dirs[] = {dir_of_dump(trial), trial->fallback.fd};

	for (size_t d = 0; d < ARRAY_LEN(dirs); d++)
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			if (is_there(dirs[d], names[i]))
				return openat(dirs[d], names[i], O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	return -1;
}

static int engine_runs(struct trial *trial, bool resume, char *why, size_t why_size)
{
	struct dump_engine engine = fixture_engine(&trial->f);
	int r;

	engine.proc_fd = publish_proc_open(); /* a parent's shows the parent's files */
	engine.dir_fd = dir_of_dump(trial);
	engine.fallback_dir_fd = trial->fallback.fd;
	engine.resume = resume;
	engine.given_dump_fd = resume ? open_what_is_left(trial) : -1;
	r = dump_engine_run(&engine);
	snprintf(why, why_size, "%s", engine.why);
	return r;
}

static void path_in(int dir_fd, const char *name, char *path, size_t size)
{
	snprintf(path, size, "/proc/%d/fd/%d/%s", getpid(), dir_fd, name);
}

static int salvage_runs(struct trial *trial, char *why, size_t why_size)
{
	const int dirs[] = {dir_of_dump(trial), trial->fallback.fd};
	struct salvage_request request = {0};
	struct salvage_result result;
	char path[256], region[256];
	int dir = trial->f.dir_fd, r;
	const char *name = trial->names.region_partial;

	for (size_t d = ARRAY_LEN(dirs); d-- > 0;)
		if (is_there(dirs[d], trial->names.dump_partial)) {
			dir = dirs[d];
			name = trial->names.dump_partial;
		}
	path_in(dir, name, path, sizeof(path));
	path_in(trial->f.dir_fd, trial->names.region_partial, region, sizeof(region));
	request.path = path;
	request.region_path = dir == trial->f.dir_fd ? NULL : region;
	r = dump_salvage(&request, &result, why, why_size);
	if (!r)
		free(result.path);
	return r;
}

/* The VMM and its dumpers are gone, and their locks with them. */
static void salvages_from_here(struct trial *trial)
{
	trial->salvages = true;
	publish_unlock(trial->f.region_fd);
}

/* ---- mishaps -------------------------------------------------------------------------------------------- */

static unsigned pick_call(void)
{
	/* early calls make files and names, later ones move bytes: both are to be hit */
	return 1 + (unsigned)chance_below(chance_below(2) ? 30 : 400);
}

/* In a process of its own; true if it ended by itself and well. */
static bool in_child(struct trial *trial, bool resume, enum mishap mishap)
{
	unsigned nth = pick_call();
	int error = chance_below(2) ? EIO : ENOSPC, status;
	useconds_t us = (useconds_t)chance_below(8000) + 1;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (!child) {
		char why[512];

		plan.mishap = mishap;
		plan.nth = nth;
		plan.error = error;
		io_test_hook = hook;
		_exit((trial->salvages ? salvage_runs(trial, why, sizeof(why))
				       : engine_runs(trial, resume, why, sizeof(why)))
				? 1
				: 0);
	}
	if (mishap == KILLED_AT_MOMENT || mishap == STANDS_STILL) {
		usleep(us);
		kill(child, mishap == STANDS_STILL ? SIGSTOP : SIGKILL);
		usleep(500);
		kill(child, SIGCONT);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) || WTERMSIG(status) == SIGKILL, "%s: signal %d", trial->log,
		WTERMSIG(status));
	note(trial, " %s%s=%s", trial->salvages ? "salvage-" : "", mishap_names[mishap],
		WIFSIGNALED(status)   ? "killed"
		: WEXITSTATUS(status) ? "failed"
				      : "done");
	if (mishap == CALL_FAILS || mishap == CALLS_FAIL)
		trial->may_keep = true;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

/* ---- the judge ------------------------------------------------------------------------------------------ */

/* Whether the dump's own bitmap has every page: then it says that nothing was left out, and is judged so. */
static bool keeps_all(const struct trial *trial, int dir_fd, const char *name)
{
	const struct vmcore_places places = vmcore_places(&trial->f.layout, trial->f.record->options.chunk);
	uint64_t pages = trial->f.layout.ram / PAGE_SIZE_4K;
	uint64_t *bitmap = malloc(places.bitmap_bytes);
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC), r;
	struct lz4_reader *lz4 = NULL;
	bool all = true;

	if (strstr(name, ".lz4"))
		ck_assert_int_eq(lz4_reader_open(fd, 0, &lz4), 0);
	r = lz4 ? lz4_reader_read(lz4, places.bitmap_off, bitmap, places.bitmap_bytes)
		: io_pread_full(fd, bitmap, places.bitmap_bytes, places.bitmap_off);
	lz4_reader_close(lz4);
	close(fd);
	ck_assert_int_eq(r, 0);
	for (uint64_t page = 0; page < pages && all; page++)
		all = bitmap[page / 64] >> page % 64 & 1;
	free(bitmap);
	return all;
}

/* Judges what has a final name, in each directory and by either name; true if there is one. */
static bool judge_finals(struct trial *trial)
{
	/* a region that became the dump is where it was */
	const int dirs[] = {trial->f.dir_fd, trial->out.fd, trial->fallback.fd};
	struct publish_names plain;
	bool found = false;

	publish_names_init(&plain, "guest-test-g0");
	for (size_t i = 0; i < ARRAY_LEN(dirs) * 2; i++) {
		int dir = dirs[i / 2];
		const char *name = i % 2 ? plain.final : trial->names.final;
		bool all;

		if (!is_there(dir, name) || (i % 2 && !strcmp(plain.final, trial->names.final)))
			continue;
		all = keeps_all(trial, dir, name);
		ck_assert_msg(!all || strstr(trial->way->select, "all") ||
				      !strcmp(trial->way->select, "zero") || trial->salvages ||
				      trial->may_keep,
			"%s: every page was kept", trial->log);
		way_check_file(&trial->f, trial->way, dir, name, all ? "all" : trial->way->select, false);
		found = true;
	}
	return found;
}

static unsigned nr_files(const struct trial *trial)
{
	return fixture_nr_files(&trial->f) + (trial->out.fd >= 0 ? place_nr_files(&trial->out) : 0) +
	       (trial->fallback.fd >= 0 ? place_nr_files(&trial->fallback) : 0);
}

/* ---- a trial -------------------------------------------------------------------------------------------- */

static bool begin(struct trial *trial, unsigned number)
{
	const char *options = NULL;
	char text[64];

	chance_begin("trial", (int)number);
	trial->out.fd = trial->fallback.fd = -1;
	/* the most usual place gets the most */
	trial->where = chance_below(3) ? (enum where)chance_below(NR_PLACES) : BESIDE;
	trial->way = trial->where == BESIDE
			     ? &ways[chance_below((uint64_t)nr_ways)]
			     : way_for_disks((int)chance_below((uint64_t)nr_ways_for_disks()));
	if (trial->where == FULL) {
		snprintf(text, sizeof(text), "size=%uk", 3400 + (unsigned)chance_below(2000));
		options = text;
	}
	if (trial->way->huge ? !way_setup(&trial->f, trial->way)
			     : !way_setup_on(&trial->f, trial->way, options))
		return false;
	if (trial->where == ON_DISK)
		place_init(&trial->out, NULL);
	if (trial->where == SMALL || trial->where == SMALL_WITH_FALLBACK) {
		snprintf(text, sizeof(text), "size=%uk", 500 + (unsigned)chance_below(4000));
		place_init(&trial->out, text);
	}
	if (trial->where == SMALL_WITH_FALLBACK)
		place_init(&trial->fallback, NULL);
	trial->f.record->options.chunk = trial->way->huge ? MIB(2) : KIB(64);
	way_names(trial->way, &trial->names);
	/* as the VMM does before a dumper begins */
	ck_assert_int_eq(
		dump_engine_announce(trial->f.record, trial->f.region_fd, trial->f.dir_fd, -1, -1), 0);
	note(trial, "%u: %s,%s,%s,%u %s", number, trial->way->strategy, trial->way->sink,
		trial->way->select, trial->way->workers, where_names[trial->where]);
	return true;
}

static void end(struct trial *trial)
{
	const char *path = getenv("CAMPAIGN_LOG");
	FILE *log = path ? fopen(path, "a") : NULL;

	if (log) {
		fprintf(log, "%s\n", trial->log);
		fclose(log);
	}
	if (trial->out.fd >= 0)
		place_fini(&trial->out);
	if (trial->fallback.fd >= 0)
		place_fini(&trial->fallback);
	fixture_fini(&trial->f);
}

/* A directory without room: then the memory is kept where it is, and only a salvage elsewhere can make it whole. */
static bool may_lack_room(const struct trial *trial)
{
	return trial->where == SMALL || trial->where == SMALL_WITH_FALLBACK || trial->where == FULL;
}

/* Nothing happens to this one. */
static void finish(struct trial *trial, bool resume)
{
	char why[512] = "";
	int r;

	if (!trial->salvages && resume && chance_below(2) &&
		is_there(trial->f.dir_fd, trial->names.region_partial))
		salvages_from_here(trial);
	/* one that was killed had done all there was to do */
	if (trial->salvages && nr_files(trial) == 1 && judge_finals(trial)) {
		note(trial, " end:none-needed=whole");
		return;
	}
	r = trial->salvages ? salvage_runs(trial, why, sizeof(why))
			    : engine_runs(trial, resume, why, sizeof(why));
	note(trial, " end:%s=%s", trial->salvages ? "salvage" : "engine",
		r ? strerrorname_np(-r) : "whole");
	if (r == -ENOSPC && may_lack_room(trial)) {
		ck_assert_msg(
			is_there(trial->f.dir_fd, trial->names.region_partial), "%s: %s", trial->log, why);
		judge_finals(trial);
		return;
	}
	ck_assert_msg(!r, "%s: %s", trial->log, why);
	ck_assert_msg(judge_finals(trial), "%s: nothing has the final name", trial->log);
	ck_assert_msg(nr_files(trial) == 1, "%s: %u files", trial->log, nr_files(trial));
}

START_TEST(nothing_is_lost_whatever_happens)
{
	static struct trial trial;
	unsigned mishaps;
	bool done = false;

	if (!begin(&trial, (unsigned)_i))
		return;
	mishaps = (unsigned)chance_below(MISHAPS_MAX) + 1;
	for (unsigned i = 0; i < mishaps && !done; i++) {
		if (i && !trial.salvages && !chance_below(3) &&
			is_there(trial.f.dir_fd, trial.names.region_partial))
			salvages_from_here(&trial);
		done = in_child(&trial, i > 0, (enum mishap)chance_below(NR_MISHAPS));
		ck_assert_msg(judge_finals(&trial) || !done, "%s: done, and no final name", trial.log);
	}
	if (!done)
		finish(&trial, true);
	end(&trial);
}
END_TEST

Suite *suite_campaign(void)
{
	Suite *suite = suite_create("campaign");
	TCase *tc = tcase_create("trials");
	const char *text = getenv("CAMPAIGN");
	int first = 0, count = DEFAULT_COUNT;

	if (text && sscanf(text, "%d,%d", &first, &count) != 2)
		count = 0;
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, nothing_is_lost_whatever_happens, first, first + count);
	suite_add_tcase(suite, tc);
	return suite;
}
