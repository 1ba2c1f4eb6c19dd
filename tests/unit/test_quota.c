/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_quota.c - what has to go so that one more dump fits, decided on paper and done in a
 * directory; and what a directory of dumps looks like to the catalog.
 */
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include "dump/base/num.h"
#include "dump/files/quota.h"
#include "dump/format/vmcore.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * A directory in one text, oldest first: "c100" a complete dump of 100 MiB, "p5" a partial one, "r5" a region alone,
 * "u7" a complete one that somebody works on.
 */
static struct catalog describe(const char *text, struct catalog_dump dumps[16])
{
	struct catalog catalog = {.dumps = dumps};
	unsigned mib;
	char kind;
	int used;

	for (; sscanf(text, " %c%u%n", &kind, &mib, &used) == 2; text += used)
		dumps[catalog.nr++] = (struct catalog_dump){
			.files = kind == 'p'   ? CATALOG_DUMP_PARTIAL | CATALOG_REGION_PARTIAL
				 : kind == 'r' ? CATALOG_REGION_PARTIAL
					       : CATALOG_FINAL,
			.bytes = MIB(mib),
			.in_use = kind == 'u',
		};
	return catalog;
}

#define NO QUOTA_ROTATE_NONE
#define YES QUOTA_ROTATE_COMPLETE
#define ALL QUOTA_ROTATE_ALL

