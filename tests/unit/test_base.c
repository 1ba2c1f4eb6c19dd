/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_base.c - dump/base: log, io, num, cleanup */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/base/num.h"
#include "dump/base/sort.h"
#include "tests/unit/suites.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- num -------------------------------------------------------------------------------------- */

START_TEST(an_addition_that_fits_gives_the_sum)
{
	uint64_t sum = 7;

	ck_assert(!u64_add_overflows(UINT64_MAX - 1, 1, &sum));
	ck_assert_uint_eq(sum, UINT64_MAX);
}
END_TEST

START_TEST(an_addition_that_wraps_leaves_the_result_alone)
{
	uint64_t sum = 7;

	ck_assert(u64_add_overflows(UINT64_MAX, 1, &sum));
	ck_assert_uint_eq(sum, 7);
}
END_TEST

START_TEST(a_multiplication_that_wraps_leaves_the_result_alone)
{
	uint64_t product = 7;

	ck_assert(u64_mul_overflows(1ull << 32, 1ull << 32, &product));
	ck_assert_uint_eq(product, 7);
	ck_assert(!u64_mul_overflows(1ull << 32, (1ull << 32) - 1, &product));
	ck_assert_uint_eq(product, 0xffffffff00000000ull);
}
END_TEST

START_TEST(only_powers_of_two_count_as_such)
{
	ck_assert(!u64_is_pow2(0));
	ck_assert(u64_is_pow2(1));
	ck_assert(!u64_is_pow2(3));
	ck_assert(u64_is_pow2(1ull << 63));
	ck_assert(!u64_is_pow2(UINT64_MAX));
}
END_TEST

START_TEST(alignment_rounds_to_the_neighbour_in_its_direction)
{
	ck_assert_uint_eq(u64_align_down(PAGE_SIZE_4K + 1, PAGE_SIZE_4K), PAGE_SIZE_4K);
	ck_assert_uint_eq(u64_align_up(PAGE_SIZE_4K + 1, PAGE_SIZE_4K), 2 * PAGE_SIZE_4K);
	ck_assert_uint_eq(u64_align_up(0, PAGE_SIZE_2M), 0);
	ck_assert_uint_eq(u64_align_up(PAGE_SIZE_2M, PAGE_SIZE_2M), PAGE_SIZE_2M);
	ck_assert_uint_eq(u64_align_down(UINT64_MAX, PAGE_SIZE_2M), UINT64_MAX - PAGE_SIZE_2M + 1);
}
END_TEST

START_TEST(aligning_up_past_the_last_address_is_a_bug_and_aborts)
{
	volatile uint64_t v = UINT64_MAX; /* volatile: the compiler must not see the outcome */
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	close(STDERR_FILENO); /* the assertion's message is no news */
	(void)u64_align_up(v, PAGE_SIZE_4K);
}
END_TEST

/* As long as a program header, with what does not count before and behind what does. */
struct element {
	uint32_t before[7];
	uint32_t key;
	uint32_t behind[6];
};

static int by_key(const void *a, const void *b, void *arg)
{
	const struct element *x = a, *y = b;

	++*(uint64_t *)arg;
	return (x->key > y->key) - (x->key < y->key);
}

/* Orders that some ways of sorting need long for, or end badly with. */
static uint32_t key_of(int order, uint32_t i, uint32_t nr)
{
	switch (order) {
	case 0:
		return i;
	case 1:
		return nr - i;
	case 2:
		return 7;
	case 3:
		return i < nr / 2 ? i : nr - i;
	default:
		return i * 2654435761u >> 16;
	}
}

