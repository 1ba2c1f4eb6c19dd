/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/control/control_wire.h - bytes of the control socket: requests out of a stream, answers into a bounded queue.
 *
 *      bytes --control_input_*--> line --control_split--> words
 *      answers and events --control_queue_put--> ring --control_queue_send--> socket
 *
 * docs/control.md has the protocol.  Nothing here knows of guests.  Locks: none, the owner serialises.
 */
#ifndef VMM_CONTROL_CONTROL_WIRE_H
#define VMM_CONTROL_CONTROL_WIRE_H

#include "dump/base/num.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* our choices: the longest request with its newline; words of one; what is read at a time */
#define CONTROL_REQUEST_MAX 256
#define CONTROL_WORDS_MAX 4
#define CONTROL_INPUT 4096

/* Bytes that were received, of which whole lines are taken. */
struct control_input {
	char data[CONTROL_INPUT];
	size_t start, end; /* what is not taken yet */
	bool skipping;     /* in the middle of a line that is too long */
};

enum control_line {
	CONTROL_NO_LINE,  /* more bytes are needed */
	CONTROL_LINE,     /* the next line, without its newline, is in @ret */
	CONTROL_BAD_LINE, /* it has bytes that no request has */
	CONTROL_LONG_LINE /* it is longer than CONTROL_REQUEST_MAX; said once, the rest of it is skipped */
};

/* Where to put received bytes: address and in *ret_room how many, at least one after CONTROL_NO_LINE. */
char *control_input_space(struct control_input *in, size_t *ret_room);

/* @n bytes were put there. */
void control_input_added(struct control_input *in, size_t n);

/* The next line.  @ret: printable ASCII and blanks; a carriage return at the end is dropped. */
enum control_line control_input_take(struct control_input *in, char ret[CONTROL_REQUEST_MAX]);

/* True if something is there that is no whole line. */
bool control_input_is_cut(const struct control_input *in);

void control_input_drop(struct control_input *in);

/* Splits @line in place.  Result: words in @words, their number; CONTROL_WORDS_MAX + 1 if there are more. */
size_t control_split(char *line, const char *words[CONTROL_WORDS_MAX]);

/* Bytes that wait to be sent: a ring. */
struct control_queue {
	char *data; /* owned */
	size_t size, start, len;
};

/* -ENOMEM if there is no memory. */
int warn_unused control_queue_init(struct control_queue *queue, size_t size);
void control_queue_fini(struct control_queue *queue);

static inline size_t control_queue_room(const struct control_queue *queue)
{
	return queue->size - queue->len;
}

/* All of it or, if there is no room, nothing: false. */
bool control_queue_put(struct control_queue *queue, const char *bytes, size_t len);

/*
 * control_queue_send - what the socket @fd takes now, without waiting.
 * Errors: -EAGAIN when some is left, -errno when nothing more can be sent.
 */
int warn_unused control_queue_send(struct control_queue *queue, int fd);

#endif /* VMM_CONTROL_CONTROL_WIRE_H */
