/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/cli/cmd_dump_output.h - the file that --output names: it gets its name when all of it is there, it never takes
 * the place of a file that the dump is read from, and of another one only when told to.  Private to vmm/cli/cmd_dump*.c.
 */
#ifndef VMM_CLI_CMD_DUMP_OUTPUT_H
#define VMM_CLI_CMD_DUMP_OUTPUT_H

#include "dump/read/reader.h"

#include <limits.h>

struct dump_output {
	const char *path; /* borrowed; NULL = standard output */
	int fd;           /* owned but for standard output */
	bool sparse;      /* a file in which holes may be left: written by offset, then set to its size */
	bool overwrite;
	int dir_fd;              /* owned; -1 = nothing to be named: no regular file */
	char name[NAME_MAX + 1]; /* in @dir_fd, where links have led */
	char temporary[32];      /* its name until then; "" = none */
	uint64_t at;             /* bytes written so far */
};

/*
 * dump_output_open - @path NULL: standard output.  @overwrite: a regular file that is there may be replaced.
 * Result: an exit code, after it has said what was wrong.
 */
int warn_unused dump_output_open(
	struct dump_output *out, const char *path, bool overwrite, const struct reader *reader);

/* The next @len bytes; @buf NULL: they are zeros.  0 or -errno. */
int warn_unused dump_output_write(struct dump_output *out, const void *buf, uint64_t len);

/* All is written: the file gets its name.  Result: an exit code, after it has said what was wrong. */
int warn_unused dump_output_finish(struct dump_output *out);

/* Closes it; what has no name yet is gone.  After a failed open, too. */
void dump_output_close(struct dump_output *out);

#endif /* VMM_CLI_CMD_DUMP_OUTPUT_H */
