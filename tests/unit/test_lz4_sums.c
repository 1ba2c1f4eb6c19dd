/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_lz4_sums.c - checksums of LZ4 files, ours and other writers': a bit that has changed anywhere is found,
 * costs its block alone, and is never read as contents.
 */
#include "tests/unit/lz4_fixture.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/lz4/lz4_sum.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Small enough to try every bit: stored head and tail, chunks of each kind, the last one short. */
static const struct lz4_image tiny = {.head = 200, .ram = 5 * 4096 + 700, .tail = 150, .chunk = 4096};

static uint64_t size_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

static void flip(int fd, uint64_t bit)
{
	unsigned char byte;

	ck_assert_int_eq(io_pread_full(fd, &byte, 1, bit / 8), 0);
	byte ^= (unsigned char)(1 << bit % 8);
	ck_assert_int_eq(io_pwrite_full(fd, &byte, 1, bit / 8), 0);
}

START_TEST(the_sum_is_xxh32)
{
	/* of the reference implementation, seed 0 */
	static const struct {
		const char *text;
		uint32_t sum;
	} known[] = {{"", 0x02CC5D05}, {"a", 0x550D7456}, {"abc", 0x32D153FF},
		{"Nobody inspects the spammish repetition", 0xE2293B2F}};
	unsigned char bytes[100];

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		ck_assert_uint_eq(lz4_sum_of(known[i].text, strlen(known[i].text)), known[i].sum);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * i + 3);
	for (size_t len = 0; len <= sizeof(bytes); len++)
		for (size_t cut = 0; cut <= len; cut++) {
			struct lz4_sum sum;

			lz4_sum_start(&sum);
			lz4_sum_add(&sum, bytes, cut);
			lz4_sum_add(&sum, bytes + cut, (len - cut) / 2);
			lz4_sum_add(&sum, bytes + cut + (len - cut) / 2, len - cut - (len - cut) / 2);
			ck_assert_uint_eq(lz4_sum_end(&sum), lz4_sum_of(bytes, len));
		}
}
END_TEST

/* Every block but the one at @bad reads right, and that one is damage; @bad UINT64_MAX: all read right. */
static void check_blocks(const struct lz4_fixture *fixture, uint64_t bad)
{
	static unsigned char buf[4096];
	struct lz4_reader *reader;
	struct lz4_block block;

	ck_assert_int_eq(lz4_reader_open(fixture->fd, 0, &reader), 0);
	for (uint64_t off = 0; off < lz4_reader_size(reader); off = block.image_off + block.image_len) {
		uint64_t end = 0;
		int want = 0;

		ck_assert_int_eq(lz4_reader_block(reader, off, &block), 0);
		want = block.image_off == bad ? -EBADMSG : 0;
		ck_assert_int_eq(lz4_reader_check(reader, off, &end), want);
		ck_assert_uint_eq(end, block.image_off + block.image_len);
		/* in part, first: nothing of a block may come out before all of it was looked at */
		ck_assert_int_eq(lz4_reader_read(reader, off + block.image_len / 2, buf, 1), want);
		ck_assert_int_eq(lz4_reader_read(reader, off, buf, block.image_len), want);
		ck_assert(want || !memcmp(buf, fixture->bytes + off, block.image_len));
	}
	lz4_reader_close(reader);
}

START_TEST(a_flipped_bit_costs_its_block_alone)
{
	struct lz4_fixture fixture;
	struct lz4_reader *reader;
	struct lz4_block block;
	unsigned kinds = 0;

	lz4_fixture_init(&fixture, &tiny, LZ4_MIXED);
	ck_assert_int_eq(lz4_fixture_write(&fixture, 1), 0);
	check_blocks(&fixture, UINT64_MAX);
	for (uint64_t off = 0; off < lz4_image_size(&tiny); off = block.image_off + block.image_len) {
		ck_assert_int_eq(lz4_reader_open(fixture.fd, 0, &reader), 0);
		ck_assert_int_eq(lz4_reader_block(reader, off, &block), 0);
		lz4_reader_close(reader);
		kinds |= 1u << block.kind;
		/* its size field, its bytes, its checksum */
		for (uint64_t byte = 0; byte < 4 + block.size + 4; byte++) {
			uint64_t bit = (block.file_off + byte) * 8 + byte % 8;

			if (block.kind == LZ4_KIND_ZERO)
				break; /* it is not read */
			if (byte > 40 && byte < block.size - 40 && byte % 37)
				continue;
			flip(fixture.fd, bit);
			check_blocks(&fixture, off);
			flip(fixture.fd, bit);
		}
	}
	ck_assert_uint_eq(kinds, 1u << LZ4_KIND_COMPRESSED | 1u << LZ4_KIND_STORED | 1u << LZ4_KIND_ZERO);
	lz4_fixture_fini(&fixture);
}
END_TEST

