/* SPDX-License-Identifier: Apache-2.0 */
/* dump/lz4/lz4_frame.c - see lz4_frame.h */
#include "dump/lz4/lz4_frame.h"

#include "dump/lz4/lz4_sum.h"

#include <errno.h>

/* lz4_Frame_format.md, "FLG byte" and "BD byte" */
#define FLG_VERSION 0x40
#define FLG_VERSION_MASK 0xc0
#define FLG_INDEPENDENT 0x20
#define FLG_BLOCK_SUMS 0x10
#define FLG_SIZED 0x08
#define FLG_CONTENT_SUM 0x04
#define FLG_RESERVED 0x02
#define FLG_DICTIONARY 0x01
#define BD_RESERVED 0x8f
#define BD_SHIFT 4
#define BD_MIN 4 /* 64 KiB; each step is four times more */
#define BD_4M 7

/* HC: of everything between magic and itself. */
static unsigned char header_checksum(const unsigned char *header, uint32_t len)
{
	return lz4_sum_of(header + 4, len - 5) >> 8 & 0xff;
}

void lz4_frame_build(uint64_t content_size, unsigned char header[static LZ4_FRAME_HEADER])
{
	uint64_t size = htole64(content_size);

	lz4_put32(header, LZ4_FRAME_MAGIC);
	header[4] = FLG_VERSION | FLG_INDEPENDENT | FLG_BLOCK_SUMS | FLG_SIZED;
	header[5] = BD_4M << BD_SHIFT;
	memcpy(header + 6, &size, sizeof(size));
	header[14] = header_checksum(header, LZ4_FRAME_HEADER);
}

int lz4_frame_parse(const unsigned char *at, size_t len, struct lz4_frame *ret)
{
	struct lz4_frame frame = {.header = 7};
	unsigned flg, bd;

	if (len < frame.header)
		return -ENODATA;
	flg = at[4];
	bd = at[5];
	if (lz4_get32(at) != LZ4_FRAME_MAGIC || (flg & FLG_VERSION_MASK) != FLG_VERSION ||
		flg & FLG_RESERVED || bd & BD_RESERVED || bd >> BD_SHIFT < BD_MIN)
		return -EBADMSG;
	frame.sized = flg & FLG_SIZED;
	frame.dictionary = flg & FLG_DICTIONARY;
	frame.header += (frame.sized ? 8 : 0) + (frame.dictionary ? 4 : 0);
	if (len < frame.header)
		return -ENODATA;
	if (at[frame.header - 1] != header_checksum(at, frame.header))
		return -EBADMSG;
	if (frame.sized)
		memcpy(&frame.content_size, at + 6, sizeof(frame.content_size));
	frame.content_size = le64toh(frame.content_size);
	frame.independent = flg & FLG_INDEPENDENT;
	frame.block_sums = flg & FLG_BLOCK_SUMS;
	frame.content_sum = flg & FLG_CONTENT_SUM;
	frame.block_max = 1u << (8 + 2 * (bd >> BD_SHIFT));
	*ret = frame;
	return 0;
}
