/* SPDX-License-Identifier: Apache-2.0 */
/* dump/files/catalog.c - see catalog.h */
#include "dump/files/catalog.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"

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

/* What may not be opened is not ours to judge. */
static bool is_in_use(int dir_fd, const char *file)
{
	autoclose int fd = openat(dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0 && publish_is_locked(fd);
}

static void names_of(const char *name, bool lz4, struct publish_names *ret)
{
	if (lz4)
		publish_names_init_lz4(ret, name);
	else
		publish_names_init(ret, name);
}

void catalog_file_name(const struct catalog_dump *dump, char *buf, size_t size)
{
	struct publish_names names;

	names_of(dump->name, dump->files & CATALOG_LZ4, &names);
	snprintf(buf, size, "%s",
		dump->files & CATALOG_FINAL          ? names.final
		: dump->files & CATALOG_DUMP_PARTIAL ? names.dump_partial
						     : names.region_partial);
}

/* A dump, or a region that has become one, under its final name still has its .partial name for a moment. */
static bool is_second_name(
	const struct scan *scan, const char *name, enum publish_file file, const struct stat *st)
{
	struct stat other;

	if (file == PUBLISH_FINAL)
		return false;
	for (int lz4 = 0; lz4 < 2; lz4++) {
		struct publish_names names;

		names_of(name, lz4, &names);
		if (!fstatat(scan->dir_fd, names.final, &other, AT_SYMLINK_NOFOLLOW) &&
			other.st_ino == st->st_ino)
			return true;
	}
	return false;
}

static bool is_lz4_name(const char *file_name, size_t base)
{
	return !strncmp(file_name + base, ".vmcore.lz4", strlen(".vmcore.lz4"));
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
	if (is_lz4_name(file_name, base))
		dump->files |= CATALOG_LZ4;
	dump->apparent = u64_max(dump->apparent, (uint64_t)st.st_size);
	dump->time_ns = u64_max(
		dump->time_ns, (uint64_t)st.st_ctim.tv_sec * NSEC_PER_SEC + (uint64_t)st.st_ctim.tv_nsec);
	if (!is_second_name(scan, name, file, &st))
		dump->bytes += io_stat_bytes(&st);
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

static int remove_file(int dir_fd, const char *file)
{
	return unlinkat(dir_fd, file, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int catalog_remove(int dir_fd, const char *name)
{
	struct publish_names names, lz4;
	int r;

	names_of(name, false, &names);
	names_of(name, true, &lz4);
	r = remove_file(dir_fd, names.region_partial);
	if (!r)
		r = remove_file(dir_fd, names.dump_partial);
	if (!r)
		r = remove_file(dir_fd, lz4.dump_partial);
	if (!r)
		r = remove_file(dir_fd, names.final);
	return r ? r : remove_file(dir_fd, lz4.final);
}
