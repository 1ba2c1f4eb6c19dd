/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/linux/disk/start.c - starts a program as a shell script cannot.
 *
 *	start tap NAME FD COMMAND...   with descriptor FD being the tap interface NAME, ready for [net NAME] fd
 *	start terminal COMMAND...      on a terminal of its own: standard input is typed there, what appears there is written to
 *	                               standard output.  In the end "terminal: as before" or "terminal: changed" tells of its mode
 *
 * The exit status is COMMAND's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "start: %s: %s\n", what, strerror(errno));
	exit(1);
}

static _Noreturn void with_tap(const char *name, int fd, char **command)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int tap = open("/dev/net/tun", O_RDWR);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &request) < 0 || dup2(tap, fd) < 0)
		die(name);
	if (tap != fd)
		close(tap);
	execvp(command[0], command);
	die(command[0]);
}

/* Copies what there is; false at the end. */
static bool copy(int from, int to)
{
	char bytes[4096];
	ssize_t n = read(from, bytes, sizeof(bytes));

	for (ssize_t done = 0, m; done < n; done += m)
		if ((m = write(to, bytes + done, (size_t)(n - done))) <= 0)
			return false;
	return n > 0;
}

static int on_terminal(char **command)
{
	struct termios before = {0}, after = {0}; /* with their padding */
	int terminal, side, status;
	pid_t child;

	/* this side of the terminal stays open here, or its mode would be gone with the program */
	if (openpty(&terminal, &side, NULL, NULL, NULL) || tcgetattr(side, &before))
		die("terminal");
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		close(terminal);
		login_tty(side);
		execvp(command[0], command);
		die(command[0]);
	}
	for (struct pollfd polls[] = {{STDIN_FILENO, POLLIN, 0}, {terminal, POLLIN, 0}};;) {
		int ready = poll(polls, 2, 50);

		if (polls[1].revents && !copy(terminal, STDOUT_FILENO))
			polls[1].fd = -1;
		if (polls[0].revents && !copy(STDIN_FILENO, terminal))
			polls[0].fd = -1;
		if (ready == 0 && waitpid(child, &status, WNOHANG) == child)
			break; /* and nothing is left to read */
	}
	if (tcgetattr(side, &after))
		die("terminal");
	printf("terminal: %s\n", memcmp(&before, &after, sizeof(before)) ? "changed" : "as before");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	if (argc > 4 && !strcmp(argv[1], "tap"))
		with_tap(argv[2], atoi(argv[3]), argv + 4);
	if (argc > 2 && !strcmp(argv[1], "terminal"))
		return on_terminal(argv + 2);
	fprintf(stderr, "usage: start tap NAME FD COMMAND... | terminal COMMAND...\n");
	return 2;
}
