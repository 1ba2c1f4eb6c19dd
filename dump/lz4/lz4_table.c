/* SPDX-License-Identifier: Apache-2.0 */
/* dump/lz4/lz4_table.c - see lz4_table.h */
#include "dump/lz4/lz4_table.h"

#include <errno.h>

#define NR_PARTS 3

struct part {
	uint64_t bytes;
	uint64_t block;
};

static void parts_of(const struct lz4_image *image, struct part parts[static NR_PARTS])
{
	parts[0] = (struct part){image->head, LZ4_BLOCK_MAX};
	parts[1] = (struct part){image->ram, image->chunk};
	parts[2] = (struct part){image->tail, LZ4_BLOCK_MAX};
}

int lz4_image_check(const struct lz4_image *image)
{
	uint64_t size;

	if (image->chunk > LZ4_BLOCK_MAX)
		return -EFBIG;
	if (image->chunk < LZ4_CHUNK_MIN)
		return -EINVAL;
	if (u64_add_overflows(image->head, image->ram, &size) ||
		u64_add_overflows(size, image->tail, &size) || size > LZ4_IMAGE_MAX)
		return -EFBIG;
	if (lz4_table_bytes(image) + sizeof(struct lz4_table_footer) > UINT32_MAX)
		return -EFBIG;
	return 0;
}

uint64_t lz4_image_find(const struct lz4_image *image, uint64_t off)
{
	struct part parts[NR_PARTS];
	uint64_t index = 0;

	assert(off < lz4_image_size(image));
	parts_of(image, parts);
	for (int i = 0; i < NR_PARTS; i++) {
		if (off < parts[i].bytes)
			return index + off / parts[i].block;
		off -= parts[i].bytes;
		index += lz4_blocks_of(parts[i].bytes, parts[i].block);
	}
	return index;
}

void lz4_image_block(const struct lz4_image *image, uint64_t index, uint64_t *ret_off, uint32_t *ret_len)
{
	struct part parts[NR_PARTS];
	uint64_t start = 0;
	int i = 0;

	assert(index < lz4_image_blocks(image));
	parts_of(image, parts);
	for (; index >= lz4_blocks_of(parts[i].bytes, parts[i].block); i++) {
		index -= lz4_blocks_of(parts[i].bytes, parts[i].block);
		start += parts[i].bytes;
	}
	*ret_off = start + index * parts[i].block;
	*ret_len = (uint32_t)u64_min(parts[i].block, parts[i].bytes - index * parts[i].block);
}

int lz4_table_check(const struct lz4_table_header *header)
{
	if (memcmp(header->magic, LZ4_TABLE_MAGIC, sizeof(header->magic)))
		return -EBADMSG;
	if (header->version != LZ4_TABLE_VERSION)
		return header->version > LZ4_TABLE_VERSION ? -EOPNOTSUPP : -EBADMSG;
	if (header->size != sizeof(*header) || header->pad || lz4_image_check(&header->image))
		return -EBADMSG;
	return header->nr_blocks == lz4_image_blocks(&header->image) ? 0 : -EBADMSG;
}
