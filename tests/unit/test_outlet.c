/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_outlet.c - vmm/base/outlet.c: whatever text goes to, nobody waits for it, nothing is lost uncounted.
 *
 * Lines are numbered.  What comes out of the other end must be whole lines in order, and where some are missing a line
 * "lost N"; written and lost together are all there were.
 */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "vmm/base/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define RING KIB(64)
#define LINES 20000 /* of about 12 bytes: several rings */

static struct scratch scratch;
static struct outlet outlet;
static char path[128];

static size_t say_lost(uint64_t count, char *buf, size_t size)
{
	return (size_t)snprintf(buf, size, "lost %" PRIu64 "\n", count);
}

static struct outlet_setup setup_of(const char *to, int fd)
{
	return (struct outlet_setup){.what = "outlet",
		.unit = "lines",
		.lines = true,
		.path = to,
		.fd = fd,
		.size = RING,
		.say_lost = say_lost};
}

static void setup(void)
{
	scratch_init(&scratch);
	scratch_path(&scratch, "out", path, sizeof(path));
	signal(SIGPIPE, SIG_IGN); /* as minivmm does */
	signal(SIGXFSZ, SIG_IGN);
}

static void teardown(void)
{
	scratch_fini(&scratch);
}

/* ---- things that text may go to ----------------------------------------------------------------- */

struct thing {
	int fd;      /* to write to; -1 = path */
	int read_fd; /* its other end; -1 = none */
};

static void file(struct thing *t)
{
	t->read_fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
}

