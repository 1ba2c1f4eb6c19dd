/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/lz4/lz4_table.h - how a vmcore's image is cut into LZ4 blocks, and the table that tells where each
 * block lies in the LZ4 file.
 *
 *      image   | head                | ram                          | tail                  |
 *      blocks  | of 4 MiB, stored    | of one chunk                 | of 4 MiB, stored      |
 *
 * The last block of each part may be short.  Where a block lies in the image follows from its number,
 * so that the table need not say it.  The table is used twice, with the same bytes: in memory that
 * outlives the writer while it works, and in the LZ4 file's skippable frame when it has finished.
 * docs/vmcore.md, "Compressed dumps", is the specification in words.
 *
 * Everything is little-endian and naturally aligned.  Pure functions, no locks.
 */
#ifndef DUMP_LZ4_LZ4_TABLE_H
#define DUMP_LZ4_LZ4_TABLE_H

#include "dump/lz4/lz4_frame.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* our choices: a page; and what the layout of a dump allows (dump/region/layout.h), with its rooms */
#define LZ4_CHUNK_MIN PAGE_SIZE_4K
#define LZ4_IMAGE_MAX (1ull << 47)

/* What the blocks are cut from; all in bytes. */
struct lz4_image {
	uint64_t head;  /* any number */
	uint64_t ram;   /* any number */
	uint64_t tail;  /* any number */
	uint64_t chunk; /* LZ4_CHUNK_MIN to LZ4_BLOCK_MAX */
};

#define LZ4_TABLE_MAGIC "MVMMSEEK" /* 8 bytes, no NUL */
#define LZ4_TABLE_VERSION 1
#define LZ4_TABLE_FRAME                                                                                    \
	(LZ4_SKIPPABLE_MAGIC + 0xd) /* our choice: d as in dump; zstd's seekable format has e */

struct lz4_table_header {
	char magic[8];
	uint32_t version;
	uint32_t size;      /* bytes of this struct; the entries follow */
	uint64_t nr_blocks; /* entries: those of head, ram and tail, in this order */
	struct lz4_image image;
	uint32_t acceleration; /* what the blocks were compressed with; for the curious */
	uint32_t pad;          /* 0 */
};

/* lz4_entry.kind */
#define LZ4_KIND_NONE 0 /* not in the file yet; the other fields mean nothing */
#define LZ4_KIND_COMPRESSED 1
#define LZ4_KIND_STORED 2 /* the bytes themselves */
#define LZ4_KIND_ZERO 3   /* compressed, and all zeros: need not be read */

struct lz4_entry {
	uint64_t file_off;     /* of the block's size field; its bytes follow */
	uint32_t size;         /* bytes of the block without its size field and checksum, 1 or more */
	_Atomic uint32_t kind; /* stored last, with release, when every byte of the block is in the file */
};

struct lz4_table {
	struct lz4_table_header header;
	struct lz4_entry entries[];
};

/* Ends the skippable frame and the file, so that the table is found from the end. */
struct lz4_table_footer {
	uint32_t sum; /* of the table, dump/lz4/lz4_sum.h; the first files did not have this and @pad */
	uint32_t pad; /* 0 */
	uint64_t frame_off; /* file offset of the skippable frame's magic */
	char magic[8];      /* LZ4_TABLE_MAGIC */
};
#define LZ4_FOOTER_WITHOUT_SUM 16 /* bytes: its last two fields */

/*
 * lz4_image_check - Errors: -EFBIG for a chunk over LZ4_BLOCK_MAX, an image over LZ4_IMAGE_MAX, or
 * more blocks than one skippable frame can list; -EINVAL for a chunk under LZ4_CHUNK_MIN.
 * What follows is for images that have passed.
 */
int warn_unused lz4_image_check(const struct lz4_image *image);

/* Bytes of the image: of the vmcore that `lz4 -d` restores. */
static inline uint64_t lz4_image_size(const struct lz4_image *image)
{
	return image->head + image->ram + image->tail;
}

static inline uint64_t lz4_blocks_of(uint64_t bytes, uint64_t block)
{
	return bytes / block + !!(bytes % block);
}

static inline uint64_t lz4_image_blocks(const struct lz4_image *image)
{
	return lz4_blocks_of(image->head, LZ4_BLOCK_MAX) + lz4_blocks_of(image->ram, image->chunk) +
	       lz4_blocks_of(image->tail, LZ4_BLOCK_MAX);
}

/* Bytes of the table, in memory and in the file. */
static inline uint64_t lz4_table_bytes(const struct lz4_image *image)
{
	return sizeof(struct lz4_table_header) + lz4_image_blocks(image) * sizeof(struct lz4_entry);
}

/* Number of the block that holds image offset @off, which is in the image. */
uint64_t lz4_image_find(const struct lz4_image *image, uint64_t off);

/* Image offset and bytes of block @index, which is one of the image's. */
void lz4_image_block(const struct lz4_image *image, uint64_t index, uint64_t *ret_off, uint32_t *ret_len);

/*
 * lz4_table_check - a header from a file: nothing in it is believed before.
 * Errors: -EBADMSG when it breaks a rule; -EOPNOTSUPP when its version is a later one.
 */
int warn_unused lz4_table_check(const struct lz4_table_header *header);

_Static_assert(sizeof(struct lz4_table_header) == 64, "lz4_table_header");
_Static_assert(offsetof(struct lz4_table_header, image) == 24, "lz4_table_header.image");
_Static_assert(sizeof(struct lz4_entry) == 16, "lz4_entry");
_Static_assert(offsetof(struct lz4_entry, kind) == 12, "lz4_entry.kind");
_Static_assert(sizeof(struct lz4_table_footer) == 24, "lz4_table_footer");
_Static_assert(
	offsetof(struct lz4_table_footer, frame_off) == 24 - LZ4_FOOTER_WITHOUT_SUM, "lz4_table_footer");

#endif /* DUMP_LZ4_LZ4_TABLE_H */
