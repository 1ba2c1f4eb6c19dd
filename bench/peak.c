/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/peak.c - peak DIRECTORY COMMAND [ARGUMENT]...
 *
 * Runs COMMAND and samples how much of DIRECTORY's file system is in use, every millisecond; prints
 * "peak_mib=N start_mib=N" to stderr at the end.  Exit status: COMMAND's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_NS 1000000

static unsigned long long used_mib(const char *directory)
{
	struct statvfs fs;

	if (statvfs(directory, &fs) < 0)
		return 0;
	return (unsigned long long)(fs.f_blocks - fs.f_bfree) * fs.f_frsize >> 20;
}

int main(int argc, char **argv)
{
	const struct timespec pause = {.tv_nsec = SAMPLE_NS};
	unsigned long long start, peak;
	int status;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr, "usage: peak DIRECTORY COMMAND [ARGUMENT]...\n");
		return 2;
	}
	start = peak = used_mib(argv[1]);
	pid = fork();
	if (!pid) {
		execvp(argv[2], argv + 2);
		fprintf(stderr, "peak: %s: %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	if (pid < 0)
		return 1;
	while (!waitpid(pid, &status, WNOHANG)) {
		unsigned long long used = used_mib(argv[1]);

		peak = used > peak ? used : peak;
		nanosleep(&pause, NULL);
	}
	fprintf(stderr, "peak_mib=%llu start_mib=%llu\n", peak, start);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
