/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/scratch.h - a directory for one test, and what the code under test writes to stderr.
 *
 * Every helper ends the test (ck_abort) when the host refuses; none returns an error.
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <stddef.h>

struct scratch {
	char dir[64];
};

void scratch_init(struct scratch *scratch);
void scratch_fini(struct scratch *scratch); /* removes the directory and what is in it */

/* Writes "DIR/NAME" into @path of @size bytes and returns it. */
char *scratch_path(const struct scratch *scratch, const char *name, char *path, size_t size);

/* Makes a file with @len bytes at @data in it; its path goes to @path. */
char *scratch_file(const struct scratch *scratch, const char *name, const void *data, size_t len,
	char *path, size_t size);

/* From here on stderr goes to a file, until stderr_text(). */
void stderr_capture(void);

/* What was written since stderr_capture(), NUL-terminated; the caller frees it.  stderr is as before. */
char *stderr_text(void);

#endif /* TESTS_UNIT_SCRATCH_H */
