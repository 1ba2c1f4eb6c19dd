/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/scratch.c - see scratch.h */
#include "tests/unit/scratch.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int saved_stderr = -1, captured = -1;

void scratch_init(struct scratch *scratch)
{
	snprintf(scratch->dir, sizeof(scratch->dir), "/tmp/minivmm-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(scratch->dir));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void scratch_fini(struct scratch *scratch)
{
	ck_assert_int_eq(nftw(scratch->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

char *scratch_path(const struct scratch *scratch, const char *name, char *path, size_t size)
{
	int len = snprintf(path, size, "%s/%s", scratch->dir, name);

	ck_assert(len > 0 && (size_t)len < size);
	return path;
}

char *scratch_file(const struct scratch *scratch, const char *name, const void *data, size_t len,
	char *path, size_t size)
{
	autoclose int fd = -1;

	scratch_path(scratch, name, path, size);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_full(fd, data, len), 0);
	return path;
}

void stderr_capture(void)
{
	saved_stderr = dup(STDERR_FILENO);
	captured = memfd_create("stderr", MFD_CLOEXEC);
	ck_assert(saved_stderr >= 0 && captured >= 0);
	/* the kernel does not keep two threads' lines apart here otherwise */
	ck_assert_int_eq(fcntl(captured, F_SETFL, O_APPEND), 0);
	ck_assert_int_eq(dup2(captured, STDERR_FILENO), STDERR_FILENO);
}

char *stderr_text(void)
{
	struct stat st;
	char *text;

	ck_assert_int_eq(dup2(saved_stderr, STDERR_FILENO), STDERR_FILENO);
	close(saved_stderr);
	ck_assert_int_eq(fstat(captured, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(io_pread_full(captured, text, (size_t)st.st_size, 0), 0);
	close(captured);
	return text;
}
