/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_console.c - vmm/host/console.c: complete output, nobody held back for ever, keys.
 *
 * A terminal that takes nothing is a FIFO with an open reading end that the test does not read.
 */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "vmm/host/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>

static struct scratch scratch;
static struct console console;
static char path[128];

static void setup(void)
{
	scratch_init(&scratch);
	scratch_path(&scratch, "out", path, sizeof(path));
	signal(SIGPIPE, SIG_IGN); /* as minivmm does */
}

static void teardown(void)
{
	scratch_fini(&scratch);
}

/* Opens @c on a FIFO; returns the end to read from. */
static int open_fifo(const char *name, struct console *c)
{
	int fd;

	scratch_path(&scratch, name, path, sizeof(path));
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(fcntl(fd, F_SETPIPE_SZ, 4096), 4096);
	ck_assert_int_eq(console_open(c, path, 0), 0);
	return fd;
}

/* our choice: nothing has come for so long, nothing more will, or, where more must come, the test is stuck */
#define IDLE_MS 20
#define STUCK_MS 5000

/*
 * Reads from the FIFO at least @least bytes, and on until nothing has come for a while; returns bytes read, the first
 * @size of them in @buf.
 */
static size_t drain(int fd, char *buf, size_t size, size_t least)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	char chunk[8192];
	size_t total = 0;

	while (poll(&ready, 1, total < least ? STUCK_MS : IDLE_MS) > 0) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n <= 0)
			break;
		if (total < size) /* the rest is only counted */
			memcpy(buf + total, chunk, (size_t)u64_min((uint64_t)n, size - total));
		total += (size_t)n;
	}
	return total;
}

static char *file_text(size_t *ret_size)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;

	ck_assert(fd >= 0 && !fstat(fd, &st));
	text = calloc(1, (size_t)st.st_size + 1);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(io_pread_full(fd, text, (size_t)st.st_size, 0), 0);
	*ret_size = (size_t)st.st_size;
	return text;
}

/* Waits until a FIFO that nobody reads is full, and the buffer before it. */
static void await_full(void)
{
	uint64_t head;

	do {
		usleep(100);
		pthread_mutex_lock(&console.out.lock);
		head = console.out.head;
		pthread_mutex_unlock(&console.out.lock);
	} while (head < CONSOLE_BUFFER + 4096);
}

static uint64_t buffered(void)
{
	uint64_t bytes;

	pthread_mutex_lock(&console.out.lock);
	bytes = console.out.head - console.out.tail;
	pthread_mutex_unlock(&console.out.lock);
	return bytes;
}

/* A thread that writes texts of one letter each. */
struct writer {
	pthread_t thread;
	char letter;
	unsigned texts;
	size_t len; /* bytes of each text */
	_Atomic bool stop;
};

static void *write_texts(void *opaque)
{
	struct writer *w = opaque;
	char text[CONSOLE_RESERVE];

	memset(text, w->letter, w->len);
	for (unsigned i = 0; i < w->texts; i++)
		console_write(&console, 0, text, w->len, &w->stop);
	return NULL;
}

static void start(struct writer *w)
{
	ck_assert_int_eq(pthread_create(&w->thread, NULL, write_texts, w), 0);
}

static bool ends_within(struct writer *w, time_t seconds)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += seconds;
	return !pthread_timedjoin_np(w->thread, NULL, &deadline);
}

/* Ends the test unless @text consists of whole texts of @len bytes and @texts of each of @nr letters. */
static void check_pieces(const char *text, size_t size, size_t len, unsigned texts, unsigned nr)
{
	unsigned count[26] = {0};

	ck_assert_uint_eq(size, len * texts * nr);
	for (size_t at = 0; at < size; at += len) {
		ck_assert_msg(text[at] >= 'a' && text[at] < (char)('a' + nr), "not written by anybody");
		for (size_t i = 1; i < len; i++)
			ck_assert_msg(text[at + i] == text[at], "torn at byte %zu", at + i);
		count[text[at] - 'a']++;
	}
	for (unsigned i = 0; i < nr; i++)
		ck_assert_uint_eq(count[i], texts);
}

/* ---- output ------------------------------------------------------------------------------------- */