START_TEST(an_array_of_any_order_and_length_is_sorted_in_n_log_n_steps)
{
	static const uint32_t lengths[] = {0, 1, 2, 3, 17, 64, 1000};
	static struct element array[1000];
	uint64_t sum = 0, sum_after = 0;

	for (size_t l = 0; l < ARRAY_LEN(lengths); l++) {
		uint32_t nr = lengths[l];
		uint64_t compared = 0;

		for (uint32_t i = 0; i < nr; i++) {
			array[i].key = key_of(_i, i, nr);
			array[i].before[0] = array[i].behind[5] = array[i].key * 3;
			sum += array[i].key;
		}
		sort_array(array, nr, sizeof(array[0]), by_key, &compared);
		for (uint32_t i = 0; i < nr; i++) {
			ck_assert(!i || array[i - 1].key <= array[i].key);
			ck_assert_uint_eq(array[i].before[0], array[i].key * 3);
			ck_assert_uint_eq(array[i].behind[5], array[i].key * 3);
			sum_after += array[i].key;
		}
		ck_assert_uint_le(compared, 22ull * nr); /* 2 n log2 n for 1000, and a bit */
	}
	ck_assert_uint_eq(sum, sum_after);
}
END_TEST

START_TEST(units_are_powers_of_1024)
{
	ck_assert_uint_eq(KIB(3), 3072);
	ck_assert_uint_eq(MIB(2), PAGE_SIZE_2M);
	ck_assert_uint_eq(GIB(5), 5ull << 30);
	ck_assert_uint_eq(u64_min(3, UINT64_MAX), 3);
	ck_assert_uint_eq(u64_max(3, UINT64_MAX), UINT64_MAX);
}
END_TEST

/* ---- io --------------------------------------------------------------------------------------- */

static int temporary_file(void)
{
	int fd = memfd_create("test_base", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(what_was_written_at_an_offset_is_read_back_from_there)
{
	autoclose int fd = temporary_file();
	char back[6] = "";

	ck_assert_int_eq(io_pwrite_full(fd, "vmcore", 6, GIB(5)), 0);
	ck_assert_int_eq(io_pread_full(fd, back, 6, GIB(5)), 0);
	ck_assert_mem_eq(back, "vmcore", 6);
}
END_TEST

START_TEST(reading_past_the_end_of_a_file_is_enodata)
{
	autoclose int fd = temporary_file();
	char back[8];

	ck_assert_int_eq(io_pwrite_full(fd, "abc", 3, 0), 0);
	ck_assert_int_eq(io_pread_full(fd, back, sizeof(back), 0), -ENODATA);
	ck_assert_int_eq(io_pread_full(fd, back, 1, 3), -ENODATA);
}
END_TEST

START_TEST(nothing_to_read_or_write_succeeds)
{
	autoclose int fd = temporary_file();

	ck_assert_int_eq(io_pread_full(fd, NULL, 0, 0), 0);
	ck_assert_int_eq(io_pwrite_full(fd, NULL, 0, 0), 0);
	ck_assert_int_eq(io_write_full(fd, NULL, 0), 0);
}
END_TEST

START_TEST(a_failing_call_gives_its_own_error)
{
	autoclose int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char byte = 0;

	ck_assert_int_eq(io_write_full(fd, &byte, 1), -EBADF);
	ck_assert_int_eq(io_pwrite_full(fd, &byte, 1, 0), -EBADF);
	ck_assert_int_eq(io_pread_full(-1, &byte, 1, 0), -EBADF);
}
END_TEST

START_TEST(a_full_device_is_enospc)
{
	autoclose int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_full(fd, "x", 1), -ENOSPC);
}
END_TEST

/* The far end of the pipe, read in small bites, and a signal to the writer before each of them. */
struct slow_reader {
	int fd;
	pthread_t writer;
	size_t got;
	bool right; /* every byte was the expected one */
};

static void *read_slowly(void *arg)
{
	struct slow_reader *reader = arg;
	unsigned char bite[4000];
	ssize_t n;

	reader->right = true;
	while ((n = read(reader->fd, bite, sizeof(bite))) > 0) {
		for (ssize_t i = 0; i < n; i++, reader->got++)
			reader->right = reader->right && bite[i] == (unsigned char)(reader->got * 7);
		pthread_kill(reader->writer, SIGUSR1);
	}
	return NULL;
}

static void ignore_signal(int signal)
{
	(void)signal;
}

START_TEST(signals_and_short_writes_lose_no_byte)
{
	/* no SA_RESTART: a blocked write ends with EINTR or short */
	struct sigaction action = {.sa_handler = ignore_signal};
	struct slow_reader reader = {.writer = pthread_self()};
	static unsigned char data[MIB(1)];
	pthread_t thread;
	int pipes[2], r;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7);
	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	reader.fd = pipes[0];
	ck_assert_int_eq(pthread_create(&thread, NULL, read_slowly, &reader), 0);
	r = io_write_full(pipes[1], data, sizeof(data));
	close(pipes[1]);
	pthread_join(thread, NULL);
	close(pipes[0]);
	ck_assert_int_eq(r, 0);
	ck_assert_uint_eq(reader.got, sizeof(data));
	ck_assert(reader.right);
}
END_TEST

