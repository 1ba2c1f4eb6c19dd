/* SPDX-License-Identifier: Apache-2.0 */
/* dump/lz4/lz4_reader.c - see lz4_reader.h */
#include "dump/lz4/lz4_reader.h"

#include "dump/base/bitmap.h"
#include "dump/base/io.h"
#include "dump/lz4/lz4_scan.h"
#include "dump/lz4/lz4_sum.h"
#include "dump/lz4/lz4_table.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct lz4_reader {
	int fd;             /* borrowed */
	uint64_t file_size; /* when it was opened */
	uint64_t size;      /* bytes of image */
	bool complete;
	bool sums; /* with a table: a checksum follows each block */

	/* With a table; it stays in its file, an entry is read and checked when it is needed. */
	int table_fd;         /* borrowed; -1 = no table */
	uint64_t entries_off; /* file offset of the first entry */
	uint64_t blocks_end;  /* file offset that no block goes beyond */
	struct lz4_image image;

	struct lz4_index index; /* without a table */

	struct lz4_buffer packed, plain;
	uint64_t cached;    /* image offset of the block in @plain; UINT64_MAX = none */
	uint64_t *verified; /* owned; blocks of the table whose checksum was right, dump/base/bitmap.h */
};

static int regular_size(int fd, uint64_t *ret_size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

static int reader_new(int fd, struct lz4_reader **ret_reader)
{
	struct lz4_reader *reader = calloc(1, sizeof(*reader));
	int r;

	if (!reader)
		return -ENOMEM;
	reader->fd = fd;
	reader->table_fd = -1;
	reader->cached = UINT64_MAX;
	r = regular_size(fd, &reader->file_size);
	if (r) {
		lz4_reader_close(reader);
		return r;
	}
	*ret_reader = reader;
	return 0;
}

void lz4_reader_close(struct lz4_reader *reader)
{
	if (!reader)
		return;
	lz4_index_fini(&reader->index);
	lz4_buffer_fini(&reader->packed);
	lz4_buffer_fini(&reader->plain);
	free(reader->verified);
	free(reader);
}

/* The table's header at @off of @fd, which is @file_size bytes long; all entries are in the file then. */
static int read_header(int fd, uint64_t file_size, uint64_t off, struct lz4_table_header *ret)
{
	uint64_t end;
	int r;

	if (off > file_size || file_size - off < sizeof(*ret))
		return -EBADMSG;
	r = io_pread_full(fd, ret, sizeof(*ret), off);
	if (!r)
		r = lz4_table_check(ret);
	if (r)
		return r;
	if (u64_add_overflows(off, lz4_table_bytes(&ret->image), &end) || end > file_size)
		return -EBADMSG;
	return 0;
}

/* The file begins as the writer of an image of this size begins it.  Without checksums: the first files had none. */
static int check_start(struct lz4_reader *reader, const struct lz4_image *image)
{
	unsigned char have[LZ4_FRAME_HEADER];
	struct lz4_frame frame;
	int r;

	if (reader->file_size < sizeof(have))
		return -EBADMSG;
	r = io_pread_full(reader->fd, have, sizeof(have), 0);
	if (r)
		return r;
	r = lz4_frame_parse(have, sizeof(have), &frame);
	if (r || !frame.independent || frame.dictionary || frame.content_sum || !frame.sized ||
		frame.content_size != lz4_image_size(image) || frame.block_max != LZ4_BLOCK_MAX)
		return -EBADMSG;
	reader->sums = frame.block_sums;
	return 0;
}

static int use_table(struct lz4_reader *reader, int table_fd, uint64_t table_off, uint64_t blocks_end,
	const struct lz4_image *image)
{
	reader->table_fd = table_fd;
	reader->entries_off = table_off + sizeof(struct lz4_table_header);
	reader->blocks_end = blocks_end;
	reader->image = *image;
	reader->size = lz4_image_size(image);
	/* at most 32 MiB (lz4_image_check), which take memory as they are used */
	reader->verified = calloc(lz4_image_blocks(image) / 64 + 1, sizeof(*reader->verified));
	return reader->verified ? 0 : -ENOMEM;
}

/*
 * The @bytes of the table at @off have the checksum @want.  No part of a finished table is zeros, so that a hole is
 * damage: nobody reads gigabytes of them.
 */
static int check_table(const struct lz4_reader *reader, uint64_t off, uint64_t bytes, uint32_t want)
{
	off_t hole = lseek(reader->fd, (off_t)off, SEEK_HOLE);
	unsigned char part[KIB(16)];
	struct lz4_sum sum;
	int r = 0;

	if (hole >= 0 && (uint64_t)hole < off + bytes)
		return -EBADMSG;
	lz4_sum_start(&sum);
	for (uint64_t done = 0; !r && done < bytes; done += sizeof(part)) {
		uint64_t n = u64_min(sizeof(part), bytes - done);

		r = io_pread_full(reader->fd, part, n, off + done);
		if (!r)
			lz4_sum_add(&sum, part, n);
	}
	return r || lz4_sum_end(&sum) == want ? r : -EBADMSG;
}

/* Looks for the table at the end of the file. */
static int find_table(struct lz4_reader *reader)
{
	unsigned char frame[LZ4_SKIPPABLE_HEADER];
	struct lz4_table_footer footer;
	struct lz4_table_header header;
	uint64_t last = reader->file_size - sizeof(footer); /* where the footer is, and the table ends */
	uint64_t bytes, footer_bytes;
	int r;

	if (reader->file_size < LZ4_FRAME_HEADER + sizeof(frame) + sizeof(header) + sizeof(footer))
		return -EBADMSG;
	r = io_pread_full(reader->fd, &footer, sizeof(footer), last);
	if (r)
		return r;
	if (memcmp(footer.magic, LZ4_TABLE_MAGIC, sizeof(footer.magic)) ||
		footer.frame_off < LZ4_FRAME_HEADER || footer.frame_off > last - sizeof(frame))
		return -EBADMSG;
	r = io_pread_full(reader->fd, frame, sizeof(frame), footer.frame_off);
	if (!r)
		r = read_header(reader->fd, reader->file_size, footer.frame_off + sizeof(frame), &header);
	if (!r)
		r = check_start(reader, &header.image);
	if (r)
		return r;
	bytes = lz4_table_bytes(&header.image);
	footer_bytes = lz4_get32(frame + 4) - bytes;
	if (lz4_get32(frame) != LZ4_TABLE_FRAME ||
		(footer_bytes != sizeof(footer) && footer_bytes != LZ4_FOOTER_WITHOUT_SUM) ||
		footer.frame_off + sizeof(frame) + bytes != reader->file_size - footer_bytes)
		return -EBADMSG;
	if (footer_bytes == sizeof(footer))
		r = footer.pad ? -EBADMSG
			       : check_table(reader, footer.frame_off + sizeof(frame), bytes,
					 le32toh(footer.sum));
	if (!r)
		r = use_table(reader, reader->fd, footer.frame_off + sizeof(frame), footer.frame_off,
			&header.image);
	reader->complete = !r;
	return r;
}

static int scan(struct lz4_reader *reader, unsigned flags)
{
	int r = lz4_scan(reader->fd, reader->file_size, &reader->packed, &reader->plain, &reader->index);

	reader->size = reader->index.size;
	reader->complete = !r;
	if ((r == -EBADMSG || r == -ENODATA) && flags & LZ4_READER_PREFIX && reader->index.nr)
		return 0;
	return r;
}

int lz4_reader_open(int fd, unsigned flags, struct lz4_reader **ret_reader)
{
	struct lz4_reader *reader;
	int r = reader_new(fd, &reader);

	if (r)
		return r;
	r = flags & LZ4_READER_SCAN ? -EBADMSG : find_table(reader);
	if (r == -EBADMSG || r == -EOPNOTSUPP)
		r = scan(reader, flags);
	if (r) {
		lz4_reader_close(reader);
		return r;
	}
	*ret_reader = reader;
	return 0;
}

int lz4_reader_open_partial(int fd, int table_fd, uint64_t table_off, struct lz4_reader **ret_reader)
{
	struct lz4_table_header header;
	struct lz4_reader *reader;
	uint64_t table_file = 0;
	int r = reader_new(fd, &reader);

	if (r)
		return r;
	r = regular_size(table_fd, &table_file);
	if (!r)
		r = read_header(table_fd, table_file, table_off, &header);
	if (!r)
		r = check_start(reader, &header.image);
	if (!r)
		r = use_table(reader, table_fd, table_off, reader->file_size, &header.image);
	if (r) {
		lz4_reader_close(reader);
		return r;
	}
	*ret_reader = reader;
	return 0;
}

uint64_t lz4_reader_size(const struct lz4_reader *reader)
{
	return reader->size;
}

bool lz4_reader_has_table(const struct lz4_reader *reader)
{
	return reader->table_fd >= 0;
}

bool lz4_reader_is_complete(const struct lz4_reader *reader)
{
	return reader->complete;
}

/* Fills in what the table says of @ret, whose place in the image is known. */
static int take_entry(const struct lz4_reader *reader, const struct lz4_entry *entry, struct lz4_block *ret)
{
	uint32_t kind = atomic_load_explicit(&entry->kind, memory_order_relaxed); /* a private copy */
	uint64_t end;

	ret->kind = kind;
	ret->file_off = kind ? entry->file_off : 0;
	ret->size = kind ? entry->size : 0;
	if (kind == LZ4_KIND_NONE)
		return reader->complete ? -EBADMSG : 0;
	if (kind > LZ4_KIND_ZERO || !entry->size || entry->size > ret->image_len)
		return -EBADMSG;
	if (kind == LZ4_KIND_STORED && entry->size != ret->image_len)
		return -EBADMSG;
	if (entry->file_off < LZ4_FRAME_HEADER ||
		u64_add_overflows(entry->file_off,
			(uint64_t)LZ4_BLOCK_HEADER + entry->size + (reader->sums ? LZ4_SUM_BYTES : 0),
			&end) ||
		end > reader->blocks_end)
		return -EBADMSG;
	return 0;
}

static int block_from_table(struct lz4_reader *reader, uint64_t off, struct lz4_block *ret)
{
	uint64_t number = lz4_image_find(&reader->image, off);
	struct lz4_entry entry;
	int r;

	r = io_pread_full(
		reader->table_fd, &entry, sizeof(entry), reader->entries_off + number * sizeof(entry));
	if (r)
		return r;
	lz4_image_block(&reader->image, number, &ret->image_off, &ret->image_len);
	return take_entry(reader, &entry, ret);
}

int lz4_reader_block(struct lz4_reader *reader, uint64_t off, struct lz4_block *ret)
{
	const struct lz4_index_entry *entry;

	if (off >= reader->size)
		return -EINVAL;
	if (reader->table_fd >= 0)
		return block_from_table(reader, off, ret);
	entry = lz4_index_find(&reader->index, off);
	*ret = (struct lz4_block){
		.image_off = entry->image_off,
		.image_len = entry->image_len,
		.kind = entry->field & LZ4_BLOCK_STORED ? LZ4_KIND_STORED : LZ4_KIND_COMPRESSED,
		.file_off = entry->file_off,
		.size = entry->field & ~LZ4_BLOCK_STORED,
	};
	return 0;
}

/* The table and the frame tell the same about the block. */
static int check_field(const struct lz4_reader *reader, const struct lz4_block *block)
{
	uint32_t want = block->size | (block->kind == LZ4_KIND_STORED ? LZ4_BLOCK_STORED : 0);
	unsigned char field[LZ4_BLOCK_HEADER];
	int r;

	r = io_pread_full(reader->fd, field, sizeof(field), block->file_off);
	if (r)
		return r;
	return lz4_get32(field) == want ? 0 : -EBADMSG;
}

/*
 * Reads the bytes of @block, as they are in the file, into reader->packed.  Their checksum is right then, if there is
 * one.  A file without a table was decoded, and its checksums looked at, when it was opened.
 */
static int load_packed(struct lz4_reader *reader, const struct lz4_block *block)
{
	bool sums = reader->table_fd >= 0 && reader->sums;
	size_t len = block->size + (sums ? LZ4_SUM_BYTES : 0);
	uint64_t number;
	int r = check_field(reader, block);

	if (!r)
		r = lz4_buffer_grow(&reader->packed, len);
	if (!r)
		r = io_pread_full(reader->fd, reader->packed.data, len, block->file_off + LZ4_BLOCK_HEADER);
	if (r || !sums)
		return r;
	if (lz4_sum_of(reader->packed.data, block->size) != lz4_get32(reader->packed.data + block->size))
		return -EBADMSG;
	number = lz4_image_find(&reader->image, block->image_off);
	reader->verified[number / 64] |= 1ull << (number % 64);
	return 0;
}

/* Decodes @block into reader->plain. */
static int load(struct lz4_reader *reader, const struct lz4_block *block)
{
	int r;

	if (reader->cached == block->image_off)
		return 0;
	reader->cached = UINT64_MAX;
	r = load_packed(reader, block);
	if (!r)
		r = lz4_buffer_grow(&reader->plain, block->image_len);
	if (r)
		return r;
	r = LZ4_decompress_safe((const char *)reader->packed.data, (char *)reader->plain.data,
		(int)block->size, (int)block->image_len);
	if (r < 0 || (uint32_t)r != block->image_len)
		return -EBADMSG;
	reader->cached = block->image_off;
	return 0;
}

/* Stored bytes can be read in part, once all of them were looked at. */
static int check_stored(struct lz4_reader *reader, const struct lz4_block *block)
{
	if (reader->table_fd >= 0 && reader->sums &&
		!bitmap_test(reader->verified, lz4_image_find(&reader->image, block->image_off)))
		return load_packed(reader, block);
	return check_field(reader, block);
}

int lz4_reader_check(struct lz4_reader *reader, uint64_t off, uint64_t *ret_end)
{
	struct lz4_block block;
	int r;

	if (off >= reader->size)
		return -EINVAL;
	r = lz4_reader_block(reader, off, &block);
	*ret_end = block.image_off + block.image_len;
	if (r || block.kind == LZ4_KIND_NONE || block.kind == LZ4_KIND_ZERO)
		return r;
	if (block.kind == LZ4_KIND_STORED || (reader->table_fd >= 0 && reader->sums))
		return load_packed(reader, &block);
	return load(reader, &block);
}

/* @len bytes at @at of the block. */
static int read_block(struct lz4_reader *reader, const struct lz4_block *block, uint64_t at,
	unsigned char *buf, size_t len)
{
	int r;

	switch (block->kind) {
	case LZ4_KIND_NONE:
		return -ENXIO;
	case LZ4_KIND_ZERO:
		memset(buf, 0, len);
		return 0;
	case LZ4_KIND_STORED:
		r = check_stored(reader, block);
		if (r)
			return r;
		return io_pread_full(reader->fd, buf, len, block->file_off + LZ4_BLOCK_HEADER + at);
	default:
		r = load(reader, block);
		if (!r)
			memcpy(buf, reader->plain.data + at, len);
		return r;
	}
}

int lz4_reader_read(struct lz4_reader *reader, uint64_t off, void *buf, size_t len)
{
	unsigned char *to = buf;
	uint64_t end;

	if (u64_add_overflows(off, len, &end) || end > reader->size)
		return -EINVAL;
	while (off < end) {
		struct lz4_block block;
		uint64_t n;
		int r;

		r = lz4_reader_block(reader, off, &block);
		if (r)
			return r;
		n = u64_min(end - off, block.image_off + block.image_len - off);
		r = read_block(reader, &block, off - block.image_off, to, n);
		if (r)
			return r;
		to += n;
		off += n;
	}
	return 0;
}
