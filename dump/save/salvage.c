/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/salvage.c - see salvage.h: which files are there, who owns them, which way to go, the names. */
#include "dump/save/salvage_impl.h"

#include "dump/base/cleanup.h"
#include "dump/read/reader_chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int salvage_fail(struct salvage *salvage, int error, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(salvage->why, salvage->why_size, fmt, args);
	va_end(args);
	return error;
}

/* ---- the files ---------------------------------------------------------------------------------------- */

/* Directory and base name of the request's path. */
static int split_path(struct salvage *salvage)
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

static int open_files(struct salvage *salvage)
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

/* A reader of what was opened; it gets descriptors of its own. */
static int open_reader(struct salvage *salvage)
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
	/* somebody's else memory must not get into this dump, nor be removed with it */
	if (salvage->reader->kind == READER_PARTIAL && salvage->region_fd >= 0 &&
		!salvage->reader->has_region)
		return salvage_fail(
			salvage, -EINVAL, "%s: %s", salvage->region_path, salvage->reader->damage);
	return 0;
}

/* ---- names ------------------------------------------------------------------------------------------------ */

/* -EEXIST etc. as sentences. */
static int link_as(struct salvage *salvage, int fd, int dir_fd, const char *name)
{
	int r = publish_link(salvage->proc_fd, fd, dir_fd, name);

	return r ? salvage_fail(salvage, r, "cannot give it the name %s: %s", name, strerror(-r)) : 0;
}

static int remove_region(struct salvage *salvage)
{
	if (salvage->region_fd < 0 || !unlink(salvage->region_path) || errno == ENOENT)
		return 0;
	return salvage_fail(salvage, -errno, "the dump is whole, but %s cannot be removed: %s",
		salvage->region_path, strerror(errno));
}

static int remove_dump(struct salvage *salvage)
{
	if (salvage->dump_fd < 0 || !unlinkat(salvage->dir_fd, salvage->names.dump_partial, 0) ||
		errno == ENOENT)
		return 0;
	return salvage_fail(salvage, -errno, "the dump is whole, but %s cannot be removed: %s",
		salvage->names.dump_partial, strerror(errno));
}

/*
 * The one that has the tables goes last: the other one alone would be taken for more than it is, a region
 * for memory of which nothing was released.
 */
static int remove_partials(struct salvage *salvage)
{
	int r = salvage->lz4 ? remove_dump(salvage) : remove_region(salvage);

	if (r)
		return r;
	return salvage->lz4 ? remove_region(salvage) : remove_dump(salvage);
}

static bool is_same(const struct stat *final, int fd)
{
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && st.st_dev == final->st_dev && st.st_ino == final->st_ino;
}

/* True if the file under the final name is the complete dump that the region belongs to. */
static bool is_complete_of(struct salvage *salvage)
{
	struct reader *final, *region = NULL;
	autofree char *path = NULL;
	char why[256];
	int fd;
	bool same;

	if (asprintf(&path, "%s%s", salvage->dir, salvage->names.final) < 0) {
		path = NULL;
		return false;
	}
	if (reader_open(path, NULL, &final, why, sizeof(why)))
		return false;
	fd = fcntl(salvage->region_fd, F_DUPFD_CLOEXEC, 0);
	same = final->kind == READER_COMPLETE && fd >= 0 &&
	       !reader_open_fds(fd, -1, &region, why, sizeof(why)) && region->kind == READER_REGION &&
	       !strcmp(final->trailer.name, region->trailer.name) &&
	       final->trailer.ram == region->trailer.ram;
	reader_close(region);
	reader_close(final);
	return same;
}

/*
 * The final name is taken.  By this dump: the dumper ended between the final name and the removal of the
 * others, which is all that is left to do.
 */
static int settle_final(struct salvage *salvage, const struct stat *final)
{
	if (is_same(final, salvage->dump_fd) || is_same(final, salvage->region_fd) ||
		(salvage->dump_fd < 0 && is_complete_of(salvage)))
		return salvage->request->keep ? 0 : remove_partials(salvage);
	return salvage_fail(salvage, -EEXIST, "%s is another dump", salvage->names.final);
}

/* ---- the two ways ----------------------------------------------------------------------------------------- */

/* What is not compressed gets a name that says so. */
static void drop_lz4_suffix(struct salvage *salvage)
{
	struct publish_names plain;

	publish_names_init(&plain, salvage->name);
	memcpy(salvage->names.final, plain.final, sizeof(plain.final));
}

static int in_place(struct salvage *salvage)
{
	struct stat read_file;
	bool region;
	int r = 0;

	if (fstat(salvage->reader->image.fd, &read_file) < 0)
		return salvage_fail(salvage, -errno, "%s", strerror(errno));
	region = is_same(&read_file, salvage->region_fd);
	if (salvage->reader->compressed)
		r = salvage_unpack(salvage);
	else if (salvage->reader->kind == READER_REGION)
		r = salvage_convert_region(salvage);
	else if (salvage->reader->kind == READER_PARTIAL)
		r = salvage_finish_dump(salvage);
	else if (region)
		r = salvage_mark_all(
			salvage, salvage->region_fd); /* a salvage that was killed just before that */
	if (region)
		drop_lz4_suffix(salvage);
	if (!r)
		r = link_as(salvage, region ? salvage->region_fd : salvage->dump_fd, salvage->dir_fd,
			salvage->names.final);
	return r ? r : remove_partials(salvage);
}