START_TEST(a_file_gets_every_text_of_many_writers_in_one_piece)
{
	struct writer writers[8];
	autofree char *text = NULL;
	size_t size;

	ck_assert_int_eq(console_open(&console, path, 0), 0);
	for (unsigned i = 0; i < ARRAY_LEN(writers); i++) {
		writers[i] = (struct writer){.letter = (char)('a' + i), .texts = 600, .len = 77};
		start(&writers[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(writers); i++)
		ck_assert(ends_within(&writers[i], 5));
	console_close(&console);
	text = file_text(&size);
	check_pieces(text, size, 77, 600, ARRAY_LEN(writers));
}
END_TEST

START_TEST(texts_stay_in_one_piece_when_the_buffer_is_full_most_of_the_time)
{
	enum { TEXTS = 6, LEN = 60000, WRITERS = 3 };
	autofree char *text = malloc(TEXTS * LEN * WRITERS);
	struct writer writers[WRITERS];
	autoclose int fd = open_fifo("out", &console);

	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.letter = (char)('a' + i), .texts = TEXTS, .len = LEN};
		start(&writers[i]);
	}
	check_pieces(
		text, drain(fd, text, TEXTS * LEN * WRITERS, TEXTS * LEN * WRITERS), LEN, TEXTS, WRITERS);
	for (unsigned i = 0; i < WRITERS; i++)
		ck_assert(ends_within(&writers[i], 1));
	console_close(&console);
}
END_TEST

START_TEST(a_file_is_appended_to_and_made_for_its_owner_alone)
{
	autofree char *text = NULL;
	struct stat st;
	size_t size;

	umask(0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(console_open(&console, path, 0), 0);
		console_write(&console, 0, i ? "two" : "one ", i ? 3 : 4, NULL);
		console_close(&console);
	}
	text = file_text(&size);
	ck_assert_str_eq(text, "one two");
	ck_assert(!stat(path, &st) && (st.st_mode & 07777) == 0600);
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_is_an_error)
{
	ck_assert_int_eq(
		console_open(&console, scratch_path(&scratch, "no/such", path, sizeof(path)), 0), -ENOENT);
	ck_assert_int_eq(console_open(&console, scratch.dir, 0), -EISDIR);
}
END_TEST

START_TEST(no_console_takes_everything_at_once_and_has_no_keys)
{
	static const char big[CONSOLE_RESERVE];
	char key;

	ck_assert_int_eq(console_open(&console, "none", 0), 0);
	for (int i = 0; i < 100; i++)
		console_write(&console, 0, big, sizeof(big), NULL);
	console_flush(&console, NSEC_PER_SEC);
	console_wake(&console);
	ck_assert_int_eq(console_read(&console, &key, 1), 0);
	console_close(&console);
	console_close(&console);
}
END_TEST

START_TEST(output_that_cannot_be_written_is_dropped_counted_and_holds_nobody_back)
{
	static const char big[CONSOLE_RESERVE];
	autofree char *log = NULL;

	stderr_capture();
	ck_assert_int_eq(console_open(&console, "/dev/full", 0), 0);
	for (int i = 0; i < 50; i++)
		console_write(&console, 0, big, sizeof(big), NULL);
	console_close(&console);
	log = stderr_text();
	ck_assert_str_eq(log, "minivmm: warning: console: No space left on device; what there is no room "
			      "for meanwhile is lost\n"
			      "minivmm: warning: console: 3276800 bytes of output were lost\n");
}
END_TEST

/* ---- several generations ------------------------------------------------------------------------ */

static void say(uint32_t generation, const char *text)
{
	console_write(&console, generation, text, strlen(text), NULL);
}

static void say_by_bytes(uint32_t generation, const char *text)
{
	for (; *text; text++)
		console_write(&console, generation, text, 1, NULL);
}

/* Closes the console; what is in the file must be @text. */
static void file_is(const char *text)
{
	autofree char *found = NULL;
	size_t size;

	console_close(&console);
	found = file_text(&size);
	ck_assert_str_eq(found, text);
}

START_TEST(output_of_another_generation_begins_with_a_line_that_says_so)
{
	ck_assert_int_eq(console_open(&console, path, 0), 0);
	say(0, "first\n");
	say(0, "last words\n");
	say(1, "hello\n");
	say(1, "again\n");
	say(3, "three\n");
	file_is("first\nlast words\n[generation 1]\nhello\nagain\n[generation 3]\nthree\n");
}
END_TEST

