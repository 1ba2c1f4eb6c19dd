/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/files/catalog.h - the dumps of a directory, by their names and sizes alone: no file is opened but to
 * ask whether somebody works on it.
 *
 * A dump is everything with one base name: NAME.vmcore, NAME.vmcore.partial, NAME.region.partial, and the
 * first two with .lz4.
 * Locks: none.
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
 * catalog_remove - unlink every file of the dump; the partial ones first, so that what is left after a
 * kill is never taken for an interrupted dump.  Files that are not there do not count.  0 or -errno.
 */
int warn_unused catalog_remove(int dir_fd, const char *name);

#endif /* DUMP_FILES_CATALOG_H */