/* Opens the directory of @output; *ret_name is the name in it. */
static int output_dir(struct salvage *salvage, const char *output, int *ret_fd, const char **ret_name)
{
	const char *slash = strrchr(output, '/');
	autofree char *dir = slash ? strndup(output, (size_t)(slash - output) + 1) : strdup(".");

	*ret_name = slash ? slash + 1 : output;
	if (!dir)
		return salvage_fail(salvage, -ENOMEM, "out of memory");
	*ret_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? salvage_fail(salvage, -errno, "%s: %s", dir, strerror(errno)) : 0;
}

static int by_copy(struct salvage *salvage)
{
	const char *output = salvage->request->output;
	const char *name = salvage->names.final;
	autoclose int dir_fd = -1, fd = -1;
	int r = 0;

	drop_lz4_suffix(salvage);
	if (output)
		r = output_dir(salvage, output, &dir_fd, &name);
	if (!r && !output) {
		dir_fd = fcntl(salvage->dir_fd, F_DUPFD_CLOEXEC, 0);
		r = dir_fd < 0 ? salvage_fail(salvage, -errno, "%s", strerror(errno)) : 0;
	}
	if (r)
		return r;
	r = publish_tmpfile(dir_fd, salvage->reader->trailer.file_size, &fd);
	if (r)
		return salvage_fail(salvage, r, "cannot make the new dump: %s", strerror(-r));
	r = salvage_copy_all(salvage, fd);
	if (!r && fsync(fd) < 0)
		r = salvage_fail(salvage, -errno, "%s: %s", name, strerror(errno));
	if (!r)
		r = link_as(salvage, fd, dir_fd, name);
	if (!r && !salvage->request->keep && !salvage->missing)
		r = remove_partials(salvage);
	return r;
}

/* A region whose dump is gone, with memory that only that had: nothing whole comes of it. */
static int check_lossy(struct salvage *salvage)
{
	struct reader_counts counts = {0};

	if (!reader_is_lossy(salvage->reader))
		return 0;
	if (reader_count(salvage->reader, &counts))
		counts = (struct reader_counts){0};
	salvage->missing = (counts.missing ? counts.missing : 1) * PAGE_SIZE_4K;
	if (salvage->request->output)
		return 0;
	return salvage_fail(salvage, -ENODATA,
		"not complete without its dump: up to %" PRIu64
		" KiB were released when that had them; if it "
		"is elsewhere, name it, and this file with --region; --output FILE copies what is here",
		salvage->missing >> 10);
}

static bool wants_copy(const struct salvage *salvage)
{
	return salvage->request->keep || salvage->request->output;
}

static int run(struct salvage *salvage, bool *ret_in_place)
{
	struct stat final;
	int r;

	r = split_path(salvage);
	if (!r)
		r = open_files(salvage);
	if (r)
		return r;
	*ret_in_place = true;
	if (!salvage->request->output &&
		!fstatat(salvage->dir_fd, salvage->names.final, &final, AT_SYMLINK_NOFOLLOW))
		return settle_final(salvage, &final);
	r = open_reader(salvage);
	if (!r)
		r = check_lossy(salvage);
	if (r)
		return r;
	*ret_in_place = !wants_copy(salvage);
	return *ret_in_place ? in_place(salvage) : by_copy(salvage);
}

int dump_salvage(
	const struct salvage_request *request, struct salvage_result *ret, char *why, size_t why_size)
{
	struct salvage salvage = {
		.request = request,
		.dir_fd = -1,
		.proc_fd = -1,
		.dump_fd = -1,
		.region_fd = -1,
		.why = why,
		.why_size = why_size,
	};
	autofree char *path = NULL;
	bool was_in_place = false;
	int r;

	r = run(&salvage, &was_in_place);
	if (!r && asprintf(&path, "%s%s", request->output ? "" : salvage.dir,
			  request->output ? request->output : salvage.names.final) < 0) {
		path = NULL;
		r = salvage_fail(&salvage, -ENOMEM, "out of memory");
	}
	if (!r)
		*ret = (struct salvage_result){.path = take_ptr(&path),
			.moved = salvage.moved,
			.missing = salvage.missing,
			.in_place = was_in_place};
	reader_close(salvage.reader);
	cleanup_close(&salvage.dump_fd);
	cleanup_close(&salvage.region_fd);
	cleanup_close(&salvage.proc_fd);
	cleanup_close(&salvage.dir_fd);
	free(salvage.region_path);
	free(salvage.name);
	free(salvage.dir);
	return r;
}
