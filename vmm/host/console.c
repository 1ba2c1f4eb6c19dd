/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/host/console.c - see console.h */
#include "vmm/host/console.h"

#include "dump/base/io.h"
#include "dump/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RING (CONSOLE_BUFFER + CONSOLE_RESERVE)
#define KEY_ESCAPE 0x01 /* Ctrl-A, as in other VMMs */

/* For atexit: the terminal must be usable again however the process ends. */
static struct console *raw_console;

static void restore_terminal(void)
{
	if (raw_console)
		tcsetattr(raw_console->in_fd, TCSANOW, &raw_console->saved);
	raw_console = NULL;
}

/* Writes the oldest bytes of the ring, without the lock.  Returns how many are done with. */
static uint64_t write_out(struct console *c, uint64_t tail, uint64_t head)
{
	uint64_t at = tail % RING;
	uint64_t len = u64_min(head - tail, RING - at);
	int err = io_write_full(c->out_fd, c->buffer + at, len);

	if (err) {
		log_warn("console: %s; its output is lost from here on", strerror(-err));
		pthread_mutex_lock(&c->lock);
		c->failed = true;
		pthread_mutex_unlock(&c->lock);
	}
	return len;
}

static void *writer_thread(void *opaque)
{
	struct console *c = opaque;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		uint64_t tail = c->tail, head = c->head, done;

		if (head == tail) {
			if (c->quit)
				break;
			pthread_cond_wait(&c->filled, &c->lock);
			continue;
		}
		if (c->failed) {
			done = head - tail;
		} else {
			pthread_mutex_unlock(&c->lock);
			done = write_out(c, tail, head);
			pthread_mutex_lock(&c->lock);
		}
		c->tail += done;
		pthread_cond_broadcast(&c->drained);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static bool can_wait_for_input(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (isatty(fd) || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

int console_open(struct console *c, const char *output)
{
	pthread_condattr_t attr;
	int err;

	memset(c, 0, sizeof(*c));
	c->out_fd = -1;
	c->in_fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->filled, NULL);
	pthread_cond_init(&c->drained, &attr);
	pthread_condattr_destroy(&attr);
	if (!strcmp(output, "none"))
		return 0;
	if (!strcmp(output, "stdio")) {
		c->out_fd = STDOUT_FILENO;
		if (can_wait_for_input(STDIN_FILENO))
			c->in_fd = STDIN_FILENO;
	} else {
		c->out_fd = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
		if (c->out_fd < 0)
			return -errno;
	}
	c->buffer = malloc(RING);
	err = c->buffer ? -pthread_create(&c->thread, NULL, writer_thread, c) : -ENOMEM;
	if (err) {
		console_close(c);
		return err;
	}
	c->started = true;
	return 0;
}

void console_raw_mode(struct console *c)
{
	struct termios raw;

	if (c->in_fd < 0 || !isatty(c->in_fd) || tcgetattr(c->in_fd, &c->saved) < 0)
		return;
	raw = c->saved;
	/* keys go to the guest as they are; output processing stays, so that lines end properly */
	raw.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INLCR | IGNCR | INPCK | ISTRIP | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(c->in_fd, TCSANOW, &raw) < 0)
		return;
	c->raw = true;
	raw_console = c;
	atexit(restore_terminal);
}

static struct timespec deadline_in(uint64_t ns)
{
	uint64_t at = clock_mono_ns() + ns;

	return (struct timespec){
		.tv_sec = (time_t)(at / NSEC_PER_SEC), .tv_nsec = (long)(at % NSEC_PER_SEC)};
}

void console_flush(struct console *c, uint64_t timeout_ns)
{
	struct timespec deadline = deadline_in(timeout_ns);

	if (!c->started)
		return;
	pthread_mutex_lock(&c->lock);
	while (c->head != c->tail)
		if (pthread_cond_timedwait(&c->drained, &c->lock, &deadline))
			break;
	pthread_mutex_unlock(&c->lock);
}

/* Copies into the ring what @limit allows.  Returns bytes taken. */
static size_t put(struct console *c, const char *text, size_t len, uint64_t limit)
{
	uint64_t room = limit - u64_min(c->head - c->tail, limit);
	size_t taken = (size_t)u64_min(len, room);

	for (size_t i = 0; i < taken; i++)
		c->buffer[(c->head + i) % RING] = text[i];
	if (taken && c->head == c->tail)
		pthread_cond_signal(&c->filled);
	c->head += taken;
	return taken;
}

/* Pairs with the store before console_wake. */
static bool is_set(const _Atomic bool *stop)
{
	return stop && atomic_load(stop);
}

/* With the lock held: appends, waiting for room until *@stop is true; then what the reserve holds. */
static void append(struct console *c, const char *text, size_t len, const _Atomic bool *stop)
{
	while (len) {
		bool stopping = is_set(stop);
		size_t taken = put(c, text, len, stopping ? RING : CONSOLE_BUFFER);

		if (taken)
			c->mid_line = text[taken - 1] != '\n';
		text += taken;
		len -= taken;
		if (stopping)
			break;
		if (len)
			pthread_cond_wait(&c->drained, &c->lock);
	}
}

/* The same for output of @generation: behind that of another one a line says whose it is. */
static void append_marked(
	struct console *c, uint32_t generation, const char *text, size_t len, const _Atomic bool *stop)
{
	char marker[40];
	int n;

	if (!len)
		return;
	if (generation != c->shown) {
		n = snprintf(marker, sizeof(marker), "%s[generation %" PRIu32 "]\n",
			c->mid_line ? "\n" : "", generation);
		c->shown = generation;
		append(c, marker, (size_t)n, stop);
	}
	append(c, text, len, stop);
}

/* What is collected of an older generation goes out, as a line. */
static void end_older_line(struct console *c, const _Atomic bool *stop)
{
	size_t len = c->older.len;
	char line[CONSOLE_LINE_MAX + 1];

	if (!len)
		return;
	memcpy(line, c->older.text, len);
	line[len++] = '\n';
	c->older.len = 0; /* first: append may let go of the lock */
	append_marked(c, c->older.generation, line, len, stop);
}

/* An older generation's text: whole lines go out, the rest waits for its end. */
static void collect(
	struct console *c, uint32_t generation, const char *text, size_t len, const _Atomic bool *stop)
{
	if (c->older.generation != generation)
		end_older_line(c, stop);
	for (size_t i = 0; i < len; i++) {
		c->older.generation = generation;
		if (text[i] != '\n')
			c->older.text[c->older.len++] = text[i];
		if (text[i] == '\n' && !c->older.len)
			append_marked(c, generation, "\n", 1, stop);
		else if (text[i] == '\n' || c->older.len == CONSOLE_LINE_MAX)
			end_older_line(c, stop);
	}
}

void console_write(
	struct console *c, uint32_t generation, const char *text, size_t len, const _Atomic bool *stop)
{
	bool first; /* nobody else's text is half written */

	if (!c->started)
		return;
	pthread_mutex_lock(&c->lock);
	while (c->busy && !is_set(stop))
		pthread_cond_wait(&c->drained, &c->lock);
	first = !c->busy;
	c->busy = true;
	if (generation < c->newest) {
		collect(c, generation, text, len, stop);
	} else {
		c->newest = generation;
		append_marked(c, generation, text, len, stop);
	}
	if (first) {
		c->busy = false;
		pthread_cond_broadcast(&c->drained);
	}
	pthread_mutex_unlock(&c->lock);
}

void console_close(struct console *c)
{
	static const _Atomic bool closing = true; /* nobody waits for room any more */

	if (c->started) {
		pthread_mutex_lock(&c->lock);
		end_older_line(c, &closing);
		pthread_mutex_unlock(&c->lock);
		console_flush(c, NSEC_PER_SEC);
		pthread_mutex_lock(&c->lock);
		c->quit = true;
		c->failed = true; /* a terminal that took nothing for a second gets no more */
		pthread_cond_signal(&c->filled);
		pthread_mutex_unlock(&c->lock);
		/* the writer may hang in write(2) on a stopped terminal: wait for it only a moment */
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		now.tv_sec += 1;
		if (pthread_timedjoin_np(c->thread, NULL, &now)) {
			restore_terminal();
			return; /* it still uses the buffer; the process ends anyway */
		}
	}
	if (c->raw)
		restore_terminal();
	if (c->out_fd > STDERR_FILENO)
		close(c->out_fd);
	free(c->buffer);
	pthread_cond_destroy(&c->filled);
	pthread_cond_destroy(&c->drained);
	pthread_mutex_destroy(&c->lock);
	c->started = false;
	c->buffer = NULL;
	c->out_fd = -1;
}

void console_wake(struct console *c)
{
	if (!c->started)
		return;
	pthread_mutex_lock(&c->lock);
	pthread_cond_broadcast(&c->drained);
	pthread_mutex_unlock(&c->lock);
}

int console_read(struct console *c, char *buf, size_t size)
{
	struct pollfd ready = {.fd = c->in_fd, .events = POLLIN};
	int kept = 0;
	ssize_t n;

	if (c->in_fd < 0 || poll(&ready, 1, 0) <= 0)
		return 0;
	n = read(c->in_fd, buf, size);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (!n)
		return -EPIPE;
	for (ssize_t i = 0; i < n; i++) {
		bool after_escape = c->escape;

		c->escape = false;
		if (!c->raw || (buf[i] != KEY_ESCAPE && !after_escape))
			buf[kept++] = buf[i];
		else if (!after_escape)
			c->escape = true;
		else if (buf[i] == 'x')
			return -ECANCELED;
		else if (buf[i] == KEY_ESCAPE)
			buf[kept++] = buf[i]; /* Ctrl-A Ctrl-A types one */
	}
	return kept;
}
