/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_lz4_reader.c - LZ4 files of other tools, cut files, damaged and hostile ones. */
#include "tests/unit/lz4_fixture.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Small enough to try every byte: stored head and tail, chunks of each kind, the last one short. */
static const struct lz4_image tiny = {.head = 200, .ram = 5 * 4096 + 700, .tail = 150, .chunk = 4096};

static uint64_t size_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

static void write_tiny(struct lz4_fixture *fixture)
{
	lz4_fixture_init(fixture, &tiny, LZ4_MIXED);
	ck_assert_int_eq(lz4_fixture_write(fixture, 1), 0);
}

/* A memfd with a copy of the file's first @len bytes. */
static int copy_of(int fd, uint64_t len)
{
	autofree unsigned char *bytes = malloc(len + 1);
	int copy = memfd_create("copy", MFD_CLOEXEC);

	ck_assert_int_ge(copy, 0);
	ck_assert_int_eq(io_pread_full(fd, bytes, len, 0), 0);
	ck_assert_int_eq(io_pwrite_full(copy, bytes, len, 0), 0);
	return copy;
}

/* The image, as it lies in DIR/in, through COMMAND's standard input and output. */
static int through(const struct lz4_fixture *fixture, const char *command)
{
	uint64_t size = lz4_image_size(&fixture->image);
	struct scratch scratch;
	char in[128], line[400];
	int fd;

	scratch_init(&scratch);
	scratch_file(&scratch, "in", fixture->bytes, size, in, sizeof(in));
	snprintf(line, sizeof(line), "cd %s && (%s) <in >out", scratch.dir, command);
	ck_assert_msg(!system(line), "%s", line);
	scratch_path(&scratch, "out", in, sizeof(in));
	fd = open(in, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	scratch_fini(&scratch);
	return fd;
}

START_TEST(files_of_the_lz4_tool_are_read)
{
	const char *const commands[] = {
		"lz4 -q -c",
		"lz4 -q -c -B4 --no-frame-crc",
		"lz4 -q -c -B5 -BX --content-size in",
		"lz4 -q -c -9 -B6",
		/* several frames, with a skippable one between them */
		"head -c 3000000 | lz4 -q -c; printf 'P*M\\030\\3\\0\\0\\0abc'; tail -c +3000001 in | lz4 "
		"-q -c "
		"-B4",
		/* an empty frame */
		"lz4 -q -c </dev/null; lz4 -q -c",
	};
	const struct lz4_image image = {
		.head = MIB(1), .ram = MIB(5) + 77, .tail = KIB(200), .chunk = KIB(256)};
	struct lz4_fixture fixture;
	struct lz4_reader *reader;

	lz4_fixture_init(&fixture, &image, LZ4_MIXED);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		autoclose int fd = through(&fixture, commands[i]);

		ck_assert_msg(!lz4_reader_open(fd, 0, &reader), "%s", commands[i]);
		lz4_fixture_check_reader(&fixture, reader);
		lz4_reader_close(reader);
	}
	lz4_fixture_fini(&fixture);
}
END_TEST

START_TEST(what_cannot_be_read_at_random_is_refused)
{
	const char *const commands[] = {"lz4 -q -c -BD -B4", "lz4 -q -c -l", "cat", "head -c 3",
		"cat /dev/null", "lz4 -q -c; echo trailing"};
	const int results[] = {-EOPNOTSUPP, -EOPNOTSUPP, -EBADMSG, -ENODATA, -ENODATA, -EBADMSG};
	const struct lz4_image image = {.head = MIB(1), .ram = MIB(1), .chunk = KIB(256)};
	struct lz4_reader *reader = NULL;
	struct lz4_fixture fixture;
	autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	lz4_fixture_init(&fixture, &image, LZ4_MIXED);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		autoclose int fd = through(&fixture, commands[i]);

		ck_assert_int_eq(lz4_reader_open(fd, 0, &reader), results[i]);
	}
	ck_assert_int_eq(lz4_reader_open(null, 0, &reader), -EINVAL);
	ck_assert_int_eq(lz4_reader_open(-1, 0, &reader), -EBADF);
	ck_assert_ptr_null(reader);
	lz4_fixture_fini(&fixture);
}
END_TEST