START_TEST(the_line_that_says_so_never_continues_another_one_and_output_goes_out_byte_by_byte)
{
	ck_assert_int_eq(console_open(&console, path, 0), 0);
	say_by_bytes(0, "cut in the mid");
	say_by_bytes(1, "# ");
	say_by_bytes(1, "ls\n# ");
	file_is("cut in the mid\n[generation 1]\n# ls\n# ");
}
END_TEST

START_TEST(a_recovery_vm_that_speaks_first_is_marked_all_the_same)
{
	ck_assert_int_eq(console_open(&console, path, 0), 0);
	say(1, "");
	say(2, "hello\n");
	file_is("[generation 2]\nhello\n");
}
END_TEST

START_TEST(what_a_dead_vm_still_says_beside_the_recovery_vm_comes_by_whole_lines)
{
	ck_assert_int_eq(console_open(&console, path, 0), 0);
	say(0, "dying\n");
	for (const char *a = "abc\ndef\n", *b = "uvw\nxyz\n"; *a; a++, b++) {
		console_write(&console, 1, a, 1, NULL);
		console_write(&console, 0, b, 1, NULL);
	}
	say(0, "\n");
	say(0, "no end");
	file_is("dying\n[generation 1]\nabc\n[generation 0]\nuvw\n[generation 1]\ndef\n"
		"[generation 0]\nxyz\n\nno end\n");
}
END_TEST

START_TEST(lines_of_two_dead_vms_are_kept_apart_and_one_without_an_end_is_bounded)
{
	char text[CONSOLE_LINE_MAX + 3], want[CONSOLE_LINE_MAX + 128];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(console_open(&console, path, 0), 0);
	say(2, "newest\n");
	say(0, "zero");
	say(1, text);
	snprintf(want, sizeof(want),
		"[generation 2]\nnewest\n[generation 0]\nzero\n[generation 1]\n%.*s\nxx\n",
		CONSOLE_LINE_MAX, text);
	file_is(want);
}
END_TEST

/* ---- a terminal that takes nothing -------------------------------------------------------------- */

START_TEST(a_writer_held_back_by_a_full_buffer_goes_when_it_is_told_to_stop)
{
	struct writer writer = {.letter = 'a', .texts = 10, .len = CONSOLE_RESERVE};
	autoclose int fd = open_fifo("out", &console);

	start(&writer);
	await_full();
	ck_assert(!ends_within(&writer, 0));
	ck_assert_uint_eq(buffered(), CONSOLE_BUFFER);
	atomic_store(&writer.stop, true);
	console_wake(&console);
	ck_assert(ends_within(&writer, 5));
	/* what the reserve holds was still taken */
	ck_assert_uint_gt(buffered(), CONSOLE_BUFFER);
	ck_assert_uint_le(buffered(), CONSOLE_BUFFER + CONSOLE_RESERVE);
	drain(fd, NULL, 0, 0);
	console_close(&console);
}
END_TEST

START_TEST(a_writer_that_waits_for_another_ones_text_goes_too_when_it_is_told_to_stop)
{
	struct writer first = {.letter = 'a', .texts = 4, .len = CONSOLE_RESERVE};
	struct writer second = {.letter = 'b', .texts = 1, .len = 10};
	autoclose int fd = open_fifo("out", &console);

	start(&first);
	await_full();
	start(&second);
	ck_assert(!ends_within(&second, 0));
	atomic_store(&second.stop, true);
	console_wake(&console);
	ck_assert(ends_within(&second, 5));
	ck_assert(!ends_within(&first, 0));
	drain(fd, NULL, 0, first.texts * first.len);
	ck_assert(ends_within(&first, 5));
	console_close(&console);
}
END_TEST

START_TEST(flushing_gives_up_after_its_time)
{
	autoclose int fd = open_fifo("out", &console);
	uint64_t started, took;
	static const char text[16384];

	console_write(&console, 0, text, sizeof(text), NULL);
	started = clock_mono_ns();
	console_flush(&console, 50 * NSEC_PER_MSEC);
	took = clock_mono_ns() - started;
	ck_assert_uint_ge(took, 50 * NSEC_PER_MSEC);
	ck_assert_uint_lt(took, 2 * NSEC_PER_SEC);
	ck_assert_uint_eq(drain(fd, NULL, 0, sizeof(text)), sizeof(text));
	started = clock_mono_ns();
	console_flush(&console, 10 * NSEC_PER_SEC); /* nothing left to wait for */
	ck_assert_uint_lt(clock_mono_ns() - started, 2 * NSEC_PER_SEC);
	console_close(&console);
}
END_TEST

