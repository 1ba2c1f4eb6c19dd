/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/place.c - see place.h */
#include "tests/unit/place.h"

#include "dump/files/publish.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static void make_in(struct place *place, const char *dir)
{
	snprintf(place->path, sizeof(place->path), "%s/minivmm-test-XXXXXX", dir);
	ck_assert_ptr_nonnull(mkdtemp(place->path));
	place->fd = -1;
}

void place_init_in(struct place *place, const char *dir)
{
	make_in(place, dir);
	place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(place->fd, 0);
}

void place_init(struct place *place, const char *mount_options)
{
	make_in(place, "/tmp");
	if (mount_options && mount("minivmm-test", place->path, "tmpfs", 0, mount_options) < 0)
		return;
	place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(place->fd, 0);
	/* gone with the last descriptor, also when the test fails */
	if (mount_options)
		ck_assert_int_eq(umount2(place->path, MNT_DETACH), 0);
}

static void unlink_file(const struct place *place, const char *name)
{
	unlinkat(place->fd, name, 0);
}

static unsigned for_each_file(const struct place *place, void (*visit)(const struct place *, const char *))
{
	DIR *dir = fdopendir(openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *entry;
	unsigned count = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		count++;
		if (visit)
			visit(place, entry->d_name);
	}
	closedir(dir);
	return count;
}

void place_fini(struct place *place)
{
	if (place->fd >= 0) {
		for_each_file(place, unlink_file);
		close(place->fd);
	}
	rmdir(place->path);
}

unsigned place_nr_files(const struct place *place)
{
	return for_each_file(place, NULL);
}