/* What a reader of a prefix gives is true; returns its length. */
static uint64_t check_prefix(int fd, const struct lz4_fixture *fixture)
{
	unsigned char buf[sizeof(uint64_t) + 32768];
	struct lz4_reader *reader;
	uint64_t size;

	if (lz4_reader_open(fd, LZ4_READER_PREFIX, &reader))
		return 0;
	size = lz4_reader_size(reader);
	ck_assert_uint_le(size, lz4_image_size(&fixture->image));
	ck_assert_int_eq(lz4_reader_read(reader, 0, buf, size), 0);
	ck_assert(!memcmp(buf, fixture->bytes, size));
	lz4_reader_close(reader);
	return size;
}

START_TEST(a_file_cut_anywhere_is_an_error_and_its_beginning_can_be_read)
{
	struct lz4_fixture fixture;
	struct lz4_reader *reader = NULL;
	uint64_t size, end, prefix = 0;

	write_tiny(&fixture);
	size = size_of(fixture.fd);
	end = size - lz4_table_bytes(&tiny) - sizeof(struct lz4_table_footer) - LZ4_SKIPPABLE_HEADER;
	for (uint64_t len = size; len-- > 0;) {
		uint64_t now;

		ck_assert_int_eq(ftruncate(fixture.fd, (off_t)len), 0);
		if (len == end) { /* just the table is missing */
			ck_assert_int_eq(lz4_reader_open(fixture.fd, 0, &reader), 0);
			lz4_fixture_check_reader(&fixture, reader);
			lz4_reader_close(reader);
			reader = NULL;
		} else {
			ck_assert_int_eq(lz4_reader_open(fixture.fd, 0, &reader), -ENODATA);
			ck_assert_ptr_null(reader);
		}
		now = check_prefix(fixture.fd, &fixture);
		ck_assert(len == size - 1 || now <= prefix);
		ck_assert(len < end - 4 || now == lz4_image_size(&tiny));
		prefix = now;
	}
	lz4_fixture_fini(&fixture);
}
END_TEST

/* Opens and reads everything there is, in every way; only crashes and false sizes are failures. */
static void try_all(int fd)
{
	static unsigned char buf[65536];

	for (unsigned flags = 0; flags < 4; flags++) {
		struct lz4_reader *reader;
		uint64_t size;

		if (lz4_reader_open(fd, flags, &reader))
			continue;
		size = lz4_reader_size(reader);
		for (uint64_t off = 0; off < size && off < MIB(1); off += 1000) {
			int r = lz4_reader_read(reader, off, buf, u64_min(1000, size - off));

			ck_assert(r == 0 || r == -EBADMSG || r == -ENODATA);
		}
		lz4_reader_close(reader);
	}
}

START_TEST(flipped_bits_do_no_harm)
{
	struct lz4_fixture fixture;
	uint64_t size;

	write_tiny(&fixture);
	size = size_of(fixture.fd);
	for (uint64_t bit = 0; bit < size * 8; bit += bit < 8 * 64 || bit > size * 8 - 8 * 300 ? 1 : 5) {
		unsigned char byte, flipped;

		ck_assert_int_eq(io_pread_full(fixture.fd, &byte, 1, bit / 8), 0);
		flipped = (unsigned char)(byte ^ 1 << bit % 8);
		ck_assert_int_eq(io_pwrite_full(fixture.fd, &flipped, 1, bit / 8), 0);
		try_all(fixture.fd);
		ck_assert_int_eq(io_pwrite_full(fixture.fd, &byte, 1, bit / 8), 0);
	}
	lz4_fixture_fini(&fixture);
}
END_TEST

static void use_header(int fd, uint64_t at, const struct lz4_table_header *header)
{
	ck_assert_int_eq(io_pwrite_full(fd, header, sizeof(*header), at), 0);
}

