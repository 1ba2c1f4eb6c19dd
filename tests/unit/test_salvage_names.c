/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_salvage_names.c - salvage and save against a dump in every state and under every name, true or false;
 * and what becomes of pages that nobody can read.
 */
#include "tests/unit/salvage_guest.h"
#include "tests/unit/suites.h"

#include "dump/files/publish.h"
#include "dump/save/save.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- states ------------------------------------------------------------------------------------------------- */

static off_t trailer_at(const struct salvage_guest *g, size_t field)
{
	return (off_t)(dump_layout_file_size(&g->f.layout) - PAGE_SIZE_4K + field);
}

static void set_trailer(struct salvage_guest *g, const char *name, size_t field, uint32_t value)
{
	int fd = openat(g->dir_fd, name, O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, &value, sizeof(value), trailer_at(g, field)), sizeof(value));
	close(fd);
}

/* The dumper dies when the dump has its name and about @eighths of its chunks. */
static void cut_short(struct salvage_guest *g, unsigned eighths)
{
	unsigned nth = 0;
	bool died = true;

	while (died) {
		guest_init(g, &salvage_ways[0]);
		died = guest_dump(g, ++nth);
		guest_fini(g);
	}
	guest_init(g, &salvage_ways[0]);
	guest_dump(g, nth * eighths / 8);
	ck_assert(guest_has(g, GUEST_DUMP) && guest_has(g, GUEST_REGION));
}

static void queued(struct salvage_guest *g)
{
	guest_init(g, &salvage_ways[0]); /* the region is the fixture's, and locked by who waits */
	ck_assert_int_eq(publish_lock(g->f.region_fd), 0);
}

