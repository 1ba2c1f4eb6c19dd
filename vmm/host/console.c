/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/host/console.c - see console.h */
#include "vmm/host/console.h"

#include "dump/base/io.h"
#include "dump/base/log.h"

#include "vmm/host/terminal.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define KEY_ESCAPE 0x01 /* Ctrl-A, as in other VMMs */
/* our choice: whoever brings minivmm to the foreground does not wait for it */
#define FOREGROUND_NS (500 * NSEC_PER_MSEC)

/* ---- open ----------------------------------------------------------------------------------------- */

static int watch(const struct console *c, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(c->input_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* A terminal changes hands between jobs, and nothing tells: it is looked at now and then. */
static int open_timer(struct console *c)
{
	struct itimerspec every = {.it_value = {.tv_nsec = (long)FOREGROUND_NS},
		.it_interval = {.tv_nsec = (long)FOREGROUND_NS}};

	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->timer_fd < 0 || timerfd_settime(c->timer_fd, 0, &every, NULL) < 0)
		return -errno;
	return watch(c, c->timer_fd);
}

/* Standard input, if it is something that can be waited for: no file, directory or /dev/null. */
static int open_input(struct console *c)
{
	bool terminal = isatty(STDIN_FILENO);
	struct stat st;
	int err;

	if (fstat(STDIN_FILENO, &st) < 0 || (!terminal && !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode)))
		return 0;
	c->input_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->input_fd < 0)
		return -errno;
	c->in_fd = STDIN_FILENO;
	err = watch(c, c->in_fd);
	return err || !terminal ? err : open_timer(c);
}

static void close_input(struct console *c)
{
	if (c->timer_fd >= 0)
		close(c->timer_fd);
	if (c->input_fd >= 0)
		close(c->input_fd);
	c->in_fd = c->input_fd = c->timer_fd = -1;
}

static size_t say_lost(uint64_t count, char *buf, size_t size)
{
	return (size_t)snprintf(buf, size, "[%" PRIu64 " bytes of output are missing here]\n", count);
}

void console_init(struct console *c)
{
	memset(c, 0, sizeof(*c));
	c->in_fd = c->input_fd = c->timer_fd = -1;
}

int console_open(struct console *c, const char *output, uint64_t max_bytes)
{
	bool stdio = !strcmp(output, "stdio");
	int err = 0;

	console_init(c);
	if (!strcmp(output, "none"))
		return 0;
	if (stdio)
		err = open_input(c);
	if (!err)
		err = outlet_open(&c->out, &(struct outlet_setup){.what = "console",
						   .unit = "bytes of output",
						   .path = stdio ? NULL : output,
						   .fd = STDOUT_FILENO,
						   .size = CONSOLE_BUFFER + CONSOLE_RESERVE,
						   .max_bytes = max_bytes,
						   .say_lost = say_lost});
	if (err)
		close_input(c);
	return err;
}

void console_raw_mode(struct console *c)
{
	if (c->timer_fd < 0)
		return;
	c->wants_raw = true;
	(void)terminal_raw(c->in_fd); /* one that is not ours yet: console_read() tries again */
}

void console_flush(struct console *c, uint64_t timeout_ns)
{
	outlet_flush(&c->out, timeout_ns);
}

/* ---- output --------------------------------------------------------------------------------------- */

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
		size_t taken = outlet_put_some(&c->out, text, len, stopping ? 0 : CONSOLE_RESERVE);

		text += taken;
		len -= taken;
		if (len && (stopping || !outlet_await_room(&c->out))) {
			outlet_lose(&c->out, text, len);
			break;
		}
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
			c->out.mid_line ? "\n" : "", generation);
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

	if (!c->out.started)
		return;
	pthread_mutex_lock(&c->out.lock);
	while (c->busy && !is_set(stop))
		pthread_cond_wait(&c->out.drained, &c->out.lock);
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
		pthread_cond_broadcast(&c->out.drained);
	}
	pthread_mutex_unlock(&c->out.lock);
}

void console_close(struct console *c)
{
	static const _Atomic bool closing = true; /* nobody waits for room any more */

	if (c->out.started) {
		pthread_mutex_lock(&c->out.lock);
		end_older_line(c, &closing);
		pthread_mutex_unlock(&c->out.lock);
		outlet_close(&c->out);
	}
	if (c->wants_raw)
		terminal_restore();
	c->wants_raw = false;
	close_input(c);
}

void console_wake(struct console *c)
{
	if (!c->out.started)
		return;
	pthread_mutex_lock(&c->out.lock);
	pthread_cond_broadcast(&c->out.drained);
	pthread_mutex_unlock(&c->out.lock);
}

/* ---- input ---------------------------------------------------------------------------------------- */

/* True if keys may be read.  Watches a terminal while it is ours, and takes its mode then. */
static bool may_read(struct console *c)
{
	uint64_t ticks;
	bool ours;

	if (c->timer_fd < 0)
		return true;
	if (read(c->timer_fd, &ticks, sizeof(ticks)) < 0)
		ticks = 0; /* it was a key that woke us up */
	ours = terminal_is_ours(c->in_fd);
	if (ours && c->wants_raw && !terminal_is_raw())
		(void)terminal_raw(c->in_fd);
	if (ours && c->background)
		c->background = watch(c, c->in_fd) < 0;
	else if (!ours && !c->background)
		c->background = !epoll_ctl(c->input_fd, EPOLL_CTL_DEL, c->in_fd, NULL);
	return ours;
}

/* Takes the escape keys out of @buf.  Result: as of console_read(). */
static int take_out_escapes(struct console *c, char *buf, size_t len)
{
	int kept = 0;

	for (size_t i = 0; i < len; i++) {
		bool after_escape = c->escape;

		c->escape = false;
		if (buf[i] != KEY_ESCAPE && !after_escape)
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

int console_read(struct console *c, char *buf, size_t size)
{
	struct pollfd ready = {.fd = c->in_fd, .events = POLLIN};
	ssize_t n;

	if (c->in_fd < 0 || !may_read(c) || poll(&ready, 1, 0) <= 0)
		return 0;
	n = read(c->in_fd, buf, size);
	if (n < 0 && (errno == EINTR || errno == EAGAIN || !terminal_is_ours(c->in_fd)))
		return 0;
	if (n <= 0) {
		int err = n < 0 ? -errno : -EPIPE;

		close_input(c);
		return err;
	}
	return terminal_is_raw() ? take_out_escapes(c, buf, (size_t)n) : (int)n;
}
