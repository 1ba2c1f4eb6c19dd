/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_lz4_reader.c - intent: no LZ4 file, and no table beside one, makes the reader touch
 * memory that is not its own, and what it gives is the same in whatever pieces it is read.
 *
 * Input: an LZ4 file; or 'P', u16 bytes of table (little-endian), the table, an LZ4 file whose writer died.
 */
#include "dump/base/io.h"
#include "dump/lz4/lz4_reader.h"
#include "dump/lz4/lz4_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define READ_MAX KIB(256) /* of an image, at its start; an image may be as large as it likes */
#define PIECE 1009

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): a fuzzer's build must not lose it to NDEBUG. */
static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_lz4_reader: broken promise: %s\n", what);
		abort();
	}
}

/* Two files for all inputs: making a file each time costs more than reading it. */
static int file_of(unsigned which, const uint8_t *data, size_t size)
{
	static int fds[2] = {-1, -1};

	if (fds[which] < 0)
		fds[which] = memfd_create("fuzz_lz4_reader", MFD_CLOEXEC);
	must(fds[which] >= 0 && !ftruncate(fds[which], 0) && !io_pwrite_full(fds[which], data, size, 0),
		"a file to read");
	return fds[which];
}

/* The blocks tile the image; walks until the first bad one, and not for ever. */
static void walk_blocks(struct lz4_reader *reader)
{
	uint64_t size = lz4_reader_size(reader), at = 0, end = 0;
	struct lz4_block block;
	int r;

	for (int i = 0; i < 1000 && at < size && !lz4_reader_block(reader, at, &block); i++) {
		must(block.image_off == at && block.image_len && block.image_len <= size - at,
			"blocks follow each other");
		r = lz4_reader_check(reader, at, &end);
		must(r <= 0 && (r || end == at + block.image_len), "a block is looked at whole");
		must(block.kind <= LZ4_KIND_ZERO && block.image_len <= LZ4_BLOCK_MAX, "blocks are bounded");
		at += block.image_len;
	}
	must(lz4_reader_block(reader, size, &block) == -EINVAL, "no block behind the image");
}

static void read_all(struct lz4_reader *reader)
{
	static unsigned char whole[READ_MAX], piece[PIECE];
	uint64_t size = lz4_reader_size(reader), end = u64_min(size, READ_MAX);
	int r = lz4_reader_read(reader, 0, whole, end);

	must(r <= 0, "0 or an error");
	for (uint64_t off = 0; off < end; off += PIECE) {
		size_t len = u64_min(PIECE, end - off);
		int part = lz4_reader_read(reader, off, piece, len);

		must(r || (!part && !memcmp(piece, whole + off, len)), "pieces are the whole");
	}
	must(!size || lz4_reader_read(reader, size - 1, piece, 1) <= 0, "0 or an error at the end");
	must(lz4_reader_read(reader, size, piece, 1) == -EINVAL, "nothing behind the image");
}

static void check(int r, struct lz4_reader *reader)
{
	must(r <= 0, "0 or an error");
	if (r)
		return;
	walk_blocks(reader);
	read_all(reader);
	lz4_reader_close(reader);
}

static void partial(const uint8_t *data, size_t size)
{
	size_t table = size < 3 ? 0 : data[1] | (size_t)data[2] << 8;
	struct lz4_reader *reader;
	int fd, r;

	if (size < 3 || table > size - 3)
		return;
	fd = file_of(0, data + 3 + table, size - 3 - table);
	r = lz4_reader_open_partial(fd, file_of(1, data + 3, table), 0, &reader);
	check(r, reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lz4_reader *reader;

	if (size && data[0] == 'P') {
		partial(data, size);
		return 0;
	}
	for (unsigned flags = 0; flags <= (LZ4_READER_SCAN | LZ4_READER_PREFIX); flags++) {
		int r = lz4_reader_open(file_of(0, data, size), flags, &reader);

		check(r, reader);
	}
	return 0;
}
