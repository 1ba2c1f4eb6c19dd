/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dump_faults.c - whatever call fails in the course of a dump, nothing is lost: the dump
 * is whole, or it has no final name and another engine can make it whole from what is there.
 */
#include "tests/unit/chance.h"
#include "tests/unit/dump_ways.h"
#include "tests/unit/place.h"
#include "tests/unit/suites.h"

#include "dump/base/io.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* Which call is to fail and how; the numbers count over all kinds of calls, or over one kind alone. */
static struct {
	_Atomic unsigned calls;
	unsigned nth;      /* 0 = none */
	enum io_call only; /* IO_NR_CALLS = of any kind */
	enum { NO_SPACE, IO_ERROR, INTERRUPTED, SHORT, FULL, NR_FAULTS } fault;
	enum io_call call; /* what it was */
} plan = {.only = IO_NR_CALLS};

static const char *const call_names[IO_NR_CALLS] = {"pread", "pwrite", "fallocate", "populate", "seek",
	"tmpfile", "truncate", "link", "sync", "sync of a range", "sync of a directory", "unlink", "store"};
static const char *const fault_names[NR_FAULTS] = {
	"ENOSPC", "EIO", "EINTR", "a short count", "a full file system"};

/* Calls that can be interrupted, and retried without harm. */
static bool is_slow(enum io_call call)
{
	return call == IO_PREAD || call == IO_PWRITE || call == IO_FALLOCATE || call == IO_POPULATE;
}

static int hook(enum io_call call, size_t *len)
{
	unsigned number;

	if (call == IO_STORE || (plan.only != IO_NR_CALLS && call != plan.only))
		return 0;
	number = atomic_fetch_add(&plan.calls, 1) + 1;
	if (plan.nth && plan.fault == FULL && number >= plan.nth)
		return call == IO_PWRITE || call == IO_POPULATE ? ENOSPC : 0;
	if (number != plan.nth)
		return 0;
	plan.call = call;
	switch (plan.fault) {
	case INTERRUPTED:
		return is_slow(call) ? EINTR : EIO;
	case SHORT:
		if (*len > 1)
			*len /= 2;
		return 0;
	case NO_SPACE:
		return ENOSPC;
	default:
		return EIO;
	}
}

static int run(struct dump_engine *engine, unsigned nth)
{
	int r;

	atomic_store(&plan.calls, 0);
	plan.call = IO_NR_CALLS;
	plan.nth = nth;
	io_test_hook = hook;
	r = dump_engine_run(engine);
	io_test_hook = NULL;
	return r;
}

static int open_what_is_left(int dir_fd, const struct publish_names *names)
{
	int fd = openat(dir_fd, names->dump_partial, O_RDWR | O_CLOEXEC);

	return fd >= 0 ? fd : openat(dir_fd, names->final, O_RDWR | O_CLOEXEC);
}

/* Whether the fault could keep an engine from reading page descriptors: then it has to keep every page. */
static bool may_distrust(const struct way *way)
{
	return strstr(way->select, "pages") && plan.call == IO_PREAD &&
	       (plan.fault == NO_SPACE || plan.fault == IO_ERROR);
}