static void null(struct thing *t)
{
	t->fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static void full(struct thing *t)
{
	t->fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
}

static void read_only(struct thing *t)
{
	t->fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void blocking_pipe(struct thing *t)
{
	int fds[2];

	ck_assert(!pipe2(fds, O_CLOEXEC) && fcntl(fds[1], F_SETPIPE_SZ, 4096) >= 4096);
	*t = (struct thing){.fd = fds[1], .read_fd = fds[0]};
}

static void nonblocking_pipe(struct thing *t)
{
	blocking_pipe(t);
	ck_assert_int_eq(fcntl(t->fd, F_SETFL, O_NONBLOCK), 0);
}

static void deserted_pipe(struct thing *t)
{
	blocking_pipe(t);
	close(t->read_fd);
	t->read_fd = -1;
}

static void fifo(struct thing *t)
{
	(void)t;
	ck_assert_int_eq(mkfifo(path, 0600), 0);
}

static void read_fifo(struct thing *t)
{
	fifo(t);
	t->read_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static void stream_socket(struct thing *t)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*t = (struct thing){.fd = fds[1], .read_fd = fds[0]};
}

static void terminal(struct thing *t)
{
	t->read_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->read_fd < 0) /* no devpts, as in a bare chroot: a FIFO stands in for it */
		return read_fifo(t);
	ck_assert(!grantpt(t->read_fd) && !unlockpt(t->read_fd));
	t->fd = open(ptsname(t->read_fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/* Whether all text gets out when somebody reads it from the beginning; ALL: without anybody. */
enum outcome { NONE, READ, ALL };

static const struct {
	void (*make)(struct thing *);
	enum outcome outcome;
} things[] = {{file, ALL}, {null, ALL}, {full, NONE}, {read_only, NONE}, {blocking_pipe, READ},
	{nonblocking_pipe, READ}, {deserted_pipe, NONE}, {fifo, NONE}, {read_fifo, READ},
	{stream_socket, READ}, {terminal, READ}};

static void make(int index, struct thing *t)
{
	struct outlet_setup with;

	*t = (struct thing){.fd = -1, .read_fd = -1};
	things[index].make(t);
	with = setup_of(t->fd < 0 ? path : NULL, t->fd);
	ck_assert_int_eq(outlet_open(&outlet, &with), 0);
}

/* As fast as it goes, but for a pause that lets somebody who takes everything keep up. */
static void put_lines(unsigned nr)
{
	char line[24];

	for (unsigned i = 0; i < nr; i++) {
		outlet_put(&outlet, line, (size_t)snprintf(line, sizeof(line), "line %u\n", i));
		if (i % 1000 == 999)
			outlet_flush(&outlet, 20 * NSEC_PER_MSEC);
	}
}

/* What has come out of the other end: lines and losses. */
struct reader {
	int fd;
	pthread_t thread;
	char rest[64];
	size_t len;
	uint64_t next, seen, lost;
	bool wrong; /* a line that nobody has put, or twice */
};

static void take_line(struct reader *r, const char *line)
{
	unsigned long long n;

	if (sscanf(line, "line %llu", &n) == 1 && n >= r->next) {
		r->next = n + 1;
		r->seen++;
	} else if (sscanf(line, "lost %llu", &n) == 1) {
		r->lost += n;
	} else {
		r->wrong = true;
	}
}

static void *read_lines(void *opaque)
{
	struct reader *r = opaque;
	char chunk[4096];
	ssize_t n;

	while ((n = read(r->fd, chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EAGAIN)) {
		struct pollfd ready = {.fd = r->fd, .events = POLLIN};

		if (n < 0)
			poll(&ready, 1, 100);
		for (ssize_t i = 0; i < n; i++) {
			if (chunk[i] == '\r')
				continue; /* a terminal's */
			if (chunk[i] != '\n' && r->len < sizeof(r->rest) - 1) {
				r->rest[r->len++] = chunk[i];
				continue;
			}
			r->rest[r->len] = '\0';
			r->len = 0;
			take_line(r, r->rest);
		}
	}
	return NULL;
}

/* The end of "minivmm: warning: outlet: N lines were lost". */
static uint64_t told_lost(const char *log)
{
	const char *at = strstr(log, "lines were lost");
	unsigned long long n = 0;

	ck_assert(!at || !strstr(at + 1, "lines were lost")); /* once */
	for (; at && at > log && at[-1] != '\n'; at--)
		;
	return at && sscanf(at, "minivmm: warning: outlet: %llu", &n) == 1 ? n : 0;
}

static void close_thing(struct thing *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

/* ---- nobody waits ------------------------------------------------------------------------------- */

START_TEST(whatever_it_is_and_though_nobody_reads_whoever_puts_goes_on_and_what_is_lost_is_told)
{
	autofree char *log = NULL;
	struct thing t;
	uint64_t start, put, closed;

	stderr_capture();
	make(_i, &t);
	start = clock_mono_ns();
	put_lines(LINES);
	put = clock_mono_ns();
	outlet_close(&outlet);
	closed = clock_mono_ns();
	log = stderr_text();
	ck_assert_uint_lt(put - start, 2 * NSEC_PER_SEC);
	ck_assert_uint_lt(closed - put, 6 * NSEC_PER_SEC);
	if (things[_i].outcome == ALL)
		ck_assert_str_eq(log, "");
	else
		ck_assert_msg(told_lost(log) && strstr(log, "meanwhile is lost"), "it said: %s", log);
	if (things[_i].outcome == NONE)
		ck_assert_uint_eq(told_lost(log), LINES);
	close_thing(&t);
}
END_TEST

START_TEST(what_is_read_late_is_whole_lines_and_the_number_of_those_that_are_missing)
{
	autofree char *log = NULL;
	struct reader r = {0};
	struct thing t;

	if (things[_i].outcome != READ)
		return;
	stderr_capture();
	make(_i, &t);
	put_lines(LINES); /* more than fits anywhere */
	r.fd = t.read_fd;
	ck_assert_int_eq(pthread_create(&r.thread, NULL, read_lines, &r), 0);
	for (int i = 0; i < 5000 && __atomic_load_n(&r.seen, __ATOMIC_RELAXED) < 100; i++)
		usleep(1000);
	outlet_flush(&outlet, 10 * NSEC_PER_SEC);
	outlet_put(&outlet, "line 999999\n", 12); /* behind the gap */
	outlet_close(&outlet);
	close_thing(&t);
	if (things[_i].make == terminal || things[_i].make == read_fifo)
		usleep(200000); /* its end is none that read() tells: all has been read by then */
	else
		pthread_join(r.thread, NULL);
	log = stderr_text();
	ck_assert(!r.wrong);
	ck_assert_uint_eq(r.next, 1000000);
	ck_assert_uint_gt(r.lost, 0);
	ck_assert_uint_eq(r.seen + r.lost, LINES + 1);
	ck_assert_uint_eq(told_lost(log), r.lost);
}
END_TEST

START_TEST(a_fifo_that_somebody_reads_later_gets_what_there_was_room_for)
{
	struct reader r = {0};
	struct thing t;

	make(7, &t);
	ck_assert(things[7].make == fifo);
	put_lines(100);
	usleep(300000);
	r.fd = open(path, O_RDONLY | O_CLOEXEC); /* waits until it is opened for writing */
	ck_assert_int_eq(pthread_create(&r.thread, NULL, read_lines, &r), 0);
	outlet_flush(&outlet, NSEC_PER_MSEC);
	for (int i = 0; i < 500; i++)
		usleep(1000);
	outlet_close(&outlet);
	pthread_join(r.thread, NULL);
	ck_assert(!r.wrong);
	ck_assert_uint_eq(r.seen, 100);
}
END_TEST

/* ---- files -------------------------------------------------------------------------------------- */

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_file_that_was_full_goes_on_when_there_is_room_and_lacks_nothing_that_the_buffer_held)
{
	const struct outlet_setup with = setup_of(path, -1);
	autofree char *log = NULL;
	struct reader r = {0};

	stderr_capture();
	ck_assert_int_eq(outlet_open(&outlet, &with), 0);
	limit_files(1001); /* in the midst of a line */
	put_lines(1000);
	for (int i = 0; i < 5000 && !__atomic_load_n(&outlet.told, __ATOMIC_RELAXED); i++)
		usleep(1000);
	limit_files(RLIM_INFINITY);
	usleep(400000); /* it tries again */
	outlet_close(&outlet);
	log = stderr_text();
	ck_assert_str_eq(log,
		"minivmm: warning: outlet: File too large; what there is no room for meanwhile is lost\n");
	r.fd = open(path, O_RDONLY | O_CLOEXEC);
	read_lines(&r);
	ck_assert(!r.wrong);
	ck_assert_uint_eq(r.seen, 1000);
}
END_TEST

static uint64_t bytes_of(const char *of)
{
	struct stat st;

	return stat(of, &st) ? 0 : (uint64_t)st.st_size;
}

START_TEST(a_file_that_reaches_its_bound_becomes_an_old_one_and_both_stay_below_it)
{
	struct outlet_setup with = setup_of(path, -1);
	char old[160];
	struct reader r = {0};

	with.max_bytes = KIB(16);
	snprintf(old, sizeof(old), "%s.1", path);
	ck_assert_int_eq(outlet_open(&outlet, &with), 0);
	for (int i = 0; i < 20; i++) {
		put_lines(500);
		outlet_flush(&outlet, 10 * NSEC_PER_SEC);
		ck_assert_uint_le(bytes_of(path), KIB(16));
	}
	outlet_close(&outlet);
	ck_assert_uint_gt(bytes_of(old), KIB(4));
	ck_assert_uint_le(bytes_of(old), KIB(16));
	r.fd = open(path, O_RDONLY | O_CLOEXEC);
	read_lines(&r);
	ck_assert_uint_eq(r.next, 500); /* the newest is in the file itself */
}
END_TEST

START_TEST(a_file_that_cannot_be_renamed_grows_and_that_is_told)
{
	struct outlet_setup with = setup_of(path, -1);
	autofree char *log = NULL;
	char old[160];

	with.max_bytes = KIB(16);
	snprintf(old, sizeof(old), "%s.1", path);
	ck_assert_int_eq(mkdir(old, 0700), 0);
	stderr_capture();
	ck_assert_int_eq(outlet_open(&outlet, &with), 0);
	for (int i = 0; i < 4; i++) {
		put_lines(1000);
		outlet_flush(&outlet, 10 * NSEC_PER_SEC);
	}
	outlet_close(&outlet);
	log = stderr_text();
	ck_assert_msg(strstr(log, "cannot be renamed: Is a directory"), "it said: %s", log);
	ck_assert_uint_gt(bytes_of(path), KIB(32));
}
END_TEST

START_TEST(what_cannot_be_opened_is_an_error)
{
	char to_far[OUTLET_PATH_MAX + 8];
	struct outlet_setup with = setup_of(scratch.dir, -1);

	ck_assert_int_eq(outlet_open(&outlet, &with), -EISDIR);
	with.path = scratch_path(&scratch, "no/such", path, sizeof(path));
	ck_assert_int_eq(outlet_open(&outlet, &with), -ENOENT);
	memset(to_far, 'x', sizeof(to_far) - 1);
	to_far[sizeof(to_far) - 1] = '\0';
	with.path = to_far;
	ck_assert_int_eq(outlet_open(&outlet, &with), -ENAMETOOLONG);
	outlet_put(&outlet, "nobody\n", 7);
	outlet_flush(&outlet, NSEC_PER_SEC);
	outlet_close(&outlet);
}
END_TEST

Suite *suite_outlet(void)
{
	Suite *suite = suite_create("outlet");
	TCase *tc = tcase_create("things"), *files = tcase_create("files");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc,
		whatever_it_is_and_though_nobody_reads_whoever_puts_goes_on_and_what_is_lost_is_told, 0,
		(int)ARRAY_LEN(things));
	tcase_add_loop_test(tc, what_is_read_late_is_whole_lines_and_the_number_of_those_that_are_missing,
		0, (int)ARRAY_LEN(things));
	tcase_add_test(tc, a_fifo_that_somebody_reads_later_gets_what_there_was_room_for);
	suite_add_tcase(suite, tc);

	tcase_set_timeout(files, 20);
	tcase_add_checked_fixture(files, setup, teardown);
	tcase_add_test(files,
		a_file_that_was_full_goes_on_when_there_is_room_and_lacks_nothing_that_the_buffer_held);
	tcase_add_test(files, a_file_that_reaches_its_bound_becomes_an_old_one_and_both_stay_below_it);
	tcase_add_test(files, a_file_that_cannot_be_renamed_grows_and_that_is_told);
	tcase_add_test(files, what_cannot_be_opened_is_an_error);
	suite_add_tcase(suite, files);
	return suite;
}
