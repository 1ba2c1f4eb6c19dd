/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_control.c - the control socket: lines, queues, clients of every kind, its file.
 *
 * The handler here knows three commands: "echo", "big" (the largest answer) and "stream".  Clients are sockets of
 * the test itself; control_dispatch() is called as the event loop would.
 */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "vmm/config/config.h"
#include "vmm/control/control.h"
#include "vmm/control/control_socket.h"
#include "vmm/base/json_read.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- requests out of bytes ---------------------------------------------------------------------- */

static struct control_input input;

static void feed(const char *bytes, size_t len)
{
	size_t room;
	char *space = control_input_space(&input, &room);

	ck_assert_uint_ge(room, len);
	memcpy(space, bytes, len);
	control_input_added(&input, len);
}

static void feed_text(const char *text)
{
	feed(text, strlen(text));
}

static void next_is(const char *text)
{
	char line[CONTROL_REQUEST_MAX];

	ck_assert_int_eq(control_input_take(&input, line), CONTROL_LINE);
	ck_assert_str_eq(line, text);
}

static void nothing_is_left(void)
{
	char line[CONTROL_REQUEST_MAX];

	ck_assert_int_eq(control_input_take(&input, line), CONTROL_NO_LINE);
}

START_TEST(a_line_is_a_request_however_its_bytes_arrive)
{
	memset(&input, 0, sizeof(input));
	for (const char *c = "status\n"; *c; c++) {
		nothing_is_left();
		feed(c, 1);
	}
	next_is("status");
	feed_text("a\r\n\n b\tc \nrest");
	next_is("a");
	next_is("");
	next_is(" b c ");
	nothing_is_left();
	ck_assert(control_input_is_cut(&input));
	feed_text("!\n");
	next_is("rest!");
	ck_assert(!control_input_is_cut(&input));
}
END_TEST

START_TEST(a_line_with_other_bytes_than_text_is_bad_and_the_next_one_is_not)
{
	static const char *const bad[] = {"\x01", "a\x7f", "\xc3\xa4", "\x1b[0m", "a\rb"};
	char line[CONTROL_REQUEST_MAX];

	memset(&input, 0, sizeof(input));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		feed_text(bad[i]);
		feed_text("\ngood\n");
		ck_assert_int_eq(control_input_take(&input, line), CONTROL_BAD_LINE);
		next_is("good");
	}
	feed("a\0b\n", 4);
	ck_assert_int_eq(control_input_take(&input, line), CONTROL_BAD_LINE);
}
END_TEST

START_TEST(a_line_that_is_too_long_is_said_once_and_the_one_behind_it_counts)
{
	char line[CONTROL_REQUEST_MAX], text[CONTROL_REQUEST_MAX];

	memset(text, 'x', sizeof(text));
	for (size_t pieces = 1; pieces < 40; pieces++) {
		memset(&input, 0, sizeof(input));
		feed(text, CONTROL_REQUEST_MAX);
		ck_assert_int_eq(control_input_take(&input, line), CONTROL_LONG_LINE);
		for (size_t i = 0; i < pieces; i++) {
			feed(text, CONTROL_REQUEST_MAX);
			nothing_is_left();
		}
		feed_text("end\nstatus\n");
		next_is("status");
	}
	/* the longest that is allowed, and one byte more in one piece */
	feed(text, CONTROL_REQUEST_MAX - 1);
	feed_text("\n");
	ck_assert_int_eq(control_input_take(&input, line), CONTROL_LINE);
	ck_assert_uint_eq(strlen(line), CONTROL_REQUEST_MAX - 1);
	feed(text, CONTROL_REQUEST_MAX);
	feed_text("\n");
	ck_assert_int_eq(control_input_take(&input, line), CONTROL_LONG_LINE);
	nothing_is_left();
}
END_TEST

START_TEST(words_are_split_at_blanks_and_bounded)
{
	const char *words[CONTROL_WORDS_MAX];
	char text[] = "  dump-cancel   7 ", none[] = "   ", many[] = "a b c d e";

	ck_assert_uint_eq(control_split(text, words), 2);
	ck_assert_str_eq(words[0], "dump-cancel");
	ck_assert_str_eq(words[1], "7");
	ck_assert_uint_eq(control_split(none, words), 0);
	ck_assert_uint_eq(control_split(many, words), CONTROL_WORDS_MAX + 1);
}
END_TEST

