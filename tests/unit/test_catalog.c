/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_catalog.c - which files are one dump, what goes with it when it is removed and what stays, and whose
 * dump a file is.
 */
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include "dump/files/catalog.h"
#include "dump/files/owner.h"
#include "dump/format/vmcore.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES (2 * PAGE_SIZE_4K)
#define NAMES_MAX 8

/* A file with a trailer, as far as anybody here looks at it. */
static void write_trailer(int fd, const char *name, uint32_t role, uint32_t state)
{
	struct vmcore_trailer trailer = {
		.version = VMCORE_VERSION, .role = role, .state = state, .file_size = BYTES};

	memcpy(trailer.magic, VMCORE_TRAILER_MAGIC, sizeof(trailer.magic));
	snprintf(trailer.name, sizeof(trailer.name), "%s", name);
	ck_assert_int_eq(ftruncate(fd, BYTES), 0);
	ck_assert_int_eq(
		pwrite(fd, &trailer, sizeof(trailer), BYTES - PAGE_SIZE_4K), (ssize_t)sizeof(trailer));
}

/*
 * "NAME=KIND NAME=KIND ...": c a complete dump that was made under its base name, o one that was made under another
 * name, p an unfinished one, r a region, s a region of another dump, j something else, @ another name of X.vmcore.
 */
