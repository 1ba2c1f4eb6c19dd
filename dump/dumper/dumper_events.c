/* SPDX-License-Identifier: Apache-2.0 */
/* dump/dumper/dumper_events.c - what the dumper tells the VMM while it works: see dumper_impl.h */
#include "dump/dumper/dumper_impl.h"

#include "dump/base/io.h"
#include "dump/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* our choice: a progress bar needs no more */
#define PROGRESS_INTERVAL_NS (50 * NSEC_PER_MSEC)

/*
 * our choice: bytes given back before the VMM is told again, 2 ms' worth at 4 GB/s; a waiting VM takes as
 * long to fill it
 */
#define RELEASED_STEP MIB(8)
static struct dumper_event make_event(const struct dump_engine *engine, enum dumper_event_type type)
{
	struct dumper_event event = {
		.type = type,
		.generation = engine->record->generation,
		.done = engine->done,
		.total = engine->layout.ram,
		.released = engine->released,
		.dumped = engine->dumped,
		.distrusted = engine->selection.distrusted,
	};

	for (size_t i = 0; i < VMCORE_SELECTORS_MAX; i++)
		event.excluded[i] = engine->selection.excluded[i];
	memcpy(event.reasons, engine->selection.reasons, sizeof(event.reasons));
	return event;
}

/* False if the VMM is gone, or when not to @wait its buffer is full. */
static bool send_event(const struct session *session, const struct dumper_event *event, bool wait)
{
	ssize_t n;

	do
		n = send(session->socket, event, sizeof(*event), MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*event);
}

static void send_progress(struct session *session, const struct dump_engine *engine, bool last)
{
	uint64_t now = clock_mono_ns();
	struct dumper_event event;

	if (last)
		pthread_mutex_lock(&session->progress_lock);
	else if (pthread_mutex_trylock(&session->progress_lock))
		return;
	if (last || now - session->progress_ns >= PROGRESS_INTERVAL_NS) {
		session->progress_ns = now;
		event = make_event(engine, DUMPER_PROGRESS);
		send_event(session, &event, false);
	}
	pthread_mutex_unlock(&session->progress_lock);
}

/* Tells the VMM that memory has been given back: now and then, for the first time and for the @last time. */
static void ring_released(struct session *session, const struct dump_engine *engine, bool last)
{
	uint64_t released = engine->released, rung = atomic_load(&session->rung), one = 1;

	if (session->released_fd < 0 || released == rung)
		return;
	if (rung && released - rung < RELEASED_STEP && !last)
		return;
	if (!atomic_compare_exchange_strong(&session->rung, &rung, released) && !last)
		return; /* another worker has just done it */
	if (write(session->released_fd, &one, sizeof(one)) < 0)
		log_debug("dumper: eventfd: %s", strerror(errno)); /* full: it is readable all the same */
}

void dumper_on_notice(struct dump_engine *engine, enum dump_notice notice)
{
	struct session *session = engine->notify_arg;
	struct dumper_event event;

	switch (notice) {
	case DUMP_NOTICE_LINKED:
		event = make_event(engine, DUMPER_LINKED);
		event.fallback = !!engine->detour[0];
		snprintf(event.text, sizeof(event.text), "%s", engine->detour);
		send_event(session, &event, false);
		break;
	case DUMP_NOTICE_PROGRESS:
	case DUMP_NOTICE_COPIED:
		ring_released(session, engine, notice == DUMP_NOTICE_COPIED);
		send_progress(session, engine, notice == DUMP_NOTICE_COPIED);
		break;
	}
}

/* Host memory behind the published dump; 0 if it cannot be asked. */
static uint64_t file_bytes(const struct dump_engine *engine)
{
	struct stat st;

	if (fstatat(engine->out_dir_fd, engine->names.final, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return io_stat_bytes(&st);
}

void dumper_report(const struct session *session, const struct dump_engine *engine, int error)
{
	struct dumper_event event = make_event(engine, error ? DUMPER_FAILED : DUMPER_DONE);

	event.status = error;
	snprintf(event.text, sizeof(event.text), "%s", error ? engine->why : engine->selection.distrust);
	if (!error)
		event.file_bytes = file_bytes(engine);
	if (send_event(session, &event, true))
		return;
	if (error)
		log_error("dump %s failed: %s", engine->record->name, engine->why);
	else
		log_info("dump %s is complete", engine->names.final);
}

void dumper_report_refusal(const struct session *session, uint32_t generation, int error, const char *what)
{
	struct dumper_event event = {.type = DUMPER_FAILED, .generation = generation, .status = error};

	snprintf(event.text, sizeof(event.text), "request refused: %s: %s", what, strerror(-error));
	if (!send_event(session, &event, true))
		log_error("%s", event.text);
}
