/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_lz4_writer.c - LZ4 dumps: what comes back out, in which order it may go in, and failures. */
#include "tests/unit/lz4_fixture.h"
#include "tests/unit/suites.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct lz4_image small = {
	.head = MIB(2), .ram = MIB(6) + KIB(20), .tail = KIB(900), .chunk = KIB(64)};

static void check_file(const struct lz4_fixture *fixture)
{
	struct lz4_reader *reader;

	for (unsigned flags = 0; flags <= LZ4_READER_SCAN; flags++) {
		ck_assert_int_eq(lz4_reader_open(fixture->fd, flags, &reader), 0);
		lz4_fixture_check_reader(fixture, reader);
		lz4_reader_close(reader);
	}
}

START_TEST(the_image_comes_back_from_the_reader_and_from_the_lz4_tool)
{
	const unsigned threads[] = {1, 2, 4};
	struct lz4_fixture fixture;

	for (int content = 0; content < LZ4_NR_CONTENTS; content++) {
		lz4_fixture_init(&fixture, &small, (enum lz4_content)content);
		for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
			ck_assert_int_eq(lz4_fixture_write(&fixture, threads[i]), 0);
			check_file(&fixture);
		}
		lz4_fixture_check_tool(&fixture);
		lz4_fixture_fini(&fixture);
	}
}
END_TEST

START_TEST(odd_sizes_work)
{
	const struct lz4_image images[] = {
		{.head = 0, .ram = 1, .tail = 0, .chunk = 4096},
		{.head = 0, .ram = 4096, .tail = 0, .chunk = 4096},
		{.head = 1, .ram = 4097, .tail = 1, .chunk = 4096},
		{.head = 7, .ram = 0, .tail = 9, .chunk = 4096},
		{.head = 100, .ram = 40 * 5000 - 1, .tail = 5000, .chunk = 5000},
		{.head = MIB(4), .ram = MIB(1), .tail = MIB(4), .chunk = MIB(4)},
		{.head = MIB(4) + 1, .ram = MIB(9) + 12345, .tail = MIB(8) + 4095, .chunk = MIB(4)},
		{.head = MIB(2), .ram = KIB(64) * 70, .tail = MIB(2), .chunk = KIB(64)},
	};
	struct lz4_fixture fixture;

	for (size_t i = 0; i < ARRAY_LEN(images); i++) {
		for (int content = 0; content < LZ4_NR_CONTENTS; content++) {
			lz4_fixture_init(&fixture, &images[i], (enum lz4_content)content);
			ck_assert_int_eq(lz4_fixture_write(&fixture, 2), 0);
			check_file(&fixture);
			if (content == LZ4_MIXED)
				lz4_fixture_check_tool(&fixture);
			lz4_fixture_fini(&fixture);
		}
	}
}
END_TEST

START_TEST(holes_cost_almost_nothing_and_may_be_named_in_any_order)
{
	const struct lz4_image image = {.head = MIB(2), .ram = MIB(256), .tail = MIB(2), .chunk = MIB(2)};
	struct lz4_fixture fixture;
	struct stat st;

	lz4_fixture_init(&fixture, &image, LZ4_ZEROS);
	memset(fixture.bytes, 0, MIB(2));
	memset(fixture.bytes + image.head + image.ram, 0, image.tail);
	ck_assert_int_eq(lz4_fixture_start(&fixture), 0);
	ck_assert_int_eq(lz4_writer_zeros(fixture.writer, 100, 28), 0);
	ck_assert_int_eq(lz4_writer_zeros(fixture.writer, 1, 60), 0);
	ck_assert_int_eq(lz4_writer_zeros(fixture.writer, 62, 38), 0);
	ck_assert_int_eq(lz4_writer_zeros(fixture.writer, 0, 1), 0);
	ck_assert_int_eq(lz4_writer_zeros(fixture.writer, 61, 0), 0);
	ck_assert_int_eq(lz4_writer_zeros(fixture.writer, 61, 1), 0);
	ck_assert_int_eq(lz4_writer_finish(fixture.writer), 0);
	ck_assert_int_eq(fstat(fixture.fd, &st), 0);
	/* 1/255, and the head and tail rooms are holes of the file */
	ck_assert_int_lt(st.st_blocks * 512, (off_t)(image.ram / 250 + KIB(64)));
	check_file(&fixture);
	lz4_fixture_fini(&fixture);
}
END_TEST

