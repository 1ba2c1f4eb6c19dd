/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/base/outlet.c - see outlet.h; the writer thread is at the end. */
#include "vmm/base/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* our choice: how long the writer looks at a descriptor that takes nothing before it looks whether it is to end */
#define TICK_MS 100
/* our choice: what cannot be written is tried again so often */
#define RETRY_NS (250 * NSEC_PER_MSEC)
/* our choice: somebody who opens a log twice a second to see what is lost needs no more lines than this */
#define WARNINGS 8
#define MARKER_MAX 256
/* our choices: in the end nothing waits but the process's own exit; a slow reader gets what the ring holds */
#define LAST_PATIENCE_NS (3 * NSEC_PER_SEC)
#define CLOSE_NS (10 * NSEC_PER_SEC)

/* ---- the ring ------------------------------------------------------------------------------------ */

static void append(struct outlet *o, const char *text, size_t len)
{
	size_t at = o->head % o->setup.size, first = (size_t)u64_min(len, o->setup.size - at);

	if (!len)
		return;
	memcpy(o->ring + at, text, first);
	memcpy(o->ring, text + first, len - first);
	if (o->head == o->tail) {
		o->moved_ns = clock_mono_ns();
		pthread_cond_signal(&o->filled);
	}
	o->head += len;
	o->mid_line = text[len - 1] != '\n';
}

static size_t room(const struct outlet *o, size_t reserve)
{
	uint64_t used = o->head - o->tail + reserve;

	return used < o->setup.size ? (size_t)(o->setup.size - used) : 0;
}

/*
 * Where text is missing a line says so, once a part of the ring is free: somebody who takes a byte at a time gets text, not
 * lines about its loss.  False: @len bytes have no room either.
 */
static bool mark_loss(struct outlet *o, size_t len, size_t reserve)
{
	char marker[MARKER_MAX + 1];
	size_t n = 0;

	if (!o->lost)
		return true;
	if (o->mid_line)
		marker[n++] = '\n';
	n += o->setup.say_lost(o->lost, marker + n, MARKER_MAX);
	if (room(o, reserve) < u64_max(n + len, o->setup.size / 4))
		return false;
	append(o, marker, n);
	o->lost = 0;
	return true;
}

size_t outlet_put_some(struct outlet *o, const char *text, size_t len, size_t reserve)
{
	size_t taken;

	if (!len || !mark_loss(o, 0, reserve))
		return 0;
	taken = (size_t)u64_min(len, room(o, reserve));
	append(o, text, taken);
	return taken;
}

void outlet_lose(struct outlet *o, const char *text, size_t len)
{
	uint64_t units = o->setup.lines ? 0 : len;

	for (size_t i = 0; o->setup.lines && i < len; i++)
		units += text[i] == '\n';
	o->lost += units;
	o->lost_ever += units;
}

void outlet_put(struct outlet *o, const char *text, size_t len)
{
	if (!o->started)
		return;
	pthread_mutex_lock(&o->lock);
	if (room(o, 0) >= len && mark_loss(o, len, 0))
		append(o, text, len);
	else
		outlet_lose(o, text, len);
	pthread_mutex_unlock(&o->lock);
}

/* ---- waiting ------------------------------------------------------------------------------------- */

static struct timespec at_ns(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / NSEC_PER_SEC), .tv_nsec = (long)(ns % NSEC_PER_SEC)};
}

static bool is_stuck(const struct outlet *o, uint64_t patience_ns)
{
	return o->failing || clock_mono_ns() - o->moved_ns >= patience_ns;
}

bool outlet_await_room(struct outlet *o)
{
	struct timespec end = at_ns(o->moved_ns + OUTLET_PATIENCE_NS);

	if (is_stuck(o, OUTLET_PATIENCE_NS))
		return false;
	pthread_cond_timedwait(&o->drained, &o->lock, &end);
	return true;
}

