/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/stamp.c - stamp FILE COMMAND [ARGUMENT]...
 *
 * Writes CLOCK_MONOTONIC in ns to FILE and becomes COMMAND: what COMMAND logs with the same clock can be
 * measured from its exec.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec now;
	FILE *file;

	if (argc < 3) {
		fprintf(stderr, "usage: stamp FILE COMMAND [ARGUMENT]...\n");
		return 2;
	}
	file = fopen(argv[1], "we");
	if (!file || clock_gettime(CLOCK_MONOTONIC, &now) < 0 ||
		fprintf(file, "%lld\n", now.tv_sec * 1000000000ll + now.tv_nsec) < 0 || fclose(file)) {
		fprintf(stderr, "stamp: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	execvp(argv[2], argv + 2);
	fprintf(stderr, "stamp: %s: %s\n", argv[2], strerror(errno));
	return 1;
}
