/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/salvage_files.c - which files of a dump are there, opened and locked, for dump/save/salvage.c. */
#include "dump/save/salvage_impl.h"

#include "dump/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int salvage_fail(struct salvage *salvage, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(salvage->why, salvage->why_size, fmt, args);
	va_end(args);
	return error;
}

int salvage_split_path(struct salvage *salvage)
{
	const char *path = salvage->request->path;
	const char *slash = strrchr(path, '/');
	size_t dir = slash ? (size_t)(slash - path) + 1 : 0;
	enum publish_file file;
	size_t base = 0;

	file = publish_parse(path, &base);
	if (file != PUBLISH_DUMP_PARTIAL && file != PUBLISH_REGION_PARTIAL)
		return salvage_fail(salvage, -EINVAL,
			"neither a .vmcore.partial nor a .region.partial: nothing to salvage");
	if (base - dir >= DUMP_NAME_MAX)
		return salvage_fail(salvage, -EINVAL, "its name is longer than any that minivmm gives");
	salvage->dir = strndup(path, dir);
	salvage->name = strndup(path + dir, base - dir);
	if (!salvage->dir || !salvage->name)
		return salvage_fail(salvage, -ENOMEM, "out of memory");
	salvage->lz4 = !strncmp(path + base, ".vmcore.lz4", strlen(".vmcore.lz4"));
	return 0;
}

static void set_names(struct salvage *salvage)
{
	if (salvage->lz4)
		publish_names_init_lz4(&salvage->names, salvage->name);
	else
		publish_names_init(&salvage->names, salvage->name);
}

static bool exists(const struct salvage *salvage, const char *file)
{
	return !faccessat(salvage->dir_fd, file, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* A region does not say by its name what is beside it. */
static void choose_names(struct salvage *salvage)
{
	struct publish_names plain, lz4;

	publish_names_init(&plain, salvage->name);
	publish_names_init_lz4(&lz4, salvage->name);
	if (!exists(salvage, plain.dump_partial) &&
		(exists(salvage, lz4.dump_partial) ||
			(!exists(salvage, plain.final) && exists(salvage, lz4.final))))
		salvage->lz4 = true;
	set_names(salvage);
}

/* The request's own name need not be said again. */
static int fail_open(struct salvage *salvage, const char *path, int error)
{
	const char *named = strrchr(salvage->request->path, '/');

	if (!strcmp(named ? named + 1 : salvage->request->path, path))
		return salvage_fail(salvage, -error, "%s", strerror(error));
	return salvage_fail(salvage, -error, "%s: %s", path, strerror(error));
}

/* Opens and locks one of the two files; that it is not there is no error. */
static int take_file(struct salvage *salvage, int dir_fd, const char *path, int *ret_fd)
{
	autoclose int fd = openat(dir_fd, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_open(salvage, path, errno);
	r = publish_lock(fd);
	if (r == -EWOULDBLOCK)
		return salvage_fail(salvage, -EBUSY, "%s: a dumper is at work on it", path);
	if (r)
		return salvage_fail(salvage, r, "%s: cannot be locked: %s", path, strerror(-r));
	*ret_fd = take_fd(&fd);
	return 0;
}

int salvage_open_files(struct salvage *salvage)
{
	const char *region = salvage->request->region_path;
	int r;

	salvage->dir_fd = open(salvage->dir[0] ? salvage->dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (salvage->dir_fd < 0)
		return salvage_fail(salvage, -errno, "%s", strerror(errno));
	choose_names(salvage);
	salvage->proc_fd = publish_proc_open();
	if (salvage->proc_fd < 0)
		return salvage_fail(salvage, salvage->proc_fd, "/proc: %s", strerror(-salvage->proc_fd));
	if (asprintf(&salvage->region_path, "%s%s", region ? "" : salvage->dir,
		    region ? region : salvage->names.region_partial) < 0) {
		salvage->region_path = NULL;
		return salvage_fail(salvage, -ENOMEM, "out of memory");
	}
	/* the region first: while a dumper is replaced its lock is the only one */
	r = take_file(salvage, AT_FDCWD, salvage->region_path, &salvage->region_fd);
	if (!r)
		r = take_file(salvage, salvage->dir_fd, salvage->names.dump_partial, &salvage->dump_fd);
	if (!r && salvage->dump_fd < 0 && salvage->region_fd < 0)
		r = salvage_fail(salvage, -ENOENT, "%s", strerror(ENOENT));
	return r;
}

/* Somebody else's memory must not get into this dump, nor be removed with it. */
static int check_region(struct salvage *salvage)
{
	struct reader *region;
	bool same;

	if (salvage->reader->kind != READER_PARTIAL || salvage->region_fd < 0)
		return 0;
	if (!salvage->reader->has_region)
		return salvage_fail(
			salvage, -EINVAL, "%s: %s", salvage->region_path, salvage->reader->damage);
	region = salvage_read_alone(salvage->region_fd);
	/* no trailer: the host had no room for one */
	same = !region || !region->has_trailer ||
	       salvage_is_same_crash(&salvage->reader->trailer, &region->trailer);
	reader_close(region);
	return same ? 0
		    : salvage_fail(
			      salvage, -EINVAL, "%s: the region is of another VM", salvage->region_path);
}

/* It gets descriptors of its own. */
int salvage_open_reader(struct salvage *salvage)
{
	int primary = salvage->dump_fd >= 0 ? salvage->dump_fd : salvage->region_fd;
	autoclose int fd = fcntl(primary, F_DUPFD_CLOEXEC, 0);
	autoclose int region = -1;
	char why[256];
	int r;

	if (salvage->dump_fd >= 0 && salvage->region_fd >= 0)
		region = fcntl(salvage->region_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return salvage_fail(salvage, -errno, "%s", strerror(errno));
	r = reader_open_fds(take_fd(&fd), take_fd(&region), &salvage->reader, why, sizeof(why));
	if (r)
		return salvage_fail(salvage, r, "%s", why);
	if (!salvage->reader->has_trailer)
		return salvage_fail(salvage, -EINVAL, "no dump of minivmm's, or damaged: %s",
			salvage->reader->damage[0] ? salvage->reader->damage : "it has no trailer");
	return check_region(salvage);
}