static const struct {
	const char *dumps;
	uint64_t count, mib; /* the limits */
	enum quota_rotate rotate;
	uint64_t need; /* MiB */
	enum quota_verdict verdict;
	size_t nr_remove;
} cases[] = {
	{"", 0, 0, NO, 1000, QUOTA_FITS, 0},
	{"c100 c100 c100", 0, 0, NO, 1000, QUOTA_FITS, 0},
	{"c100 c100", 3, 0, NO, 100, QUOTA_FITS, 0},
	{"c100 c100 c100", 3, 0, NO, 100, QUOTA_FULL, 0},
	{"c100 c100 c100", 3, 0, YES, 100, QUOTA_ROTATE, 1},
	{"c100 c100 c100 c100 c100", 3, 0, YES, 100, QUOTA_ROTATE, 3},
	{"c100 c100", 1, 0, YES, 100, QUOTA_ROTATE, 2},
	{"c100", 0, 200, NO, 100, QUOTA_FITS, 0},
	{"c100", 0, 200, NO, 101, QUOTA_FULL, 0},
	{"c100 c50", 0, 200, YES, 101, QUOTA_ROTATE, 1},
	{"c10 c100 c50", 0, 200, YES, 101, QUOTA_ROTATE, 2},
	{"c100", 0, 200, YES, 200, QUOTA_ROTATE, 1},
	{"c100", 0, 200, YES, 201, QUOTA_TOO_BIG, 0},
	{"", 0, 200, NO, 201, QUOTA_TOO_BIG, 0},
	{"c300", 0, 200, NO, 0, QUOTA_FULL, 0},
	/* unfinished ones count, and stay; nothing goes in vain */
	{"p100", 2, 250, NO, 100, QUOTA_FITS, 0},
	{"p100 r100", 2, 0, YES, 100, QUOTA_FULL, 0},
	{"p100 r100 c100", 2, 0, YES, 100, QUOTA_FULL, 0},
	{"p100 c100 c100", 3, 0, YES, 100, QUOTA_ROTATE, 1},
	{"p200 c50", 0, 250, YES, 100, QUOTA_FULL, 0},
	{"r200 c50", 0, 300, YES, 100, QUOTA_ROTATE, 1},
	/* all but the newest of them may go, if the operator says so */
	{"p100 r100", 2, 0, ALL, 100, QUOTA_ROTATE, 1},
	{"r100", 1, 0, ALL, 100, QUOTA_FULL, 0},
	{"p100 c100 r100", 2, 0, ALL, 100, QUOTA_ROTATE, 2},
	{"r100 c100 r100 c100", 2, 0, ALL, 100, QUOTA_ROTATE, 3},
	{"p100 r100", 2, 0, NO, 100, QUOTA_FULL, 0},
	/* those in use neither count nor go */
	{"u100 c100 u100 c100", 2, 0, YES, 100, QUOTA_ROTATE, 1},
	{"u100 c100 c100", 5, 250, YES, 200, QUOTA_ROTATE, 2},
	/* both limits at once */
	{"c10 c10 c300", 3, 320, YES, 20, QUOTA_ROTATE, 2},
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

/* ---- in a directory ------------------------------------------------------------------------------- */

#define GUEST "g"
#define NAME(n) GUEST "-20261122T06171" #n ".907Z-g" #n
#define BYTES (2 * PAGE_SIZE_4K)

/* A file of two pages with memory behind them, whose trailer says that it was made under the name @says. */
static void make_dump(int dir_fd, const char *name, const char *says, uint32_t role, uint32_t state)
{
	struct vmcore_trailer trailer = {
		.version = VMCORE_VERSION, .role = role, .state = state, .file_size = BYTES};
	unsigned char data[BYTES] = {0};
	int fd = openat(dir_fd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	memcpy(trailer.magic, VMCORE_TRAILER_MAGIC, sizeof(trailer.magic));
	snprintf(trailer.name, sizeof(trailer.name), "%s", says);
	memcpy(data + PAGE_SIZE_4K, &trailer, sizeof(trailer));
	ck_assert_int_eq(write(fd, data, sizeof(data)), (ssize_t)sizeof(data));
	close(fd);
	usleep(20000); /* coarse clocks of file systems: each file has a time of its own */
}

static void make_complete(int dir_fd, const char *name)
{
	char file[96];

	snprintf(file, sizeof(file), "%s.vmcore", name);
	make_dump(dir_fd, file, name, VMCORE_ROLE_DUMP, VMCORE_STATE_COMPLETE);
}

static void make_partial(int dir_fd, const char *name)
{
	char file[96];

	snprintf(file, sizeof(file), "%s.region.partial", name);
	make_dump(dir_fd, file, name, VMCORE_ROLE_REGION, VMCORE_STATE_PREPARING);
	snprintf(file, sizeof(file), "%s.vmcore.partial", name);
	make_dump(dir_fd, file, name, VMCORE_ROLE_DUMP, VMCORE_STATE_DUMPING);
}

static bool exists(int dir_fd, const char *file)
{
	return !faccessat(dir_fd, file, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* A directory, and a request about it. */
struct place {
	struct scratch scratch;
	struct quota_request request;
	int fd;
};

static void place_init(struct place *place, struct quota_limits limits)
{
	scratch_init(&place->scratch);
	place->fd = open(place->scratch.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	place->request = (struct quota_request){
		.dir_fd = place->fd, .guest = GUEST, .limits = limits, .need = 4096};
}

static void place_fini(struct place *place)
{
	close(place->fd);
	scratch_fini(&place->scratch);
}

static struct quota_plan make_room(const struct place *place)
{
	struct quota_plan plan;
	char why[256];

	ck_assert_int_eq(quota_make_room(&place->request, &plan, why, sizeof(why)), 0);
	return plan;
}

START_TEST(a_dump_under_way_counts_once_also_in_the_moment_when_it_is_complete)
{
	const struct quota_pending pending[] = {{NAME(1), 8192}, {NAME(2), 8192}};
	struct place place;
	int under_way;

	place_init(&place, (struct quota_limits){.max_count = 3});
	place.request.pending = pending;
	place.request.nr_pending = 2;
	make_complete(place.fd, NAME(1));
	make_partial(place.fd, NAME(2));
	under_way = openat(place.fd, NAME(2) ".region.partial", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(publish_lock(under_way), 0);
	ck_assert_int_eq(make_room(&place).verdict, QUOTA_FITS);
	place.request.limits.max_count = 2;
	ck_assert_int_eq(make_room(&place).verdict, QUOTA_FULL);
	place.request.limits.max_count = 1;
	ck_assert_int_eq(make_room(&place).verdict, QUOTA_BUSY);
	place.request.limits = (struct quota_limits){.max_bytes = 8192 + 4095};
	ck_assert_int_eq(make_room(&place).verdict, QUOTA_BUSY);
	place.request.limits = (struct quota_limits){.max_count = 1, .max_bytes = 4095};
	ck_assert_int_eq(make_room(&place).verdict, QUOTA_TOO_BIG);
	close(under_way);
	place_fini(&place);
}
END_TEST

START_TEST(rotation_removes_whole_dumps_and_leaves_everything_else)
{
	struct catalog catalog;
	struct place place;

	place_init(&place, (struct quota_limits){.max_count = 3, .rotate = YES});
	make_complete(place.fd, NAME(1));
	make_partial(place.fd, NAME(2));
	close(openat(place.fd, "notes.txt", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	close(openat(place.fd, ".vmcore", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	make_complete(place.fd, NAME(3));
	/* the new one has a second name that was left */
	ck_assert_int_eq(linkat(place.fd, NAME(3) ".vmcore", place.fd, NAME(3) ".vmcore.partial", 0), 0);

	ck_assert_int_eq(catalog_read(place.fd, &catalog), 0);
	ck_assert_uint_eq(catalog.nr, 3);
	ck_assert_str_eq(catalog.dumps[0].name, NAME(1));
	ck_assert_str_eq(catalog.dumps[2].name, NAME(3));
	ck_assert_uint_eq(catalog.dumps[1].files, CATALOG_DUMP_PARTIAL | CATALOG_REGION_PARTIAL);
	ck_assert_uint_eq(catalog.dumps[2].files, CATALOG_FINAL | CATALOG_DUMP_PARTIAL);
	ck_assert_uint_eq(catalog.dumps[2].bytes, catalog.dumps[0].bytes);
	catalog_fini(&catalog);

	ck_assert_int_eq(make_room(&place).verdict, QUOTA_ROTATE);
	ck_assert(!exists(place.fd, NAME(1) ".vmcore"));
	ck_assert(exists(place.fd, NAME(2) ".vmcore.partial"));
	ck_assert(exists(place.fd, "notes.txt"));
	ck_assert(exists(place.fd, NAME(3) ".vmcore"));
	ck_assert_int_eq(make_room(&place).verdict, QUOTA_FITS);
	place_fini(&place);
}
END_TEST

/* Files that are older than the only dump of the guest: neither counted nor removed, whatever is lacking. */
static const struct {
	const char *file, *says; /* the name that its trailer tells; NULL: it has none */
	uint32_t role, state;
} foreign[] = {
	{"precious.vmcore", NULL, 0, 0},
	{"h-20261122T061710.907Z-g0.vmcore", "h-20261122T061710.907Z-g0", VMCORE_ROLE_DUMP,
		VMCORE_STATE_COMPLETE},
	{"gg-20261122T061710.907Z-g0.vmcore", "gg-20261122T061710.907Z-g0", VMCORE_ROLE_DUMP,
		VMCORE_STATE_COMPLETE},
	{"g-2-20261122T061710.907Z-g0.vmcore", "g-2-20261122T061710.907Z-g0", VMCORE_ROLE_DUMP,
		VMCORE_STATE_COMPLETE},
	/* a name of ours is not enough */
	{NAME(0) ".vmcore", NULL, 0, 0},
	{NAME(0) ".vmcore", "h-20261122T061710.907Z-g0", VMCORE_ROLE_DUMP, VMCORE_STATE_COMPLETE},
	{NAME(0) ".vmcore", NAME(0), VMCORE_ROLE_DUMP, VMCORE_STATE_DUMPING},
	{NAME(0) ".vmcore", NAME(0), VMCORE_ROLE_REGION, VMCORE_STATE_COMPLETE},
	{NAME(0) ".region.partial", "h-20261122T061710.907Z-g0", VMCORE_ROLE_REGION,
		VMCORE_STATE_PREPARING},
	/* nor is a dump of ours that somebody has given a name */
	{"keep-this-one.vmcore", NAME(0), VMCORE_ROLE_DUMP, VMCORE_STATE_COMPLETE},
	{NAME(9) ".vmcore", NAME(0), VMCORE_ROLE_DUMP, VMCORE_STATE_COMPLETE},
};

START_TEST(what_is_no_dump_of_this_guest_neither_counts_nor_goes)
{
	char why[256];
	struct place place;

	place_init(&place, (struct quota_limits){.max_count = 2, .rotate = ALL});
	if (foreign[_i].says)
		make_dump(
			place.fd, foreign[_i].file, foreign[_i].says, foreign[_i].role, foreign[_i].state);
	else
		close(openat(place.fd, foreign[_i].file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	make_complete(place.fd, NAME(1));
	ck_assert_int_eq(make_room(&place).verdict, QUOTA_FITS);
	place.request.limits.max_count = 1;
	ck_assert_int_eq(make_room(&place).verdict, QUOTA_ROTATE);
	ck_assert(!exists(place.fd, NAME(1) ".vmcore"));
	ck_assert_int_eq(make_room(&place).verdict, QUOTA_FITS);
	ck_assert_int_eq(quota_trim(&place.request, why, sizeof(why)), 0);
	ck_assert_int_eq(quota_remove_one(&place.request, why, sizeof(why)), 0);
	ck_assert(exists(place.fd, foreign[_i].file));
	place_fini(&place);
}
END_TEST

START_TEST(nothing_is_removed_for_a_dump_that_does_not_fit_even_then)
{
	struct quota_plan plan;
	struct place place;
	char why[256];

	place_init(&place, (struct quota_limits){.max_count = 1, .rotate = YES});
	make_complete(place.fd, NAME(1));
	place.request.need_free = UINT64_MAX - 1;
	plan = make_room(&place);
	ck_assert_int_ne(plan.verdict, QUOTA_FULL); /* it may be tried all the same */
	ck_assert(!plan.has_room);
	ck_assert(exists(place.fd, NAME(1) ".vmcore"));
	/* it was made: now the old one may go, and the new one never */
	make_complete(place.fd, NAME(2));
	ck_assert_int_eq(quota_trim(&place.request, why, sizeof(why)), 0);
	ck_assert(!exists(place.fd, NAME(1) ".vmcore"));
	place.request.limits.max_bytes = 1;
	ck_assert_int_eq(quota_trim(&place.request, why, sizeof(why)), 0);
	ck_assert(exists(place.fd, NAME(2) ".vmcore"));
	place_fini(&place);
}
END_TEST

START_TEST(for_want_of_room_or_memory_the_oldest_go_one_by_one)
{
	struct place place;
	char why[256];

	place_init(&place, (struct quota_limits){.rotate = YES});
	make_complete(place.fd, NAME(1));
	make_partial(place.fd, NAME(2));
	make_complete(place.fd, NAME(3));
	ck_assert_int_eq(quota_remove_one(&place.request, why, sizeof(why)), 1);
	ck_assert(!exists(place.fd, NAME(1) ".vmcore"));
	ck_assert_int_eq(quota_remove_one(&place.request, why, sizeof(why)), 1);
	ck_assert(!exists(place.fd, NAME(3) ".vmcore"));
	ck_assert_int_eq(quota_remove_one(&place.request, why, sizeof(why)), 0);
	ck_assert(exists(place.fd, NAME(2) ".region.partial"));
	place.request.limits.rotate = NO;
	make_complete(place.fd, NAME(4));
	ck_assert_int_eq(quota_remove_one(&place.request, why, sizeof(why)), 0);
	place_fini(&place);
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
	tcase_add_loop_test(
		tc, what_is_no_dump_of_this_guest_neither_counts_nor_goes, 0, ARRAY_LEN(foreign));
	tcase_add_test(tc, nothing_is_removed_for_a_dump_that_does_not_fit_even_then);
	tcase_add_test(tc, for_want_of_room_or_memory_the_oldest_go_one_by_one);
	suite_add_tcase(suite, tc);
	return suite;
}
