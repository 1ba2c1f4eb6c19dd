/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/replay.c - runs a fuzz target over files that exist, without a fuzzing engine.
 *
 *	fuzz_X FILE|DIRECTORY...
 *
 * Directories are taken with all that is below them.  This is how `make check` replays
 * tests/fuzz/corpus/, and how a crash that a fuzzer found is run under a debugger.
 *
 * Exit status: 0 every input was run, 1 one could not be read or none was found, 2 usage.
 */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The target.  Its result only tells a fuzzer whether to keep the input: it is no verdict. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	autofree uint8_t *data = NULL;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	/* Exactly as many bytes as there are, so that a sanitizer sees the first one behind them. */
	data = malloc((size_t)st.st_size);
	if (!data && st.st_size)
		return -ENOMEM;
	r = io_pread_full(fd, data, (size_t)st.st_size, 0);
	if (r)
		return r;
	(void)LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	return 0;
}

/* By name, so that every run takes the same order. */
static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

int main(int argc, char **argv)
{
	unsigned run = 0, failed = 0;
	FTSENT *entry;
	FTS *walk;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE|DIRECTORY...\n", argv[0]);
		return 2;
	}
	walk = fts_open(argv + 1, FTS_PHYSICAL | FTS_NOCHDIR | FTS_COMFOLLOW, by_name);
	if (!walk) {
		perror(argv[0]);
		return 1;
	}
	while ((entry = fts_read(walk))) {
		int r = 0;

		if (entry->fts_info == FTS_F) {
			r = replay_file(entry->fts_accpath);
			run++;
		} else if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ||
			   entry->fts_info == FTS_NS) {
			r = -entry->fts_errno;
		}
		if (r) {
			fprintf(stderr, "%s: %s\n", entry->fts_path, strerror(-r));
			failed++;
		}
	}
	fts_close(walk);
	printf("%s: %u inputs replayed, %u failed\n", argv[0], run, failed);
	return failed || !run;
}
