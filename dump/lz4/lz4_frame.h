/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/lz4/lz4_frame.h - the standard LZ4 frame around the blocks: header, block sizes, skippable frames.
 *
 *      | magic | FLG | BD | content size | HC |  | size | block |  | size | block | ... | 0 | checksum |
 *        4       1     1    0 or 8         1       4                                      4   0 or 4
 *
 * Source: lz4_Frame_format.md 1.6.  liblz4's block functions compress; its frame functions (lz4frame.h)
 * are not used, since they want to see the image in order, by one thread, and own a copy of each block.
 * Pure functions, no locks.
 */
#ifndef DUMP_LZ4_LZ4_FRAME_H
#define DUMP_LZ4_LZ4_FRAME_H

#include "dump/base/num.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define LZ4_FRAME_MAGIC 0x184D2204u
#define LZ4_LEGACY_MAGIC 0x184C2102u
#define LZ4_SKIPPABLE_MAGIC 0x184D2A50u /* to ...5F; u32 bytes that follow, then these */
#define LZ4_SKIPPABLE_MASK 0xFFFFFFF0u
#define LZ4_SKIPPABLE_HEADER 8 /* bytes: magic and length */

/* A block's size field; the top bit says that its bytes are stored, not compressed; 0 ends the frame. */
#define LZ4_BLOCK_STORED 0x80000000u
#define LZ4_BLOCK_HEADER 4 /* bytes */

#define LZ4_BLOCK_MAX ((uint32_t)MIB(4)) /* the largest of the format's four maximum sizes */

#define LZ4_FRAME_HEADER 15     /* bytes of what lz4_frame_build writes */
#define LZ4_FRAME_HEADER_MAX 19 /* with a dictionary's number */

struct lz4_frame {
	uint32_t header;    /* bytes of the header */
	uint32_t block_max; /* bytes of image in a block, at most; 64 KiB to 4 MiB */
	bool independent;   /* each block can be decoded alone */
	bool dictionary;    /* blocks need a dictionary */
	bool block_sums;    /* 4 bytes follow each block */
	bool content_sum;   /* 4 bytes follow the frame's end */
	bool sized;         /* @content_size is given */
	uint64_t content_size;
};

static inline uint32_t lz4_get32(const unsigned char *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

static inline void lz4_put32(unsigned char *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof(v));
}

/* Header of a frame: independent blocks of up to 4 MiB with checksums, content size given, no checksum of all. */
void lz4_frame_build(uint64_t content_size, unsigned char header[static LZ4_FRAME_HEADER]);

/*
 * lz4_frame_parse - the header at @at, of which @len bytes are there.
 * Errors: -ENODATA when it is longer than @len; -EBADMSG when it is no valid frame header.
 */
int warn_unused lz4_frame_parse(const unsigned char *at, size_t len, struct lz4_frame *ret);

#endif /* DUMP_LZ4_LZ4_FRAME_H */