/* ---- the queue ---------------------------------------------------------------------------------- */

START_TEST(a_queue_gives_every_byte_in_order_round_its_end)
{
	unsigned char out[64], next = 0, expected = 0;
	struct control_queue queue;
	int pair[2];

	ck_assert_int_eq(control_queue_init(&queue, 37), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	for (size_t round = 0; round < 200; round++) {
		size_t len = round % 37 + 1;
		char bytes[37];
		ssize_t n;

		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)next++;
		ck_assert(control_queue_put(&queue, bytes, len));
		ck_assert(!control_queue_put(&queue, bytes, 38 - len)); /* all or nothing */
		ck_assert_int_eq(control_queue_send(&queue, pair[0]), 0);
		n = recv(pair[1], out, sizeof(out), 0);
		ck_assert_int_eq(n, (ssize_t)len);
		for (ssize_t i = 0; i < n; i++)
			ck_assert_uint_eq(out[i], expected++);
	}
	close(pair[1]);
	ck_assert(control_queue_put(&queue, "x", 1));
	ck_assert_int_eq(control_queue_send(&queue, pair[0]), -EPIPE);
	close(pair[0]);
	control_queue_fini(&queue);
}
END_TEST

/* ---- looking into JSON -------------------------------------------------------------------------- */

static struct json_slice slice(const char *text)
{
	return (struct json_slice){.text = text, .len = strlen(text)};
}

