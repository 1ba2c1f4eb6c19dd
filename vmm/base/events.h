/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/base/events.h - the event log: one JSON object a line (--events FILE).
 *
 *	{"event":"crash","ns":81230011,"generation":0,"reason":"panic","cpu":0}
 *
 * ns is CLOCK_MONOTONIC.  docs/events.md lists every event and its fields.
 * The file may be anything that can be written: a thread of its own writes it (outlet.h), so that a reader that stands
 * still, or a FIFO without one, holds up nobody.  Where events are missing stands one that counts them, "lost".
 *
 * Locks: any thread; a line is written whole.
 */
#ifndef VMM_BASE_EVENTS_H
#define VMM_BASE_EVENTS_H

#include "dump/base/io.h"
#include "vmm/base/outlet.h"

#include <stddef.h>
#include <stdint.h>

/* our choice: a panic string of 1024 bytes, each escaped as \u00xx, and the other fields */
#define EVENT_LINE_MAX 8192

/* our choice: what some thousand events take, those of tens of crashes */
#define EVENTS_BUFFER KIB(256)

struct events {
	struct outlet out; /* not started = no file */
	/* gets each line too, with its newline; any thread.  NULL = nobody.  Set while only one thread emits. */
	void (*listener)(void *opaque, const char *line, size_t len);
	void *opaque; /* borrowed: argument of listener */
};

/* Appends to @path (created 0600); NULL = no log.  A FIFO that nobody reads yet is no error. */
int warn_unused events_open(struct events *events, const char *path);

/* Waits for the writer as long as somebody takes what it writes (outlet.h). */
void events_close(struct events *events);

enum event_field_type { EVENT_U64, EVENT_STR, EVENT_BOOL };

struct event_field {
	const char *name;
	enum event_field_type type;
	uint64_t number;
	const char *text; /* any bytes; escaped on output */
};

#define EV_U64(n, v) ((struct event_field){.name = (n), .type = EVENT_U64, .number = (v)})
#define EV_BOOL(n, v) ((struct event_field){.name = (n), .type = EVENT_BOOL, .number = (v)})
#define EV_STR(n, v) ((struct event_field){.name = (n), .type = EVENT_STR, .text = (v)})

/*
 * events_emit_at - one line: @name, time @ns, @generation, then the fields.
 * Never fails and never waits: an event for which there is no room is counted (outlet.h).
 */
void events_emit_at(struct events *events, const char *name, uint64_t ns, uint32_t generation,
	const struct event_field *fields, size_t nr_fields);

/* The same, with fields as arguments. */
#define EVENT_AT(events, name, ns, generation, ...)                                                        \
	do {                                                                                               \
		const struct event_field fields_[] = {{0}, ##__VA_ARGS__};                                 \
		events_emit_at(events, name, ns, generation, fields_ + 1, ARRAY_LEN(fields_) - 1);         \
	} while (0)
#define EVENT(events, name, generation, ...)                                                               \
	EVENT_AT(events, name, clock_mono_ns(), generation, ##__VA_ARGS__)

#endif /* VMM_BASE_EVENTS_H */