static bool is_there(int dir_fd, const char *name)
{
	return !faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* A dump to @dir_fd, -1 for the fixture's, in which call @nth fails.  Result: the calls there were. */
static unsigned dump_with_fault(const struct way *way, int dir_fd, unsigned nth)
{
	struct way judged = *way;
	struct dump_fixture f;
	struct dump_engine engine;
	struct publish_names names;
	unsigned calls;
	int r;

	if (!way_setup(&f, way))
		return 0;
	dir_fd = dir_fd < 0 ? f.dir_fd : dir_fd;
	way_names(way, &names);
	engine = fixture_engine(&f);
	engine.dir_fd = dir_fd;
	r = run(&engine, nth);
	calls = atomic_load(&plan.calls);
	if (r) {
		ck_assert_msg(engine.why[0] && r == engine.error, "a failure without a reason");
		ck_assert_msg(plan.fault != SHORT && !(plan.fault == INTERRUPTED && is_slow(plan.call)),
			"%s of %s: %s", fault_names[plan.fault], call_names[plan.call], engine.why);
		ck_assert_msg(!is_there(dir_fd, names.final) || plan.call == IO_SYNC_DIR,
			"failed, and published: %s", engine.why);
	}
	/* what could not be removed is for whoever comes next */
	if (r || (plan.call == IO_UNLINK && nth)) {
		engine = fixture_engine(&f);
		engine.dir_fd = dir_fd;
		engine.resume = true;
		engine.given_dump_fd = open_what_is_left(dir_fd, &names);
		r = dump_engine_run(&engine);
		ck_assert_msg(!r, "after %s of %s (call %u): %s", fault_names[plan.fault],
			call_names[plan.call], nth, engine.why);
		if (engine.given_dump_fd >= 0)
			close(engine.given_dump_fd);
	}
	/* descriptors that could not be read: then every page is kept, which is told */
	if (engine.selection.distrusted) {
		ck_assert_msg(may_distrust(way), "after %s of %s (call %u): %s", fault_names[plan.fault],
			call_names[plan.call], nth, engine.selection.distrust);
		judged.select = strstr(way->select, "zero") ? "zero" : "all";
	}
	way_check(&f, &judged, dir_fd);
	ck_assert_uint_eq(fixture_nr_files(&f), dir_fd == f.dir_fd ? 1 : 0);
	unlinkat(dir_fd, names.final, 0);
	fixture_fini(&f);
	return calls;
}

/* All calls would be thousands of dumps: the first ones, the last ones, and some between. */
#define FIRST 6
#define LAST 4
#define BETWEEN 2

static void some_calls_fail(const struct way *way, int dir_fd)
{
	unsigned calls = dump_with_fault(way, dir_fd, 0);

	for (unsigned i = 0; i < FIRST + LAST + BETWEEN && calls; i++) {
		unsigned nth = i < FIRST          ? i + 1
			       : i < FIRST + LAST ? calls - (i - FIRST)
						  : (unsigned)chance_below(calls) + 1;

		plan.fault = (unsigned)chance_below(NR_FAULTS);
		if (nth >= 1 && nth <= calls)
			dump_with_fault(way, dir_fd, nth);
	}
}

START_TEST(a_call_that_fails_costs_no_page)
{
	chance_begin("faults", _i);
	some_calls_fail(&ways[_i], -1);
}
END_TEST

START_TEST(a_call_that_fails_costs_no_page_on_a_disk_either)
{
	struct place disk;

	chance_begin("faults on a disk", _i);
	place_init(&disk, NULL);
	some_calls_fail(way_for_disks(_i), disk.fd);
	place_fini(&disk);
}
END_TEST

/* The calls whose failure means that what was written may never reach the disk. */
START_TEST(each_sync_that_fails_costs_no_page)
{
	const struct way *way = way_for_disks(_i);
	unsigned calls, syncs = 0;
	struct place disk;

	place_init(&disk, NULL);
	plan.only = IO_SYNC;
	plan.fault = IO_ERROR;
	calls = dump_with_fault(way, disk.fd, 0);
	for (unsigned nth = 1; nth <= calls; nth++, syncs++)
		dump_with_fault(way, disk.fd, nth);
	ck_assert_uint_gt(syncs, 0);
	place_fini(&disk);
}
END_TEST

static unsigned syncs_left;

/* A disk that takes everything and has nothing, once @syncs_left were good. */
static int no_sync(enum io_call call, size_t *len)
{
	(void)len;
	if (call != IO_SYNC && call != IO_SYNC_RANGE)
		return 0;
	return syncs_left && syncs_left-- ? 0 : EIO;
}

/* How much the region gives back to the host when only the first @good calls bring something to the disk. */
static uint64_t released_with(const struct way *way, const struct place *disk, unsigned good)
{
	struct dump_engine engine;
	struct publish_names names;
	struct dump_fixture f;
	uint64_t before;

	ck_assert(way_setup(&f, way));
	way_names(way, &names);
	before = fixture_populated(f.region_fd, f.layout.head, f.layout.ram);
	engine = fixture_engine(&f);
	engine.dir_fd = disk->fd;
	syncs_left = good;
	io_test_hook = no_sync;
	ck_assert_int_eq(dump_engine_run(&engine), -EIO);
	io_test_hook = NULL;
	ck_assert(!is_there(disk->fd, names.final));
	before -= fixture_populated(f.region_fd, f.layout.head, f.layout.ram);
	unlinkat(disk->fd, names.dump_partial, 0);
	fixture_fini(&f);
	return before;
}

START_TEST(no_memory_is_released_before_what_it_held_is_on_the_disk)
{
	const struct way *way = way_for_disks(_i);
	bool compressed = !strcmp(way->sink, "lz4"), excludes = strstr(way->select, "pages");
	struct place disk;

	place_init(&disk, NULL);
	/* where the tables are on the disk too: bitmap and state come before what is excluded is released */
	if (!compressed) {
		ck_assert_uint_eq(released_with(way, &disk, 0), 0);
		ck_assert_uint_eq(released_with(way, &disk, 1), 0);
	}
	if (!excludes)
		ck_assert_uint_eq(released_with(way, &disk, compressed ? 0 : 2), 0);
	place_fini(&disk);
}
END_TEST

Suite *suite_dump_faults(void)
{
	Suite *suite = suite_create("dump faults");
	TCase *tc = tcase_create("faults");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_call_that_fails_costs_no_page, 0, nr_ways);
	tcase_add_loop_test(tc, a_call_that_fails_costs_no_page_on_a_disk_either, 0, nr_ways_for_disks());
	tcase_add_loop_test(tc, each_sync_that_fails_costs_no_page, 0, nr_ways_for_disks());
	tcase_add_loop_test(
		tc, no_memory_is_released_before_what_it_held_is_on_the_disk, 0, nr_ways_for_disks());
	suite_add_tcase(suite, tc);
	return suite;
}
