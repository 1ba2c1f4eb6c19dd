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
 * A slow terminal holds back only a vCPU whose output fills the buffer, never the event loop; and a vCPU that is to be
 * stopped leaves its output in the buffer's reserve and goes.  One that takes nothing for a second, or that cannot be
 * written at all, holds back nobody: what has no room is lost, counted, and told (vmm/base/outlet.h).
 *
 *      stdin --+
 *              +--> input_fd (epoll) --> event loop: console_read
 *      timer --+    twice a second, if stdin is a terminal
 *
 * The terminal belongs to whoever is in its foreground: there minivmm changes its mode and reads keys, in the background
 * it leaves it alone.  Its mode is given back whenever the process ends or is stopped, by whatever signal but SIGKILL
 * and SIGSTOP.
 *
 * Locks: out.lock guards what is said to be guarded; everything else is set before threads start or is the event loop's.
 */
#ifndef VMM_HOST_CONSOLE_H
#define VMM_HOST_CONSOLE_H

#include "dump/base/num.h"
#include "vmm/base/outlet.h"

#include <stdatomic.h>

/* our choices: a burst of a kernel's boot messages; and one largest firmware console write */
#define CONSOLE_BUFFER KIB(128)
#define CONSOLE_RESERVE KIB(64)
/* our choice: the longest line of an older generation that is kept in one piece */
#define CONSOLE_LINE_MAX 256

struct console {
	struct outlet out; /* not started = output is dropped */
	int in_fd;         /* borrowed: stdin; -1 = no input */
	int input_fd;      /* owned: readable when console_read() may find something; -1 = no input */
	int timer_fd;      /* owned: when to look whose the terminal is; -1 = stdin is none */
	bool wants_raw;    /* console_raw_mode() was called */
	bool background;   /* the terminal is another job's: input_fd does not tell of its keys */
	bool escape;       /* Ctrl-A was the last key */
	bool busy;         /* guarded by lock: a text is half written, others wait */
	uint32_t newest;   /* guarded by lock: newest generation that has written */
	uint32_t shown;    /* guarded by lock: generation whose output stands at the end */
	struct {
		uint32_t generation;
		size_t len;
		char text[CONSOLE_LINE_MAX];
	} older; /* guarded by lock: a line of an older generation that has no end yet */
};

/* A console that is not open: what console_close() accepts too. */
void console_init(struct console *console);

/*
 * console_open - @output: "stdio", "none" or a file to append to (created 0600), which becomes OUTPUT.1 when it would
 * grow over @max_bytes (0 = it may).
 * Errors: -errno.  Owner: console_close().
 */
int warn_unused console_open(struct console *console, const char *output, uint64_t max_bytes);

/*
 * Puts the terminal on stdin into raw mode, if there is one, as soon as it is ours.  Undone by console_close and
 * whenever the process ends or stops.
 */
void console_raw_mode(struct console *console);

/* Writes out what is buffered (as long as it is taken), restores the terminal. */
void console_close(struct console *console);

/*
 * console_write - append bytes of the VM @generation, in one piece.  Waits while another text is half written or the buffer
 * is full, until *@stop is true; then appends at once what the reserve holds.  It does not wait for somebody who takes
 * nothing.  Whoever sets *@stop calls console_wake.  @stop may be NULL.
 */
void console_write(struct console *console, uint32_t generation, const char *text, size_t len,
	const _Atomic bool *stop);
void console_wake(struct console *console);

/* Waits until everything is written out, at most @timeout_ns, and no longer than it is taken. */
void console_flush(struct console *console, uint64_t timeout_ns);

/*
 * console_read - input, without waiting; the escape keys are taken out.  Call it when input_fd is readable.
 * Result: bytes put in @buf; 0 = none; -ECANCELED for Ctrl-A x; -EPIPE at the end of input.
 */
int warn_unused console_read(struct console *console, char *buf, size_t size);

#endif /* VMM_HOST_CONSOLE_H */
