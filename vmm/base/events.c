/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/base/events.c - see events.h */
#include "vmm/base/events.h"

#include "dump/base/io.h"
#include "dump/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A line under construction; what does not fit is left out whole (full). */
struct line {
	char text[EVENT_LINE_MAX];
	size_t len;
	bool full;
};

static void add(struct line *line, const char *text)
{
	size_t len = strlen(text);

	/* room for the closing brace and newline */
	if (line->len + len + 3 > sizeof(line->text)) {
		line->full = true;
		return;
	}
	memcpy(line->text + line->len, text, len);
	line->len += len;
}

static void add_string(struct line *line, const char *text)
{
	char escaped[8];

	add(line, "\"");
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			snprintf(escaped, sizeof(escaped), "\\%c", *c);
		else if (*c < 0x20 || *c >= 0x7f)
			snprintf(escaped, sizeof(escaped), "\\u%04x", *c);
		else
			snprintf(escaped, sizeof(escaped), "%c", *c);
		add(line, escaped);
	}
	add(line, "\"");
}

static void add_field(struct line *line, const struct event_field *field)
{
	size_t start = line->len;
	char number[24];

	add(line, ",");
	add_string(line, field->name);
	add(line, ":");
	switch (field->type) {
	case EVENT_U64:
		snprintf(number, sizeof(number), "%" PRIu64, field->number);
		add(line, number);
		break;
	case EVENT_BOOL:
		add(line, field->number ? "true" : "false");
		break;
	case EVENT_STR:
		add_string(line, field->text ? field->text : "");
		break;
	}
	if (line->full) {
		line->len = start;
		line->full = false;
	}
}

int events_open(struct events *events, const char *path)
{
	*events = (struct events){.fd = -1};
	if (!path)
		return 0;
	events->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return events->fd < 0 ? -errno : 0;
}

void events_close(struct events *events)
{
	if (events->fd >= 0)
		close(events->fd);
	events->fd = -1;
}

void events_emit_at(struct events *events, const char *name, uint64_t ns, uint32_t generation,
	const struct event_field *fields, size_t nr_fields)
{
	static _Atomic bool warned;
	struct line line = {.len = 0};
	int err;

	if (events->fd < 0 && !events->listener)
		return;
	line.len = (size_t)snprintf(line.text, sizeof(line.text),
		"{\"event\":\"%s\",\"ns\":%" PRIu64 ",\"generation\":%" PRIu32, name, ns, generation);
	for (size_t i = 0; i < nr_fields; i++)
		add_field(&line, &fields[i]);
	line.text[line.len++] = '}';
	line.text[line.len++] = '\n';
	if (events->listener)
		events->listener(events->opaque, line.text, line.len);
	if (events->fd < 0)
		return;
	err = io_write_full(events->fd, line.text, line.len);
	if (err && !atomic_exchange(&warned, true))
		log_warn("event log: %s; events are lost from here on", strerror(-err));
}