static void *close_console(void *opaque)
{
	console_close(opaque);
	return NULL;
}

/* Both at once, because each takes its time. */
START_TEST(closing_gives_up_on_a_terminal_that_takes_nothing_and_sends_no_stale_bytes_to_one_that_wakes_up)
{
	static struct console silent;
	static const char text[16384];
	int silent_fd = open_fifo("silent", &silent), late_fd = open_fifo("late", &console);
	uint64_t started = clock_mono_ns();
	pthread_t closers[2];

	console_write(&silent, 0, text, sizeof(text), NULL);
	console_write(&console, 0, text, sizeof(text), NULL);
	ck_assert(!pthread_create(&closers[0], NULL, close_console, &silent));
	ck_assert(!pthread_create(&closers[1], NULL, close_console, &console));
	usleep(3500000); /* by now they have given up waiting for the output */
	ck_assert_uint_le(drain(late_fd, NULL, 0, 20), sizeof(text));
	ck_assert(!pthread_join(closers[0], NULL) && !pthread_join(closers[1], NULL));
	ck_assert_uint_lt(clock_mono_ns() - started, 5 * NSEC_PER_SEC);
	/* what was written before is there, and nothing came behind it */
	ck_assert_uint_le(drain(silent_fd, NULL, 0, 0), 4096);
	close(silent_fd);
	close(late_fd);
}
END_TEST

/* ---- input -------------------------------------------------------------------------------------- */

static int saved_stdin = -1, keyboard = -1;

#define NEEDS_TERMINAL()                                                                                   \
	do {                                                                                               \
		if (keyboard < 0) {                                                                        \
			printf("SKIP %s: there are no pseudo-terminals\n", __func__);                      \
			return;                                                                            \
		}                                                                                          \
	} while (0)

