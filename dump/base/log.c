/* SPDX-License-Identifier: Apache-2.0 */
/* dump/base/log.c - see log.h */
#include "dump/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* our choice: longer messages are cut; a panic string (1024) fits */
#define LOG_LINE_MAX 1536

static _Atomic enum log_level log_level = LOG_INFO;
static const char *_Atomic log_prefix = "";

void log_set_level(enum log_level level)
{
	atomic_store(&log_level, level);
}

enum log_level log_get_level(void)
{
	return atomic_load(&log_level);
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
	while (n >= 0 && write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
		;
	errno = saved;
}
