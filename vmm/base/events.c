/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/base/events.c - see events.h */
#include "vmm/base/events.h"

#include "dump/base/io.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

/* No VM is concerned: the number of the first one stands for none, as in "start". */
static size_t say_lost(uint64_t count, char *buf, size_t size)
{
	return (size_t)snprintf(buf, size,
		"{\"event\":\"lost\",\"ns\":%" PRIu64 ",\"generation\":0,\"count\":%" PRIu64 "}\n",
		clock_mono_ns(), count);
}

int events_open(struct events *events, const char *path)
{
	*events = (struct events){0};
	if (!path)
		return 0;
	return outlet_open(&events->out, &(struct outlet_setup){.what = "event log",
						 .unit = "events",
						 .lines = true,
						 .path = path,
						 .size = EVENTS_BUFFER,
						 .say_lost = say_lost});
}

void events_close(struct events *events)
{
	outlet_close(&events->out);
}

void events_emit_at(struct events *events, const char *name, uint64_t ns, uint32_t generation,
	const struct event_field *fields, size_t nr_fields)
{
	struct line line = {.len = 0};

	if (!events->out.started && !events->listener)
		return;
	line.len = (size_t)snprintf(line.text, sizeof(line.text),
		"{\"event\":\"%s\",\"ns\":%" PRIu64 ",\"generation\":%" PRIu32, name, ns, generation);
	for (size_t i = 0; i < nr_fields; i++)
		add_field(&line, &fields[i]);
	line.text[line.len++] = '}';
	line.text[line.len++] = '\n';
	if (events->listener)
		events->listener(events->opaque, line.text, line.len);
	outlet_put(&events->out, line.text, line.len);
}
