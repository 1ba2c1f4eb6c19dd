/* SPDX-License-Identifier: Apache-2.0 */
/* dump/lz4/lz4_scan.c - see lz4_scan.h */
#include "dump/lz4/lz4_scan.h"

#include "dump/base/io.h"
#include "dump/lz4/lz4_sum.h"
#include "dump/lz4/lz4_table.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>

struct scan {
	int fd;
	uint64_t file_size;
	uint64_t at;        /* file offset, up to @file_size */
	uint32_t nr_blocks; /* empty ones count */
	uint32_t nr_frames;
	struct lz4_buffer *packed, *plain;
	struct lz4_index *index;
	struct lz4_sum content; /* of the frame so far, if it ends with a checksum */
};

int lz4_buffer_grow(struct lz4_buffer *buffer, size_t bytes)
{
	if (bytes <= buffer->room)
		return 0;
	lz4_buffer_fini(buffer);
	buffer->data = malloc(bytes);
	if (!buffer->data)
		return -ENOMEM;
	buffer->room = bytes;
	return 0;
}

void lz4_buffer_fini(struct lz4_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct lz4_buffer){0};
}

/* Reads @len bytes at the scan's place without moving on. */
static int peek(struct scan *scan, unsigned char *buf, uint64_t len)
{
	if (len > scan->file_size - scan->at)
		return -ENODATA;
	return io_pread_full(scan->fd, buf, len, scan->at);
}

static int skip(struct scan *scan, uint64_t len)
{
	if (len > scan->file_size - scan->at)
		return -ENODATA;
	scan->at += len;
	return 0;
}

static int add_block(struct lz4_index *index, uint64_t file_off, uint32_t field, uint32_t image_len)
{
	if (!image_len)
		return 0;
	if (index->nr == index->room) {
		uint64_t room = index->room ? index->room * 2 : 256;
		void *grown = realloc(index->entries, room * sizeof(*index->entries));

		if (!grown)
			return -ENOMEM;
		index->entries = grown;
		index->room = room;
	}
	index->entries[index->nr++] = (struct lz4_index_entry){
		.image_off = index->size, .file_off = file_off, .field = field, .image_len = image_len};
	index->size += image_len;
	return 0;
}

/* A byte of a block makes 255 of image at most (lz4_Block_format.md: a length's further bytes). */
#define EXPANSION_MAX 255

/* The block's @size bytes at the scan's place, into scan->packed, and compared with the checksum behind them. */
static int load(struct scan *scan, const struct lz4_frame *frame, uint32_t size)
{
	uint64_t len = size + (frame->block_sums ? LZ4_SUM_BYTES : 0);
	int r;

	if (len > scan->file_size - scan->at)
		return -ENODATA;
	r = lz4_buffer_grow(scan->packed, len);
	if (!r)
		r = peek(scan, scan->packed->data, len);
	if (r || !frame->block_sums)
		return r;
	return lz4_sum_of(scan->packed->data, size) == lz4_get32(scan->packed->data + size) ? 0 : -EBADMSG;
}

static int decode(struct scan *scan, const struct lz4_frame *frame, uint32_t size, uint32_t *ret_len)
{
	uint32_t room = (uint32_t)u64_min((uint64_t)size * EXPANSION_MAX, frame->block_max);
	int r = load(scan, frame, size);

	if (!r)
		r = lz4_buffer_grow(scan->plain, room);
	if (r)
		return r;
	r = LZ4_decompress_safe(
		(const char *)scan->packed->data, (char *)scan->plain->data, (int)size, (int)room);
	if (r < 0)
		return -EBADMSG;
	*ret_len = (uint32_t)r;
	if (frame->content_sum)
		lz4_sum_add(&scan->content, scan->plain->data, *ret_len);
	return 0;
}

/* Stored bytes need not be read to know how many they are, but for what checksums say of them. */
static int take_stored(struct scan *scan, const struct lz4_frame *frame, uint32_t size, uint32_t *ret_len)
{
	int r = frame->block_sums || frame->content_sum ? load(scan, frame, size) : 0;

	if (!r && frame->content_sum)
		lz4_sum_add(&scan->content, scan->packed->data, size);
	*ret_len = size;
	return r;
}

