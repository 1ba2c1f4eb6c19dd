/* SPDX-License-Identifier: Apache-2.0 */
/* tests/kvm/process.c - see process.h */
#include "tests/kvm/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* what a shell says of a program that it cannot execute */
#define STATUS_NO_EXEC 127
#define STATUS_SIGNAL 128

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

void sleep_until(uint64_t ns)
{
	struct timespec at = {.tv_sec = (time_t)(ns / NSEC_PER_SEC), .tv_nsec = (long)(ns % NSEC_PER_SEC)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

size_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	while (fd >= 0 && len + 1 < size && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	if (fd >= 0)
		close(fd);
	buf[len] = '\0';
	return len;
}

/* ---- start, wait, end ------------------------------------------------------------------------ */

static int redirect(const char *path, int flags, int to)
{
	int fd = open(path, flags, 0600);

	return fd < 0 || dup2(fd, to) < 0 ? -errno : 0;
}

/* What a child is to have and be. */
struct child {
	char *const *argv;
	const char *out, *err; /* files; NULL = fds */
	const int *fds;
	bool background;
	pid_t parent;
};

static int take_files(const struct child *child)
{
	int err = redirect("/dev/null", O_RDONLY, STDIN_FILENO);

	if (!err)
		err = redirect(child->out, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, STDOUT_FILENO);
	if (!err)
		err = redirect(child->err, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, STDERR_FILENO);
	return err;
}

/* The first terminal among @fds becomes this session's; another job has its foreground, if this is to be in the background. */
static void take_terminal(const int *fds, bool background)
{
	int tty = -1;
	pid_t other;

	for (int i = 2; i >= 0; i--)
		if (fds[i] >= 0 && isatty(fds[i]))
			tty = fds[i];
	if (tty < 0 || setsid() < 0 || ioctl(tty, TIOCSCTTY, 0) < 0 || !background)
		return;
	other = fork();
	if (!other) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	setpgid(other, other);
	signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(tty, other);
	signal(SIGTTOU, SIG_DFL);
}

static int take_fds(const struct child *child)
{
	int high[3];

	take_terminal(child->fds, child->background);
	for (int i = 0; i < 3; i++) /* out of each other's way */
		high[i] = child->fds[i] < 0 ? -1 : fcntl(child->fds[i], F_DUPFD, 10);
	for (int i = 0; i < 3; i++)
		if (high[i] < 0)
			close(i);
		else if (dup2(high[i], i) < 0)
			return -errno;
	return 0;
}

static _Noreturn void become(const struct child *child)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!(child->fds ? take_fds(child) : take_files(child)) && !prctl(PR_SET_PDEATHSIG, SIGKILL) &&
		getppid() == child->parent) {
		close_range(STDERR_FILENO + 1, ~0u, 0);
		execv(child->argv[0], child->argv);
	}
	_exit(STATUS_NO_EXEC);
}

static int open_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

static int start(struct process *ret, struct child *child)
{
	pid_t pid;
	int pidfd;

	child->parent = getpid();
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		become(child);
	pidfd = open_pidfd(pid); /* not reaped yet, so the number is still this child's */
	if (pidfd < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return pidfd;
	}
	*ret = (struct process){.pid = pid, .pidfd = pidfd};
	return 0;
}

int process_start(struct process *ret, char *const argv[], const char *out, const char *err)
{
	return start(ret, &(struct child){.argv = argv, .out = out, .err = err});
}

int process_start_on(struct process *ret, char *const argv[], const int fds[3], bool background)
{
	return start(ret, &(struct child){.argv = argv, .fds = fds, .background = background});
}

int process_wait_gone(const struct process *process, int ms)
{
	struct pollfd poll_fd = {.fd = process->pidfd, .events = POLLIN};
	uint64_t end = now_ns() + (uint64_t)ms * NSEC_PER_MSEC;
	int n;

	do {
		uint64_t now = now_ns();

		n = poll(&poll_fd, 1, now < end ? (int)((end - now) / NSEC_PER_MSEC + 1) : 0);
	} while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : -ETIMEDOUT;
}

int process_wait(struct process *process, int ms)
{
	int status, err = process_wait_gone(process, ms);

	if (err)
		return err;
	if (waitpid(process->pid, &status, 0) != process->pid)
		return -ECHILD;
	close(process->pidfd);
	*process = (struct process){.pidfd = -1};
	return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_SIGNAL + WTERMSIG(status);
}

