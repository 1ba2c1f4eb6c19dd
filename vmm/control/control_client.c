/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/control/control_client.c - see control_impl.h: the requests of one client, its answers, its events. */
#include "vmm/control/control_impl.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* our choice: requests of one client before it is somebody else's turn */
#define REQUESTS_AT_ONCE 16

size_t control_refusal(char *buf, size_t size, const char *error, const char *message)
{
	int n = snprintf(buf, size, "{\"ok\":false,\"error\":\"%s\",\"message\":\"%s\"}\n", error, message);

	assert(n > 0 && (size_t)n < size);
	return (size_t)n;
}

/* Queues an answer; there is room for the largest one, or its request would not have been read. */
static void queue_answer(
	struct control *control, struct control_client *client, const char *text, size_t len, bool stream)
{
	bool queued;

	pthread_mutex_lock(&control->lock);
	queued = control_queue_put(&client->queue, text, len);
	if (stream && !client->streams) {
		client->streams = true;
		atomic_fetch_add(&control->nr_streams, 1);
	}
	pthread_mutex_unlock(&control->lock);
	assert(queued);
}

static void queue_refusal(
	struct control *control, struct control_client *client, const char *error, const char *message)
{
	char text[256];

	queue_answer(control, client, text, control_refusal(text, sizeof(text), error, message), false);
}

/* ---- requests ------------------------------------------------------------------------------------- */

static void handle_request(struct control *control, struct control_client *client, char *line)
{
	struct control_request request = {.nr_words = 0};
	struct json answer = {.compact = true};
	char *text = NULL;
	size_t len = 0;

	request.nr_words = control_split(line, request.words);
	if (!request.nr_words || request.nr_words > CONTROL_WORDS_MAX) {
		queue_refusal(control, client, "bad-request", "a request is a command and a few words");
		return;
	}
	answer.out = open_memstream(&text, &len);
	if (!answer.out) {
		queue_refusal(control, client, "host", "out of memory");
		return;
	}
	json_object(&answer, NULL);
	control->handler(control->opaque, &request, &answer);
	json_end(&answer);
	if (fclose(answer.out) || len > CONTROL_ANSWER_MAX)
		queue_refusal(control, client, "host", "the answer is too large");
	else
		queue_answer(control, client, text, len, request.stream);
	free(text);
}

static bool has_room(struct control *control, struct control_client *client)
{
	bool room;

	pthread_mutex_lock(&control->lock);
	room = control_queue_room(&client->queue) >= CONTROL_ANSWER_MAX;
	pthread_mutex_unlock(&control->lock);
	return room;
}

/* Takes some of what has been received.  False if there is nothing more to take. */
static bool handle_line(struct control *control, struct control_client *client)
{
	char line[CONTROL_REQUEST_MAX];

	switch (control_input_take(&client->input, line)) {
	case CONTROL_LINE:
		handle_request(control, client, line);
		return true;
	case CONTROL_BAD_LINE:
		queue_refusal(control, client, "bad-request", "a request is printable ASCII");
		return true;
	case CONTROL_LONG_LINE:
		queue_refusal(control, client, "bad-request", "a request has at most 255 bytes");
		return true;
	case CONTROL_NO_LINE:
		break;
	}
	return false;
}

/* Takes what is to be taken now.  True if there may be more. */
static bool handle_lines(struct control *control, struct control_client *client)
{
	for (int i = 0; i < REQUESTS_AT_ONCE; i++) {
		if (!has_room(control, client))
			return true;
		if (!handle_line(control, client))
			return false;
	}
	return true;
}

/* ---- clients -------------------------------------------------------------------------------------- */

void control_client_drop(struct control *control, struct control_client *client)
{
	pthread_mutex_lock(&control->lock);
	if (client->streams)
		atomic_fetch_sub(&control->nr_streams, 1);
	client->streams = false;
	control_queue_fini(&client->queue);
	pthread_mutex_unlock(&control->lock);
	close(client->fd); /* epoll forgets it */
	client->fd = -1;
}

bool control_client_make_up(struct control_client *client, size_t len)
{
	size_t room = control_queue_room(&client->queue);
	char text[128];
	int n;

	/* the room of an answer is no event's: see has_room() */
	if (!client->lost)
		return room >= CONTROL_ANSWER_MAX + len;
	n = snprintf(text, sizeof(text), "{\"event\":\"lost\",\"ns\":%" PRIu64 ",\"count\":%" PRIu64 "}\n",
		clock_mono_ns(), client->lost);
	if (room < CONTROL_ANSWER_MAX + (size_t)n + len ||
		!control_queue_put(&client->queue, text, (size_t)n))
		return false;
	client->lost = 0;
	return true;
}

/* Sends, and waits for what can happen next; drops a client that is done.  @more: lines are not handled yet. */
static void settle(struct control *control, struct control_client *client, bool more)
{
	struct epoll_event event = {.data.u32 = (uint32_t)(client - control->clients)};
	bool streams;
	int err;

	pthread_mutex_lock(&control->lock);
	err = control_queue_send(&client->queue, client->fd);
	if (!err && client->lost && control_client_make_up(client, 0))
		err = control_queue_send(&client->queue, client->fd);
	streams = client->streams;
	pthread_mutex_unlock(&control->lock);
	if ((err && err != -EAGAIN) || (client->ended && !more && !err && !streams)) {
		control_client_drop(control, client);
		return;
	}
	if (err)
		event.events |= EPOLLOUT;
	if (has_room(control, client)) {
		event.events |= client->ended ? 0 : EPOLLIN;
		if (more)
			control_wake(control); /* after the others */
	}
	if (event.events == client->watched)
		return;
	client->watched = event.events;
	if (epoll_ctl(control->epoll_fd, EPOLL_CTL_MOD, client->fd, &event) < 0)
		control_client_drop(control, client);
}

/* False if the client is gone. */
static bool receive(struct control_client *client)
{
	size_t room;
	char *space = control_input_space(&client->input, &room);
	ssize_t n = room ? recv(client->fd, space, room, MSG_DONTWAIT) : -1;

	if (n < 0)
		return !room || errno == EINTR || errno == EAGAIN;
	client->heard_ns = clock_mono_ns();
	if (!n)
		client->ended = true;
	control_input_added(&client->input, (size_t)n);
	return true;
}

void control_client_handle(struct control *control, struct control_client *client, uint32_t events)
{
	bool more;

	/* EPOLLHUP: it has closed; what it asked before that is done all the same */
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !client->ended && has_room(control, client) &&
		!receive(client)) {
		control_client_drop(control, client);
		return;
	}
	more = handle_lines(control, client);
	if (client->ended && !more && control_input_is_cut(&client->input)) {
		control_input_drop(&client->input);
		queue_refusal(control, client, "bad-request", "the last request has no newline");
	}
	if (events & (EPOLLHUP | EPOLLERR) && client->ended && !more)
		control_client_drop(control, client);
	else
		settle(control, client, more);
}