START_TEST(the_monotonic_clock_does_not_go_back)
{
	uint64_t before = clock_mono_ns();

	for (int i = 0; i < 1000; i++) {
		uint64_t now = clock_mono_ns();

		ck_assert_uint_ge(now, before);
		before = now;
	}
	/* 2020-01-01: later than the one, in nanoseconds and not in another unit */
	ck_assert_uint_gt(clock_wall_ns(), 1577836800 * NSEC_PER_SEC);
}
END_TEST

/* ---- log -------------------------------------------------------------------------------------- */

/* Sends stderr into a file; the test's process ends soon, so nobody puts it back. */
static int capture_stderr(void)
{
	int fd = temporary_file();

	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	return fd;
}

static void assert_captured(int fd, const char *want)
{
	char text[4096] = "";

	ck_assert_int_ge(pread(fd, text, sizeof(text) - 1, 0), 0);
	ck_assert_str_eq(text, want);
}

START_TEST(a_line_names_the_program_and_the_level)
{
	autoclose int fd = capture_stderr();

	log_error("dump %s: %d bytes", "x", 5);
	log_warn("careful");
	log_info("hello");
	assert_captured(fd, "minivmm: error: dump x: 5 bytes\nminivmm: warning: careful\nminivmm: hello\n");
}
END_TEST

START_TEST(lines_above_the_level_are_not_written)
{
	autoclose int fd = capture_stderr();

	ck_assert_int_eq(log_get_level(), LOG_INFO);
	log_debug("not this");
	log_set_level(LOG_DEBUG);
	log_debug("this");
	log_set_level(LOG_ERROR);
	log_warn("nor this");
	assert_captured(fd, "minivmm: debug: this\n");
}
END_TEST

START_TEST(a_prefix_clears_the_line_that_a_progress_bar_stands_in)
{
	autoclose int fd = capture_stderr();

	log_set_prefix("\r\033[K");
	log_info("one");
	log_set_prefix(NULL);
	log_info("two");
	assert_captured(fd, "\r\033[Kminivmm: one\nminivmm: two\n");
}
END_TEST

START_TEST(a_line_that_is_too_long_is_cut_and_still_ends)
{
	autoclose int fd = capture_stderr();
	static char text[5000], back[5000];
	ssize_t n;

	memset(text, 'a', sizeof(text) - 1);
	log_info("%s", text);
	n = pread(fd, back, sizeof(back), 0);
	ck_assert_int_gt(n, 1024);
	ck_assert_int_lt(n, 2048);
	ck_assert_mem_eq(back + n - 2, "a\n", 2);
}
END_TEST

START_TEST(a_standard_error_that_takes_nothing_holds_nobody_up_and_what_is_missing_is_counted)
{
	int saved = dup(STDERR_FILENO), fds[2];
	char text[8192];
	uint64_t start;
	ssize_t n;

	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_ge(fcntl(fds[1], F_SETPIPE_SZ, 8192), 8192);
	memset(text, 'x', sizeof(text));
	while (write(fds[1], text, 4096) > 0)
		; /* full: nobody reads */
	ck_assert_int_eq(fcntl(fds[1], F_SETFL, 0), 0);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	ck_assert(log_can_write()); /* patience has no end at first */
	log_set_patience(20);
	ck_assert(!log_can_write());
	start = clock_mono_ns();
	for (int i = 0; i < 1000; i++)
		log_info("nobody hears this");
	ck_assert_uint_ge(clock_mono_ns() - start, 20 * NSEC_PER_MSEC);
	ck_assert_uint_lt(
		clock_mono_ns() - start, 5 * NSEC_PER_SEC); /* waited once, not a thousand times */
	while (read(fds[0], text, sizeof(text)) > 0)
		;
	log_info("and on it goes");
	n = read(fds[0], text, sizeof(text) - 1);
	dup2(saved, STDERR_FILENO);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_str_eq(text, "minivmm: warning: 1000 lines are missing here\nminivmm: and on it goes\n");
}
END_TEST