/* Whatever is read of a file with one bit changed is right, or an error. */
static void check_true(const struct lz4_fixture *fixture, int fd, uint64_t bit, unsigned flags)
{
	static unsigned char buf[8192];
	uint64_t size = lz4_image_size(&fixture->image);
	struct lz4_reader *reader;

	if (lz4_reader_open(fd, flags, &reader))
		return;
	ck_assert_uint_le(lz4_reader_size(reader), size);
	for (uint64_t off = 0; off < lz4_reader_size(reader); off += 4096) {
		uint64_t len = u64_min(4096, lz4_reader_size(reader) - off);

		ck_assert_msg(
			lz4_reader_read(reader, off, buf, len) || !memcmp(buf, fixture->bytes + off, len),
			"bit %d: wrong bytes at %d", (int)bit, (int)off);
	}
	lz4_reader_close(reader);
}

START_TEST(a_flipped_bit_of_the_table_never_makes_other_contents)
{
	struct lz4_fixture fixture;
	uint64_t end, start;

	lz4_fixture_init(&fixture, &tiny, LZ4_MIXED);
	ck_assert_int_eq(lz4_fixture_write(&fixture, 1), 0);
	end = size_of(fixture.fd) * 8;
	start = end - 8 * (lz4_table_bytes(&tiny) + sizeof(struct lz4_table_footer) + LZ4_SKIPPABLE_HEADER);
	for (uint64_t bit = start; bit < end; bit++) {
		flip(fixture.fd, bit);
		check_true(&fixture, fixture.fd, bit, 0);
		check_true(&fixture, fixture.fd, bit, LZ4_READER_PREFIX);
		flip(fixture.fd, bit);
	}
	lz4_fixture_fini(&fixture);
}
END_TEST

/* The image, as the lz4 tool packs it with @options. */
static int packed_by_tool(const struct lz4_fixture *fixture, const char *options)
{
	struct scratch scratch;
	char path[128], line[400];
	int fd, copy = memfd_create("packed", MFD_CLOEXEC);
	static unsigned char bytes[65536];
	uint64_t size;

	scratch_init(&scratch);
	scratch_file(&scratch, "in", fixture->bytes, lz4_image_size(&fixture->image), path, sizeof(path));
	snprintf(line, sizeof(line), "cd %s && lz4 -q %s in out", scratch.dir, options);
	ck_assert_msg(!system(line), "%s", line);
	fd = open(scratch_path(&scratch, "out", path, sizeof(path)), O_RDONLY | O_CLOEXEC);
	size = size_of(fd);
	ck_assert_uint_le(size, sizeof(bytes));
	ck_assert_int_eq(io_pread_full(fd, bytes, size, 0), 0);
	ck_assert_int_eq(io_pwrite_full(copy, bytes, size, 0), 0);
	close(fd);
	scratch_fini(&scratch);
	return copy;
}

/*
 * Checksums of others: of blocks, of the contents, of the header.  All of a file is under one of them, but for a block's
 * size field, which the size of the contents tells.
 */
static const char *const tool_options[] = {
	"-BX --no-frame-crc --content-size", "-BX", "-B4", "-B4 --content-size"};