/* One worker, so that nobody else can bring what is missing. */
static int put_in_order(struct lz4_fixture *fixture, const uint64_t *chunks, size_t nr)
{
	struct lz4_worker *worker;
	int r;

	ck_assert_int_eq(lz4_fixture_start(fixture), 0);
	ck_assert_int_eq(lz4_worker_create(fixture->writer, &worker), 0);
	r = 0;
	for (size_t i = 0; i < nr && !r; i++)
		r = lz4_fixture_put(fixture, worker, chunks[i]);
	lz4_worker_destroy(worker);
	return r;
}

START_TEST(chunks_out_of_order_wait_in_spare_buffers)
{
	const struct lz4_image image = {.head = 4096, .ram = 8 * 8192, .tail = 4096, .chunk = 8192};
	const uint64_t backwards[] = {7, 6, 5, 4, 3, 2, 1, 0}, mixed[] = {3, 0, 1, 7, 5, 2, 4, 6};
	struct lz4_fixture fixture;

	lz4_fixture_init(&fixture, &image, LZ4_TEXT);
	fixture.spares = 7;
	ck_assert_int_eq(put_in_order(&fixture, backwards, 8), 0);
	ck_assert_int_eq(lz4_fixture_end(&fixture), 0);
	check_file(&fixture);
	fixture.spares = 3;
	ck_assert_int_eq(put_in_order(&fixture, mixed, 8), 0);
	ck_assert_int_eq(lz4_fixture_end(&fixture), 0);
	check_file(&fixture);
	lz4_fixture_check_tool(&fixture);
	lz4_fixture_fini(&fixture);
}
END_TEST

START_TEST(an_order_that_cannot_end_is_refused)
{
	const struct lz4_image image = {.ram = 200 * 8192, .chunk = 8192};
	const uint64_t backwards[] = {3, 2, 1, 0}, far_ahead[] = {100, 0};
	struct lz4_fixture fixture;

	lz4_fixture_init(&fixture, &image, LZ4_TEXT);
	fixture.spares = 2;
	ck_assert_int_eq(put_in_order(&fixture, backwards, 4), -EDEADLK);
	ck_assert_int_eq(lz4_writer_zeros(fixture.writer, 0, 1), -EDEADLK);
	ck_assert_int_eq(lz4_writer_finish(fixture.writer), -EDEADLK);
	fixture.spares = 0;
	ck_assert_int_eq(put_in_order(&fixture, backwards, 1), -EDEADLK);
	fixture.spares = 200;
	ck_assert_int_eq(put_in_order(&fixture, far_ahead, 2), -EDEADLK);
	lz4_fixture_fini(&fixture);
}
END_TEST

START_TEST(threads_need_no_spare_buffers)
{
	struct lz4_fixture fixture;

	lz4_fixture_init(&fixture, &small, LZ4_MIXED);
	for (fixture.spares = 0; fixture.spares < 3; fixture.spares++) {
		for (unsigned threads = 1; threads <= 8; threads++) {
			ck_assert_int_eq(lz4_fixture_write(&fixture, threads), 0);
			check_file(&fixture);
		}
	}
	lz4_fixture_fini(&fixture);
}
END_TEST

static _Atomic uint64_t calls[200], wrong_tags;

