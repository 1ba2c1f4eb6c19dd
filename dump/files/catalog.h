/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/files/catalog.h - the dumps of a directory, by their names and sizes alone: no file is opened but to
 * ask whether somebody works on it.
 *
 * A dump is what has one base name and one format: NAME.vmcore, NAME.vmcore.partial and NAME.region.partial; or
 * NAME.vmcore.lz4, NAME.vmcore.lz4.partial and NAME.region.partial.  Where both formats of a name are there, one
 * is a copy of the other, and the region belongs to the one that was being made from it.
 * Locks: none, but those that catalog_remove() takes.
 */
#ifndef DUMP_FILES_CATALOG_H
#define DUMP_FILES_CATALOG_H

#include "dump/files/publish.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which of its files a dump has. */
#define CATALOG_FINAL (1u << PUBLISH_FINAL)
#define CATALOG_DUMP_PARTIAL (1u << PUBLISH_DUMP_PARTIAL)
#define CATALOG_REGION_PARTIAL (1u << PUBLISH_REGION_PARTIAL)
#define CATALOG_LZ4 (1u << 8) /* the dump, partial or final, is an LZ4 file */

struct catalog_dump {
	char name[DUMP_NAME_MAX];
	unsigned files; /* CATALOG_* */
	uint64_t
		bytes; /* of memory or disk behind its files (st_blocks); a file of two names counts once */
	uint64_t apparent; /* st_size of its largest file */
	uint64_t time_ns;  /* when the newest of its names was made (ctime), ns since 1970 */
	bool in_use;       /* a dumper, or somebody who salvages, works on it */
};

struct catalog {
	struct catalog_dump *dumps; /* owned; oldest first, then by name */
	size_t nr;
};

/* The name of the file that stands for the dump: the final one, else the partial one, else the region. */
void catalog_file_name(const struct catalog_dump *dump, char *buf, size_t size);

/* catalog_read - what is in @dir_fd now.  Files that vanish meanwhile are left out.  0 or -errno. */
int warn_unused catalog_read(int dir_fd, struct catalog *ret);
void catalog_fini(struct catalog *catalog);

/* Complete, and nobody works on it. */
static inline bool catalog_is_complete(const struct catalog_dump *dump)
{
	return (dump->files & CATALOG_FINAL) && !dump->in_use;
}

/*
 * True if the dump's @file, one of its .partial names, is a leftover of the complete dump under its final name: the same
 * file, or one that was made under the same name as that.
 */
bool catalog_is_leftover(int dir_fd, const struct catalog_dump *dump, enum publish_file file);

/*
 * catalog_remove - unlink those of the dump's files that are in @files, and no others; with its final name only such
 * .partial ones as are its leftovers.  The one with the tables goes last of the partial ones, and these before the
 * final one, so that what is left after a kill is never taken for an interrupted dump, nor for more than it is.
 * All are locked before the first goes.  Files that are not there do not count.
 * Errors: -EBUSY, and nothing is removed, if somebody works on one of them; else -errno.
 */
int warn_unused catalog_remove(int dir_fd, const struct catalog_dump *dump, unsigned files);

#endif /* DUMP_FILES_CATALOG_H */
