/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/events.c - see events.h
 *
 * Fields are found by searching for their quoted name and a colon.  That cannot match inside a string,
 * because a quote inside a string has a backslash before it, and so the name would not end in a bare one.
 */
#include "tests/kvm/events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

int event_log_open(struct event_log *log, const char *path)
{
	int err;

	*log = (struct event_log){.fd = -1, .watch = -1};
	log->text = malloc(EVENT_LOG_MAX + 1);
	if (!log->text)
		return -ENOMEM;
	log->fd = open(path, O_RDONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (log->fd >= 0)
		log->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (log->fd < 0 || log->watch < 0 || inotify_add_watch(log->watch, path, IN_MODIFY) < 0) {
		err = -errno;
		event_log_close(log);
		return err;
	}
	return 0;
}

void event_log_close(struct event_log *log)
{
	free(log->text);
	if (log->fd >= 0)
		close(log->fd);
	if (log->watch >= 0)
		close(log->watch);
	*log = (struct event_log){.fd = -1, .watch = -1};
}

void event_log_update(struct event_log *log)
{
	char notices[4096];
	char *end;
	ssize_t n;

	/* the notices first: what is written after this read() makes a new one */
	while (read(log->watch, notices, sizeof(notices)) > 0)
		;
	while (log->read < EVENT_LOG_MAX &&
		(n = read(log->fd, log->text + log->read, EVENT_LOG_MAX - log->read)) > 0)
		log->read += (size_t)n;
	while ((end = memchr(log->text + log->used, '\n', log->read - log->used))) {
		*end = '\0';
		log->used = (size_t)(end + 1 - log->text);
	}
}

const char *event_next(const struct event_log *log, const char *after)
{
	const char *next = after ? after + strlen(after) + 1 : log->text;

	return next < log->text + log->used ? next : NULL;
}

/* The text behind "@field":, or NULL. */
static const char *find_field(const char *event, const char *field)
{
	char key[64];
	const char *at;

	snprintf(key, sizeof(key), "\"%s\":", field);
	at = strstr(event, key);
	return at ? at + strlen(key) : NULL;
}

bool event_u64(const char *event, const char *field, uint64_t *ret)
{
	const char *at = find_field(event, field);
	char *end;

	*ret = 0;
	if (!at || *at < '0' || *at > '9')
		return false;
	errno = 0;
	*ret = strtoull(at, &end, 10);
	return !errno && (*end == ',' || *end == '}');
}

bool event_text(const char *event, const char *field, char *buf, size_t size)
{
	const char *at = find_field(event, field);
	size_t len = 0;

	buf[0] = '\0';
	if (!at || *at++ != '"')
		return false;
	for (; *at && *at != '"' && len + 1 < size; at++) {
		if (*at == '\\' && (at[1] == '"' || at[1] == '\\'))
			at++; /* other escapes stay as they are */
		buf[len++] = *at;
	}
	buf[len] = '\0';
	return *at == '"';
}

bool event_is_true(const char *event, const char *field)
{
	const char *at = find_field(event, field);

	return at && !strncmp(at, "true", 4);
}

uint64_t event_ns(const char *event)
{
	uint64_t ns;

	return event_u64(event, "ns", &ns) ? ns : 0;
}

static bool is_event(const char *event, const char *name, int generation)
{
	char found[64];
	uint64_t number;

	if (!event_text(event, "event", found, sizeof(found)) || strcmp(found, name))
		return false;
	return generation < 0 ||
	       (event_u64(event, "generation", &number) && number == (uint64_t)generation);
}

const char *event_find(const struct event_log *log, const char *name, int generation, const char *after)
{
	const char *event = after;

	while ((event = event_next(log, event)))
		if (is_event(event, name, generation))
			break;
	return event;
}

unsigned event_count(const struct event_log *log, const char *name)
{
	unsigned count = 0;

	for (const char *event = NULL; (event = event_find(log, name, -1, event));)
		count++;
	return count;
}