START_TEST(members_of_an_answer_are_found_and_those_of_inner_objects_are_not)
{
	struct json_slice line = slice("{\"ok\":true,\"vm\":{\"generation\":7,\"x\":[1,{\"name\":\"in\"}]},"
				       "\"name\":\"a\\\"}\\\\b\\u001b\","
				       " \"generation\" : 18446744073709551615 ,\"no\":false}");
	struct json_slice vm;
	char text[64];

	ck_assert(json_find_true(line, "ok"));
	ck_assert(!json_find_true(line, "no") && !json_find_true(line, "other"));
	ck_assert_uint_eq(json_find_u64(line, "generation"), UINT64_MAX);
	ck_assert(json_find(line, "vm", &vm));
	ck_assert_uint_eq(json_find_u64(vm, "generation"), 7);
	json_find_text(line, "name", text, sizeof(text));
	ck_assert_str_eq(text, "a\"}\\b\\u001b");
	json_find_text(line, "name", text, 3);
	ck_assert_str_eq(text, "a\"");
	json_find_text(line, "generation", text, sizeof(text));
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(an_array_is_walked_element_by_element)
{
	static const char *const want[] = {"1", "\"a,]\"", "[2,[]]", "{\"b\":{}}", "null"};
	struct json_slice name, value;
	struct json_cursor cursor;
	size_t nr = 0;

	ck_assert(json_enter(slice(" [1, \"a,]\",[2,[]],{\"b\":{}},null]"), &cursor));
	for (; json_next(&cursor, &name, &value); nr++) {
		ck_assert_uint_eq(name.len, 0);
		ck_assert_uint_eq(value.len, strlen(want[nr]));
		ck_assert_mem_eq(value.text, want[nr], value.len);
	}
	ck_assert_uint_eq(nr, ARRAY_LEN(want));
	ck_assert(!json_enter(slice("1"), &cursor) && !json_enter(slice(""), &cursor));
}
END_TEST

/* Every beginning of a text, in memory that ends with it: a sanitizer sees a byte too far. */
START_TEST(a_cut_or_broken_text_is_never_read_beyond_its_end)
{
	static const char *const texts[] = {"{\"a\":[1,{\"b\":\"\\\"\"}],\"c\":{\"d\":[[]]},\"e\":12}",
		"{\"a\":\"\\", "{{{{", "[[[]", "{\"a\"", "{,,,}", "{:}", "{\"a\":}", "[}]", "]"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		for (size_t len = 0; len <= strlen(texts[i]); len++) {
			autofree char *copy = malloc(len + !len);
			struct json_slice text = {.text = copy, .len = len}, name, value;
			struct json_cursor cursor;
			size_t steps = 0;

			memcpy(copy, texts[i], len);
			json_find_u64(text, "e");
			json_find_true(text, "c");
			if (!json_enter(text, &cursor))
				continue;
			while (json_next(&cursor, &name, &value))
				ck_assert_uint_lt(steps++, 100);
		}
	}
}
END_TEST

/* ---- clients ------------------------------------------------------------------------------------ */

static struct scratch scratch;
static struct control control;
static char path[128], why[256];
static unsigned handled;

static void handle(void *opaque, struct control_request *request, struct json *answer)
{
	static char big[CONTROL_ANSWER_MAX - 64];

	ck_assert_ptr_eq(opaque, &handled);
	handled++;
	if (!strcmp(request->words[0], "big")) {
		memset(big, 'b', sizeof(big) - 1);
		json_text(answer, "big", big);
	} else if (!strcmp(request->words[0], "stream")) {
		request->stream = true;
		control_accept(answer, request);
	} else if (!strcmp(request->words[0], "echo")) {
		control_accept(answer, request);
		json_text(answer, "word", request->nr_words > 1 ? request->words[1] : "");
	} else {
		control_refuse(answer, "unknown-command", "not here");
	}
}

static void setup(void)
{
	scratch_init(&scratch);
	scratch_path(&scratch, "control", path, sizeof(path));
	control_init(&control);
	handled = 0;
	ck_assert_int_eq(control_open(&control, path, handle, &handled, why, sizeof(why)), 0);
}

static void teardown(void)
{
	control_close(&control);
	ck_assert_int_eq(access(path, F_OK), -1);
	scratch_fini(&scratch);
}

/* As long as there is something to do, at most @rounds times. */
static void serve(unsigned rounds)
{
	struct pollfd ready = {.fd = control.epoll_fd, .events = POLLIN};

	while (rounds-- && poll(&ready, 1, 0) > 0)
		control_dispatch(&control);
}

static int join(void)
{
	int fd;

	ck_assert_int_eq(control_socket_connect(path, &fd), 0);
	serve(10);
	return fd;
}

static void ask(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	serve(100);
}

/* What the client has got so far. */
static const char *heard(int fd)
{
	static char text[CONTROL_QUEUE * 2];
	size_t len = 0;
	ssize_t n;

	while (len + 1 < sizeof(text) &&
		(n = recv(fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return text;
}

static bool is_closed(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);

	return !n || (n < 0 && errno == ECONNRESET);
}

START_TEST(each_request_gets_one_line_in_its_turn)
{
	int fd = join();

	ask(fd, "echo one\necho two\nrubbish\n");
	ask(fd, "ec");
	ask(fd, "ho three\n");
	ck_assert_str_eq(heard(fd),
		"{\"ok\":true,\"command\":\"echo\",\"word\":\"one\"}\n"
		"{\"ok\":true,\"command\":\"echo\",\"word\":\"two\"}\n"
		"{\"ok\":false,\"error\":\"unknown-command\",\"message\":\"not here\"}\n"
		"{\"ok\":true,\"command\":\"echo\",\"word\":\"three\"}\n");
	close(fd);
	serve(10);
	ck_assert_int_eq(control.clients[0].fd, -1);
}
END_TEST

START_TEST(garbage_gets_an_error_each_and_reaches_no_handler)
{
	char text[4000];
	int fd = join();

	memset(text, '\xff', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ask(fd, text);
	ask(fd, "\n\n \x01\na b c d e\n");
	ck_assert_uint_eq(handled, 0);
	ck_assert_str_eq(heard(fd),
		"{\"ok\":false,\"error\":\"bad-request\",\"message\":\"a request has at most 255 bytes\"}\n"
		"{\"ok\":false,\"error\":\"bad-request\",\"message\":\"a request is a command and a few "
		"words\"}\n"
		"{\"ok\":false,\"error\":\"bad-request\",\"message\":\"a request is printable ASCII\"}\n"
		"{\"ok\":false,\"error\":\"bad-request\",\"message\":\"a request is a command and a few "
		"words\"}\n");
	ask(fd, "echo\n");
	ck_assert_uint_eq(handled, 1);
	close(fd);
}
END_TEST

START_TEST(a_client_that_has_said_its_last_still_gets_its_answers)
{
	int fd = join();

	ck_assert_int_eq(send(fd, "echo a\necho b\ncra", 17, 0), 17);
	shutdown(fd, SHUT_WR);
	serve(100);
	ck_assert_str_eq(heard(fd), "{\"ok\":true,\"command\":\"echo\",\"word\":\"a\"}\n{\"ok\":true,"
				    "\"command\":\"echo\",\"word\":\"b\"}\n"
				    "{\"ok\":false,\"error\":\"bad-request\",\"message\":\"the last "
				    "request has no newline\"}\n");
	ck_assert(is_closed(fd));
	close(fd);
}
END_TEST

START_TEST(what_a_client_asked_before_it_went_is_done)
{
	int fd = join();

	ck_assert_int_eq(send(fd, "echo a\necho b\n", 14, 0), 14);
	close(fd);
	serve(100);
	ck_assert_uint_eq(handled, 2);
	ck_assert_int_eq(control.clients[0].fd, -1);
}
END_TEST

START_TEST(a_flood_from_one_who_takes_no_answers_is_left_unread_and_answered_when_it_does)
{
	size_t asked = 0, answers = 0;
	int fd = join(), other = join();

	/* until its socket is full too: nobody reads there any more */
	while (send(fd, "big\n", 4, MSG_DONTWAIT | MSG_NOSIGNAL) == 4 && asked < 1000000) {
		asked++;
		if (asked % 256 == 0)
			serve(100);
	}
	serve(1000);
	ck_assert_uint_lt(handled, 100);
	ck_assert_int_eq(poll(&(struct pollfd){.fd = control.epoll_fd, .events = POLLIN}, 1, 0), 0);
	ask(other, "echo me\n");
	ck_assert_str_eq(heard(other), "{\"ok\":true,\"command\":\"echo\",\"word\":\"me\"}\n");
	for (int i = 0; i < 1000; i++) {
		for (const char *c = heard(fd); *c; c++)
			answers += *c == '\n';
		serve(100);
	}
	ck_assert_uint_ge(answers, 100);
	ck_assert_uint_le(answers, asked);
	close(fd);
	close(other);
}
END_TEST

START_TEST(a_flood_of_one_client_does_not_keep_the_loop_from_the_others)
{
	char text[CONTROL_INPUT];
	int fd = join(), other;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 5 == 4 ? '\n' : "echo"[i % 5];
	ck_assert_int_eq(send(fd, text, sizeof(text), 0), sizeof(text));
	other = join();
	control_dispatch(&control);
	ck_assert_uint_lt(handled, 400); /* not all 819 in one go */
	ck_assert_int_eq(send(other, "echo x\n", 7, 0), 7);
	control_dispatch(&control);
	ck_assert_str_ne(heard(other), "");
	serve(1000);
	ck_assert_uint_eq(handled, sizeof(text) / 5 + 1);
	close(fd);
	close(other);
}
END_TEST

START_TEST(a_hundred_connections_leave_room_for_those_that_are_in)
{
	int fds[100], turned_away = 0;

	for (int i = 0; i < 100; i++)
		fds[i] = join();
	for (int i = 0; i < 100; i++) {
		const char *text = heard(fds[i]);

		if (!*text)
			continue;
		turned_away++;
		ck_assert_str_eq(
			text, "{\"ok\":false,\"error\":\"busy\",\"message\":\"too many clients\"}\n");
		ck_assert(is_closed(fds[i]));
	}
	ck_assert_int_eq(turned_away, 100 - CONTROL_CLIENTS_MAX);
	ask(fds[0], "echo x\n");
	ck_assert_str_ne(heard(fds[0]), "");
	for (int i = 0; i < 100; i++)
		close(fds[i]);
	serve(100);
	fds[0] = join();
	ask(fds[0], "echo y\n");
	ck_assert_str_ne(heard(fds[0]), "");
	close(fds[0]);
}
END_TEST

START_TEST(a_client_that_has_been_silent_for_long_makes_room)
{
	int fds[CONTROL_CLIENTS_MAX], late;

	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		fds[i] = join();
	ask(fds[3], "stream\n");
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) /* it follows events: it stays, however old */
		control.clients[i].heard_ns -= (i == 5 ? 2 : i == 3 ? 3 : 0) * CONTROL_IDLE_NS;
	late = join();
	ask(late, "echo x\n");
	ck_assert_str_ne(heard(late), "");
	ck_assert(is_closed(fds[5]));
	ck_assert(!is_closed(fds[3]) || errno == EAGAIN);
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		close(fds[i]);
	close(late);
}
END_TEST

START_TEST(events_reach_those_who_asked_and_answers_come_in_between)
{
	int fd = join(), other = join();

	control_event(&control, "{\"event\":\"early\"}\n", 18);
	ask(fd, "stream\n");
	control_event(&control, "{\"event\":\"a\"}\n", 14);
	ask(fd, "echo x\n");
	control_event(&control, "{\"event\":\"b\"}\n", 14);
	serve(10);
	ck_assert_str_eq(heard(fd),
		"{\"ok\":true,\"command\":\"stream\"}\n{\"event\":\"a\"}\n"
		"{\"ok\":true,\"command\":\"echo\",\"word\":\"x\"}\n{\"event\":\"b\"}\n");
	ck_assert_str_eq(heard(other), "");
	/* one that has closed its sending side goes on listening */
	shutdown(fd, SHUT_WR);
	serve(10);
	control_event(&control, "{\"event\":\"c\"}\n", 14);
	serve(10);
	ck_assert_str_eq(heard(fd), "{\"event\":\"c\"}\n");
	close(fd);
	close(other);
	serve(10);
	ck_assert_uint_eq(atomic_load(&control.nr_streams), 0);
}
END_TEST

START_TEST(a_slow_reader_is_told_how_many_events_it_has_missed_and_its_answers_still_fit)
{
	size_t sent = 0, got = 0, lost = 0;
	char event[1000];
	int fd = join();

	ask(fd, "stream\n");
	memset(event, 'e', sizeof(event));
	event[sizeof(event) - 1] = '\n';
	for (; sent < 2000; sent++) {
		control_event(&control, event, sizeof(event));
		if (sent % 100 == 0)
			serve(10);
	}
	ck_assert_uint_gt(control.clients[0].lost, 0);
	ask(fd, "big\n");
	ck_assert_uint_eq(handled, 2);
	for (int i = 0; i < 100; i++) {
		const char *line = heard(fd), *end;

		for (; (end = strchr(line, '\n')); line = end + 1) {
			struct json_slice text = {.text = line, .len = (size_t)(end - line)};

			got += *line == 'e';
			lost += json_find_u64(text, "count");
		}
		serve(10);
	}
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_eq(got + lost, sent);
	ck_assert_uint_eq(control.clients[0].lost, 0);
	close(fd);
}
END_TEST

/* ---- the socket's file -------------------------------------------------------------------------- */

START_TEST(only_its_owner_may_open_the_socket_whatever_the_umask)
{
	struct stat st;

	control_close(&control);
	umask(0);
	control_init(&control);
	ck_assert_int_eq(control_open(&control, path, handle, &handled, why, sizeof(why)), 0);
	ck_assert(!stat(path, &st) && S_ISSOCK(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(a_peer_of_another_user_is_told_so_and_gets_nothing_done)
{
	pid_t child;
	int status;

	if (geteuid()) {
		printf("SKIP %s: needs root to be somebody else\n", __func__);
		return;
	}
	child = fork();
	if (!child) {
		int fd;

		/* another effective user who may open the file all the same */
		if (setresuid((uid_t)-1, 65534, (uid_t)-1) || (setfsuid(0), setfsuid(0)) != 0 ||
			control_socket_connect(path, &fd))
			_exit(1);
		send(fd, "echo x\n", 7, MSG_NOSIGNAL); /* may come too late: it is turned away at once */
		_exit(read(fd, why, sizeof(why)) > 0 && strstr(why, "not-permitted") &&
					read(fd, why, sizeof(why)) <= 0
				? 0
				: 2);
	}
	while (waitpid(child, &status, WNOHANG) == 0) {
		poll(&(struct pollfd){.fd = control.epoll_fd, .events = POLLIN}, 1, 10);
		serve(10);
	}
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_uint_eq(handled, 0);
}
END_TEST

START_TEST(the_socket_of_a_dead_process_is_replaced_and_that_of_a_living_one_is_not)
{
	struct control second;
	int stale;
	dev_t dev;
	ino_t ino;

	control_init(&second);
	ck_assert_int_eq(control_open(&second, path, handle, &handled, why, sizeof(why)), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(why, "another process listens"));
	close(join());
	control_close(&control);
	ck_assert_int_eq(control_socket_listen(path, &stale, &dev, &ino, why, sizeof(why)), 0);
	close(stale); /* as a kill does: the file stays */
	ck_assert_int_eq(access(path, F_OK), 0);
	control_init(&control);
	ck_assert_int_eq(control_open(&control, path, handle, &handled, why, sizeof(why)), 0);
	close(join());
	control_close(&second);
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_left_alone)
{
	struct control second;
	char file[128];
	int fd;

	fd = open(scratch_path(&scratch, "file", file, sizeof(file)), O_CREAT | O_RDWR, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	control_init(&second);
	ck_assert_int_eq(control_open(&second, file, handle, &handled, why, sizeof(why)), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(why, "no socket"));
	ck_assert_int_eq(access(file, F_OK), 0);
	control_close(&second);
}
END_TEST

START_TEST(closing_leaves_another_ones_socket_of_that_name_alone)
{
	dev_t dev;
	ino_t ino;
	int fd;

	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(control_socket_listen(path, &fd, &dev, &ino, why, sizeof(why)), 0);
	control_close(&control);
	ck_assert_int_eq(access(path, F_OK), 0);
	control_socket_remove(path, dev, ino);
	close(fd);
	control_init(&control);
}
END_TEST

START_TEST(a_path_that_no_socket_can_have_is_refused_with_a_reason)
{
	char text[CONTROL_PATH_MAX + 2];
	struct control second;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	control_init(&second);
	ck_assert_int_eq(control_open(&second, text, handle, &handled, why, sizeof(why)), -ENAMETOOLONG);
	ck_assert_ptr_nonnull(strstr(why, "File name too long"));
	control_close(&second);
}
END_TEST

Suite *suite_control(void)
{
	Suite *suite = suite_create("control");
	TCase *wire = tcase_create("wire"), *json = tcase_create("json"),
	      *clients = tcase_create("clients"), *file = tcase_create("file");

	tcase_add_test(wire, a_line_is_a_request_however_its_bytes_arrive);
	tcase_add_test(wire, a_line_with_other_bytes_than_text_is_bad_and_the_next_one_is_not);
	tcase_add_test(wire, a_line_that_is_too_long_is_said_once_and_the_one_behind_it_counts);
	tcase_add_test(wire, words_are_split_at_blanks_and_bounded);
	tcase_add_test(wire, a_queue_gives_every_byte_in_order_round_its_end);
	suite_add_tcase(suite, wire);

	tcase_add_test(json, members_of_an_answer_are_found_and_those_of_inner_objects_are_not);
	tcase_add_test(json, an_array_is_walked_element_by_element);
	tcase_add_test(json, a_cut_or_broken_text_is_never_read_beyond_its_end);
	suite_add_tcase(suite, json);

	tcase_add_checked_fixture(clients, setup, teardown);
	tcase_set_timeout(clients, 20);
	tcase_add_test(clients, each_request_gets_one_line_in_its_turn);
	tcase_add_test(clients, garbage_gets_an_error_each_and_reaches_no_handler);
	tcase_add_test(clients, a_client_that_has_said_its_last_still_gets_its_answers);
	tcase_add_test(clients, what_a_client_asked_before_it_went_is_done);
	tcase_add_test(
		clients, a_flood_from_one_who_takes_no_answers_is_left_unread_and_answered_when_it_does);
	tcase_add_test(clients, a_flood_of_one_client_does_not_keep_the_loop_from_the_others);
	tcase_add_test(clients, a_hundred_connections_leave_room_for_those_that_are_in);
	tcase_add_test(clients, a_client_that_has_been_silent_for_long_makes_room);
	tcase_add_test(clients, events_reach_those_who_asked_and_answers_come_in_between);
	tcase_add_test(
		clients, a_slow_reader_is_told_how_many_events_it_has_missed_and_its_answers_still_fit);
	suite_add_tcase(suite, clients);

	tcase_add_checked_fixture(file, setup, teardown);
	tcase_set_timeout(file, 20);
	tcase_add_test(file, only_its_owner_may_open_the_socket_whatever_the_umask);
	tcase_add_test(file, a_peer_of_another_user_is_told_so_and_gets_nothing_done);
	tcase_add_test(file, the_socket_of_a_dead_process_is_replaced_and_that_of_a_living_one_is_not);
	tcase_add_test(file, a_file_that_is_no_socket_is_left_alone);
	tcase_add_test(file, closing_leaves_another_ones_socket_of_that_name_alone);
	tcase_add_test(file, a_path_that_no_socket_can_have_is_refused_with_a_reason);
	suite_add_tcase(suite, file);
	return suite;
}