START_TEST(lines_that_a_full_disk_does_not_take_are_counted)
{
	int saved = dup(STDERR_FILENO), fds[2], full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	char text[256];
	ssize_t n;

	ck_assert(full >= 0 && !pipe2(fds, O_CLOEXEC));
	ck_assert_int_eq(dup2(full, STDERR_FILENO), STDERR_FILENO);
	for (int i = 0; i < 3; i++)
		log_info("nobody hears this");
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO); /* there is room again */
	log_info("and on it goes");
	dup2(saved, STDERR_FILENO);
	n = read(fds[0], text, sizeof(text) - 1);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	if (!strchr(text, '\n')[1]) { /* a pipe may give one line at a time */
		ck_assert_int_gt(read(fds[0], text + n, sizeof(text) - 1 - (size_t)n), 0);
	}
	ck_assert_str_eq(text, "minivmm: warning: 3 lines are missing here\nminivmm: and on it goes\n");
	close(full);
}
END_TEST

START_TEST(a_terminal_that_is_stopped_with_some_room_left_holds_nobody_up)
{
	int saved = dup(STDERR_FILENO), keyboard = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), side;
	uint64_t start;

	if (keyboard < 0) {
		printf("SKIP %s: there are no pseudo-terminals\n", __func__);
		return;
	}
	ck_assert(!grantpt(keyboard) && !unlockpt(keyboard));
	side = open(ptsname(keyboard), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_eq(dup2(side, STDERR_FILENO), STDERR_FILENO);
	log_set_patience(20);
	start = clock_mono_ns();
	for (int i = 0; i < 200; i++) /* of every length, so that one meets too little room */
		log_info("%*s", 1 + i * 7, "x");
	log_set_patience(-1);
	dup2(saved, STDERR_FILENO);
	ck_assert_uint_lt(clock_mono_ns() - start, 3 * NSEC_PER_SEC);
	close(side);
	close(keyboard);
}
END_TEST

START_TEST(logging_preserves_errno)
{
	close(STDERR_FILENO);
	errno = ENOTTY;
	log_error("nobody hears this");
	ck_assert_int_eq(errno, ENOTTY);
}
END_TEST

static void *log_many(void *arg)
{
	const char *text = arg;

	for (int i = 0; i < 200; i++)
		log_info("%s", text);
	return NULL;
}

START_TEST(lines_of_two_threads_do_not_mix)
{
	static char a[301], b[301], line[512];
	autoclose int fd = capture_stderr();
	pthread_t threads[2];
	int lines = 0;
	FILE *file;

	memset(a, 'a', sizeof(a) - 1);
	memset(b, 'b', sizeof(b) - 1);
	fcntl(fd, F_SETFL, O_APPEND);
	ck_assert_int_eq(pthread_create(&threads[0], NULL, log_many, a), 0);
	ck_assert_int_eq(pthread_create(&threads[1], NULL, log_many, b), 0);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	file = fdopen(dup(fd), "r");
	ck_assert_ptr_nonnull(file);
	rewind(file);
	for (; fgets(line, sizeof(line), file); lines++) {
		line[strcspn(line, "\n")] = '\0';
		ck_assert(!strcmp(line + strlen("minivmm: "), a) || !strcmp(line + strlen("minivmm: "), b));
	}
	fclose(file);
	ck_assert_int_eq(lines, 400);
}
END_TEST

START_TEST(a_limit_lets_its_burst_through_and_counts_the_rest)
{
	struct log_limit limit = {.burst = 3};
	unsigned allowed = 0;

	for (int i = 0; i < 10; i++)
		allowed += log_limit_ok(&limit);
	ck_assert_uint_eq(allowed, 3);
	ck_assert_uint_eq(limit.suppressed, 7);
}
END_TEST

/* ---- cleanup ---------------------------------------------------------------------------------- */

