/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_quota.c - what has to go so that one more dump fits, decided on paper and done in a
 * directory; and what a directory of dumps looks like to the catalog.
 */
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include "dump/base/num.h"
#include "dump/files/quota.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * A directory in one text, oldest first: "c100" a complete dump of 100 MiB, "p5" a partial one, "u7" a
 * complete one that somebody works on.
 */
static struct catalog describe(const char *text, struct catalog_dump dumps[16])
{
	struct catalog catalog = {.dumps = dumps};
	unsigned mib;
	char kind;
	int used;

	for (; sscanf(text, " %c%u%n", &kind, &mib, &used) == 2; text += used)
		dumps[catalog.nr++] = (struct catalog_dump){
			.files = kind == 'p' ? CATALOG_DUMP_PARTIAL | CATALOG_REGION_PARTIAL
					     : CATALOG_FINAL,
			.bytes = MIB(mib),
			.in_use = kind == 'u',
		};
	return catalog;
}

static const struct {
	const char *dumps;
	uint64_t count, mib; /* the limits */
	bool rotate;
	uint64_t need; /* MiB */
	enum quota_verdict verdict;
	size_t nr_remove;
} cases[] = {
	{"", 0, 0, false, 1000, QUOTA_FITS, 0},
	{"c100 c100 c100", 0, 0, false, 1000, QUOTA_FITS, 0},
	{"c100 c100", 3, 0, false, 100, QUOTA_FITS, 0},
	{"c100 c100 c100", 3, 0, false, 100, QUOTA_FULL, 0},
	{"c100 c100 c100", 3, 0, true, 100, QUOTA_ROTATE, 1},
	{"c100 c100 c100 c100 c100", 3, 0, true, 100, QUOTA_ROTATE, 3},
	{"c100 c100", 1, 0, true, 100, QUOTA_ROTATE, 2},
	{"c100", 0, 200, false, 100, QUOTA_FITS, 0},
	{"c100", 0, 200, false, 101, QUOTA_FULL, 0},
	{"c100 c50", 0, 200, true, 101, QUOTA_ROTATE, 1},
	{"c10 c100 c50", 0, 200, true, 101, QUOTA_ROTATE, 2},
	{"c100", 0, 200, true, 200, QUOTA_ROTATE, 1},
	{"c100", 0, 200, true, 201, QUOTA_TOO_BIG, 0},
	{"", 0, 200, false, 201, QUOTA_TOO_BIG, 0},
	{"c300", 0, 200, false, 0, QUOTA_FULL, 0},
	/* partial dumps and those in use neither count nor go */
	{"p100 p100 p100", 2, 250, false, 100, QUOTA_FITS, 0},
	{"p100 c100 u100 c100", 2, 0, true, 100, QUOTA_ROTATE, 1},
	{"u100 p100 c100 c100", 5, 250, true, 200, QUOTA_ROTATE, 2},
	/* both limits at once */
	{"c10 c10 c300", 3, 320, true, 20, QUOTA_ROTATE, 2},
};

START_TEST(the_oldest_complete_dumps_go_and_no_more_than_needed)
{
	const struct quota_limits limits = {
		.max_count = cases[_i].count, .max_bytes = MIB(cases[_i].mib), .rotate = cases[_i].rotate};
	struct catalog_dump dumps[16];
	struct catalog catalog = describe(cases[_i].dumps, dumps);
	struct quota_plan plan = quota_decide(&catalog, &limits, MIB(cases[_i].need));
	char text[256];

	ck_assert_int_eq(plan.verdict, cases[_i].verdict);
	ck_assert_uint_eq(plan.nr_remove, cases[_i].nr_remove);
	quota_explain(&plan, &limits, MIB(cases[_i].need), text, sizeof(text));
	ck_assert_str_ne(text, "");
}
END_TEST

START_TEST(sizes_at_the_end_of_the_numbers_do_not_wrap)
{
	const struct quota_limits limits = {.max_bytes = UINT64_MAX};
	struct catalog_dump dumps[16];
	struct catalog catalog = describe("c100", dumps);

	ck_assert_int_eq(quota_decide(&catalog, &limits, UINT64_MAX).verdict, QUOTA_FULL);
	ck_assert_int_eq(quota_decide(&catalog, &limits, UINT64_MAX - MIB(100)).verdict, QUOTA_FITS);
}
END_TEST