START_TEST(a_flipped_bit_of_another_writer_s_file_is_found)
{
	struct lz4_fixture fixture;
	struct lz4_reader *reader;
	static unsigned char buf[65536];
	uint64_t bits, same = 0;
	int fd;

	lz4_fixture_init(&fixture, &tiny, LZ4_MIXED);
	fd = packed_by_tool(&fixture, tool_options[_i]);
	ck_assert_int_eq(lz4_reader_open(fd, 0, &reader), 0);
	lz4_fixture_check_reader(&fixture, reader);
	lz4_reader_close(reader);
	bits = size_of(fd) * 8;
	for (uint64_t bit = 0; bit < bits; bit += bit < 200 || bit > bits - 200 ? 1 : 11) {
		int r;

		flip(fd, bit);
		r = lz4_reader_open(fd, 0, &reader);
		if (!r) { /* a match that is taken from another place with the same bytes is no damage */
			ck_assert_int_eq(lz4_reader_read(reader, 0, buf, lz4_image_size(&tiny)), 0);
			ck_assert_msg(!memcmp(buf, fixture.bytes, lz4_image_size(&tiny)), "bit %d of %d",
				(int)bit, (int)bits);
			lz4_reader_close(reader);
			same++;
		}
		flip(fd, bit);
	}
	ck_assert_uint_lt(same, 100);
	close(fd);
	lz4_fixture_fini(&fixture);
}
END_TEST

static void copy_bytes(int from, uint64_t from_off, int to, uint64_t to_off, uint64_t len)
{
	autofree unsigned char *bytes = malloc(len);

	ck_assert_int_eq(io_pread_full(from, bytes, len, from_off), 0);
	ck_assert_int_eq(io_pwrite_full(to, bytes, len, to_off), 0);
}

/* The file as the first versions wrote it: no checksums, neither of blocks nor of the table. */
static int without_sums(const struct lz4_fixture *fixture)
{
	/* lz4_Frame_format.md: version, independent blocks, content size; and the checksum that belongs to it */
	unsigned char header[LZ4_FRAME_HEADER], frame[LZ4_SKIPPABLE_HEADER] = {0}, zero[4] = {0};
	int fd = memfd_create("old", MFD_CLOEXEC);
	struct lz4_table *table = malloc(lz4_table_bytes(&fixture->image));
	uint64_t at = sizeof(header), bytes = lz4_table_bytes(&fixture->image), frame_off;
	struct lz4_table_footer footer = {0};

	lz4_frame_build(lz4_image_size(&fixture->image), header);
	header[4] = 0x68;
	header[14] = (unsigned char)(lz4_sum_of(header + 4, 10) >> 8);
	ck_assert_int_eq(io_pwrite_full(fd, header, sizeof(header), 0), 0);
	ck_assert_int_eq(
		io_pread_full(fixture->fd, table, bytes, size_of(fixture->fd) - sizeof(footer) - bytes), 0);
	for (uint64_t i = 0; i < table->header.nr_blocks; i++) {
		struct lz4_entry *entry = &table->entries[i];

		copy_bytes(fixture->fd, entry->file_off, fd, at, 4 + (uint64_t)entry->size);
		entry->file_off = at;
		at += 4 + (uint64_t)entry->size;
	}
	frame_off = at + sizeof(zero);
	memcpy(footer.magic, LZ4_TABLE_MAGIC, sizeof(footer.magic));
	footer.frame_off = frame_off;
	lz4_put32(frame, LZ4_TABLE_FRAME);
	lz4_put32(frame + 4, (uint32_t)bytes + LZ4_FOOTER_WITHOUT_SUM);
	ck_assert_int_eq(io_pwrite_full(fd, zero, sizeof(zero), at), 0);
	ck_assert_int_eq(io_pwrite_full(fd, frame, sizeof(frame), frame_off), 0);
	ck_assert_int_eq(io_pwrite_full(fd, table, bytes, frame_off + sizeof(frame)), 0);
	ck_assert_int_eq(io_pwrite_full(fd, &footer.frame_off, LZ4_FOOTER_WITHOUT_SUM,
				 frame_off + sizeof(frame) + bytes),
		0);
	free(table);
	return fd;
}

START_TEST(files_of_before_there_were_checksums_are_read)
{
	struct lz4_fixture fixture;
	struct lz4_reader *reader;
	struct lz4_block block;
	int fd;

	lz4_fixture_init(&fixture, &tiny, LZ4_MIXED);
	ck_assert_int_eq(lz4_fixture_write(&fixture, 1), 0);
	fd = without_sums(&fixture);
	for (unsigned scan = 0; scan < 2; scan++) {
		ck_assert_int_eq(lz4_reader_open(fd, scan ? LZ4_READER_SCAN : 0, &reader), 0);
		lz4_fixture_check_reader(&fixture, reader);
		for (uint64_t off = 0; off < lz4_image_size(&tiny);
			off = block.image_off + block.image_len) {
			uint64_t end;

			ck_assert_int_eq(lz4_reader_block(reader, off, &block), 0);
			ck_assert_int_eq(lz4_reader_check(reader, off, &end), 0);
		}
		lz4_reader_close(reader);
	}
	close(fd);
	lz4_fixture_fini(&fixture);
}
END_TEST

