/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_salvage_kills.c - a dumper that dies at any of its calls, then salvages that die or fail at any of theirs:
 * in the end there is the whole dump.  And a disk that loses whatever was not synced.
 */
#include "tests/unit/io_recorder.h"
#include "tests/unit/salvage_guest.h"
#include "tests/unit/suites.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* our choice: of the moments at which a dumper dies, every so many-th has its salvages killed too */
#define SALVAGED_TOO 13
/* of salvage_ways[]; the one after it is on a disk and not compressed, too */
#define FIRST_ON_DISK 5

static void salvage_well(struct salvage_guest *g, bool by_dump, const char *what)
{
	struct salvage_result result = {0};
	char why[256] = "";
	int r;

	/* the dumper had got to its end, or had it all but for names */
	if (!fixture_exists(&g->f, GUEST_REGION) && !guest_has(g, GUEST_DUMP) && !guest_has(g, GUEST_LZ4))
		return;
	r = guest_salvage(g, by_dump && (guest_has(g, GUEST_DUMP) || guest_has(g, GUEST_LZ4)),
		(struct salvage_request){0}, &result, why);
	ck_assert_msg(!r, "%s: %s (%d)", what, why, r);
	free(result.path);
}

START_TEST(a_dumper_that_dies_at_any_call_leaves_what_becomes_whole)
{
	const struct salvage_way *way = &salvage_ways[_i];
	bool died = true;
	unsigned nth;

	for (nth = 1; died; nth++) {
		struct salvage_guest g;
		char what[96];

		snprintf(what, sizeof(what), "%s %s, dumper killed at call %u", way->strategy, way->sink,
			nth);
		guest_init(&g, way);
		died = guest_dump(&g, nth);
		salvage_well(&g, nth & 1, what);
		guest_check(&g, what);
		guest_fini(&g);
	}
	ck_assert_uint_gt(nth, 10);
}
END_TEST

/* The salvage dies, or one of its calls fails with ENOSPC, after the dumper has died; then another one begins. */
static void salvage_twice(const struct salvage_way *way, unsigned dumper, int error)
{
	bool stopped = true;

	for (unsigned nth = 1; stopped; nth++) {
		struct salvage_guest g;
		char what[96];

		snprintf(what, sizeof(what), "%s %s, dumper killed at call %u, salvage %s at call %u",
			way->strategy, way->sink, dumper, error ? "failed" : "killed", nth);
		guest_init(&g, way);
		guest_dump(&g, dumper);
		if (fixture_exists(&g.f, GUEST_REGION))
			stopped = guest_salvage_killed(
				&g, nth & 1 && guest_has(&g, GUEST_DUMP), nth, error);
		else
			stopped = false;
		salvage_well(&g, nth & 2, what);
		guest_check(&g, what);
		guest_fini(&g);
	}
}

START_TEST(a_salvage_that_dies_or_fails_at_any_call_can_be_done_again)
{
	const struct salvage_way *way = &salvage_ways[_i / 2];
	bool died = true;

	for (unsigned dumper = 1 + (unsigned)_i % SALVAGED_TOO; died; dumper += SALVAGED_TOO) {
		struct salvage_guest g;

		guest_init(&g, way);
		died = guest_dump(&g, dumper);
		guest_fini(&g);
		if (died)
			salvage_twice(way, dumper, _i & 1 ? ENOSPC : 0);
	}
}
END_TEST

/* ---- a disk that loses what was not synced ----------------------------------------------------------------- */

static struct salvage_guest *on_disk;
static unsigned char *synced; /* what the dump's file has on the disk */
static off_t synced_bytes;
static unsigned syncs, fail_sync;

static int open_partial(void)
{
	int fd = openat(on_disk->dir_fd, GUEST_DUMP, O_RDWR | O_CLOEXEC);

	return fd >= 0 ? fd : openat(on_disk->dir_fd, GUEST_LZ4, O_RDWR | O_CLOEXEC);
}

/* The whole file is on the disk, or, if its write-back fails, nothing since the last time. */
static void keep(void)
{
	int fd = open_partial();
	struct stat st;

	if (fd < 0)
		return;
	ck_assert_int_eq(fstat(fd, &st), 0);
	free(synced);
	synced = malloc((size_t)st.st_size + 1);
	synced_bytes = st.st_size;
	ck_assert(pread(fd, synced, (size_t)st.st_size, 0) == st.st_size);
	close(fd);
}

static void lose(void)
{
	int fd = open_partial();

	if (fd < 0 || !synced)
		return;
	ck_assert(pwrite(fd, synced, (size_t)synced_bytes, 0) == synced_bytes);
	close(fd);
}

static int at_sync(enum io_call call, size_t *len)
{
	(void)len;
	if (call != IO_SYNC && call != IO_SYNC_DIR)
		return 0;
	if (++syncs == fail_sync)
		return EIO;
	if (call == IO_SYNC)
		keep();
	return 0;
}

/* True if the salvage came to the sync that was to fail. */
static bool salvage_without(struct salvage_guest *g, unsigned sync, const char *what)
{
	struct salvage_result result = {0};
	char why[256];
	int r;

	on_disk = g;
	syncs = 0;
	fail_sync = sync;
	keep(); /* what the dead dumper wrote has reached the disk */
	io_test_hook = at_sync;
	r = guest_salvage(g, true, (struct salvage_request){0}, &result, why);
	io_test_hook = NULL;
	ck_assert_msg(syncs < sync ? !r : r == -EIO, "%s: %s (%d)", what, why, r);
	if (r)
		lose();
	free(result.path);
	free(synced);
	synced = NULL;
	return r;
}

/*
 * Each sync of a salvage in its turn fails with EIO.  What was written since the one before is lost, as the kernel drops
 * such pages, and nobody is told again.
 */
