/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/control/control_wire.c - see control_wire.h */
#include "vmm/control/control_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- requests ------------------------------------------------------------------------------------- */

char *control_input_space(struct control_input *in, size_t *ret_room)
{
	memmove(in->data, in->data + in->start, in->end - in->start);
	in->end -= in->start;
	in->start = 0;
	*ret_room = sizeof(in->data) - in->end;
	return in->data + in->end;
}

void control_input_added(struct control_input *in, size_t n)
{
	in->end += n;
}

/* Copies a line of @len bytes; false if no request looks like that. */
static bool copy_line(char *ret, const char *line, size_t len)
{
	if (len && line[len - 1] == '\r')
		len--;
	for (size_t i = 0; i < len; i++) {
		ret[i] = line[i] == '\t' ? ' ' : line[i];
		if (ret[i] < ' ' || ret[i] > '~')
			return false;
	}
	ret[len] = '\0';
	return true;
}

enum control_line control_input_take(struct control_input *in, char ret[CONTROL_REQUEST_MAX])
{
	for (;;) {
		char *line = in->data + in->start;
		size_t have = in->end - in->start, len;
		char *newline = memchr(line, '\n', have);
		bool skipping = in->skipping;

		if (!newline) {
			if (!skipping && have < CONTROL_REQUEST_MAX)
				return CONTROL_NO_LINE;
			in->skipping = true;
			in->start = in->end;
			return skipping ? CONTROL_NO_LINE : CONTROL_LONG_LINE;
		}
		len = (size_t)(newline - line);
		in->start += len + 1;
		in->skipping = false;
		if (skipping)
			continue; /* the end of one that was too long */
		if (len >= CONTROL_REQUEST_MAX)
			return CONTROL_LONG_LINE;
		return copy_line(ret, line, len) ? CONTROL_LINE : CONTROL_BAD_LINE;
	}
}

bool control_input_is_cut(const struct control_input *in)
{
	return in->end > in->start && !in->skipping;
}

void control_input_drop(struct control_input *in)
{
	in->start = in->end;
}

size_t control_split(char *line, const char *words[CONTROL_WORDS_MAX])
{
	size_t nr = 0;
	char *save, *word;

	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (nr == CONTROL_WORDS_MAX)
			return CONTROL_WORDS_MAX + 1;
		words[nr++] = word;
	}
	return nr;
}

/* ---- answers -------------------------------------------------------------------------------------- */

int control_queue_init(struct control_queue *queue, size_t size)
{
	*queue = (struct control_queue){.data = malloc(size), .size = size};
	return queue->data ? 0 : -ENOMEM;
}

void control_queue_fini(struct control_queue *queue)
{
	free(queue->data);
	*queue = (struct control_queue){0};
}

bool control_queue_put(struct control_queue *queue, const char *bytes, size_t len)
{
	size_t at = (queue->start + queue->len) % queue->size;
	size_t first = (size_t)u64_min(len, queue->size - at);

	if (len > control_queue_room(queue))
		return false;
	memcpy(queue->data + at, bytes, first);
	memcpy(queue->data, bytes + first, len - first);
	queue->len += len;
	return true;
}

int control_queue_send(struct control_queue *queue, int fd)
{
	while (queue->len) {
		size_t run = (size_t)u64_min(queue->len, queue->size - queue->start);
		ssize_t n = send(fd, queue->data + queue->start, run, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		queue->start = (queue->start + (size_t)n) % queue->size;
		queue->len -= (size_t)n;
	}
	return 0;
}