START_TEST(what_is_patched_has_a_new_checksum_only_after_it_was_made)
{
	struct lz4_fixture fixture;
	struct lz4_reader *reader;
	unsigned char byte;

	lz4_fixture_init(&fixture, &tiny, LZ4_MIXED);
	ck_assert_int_eq(lz4_fixture_start(&fixture), 0);
	ck_assert_int_eq(lz4_fixture_put_all(&fixture, 1), 0);
	ck_assert_int_eq(lz4_writer_finish(fixture.writer), 0);
	ck_assert_int_eq(lz4_writer_patch(fixture.writer, 17, "x", 1), 0);
	ck_assert_int_eq(lz4_reader_open(fixture.fd, 0, &reader), 0);
	ck_assert_int_eq(lz4_reader_read(reader, 17, &byte, 1), -EBADMSG);
	ck_assert_int_eq(lz4_writer_sum(fixture.writer), 0);
	ck_assert_int_eq(lz4_reader_read(reader, 17, &byte, 1), 0);
	ck_assert_int_eq(byte, 'x');
	ck_assert_int_eq(lz4_reader_read(reader, tiny.head + tiny.ram, &byte, 1), 0);
	lz4_reader_close(reader);
	lz4_writer_destroy(fixture.writer);
	fixture.writer = NULL;
	lz4_fixture_fini(&fixture);
}
END_TEST

/* Exit status of `lz4 -t` on the file. */
static int tool_test(int fd)
{
	struct scratch scratch;
	char line[200];
	int status;

	scratch_init(&scratch);
	snprintf(line, sizeof(line), "cat <&%d >%s/x.lz4 && lz4 -q -t %s/x.lz4 2>/dev/null", fd,
		scratch.dir, scratch.dir);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFD, 0), 0);
	status = system(line);
	scratch_fini(&scratch);
	return status;
}

START_TEST(the_lz4_tool_sees_the_flipped_bit_too)
{
	struct lz4_fixture fixture;
	struct lz4_reader *reader;
	struct lz4_block block;

	lz4_fixture_init(&fixture, &tiny, LZ4_MIXED);
	ck_assert_int_eq(lz4_fixture_write(&fixture, 1), 0);
	lz4_fixture_check_tool(&fixture);
	ck_assert_int_eq(tool_test(fixture.fd), 0);
	for (uint64_t off = 0; off < lz4_image_size(&tiny); off = block.image_off + block.image_len) {
		uint64_t bit;

		ck_assert_int_eq(lz4_reader_open(fixture.fd, 0, &reader), 0);
		ck_assert_int_eq(lz4_reader_block(reader, off, &block), 0);
		lz4_reader_close(reader);
		bit = (block.file_off + 4 + block.size / 2) * 8 + 3;
		flip(fixture.fd, bit);
		ck_assert_int_ne(tool_test(fixture.fd), 0);
		flip(fixture.fd, bit);
	}
	lz4_fixture_fini(&fixture);
}
END_TEST

Suite *suite_lz4_sums(void)
{
	Suite *s = suite_create("lz4_sums");
	TCase *tc = tcase_create("checksums");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, the_sum_is_xxh32);
	tcase_add_test(tc, a_flipped_bit_costs_its_block_alone);
	tcase_add_test(tc, a_flipped_bit_of_the_table_never_makes_other_contents);
	tcase_add_loop_test(
		tc, a_flipped_bit_of_another_writer_s_file_is_found, 0, (int)ARRAY_LEN(tool_options));
	tcase_add_test(tc, files_of_before_there_were_checksums_are_read);
	tcase_add_test(tc, what_is_patched_has_a_new_checksum_only_after_it_was_made);
	tcase_add_test(tc, the_lz4_tool_sees_the_flipped_bit_too);
	suite_add_tcase(s, tc);
	return s;
}
