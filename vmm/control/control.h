/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/control/control.h - the control socket: clients, their requests, their answers, streams of events.
 *
 *      listen socket --accept, same user?--> client --line--> handler (guest_control.c) --> answer
 *      events, any thread --control_event--> queue of each client that asked for them
 *
 * Everything is bounded and nothing waits: a client that sends too much is read later, one that takes no
 * answers is not read at all, one that takes no events loses some and is told how many.  docs/control.md has
 * the protocol.
 *
 * Threads: control_event() may be called by any; all else by the thread of the event loop, which watches
 * epoll_fd and calls control_dispatch() when it is readable.
 */
#ifndef VMM_CONTROL_CONTROL_H
#define VMM_CONTROL_CONTROL_H

#include "vmm/control/control_wire.h"
#include "vmm/base/json.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

/* our choices: clients at once; what waits for one of them; the largest answer */
#define CONTROL_CLIENTS_MAX 16
#define CONTROL_QUEUE KIB(128)
#define CONTROL_ANSWER_MAX KIB(64)
/* our choice: when there is no place, a client that has asked for nothing this long loses its own */
#define CONTROL_IDLE_NS (10 * NSEC_PER_SEC)

struct control_client {
	int fd;            /* owned; -1 = free */
	uint64_t heard_ns; /* when it last sent something, or came */
	bool ended;        /* it sends nothing more */
	uint32_t watched;  /* EPOLL* that epoll_fd waits for */
	struct control_input input;
	struct control_queue queue; /* guarded by lock */
	bool streams;               /* guarded by lock: it gets events */
	uint64_t lost;              /* guarded by lock: events that had no room since the last that had */
};

/* One request, for the handler. */
struct control_request {
	const char *words[CONTROL_WORDS_MAX]; /* the command and its arguments */
	size_t nr_words;                      /* at least 1 */
	bool stream;                          /* set by the handler: events follow the answer */
};

/*
 * The handler writes the members of one answer: first control_accept() or control_refuse(), then others.  It may
 * do anything but call control_dispatch() and control_close().
 */
typedef void control_handler(void *opaque, struct control_request *request, struct json *answer);

/* "ok":true,"command":... */
void control_accept(struct json *answer, const struct control_request *request);

/* "ok":false,"error":@error,"message":@message */
void control_refuse(struct json *answer, const char *error, const char *message);

struct control {
	int listen_fd, epoll_fd, wake_fd; /* owned; -1 = closed */
	int spare_fd;                     /* owned: its number serves a client when there is no other */
	char *path;                       /* owned */
	dev_t dev;                        /* of the socket's file, so that no other one is removed */
	ino_t ino;
	control_handler *handler;
	void *opaque;                   /* borrowed: argument of handler */
	struct control_client *clients; /* owned: CONTROL_CLIENTS_MAX */
	pthread_mutex_t lock;
	_Atomic uint32_t nr_streams; /* clients that get events */
};

/* Nothing is open; control_event() and control_close() do nothing. */
void control_init(struct control *control);

/*
 * control_open - make the socket at @path (mode 0600) and listen.  The file of a socket that nobody listens
 * on any more is replaced; anything else that has the name is left alone.
 * Errors: -errno with a sentence in @why; -EADDRINUSE if somebody listens there or the file is no socket.
 * Owner:  control_close().
 */
int warn_unused control_open(struct control *control, const char *path, control_handler *handler,
	void *opaque, char *why, size_t why_size);

/* Sends what can be sent at once, closes everything, removes the socket's file. */
void control_close(struct control *control);

/* Does what is to be done.  Bounded; what is left makes epoll_fd readable again. */
void control_dispatch(struct control *control);

/* A line of the event log, with its newline, for those who asked for them.  @opaque: the struct control. */
void control_event(void *opaque, const char *line, size_t len);

#endif /* VMM_CONTROL_CONTROL_H */
