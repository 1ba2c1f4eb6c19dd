/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/until.c - until TEXT SECONDS COMMAND [ARGUMENT]...
 *
 * Runs COMMAND until TEXT appears in its standard output, and prints how long that took from its exec, in ms.  COMMAND is
 * killed then.  Exit status: 0 TEXT came; 1 it did not within SECONDS, or COMMAND ended, its last output is on stderr;
 * 2 usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUTPUT_MAX (1 << 20)

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Starts COMMAND with its output in a pipe; the pipe's end for us is *@ret_fd.  -1: no process or pipe. */
static pid_t start(char **command, int *ret_fd)
{
	int fds[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pid_t pid;

	if (null < 0 || pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null, STDIN_FILENO);
		dup2(fds[1], STDOUT_FILENO);
		execvp(command[0], command);
		fprintf(stderr, "until: %s: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	close(fds[1]);
	close(null);
	*ret_fd = fds[0];
	return pid;
}

/* The moment when @text came, or 0; what was read is in @output. */
static double wait_for(int fd, const char *text, double end, char output[OUTPUT_MAX])
{
	size_t len = 0;

	while (now_ms() < end) {
		struct pollfd pollfd = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&pollfd, 1, (int)(end - now_ms()) + 1) <= 0)
			continue;
		n = read(fd, output + len, OUTPUT_MAX - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		output[len] = '\0';
		if (strstr(output, text))
			return now_ms();
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char output[OUTPUT_MAX];
	double begin, seen;
	pid_t pid;
	int fd;

	if (argc < 4 || atoi(argv[2]) <= 0) {
		fprintf(stderr, "usage: until TEXT SECONDS COMMAND [ARGUMENT]...\n");
		return 2;
	}
	begin = now_ms();
	pid = start(argv + 3, &fd);
	if (pid < 0) {
		fprintf(stderr, "until: %s\n", strerror(errno));
		return 1;
	}
	seen = wait_for(fd, argv[1], begin + atoi(argv[2]) * 1e3, output);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (!seen) {
		fprintf(stderr, "%s\nuntil: no '%s'\n", output, argv[1]);
		return 1;
	}
	printf("%.1f\n", seen - begin);
	return 0;
}