START_TEST(what_a_disk_loses_is_somewhere_else_still)
{
	unsigned failures = 0;
	bool died = true;

	for (unsigned dumper = 1; died; dumper += 5) {
		bool failed = true;

		for (unsigned sync = 1; failed; sync++) {
			struct salvage_guest g;
			char what[64];

			guest_init(&g, &salvage_ways[_i]);
			died = guest_dump(&g, dumper);
			snprintf(what, sizeof(what), "dumper killed at call %u, sync %u fails", dumper,
				sync);
			failed = guest_has(&g, GUEST_DUMP) && salvage_without(&g, sync, what);
			failures += failed;
			salvage_well(&g, true, what);
			guest_check(&g, what);
			guest_fini(&g);
		}
	}
	ck_assert_uint_gt(failures, 30);
}
END_TEST

/* As dumpers did before there was the flag: nobody knows what has become of what they wrote. */
static void forget_promise(struct salvage_guest *g)
{
	const uint32_t flags = 0;
	int fd = openat(g->dir_fd, GUEST_DUMP, O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert(pwrite(fd, &flags, sizeof(flags),
			  (off_t)(dump_layout_file_size(&g->f.layout) - PAGE_SIZE_4K +
				  offsetof(struct vmcore_trailer, flags))) == sizeof(flags));
	close(fd);
}

/* The dumper believed the page cache, and nothing came of it. */
START_TEST(marks_in_a_dump_on_a_disk_are_not_believed_while_the_region_has_the_memory)
{
	static const unsigned char done[2] = {VMCORE_CHUNK_DONE, VMCORE_CHUNK_DONE};
	struct salvage_guest g;
	struct vmcore_places places;
	int fd;

	guest_init(&g, &salvage_ways[FIRST_ON_DISK]);
	for (unsigned nth = 1; !guest_has(&g, GUEST_DUMP); nth++) {
		guest_fini(&g);
		guest_init(&g, &salvage_ways[FIRST_ON_DISK]);
		ck_assert(guest_dump(&g, nth));
	}
	places = vmcore_places(&g.f.layout, GUEST_CHUNK_PAGES * PAGE_SIZE_4K);
	fd = openat(g.dir_fd, GUEST_DUMP, O_RDWR | O_CLOEXEC);
	ck_assert(pwrite(fd, done, sizeof(done), (off_t)places.progress_off) == sizeof(done));
	close(fd);
	forget_promise(&g);
	salvage_well(&g, true, "marked");
	guest_check(&g, "marked");
	guest_fini(&g);
}
END_TEST

/* ---- the order ---------------------------------------------------------------------------------------------- */

#define CHUNK_BY_CHUNK "data release "

/* The dumper has done half of it. */
static const struct {
	int way;
	bool keep, forget;
	const char *order;
} orders[] = {
	{0, false, false, CHUNK_BY_CHUNK "data name remove"},
	{0, true, false, "data name"},
	/* moved, marked, released; sealed */
	{FIRST_ON_DISK, false, false, "data sync data sync release sync data sync name dir remove"},
	/* before that written anew, and marked as durable */
	{FIRST_ON_DISK, false, true,
		"data sync data sync data sync release sync data sync name dir remove"},
	{FIRST_ON_DISK, true, false, "data sync name dir"},
};

static unsigned half_of(const struct salvage_way *way)
{
	unsigned nth = 1;
	bool died = true;

	while (died) {
		struct salvage_guest g;

		guest_init(&g, way);
		died = guest_dump(&g, nth);
		nth += died;
		guest_fini(&g);
	}
	return nth / 2;
}

START_TEST(salvage_syncs_before_it_names_or_releases_and_names_before_it_removes)
{
	struct salvage_result result = {0};
	struct salvage_guest g;
	const char *order;
	char why[256];

	guest_init(&g, &salvage_ways[orders[_i].way]);
	guest_dump(&g, half_of(&salvage_ways[orders[_i].way]));
	if (orders[_i].forget)
		forget_promise(&g);
	io_recorder_start(IO_NR_CALLS, 0, 0);
	ck_assert_int_eq(
		guest_salvage(&g, true, (struct salvage_request){.keep = orders[_i].keep}, &result, why),
		0);
	order = io_recorder_stop();
	while (!strncmp(order, CHUNK_BY_CHUNK CHUNK_BY_CHUNK, 2 * strlen(CHUNK_BY_CHUNK)))
		order += strlen(CHUNK_BY_CHUNK);
	ck_assert_str_eq(order, orders[_i].order);
	free(result.path);
	guest_fini(&g);
}
END_TEST

Suite *suite_salvage_kills(void)
{
	Suite *suite = suite_create("salvage kills");
	TCase *tc = tcase_create("kills"), *disk = tcase_create("disk");

	tcase_set_timeout(tc, 300);
	tcase_set_timeout(disk, 120);
	tcase_add_loop_test(
		tc, a_dumper_that_dies_at_any_call_leaves_what_becomes_whole, 0, nr_salvage_ways);
	tcase_add_loop_test(
		tc, a_salvage_that_dies_or_fails_at_any_call_can_be_done_again, 0, 2 * nr_salvage_ways);
	tcase_add_loop_test(
		disk, what_a_disk_loses_is_somewhere_else_still, FIRST_ON_DISK, FIRST_ON_DISK + 2);
	tcase_add_test(disk, marks_in_a_dump_on_a_disk_are_not_believed_while_the_region_has_the_memory);
	tcase_add_loop_test(disk, salvage_syncs_before_it_names_or_releases_and_names_before_it_removes, 0,
		ARRAY_LEN(orders));
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, disk);
	return suite;
}