static void announced(struct salvage_guest *g)
{
	guest_init(g, &salvage_ways[0]);
	close(g->f.region_fd); /* who waited is dead */
	g->f.region_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void in_the_middle(struct salvage_guest *g)
{
	cut_short(g, 5);
}

static void in_progress(struct salvage_guest *g)
{
	static int fd;

	cut_short(g, 5);
	fd = openat(g->dir_fd, GUEST_DUMP, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(publish_lock(fd), 0); /* ends with the test's process */
}

static void failed(struct salvage_guest *g)
{
	cut_short(g, 5);
	set_trailer(g, GUEST_DUMP, offsetof(struct vmcore_trailer, state), VMCORE_STATE_FAILED);
	set_trailer(g, GUEST_DUMP, offsetof(struct vmcore_trailer, error), (uint32_t)-ENOSPC);
}

/* A whole dump under its final name; the region that it was made of is punched, and kept. */
static void whole_with_region(struct salvage_guest *g)
{
	guest_init(g, &salvage_ways[0]);
	ck_assert_int_eq(linkat(g->dir_fd, GUEST_REGION, g->dir_fd, "kept", 0), 0);
	ck_assert(!guest_dump(g, 0));
	ck_assert_int_eq(renameat(g->dir_fd, "kept", g->dir_fd, GUEST_REGION), 0);
}

static void complete_without_its_name(struct salvage_guest *g)
{
	whole_with_region(g);
	ck_assert_int_eq(renameat(g->dir_fd, GUEST_FINAL, g->dir_fd, GUEST_DUMP), 0);
}

static void two_names(struct salvage_guest *g)
{
	whole_with_region(g);
	ck_assert_int_eq(linkat(g->dir_fd, GUEST_FINAL, g->dir_fd, GUEST_DUMP, 0), 0);
}

/* A salvage by copy that was killed when the copy had its name. */
static void copied(struct salvage_guest *g)
{
	struct salvage_result result;
	char why[256];

	cut_short(g, 5);
	ck_assert_int_eq(guest_salvage(g, true, (struct salvage_request){.keep = true}, &result, why), 0);
	free(result.path);
}

/* The dump is whole; its final name is the region's, which has been punched since. */
static void punched_under_the_final_name(struct salvage_guest *g)
{
	complete_without_its_name(g);
	ck_assert_int_eq(linkat(g->dir_fd, GUEST_REGION, g->dir_fd, GUEST_FINAL, 0), 0);
}

static void partial_under_the_final_name(struct salvage_guest *g)
{
	cut_short(g, 5);
	ck_assert_int_eq(linkat(g->dir_fd, GUEST_DUMP, g->dir_fd, GUEST_FINAL, 0), 0);
}

/* It says that it is complete, and is of another crash with the same name and layout. */
static void another_dump_has_the_name(struct salvage_guest *g)
{
	cut_short(g, 5);
	ck_assert_int_eq(renameat(g->dir_fd, GUEST_DUMP, g->dir_fd, "dump"), 0);
	ck_assert_int_eq(renameat(g->dir_fd, GUEST_REGION, g->dir_fd, "region"), 0);
	g->f.record->id[0] ^= 1;
	close(g->f.region_fd);
	g->f.region_fd = open(g->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_eq(ftruncate(g->f.region_fd, (off_t)dump_layout_file_size(&g->f.layout)), 0);
	fixture_fill(&g->f, 0, GUEST_PAGES / 4, GUEST_SEED);
	fixture_fill(&g->f, GUEST_PAGES / 2, GUEST_PAGES / 2, GUEST_SEED);
	ck_assert(!guest_dump(g, 0));
	ck_assert_int_eq(renameat(g->dir_fd, "dump", g->dir_fd, GUEST_DUMP), 0);
	ck_assert_int_eq(renameat(g->dir_fd, "region", g->dir_fd, GUEST_REGION), 0);
}

static void no_dump_has_the_name(struct salvage_guest *g)
{
	cut_short(g, 5);
	close(openat(g->dir_fd, GUEST_FINAL, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void half_a_dump_has_the_name(struct salvage_guest *g)
{
	int fd;

	copied(g);
	fd = openat(g->dir_fd, GUEST_FINAL, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(ftruncate(fd, (off_t)dump_layout_file_size(&g->f.layout) / 2), 0);
	close(fd);
}

/* All that is left is a dump, cut short, and its region is gone. */
static void without_its_region(struct salvage_guest *g)
{
	cut_short(g, 5);
	ck_assert_int_eq(unlinkat(g->dir_fd, GUEST_REGION, 0), 0);
}

static const struct {
	const char *name;
	void (*make)(struct salvage_guest *g);
	bool by_dump;
	/* what comes of: salvage; salvage --keep; save of the .partial that is salvaged */
	int salvaged, kept, saved;
} states[] = {
	{"queued", queued, false, -EBUSY, -EBUSY, -EINVAL},
	{"announced", announced, false, 0, 0, -EINVAL},
	{"in the middle", in_the_middle, true, 0, 0, -EINVAL},
	{"in the middle", in_the_middle, false, 0, 0, -EINVAL},
	{"in progress", in_progress, true, -EBUSY, -EBUSY, -EINVAL},
	{"failed", failed, true, 0, 0, -EINVAL},
	{"complete without its name", complete_without_its_name, true, 0, 0, 0},
	{"two names", two_names, true, 0, 0, 0},
	{"copied, and not removed", copied, true, 0, 0, -EINVAL},
	{"punched under the final name", punched_under_the_final_name, true, 0, 0, 0},
	{"partial under the final name", partial_under_the_final_name, true, 0, 0, -EINVAL},
	{"another dump has the name", another_dump_has_the_name, true, -EEXIST, -EEXIST, -EINVAL},
	{"no dump has the name", no_dump_has_the_name, true, -EEXIST, -EEXIST, -EINVAL},
	{"half a dump has the name", half_a_dump_has_the_name, true, -EEXIST, -EEXIST, -EINVAL},
	{"without its region", without_its_region, true, -ENODATA, -ENODATA, -EINVAL},
};

/* Everything there is: names and contents. */
static uint64_t fingerprint(const struct salvage_guest *g)
{
	static const char *const names[] = {GUEST_REGION, GUEST_DUMP, GUEST_FINAL};
	static unsigned char buf[MIB(1)];
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int fd = openat(g->dir_fd, names[i], O_RDONLY | O_CLOEXEC);
		ssize_t n = 0;

		for (off_t at = 0; fd >= 0 && (n = pread(fd, buf, sizeof(buf), at)) > 0; at += n)
			for (ssize_t j = 0; j < n; j += 64)
				sum = (sum ^ buf[j]) * 0x100000001b3ull + i;
		sum = sum * 31 + (fd >= 0);
		if (fd >= 0)
			close(fd);
	}
	return sum;
}

static void judge(struct salvage_guest *g, int state, bool keep, int r, const char *why, uint64_t before)
{
	int want = keep ? states[state].kept : states[state].salvaged;

	ck_assert_msg(r == want, "%s%s: %d: %s", states[state].name, keep ? ", kept" : "", r, why);
	if (r)
		ck_assert_msg(fingerprint(g) == before, "%s: refused, and something has changed",
			states[state].name);
	else if (keep)
		guest_check_file(g, GUEST_FINAL, states[state].name);
	else
		guest_check(g, states[state].name);
}

START_TEST(a_dump_in_any_state_becomes_whole_or_stays_as_it_is)
{
	bool keep = _i & 1;
	struct salvage_result result = {0};
	struct salvage_guest g;
	char why[256];
	uint64_t before;
	int r;

	states[_i / 2].make(&g);
	before = fingerprint(&g);
	r = guest_salvage(&g, states[_i / 2].by_dump, (struct salvage_request){.keep = keep}, &result, why);
	judge(&g, _i / 2, keep, r, why, before);
	free(result.path);
	guest_fini(&g);
}
END_TEST

START_TEST(what_is_not_whole_is_never_saved_whatever_its_state)
{
	struct salvage_guest g;
	struct reader *reader;
	char path[PATH_MAX], why[512] = "";
	int r;

	states[_i].make(&g);
	ck_assert_int_eq(mkdirat(g.dir_fd, "out", 0700), 0);
	snprintf(path, sizeof(path), "%s/%s", g.dir, states[_i].by_dump ? GUEST_DUMP : GUEST_REGION);
	ck_assert_msg(!reader_open(path, NULL, &reader, why, sizeof(why)), "%s", why);
	snprintf(path, sizeof(path), "%s/out", g.dir);
	r = dump_save(reader, path, save_find_format("elf"), NULL, (char[PATH_MAX]){0}, why, sizeof(why));
	ck_assert_msg(r == states[_i].saved, "%s: %d: %s", states[_i].name, r, why);
	ck_assert(!r || strstr(why, "incomplete"));
	reader_close(reader);
	ck_assert_int_eq(unlinkat(g.dir_fd, r ? "out" : "out/" GUEST_FINAL, r ? AT_REMOVEDIR : 0), 0);
	unlinkat(g.dir_fd, "out", AT_REMOVEDIR);
	guest_fini(&g);
}
END_TEST

/* ---- pages that are gone ------------------------------------------------------------------------------------ */

static struct reader *open_copy(struct salvage_guest *g, const char *name, struct reader_counts *counts)
{
	struct reader *reader;
	char why[256];
	int fd = openat(g->dir_fd, name, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_msg(!reader_open_fds(fd, -1, &reader, why, sizeof(why)), "%s", why);
	ck_assert_int_eq(reader_count(reader, counts), 0);
	return reader;
}

/* Chunks are smaller than what is read at a time: what was read for one must not get into another. */
START_TEST(a_copy_of_half_a_dump_has_that_half_and_says_what_is_missing)
{
	struct salvage_result result = {0};
	struct reader_counts there, copied_counts;
	struct salvage_guest g;
	struct reader *half, *copy;
	unsigned char want[PAGE_SIZE_4K], got[PAGE_SIZE_4K];
	char path[128], why[256];
	unsigned pages = 0;

	without_its_region(&g);
	half = open_copy(&g, GUEST_DUMP, &there);
	ck_assert(there.missing && there.dumped);
	snprintf(path, sizeof(path), "%s/rest.vmcore", g.dir);
	ck_assert_int_eq(
		guest_salvage(&g, true, (struct salvage_request){.output = path}, &result, why), 0);
	ck_assert_uint_eq(result.missing, there.missing * PAGE_SIZE_4K);
	ck_assert_ptr_nonnull(strstr(result.path, "/rest.vmcore.partial"));
	ck_assert(!guest_has(&g, "rest.vmcore") && guest_has(&g, GUEST_DUMP));
	copy = open_copy(&g, "rest.vmcore.partial", &copied_counts);
	ck_assert_int_eq(copy->kind, READER_PARTIAL);
	ck_assert_uint_eq(copied_counts.missing, there.missing);
	ck_assert_uint_eq(copied_counts.dumped, there.dumped);
	for (uint64_t page = 0; page < GUEST_PAGES; page++) {
		uint64_t off = g.f.layout.head + page * PAGE_SIZE_4K;
		int r = reader_read_image(half, off, want, sizeof(want));

		ck_assert_msg(
			r == reader_read_image(copy, off, got, sizeof(got)), "page %u", (unsigned)page);
		ck_assert_msg(r || !memcmp(want, got, sizeof(got)), "page %u is wrong", (unsigned)page);
		pages += !r;
	}
	ck_assert_uint_eq(pages, there.dumped);
	/* where nothing is, there is nothing */
	ck_assert_uint_le(fixture_populated(copy->image.fd, g.f.layout.head, g.f.layout.ram),
		there.dumped * PAGE_SIZE_4K);
	reader_close(half);
	reader_close(copy);
	free(result.path);
	guest_fini(&g);
}
END_TEST

static int bad_reads, bad_error, large, small;

/* The third read of a whole chunk meets a bad page; of the pages of it, that is the fourth. */
static int at_read(enum io_call call, size_t *len)
{
	if (call != IO_PREAD)
		return 0;
	if (*len == GUEST_CHUNK_PAGES * PAGE_SIZE_4K) {
		small = 0;
		return bad_reads && ++large == 3 ? bad_error : 0;
	}
	if (*len != PAGE_SIZE_4K || large != 3 || ++small != 4)
		return 0;
	bad_reads--;
	return bad_error;
}

static const int bad_errors[] = {EIO, EFAULT, EHWPOISON};

START_TEST(a_page_that_the_host_cannot_read_costs_that_page_alone)
{
	bool keep = _i >= 3;
	struct salvage_result result = {0};
	struct reader_counts counts;
	struct salvage_guest g;
	struct reader *reader;
	char why[256];
	int r;

	cut_short(&g, 4);
	bad_reads = 1;
	bad_error = bad_errors[_i % 3];
	io_test_hook = at_read;
	r = guest_salvage(&g, true, (struct salvage_request){.keep = keep}, &result, why);
	io_test_hook = NULL;
	ck_assert_msg(!r, "%s", why);
	ck_assert_int_eq(bad_reads, 0);
	reader = open_copy(&g, GUEST_FINAL, &counts);
	ck_assert_int_eq(reader->kind, READER_COMPLETE);
	ck_assert_uint_eq(result.unreadable, PAGE_SIZE_4K);
	ck_assert_uint_eq(result.missing, 0);
	ck_assert_uint_eq(reader->trailer.unreadable, 1);
	ck_assert_uint_eq(counts.excluded, 1);
	ck_assert_uint_eq(counts.dumped, GUEST_PAGES - 1);
	reader_close(reader);
	free(result.path);
	guest_fini(&g);
}
END_TEST

/* What was in the dump once and cannot be read any more is lost, which no copy may hide. */
START_TEST(a_page_that_the_disk_gives_no_more_is_missing)
{
	struct salvage_result result = {0};
	struct reader_counts counts;
	struct salvage_guest g;
	struct reader *reader;
	char path[128], why[256];
	int r;

	complete_without_its_name(&g);
	set_trailer(&g, GUEST_DUMP, offsetof(struct vmcore_trailer, state), VMCORE_STATE_FAILED);
	snprintf(path, sizeof(path), "%s/rest.vmcore", g.dir);
	for (int output = 0; output < 2; output++) {
		bad_reads = 1;
		bad_error = EIO;
		large = 0;
		io_test_hook = at_read;
		r = guest_salvage(&g, true,
			(struct salvage_request){.output = output ? path : NULL, .keep = true}, &result,
			why);
		io_test_hook = NULL;
		ck_assert_int_eq(r, output ? 0 : -ENODATA);
		ck_assert(!guest_has(&g, GUEST_FINAL));
	}
	ck_assert_uint_eq(result.missing, PAGE_SIZE_4K);
	reader = open_copy(&g, "rest.vmcore.partial", &counts);
	ck_assert_int_eq(reader->kind, READER_PARTIAL);
	ck_assert_uint_eq(counts.dumped, GUEST_PAGES - 1);
	reader_close(reader);
	free(result.path);
	guest_fini(&g);
}
END_TEST

Suite *suite_salvage_names(void)
{
	Suite *suite = suite_create("salvage names");
	TCase *tc = tcase_create("names"), *pages = tcase_create("pages");

	tcase_set_timeout(tc, 30);
	tcase_set_timeout(pages, 30);
	tcase_add_loop_test(
		tc, a_dump_in_any_state_becomes_whole_or_stays_as_it_is, 0, 2 * ARRAY_LEN(states));
	tcase_add_loop_test(tc, what_is_not_whole_is_never_saved_whatever_its_state, 0, ARRAY_LEN(states));
	tcase_add_test(pages, a_copy_of_half_a_dump_has_that_half_and_says_what_is_missing);
	tcase_add_loop_test(pages, a_page_that_the_host_cannot_read_costs_that_page_alone, 0, 6);
	tcase_add_test(pages, a_page_that_the_disk_gives_no_more_is_missing);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, pages);
	return suite;
}
