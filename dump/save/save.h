/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/save/save.h - copies a finished dump to another directory, in one of the formats of a const table: elf, lz4,
 * kdump, virtual.  The copy has no name before all of it is on the disk.
 *
 * Holes stay holes, pages of zeros become some.  Through pread and pwrite alone: a full disk is an error.
 * Locks: none.
 */
#ifndef DUMP_SAVE_SAVE_H
#define DUMP_SAVE_SAVE_H

#include "dump/save/kdump.h"
#include "dump/read/reader.h"

#include <limits.h>

struct save_format {
	const char *name;   /* as in --format */
	const char *suffix; /* of the file's name */
	const char *help;
	/* Why the format is not for @reader (static text), or NULL.  NULL: it is for every one. */
	const char *(*check)(struct reader *reader);
	/* Writes @reader into the empty file @fd.  0 or -errno. */
	int (*write)(struct reader *reader, int fd, const struct kdump_progress *progress);
	/*
	 * Whether the file @fd is what write() makes of @reader: 0, -EBADMSG if it is not, or -errno.  NULL: there is no way
	 * to tell.
	 */
	int (*compare)(struct reader *reader, int fd, const struct kdump_progress *progress);
	bool pages; /* of an image of whole pages both use whole pages of the file, as O_DIRECT wants it */
};

extern const struct save_format save_formats[];
extern const size_t save_nr_formats;

/* By name; NULL if there is none. */
const struct save_format *save_find_format(const char *name);

/*
 * save_check - whether @reader may be saved as @format: all of it is there, the file up to its last byte, its trailer,
 * each page that was selected.  -EINVAL if not; -EOPNOTSUPP if the format is not for it; -errno; @why tells in words.
 */
int warn_unused save_check(
	struct reader *reader, const struct save_format *format, char *why, size_t why_size);

/* The name that a copy of the dump @path gets: its own, without the suffix of a dump, with the format's. */
int warn_unused save_name(const char *path, const struct save_format *format, char name[NAME_MAX]);

/*
 * dump_save - copy @reader, which was opened by a path, into the directory @dir under its own name.
 * Result: 0, and in @path the name of the copy, which is on the disk with everything in it.  Errors: -EINVAL for a
 * dump of which something is missing, were it a byte; -EOPNOTSUPP for one that the format is not
 * for; -EEXIST if the name is taken, else -errno; @why tells in words.
 */
int warn_unused dump_save(struct reader *reader, const char *dir, const struct save_format *format,
	const struct kdump_progress *progress, char path[PATH_MAX], char *why, size_t why_size);

#endif /* DUMP_SAVE_SAVE_H */