START_TEST(a_table_that_lies_about_the_image_is_not_used)
{
	struct lz4_table_header good, bad;
	struct lz4_reader *reader;
	struct lz4_fixture fixture;
	uint64_t at;

	write_tiny(&fixture);
	at = size_of(fixture.fd) - lz4_table_bytes(&tiny) - sizeof(struct lz4_table_footer);
	ck_assert_int_eq(io_pread_full(fixture.fd, &good, sizeof(good), at), 0);
#define IGNORED(change, error)                                                                             \
	do {                                                                                               \
		bad = good;                                                                                \
		change;                                                                                    \
		use_header(fixture.fd, at, &bad);                                                          \
		ck_assert_msg(                                                                             \
			lz4_reader_open_partial(fixture.fd, fixture.fd, at, &reader) == (error), #change); \
		ck_assert_msg(!lz4_reader_open(fixture.fd, 0, &reader), #change);                          \
		lz4_fixture_check_reader(&fixture, reader);                                                \
		lz4_reader_close(reader);                                                                  \
	} while (0)
	IGNORED(bad.magic[7] = 'X', -EBADMSG);
	IGNORED(bad.version = 2, -EOPNOTSUPP);
	IGNORED(bad.version = 0, -EBADMSG);
	IGNORED(bad.size = 65, -EBADMSG);
	IGNORED(bad.pad = 1, -EBADMSG);
	IGNORED(bad.nr_blocks++, -EBADMSG);
	IGNORED(bad.nr_blocks = UINT64_MAX, -EBADMSG);
	IGNORED(bad.image.chunk = 0, -EBADMSG);
	IGNORED(bad.image.chunk = MIB(4) + 1, -EBADMSG);
	IGNORED(bad.image.chunk = UINT64_MAX, -EBADMSG);
	IGNORED(bad.image.ram++, -EBADMSG);
	IGNORED(bad.image.ram = UINT64_MAX, -EBADMSG);
	IGNORED(bad.image.head = UINT64_MAX - bad.image.ram, -EBADMSG);
	IGNORED(bad.image.ram += 4096; bad.nr_blocks++, -EBADMSG); /* its entry would lie in the footer */
#undef IGNORED
	ck_assert_int_eq(lz4_reader_open_partial(fixture.fd, fixture.fd, UINT64_MAX, &reader), -EBADMSG);
	lz4_fixture_fini(&fixture);
}
END_TEST

START_TEST(an_entry_that_lies_is_an_error_for_its_block_alone)
{
	uint64_t number = lz4_image_find(&tiny, tiny.head + 4096);
	struct lz4_entry good, bad;
	struct lz4_reader *reader;
	struct lz4_fixture fixture;
	unsigned char buf[8192];
	uint64_t at;

	write_tiny(&fixture);
	at = size_of(fixture.fd) - lz4_table_bytes(&tiny) - sizeof(struct lz4_table_footer) +
	     sizeof(struct lz4_table_header) + number * sizeof(good);
	ck_assert_int_eq(io_pread_full(fixture.fd, &good, sizeof(good), at), 0);
	ck_assert_uint_ne(good.kind, LZ4_KIND_NONE);
	ck_assert_int_eq(lz4_reader_open(fixture.fd, 0, &reader), 0);
#define SPOILT(change)                                                                                     \
	do {                                                                                               \
		memcpy(&bad, &good, sizeof(bad));                                                          \
		bad.kind = LZ4_KIND_COMPRESSED;                                                            \
		change;                                                                                    \
		ck_assert_int_eq(io_pwrite_full(fixture.fd, &bad, sizeof(bad), at), 0);                    \
		ck_assert_msg(lz4_reader_read(reader, tiny.head + 4096, buf, 1) == -EBADMSG, #change);     \
		ck_assert_int_eq(lz4_reader_read(reader, tiny.head + 4096 * 2, buf, 4096), 0);             \
		ck_assert(!memcmp(buf, fixture.bytes + tiny.head + 4096 * 2, 4096));                       \
	} while (0)
	SPOILT(bad.kind = LZ4_KIND_NONE);
	SPOILT(bad.kind = 4);
	SPOILT(bad.kind = UINT32_MAX);
	SPOILT(bad.size = 0);
	SPOILT(bad.size++);
	SPOILT(bad.size = 4097);
	SPOILT(bad.size = UINT32_MAX);
	SPOILT(bad.kind = LZ4_KIND_STORED; bad.size = 4095);
	SPOILT(bad.file_off = 14);
	SPOILT(bad.file_off++);
	SPOILT(bad.file_off = at);
	SPOILT(bad.file_off = UINT64_MAX);
	SPOILT(bad.file_off = UINT64_MAX - bad.size - 3);
#undef SPOILT
	lz4_reader_close(reader);
	lz4_fixture_fini(&fixture);
}
END_TEST

START_TEST(a_file_that_shrinks_while_it_is_read_is_an_error)
{
	struct lz4_fixture fixture;
	struct lz4_reader *reader;
	unsigned char buf[1000];

	for (unsigned flags = 0; flags <= LZ4_READER_SCAN; flags++) {
		write_tiny(&fixture);
		ck_assert_int_eq(lz4_reader_open(fixture.fd, flags, &reader), 0);
		ck_assert_int_eq(ftruncate(fixture.fd, 300), 0);
		ck_assert_int_eq(lz4_reader_read(reader, tiny.head, buf, sizeof(buf)), -ENODATA);
		lz4_reader_close(reader);
		lz4_fixture_fini(&fixture);
	}
}
END_TEST

START_TEST(the_scan_is_bounded)
{
	unsigned char empty[11 + 4] = {0};
	autoclose int fd = memfd_create("frames", MFD_CLOEXEC);
	autofree unsigned char *many = calloc(100000, 8);
	struct lz4_reader *reader;

	for (size_t i = 0; i < 100000; i++)
		lz4_put32(many + i * 8, LZ4_SKIPPABLE_MAGIC);
	ck_assert_int_eq(io_pwrite_full(fd, many, 100000 * 8, 0), 0);
	ck_assert_int_eq(lz4_reader_open(fd, 0, &reader), -EFBIG);
	/* nothing but a skippable frame is an empty image, as for lz4 -d */
	ck_assert_int_eq(ftruncate(fd, 8), 0);
	ck_assert_int_eq(lz4_reader_open(fd, 0, &reader), 0);
	ck_assert_uint_eq(lz4_reader_size(reader), 0);
	ck_assert_int_eq(lz4_reader_read(reader, 0, empty, 0), 0);
	ck_assert_int_eq(lz4_reader_read(reader, 0, empty, 1), -EINVAL);
	lz4_reader_close(reader);
}
END_TEST

START_TEST(blocks_tile_the_image)
{
	const struct lz4_image image = {.head = MIB(9), .ram = MIB(3) + 1, .tail = 1, .chunk = KIB(64)};
	uint64_t at = 0;

	ck_assert_int_eq(lz4_image_check(&image), 0);
	for (uint64_t i = 0; i < lz4_image_blocks(&image); i++) {
		uint64_t off;
		uint32_t len;

		lz4_image_block(&image, i, &off, &len);
		ck_assert_uint_eq(off, at);
		ck_assert_uint_gt(len, 0);
		ck_assert_uint_eq(lz4_image_find(&image, off), i);
		ck_assert_uint_eq(lz4_image_find(&image, off + len - 1), i);
		at += len;
	}
	ck_assert_uint_eq(at, lz4_image_size(&image));
}
END_TEST

START_TEST(a_copy_made_by_other_means_is_the_same_dump)
{
	struct lz4_fixture fixture;
	struct lz4_reader *reader;

	write_tiny(&fixture);
	{
		autoclose int copy = copy_of(fixture.fd, size_of(fixture.fd));

		ck_assert_int_eq(lz4_reader_open(copy, 0, &reader), 0);
		lz4_fixture_check_reader(&fixture, reader);
		lz4_reader_close(reader);
	}
	lz4_fixture_fini(&fixture);
}
END_TEST

Suite *suite_lz4_reader(void)
{
	Suite *suite = suite_create("lz4_reader");
	TCase *files = tcase_create("files"), *hostile = tcase_create("hostile");

	tcase_set_timeout(files, 60);
	tcase_set_timeout(hostile, 60);
	tcase_add_test(files, files_of_the_lz4_tool_are_read);
	tcase_add_test(files, what_cannot_be_read_at_random_is_refused);
	tcase_add_test(files, blocks_tile_the_image);
	tcase_add_test(files, a_copy_made_by_other_means_is_the_same_dump);
	tcase_add_test(hostile, a_file_cut_anywhere_is_an_error_and_its_beginning_can_be_read);
	tcase_add_test(hostile, flipped_bits_do_no_harm);
	tcase_add_test(hostile, a_table_that_lies_about_the_image_is_not_used);
	tcase_add_test(hostile, an_entry_that_lies_is_an_error_for_its_block_alone);
	tcase_add_test(hostile, a_file_that_shrinks_while_it_is_read_is_an_error);
	tcase_add_test(hostile, the_scan_is_bounded);
	suite_add_tcase(suite, files);
	suite_add_tcase(suite, hostile);
	return suite;
}