static void make_file(int dir_fd, const char *name, size_t bytes)
{
	int fd = openat(dir_fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	char *data = calloc(1, bytes);

	ck_assert_int_eq(write(fd, data, bytes), (ssize_t)bytes);
	free(data);
	close(fd);
	usleep(20000); /* coarse clocks of file systems: each file has a time of its own */
}

START_TEST(a_dump_under_way_counts_once_also_in_the_moment_when_it_is_complete)
{
	const struct quota_pending pending[] = {{"a-linked", 8192}, {"b-going-on", 8192}};
	struct quota_limits limits = {.max_count = 3};
	struct scratch scratch;
	struct quota_plan plan;
	char why[256];
	int dir_fd;

	scratch_init(&scratch);
	dir_fd = open(scratch.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_file(dir_fd, "a-linked.vmcore", 8192);
	make_file(dir_fd, "b-going-on.vmcore.partial", 8192);
	ck_assert_int_eq(quota_make_room(dir_fd, &limits, pending, 2, 4096, &plan, why, sizeof(why)), 0);
	ck_assert_int_eq(plan.verdict, QUOTA_FITS);
	limits.max_count = 2;
	ck_assert_int_eq(quota_make_room(dir_fd, &limits, pending, 2, 4096, &plan, why, sizeof(why)), 0);
	ck_assert_int_eq(plan.verdict, QUOTA_FULL);
	limits.max_count = 1;
	ck_assert_int_eq(quota_make_room(dir_fd, &limits, pending, 2, 4096, &plan, why, sizeof(why)), 0);
	ck_assert_int_eq(plan.verdict, QUOTA_BUSY);
	limits = (struct quota_limits){.max_bytes = 8192 + 4095};
	ck_assert_int_eq(quota_make_room(dir_fd, &limits, pending, 2, 4096, &plan, why, sizeof(why)), 0);
	ck_assert_int_eq(plan.verdict, QUOTA_BUSY);
	limits = (struct quota_limits){.max_count = 1, .max_bytes = 4095};
	ck_assert_int_eq(quota_make_room(dir_fd, &limits, pending, 2, 4096, &plan, why, sizeof(why)), 0);
	ck_assert_int_eq(plan.verdict, QUOTA_TOO_BIG);
	close(dir_fd);
	scratch_fini(&scratch);
}
END_TEST

START_TEST(rotation_removes_whole_dumps_and_leaves_everything_else)
{
	const struct quota_limits limits = {.max_count = 2, .rotate = true};
	struct scratch scratch;
	struct quota_plan plan;
	struct catalog catalog;
	char why[256];
	int dir_fd;

	scratch_init(&scratch);
	dir_fd = open(scratch.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_file(dir_fd, "b-old.vmcore", 8192);
	make_file(dir_fd, "z-partial.vmcore.partial", 4096);
	make_file(dir_fd, "z-partial.region.partial", 4096);
	make_file(dir_fd, "notes.txt", 100);
	make_file(dir_fd, ".vmcore", 100);
	make_file(dir_fd, "a-new.vmcore", 8192);
	/* the old one has a second name that was left */
	ck_assert_int_eq(linkat(dir_fd, "a-new.vmcore", dir_fd, "a-new.vmcore.partial", 0), 0);

	ck_assert_int_eq(catalog_read(dir_fd, &catalog), 0);
	ck_assert_uint_eq(catalog.nr, 3);
	ck_assert_str_eq(catalog.dumps[0].name, "b-old");
	ck_assert_str_eq(catalog.dumps[2].name, "a-new");
	ck_assert_uint_eq(catalog.dumps[1].files, CATALOG_DUMP_PARTIAL | CATALOG_REGION_PARTIAL);
	ck_assert_uint_eq(catalog.dumps[2].files, CATALOG_FINAL | CATALOG_DUMP_PARTIAL);
	ck_assert_uint_eq(catalog.dumps[2].bytes, catalog.dumps[0].bytes);
	catalog_fini(&catalog);

	ck_assert_int_eq(quota_make_room(dir_fd, &limits, NULL, 0, 4096, &plan, why, sizeof(why)), 0);
	ck_assert_int_eq(plan.verdict, QUOTA_ROTATE);
	ck_assert_int_eq(faccessat(dir_fd, "b-old.vmcore", F_OK, 0), -1);
	ck_assert_int_eq(faccessat(dir_fd, "z-partial.vmcore.partial", F_OK, 0), 0);
	ck_assert_int_eq(faccessat(dir_fd, "notes.txt", F_OK, 0), 0);
	ck_assert_int_eq(faccessat(dir_fd, "a-new.vmcore", F_OK, 0), 0);
	ck_assert_int_eq(quota_make_room(dir_fd, &limits, NULL, 0, 4096, &plan, why, sizeof(why)), 0);
	ck_assert_int_eq(plan.verdict, QUOTA_FITS);
	close(dir_fd);
	scratch_fini(&scratch);
}
END_TEST

Suite *suite_quota(void)
{
	Suite *suite = suite_create("quota");
	TCase *tc = tcase_create("quota");

	tcase_add_loop_test(tc, the_oldest_complete_dumps_go_and_no_more_than_needed, 0, ARRAY_LEN(cases));
	tcase_add_test(tc, sizes_at_the_end_of_the_numbers_do_not_wrap);
	tcase_add_test(tc, rotation_removes_whole_dumps_and_leaves_everything_else);
	tcase_add_test(tc, a_dump_under_way_counts_once_also_in_the_moment_when_it_is_complete);
	suite_add_tcase(suite, tc);
	return suite;
}
