/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dump_faults.c - whatever call fails in the course of a dump, nothing is lost: the dump
 * is whole, or it has no final name and another engine can make it whole from what is there.
 */
#include "tests/unit/dump_ways.h"
#include "tests/unit/suites.h"

#include "dump/base/io.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Which call is to fail and how; the numbers count over all kinds of calls. */
static struct {
	_Atomic unsigned calls;
	unsigned nth; /* 0 = none */
	enum { NO_SPACE, IO_ERROR, INTERRUPTED, SHORT, FULL, NR_FAULTS } fault;
	enum io_call call; /* what it was */
} plan;

static const char *const call_names[IO_NR_CALLS] = {
	"pread", "pwrite", "fallocate", "populate", "seek", "tmpfile", "truncate", "link", "sync"};
static const char *const fault_names[NR_FAULTS] = {
	"ENOSPC", "EIO", "EINTR", "a short count", "a full file system"};

/* Calls that can be interrupted, and retried without harm. */
static bool is_slow(enum io_call call)
{
	return call == IO_PREAD || call == IO_PWRITE || call == IO_FALLOCATE || call == IO_POPULATE;
}

static int hook(enum io_call call, size_t *len)
{
	unsigned number = atomic_fetch_add(&plan.calls, 1) + 1;

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
	plan.nth = nth;
	io_test_hook = hook;
	r = dump_engine_run(engine);
	io_test_hook = NULL;
	return r;
}

static int open_what_is_left(const struct dump_fixture *f, const struct way *way)
{
	struct publish_names names;
	int fd;

	way_names(way, &names);
	fd = openat(f->dir_fd, names.dump_partial, O_RDWR | O_CLOEXEC);
	return fd >= 0 ? fd : openat(f->dir_fd, names.final, O_RDWR | O_CLOEXEC);
}

/* A dump in which call @nth fails.  Result: the calls there were. */
static unsigned dump_with_fault(const struct way *way, unsigned nth)
{
	struct way judged = *way;
	struct dump_fixture f;
	struct dump_engine engine;
	struct publish_names names;
	unsigned calls;
	int r;

	if (!way_setup(&f, way))
		return 0;
	way_names(way, &names);
	engine = fixture_engine(&f);
	r = run(&engine, nth);
	calls = atomic_load(&plan.calls);
	if (r) {
		ck_assert_msg(engine.why[0] && r == engine.error, "a failure without a reason");
		ck_assert_msg(plan.fault != SHORT && !(plan.fault == INTERRUPTED && is_slow(plan.call)),
			"%s of %s: %s", fault_names[plan.fault], call_names[plan.call], engine.why);
		ck_assert_msg(!fixture_exists(&f, names.final), "failed, and published: %s", engine.why);
		engine = fixture_engine(&f);
		engine.resume = true;
		engine.given_dump_fd = open_what_is_left(&f, way);
		r = dump_engine_run(&engine);
		ck_assert_msg(!r, "after %s of %s (call %u): %s", fault_names[plan.fault],
			call_names[plan.call], nth, engine.why);
		if (engine.given_dump_fd >= 0)
			close(engine.given_dump_fd);
	}
	/* descriptors that could not be read: then every page is kept, which is told */
	if (engine.distrusted)
		judged.select = strstr(way->select, "zero") ? "zero" : "all";
	way_check(&f, &judged, f.dir_fd);
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
	fixture_fini(&f);
	return calls;
}

/* All calls would be thousands of dumps: the first ones, the last ones, and some between. */
#define FIRST 6
#define LAST 4
#define BETWEEN 2

START_TEST(a_call_that_fails_costs_no_page)
{
	const struct way *way = &ways[_i];
	unsigned calls = dump_with_fault(way, 0);

	srandom((unsigned)getpid());
	for (unsigned i = 0; i < FIRST + LAST + BETWEEN && calls; i++) {
		unsigned nth = i < FIRST          ? i + 1
			       : i < FIRST + LAST ? calls - (i - FIRST)
						  : (unsigned)random() % calls + 1;

		plan.fault = (unsigned)random() % NR_FAULTS;
		if (nth >= 1 && nth <= calls)
			dump_with_fault(way, nth);
	}
}
END_TEST

Suite *suite_dump_faults(void)
{
	Suite *suite = suite_create("dump faults");
	TCase *tc = tcase_create("faults");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_call_that_fails_costs_no_page, 0, nr_ways);
	suite_add_tcase(suite, tc);
	return suite;
}
