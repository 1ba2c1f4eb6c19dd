/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_ctl.c - "minivmm ctl": one request to a running guest, its answer for people or as it is. */
#include "vmm/cli/commands.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/cli/cmd_ctl.h"
#include "vmm/config/config.h"
#include "vmm/control/control_socket.h"
#include "vmm/control/control_wire.h"
#include "vmm/base/exit_codes.h"
#include "vmm/base/places.h"

#include <errno.h>
#include <limits.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* our choice: minivmm answers within milliseconds; a crash, or a vCPU that does not stop, takes seconds */
#define ANSWER_TIMEOUT_MS 10000
/* our choice: bytes of the longest line: the largest answer, with room to spare */
#define LINE_MAX_BYTES KIB(256)

/* A connection, and what has been read of it. */
struct peer {
	int fd;     /* owned */
	char *data; /* owned: LINE_MAX_BYTES */
	size_t start, end;
};

/* ---- where the guest is ---------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *suffix)
{
	size_t len = strlen(text), tail = strlen(suffix);

	return len > tail && !strcmp(text + len - tail, suffix);
}

/* The socket that guest.cfg at @path names. */
static int ask_config(const char *path, char *ret, size_t size)
{
	struct config config;
	bool none;

	if (config_load(&config, path, NULL, 0))
		return EXIT_CONFIG;
	none = !strcmp(config.vm.control, "none");
	snprintf(ret, size, "%s", config.vm.control);
	config_fini(&config);
	if (none)
		log_error("%s: [vm] control = none: this guest has no control socket", path);
	return none ? EXIT_CONFIG : EXIT_OK;
}

/* @guest: a name, a guest.cfg, a socket, or a directory that has one. */
static int find_socket(const char *guest, char *ret, size_t size)
{
	char dir[PATH_MAX];
	struct stat st;

	if (!strchr(guest, '/') && !ends_with(guest, ".cfg")) {
		places_find(guest, dir, sizeof(dir));
		snprintf(ret, size, "%s/control", dir);
		return EXIT_OK;
	}
	if (stat(guest, &st) < 0) {
		/* a socket that is gone is a guest that has ended; a guest.cfg that is gone is a mistake */
		log_error("%s: %s", guest, strerror(errno));
		return ends_with(guest, ".cfg") ? EXIT_CONFIG : EXIT_NOT_RUNNING;
	}
	if (S_ISREG(st.st_mode))
		return ask_config(guest, ret, size);
	snprintf(ret, size, S_ISDIR(st.st_mode) ? "%s/control" : "%s", guest);
	return EXIT_OK;
}

static int connect_guest(const char *guest, struct peer *peer)
{
	char path[4200];
	int code = find_socket(guest, path, sizeof(path)), err;

	if (code)
		return code;
	err = control_socket_connect(path, &peer->fd);
	if (!err)
		return EXIT_OK;
	if (err == -ENOENT || err == -ECONNREFUSED)
		log_error("%s is not running: nobody listens on %s", guest, path);
	else
		log_error("%s: %s", path, strerror(-err));
	if (err == -ENOENT || err == -ECONNREFUSED)
		return EXIT_NOT_RUNNING;
	return err == -EACCES || err == -EPERM ? EXIT_REFUSED : EXIT_HOST;
}

/* ---- lines ----------------------------------------------------------------------------------------- */

/*
 * The next line in *ret, without its newline; valid until the next call.  Waits at most @timeout_ms, -1 = for ever.
 * Result: 1; 0 at the end of the connection; -ETIMEDOUT, -EMSGSIZE, -errno.
 */
static int read_line(struct peer *peer, int timeout_ms, struct json_slice *ret)
{
	struct pollfd ready = {.fd = peer->fd, .events = POLLIN};

	for (;;) {
		char *line = peer->data + peer->start;
		char *newline = memchr(line, '\n', peer->end - peer->start);
		ssize_t n;

		if (newline) {
			*ret = (struct json_slice){.text = line, .len = (size_t)(newline - line)};
			peer->start += ret->len + 1;
			return 1;
		}
		memmove(peer->data, line, peer->end - peer->start);
		peer->end -= peer->start;
		peer->start = 0;
		if (peer->end == LINE_MAX_BYTES)
			return -EMSGSIZE;
		if (poll(&ready, 1, timeout_ms) == 0)
			return -ETIMEDOUT;
		n = recv(peer->fd, peer->data + peer->end, LINE_MAX_BYTES - peer->end, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ECONNRESET)
			return -errno;
		if (n <= 0)
			return 0;
		peer->end += (size_t)n;
	}
}