static void count_calls(void *arg, uint64_t chunk, uint64_t count, uint64_t tag)
{
	const struct lz4_fixture *fixture = arg;
	uint64_t skip = lz4_blocks_of(fixture->image.head, LZ4_BLOCK_MAX);

	if (tag && (tag != chunk + 1000 || count != 1))
		wrong_tags++;
	for (uint64_t i = chunk; i < chunk + count; i++) {
		calls[i]++;
		if (!atomic_load(&fixture->table->entries[skip + i].kind))
			wrong_tags++;
	}
}

START_TEST(each_chunk_is_reported_once_when_it_is_in_the_table)
{
	uint64_t nr = lz4_blocks_of(small.ram, small.chunk);
	struct lz4_fixture fixture;

	lz4_fixture_init(&fixture, &small, LZ4_MIXED);
	fixture.written = count_calls;
	ck_assert_int_eq(lz4_fixture_write(&fixture, 4), 0);
	ck_assert_uint_eq(wrong_tags, 0);
	for (uint64_t i = 0; i < nr; i++)
		ck_assert_uint_eq(calls[i], 1);
	ck_assert_uint_eq(calls[nr], 0);
	ck_assert_uint_eq(lz4_fixture_check_partial(&fixture), nr);
	lz4_fixture_fini(&fixture);
}
END_TEST

static void check_reported(void *arg, uint64_t chunk, uint64_t count, uint64_t tag)
{
	(void)count;
	(void)tag;
	if (chunk % 16 == 5)
		ck_assert_uint_ge(lz4_fixture_check_partial(arg), 1);
}

START_TEST(what_was_reported_can_be_read_before_the_end)
{
	struct lz4_fixture fixture;

	lz4_fixture_init(&fixture, &small, LZ4_MIXED);
	fixture.written = check_reported;
	ck_assert_int_eq(lz4_fixture_write(&fixture, 1), 0);
	lz4_fixture_fini(&fixture);
}
END_TEST

START_TEST(a_kill_at_any_moment_leaves_a_table_that_tells_the_truth)
{
	uint64_t nr = lz4_blocks_of(small.ram, small.chunk);
	uint64_t some = 0;
	struct lz4_fixture fixture;

	lz4_fixture_init(&fixture, &small, LZ4_MIXED);
	for (int i = 0; i < 40; i++) {
		uint64_t found;
		pid_t pid;

		memset(fixture.table, 0, lz4_table_bytes(&small));
		pid = fork();
		if (!pid)
			_exit(lz4_fixture_write(&fixture, 2) ? 1 : 0);
		usleep((useconds_t)i * 400);
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		found = lz4_fixture_check_partial(&fixture);
		ck_assert_uint_le(found, nr);
		some += found > 0 && found < nr;
	}
	ck_assert_uint_gt(some, 0);
	lz4_fixture_fini(&fixture);
}
END_TEST

static void limit_files(uint64_t bytes)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_write_that_fails_ends_the_dump_and_spoils_nothing)
{
	struct lz4_fixture fixture;
	struct stat st;
	int r;

	signal(SIGXFSZ, SIG_IGN);
	lz4_fixture_init(&fixture, &small, LZ4_MIXED);
	ck_assert_int_eq(lz4_fixture_write(&fixture, 2), 0);
	ck_assert_int_eq(fstat(fixture.fd, &st), 0);
	for (off_t limit = 0; limit < st.st_size; limit += 53 * 1021) {
		ck_assert_int_eq(lz4_fixture_start(&fixture), 0);
		lz4_writer_destroy(fixture.writer);
		fixture.writer = NULL;
		limit_files((uint64_t)limit);
		r = lz4_fixture_write(&fixture, 2);
		limit_files(RLIM_INFINITY);
		ck_assert_int_eq(r, -EFBIG);
		if (limit > (off_t)MIB(2) + 64)
			lz4_fixture_check_partial(&fixture);
	}
	lz4_fixture_fini(&fixture);
}
END_TEST

