/* SPDX-License-Identifier: Apache-2.0 */
/* dump/files/commit.c - see commit.h */
#include "dump/files/commit.h"

#include "dump/base/io.h"
#include "dump/files/publish.h"
#include "dump/format/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* our choice: what one call sends to the disk, so that somebody who waits sees progress */
#define SLICE_BYTES MIB(32)

int commit_data(int fd, void (*progress)(void *arg), void *arg)
{
	struct stat st;
	uint64_t size;
	int r = 0;

	if (dump_tail_is_shm(fd))
		return 0;
	size = fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
	/* an error of a slice counts: the kernel has told it then, and fsync would say that all is well */
	for (uint64_t off = 0; !r && progress && off < size; off += SLICE_BYTES) {
		r = io_sync_range(fd, off, u64_min(SLICE_BYTES, size - off));
		if (!r)
			progress(arg);
	}
	return r ? r : io_sync(fd);
}

static int seal(const struct commit *commit)
{
	int r = commit->seal ? commit->seal(commit->arg) : 0;

	return r || !commit->seal ? r : commit_data(commit->fd, NULL, NULL);
}

/* The name that the directory may have lost again: as if it had never been given, so that the next try gives it anew. */
static void take_name_back(const struct commit *commit)
{
	struct stat st;

	if (commit->fd < 0)
		return; /* who has only the name leaves it */
	if (commit->is_copy || (!fstat(commit->fd, &st) && st.st_nlink > 1))
		(void)!io_unlink(commit->dir_fd, commit->name);
}

static int sync_directory(const struct commit *commit)
{
	int r = dump_tail_is_shm(commit->fd < 0 ? commit->dir_fd : commit->fd)
			? 0
			: io_sync_dir(commit->dir_fd);

	if (r == -EINVAL)
		return 0; /* fsync(2): a file system that has no such call, and can do no better */
	if (r)
		take_name_back(commit);
	return r;
}

/* 1: the name is there and means another file than it should; 0, or -errno: -ENOENT if there is none. */
static int is_another(const struct commit_removal *removal)
{
	struct stat named, meant;

	if (removal->fd < 0)
		return 0;
	if (fstatat(removal->dir_fd, removal->name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
		fstat(removal->fd, &meant) < 0)
		return -errno;
	return named.st_dev != meant.st_dev || named.st_ino != meant.st_ino;
}

static int remove_name(const struct commit_removal *removal)
{
	int r = is_another(removal);

	if (!r)
		r = io_unlink(removal->dir_fd, removal->name);
	return r == -ENOENT || r == 1 ? 0 : r;
}

static int remove_all(const struct commit *commit)
{
	int r = 0;

	for (size_t i = 0; !r && i < commit->nr_removals; i++)
		r = remove_name(&commit->removals[i]);
	return r;
}

static int link_name(const struct commit *commit)
{
	return publish_link(commit->proc_fd, commit->fd, commit->dir_fd, commit->name);
}

static int bring_data(const struct commit *commit)
{
	return commit_data(commit->fd, commit->progress, commit->arg);
}

static int from_step(const struct commit *commit, enum commit_step step, enum commit_step *ret_step)
{
	static int (*const steps[COMMIT_DONE])(const struct commit *commit) = {
		[COMMIT_DATA] = bring_data,
		[COMMIT_SEAL] = seal,
		[COMMIT_NAME] = link_name,
		[COMMIT_DIRECTORY] = sync_directory,
		[COMMIT_REMOVAL] = remove_all,
	};
	int r = 0;

	for (; step < COMMIT_DONE; step++) {
		if (step == COMMIT_REMOVAL && commit->named)
			commit->named(commit->arg);
		r = steps[step](commit);
		if (r)
			break;
	}
	if (ret_step)
		*ret_step = step;
	return r;
}

int commit(const struct commit *commit, enum commit_step *ret_step)
{
	return from_step(commit, COMMIT_DATA, ret_step);
}

int commit_rest(const struct commit *commit, enum commit_step *ret_step)
{
	return from_step(commit, COMMIT_DIRECTORY, ret_step);
}

/* The first of the names that is still there. */
static const char *what_stays(const struct commit *commit)
{
	struct stat st;

	for (size_t i = 0; i < commit->nr_removals; i++)
		if (!fstatat(
			    commit->removals[i].dir_fd, commit->removals[i].name, &st, AT_SYMLINK_NOFOLLOW))
			return commit->removals[i].name;
	return "what it replaces";
}

void commit_explain(
	const struct commit *commit, enum commit_step step, int error, char *why, size_t why_size)
{
	const char *text = strerror(-error);

	switch (step) {
	case COMMIT_DATA:
		snprintf(why, why_size, "what %s holds cannot be brought to the disk: %s", commit->name,
			text);
		return;
	case COMMIT_SEAL:
		snprintf(why, why_size, "%s cannot be marked as complete: %s", commit->name, text);
		return;
	case COMMIT_NAME:
		snprintf(why, why_size, "cannot give it the name %s: %s", commit->name, text);
		return;
	case COMMIT_DIRECTORY:
		snprintf(
			why, why_size, "the name %s cannot be brought to the disk: %s", commit->name, text);
		return;
	case COMMIT_REMOVAL:
		snprintf(why, why_size, "the dump is whole, but %s cannot be removed: %s",
			what_stays(commit), text);
		return;
	case COMMIT_DONE:
		break;
	}
	snprintf(why, why_size, "%s is complete", commit->name);
}