static int say_lost(const char *guest, int got)
{
	log_error("%s: %s", guest, got ? strerror(-got) : "minivmm has ended");
	return EXIT_HOST;
}

/*
 * No answer came to a request.  Who ends the connection without one has ended: a killed minivmm's socket may take
 * connections for a moment, until the last of its processes is gone.
 */
static int say_unanswered(const char *guest, int got)
{
	int code = say_lost(guest, got);

	return got ? code : EXIT_NOT_RUNNING;
}

/* Events until minivmm ends. */
static int follow(const char *guest, struct peer *peer, bool json)
{
	struct json_slice line;
	bool ended = false;
	char name[64];
	int got;

	while ((got = read_line(peer, -1, &line)) == 1) {
		if (json)
			printf("%.*s\n", (int)line.len, line.text);
		else
			ctl_print_event(line, stdout);
		if (fflush(stdout))
			return EXIT_HOST; /* who reads has gone */
		json_find_text(line, "event", name, sizeof(name));
		ended = ended || !strcmp(name, "exit");
	}
	return ended ? EXIT_OK : say_lost(guest, got);
}

static int converse(const char *guest, struct peer *peer, const char *request, bool json)
{
	char why[256], command[64];
	struct json_slice answer;
	int got;

	/* a peer that is not let in may have closed already: its last words tell why */
	if (send(peer->fd, request, strlen(request), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return say_lost(guest, -errno);
	got = read_line(peer, ANSWER_TIMEOUT_MS, &answer);
	if (got != 1)
		return say_unanswered(guest, got);
	if (json)
		printf("%.*s\n", (int)answer.len, answer.text);
	if (!json_find_true(answer, "ok")) {
		json_find_text(answer, "message", why, sizeof(why));
		if (!json)
			log_error("%s: %s", guest, why);
		return EXIT_REFUSED;
	}
	json_find_text(answer, "command", command, sizeof(command));
	if (!json)
		ctl_print_answer(command, answer, stdout);
	fflush(stdout);
	return strcmp(command, "events") ? EXIT_OK : follow(guest, peer, json);
}

int ctl_status_text(const char *guest, const char *name, char *buf, size_t size)
{
	struct peer peer = {.fd = -1};
	struct json_slice answer;
	int code = connect_guest(guest, &peer), got = 1;

	if (code)
		return code;
	peer.data = malloc(LINE_MAX_BYTES);
	if (!peer.data)
		got = -ENOMEM;
	else if (send(peer.fd, "status\n", strlen("status\n"), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		got = -errno;
	if (got == 1)
		got = read_line(&peer, ANSWER_TIMEOUT_MS, &answer);
	if (got == 1)
		json_find_text(answer, name, buf, size);
	free(peer.data);
	close(peer.fd);
	return got == 1 ? EXIT_OK : say_unanswered(guest, got);
}

/* ---- the command ----------------------------------------------------------------------------------- */

/* The words as one line; false if they do not fit in a request. */
static bool make_request(char *buf, size_t size, char *const *words, int nr_words)
{
	size_t len = 0;

	for (int i = 0; i < nr_words && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? " " : "", words[i]);
	if (len + 1 >= size || strchr(buf, '\n'))
		return false;
	memcpy(buf + len, "\n", 2);
	return true;
}

int command_ctl(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
	char request[CONTROL_REQUEST_MAX];
	struct peer peer = {.fd = -1};
	bool json = false;
	int option, code;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'j')
			return EXIT_USAGE; /* getopt has said what is wrong */
		json = true;
	}
	if (argc - optind < 2) {
		log_error("ctl: expected a guest and a command; see minivmm --help");
		return EXIT_USAGE;
	}
	if (!make_request(request, sizeof(request), argv + optind + 1, argc - optind - 1)) {
		log_error("ctl: that is no request");
		return EXIT_USAGE;
	}
	code = connect_guest(argv[optind], &peer);
	if (code)
		return code;
	peer.data = malloc(LINE_MAX_BYTES);
	code = peer.data ? converse(argv[optind], &peer, request, json) : EXIT_HOST;
	free(peer.data);
	close(peer.fd);
	return code;
}