START_TEST(a_full_disk_is_enospc)
{
	struct lz4_fixture fixture;
	autoclose int full = open("/dev/full", O_RDWR | O_CLOEXEC);
	int file;

	ck_assert_int_ge(full, 0);
	lz4_fixture_init(&fixture, &small, LZ4_MIXED);
	ck_assert_int_eq(lz4_fixture_start(&fixture), 0);
	file = dup(fixture.fd);
	ck_assert_int_eq(dup2(full, fixture.fd), fixture.fd);
	ck_assert_int_eq(lz4_fixture_put_all(&fixture, 4), -ENOSPC);
	ck_assert_int_eq(lz4_writer_finish(fixture.writer), -ENOSPC);
	ck_assert_int_eq(lz4_writer_patch(fixture.writer, 0, "x", 1), -ENOSPC);
	ck_assert_int_eq(dup2(file, fixture.fd), fixture.fd);
	ck_assert_uint_eq(lz4_fixture_check_partial(&fixture), 0);
	close(file);
	lz4_fixture_fini(&fixture);
}
END_TEST

START_TEST(impossible_options_are_refused)
{
	static uint64_t table[64];
	const struct lz4_writer_options good = {.image = {.head = 1, .ram = 1, .tail = 1, .chunk = 4096},
		.acceleration = 1,
		.table = table};
	struct lz4_writer *writer = NULL;
	struct lz4_writer_options bad;

#define REFUSED(change, error)                                                                             \
	do {                                                                                               \
		bad = good;                                                                                \
		change;                                                                                    \
		ck_assert_int_eq(lz4_writer_create(-1, &bad, &writer), error);                             \
		ck_assert_ptr_null(writer);                                                                \
	} while (0)
	REFUSED((void)0, -EBADF);
	REFUSED(bad.image.chunk = MIB(4) + 1, -EFBIG);
	REFUSED(bad.image.chunk = MIB(8), -EFBIG);
	REFUSED(bad.image.chunk = 4095, -EINVAL);
	REFUSED(bad.image.chunk = 0, -EINVAL);
	REFUSED(bad.image.ram = LZ4_IMAGE_MAX, -EFBIG);
	REFUSED(bad.image.ram = UINT64_MAX, -EFBIG);
	REFUSED(bad.image.ram = 1ull << 41, -EFBIG); /* of 4 KiB chunks: a table over 4 GiB */
	REFUSED(bad.acceleration = 0, -EINVAL);
	REFUSED(bad.acceleration = -1, -EINVAL);
	REFUSED(bad.acceleration = 65538, -EINVAL);
#undef REFUSED
}
END_TEST