static void make_files(int dir_fd, const char *text)
{
	char name[64], kind;
	int used;

	for (; sscanf(text, " %63[^=]=%c%n", name, &kind, &used) == 2; text += used) {
		int fd;

		if (kind == '@') {
			ck_assert_int_eq(linkat(dir_fd, "X.vmcore", dir_fd, name, 0), 0);
			continue;
		}
		fd = openat(dir_fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
		ck_assert_int_ge(fd, 0);
		if (kind == 'j')
			ck_assert_int_eq(write(fd, "dear diary", 10), 10);
		else
			write_trailer(fd, kind == 'o' || kind == 's' ? "Y" : "X",
				kind == 'r' || kind == 's' ? VMCORE_ROLE_REGION : VMCORE_ROLE_DUMP,
				kind == 'c' || kind == 'o' ? VMCORE_STATE_COMPLETE : VMCORE_STATE_DUMPING);
		close(fd);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The names there are, in order, with blanks between them. */
static void list_files(const char *path, char *buf, size_t size)
{
	char names[NAMES_MAX][64];
	DIR *dir = opendir(path);
	struct dirent *entry;
	size_t nr = 0, len = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && nr < NAMES_MAX)
			snprintf(names[nr++], sizeof(names[0]), "%.63s", entry->d_name);
	closedir(dir);
	qsort(names, nr, sizeof(names[0]), by_name);
	buf[0] = '\0';
	for (size_t i = 0; i < nr; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? " " : "", names[i]);
}

static const struct {
	const char *files;
	bool lz4;       /* the dump to remove: X of this format */
	unsigned which; /* of its files */
	const char *left;
} removals[] = {
	{"X.vmcore=c X.vmcore.lz4=c", true, ~0u, "X.vmcore"},
	{"X.vmcore=c X.vmcore.lz4=c", false, ~0u, "X.vmcore.lz4"},
	{"X.vmcore=c Z.vmcore=c X=j X.vmcorex=j", false, ~0u, "X X.vmcorex Z.vmcore"},
	{"X.vmcore=c X.vmcore.partial=@ X.region.partial=r", false, ~0u, ""},
	{"X.vmcore=c X.region.partial=@", false, ~0u, ""},
	{"X.vmcore.lz4=c X.vmcore.lz4.partial=c X.region.partial=r", true, ~0u, ""},
	/* what lies beside it under the same base name is not all its own */
	{"X.vmcore=c X.vmcore.partial=o X.region.partial=s", false, ~0u,
		"X.region.partial X.vmcore.partial"},
	{"X.vmcore=j X.region.partial=r", false, ~0u, "X.region.partial"},
	{"X.vmcore=p X.region.partial=r", false, ~0u, "X.region.partial"},
	{"X.vmcore=o X.region.partial=r", false, ~0u, "X.region.partial"},
	/* the region is the one's from which it is made, not the copy's */
	{"X.vmcore=c X.vmcore.lz4.partial=p X.region.partial=r", false, ~0u,
		"X.region.partial X.vmcore.lz4.partial"},
	{"X.vmcore=c X.vmcore.lz4.partial=p X.region.partial=r", true, ~0u, "X.vmcore"},
	{"X.vmcore.lz4=c X.vmcore.partial=p X.region.partial=r", true, ~0u,
		"X.region.partial X.vmcore.partial"},
	{"X.vmcore.lz4=c X.vmcore.partial=p X.region.partial=r", false, ~0u, "X.vmcore.lz4"},
	{"X.vmcore=c X.vmcore.lz4.partial=p X.region.partial=@", true, ~0u, "X.region.partial X.vmcore"},
	{"X.vmcore=c X.vmcore.lz4=c X.region.partial=r", true, ~0u, "X.region.partial X.vmcore"},
	/* parts of it */
	{"X.vmcore=c X.vmcore.partial=@ X.region.partial=r", false, CATALOG_REGION_PARTIAL,
		"X.vmcore X.vmcore.partial"},
	{"X.vmcore.partial=p X.region.partial=r", false, CATALOG_DUMP_PARTIAL | CATALOG_REGION_PARTIAL, ""},
	{"X.region.partial=r", false, ~0u, ""},
	{"X.region.partial=j", false, ~0u, ""},
};

static const struct catalog_dump *find(const struct catalog *catalog, bool lz4)
{
	for (size_t i = 0; i < catalog->nr; i++)
		if (!strcmp(catalog->dumps[i].name, "X") &&
			!!(catalog->dumps[i].files & CATALOG_LZ4) == lz4)
			return &catalog->dumps[i];
	ck_abort_msg("the catalog has no such dump");
}

START_TEST(a_dump_is_removed_with_what_is_left_of_it_and_nothing_else)
{
	struct scratch scratch;
	struct catalog catalog;
	char left[256];
	int dir_fd;

	scratch_init(&scratch);
	dir_fd = open(scratch.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_files(dir_fd, removals[_i].files);
	ck_assert_int_eq(catalog_read(dir_fd, &catalog), 0);
	ck_assert_int_eq(catalog_remove(dir_fd, find(&catalog, removals[_i].lz4), removals[_i].which), 0);
	list_files(scratch.dir, left, sizeof(left));
	ck_assert_msg(
		!strcmp(left, removals[_i].left), "of '%s' there is left: '%s'", removals[_i].files, left);
	catalog_fini(&catalog);
	close(dir_fd);
	scratch_fini(&scratch);
}
END_TEST

START_TEST(nothing_of_a_dump_is_removed_if_somebody_works_on_a_part_of_it)
{
	static const char files[] = "X.region.partial=r X.vmcore.partial=p";
	static const char *const names[] = {"X.region.partial", "X.vmcore.partial"};
	struct scratch scratch;
	struct catalog catalog;
	char left[256];
	int dir_fd, fd;

	scratch_init(&scratch);
	dir_fd = open(scratch.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_files(dir_fd, files);
	/* the work begins after somebody has looked */
	ck_assert_int_eq(catalog_read(dir_fd, &catalog), 0);
	fd = openat(dir_fd, names[_i], O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(publish_lock(fd), 0);
	ck_assert_int_eq(catalog_remove(dir_fd, find(&catalog, false), ~0u), -EBUSY);
	list_files(scratch.dir, left, sizeof(left));
	ck_assert_str_eq(left, "X.region.partial X.vmcore.partial");
	close(fd);
	ck_assert_int_eq(catalog_remove(dir_fd, find(&catalog, false), ~0u), 0);
	catalog_fini(&catalog);
	close(dir_fd);
	scratch_fini(&scratch);
}
END_TEST

static const struct {
	const char *name, *guest;
	bool is_of;
} owners[] = {
	{"web-20261122T061719.907Z-g0", "web", true},
	{"web-20261122T061719.907Z-g4294967295", "web", true},
	{"web-20261122T061719.907Z-g0", "we", false},
	{"web-20261122T061719.907Z-g0", "webs", false},
	{"web-20261122T061719.907Z-g0-20261122T061719.907Z-g1", "web", false},
	{"web-20261122T061719.907Z-g0-20261122T061719.907Z-g1", "web-20261122T061719.907Z-g0", true},
	{"web-2-20261122T061719.907Z-g0", "web", false},
	{"web-20261122T061719.907Z-g", "web", false},
	{"web-20261122T061719.907Z-g0x", "web", false},
	{"web-2026112T061719.907Z-g0", "web", false},
	{"web-20261122T061719.9 7Z-g0", "web", false},
	{"web", "web", false},
	{"", "web", false},
	{"precious", "web", false},
};

START_TEST(a_name_tells_the_guest_whose_dump_it_is)
{
	ck_assert(dump_name_is_of(owners[_i].name, owners[_i].guest) == owners[_i].is_of);
}
END_TEST

START_TEST(what_is_no_file_of_ours_has_no_owner)
{
	struct scratch scratch;
	struct dump_owner owner;
	int dir_fd;

	scratch_init(&scratch);
	dir_fd = open(scratch.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_files(dir_fd, "X.vmcore=c j.vmcore=j X.vmcore.partial=@");
	ck_assert_int_eq(mkfifoat(dir_fd, "fifo.vmcore", 0600), 0);
	ck_assert_int_eq(symlinkat("X.vmcore", dir_fd, "link.vmcore"), 0);
	close(openat(dir_fd, "empty.vmcore", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(dump_owner_read(dir_fd, "X.vmcore", &owner), 0);
	ck_assert_str_eq(owner.name, "X");
	ck_assert_uint_eq(owner.state, VMCORE_STATE_COMPLETE);
	ck_assert_int_eq(dump_owner_read(dir_fd, "j.vmcore", &owner), -EINVAL);
	ck_assert_int_eq(dump_owner_read(dir_fd, "empty.vmcore", &owner), -EINVAL);
	ck_assert_int_eq(dump_owner_read(dir_fd, "fifo.vmcore", &owner), -EINVAL);
	ck_assert_int_eq(dump_owner_read(dir_fd, "link.vmcore", &owner), -ELOOP);
	ck_assert_int_eq(dump_owner_read(dir_fd, "none.vmcore", &owner), -ENOENT);
	close(dir_fd);
	scratch_fini(&scratch);
}
END_TEST

Suite *suite_catalog(void)
{
	Suite *suite = suite_create("catalog");
	TCase *tc = tcase_create("catalog");

	tcase_add_loop_test(
		tc, a_dump_is_removed_with_what_is_left_of_it_and_nothing_else, 0, ARRAY_LEN(removals));
	tcase_add_loop_test(tc, nothing_of_a_dump_is_removed_if_somebody_works_on_a_part_of_it, 0, 2);
	tcase_add_loop_test(tc, a_name_tells_the_guest_whose_dump_it_is, 0, ARRAY_LEN(owners));
	tcase_add_test(tc, what_is_no_file_of_ours_has_no_owner);
	suite_add_tcase(suite, tc);
	return suite;
}