START_TEST(a_descriptor_is_closed_at_the_end_of_its_scope)
{
	int copy;

	{
		autoclose int fd = temporary_file();

		copy = fd;
		errno = EXDEV;
	}
	ck_assert_int_eq(errno, EXDEV);
	ck_assert_int_eq(fcntl(copy, F_GETFD), -1);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

START_TEST(a_descriptor_that_was_taken_stays_open)
{
	int out;

	{
		autoclose int fd = temporary_file();

		out = take_fd(&fd);
		ck_assert_int_eq(fd, -1);
	}
	ck_assert_int_ne(fcntl(out, F_GETFD), -1);
	close(out);
}
END_TEST

START_TEST(a_block_that_was_taken_is_not_freed)
{
	char *out;

	{
		autofree char *block = strdup("kept");

		out = take_ptr(&block);
		ck_assert_ptr_null(block);
	}
	ck_assert_str_eq(out, "kept");
	free(out);
}
END_TEST

static TCase *num_case(void)
{
	TCase *tc = tcase_create("num");

	tcase_add_test(tc, an_addition_that_fits_gives_the_sum);
	tcase_add_test(tc, an_addition_that_wraps_leaves_the_result_alone);
	tcase_add_test(tc, a_multiplication_that_wraps_leaves_the_result_alone);
	tcase_add_test(tc, only_powers_of_two_count_as_such);
	tcase_add_test(tc, alignment_rounds_to_the_neighbour_in_its_direction);
	tcase_add_test_raise_signal(tc, aligning_up_past_the_last_address_is_a_bug_and_aborts, SIGABRT);
	tcase_add_test(tc, units_are_powers_of_1024);
	tcase_add_loop_test(tc, an_array_of_any_order_and_length_is_sorted_in_n_log_n_steps, 0, 5);
	return tc;
}

static TCase *io_case(void)
{
	TCase *tc = tcase_create("io");

	tcase_add_test(tc, what_was_written_at_an_offset_is_read_back_from_there);
	tcase_add_test(tc, reading_past_the_end_of_a_file_is_enodata);
	tcase_add_test(tc, nothing_to_read_or_write_succeeds);
	tcase_add_test(tc, a_failing_call_gives_its_own_error);
	tcase_add_test(tc, a_full_device_is_enospc);
	tcase_add_test(tc, signals_and_short_writes_lose_no_byte);
	tcase_add_test(tc, the_monotonic_clock_does_not_go_back);
	return tc;
}

static TCase *log_case(void)
{
	TCase *tc = tcase_create("log");

	tcase_add_test(tc, a_line_names_the_program_and_the_level);
	tcase_add_test(tc, lines_above_the_level_are_not_written);
	tcase_add_test(tc, a_prefix_clears_the_line_that_a_progress_bar_stands_in);
	tcase_add_test(tc, a_line_that_is_too_long_is_cut_and_still_ends);
	tcase_add_test(tc, lines_that_a_full_disk_does_not_take_are_counted);
	tcase_add_test(tc, a_terminal_that_is_stopped_with_some_room_left_holds_nobody_up);
	tcase_add_test(tc, logging_preserves_errno);
	tcase_add_test(
		tc, a_standard_error_that_takes_nothing_holds_nobody_up_and_what_is_missing_is_counted);
	tcase_add_test(tc, lines_of_two_threads_do_not_mix);
	tcase_add_test(tc, a_limit_lets_its_burst_through_and_counts_the_rest);
	return tc;
}

static TCase *cleanup_case(void)
{
	TCase *tc = tcase_create("cleanup");

	tcase_add_test(tc, a_descriptor_is_closed_at_the_end_of_its_scope);
	tcase_add_test(tc, a_descriptor_that_was_taken_stays_open);
	tcase_add_test(tc, a_block_that_was_taken_is_not_freed);
	return tc;
}

Suite *suite_base(void)
{
	Suite *suite = suite_create("base");

	suite_add_tcase(suite, num_case());
	suite_add_tcase(suite, io_case());
	suite_add_tcase(suite, log_case());
	suite_add_tcase(suite, cleanup_case());
	return suite;
}