START_TEST(calls_that_make_no_sense_are_refused_and_do_no_harm)
{
	const struct lz4_image image = {.head = 4096, .ram = 4 * 8192 + 10, .tail = 4096, .chunk = 8192};
	struct lz4_fixture fixture;
	struct lz4_worker *worker;
	struct lz4_run runs[2];

	lz4_fixture_init(&fixture, &image, LZ4_TEXT);
	ck_assert_int_eq(lz4_fixture_start(&fixture), 0);
	ck_assert_int_eq(lz4_worker_create(fixture.writer, &worker), 0);
	runs[0] = (struct lz4_run){.off = 0, .len = 8193, .data = fixture.bytes};
	ck_assert_int_eq(lz4_worker_put(worker, 0, runs, 1, 0), -EINVAL);
	runs[0].len = 11;
	ck_assert_int_eq(lz4_worker_put(worker, 4, runs, 1, 0), -EINVAL);
	runs[1] = (struct lz4_run){.off = 10, .len = 5, .data = fixture.bytes};
	ck_assert_int_eq(lz4_worker_put(worker, 0, runs, 2, 0), -EINVAL);
	runs[1] = (struct lz4_run){.off = UINT32_MAX, .len = UINT32_MAX, .data = fixture.bytes};
	ck_assert_int_eq(lz4_worker_put(worker, 0, runs, 2, 0), -EINVAL);
	ck_assert_int_eq(lz4_worker_put(worker, 5, runs, 1, 0), -EINVAL);
	ck_assert_int_eq(lz4_writer_zeros(fixture.writer, 4, 2), -EINVAL);
	ck_assert_int_eq(lz4_writer_zeros(fixture.writer, 2, UINT64_MAX), -EINVAL);
	ck_assert_int_eq(lz4_writer_patch(fixture.writer, 4095, "xy", 2), -EINVAL);
	ck_assert_int_eq(lz4_writer_patch(fixture.writer, 4096 + image.ram, "x", 1), -EINVAL);
	ck_assert_int_eq(lz4_writer_patch(fixture.writer, UINT64_MAX, "xy", 2), -EINVAL);
	for (uint64_t chunk = 0; chunk < 5; chunk++) {
		ck_assert_int_eq(lz4_fixture_put(&fixture, worker, (chunk + 1) % 5), 0);
		ck_assert_int_eq(lz4_fixture_put(&fixture, worker, (chunk + 1) % 5), -EEXIST);
	}
	ck_assert_int_eq(lz4_writer_zeros(fixture.writer, 3, 2), -EEXIST);
	lz4_worker_destroy(worker);
	ck_assert_int_eq(lz4_fixture_end(&fixture), 0);
	check_file(&fixture);
	lz4_fixture_fini(&fixture);
}
END_TEST

START_TEST(nothing_is_finished_while_a_chunk_is_missing)
{
	const struct lz4_image image = {.head = 4096, .ram = 4 * 8192, .tail = 4096, .chunk = 8192};
	const uint64_t most[] = {0, 1, 3};
	struct lz4_fixture fixture;

	lz4_fixture_init(&fixture, &image, LZ4_TEXT);
	ck_assert_int_eq(put_in_order(&fixture, most, 3), 0);
	ck_assert_int_eq(lz4_writer_finish(fixture.writer), -ENODATA);
	ck_assert_uint_eq(lz4_fixture_check_partial(&fixture), 2);
	lz4_fixture_fini(&fixture);
}
END_TEST

Suite *suite_lz4_writer(void)
{
	Suite *suite = suite_create("lz4_writer");
	TCase *contents = tcase_create("contents"), *order = tcase_create("order");
	TCase *failure = tcase_create("failure");

	tcase_set_timeout(contents, 60);
	tcase_set_timeout(order, 60);
	tcase_set_timeout(failure, 60);
	tcase_add_test(contents, the_image_comes_back_from_the_reader_and_from_the_lz4_tool);
	tcase_add_test(contents, odd_sizes_work);
	tcase_add_test(contents, holes_cost_almost_nothing_and_may_be_named_in_any_order);
	tcase_add_test(order, chunks_out_of_order_wait_in_spare_buffers);
	tcase_add_test(order, an_order_that_cannot_end_is_refused);
	tcase_add_test(order, threads_need_no_spare_buffers);
	tcase_add_test(order, each_chunk_is_reported_once_when_it_is_in_the_table);
	tcase_add_test(failure, what_was_reported_can_be_read_before_the_end);
	tcase_add_test(failure, a_kill_at_any_moment_leaves_a_table_that_tells_the_truth);
	tcase_add_test(failure, a_write_that_fails_ends_the_dump_and_spoils_nothing);
	tcase_add_test(failure, a_full_disk_is_enospc);
	tcase_add_test(failure, impossible_options_are_refused);
	tcase_add_test(failure, calls_that_make_no_sense_are_refused_and_do_no_harm);
	tcase_add_test(failure, nothing_is_finished_while_a_chunk_is_missing);
	suite_add_tcase(suite, contents);
	suite_add_tcase(suite, order);
	suite_add_tcase(suite, failure);
	return suite;
}