int process_signal(const struct process *process, int signal)
{
	return syscall(SYS_pidfd_send_signal, process->pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

void process_fini(struct process *process)
{
	if (process->pid) {
		process_signal(process, SIGKILL);
		waitpid(process->pid, NULL, 0); /* fails at once for one that is not a child */
		close(process->pidfd);
	}
	*process = (struct process){.pidfd = -1};
}

void process_close(struct process *process)
{
	close(process->pidfd);
	*process = (struct process){.pidfd = -1};
}

void process_adopt_orphans(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

int process_reap_all(int ms)
{
	uint64_t end = now_ns() + (uint64_t)ms * NSEC_PER_MSEC;
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL); /* so that none is missed between the two calls below */
	for (;;) {
		struct timespec left;
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		uint64_t now = now_ns();

		if (pid < 0)
			return 0;
		if (pid > 0)
			continue;
		if (now >= end)
			return -ETIMEDOUT;
		left = (struct timespec){.tv_sec = (time_t)((end - now) / NSEC_PER_SEC),
			.tv_nsec = (long)((end - now) % NSEC_PER_SEC)};
		sigtimedwait(&child, NULL, &left);
	}
}

/* ---- /proc ----------------------------------------------------------------------------------- */

/* Parent of @pid, 0 if there is no such process. */
static pid_t parent_of(pid_t pid)
{
	char path[64], text[1024];
	const char *at;
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	read_file(path, text, sizeof(text));
	at = strrchr(text, ')'); /* the name before it may contain anything */
	if (!at || sscanf(at, ") %*c %d", &parent) != 1)
		return 0;
	return parent;
}

static bool is_command(pid_t pid, const char *name, const char *argument)
{
	char path[64], text[512];
	const char *last;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	len = read_file(path, text, sizeof(text)); /* words end with a NUL each */
	last = strrchr(text, '/');
	last = last ? last + 1 : text;
	return len > strlen(text) + 1 && !strcmp(last, name) && !strcmp(text + strlen(text) + 1, argument);
}

static int try_child(struct process *ret, pid_t pid, pid_t parent, const char *name, const char *argument)
{
	int fd;

	if (parent_of(pid) != parent || !is_command(pid, name, argument))
		return -ESRCH;
	fd = open_pidfd(pid);
	if (fd < 0)
		return fd;
	/* once more: only now is it certain that descriptor and description are of one process */
	if (parent_of(pid) != parent || !is_command(pid, name, argument)) {
		close(fd);
		return -ESRCH;
	}
	*ret = (struct process){.pid = pid, .pidfd = fd};
	return 0;
}

int process_find_child(struct process *ret, pid_t parent, const char *name, const char *argument)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int err = -ESRCH;

	if (!dir)
		return -errno;
	while (err && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			err = try_child(ret, (pid_t)atoi(entry->d_name), parent, name, argument);
	closedir(dir);
	return err;
}

/* Entries of a directory but . and .., or -errno. */
static int count_entries(pid_t pid, const char *what)
{
	struct dirent *entry;
	char path[64];
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

int process_usage(pid_t pid, struct process_usage *ret)
{
	int fds = count_entries(pid, "fd"), threads = count_entries(pid, "task");
	unsigned long long kib;
	char path[64], text[4096];
	const char *at;

	if (fds < 0 || threads < 0)
		return fds < 0 ? fds : threads;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	read_file(path, text, sizeof(text));
	at = strstr(text, "\nRssAnon:");
	if (!at || sscanf(at, "\nRssAnon: %llu kB", &kib) != 1)
		return -ESRCH;
	*ret = (struct process_usage){
		.fds = (unsigned)fds, .threads = (unsigned)threads, .anonymous = kib << 10};
	return 0;
}

uint64_t process_unnamed_bytes(pid_t pid)
{
	struct stat seen[128];
	size_t nr_seen = 0;
	struct dirent *entry;
	uint64_t bytes = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && nr_seen < sizeof(seen) / sizeof(seen[0]) && (entry = readdir(dir))) {
		struct stat *st = &seen[nr_seen];
		size_t i = 0;

		if (fstatat(dirfd(dir), entry->d_name, st, 0) || !S_ISREG(st->st_mode) || st->st_nlink)
			continue;
		while (i < nr_seen && (seen[i].st_ino != st->st_ino || seen[i].st_dev != st->st_dev))
			i++;
		if (i < nr_seen)
			continue;
		nr_seen++;
		bytes += (uint64_t)st->st_blocks * 512; /* the unit of st_blocks */
	}
	if (dir)
		closedir(dir);
	return bytes;
}
