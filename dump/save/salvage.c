/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/salvage.c - see salvage.h: which way to go, the names. */
#include "dump/save/salvage_impl.h"

#include "dump/base/cleanup.h"
#include "dump/format/tail.h"
#include "dump/read/reader_chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- names ------------------------------------------------------------------------------------------------ */

/*
 * The .partial files.  The one that has the tables goes last: the other one alone would be taken for more than it is, a
 * region for memory of which nothing was released.  When a name is one of the complete dump @fd, that is the one.
 */
static size_t list_partials(const struct salvage *salvage, int fd, struct commit_removal removals[2])
{
	const struct commit_removal dump = {salvage->dir_fd, salvage->names.dump_partial, salvage->dump_fd};
	const struct commit_removal region = {AT_FDCWD, salvage->region_path, salvage->region_fd};
	struct stat st;
	bool own = !fstat(fd, &st) && salvage_is_file(&st, salvage->dump_fd);
	bool region_last = salvage->lz4 && !own;
	size_t nr = 0;

	if (region_last && salvage->dump_fd >= 0)
		removals[nr++] = dump;
	if (salvage->region_fd >= 0)
		removals[nr++] = region;
	if (!region_last && salvage->dump_fd >= 0)
		removals[nr++] = dump;
	return nr;
}

int salvage_commit(struct salvage *salvage, int fd, int dir_fd, const char *name,
	int (*seal)(void *salvage), bool is_copy, bool remove)
{
	struct commit_removal removals[2];
	const struct commit request = {
		.fd = fd,
		.proc_fd = salvage->proc_fd,
		.dir_fd = dir_fd,
		.name = name,
		.seal = seal,
		.arg = salvage,
		.removals = removals,
		.nr_removals = remove ? list_partials(salvage, fd, removals) : 0,
		.is_copy = is_copy,
	};
	enum commit_step step;
	int r = commit(&request, &step);

	/* what failed in the seal has said so itself */
	if (r && !(step == COMMIT_SEAL && salvage->why[0]))
		commit_explain(&request, step, r, salvage->why, salvage->why_size);
	return r;
}

/* ---- the two ways ----------------------------------------------------------------------------------------- */

/* What is not compressed gets a name that says so. */
static void drop_lz4_suffix(struct salvage *salvage)
{
	struct publish_names plain;

	publish_names_init(&plain, salvage->name);
	memcpy(salvage->names.final, plain.final, sizeof(plain.final));
}

/* The dump is whole but for its seal, whatever that takes.  Compressed and complete, it has all of it. */
static int make_whole(struct salvage *salvage, bool compressed)
{
	const struct reader *reader = salvage->reader;

	if (reader->compressed)
		return salvage_unpack(salvage);
	if (reader->kind == READER_REGION)
		return salvage_convert_region(salvage);
	if (reader->kind == READER_PARTIAL)
		return salvage_finish_dump(salvage);
	/* its writer may have died of the disk, or before it had waited for it */
	return compressed && !dump_tail_is_shm(salvage->dump_fd) ? salvage_rewrite(salvage) : 0;
}

/*
 * The region becomes the dump where the dump was to be, or, if that is on another file system, in its own directory:
 * *ret_fd, for the caller to close.
 */
