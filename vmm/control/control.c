/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/control/control.c - see control.h: who is a client, and when it is whose turn.
 *
 * The socket itself, its file and its peers are in control_socket.c, what one client asks and is told in control_client.c.
 */
#include "vmm/control/control.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/control/control_impl.h"
#include "vmm/control/control_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* our choice: new clients before it is somebody else's turn */
#define CLIENTS_AT_ONCE 32
/* epoll data of what is no client */
#define TOKEN_LISTEN CONTROL_CLIENTS_MAX
#define TOKEN_WAKE (CONTROL_CLIENTS_MAX + 1)

/* ---- answers -------------------------------------------------------------------------------------- */

void control_accept(struct json *answer, const struct control_request *request)
{
	json_bool(answer, "ok", true);
	json_text(answer, "command", request->words[0]);
}

void control_refuse(struct json *answer, const char *error, const char *message)
{
	json_bool(answer, "ok", false);
	json_text(answer, "error", error);
	json_text(answer, "message", message);
}

/* ---- clients -------------------------------------------------------------------------------------- */

/* A place for a new client: a free one, or that of one who has been silent for long.  NULL if there is none. */
static struct control_client *find_place(struct control *control)
{
	struct control_client *oldest = NULL;

	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];

		if (client->fd < 0)
			return client;
		if (!client->streams && (!oldest || client->heard_ns < oldest->heard_ns))
			oldest = client;
	}
	if (!oldest || clock_mono_ns() - oldest->heard_ns < CONTROL_IDLE_NS)
		return NULL;
	control_client_drop(control, oldest);
	return oldest;
}

/* The last words to one who is not let in. */
static void turn_away(int fd, const char *error, const char *message)
{
	char text[256];
	size_t len = control_refusal(text, sizeof(text), error, message);

	if (send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("control: %s", strerror(errno));
	close(fd);
}

static void let_in(struct control *control, int fd)
{
	struct control_client *client;
	struct epoll_event event = {.events = EPOLLIN};

	if (!control_peer_is_us(fd)) {
		turn_away(fd, "not-permitted", "another user runs this guest");
		return;
	}
	client = find_place(control);
	if (!client) {
		turn_away(fd, "busy", "too many clients");
		return;
	}
	memset(client, 0, sizeof(*client));
	client->fd = -1;
	event.data.u32 = (uint32_t)(client - control->clients);
	if (control_queue_init(&client->queue, CONTROL_QUEUE)) {
		turn_away(fd, "host", "out of memory");
		return;
	}
	if (epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		control_queue_fini(&client->queue);
		turn_away(fd, "host", "the host allows no more descriptors to be watched");
		return;
	}
	client->fd = fd;
	client->watched = event.events;
	client->heard_ns = clock_mono_ns();
}

static void accept_clients(struct control *control)
{
	if (control->spare_fd < 0)
		control->spare_fd = eventfd(0, EFD_CLOEXEC);
	for (int i = 0; i < CLIENTS_AT_ONCE; i++) {
		int fd = accept4(control->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE) && control->spare_fd >= 0) {
			/* one that cannot be served must not keep the event loop busy */
			close(control->spare_fd);
			fd = accept4(control->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
			if (fd >= 0)
				turn_away(fd, "host", "no file descriptor is left");
			control->spare_fd = eventfd(0, EFD_CLOEXEC);
			continue;
		}
		if (fd < 0)
			return;
		let_in(control, fd);
	}
}

/* ---- the loop's side ------------------------------------------------------------------------------- */

void control_dispatch(struct control *control)
{
	struct epoll_event ready[CONTROL_CLIENTS_MAX + 2];
	bool woken = false, knocked = false;
	uint64_t count;
	int n;

	if (control->epoll_fd < 0)
		return;
	n = epoll_wait(control->epoll_fd, ready, ARRAY_LEN(ready), 0);
	for (int i = 0; i < n; i++) {
		uint32_t token = ready[i].data.u32;

		if (token == TOKEN_WAKE)
			woken = true;
		else if (token == TOKEN_LISTEN)
			knocked = true;
		else if (control->clients[token].fd >= 0)
			control_client_handle(control, &control->clients[token], ready[i].events);
	}
	if (woken) {
		if (read(control->wake_fd, &count, sizeof(count)) < 0)
			log_debug("control: eventfd: %s", strerror(errno));
		for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
			if (control->clients[i].fd >= 0)
				control_client_handle(control, &control->clients[i], 0);
	}
	if (knocked) /* last: a place that was dropped above is not given away under a token in @ready */
		accept_clients(control);
}

void control_event(void *opaque, const char *line, size_t len)
{
	struct control *control = opaque;

	if (!atomic_load(&control->nr_streams))
		return;
	pthread_mutex_lock(&control->lock);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];

		if (!client->streams)
			continue;
		if (!control_client_make_up(client, len) || !control_queue_put(&client->queue, line, len))
			client->lost++;
	}
	pthread_mutex_unlock(&control->lock);
	control_wake(control);
}

/* ---- open, close ----------------------------------------------------------------------------------- */

void control_init(struct control *control)
{
	*control = (struct control){.listen_fd = -1, .epoll_fd = -1, .wake_fd = -1, .spare_fd = -1};
	pthread_mutex_init(&control->lock, NULL);
}

static int watch(const struct control *control, int fd, uint32_t token)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = token};

	return epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_all(struct control *control)
{
	int err;

	control->clients = calloc(CONTROL_CLIENTS_MAX, sizeof(*control->clients));
	if (!control->clients)
		return -ENOMEM;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
	control->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	control->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	control->spare_fd = eventfd(0, EFD_CLOEXEC);
	if (control->epoll_fd < 0 || control->wake_fd < 0 || control->spare_fd < 0)
		return -errno;
	err = watch(control, control->wake_fd, TOKEN_WAKE);
	return err ? err : watch(control, control->listen_fd, TOKEN_LISTEN);
}

int control_open(struct control *control, const char *path, control_handler *handler, void *opaque,
	char *why, size_t why_size)
{
	int err = control_socket_listen(
		path, &control->listen_fd, &control->dev, &control->ino, why, why_size);

	if (err)
		return err;
	control->handler = handler;
	control->opaque = opaque;
	control->path = strdup(path);
	err = control->path ? open_all(control) : -ENOMEM;
	if (err) {
		snprintf(why, why_size, "%s: %s", path, strerror(-err));
		control_close(control);
		control_init(control);
	}
	return err;
}

void control_close(struct control *control)
{
	int *fds[] = {&control->listen_fd, &control->epoll_fd, &control->wake_fd, &control->spare_fd};

	if (control->path)
		control_socket_remove(control->path, control->dev, control->ino);
	for (size_t i = 0; control->clients && i < CONTROL_CLIENTS_MAX; i++) {
		if (control->clients[i].fd < 0)
			continue;
		if (control_queue_send(&control->clients[i].queue, control->clients[i].fd))
			log_debug("control: a client has not taken everything");
		control_client_drop(control, &control->clients[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	free(control->clients);
	control->clients = NULL;
	free(control->path);
	control->path = NULL;
	pthread_mutex_destroy(&control->lock);
}
