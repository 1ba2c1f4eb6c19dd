/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/base/log.h - messages for the operator, one line each, to stderr.
 *
 * Library code logs at debug only; whoever decides what an error means logs it once, with the
 * object, the number with its unit, and strerror.  The level is the project's only global mutable
 * state.  A line is written by one write(2), so lines of several threads or processes do not mix.
 */
#ifndef DUMP_BASE_LOG_H
#define DUMP_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Set before threads start. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/*
 * log_set_prefix - bytes written before each line; the VMM sets "\r\033[K" while a progress bar may
 * stand in the last line of the terminal.  @prefix is borrowed for ever; NULL = none.
 */
void log_set_prefix(const char *prefix);

/*
 * log_set_patience - how long a line waits for a standard error that takes nothing (a terminal that was stopped,
 * a pipe that nobody reads), in ms; -1 (at first) = for ever.  After one that has waited in vain, lines are
 * dropped without waiting until it takes something again; a line then says how many.  Set before threads start.
 * Lines that cannot be written for another reason (a full disk) are counted too.
 */
void log_set_patience(int ms);

/* True if standard error takes something now, or no patience is set. */
bool log_can_write(void);

/* Writes @text as it is, for what is no line of its own.  False: not all of it, or nothing, was taken. */
bool log_write_text(const char *text, size_t len);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

/*
 * Rate limit for lines that a guest can cause: at most @burst lines, then one summary.
 * Locks: the owner of the struct serialises, or uses one per thread.
 */
struct log_limit {
	uint32_t burst;      /* lines allowed */
	uint32_t used;       /* lines written so far */
	uint64_t suppressed; /* lines not written */
};

/* True if the caller may write its line. */
static inline bool log_limit_ok(struct log_limit *limit)
{
	if (limit->used < limit->burst) {
		limit->used++;
		return true;
	}
	limit->suppressed++;
	return false;
}

#endif /* DUMP_BASE_LOG_H */
