/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/salvage.c - see salvage.h: which way to go, the names. */
#include "dump/save/salvage_impl.h"

#include "dump/base/cleanup.h"
#include "dump/read/reader_chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

	r = salvage_split_path(salvage);
	if (!r)
		r = salvage_open_files(salvage);
	if (r)
		return r;
	*ret_in_place = true;
	if (!salvage->request->output &&
		!fstatat(salvage->dir_fd, salvage->names.final, &final, AT_SYMLINK_NOFOLLOW))
		return settle_final(salvage, &final);
	r = salvage_open_reader(salvage);
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
