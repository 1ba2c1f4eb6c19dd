/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/files/publish.h - the names of a dump in its directory, and when a file gets one.
 *
 *      <name>.region.partial   the crashed VM's memory, as long as the dump is not complete
 *      <name>.vmcore.partial   the dump, as long as it is not complete
 *      <name>.vmcore           the dump, complete; never anything else
 *      <name>.vmcore.lz4[.partial]     the same for a compressed dump
 *
 * Files are made without a name (O_TMPFILE) and linked.  Nothing here opens a file by its name, so
 * that the dumper's sandbox need not allow it.  Locks: none.
 */
#ifndef DUMP_FILES_PUBLISH_H
#define DUMP_FILES_PUBLISH_H

#include "dump/base/num.h"
#include "dump/record/record.h"

/* with the longest suffix and the NUL */
#define PUBLISH_NAME_MAX (DUMP_NAME_MAX + 24)

struct publish_names {
	char region_partial[PUBLISH_NAME_MAX];
	char dump_partial[PUBLISH_NAME_MAX];
	char final[PUBLISH_NAME_MAX];
};

/* Which of a dump's files a name is. */
enum publish_file { PUBLISH_NONE, PUBLISH_FINAL, PUBLISH_DUMP_PARTIAL, PUBLISH_REGION_PARTIAL };

/*
 * publish_parse - the file that a path names, by its suffix alone, and in *ret_base the bytes of the
 * path before the suffix.  PUBLISH_NONE if it is no name of a dump's file.
 */
enum publish_file publish_parse(const char *path, size_t *ret_base);

/* @name is the valid base name of a record. */
void publish_names_init(struct publish_names *names, const char *name);

/* The same for a dump that is an LZ4 file: <name>.vmcore.lz4.partial, <name>.vmcore.lz4. */
void publish_names_init_lz4(struct publish_names *names, const char *name);

/*
 * publish_proc_open - what publish_link needs of /proc, opened before a sandbox closes the way.
 * Result: a descriptor of /proc/self/fd, close-on-exec, or -errno.
 */
int warn_unused publish_proc_open(void);

/* publish_tmpfile - a new file of @size bytes, all hole, mode 0600, without a name, in @dir_fd. */
int warn_unused publish_tmpfile(int dir_fd, uint64_t size, int *ret_fd);

/*
 * publish_link - give the file @fd the name @name in @dir_fd.  0 also if it has this name already.
 * Errors: -EEXIST if another file has the name, -EXDEV if the file lives on another file system
 * (or in none: memfd), else -errno.
 */
int warn_unused publish_link(int proc_fd, int fd, int dir_fd, const char *name);

/*
 * publish_lock - mark a dump's file as being worked on, until @fd and its duplicates are closed or
 * publish_unlock().  Who only reads needs no lock.  @fd must be open for writing.
 * Errors: -EWOULDBLOCK if another process works on it.
 */
int warn_unused publish_lock(int fd);

/*
 * publish_lock_read - keep a finished dump as it is, and under its name, while it is read for longer: who would remove
 * or change it sees that it is in use.  Others may read it as well.  Ends as publish_lock(); @fd may be open for
 * reading alone.
 * Errors: -EWOULDBLOCK if another process works on it.
 */
int warn_unused publish_lock_read(int fd);

/* Whether another open file has it, of either kind.  Only asks: a lock taken for a moment would make a dumper fail that wants it then. */
bool publish_is_locked(int fd);
void publish_unlock(int fd);

#endif /* DUMP_FILES_PUBLISH_H */
