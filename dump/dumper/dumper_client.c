/* SPDX-License-Identifier: Apache-2.0 */
/* dump/dumper/dumper_client.c - the VMM's end of dumper.h */
#include "dump/dumper/dumper.h"

#include "dump/base/cleanup.h"
#include "dump/dumper/dumper_wire.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* stdin and stdout lead nowhere, stderr stays the operator's, the socket becomes DUMPER_SOCKET_FD. */
static int set_files(posix_spawn_file_actions_t *files, int socket)
{
	int r = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (!r)
		r = posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(files, socket, DUMPER_SOCKET_FD);
	return r;
}

/* Its own session: a terminal's Ctrl-C ends the VMM, not a dump in progress.  No inherited signal mask. */
static int set_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawnattr_setflags(
		attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (!r)
		r = posix_spawnattr_setsigmask(attr, &none);
	if (!r)
		r = posix_spawnattr_setsigdefault(attr, &all);
	return r;
}

static int spawn(int socket, pid_t *ret_pid)
{
	static char name[] = "minivmm", command[] = DUMPER_COMMAND;
	char *const argv[] = {name, command, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int r;

	r = posix_spawn_file_actions_init(&files);
	if (r)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r) {
		posix_spawn_file_actions_destroy(&files);
		return -r;
	}
	r = set_files(&files, socket);
	if (!r)
		r = set_attributes(&attr);
	if (!r)
		r = posix_spawn(ret_pid, "/proc/self/exe", &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

int dumper_spawn(struct dumper *dumper)
{
	autoclose int theirs = -1;
	autoclose int ours = -1;
	int pair[2];
	pid_t pid;
	int r;

	dumper_init(dumper);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	r = spawn(theirs, &pid);
	if (r)
		return r;
	dumper->pid = pid;
	dumper->socket = take_fd(&ours);
	return 0;
}

int dumper_start(struct dumper *dumper, const struct dumper_files *files)
{
	const int all[DUMPER_NR_FDS] = {[DUMPER_FD_RECORD] = files->record,
		[DUMPER_FD_REGION] = files->region,
		[DUMPER_FD_REGION_DIR] = files->region_dir,
		[DUMPER_FD_DIR] = files->dir,
		[DUMPER_FD_FALLBACK_DIR] = files->fallback_dir,
		[DUMPER_FD_DUMP] = files->dump,
		[DUMPER_FD_RELEASED] = files->released};
	struct dumper_request request = {.magic = DUMPER_REQUEST_MAGIC, .resume = files->resume};
	struct iovec iov = {.iov_base = &request, .iov_len = sizeof(request)};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(DUMPER_NR_FDS * sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
	struct cmsghdr *cmsg;
	int fds[DUMPER_NR_FDS];
	size_t nr_fds = 0;
	ssize_t n;

	for (size_t i = 0; i < DUMPER_NR_FDS; i++) {
		if (all[i] < 0)
			continue;
		request.present |= 1u << i;
		fds[nr_fds++] = all[i];
	}
	msg.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, nr_fds * sizeof(int));
	do
		n = sendmsg(dumper->socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	dumper->busy = true;
	return 0;
}

/* The text may come from a dumper that its input has taken over: one printable line, bounded. */
static void clean_text(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (char *c = text; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
}

static bool event_is_valid(const struct dumper_event *event)
{
	switch (event->type) {
	case DUMPER_LINKED:
		if (event->fallback > 1)
			return false;
		__attribute__((fallthrough));
	case DUMPER_PROGRESS:
	case DUMPER_DONE:
		return !event->status && event->done <= event->total && event->total <= DUMP_RAM_MAX &&
		       event->released <= event->total && event->dumped <= event->total;
	case DUMPER_FAILED:
		return event->status < 0 && event->status > -4096 /* the range of errno */;
	default:
		return false;
	}
}

int dumper_receive(struct dumper *dumper, struct dumper_event *ret_event)
{
	struct dumper_event event;
	ssize_t n;

	/* ECONNRESET: it died with requests unread.  Reported once, before what it had sent until then. */
	do
		n = recv(dumper->socket, &event, sizeof(event), MSG_DONTWAIT | MSG_TRUNC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0)
		return -errno;
	if (!n)
		return -EPIPE;
	if (n != sizeof(event) || !event_is_valid(&event))
		return -EPROTO;
	clean_text(event.text, sizeof(event.text));
	if (event.type == DUMPER_DONE || event.type == DUMPER_FAILED)
		dumper->busy = false;
	*ret_event = event;
	return 1;
}

/* Waits until the process has ended, or @ms. */
static void wait_exit(pid_t pid, int ms)
{
	autoclose int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	if (fd >= 0)
		poll(&poll_fd, 1, ms);
}

static void *reap(void *opaque)
{
	waitpid((pid_t)(intptr_t)opaque, NULL, 0);
	return NULL;
}

/* Has @pid waited for by somebody with nothing else to do: until a dump is complete, or a killed process is gone. */
static void reap_later(pid_t pid)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (pthread_attr_init(&attr))
		return;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* it waits, and does nothing; the smallest stack that there may be */
	pthread_attr_setstacksize(&attr, (size_t)PTHREAD_STACK_MIN);
	if (!pthread_create(&thread, &attr, reap, (void *)(intptr_t)pid))
		pthread_setname_np(thread, "dumper-reaper");
	pthread_attr_destroy(&attr);
}

void dumper_fini(struct dumper *dumper)
{
	if (dumper->socket >= 0)
		close(dumper->socket);
	if (dumper->pid > 0) {
		if (!dumper->busy)
			wait_exit(dumper->pid, DUMPER_EXIT_MS);
		if (!waitpid(dumper->pid, NULL, WNOHANG))
			reap_later(dumper->pid);
	}
	dumper_init(dumper);
}

void dumper_kill(struct dumper *dumper)
{
	/* our child, and not waited for yet: the number is still its own */
	if (dumper->pid > 0)
		kill(dumper->pid, SIGKILL);
	dumper->busy = true; /* its end is not waited for here */
	dumper_fini(dumper);
}