static int region_dir(struct salvage *salvage, const struct stat *region, int *ret_fd)
{
	const char *slash = strrchr(salvage->region_path, '/');
	struct stat dir;

	if (fstat(salvage->dir_fd, &dir) < 0)
		return salvage_fail(salvage, -errno, "%s", strerror(errno));
	if (dir.st_dev != region->st_dev) {
		free(salvage->dir);
		salvage->dir = strndup(
			salvage->region_path, slash ? (size_t)(slash - salvage->region_path) + 1 : 0);
		if (!salvage->dir)
			return salvage_fail(salvage, -ENOMEM, "out of memory");
		*ret_fd = open(salvage->dir[0] ? salvage->dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	} else {
		*ret_fd = fcntl(salvage->dir_fd, F_DUPFD_CLOEXEC, 0);
	}
	return *ret_fd < 0 ? salvage_fail(salvage, -errno, "%s: %s", salvage->dir, strerror(errno)) : 0;
}

static int name_region(struct salvage *salvage, const struct stat *region)
{
	autoclose int dir_fd = -1;
	int r = region_dir(salvage, region, &dir_fd);

	drop_lz4_suffix(salvage);
	return r ? r
		 : salvage_commit(salvage, salvage->region_fd, dir_fd, salvage->names.final,
			   salvage_seal_region, false, true);
}

static int in_place(struct salvage *salvage)
{
	struct stat read_file;
	bool compressed, region;
	int r;

	if (fstat(salvage->reader->image.fd, &read_file) < 0)
		return salvage_fail(salvage, -errno, "%s", strerror(errno));
	region = salvage_is_file(&read_file, salvage->region_fd);
	compressed = !region && salvage->lz4;
	r = salvage_load_bitmap(salvage);
	if (!r)
		r = make_whole(salvage, compressed);
	if (r)
		return r;
	return region ? name_region(salvage, &read_file)
		      : salvage_commit(salvage, salvage->dump_fd, salvage->dir_fd, salvage->names.final,
				compressed ? NULL : salvage_seal_dump, false, true);
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

/* What lacks something must not have the name of a complete dump, wherever it is. */
static int name_partial(struct salvage *salvage, char name[NAME_MAX + 1], const char *wanted)
{
	const char *output = salvage->request->output;
	size_t base;
	int len = snprintf(name, NAME_MAX + 1, "%s%s", wanted,
		publish_parse(output, &base) == PUBLISH_FINAL ? ".partial" : "");

	if (len > NAME_MAX)
		return salvage_fail(salvage, -ENAMETOOLONG, "%s: %s", wanted, strerror(ENAMETOOLONG));
	if (asprintf(&salvage->output, "%.*s%s", (int)(strlen(output) - strlen(wanted)), output, name) >= 0)
		return 0;
	salvage->output = NULL;
	return salvage_fail(salvage, -ENOMEM, "out of memory");
}

/* Gives the copy its name: that of the request, if nothing is missing. */
static int name_copy(struct salvage *salvage, int fd, int dir_fd, const char *name)
{
	bool remove = !salvage->request->keep && !salvage->missing;
	char partial[NAME_MAX + 1];
	int r = 0;

	if (salvage->missing && !salvage->request->output)
		return salvage_fail(salvage, -ENODATA,
			"%" PRIu64 " KiB are in none of its files; what is there can be read as it is, and "
			"--output FILE copies it",
			salvage->missing >> 10);
	if (salvage->missing)
		r = name_partial(salvage, partial, name);
	return r ? r
		 : salvage_commit(
			   salvage, fd, dir_fd, salvage->missing ? partial : name, NULL, true, remove);
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
	r = output || salvage->reader->kind != READER_PARTIAL ? 0 : salvage_check_missing(salvage);
	if (r)
		return r;
	r = publish_tmpfile(dir_fd, salvage->reader->trailer.file_size, &fd);
	if (r)
		return salvage_fail(salvage, r, "cannot make the new dump: %s", strerror(-r));
	r = salvage_copy_all(salvage, fd);
	return r ? r : name_copy(salvage, fd, dir_fd, name);
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
	int r;

	r = salvage_split_path(salvage);
	if (!r)
		r = salvage_open_files(salvage);
	*ret_in_place = true;
	if (!r && !salvage->request->output)
		r = salvage_settle(salvage);
	if (r)
		return r > 0 ? 0 : r;
	r = salvage_open_reader(salvage);
	if (!r)
		r = check_lossy(salvage);
	if (r)
		return r;
	*ret_in_place = !wants_copy(salvage);
	return *ret_in_place ? in_place(salvage) : by_copy(salvage);
}

/* Of the result; the caller frees it. */
static char *result_path(struct salvage *salvage)
{
	const char *output = salvage->request->output;
	char *path;

	if (salvage->output)
		return take_ptr(&salvage->output);
	if (asprintf(&path, "%s%s", output ? "" : salvage->dir, output ? output : salvage->names.final) < 0)
		return NULL;
	return path;
}

static void fini(struct salvage *salvage)
{
	reader_close(salvage->reader);
	cleanup_close(&salvage->dump_fd);
	cleanup_close(&salvage->region_fd);
	cleanup_close(&salvage->proc_fd);
	cleanup_close(&salvage->dir_fd);
	free(salvage->selected);
	free(salvage->region_path);
	free(salvage->output);
	free(salvage->name);
	free(salvage->dir);
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
	struct salvage_result result = {0};
	int r;

	why[0] = '\0';
	r = run(&salvage, &result.in_place);
	if (!r) {
		result.path = result_path(&salvage);
		result.moved = salvage.moved;
		result.missing = salvage.missing;
		result.unreadable = salvage.unreadable;
		r = result.path ? 0 : salvage_fail(&salvage, -ENOMEM, "out of memory");
	}
	if (!r)
		*ret = result;
	fini(&salvage);
	return r;
}
