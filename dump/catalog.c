/* SPDX-License-Identifier: Apache-2.0 */
/* dump/catalog.c - see catalog.h */
#include "dump/catalog.h"

#include "dump/base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* While a directory is read. */
struct scan {
	struct catalog catalog;
	size_t room; /* entries allocated */
	int dir_fd;
};

static struct catalog_dump *find_or_add(struct scan *scan, const char *name)
{
	struct catalog *catalog = &scan->catalog;
	struct catalog_dump *grown;

	for (size_t i = 0; i < catalog->nr; i++)
		if (!strcmp(catalog->dumps[i].name, name))
			return &catalog->dumps[i];
	if (catalog->nr == scan->room) {
		scan->room = scan->room ? scan->room * 2 : 16;
		grown = reallocarray(catalog->dumps, scan->room, sizeof(*grown));
		if (!grown)
			return NULL;
		catalog->dumps = grown;
	}
	grown = &catalog->dumps[catalog->nr++];
	*grown = (struct catalog_dump){0};
	snprintf(grown->name, sizeof(grown->name), "%s", name);
	return grown;
}

/* A lock that could be had is given back at once.  What may not be opened is not ours to judge. */
static bool is_in_use(int dir_fd, const char *file)
{
	autoclose int fd = openat(dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0)
		return false;
	r = publish_lock(fd);
	return r == -EWOULDBLOCK;
}

/* The dump under its final name still has its .partial name for a moment: one file. */
static bool is_second_name(
	const struct scan *scan, const char *name, enum publish_file file, const struct stat *st)
{
	struct publish_names names;
	struct stat other;

	if (file != PUBLISH_DUMP_PARTIAL)
		return false;
	publish_names_init(&names, name);
	return !fstatat(scan->dir_fd, names.final, &other, AT_SYMLINK_NOFOLLOW) &&
	       other.st_ino == st->st_ino;
}

static int add_file(struct scan *scan, const char *file_name)
{
	struct catalog_dump *dump;
	char name[DUMP_NAME_MAX];
	enum publish_file file;
	size_t base = 0;
	struct stat st;

	file = publish_parse(file_name, &base);
	if (file == PUBLISH_NONE || base >= sizeof(name) ||
		fstatat(scan->dir_fd, file_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)base, file_name);
	dump = find_or_add(scan, name);
	if (!dump)
		return -ENOMEM;
	dump->files |= 1u << file;
	dump->apparent = u64_max(dump->apparent, (uint64_t)st.st_size);
	dump->time_ns = u64_max(
		dump->time_ns, (uint64_t)st.st_ctim.tv_sec * NSEC_PER_SEC + (uint64_t)st.st_ctim.tv_nsec);
	if (!is_second_name(scan, name, file, &st))
		dump->bytes += (uint64_t)st.st_blocks * 512 /* unit of st_blocks */;
	if (!dump->in_use)
		dump->in_use = is_in_use(scan->dir_fd, file_name);
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct catalog_dump *left = a, *right = b;

	if (left->time_ns != right->time_ns)
		return left->time_ns < right->time_ns ? -1 : 1;
	return strcmp(left->name, right->name);
}

int catalog_read(int dir_fd, struct catalog *ret)
{
	struct scan scan = {.dir_fd = dir_fd};
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* with a position of its own */
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = -errno;
		cleanup_close(&fd);
		return r;
	}
	while (!r && (entry = readdir(dir)))
		r = add_file(&scan, entry->d_name);
	closedir(dir);
	if (r) {
		catalog_fini(&scan.catalog);
		return r;
	}
	if (scan.catalog.nr)
		qsort(scan.catalog.dumps, scan.catalog.nr, sizeof(scan.catalog.dumps[0]), by_time);
	*ret = scan.catalog;
	return 0;
}

void catalog_fini(struct catalog *catalog)
{
	free(catalog->dumps);
	*catalog = (struct catalog){0};
}

int catalog_remove(int dir_fd, const char *name)
{
	struct publish_names names;
	int r = 0;

	publish_names_init(&names, name);
	if (unlinkat(dir_fd, names.region_partial, 0) < 0 && errno != ENOENT)
		r = -errno;
	if (!r && unlinkat(dir_fd, names.dump_partial, 0) < 0 && errno != ENOENT)
		r = -errno;
	if (!r && unlinkat(dir_fd, names.final, 0) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}
