/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/files/commit.h - how a dump gets its final name: the one order for all who make dumps.
 *
 *      COMMIT_DATA        what the file holds is on the disk
 *      COMMIT_SEAL        it says that it is complete, and that is on the disk
 *      COMMIT_NAME        it has its name
 *      COMMIT_DIRECTORY   the name is on the disk
 *      COMMIT_REMOVAL     what it replaces goes
 *
 * A kill or an error between two of them leaves what a salvage can go on with: before the seal the file does not call
 * itself complete, before the directory nothing was removed.  On tmpfs nothing has to be brought to a disk.
 *
 * Works with descriptors alone and by calls that the dumper's sandbox allows.  Each call can be made to fail
 * by a test (dump/base/io.h).  Locks: none; who commits holds publish_lock on the files.
 */
#ifndef DUMP_FILES_COMMIT_H
#define DUMP_FILES_COMMIT_H

#include "dump/base/num.h"

#include <stdbool.h>
#include <stddef.h>

enum commit_step { COMMIT_DATA, COMMIT_SEAL, COMMIT_NAME, COMMIT_DIRECTORY, COMMIT_REMOVAL, COMMIT_DONE };

/* A name that goes when the dump has its own. */
struct commit_removal {
	int dir_fd;
	const char *name;
	/*
	 * The file that it is to be the name of; -1: whatever has it.  If another file has it meanwhile, that is
	 * somebody else's and stays.
	 */
	int fd;
};

/* All of it is borrowed. */
struct commit {
	int fd;           /* the dump, with everything written but what @seal writes */
	int proc_fd;      /* publish_proc_open() */
	int dir_fd;       /* where it gets its name; not O_PATH */
	const char *name; /* its final name; it may have that already */
	/* Writes what says that the dump is complete, after everything else is on the disk.  NULL: it is there already. */
	int (*seal)(void *arg);
	/* Told whenever a part has reached the disk.  NULL: nobody wants to know. */
	void (*progress)(void *arg);
	/* Told when the name is there to stay, before anything is removed.  NULL: nobody wants to know. */
	void (*named)(void *arg);
	void *arg; /* of these three */
	/*
	 * In this order, and not beyond the first that cannot go: the file with the tables comes last, since the other
	 * one alone would be taken for more than it is.  The dump has them, if one of the names is its own.  A name that is
	 * not there is no error.
	 */
	const struct commit_removal *removals;
	size_t nr_removals;
	/*
	 * Nothing is lost if the file has no name: it is a copy.  Then the name is taken back if the directory cannot be
	 * brought to the disk.  Without it, that is done only when the file has another name.
	 */
	bool is_copy;
};

/*
 * commit - as above.  Can be repeated after a kill or an error at any step but COMMIT_DATA and COMMIT_SEAL: what could
 * not be brought to the disk must be written anew first.
 * Errors: *ret_step (may be NULL) is the step that failed, else COMMIT_DONE; -EEXIST in COMMIT_NAME: another file has the
 * name; else -errno.  In COMMIT_REMOVAL the dump is whole and safe all the same.
 */
int warn_unused commit(const struct commit *commit, enum commit_step *ret_step);

/*
 * commit_rest - what is left of a commit that was killed after COMMIT_NAME: COMMIT_DIRECTORY and on.  @commit->fd may be -1,
 * for a caller that knows only the name to mean the dump.  As commit().
 */
int warn_unused commit_rest(const struct commit *commit, enum commit_step *ret_step);

/*
 * commit_data - what the file @fd holds is on the disk, sent there in slices; 0 at once on tmpfs.  @progress: as in struct
 * commit.  Errors: -errno; what was written before the call then is nowhere for sure.
 */
int warn_unused commit_data(int fd, void (*progress)(void *arg), void *arg);

/* The failure @error (-errno) of @step in words. */
void commit_explain(
	const struct commit *commit, enum commit_step step, int error, char *why, size_t why_size);

#endif /* DUMP_FILES_COMMIT_H */
