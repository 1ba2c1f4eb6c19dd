/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/base/outlet.h - text that leaves for a file, pipe, terminal or socket, whatever that one does meanwhile.
 *
 *      any thread --outlet_put--> ring --writer thread--> file or descriptor
 *
 * Only the writer thread meets the descriptor, so a reader that stands still, a FIFO that nobody reads yet and a full
 * disk hold up nobody else.  What cannot be written now stays in the ring and is tried again.  Text for which the ring
 * has no room is lost: it is counted, where it is missing stands a line that says so as soon as something is taken
 * again, and the operator is told when it begins, and how much it was when all is over.
 *
 * Locks: lock guards the ring and the counters; everything else is set before the thread starts, or is the writer's.
 */
#ifndef VMM_BASE_OUTLET_H
#define VMM_BASE_OUTLET_H

#include "dump/base/io.h"
#include "dump/base/log.h"

#include <pthread.h>

/* our choice: a reader that takes nothing for so long is not only slow */
#define OUTLET_PATIENCE_NS NSEC_PER_SEC
/* bytes of a path: Linux's PATH_MAX */
#define OUTLET_PATH_MAX 4096

struct outlet_setup {
	const char *what; /* "console": in messages; borrowed for ever */
	const char *unit; /* "bytes of output": what is counted; borrowed for ever */
	bool lines;       /* lines are counted, not bytes */
	const char *path; /* appended to, made (0600) if it is not there; NULL = @fd */
	int fd;           /* borrowed: an open descriptor */
	size_t size;      /* of the ring, bytes: four times the longest outlet_put at least */
	uint64_t
		max_bytes; /* a regular file of @path that would grow over this becomes PATH.1; 0 = it may grow */
	/* Writes the line that stands where @count units are missing, its newline too.  Result: its bytes, < @size. */
	size_t (*say_lost)(uint64_t count, char *buf, size_t size);
};

struct outlet {
	struct outlet_setup setup; /* setup.path: not used after outlet_open */
	char *path;                /* owned; NULL = a borrowed descriptor */
	int fd;                    /* writer: -1 = a FIFO that nobody reads yet */
	bool owned;                /* writer: fd is */
	bool regular;              /* writer: fd is a regular file */
	bool started;
	struct log_limit warnings; /* writer */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t filled;  /* the writer waits here */
	pthread_cond_t drained; /* whoever waits for room or for the end; on CLOCK_MONOTONIC */
	char *ring;             /* owned; guarded by lock */
	uint64_t head, tail;    /* guarded by lock: bytes ever put in and ever written */
	uint64_t moved_ns;  /* guarded by lock: when something was last taken, or the ring was last empty */
	bool mid_line;      /* guarded by lock: what was put last does not end with a newline */
	bool failing;       /* guarded by lock: the last write has failed */
	bool quit;          /* guarded by lock */
	uint64_t lost;      /* guarded by lock: units since the last line that said so */
	uint64_t lost_ever; /* guarded by lock: units */
	bool told; /* guarded by lock: the operator knows that it cannot be written, or that text is lost */
};

/*
 * outlet_open - a FIFO that nobody reads yet is no error, and is not waited for.
 * Errors: -errno; *@outlet is closed then.  Owner: outlet_close().
 */
int warn_unused outlet_open(struct outlet *outlet, const struct outlet_setup *setup);

/* Writes what is there, as long as somebody takes it (3 s without, 10 s in all); says what was lost.  Accepts one that is closed. */
void outlet_close(struct outlet *outlet);

/* Waits until all is written, at most @timeout_ns, and no longer than anything is taken. */
void outlet_flush(struct outlet *outlet, uint64_t timeout_ns);

/* Puts @text in one piece, or counts it as lost.  Never waits.  Any thread. */
void outlet_put(struct outlet *outlet, const char *text, size_t len);

/* ---- with outlet->lock held ---------------------------------------------------------------------- */

/* Puts what fits of @text and leaves @reserve bytes of room.  Result: bytes taken. */
size_t outlet_put_some(struct outlet *outlet, const char *text, size_t len, size_t reserve);

/*
 * Waits on outlet->drained until something changes, which may be anything.  False: nothing is taken, and has not been
 * for OUTLET_PATIENCE_NS, or it cannot be written at all: waiting makes no sense.
 */
bool warn_unused outlet_await_room(struct outlet *outlet);

/* Counts text that is not put. */
void outlet_lose(struct outlet *outlet, const char *text, size_t len);

#endif /* VMM_BASE_OUTLET_H */