/* stdin becomes a terminal; what is written to keyboard are its keys. */
static void setup_terminal(void)
{
	int terminal;

	saved_stdin = dup(STDIN_FILENO);
	keyboard = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (keyboard < 0) { /* no devpts, as in a bare chroot: NEEDS_TERMINAL() says so */
		ck_assert_int_eq(console_open(&console, "none", 0), 0);
		return;
	}
	ck_assert(!grantpt(keyboard) && !unlockpt(keyboard));
	terminal = open(ptsname(keyboard), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(terminal, 0);
	ck_assert_int_eq(dup2(terminal, STDIN_FILENO), STDIN_FILENO);
	close(terminal);
	ck_assert_int_eq(console_open(&console, "stdio", 0), 0);
}

static void teardown_terminal(void)
{
	console_close(&console);
	if (keyboard >= 0)
		close(keyboard);
	dup2(saved_stdin, STDIN_FILENO);
	close(saved_stdin);
}

/* Types @keys and reads them with one call; @expected is what the guest gets. */
static int type(const char *keys, const char *expected)
{
	struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
	char got[32] = "";
	int n;

	ck_assert_int_eq(io_write_full(keyboard, keys, strlen(keys)), 0);
	ck_assert_int_eq(poll(&ready, 1, 1000), 1);
	n = console_read(&console, got, sizeof(got) - 1);
	got[n > 0 ? n : 0] = '\0'; /* behind them are keys that were taken out */
	ck_assert_str_eq(got, expected);
	return n;
}

START_TEST(keys_reach_the_guest_as_they_are_typed)
{
	char key;

	NEEDS_TERMINAL();
	console_raw_mode(&console);
	ck_assert_int_eq(console_read(&console, &key, 1), 0); /* none, and no waiting */
	ck_assert_int_eq(type("ls\r", "ls\r"), 3);
	ck_assert_int_eq(type("\x03\x04\x1a\x1b[A", "\x03\x04\x1a\x1b[A"), 6);
}
END_TEST

START_TEST(ctrl_a_x_stops_and_ctrl_a_ctrl_a_types_one)
{
	NEEDS_TERMINAL();
	console_raw_mode(&console);
	ck_assert_int_eq(type("a\x01\x01x", "a\x01x"), 3);
	ck_assert_int_eq(type("\x01z", ""), 0); /* no such command */
	ck_assert_int_eq(type("\x01", ""), 0);  /* over two reads */
	ck_assert_int_eq(type("x", ""), -ECANCELED);
	ck_assert_int_eq(type("abc\x01x", ""), -ECANCELED);
}
END_TEST

START_TEST(closing_gives_the_terminal_back_as_it_was)
{
	struct termios before, during, after;

	NEEDS_TERMINAL();
	ck_assert_int_eq(tcgetattr(STDIN_FILENO, &before), 0);
	console_raw_mode(&console);
	ck_assert_int_eq(tcgetattr(STDIN_FILENO, &during), 0);
	ck_assert(!(during.c_lflag & (ICANON | ECHO | ISIG)));
	ck_assert_uint_eq(during.c_oflag, before.c_oflag);
	console_close(&console);
	ck_assert_int_eq(tcgetattr(STDIN_FILENO, &after), 0);
	ck_assert_uint_eq(after.c_lflag, before.c_lflag);
	ck_assert_uint_eq(after.c_iflag, before.c_iflag);
	ck_assert_int_eq(console_open(&console, "none", 0), 0); /* for the teardown */
}
END_TEST

START_TEST(without_a_terminal_every_byte_is_input_and_its_end_is_seen)
{
	char got[8] = "";
	int fds[2];

	console_close(&console);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	ck_assert_int_eq(console_open(&console, "stdio", 0), 0);
	console_raw_mode(&console);
	ck_assert_int_eq(io_write_full(fds[1], "\x01x\x01\x01", 4), 0);
	ck_assert_int_eq(console_read(&console, got, sizeof(got)), 4);
	ck_assert_mem_eq(got, "\x01x\x01\x01", 4);
	close(fds[1]);
	ck_assert_int_eq(console_read(&console, got, sizeof(got)), -EPIPE);
	close(fds[0]);
}
END_TEST

Suite *suite_console(void)
{
	Suite *suite = suite_create("console");
	TCase *out = tcase_create("output"), *stuck = tcase_create("stuck terminal"),
	      *in = tcase_create("input"), *generations = tcase_create("generations");

	tcase_set_timeout(out, 20);
	tcase_add_checked_fixture(out, setup, teardown);
	tcase_add_test(out, a_file_gets_every_text_of_many_writers_in_one_piece);
	tcase_add_test(out, texts_stay_in_one_piece_when_the_buffer_is_full_most_of_the_time);
	tcase_add_test(out, a_file_is_appended_to_and_made_for_its_owner_alone);
	tcase_add_test(out, a_file_that_cannot_be_opened_is_an_error);
	tcase_add_test(out, no_console_takes_everything_at_once_and_has_no_keys);
	tcase_add_test(out, output_that_cannot_be_written_is_dropped_counted_and_holds_nobody_back);
	suite_add_tcase(suite, out);

	tcase_add_checked_fixture(generations, setup, teardown);
	tcase_add_test(generations, output_of_another_generation_begins_with_a_line_that_says_so);
	tcase_add_test(generations,
		the_line_that_says_so_never_continues_another_one_and_output_goes_out_byte_by_byte);
	tcase_add_test(generations, a_recovery_vm_that_speaks_first_is_marked_all_the_same);
	tcase_add_test(generations, what_a_dead_vm_still_says_beside_the_recovery_vm_comes_by_whole_lines);
	tcase_add_test(generations, lines_of_two_dead_vms_are_kept_apart_and_one_without_an_end_is_bounded);
	suite_add_tcase(suite, generations);

	tcase_set_timeout(stuck, 20);
	tcase_add_checked_fixture(stuck, setup, teardown);
	tcase_add_test(stuck, a_writer_held_back_by_a_full_buffer_goes_when_it_is_told_to_stop);
	tcase_add_test(stuck, a_writer_that_waits_for_another_ones_text_goes_too_when_it_is_told_to_stop);
	tcase_add_test(stuck, flushing_gives_up_after_its_time);
	tcase_add_test(stuck,
		closing_gives_up_on_a_terminal_that_takes_nothing_and_sends_no_stale_bytes_to_one_that_wakes_up);
	suite_add_tcase(suite, stuck);

	tcase_add_checked_fixture(in, setup_terminal, teardown_terminal);
	tcase_add_test(in, keys_reach_the_guest_as_they_are_typed);
	tcase_add_test(in, ctrl_a_x_stops_and_ctrl_a_ctrl_a_types_one);
	tcase_add_test(in, closing_gives_the_terminal_back_as_it_was);
	tcase_add_test(in, without_a_terminal_every_byte_is_input_and_its_end_is_seen);
	suite_add_tcase(suite, in);
	return suite;
}
