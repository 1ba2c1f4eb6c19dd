/* SPDX-License-Identifier: Apache-2.0 */
/* dump/base/log.c - see log.h */
#include "dump/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* our choice: longer messages are cut; a panic string (1024) fits */
#define LOG_LINE_MAX 1536

static _Atomic enum log_level log_level = LOG_INFO;
static const char *_Atomic log_prefix = "";
static _Atomic int log_patience = -1;
static _Atomic int log_fd = STDERR_FILENO;
static _Atomic uint64_t log_lost; /* lines dropped since the last one that was written */

void log_set_level(enum log_level level)
{
	atomic_store(&log_level, level);
}

enum log_level log_get_level(void)
{
	return atomic_load(&log_level);
}

/*
 * A terminal that has some room left is ready, and write() of a longer line waits all the same, unless it is opened
 * anew for us alone: O_NONBLOCK of the open file that we have would be everybody's who shares it.
 */
static int open_terminal(void)
{
	return isatty(STDERR_FILENO) ? open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
				     : -1;
}

void log_set_patience(int ms)
{
	int fd = ms >= 0 ? open_terminal() : -1, old;

	old = atomic_exchange(&log_fd, fd >= 0 ? fd : STDERR_FILENO);
	if (old != STDERR_FILENO)
		close(old);
	atomic_store(&log_patience, ms);
}

static bool takes_something(int ms)
{
	struct pollfd ready = {.fd = atomic_load(&log_fd), .events = POLLOUT};

	/* an error is for write() to find, and does not make it wait */
	return poll(&ready, 1, ms) != 0;
}

bool log_can_write(void)
{
	return atomic_load(&log_patience) < 0 || takes_something(0);
}

bool log_write_text(const char *text, size_t len)
{
	int fd = atomic_load(&log_fd);

	while (len) {
		ssize_t n = write(fd, text, len);

		if (n > 0) {
			text += n;
			len -= (size_t)n;
		} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
			return false;
		} else if (errno == EAGAIN && !takes_something(atomic_load(&log_patience))) {
			return false;
		}
	}
	return true;
}

/* After lines were dropped: says how many.  False: it takes nothing still. */
static bool tell_lost(uint64_t lost)
{
	char line[96];
	int n = snprintf(
		line, sizeof(line), "minivmm: warning: %" PRIu64 " lines are missing here\n", lost);

	if (log_write_text(line, (size_t)n))
		return true;
	atomic_fetch_add(&log_lost, lost);
	return false;
}

/* False if the line is to be dropped; says how many were, when there is room again. */
static bool may_write(void)
{
	int patience = atomic_load(&log_patience);
	uint64_t lost = atomic_load(&log_lost);

	if (patience >= 0 && !takes_something(lost ? 0 : patience))
		return false;
	lost = lost ? atomic_exchange(&log_lost, 0) : 0;
	if (lost && !tell_lost(lost))
		return false;
	return !lost || patience < 0 || takes_something(0);
}

void log_set_prefix(const char *prefix)
{
	atomic_store(&log_prefix, prefix ? prefix : "");
}

void log_write(enum log_level level, const char *fmt, ...)
{
	static const char *const words[] = {[LOG_ERROR] = "error: ",
		[LOG_WARN] = "warning: ",
		[LOG_INFO] = "",
		[LOG_DEBUG] = "debug: "};
	char line[LOG_LINE_MAX];
	int saved = errno;
	va_list args;
	size_t len;
	int n;

	if (level > log_get_level())
		return;
	n = snprintf(line, sizeof(line) - 2, "%sminivmm: %s", atomic_load(&log_prefix), words[level]);
	len = n > 0 ? (size_t)n : 0;
	va_start(args, fmt);
	n = vsnprintf(line + len, sizeof(line) - 2 - len, fmt, args);
	va_end(args);
	len = strnlen(line, sizeof(line) - 2);
	line[len++] = '\n';
	if (n >= 0 && (!may_write() || !log_write_text(line, len)))
		atomic_fetch_add(&log_lost, 1);
	errno = saved;
}
