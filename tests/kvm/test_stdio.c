/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_stdio.c - every kind of thing that standard input, output and error, the console's file and the event
 * file can be: the guest talks more than anything buffers, crashes, is dumped, recovers and powers off.
 */
#include "tests/kvm/run.h"
#include "tests/kvm/suites.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* KiB: more than the console's buffer (192) and a pipe or a socket (64, 208) take */
#define TALK "talk=500 fill=pattern:10"

/* What minivmm's end of a descriptor is, and ours. */
struct thing {
	int fd;         /* -1 = closed, or there is a path */
	int other;      /* our end; -1 = none */
	char path[300]; /* what can be opened by name; "" = nothing */
	bool background;
};

/* ---- things ----------------------------------------------------------------------------------- */

static void closed(struct thing *t)
{
	t->fd = -1;
}

static void null(struct thing *t)
{
	snprintf(t->path, sizeof(t->path), "/dev/null");
	t->fd = open(t->path, O_RDWR | O_CLOEXEC);
}

static void full_device(struct thing *t)
{
	snprintf(t->path, sizeof(t->path), "/dev/full");
	t->fd = open(t->path, O_RDWR | O_CLOEXEC);
}

static void directory(struct thing *t)
{
	t->fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void file(struct thing *t)
{
	t->fd = open(t->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void pipe_of(struct thing *t, bool writes)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	t->fd = fds[writes];
	t->other = fds[!writes];
}

static void pipe_unread(struct thing *t)
{
	pipe_of(t, true);
}

static void pipe_input(struct thing *t)
{
	pipe_of(t, false);
}

static void pipe_nonblocking(struct thing *t)
{
	pipe_of(t, true);
	ck_assert_int_eq(fcntl(t->fd, F_SETFL, O_NONBLOCK), 0);
}

static void pipe_deserted(struct thing *t)
{
	pipe_of(t, true);
	close(t->other);
	t->other = -1;
}

static void pipe_ended(struct thing *t)
{
	pipe_of(t, false);
	close(t->other);
	t->other = -1;
}

static void socket_unread(struct thing *t)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	t->fd = fds[0];
	t->other = fds[1];
}

static void fifo_deserted(struct thing *t)
{
	ck_assert_int_eq(mkfifo(t->path, 0600), 0);
}

static void fifo_unread(struct thing *t)
{
	ck_assert_int_eq(mkfifo(t->path, 0600), 0);
	t->other = open(t->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static void terminal(struct thing *t)
{
	int other = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios mode;

	if (other < 0) {
		null(t); /* no devpts, as in a bare chroot */
		return;
	}
	ck_assert(!grantpt(other) && !unlockpt(other));
	snprintf(t->path, sizeof(t->path), "%s", ptsname(other));
	t->fd = open(t->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	t->other = other;
	ck_assert(t->fd >= 0 && !tcgetattr(t->fd, &mode));
	mode.c_lflag |= TOSTOP;
	ck_assert_int_eq(tcsetattr(t->fd, TCSANOW, &mode), 0);
}

static void terminal_background(struct thing *t)
{
	terminal(t);
	t->background = true;
}

/* ---- the table -------------------------------------------------------------------------------- */

enum place { IN, OUT, ERR, CONSOLE, EVENTS };
#define ON(place) (1u << (place))

static const struct {
	const char *name;
	void (*make)(struct thing *);
	unsigned places; /* where it can be */
	unsigned loses;  /* where what is written gets lost */
} things[] = {
	{"closed", closed, ON(IN) | ON(OUT) | ON(ERR), 0},
	{"/dev/null", null, ON(IN) | ON(OUT) | ON(ERR) | ON(CONSOLE) | ON(EVENTS), 0},
	{"/dev/full", full_device, ON(IN) | ON(OUT) | ON(ERR) | ON(CONSOLE) | ON(EVENTS),
		ON(OUT) | ON(CONSOLE) | ON(EVENTS)},
	{"directory", directory, ON(IN) | ON(OUT) | ON(ERR), ON(OUT)},
	{"file", file, ON(IN) | ON(OUT) | ON(ERR) | ON(CONSOLE) | ON(EVENTS), 0},
	{"pipe that nobody reads", pipe_unread, ON(IN) | ON(OUT) | ON(ERR), ON(OUT)},
	{"pipe that nobody writes", pipe_input, ON(IN), 0},
	{"non-blocking pipe that nobody reads", pipe_nonblocking, ON(OUT) | ON(ERR), ON(OUT)},
	{"pipe whose reader is gone", pipe_deserted, ON(OUT) | ON(ERR), ON(OUT)},
	{"pipe whose writer is gone", pipe_ended, ON(IN), 0},
	{"socket that nobody reads", socket_unread, ON(IN) | ON(OUT) | ON(ERR), ON(OUT)},
	{"FIFO without a reader", fifo_deserted, ON(CONSOLE) | ON(EVENTS), ON(CONSOLE) | ON(EVENTS)},
	{"FIFO that nobody reads", fifo_unread, ON(CONSOLE) | ON(EVENTS), ON(CONSOLE)},
	{"terminal that nobody reads", terminal, ON(IN) | ON(OUT) | ON(ERR) | ON(CONSOLE) | ON(EVENTS),
		ON(OUT) | ON(CONSOLE)},
	{"terminal in whose background it is", terminal_background, ON(IN) | ON(OUT) | ON(ERR), ON(OUT)},
};
#define NR_THINGS ((int)(sizeof(things) / sizeof(things[0])))
#define NR_PLACES 5

/* What minivmm said of it, at its end and once. */
static void check_told(struct run *run, enum place place, bool loses)
{
	static const char *const words[] = {[OUT] = "bytes of output were lost",
		[CONSOLE] = "bytes of output were lost",
		[EVENTS] = "events were lost"};
	const char *at;
	char text[32768];

	if (place == ERR || !words[place])
		return;
	read_file(run->err, text, sizeof(text));
	at = strstr(text, words[place]);
	run_assert(run, (at != NULL) == loses, "%s in what it says: '%s'", loses ? "is not" : "is",
		words[place]);
	run_assert(run, !at || !strstr(at + 1, words[place]), "told twice");
}

START_TEST(a_guest_crashes_and_recovers_whatever_its_input_output_and_files_are)
{
	enum place place = (enum place)(_i % NR_PLACES);
	int index = _i / NR_PLACES, null_fd, out_fd, err_fd;
	struct thing t = {.fd = -1, .other = -1};
	char dump[300], files[2][300];
	struct run run;

	if (!(things[index].places & ON(place)))
		return;
	NEEDS_KVM();
	run_prepare(&run);
	snprintf(t.path, sizeof(t.path), "%s.thing", run.dir);
	snprintf(files[0], sizeof(files[0]), "%s.out", run.dir);
	snprintf(files[1], sizeof(files[1]), "%s.err", run.dir);
	rmdir(run.dir); /* run_start makes one */
	things[index].make(&t);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	out_fd = open(files[0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	err_fd = open(files[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	run_start(&run, &(struct guest){.cmdline = TALK " scenario=ready-panic generations=2",
				.fds = (int[]){place == IN ? t.fd : null_fd, place == OUT ? t.fd : out_fd,
					place == ERR ? t.fd : err_fd},
				.background = t.background,
				.console = place == CONSOLE ? t.path : "stdio",
				.events = place == EVENTS ? t.path : NULL});
	snprintf(run.err, sizeof(run.err), "%s", files[1]);
	run_ends(&run, CODE_OK);
	for (int i = 0; i < 2; i++)
		run_dump_path(&run, i, dump, sizeof(dump));
	if (place != EVENTS) {
		run_count(&run, "crash", 2);
		run_count(&run, "dump-done", 2);
		run_count(&run, "power-off", 1);
		run_count(&run, "lost", 0);
	}
	check_told(&run, place, things[index].loses & ON(place));
	run_finish(&run);
	unlink(t.path[0] == '/' && t.path[1] != 'd' ? t.path : files[0]);
	unlink(files[0]);
	unlink(files[1]);
}
END_TEST

Suite *suite_stdio(void)
{
	Suite *suite = suite_create("stdio");
	TCase *tc = run_tcase(suite, "things");

	tcase_add_loop_test(tc, a_guest_crashes_and_recovers_whatever_its_input_output_and_files_are, 0,
		NR_THINGS * NR_PLACES);
	return suite;
}
