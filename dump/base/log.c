/* SPDX-License-Identifier: Apache-2.0 */
/* dump/base/log.c - see log.h */
#include "dump/base/log.h"

#include <errno.h>
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
static _Atomic uint64_t log_lost; /* lines dropped since the last one that was written */

void log_set_level(enum log_level level)
{
	atomic_store(&log_level, level);
}

enum log_level log_get_level(void)
{
	return atomic_load(&log_level);
}

void log_set_patience(int ms)
{
	atomic_store(&log_patience, ms);
}

static bool takes_something(int ms)
{
	struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};

	/* an error is for write() to find, and does not make it wait */
	return poll(&ready, 1, ms) != 0;
}

bool log_can_write(void)
{
	return atomic_load(&log_patience) < 0 || takes_something(0);
}

static void write_line(const char *line, size_t len)
{
	while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
		;
}

/* False if the line is to be dropped; says how many were, when there is room again. */
static bool may_write(void)
{
	int patience = atomic_load(&log_patience);
	char line[96];
	uint64_t lost;
	int n;

	if (patience < 0)
		return true;
	if (!takes_something(atomic_load(&log_lost) ? 0 : patience)) {
		atomic_fetch_add(&log_lost, 1);
		return false;
	}
	lost = atomic_exchange(&log_lost, 0);
	if (lost) {
		n = snprintf(
			line, sizeof(line), "minivmm: warning: %" PRIu64 " lines are missing here\n", lost);
		write_line(line, (size_t)n);
	}
	if (!lost || takes_something(0))
		return true;
	atomic_fetch_add(&log_lost, 1);
	return false;
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
	if (n >= 0 && may_write())
		write_line(line, len);
	errno = saved;
}
