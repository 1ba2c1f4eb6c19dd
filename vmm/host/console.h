/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/host/console.h - where the guest's console goes: the terminal, a file, or nowhere.
 *
 *      vCPU threads --console_write--> buffer --writer thread--> terminal or file
 *      terminal --console_read (event loop)--> serial port
 *
 * Several generations of VM write here, one after the other and sometimes at the same time (a dead VM that
 * dumps by itself beside its recovery VM).  A line "[generation N]" stands wherever the output of generation N
 * follows that of another; the very first VM needs none.  The newest generation's bytes go out as they come,
 * so that a shell's prompt is seen; what an older one still says is collected and goes out by whole lines.
 *
 * A slow or stopped terminal holds back only a vCPU whose output fills the buffer, never the event
 * loop; and a vCPU that is to be stopped leaves its output in the buffer's reserve and goes.
 *
 * Locks: lock guards the buffer; everything else is set before threads start.
 */
#ifndef VMM_HOST_CONSOLE_H
#define VMM_HOST_CONSOLE_H

#include "dump/base/num.h"

#include <pthread.h>
#include <stdatomic.h>
#include <termios.h>

/* our choices: a burst of a kernel's boot messages; and one largest firmware console write */
#define CONSOLE_BUFFER KIB(128)
#define CONSOLE_RESERVE KIB(64)
/* our choice: the longest line of an older generation that is kept in one piece */
#define CONSOLE_LINE_MAX 256

struct console {
	int out_fd;           /* owned unless it is stdout; -1 = output is dropped */
	int in_fd;            /* borrowed: stdin; -1 = no input */
	bool raw;             /* the terminal's mode was changed */
	struct termios saved; /* its mode before */
	bool escape;          /* event loop only: Ctrl-A was the last key */
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t filled;  /* the writer waits here */
	pthread_cond_t drained; /* vCPUs and console_flush wait here */
	char *buffer;           /* owned; guarded by lock: ring of CONSOLE_BUFFER + CONSOLE_RESERVE bytes */
	uint64_t head, tail;    /* guarded by lock: bytes ever put in and ever written out */
	bool busy;              /* guarded by lock: a text is half written, others wait */
	bool quit;              /* guarded by lock */
	bool failed;            /* guarded by lock: writing failed, output is dropped from here on */
	uint32_t newest;        /* guarded by lock: newest generation that has written */
	uint32_t shown;         /* guarded by lock: generation whose output stands at the end */
	bool mid_line;          /* guarded by lock: that output does not end with a newline */
	struct {
		uint32_t generation;
		size_t len;
		char text[CONSOLE_LINE_MAX];
	} older; /* guarded by lock: a line of an older generation that has no end yet */
};

/*
 * console_open - @output: "stdio", "none" or a file to append to (created 0600).
 * Errors: -errno.  Owner: console_close().
 */
int warn_unused console_open(struct console *console, const char *output);

/* Puts the terminal on stdin into raw mode, if there is one.  Undone by console_close and at exit. */
void console_raw_mode(struct console *console);

/* Writes out what is buffered (for at most a second), restores the terminal. */
void console_close(struct console *console);

/*
 * console_write - append bytes of the VM @generation, in one piece.  Waits while another text is half written or the buffer
 * is full, until *@stop is true; then appends at once what the reserve holds.  Whoever sets *@stop
 * calls console_wake.  @stop may be NULL.
 */
void console_write(struct console *console, uint32_t generation, const char *text, size_t len,
	const _Atomic bool *stop);
void console_wake(struct console *console);

/* Waits until everything is written out, at most @timeout_ns. */
void console_flush(struct console *console, uint64_t timeout_ns);

/*
 * console_read - input from the terminal, without waiting; the escape keys are taken out.
 * Result: bytes put in @buf; 0 = none; -ECANCELED for Ctrl-A x; -EPIPE at the end of input.
 */
int warn_unused console_read(struct console *console, char *buf, size_t size);

#endif /* VMM_HOST_CONSOLE_H */
