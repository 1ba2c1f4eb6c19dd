/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/events.h - reads the event log of minivmm while it is being written (docs/events.md).
 *
 * An event is handed out as its line, without the newline; it stays valid until the log is closed.
 * Waiting is inotify on the file: no event is looked for twice without a reason.
 */
#ifndef TESTS_KVM_EVENTS_H
#define TESTS_KVM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* far above what 1000 generations write; a longer log is cut there */
#define EVENT_LOG_MAX (1u << 24)

struct event_log {
	int fd;      /* owned; -1 = closed */
	int watch;   /* owned: inotify; readable when the file has grown */
	char *text;  /* owned: lines, each ended by a NUL instead of its newline */
	size_t used; /* bytes of complete lines */
	size_t read; /* bytes read from the file; what is over @used is a line that is not complete yet */
};

/* Makes the file, empty.  Result: 0 or -errno. */
int event_log_open(struct event_log *log, const char *path);
void event_log_close(struct event_log *log);

/* Reads what is new; call before looking for something. */
void event_log_update(struct event_log *log);

/* The event after @after (NULL: the first one), or NULL. */
const char *event_next(const struct event_log *log, const char *after);

/* The first event @name of @generation (-1: of any) after @after; NULL if there is none. */
const char *event_find(const struct event_log *log, const char *name, int generation, const char *after);

/* How many events @name there are, of all generations. */
unsigned event_count(const struct event_log *log, const char *name);

/* A field.  Results: false and 0 or "" if it is not there or of another type. */
bool event_u64(const char *event, const char *field, uint64_t *ret);
bool event_text(const char *event, const char *field, char *buf, size_t size);
bool event_is_true(const char *event, const char *field);

/* The moment of an event, ns. */
uint64_t event_ns(const char *event);

#endif /* TESTS_KVM_EVENTS_H */