static void flush(struct outlet *o, uint64_t timeout_ns, uint64_t patience_ns)
{
	uint64_t end = clock_mono_ns() + timeout_ns;

	pthread_mutex_lock(&o->lock);
	while (o->head != o->tail && !is_stuck(o, patience_ns) && clock_mono_ns() < end) {
		struct timespec until = at_ns(u64_min(end, o->moved_ns + patience_ns));

		pthread_cond_timedwait(&o->drained, &o->lock, &until);
	}
	pthread_mutex_unlock(&o->lock);
}

void outlet_flush(struct outlet *o, uint64_t timeout_ns)
{
	if (o->started)
		flush(o, timeout_ns, OUTLET_PATIENCE_NS);
}

/* ---- the file ------------------------------------------------------------------------------------ */

/* O_NONBLOCK: open() of a FIFO does not wait for its reader, and no write waits where nobody can end it. */
static int open_path(struct outlet *o)
{
	struct stat st;

	o->fd = open(o->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	if (o->fd < 0)
		return -errno;
	o->regular = !fstat(o->fd, &st) && S_ISREG(st.st_mode);
	o->owned = true;
	return 0;
}

static bool is_fifo(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISFIFO(st.st_mode);
}

/* A file that has reached its bound becomes PATH.1, and what that was goes. */
static int rotate(struct outlet *o, size_t len)
{
	char old[OUTLET_PATH_MAX + 4];
	struct stat st;

	if (!o->path || !o->regular || !o->setup.max_bytes || fstat(o->fd, &st) < 0 || !st.st_size ||
		(uint64_t)st.st_size + len <= o->setup.max_bytes)
		return 0;
	snprintf(old, sizeof(old), "%s.1", o->path);
	if (rename(o->path, old) < 0 && errno != ENOENT) {
		log_warn("%s: %s cannot be renamed: %s; it grows beyond its bound", o->setup.what, o->path,
			strerror(errno));
		o->setup.max_bytes = 0;
		return 0;
	}
	close(o->fd);
	return open_path(o);
}

/* Writes some of @text.  Result: bytes; 0 = it takes none now (after TICK_MS); -errno. */
static ssize_t write_some(struct outlet *o, const char *text, size_t len)
{
	struct pollfd ready = {.fd = o->fd, .events = POLLOUT};
	int err = o->fd < 0 ? open_path(o) : rotate(o, len);
	ssize_t n;

	if (err)
		return err;
	ready.fd = o->fd;
	if (!o->regular && poll(&ready, 1, TICK_MS) <= 0)
		return 0;
	/* what poll() finds room for in a pipe or a terminal is at least this, mostly: write() does not wait then */
	n = write(o->fd, text, o->regular ? len : u64_min(len, PIPE_BUF));
	if (n >= 0)
		return n;
	if (errno != EAGAIN && errno != EINTR)
		return -errno;
	poll(NULL, 0, 1); /* a descriptor that says both: ready, and not now */
	return 0;
}

/* ---- the writer thread --------------------------------------------------------------------------- */

/* With the lock held: the operator is told once when text cannot be written, or is lost; @n is the last attempt's result. */
static void tell_trouble(struct outlet *o, ssize_t n)
{
	if (!o->failing && !o->lost)
		o->told = false;
	else if (!o->told && log_limit_ok(&o->warnings)) {
		o->told = true;
		pthread_mutex_unlock(&o->lock);
		log_warn("%s: %s; what there is no room for meanwhile is lost", o->setup.what,
			n >= 0        ? "it is taken too slowly, or not at all"
			: n == -ENXIO ? "nobody reads it"
				      : strerror((int)-n));
		pthread_mutex_lock(&o->lock);
	}
}

/* With the lock held, which is let go of meanwhile: one attempt to write the oldest bytes. */
static void write_oldest(struct outlet *o)
{
	uint64_t at = o->tail % o->setup.size, len = u64_min(o->head - o->tail, o->setup.size - at);
	struct timespec retry;
	ssize_t n;

	pthread_mutex_unlock(&o->lock);
	n = write_some(o, o->ring + at, len);
	pthread_mutex_lock(&o->lock);
	o->failing = n < 0;
	if (n > 0) {
		o->tail += (uint64_t)n;
		o->moved_ns = clock_mono_ns();
	}
	pthread_cond_broadcast(&o->drained);
	tell_trouble(o, n);
	if (n < 0 && !o->quit) {
		retry = at_ns(clock_mono_ns() + RETRY_NS);
		pthread_cond_timedwait(&o->filled, &o->lock, &retry);
	}
}

static void *writer_thread(void *opaque)
{
	struct outlet *o = opaque;

	pthread_mutex_lock(&o->lock);
	while (!o->quit) {
		if (o->head == o->tail)
			pthread_cond_wait(&o->filled, &o->lock);
		else
			write_oldest(o);
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

/* ---- life ---------------------------------------------------------------------------------------- */

static void init(struct outlet *o, const struct outlet_setup *setup)
{
	pthread_condattr_t attr;

	memset(o, 0, sizeof(*o));
	o->setup = *setup;
	o->fd = setup->path ? -1 : setup->fd;
	o->warnings.burst = WARNINGS;
	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->filled, &attr);
	pthread_cond_init(&o->drained, &attr);
	pthread_condattr_destroy(&attr);
}

/*
 * A terminal that has some room left is ready, and write() of more waits all the same, unless it is opened anew for us
 * alone: O_NONBLOCK of the open file that we have would be everybody's who shares it.
 */
static void open_anew(struct outlet *o)
{
	char path[32];
	int fd;

	if (!isatty(o->fd))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", o->fd);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	o->fd = fd;
	o->owned = true;
}

static int open_first(struct outlet *o, const char *path)
{
	struct stat st;
	int err;

	if (!path) {
		o->regular = !fstat(o->fd, &st) && S_ISREG(st.st_mode);
		open_anew(o);
		return 0;
	}
	if (strlen(path) >= OUTLET_PATH_MAX)
		return -ENAMETOOLONG;
	o->path = strdup(path);
	if (!o->path)
		return -ENOMEM;
	err = open_path(o);
	return err == -ENXIO && is_fifo(path) ? 0 : err;
}

static void fini(struct outlet *o)
{
	if (o->owned && o->fd >= 0)
		close(o->fd);
	free(o->path);
	free(o->ring);
	pthread_cond_destroy(&o->filled);
	pthread_cond_destroy(&o->drained);
	pthread_mutex_destroy(&o->lock);
	o->path = NULL;
	o->ring = NULL;
	o->fd = -1;
	o->started = false;
}

int outlet_open(struct outlet *o, const struct outlet_setup *setup)
{
	int err;

	init(o, setup);
	err = open_first(o, setup->path);
	if (!err)
		o->ring = malloc(setup->size);
	if (!err && !o->ring)
		err = -ENOMEM;
	if (!err)
		err = -pthread_create(&o->thread, NULL, writer_thread, o);
	if (err)
		fini(o);
	else
		pthread_setname_np(o->thread, setup->what);
	o->started = !err;
	return err;
}

/* What is in the ring still is lost too, counted in units. */
static uint64_t count_rest(struct outlet *o)
{
	uint64_t rest = o->head - o->tail, lines = 0;

	for (uint64_t i = o->tail; o->setup.lines && i < o->head; i++)
		lines += o->ring[i % o->setup.size] == '\n';
	return o->setup.lines ? lines : rest;
}

void outlet_close(struct outlet *o)
{
	const char *what = o->setup.what, *unit = o->setup.unit;
	struct timespec now;
	uint64_t lost;

	if (!o->started)
		return;
	flush(o, CLOSE_NS, LAST_PATIENCE_NS);
	pthread_mutex_lock(&o->lock);
	o->quit = true; /* somebody who took nothing for so long gets no more */
	lost = o->lost_ever + count_rest(o);
	pthread_cond_signal(&o->filled);
	pthread_mutex_unlock(&o->lock);
	/* a descriptor that is not ours may block: write() on a terminal that was stopped in this very moment */
	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += 1;
	o->started = false;
	if (!pthread_timedjoin_np(o->thread, NULL, &now))
		fini(o); /* else it still uses the ring; the process ends anyway */
	if (lost)
		log_warn("%s: %" PRIu64 " %s were lost", what, lost, unit);
}