/* Bytes of image in the block at the scan's place, whose size field is @field. */
static int measure(struct scan *scan, const struct lz4_frame *frame, uint32_t field, uint32_t *ret_len)
{
	uint32_t size = field & ~LZ4_BLOCK_STORED;

	if (size > frame->block_max)
		return -EBADMSG;
	return field & LZ4_BLOCK_STORED ? take_stored(scan, frame, size, ret_len)
					: decode(scan, frame, size, ret_len);
}

static int scan_block(struct scan *scan, const struct lz4_frame *frame, uint32_t field)
{
	uint64_t file_off = scan->at - LZ4_BLOCK_HEADER;
	uint32_t len = 0;
	int r;

	if (scan->nr_blocks++ == LZ4_SCAN_BLOCKS_MAX)
		return -EFBIG;
	r = measure(scan, frame, field, &len);
	if (!r)
		r = skip(scan, (field & ~LZ4_BLOCK_STORED) + (frame->block_sums ? LZ4_SUM_BYTES : 0));
	return r ? r : add_block(scan->index, file_off, field, len);
}

/* Behind the last block of a frame that began at @start of the image. */
static int end_frame(struct scan *scan, const struct lz4_frame *frame, uint64_t start)
{
	unsigned char field[LZ4_SUM_BYTES];
	int r;

	if (frame->sized && scan->index->size - start != frame->content_size)
		return -EBADMSG;
	if (!frame->content_sum)
		return 0;
	r = peek(scan, field, sizeof(field));
	if (!r && lz4_get32(field) != lz4_sum_end(&scan->content))
		r = -EBADMSG;
	return r ? r : skip(scan, sizeof(field));
}

static int scan_frame(struct scan *scan, const unsigned char *header, size_t len)
{
	unsigned char field[LZ4_BLOCK_HEADER];
	uint64_t start = scan->index->size;
	struct lz4_frame frame;
	int r;

	r = lz4_frame_parse(header, len, &frame);
	if (!r && (frame.dictionary || !frame.independent))
		r = -EOPNOTSUPP;
	if (!r)
		r = skip(scan, frame.header);
	lz4_sum_start(&scan->content);
	while (!r) {
		r = peek(scan, field, sizeof(field));
		if (r)
			break;
		scan->at += sizeof(field);
		if (!lz4_get32(field))
			return end_frame(scan, &frame, start);
		r = scan_block(scan, &frame, lz4_get32(field));
	}
	return r;
}

static int scan_any_frame(struct scan *scan)
{
	unsigned char header[LZ4_FRAME_HEADER_MAX] = {0};
	size_t len = u64_min(sizeof(header), scan->file_size - scan->at);
	uint32_t magic;
	int r;

	if (scan->nr_frames++ == LZ4_SCAN_FRAMES_MAX)
		return -EFBIG;
	r = peek(scan, header, len);
	if (r)
		return r;
	if (len < LZ4_SKIPPABLE_HEADER)
		return -ENODATA;
	magic = lz4_get32(header);
	if ((magic & LZ4_SKIPPABLE_MASK) == LZ4_SKIPPABLE_MAGIC)
		return skip(scan, (uint64_t)LZ4_SKIPPABLE_HEADER + lz4_get32(header + 4));
	if (magic == LZ4_LEGACY_MAGIC)
		return -EOPNOTSUPP;
	return scan_frame(scan, header, len);
}

int lz4_scan(int fd, uint64_t file_size, struct lz4_buffer *packed, struct lz4_buffer *plain,
	struct lz4_index *ret)
{
	struct scan scan = {
		.fd = fd, .file_size = file_size, .packed = packed, .plain = plain, .index = ret};
	int r = 0;

	*ret = (struct lz4_index){0};
	if (!file_size)
		return -ENODATA;
	while (!r && scan.at < file_size)
		r = scan_any_frame(&scan);
	return r;
}

const struct lz4_index_entry *lz4_index_find(const struct lz4_index *index, uint64_t off)
{
	uint64_t low = 0, high = index->nr;

	assert(off < index->size);
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (index->entries[middle].image_off <= off)
			low = middle;
		else
			high = middle;
	}
	return &index->entries[low];
}

void lz4_index_fini(struct lz4_index *index)
{
	free(index->entries);
	*index = (struct lz4_index){0};
}
