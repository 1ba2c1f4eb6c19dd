/* SPDX-License-Identifier: Apache-2.0 */
/* dump/files/catalog.c - see catalog.h */
#include "dump/files/catalog.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/files/owner.h"
#include "dump/format/vmcore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* One dump while the directory is read. */
struct found {
	char name[DUMP_NAME_MAX];
	bool lz4;
	unsigned files; /* CATALOG_*, without CATALOG_LZ4 */
	struct stat st[PUBLISH_REGION_PARTIAL + 1];
	bool in_use[PUBLISH_REGION_PARTIAL + 1];
};

struct scan {
	struct found *found; /* owned */
	size_t nr, room;     /* entries used, and allocated */
	int dir_fd;
};

static struct found *find(const struct scan *scan, const char *name, bool lz4)
{
	for (size_t i = 0; i < scan->nr; i++)
		if (scan->found[i].lz4 == lz4 && !strcmp(scan->found[i].name, name))
			return &scan->found[i];
	return NULL;
}

static struct found *find_or_add(struct scan *scan, const char *name, bool lz4)
{
	struct found *found = find(scan, name, lz4);

	if (found)
		return found;
	if (scan->nr == scan->room) {
		struct found *grown;

		scan->room = scan->room ? scan->room * 2 : 16;
		grown = reallocarray(scan->found, scan->room, sizeof(*grown));
		if (!grown)
			return NULL;
		scan->found = grown;
	}
	found = &scan->found[scan->nr++];
	*found = (struct found){.lz4 = lz4};
	snprintf(found->name, sizeof(found->name), "%s", name);
	return found;
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

static bool is_lz4_name(const char *file_name, size_t base)
{
	return !strncmp(file_name + base, ".vmcore.lz4", strlen(".vmcore.lz4"));
}

static int add_file(struct scan *scan, const char *file_name)
{
	struct found *found;
	char name[DUMP_NAME_MAX];
	enum publish_file file;
	size_t base = 0;
	struct stat st;

	file = publish_parse(file_name, &base);
	if (file == PUBLISH_NONE || base >= sizeof(name) ||
		fstatat(scan->dir_fd, file_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)base, file_name);
	/* a region does not say which format: settle_region() */
	found = find_or_add(scan, name, is_lz4_name(file_name, base));
	if (!found)
		return -ENOMEM;
	found->files |= 1u << file;
	found->st[file] = st;
	found->in_use[file] = is_in_use(scan->dir_fd, file_name);
	return 0;
}

static bool has(const struct found *found, enum publish_file file)
{
	return found && (found->files & 1u << file);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The region goes to the dump that is, or was, made from it. */
static void settle_region(const struct scan *scan, struct found *plain)
{
	struct found *lz4 = find(scan, plain->name, true);
	bool is_plains = has(plain, PUBLISH_DUMP_PARTIAL) ||
			 (has(plain, PUBLISH_FINAL) && !has(lz4, PUBLISH_DUMP_PARTIAL)) ||
			 (has(plain, PUBLISH_FINAL) &&
				 is_same(&plain->st[PUBLISH_FINAL], &plain->st[PUBLISH_REGION_PARTIAL]));

	if (!lz4 || is_plains)
		return;
	lz4->files |= CATALOG_REGION_PARTIAL;
	lz4->st[PUBLISH_REGION_PARTIAL] = plain->st[PUBLISH_REGION_PARTIAL];
	lz4->in_use[PUBLISH_REGION_PARTIAL] = plain->in_use[PUBLISH_REGION_PARTIAL];
	plain->files &= ~CATALOG_REGION_PARTIAL;
}

static uint64_t time_of(const struct stat *st)
{
	return (uint64_t)st->st_ctim.tv_sec * NSEC_PER_SEC + (uint64_t)st->st_ctim.tv_nsec;
}

static void describe(const struct found *found, struct catalog_dump *ret)
{
	*ret = (struct catalog_dump){.files = found->files | (found->lz4 ? CATALOG_LZ4 : 0)};
	memcpy(ret->name, found->name, sizeof(ret->name));
	for (enum publish_file file = PUBLISH_FINAL; file <= PUBLISH_REGION_PARTIAL; file++) {
		const struct stat *st = &found->st[file];

		if (!has(found, file))
			continue;
		ret->in_use |= found->in_use[file];
		ret->apparent = u64_max(ret->apparent, (uint64_t)st->st_size);
		ret->time_ns = u64_max(ret->time_ns, time_of(st));
		/* what has its final name has its .partial name besides, for a moment */
		if (file == PUBLISH_FINAL || !has(found, PUBLISH_FINAL) ||
			!is_same(st, &found->st[PUBLISH_FINAL]))
			ret->bytes += io_stat_bytes(st);
	}
}

static int by_time(const void *a, const void *b)
{
	const struct catalog_dump *left = a, *right = b;

	if (left->time_ns != right->time_ns)
		return left->time_ns < right->time_ns ? -1 : 1;
	return strcmp(left->name, right->name);
}

static int read_names(struct scan *scan)
{
	int fd = openat(
		scan->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* with a position of its own */
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = -errno;
		cleanup_close(&fd);
		return r;
	}
	while (!r && (entry = readdir(dir)))
		r = add_file(scan, entry->d_name);
	closedir(dir);
	return r;
}

int catalog_read(int dir_fd, struct catalog *ret)
{
	struct scan scan = {.dir_fd = dir_fd};
	struct catalog catalog = {0};
	int r = read_names(&scan);

	if (!r && scan.nr) {
		catalog.dumps = calloc(scan.nr, sizeof(catalog.dumps[0]));
		r = catalog.dumps ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < scan.nr && !r; i++)
		if (!scan.found[i].lz4 && has(&scan.found[i], PUBLISH_REGION_PARTIAL))
			settle_region(&scan, &scan.found[i]);
	for (size_t i = 0; i < scan.nr && !r; i++)
		if (scan.found[i].files)
			describe(&scan.found[i], &catalog.dumps[catalog.nr++]);
	free(scan.found);
	if (r)
		return r;
	if (catalog.nr)
		qsort(catalog.dumps, catalog.nr, sizeof(catalog.dumps[0]), by_time);
	*ret = catalog;
	return 0;
}

void catalog_fini(struct catalog *catalog)
{
	free(catalog->dumps);
	*catalog = (struct catalog){0};
}

/* ---- removal --------------------------------------------------------------------------------------------- */

static const char *file_name(const struct publish_names *names, enum publish_file file)
{
	return file == PUBLISH_FINAL          ? names->final
	       : file == PUBLISH_DUMP_PARTIAL ? names->dump_partial
					      : names->region_partial;
}

bool catalog_is_leftover(int dir_fd, const struct catalog_dump *dump, enum publish_file file)
{
	struct dump_owner owner, other;
	struct publish_names names;
	struct stat final, st;

	names_of(dump->name, dump->files & CATALOG_LZ4, &names);
	if (!(dump->files & CATALOG_FINAL) || file == PUBLISH_FINAL ||
		fstatat(dir_fd, names.final, &final, AT_SYMLINK_NOFOLLOW) < 0 ||
		fstatat(dir_fd, file_name(&names, file), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (is_same(&final, &st))
		return true;
	return !dump_owner_read(dir_fd, names.final, &owner) && owner.role == VMCORE_ROLE_DUMP &&
	       owner.state == VMCORE_STATE_COMPLETE &&
	       !dump_owner_read(dir_fd, file_name(&names, file), &other) && !strcmp(owner.name, other.name);
}

/* Opens @file, and locks it if nobody works on it.  *ret_fd: the caller's; -1 if there is no such file. */
static int hold(int dir_fd, const char *file, int *ret_fd)
{
	autoclose int fd = openat(dir_fd, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int r;

	if (fd < 0 && (errno == EACCES || errno == EPERM)) /* its owner may remove it all the same */
		return is_in_use(dir_fd, file) ? -EBUSY : 0;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = publish_lock(fd);
	if (r == -EWOULDBLOCK)
		return -EBUSY;
	*ret_fd = take_fd(&fd); /* some file systems cannot lock */
	return 0;
}

static int remove_file(int dir_fd, const char *file)
{
	return unlinkat(dir_fd, file, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* True if @file is another name of the final one, which goes too. */
static bool has_two_names(
	int dir_fd, const struct publish_names *names, enum publish_file file, unsigned files)
{
	struct stat final, st;

	return file != PUBLISH_FINAL && (files & CATALOG_FINAL) &&
	       !fstatat(dir_fd, names->final, &final, AT_SYMLINK_NOFOLLOW) &&
	       !fstatat(dir_fd, file_name(names, file), &st, AT_SYMLINK_NOFOLLOW) && is_same(&final, &st);
}

int catalog_remove(int dir_fd, const struct catalog_dump *dump, unsigned files)
{
	bool lz4 = dump->files & CATALOG_LZ4;
	const enum publish_file order[] = {lz4 ? PUBLISH_DUMP_PARTIAL : PUBLISH_REGION_PARTIAL,
		lz4 ? PUBLISH_REGION_PARTIAL : PUBLISH_DUMP_PARTIAL, PUBLISH_FINAL};
	bool goes[ARRAY_LEN(order)];
	int held[] = {-1, -1, -1};
	struct publish_names names;
	int r = 0;

	names_of(dump->name, lz4, &names);
	for (size_t i = 0; i < ARRAY_LEN(order) && !r; i++) {
		goes[i] = (files & dump->files & 1u << order[i]) &&
			  (order[i] == PUBLISH_FINAL || !(files & dump->files & CATALOG_FINAL) ||
				  catalog_is_leftover(dir_fd, dump, order[i]));
		/* a second name of the dump is locked with it */
		if (goes[i] && !has_two_names(dir_fd, &names, order[i], files & dump->files))
			r = hold(dir_fd, file_name(&names, order[i]), &held[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(order) && !r; i++)
		if (goes[i])
			r = remove_file(dir_fd, file_name(&names, order[i]));
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		cleanup_close(&held[i]);
	return r;
}
