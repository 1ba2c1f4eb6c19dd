/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/lz4/lz4_scan.h - finds the blocks of an LZ4 file that has no table.  Private to the reader.
 *
 * Only the decoded block tells how much of the image it is, so a scan decodes every one.  Locks: none.
 */
#ifndef DUMP_LZ4_LZ4_SCAN_H
#define DUMP_LZ4_LZ4_SCAN_H

#include "dump/lz4/lz4_reader.h"

/* our choices: 256 GiB of image in the smallest blocks; more frames than any tool makes */
#define LZ4_SCAN_BLOCKS_MAX (1u << 22)
#define LZ4_SCAN_FRAMES_MAX (1u << 16)

/* Room for a block; grows to what blocks need, LZ4_BLOCK_MAX at most. */
struct lz4_buffer {
	unsigned char *data; /* owned */
	size_t room;
};

struct lz4_index_entry {
	uint64_t image_off;
	uint64_t file_off;  /* of the size field */
	uint32_t field;     /* the size field */
	uint32_t image_len; /* bytes, not 0 */
};

struct lz4_index {
	struct lz4_index_entry *entries; /* owned; ascending, without gaps */
	uint64_t nr, room;
	uint64_t size; /* bytes of image */
};

/* Makes room for @bytes; the contents are lost.  Errors: -ENOMEM. */
int warn_unused lz4_buffer_grow(struct lz4_buffer *buffer, size_t bytes);

void lz4_buffer_fini(struct lz4_buffer *buffer);

/*
 * lz4_scan - index the file up to its end or to the first error.  @packed, @plain: to work in.
 * Errors: as lz4_reader_open.  @ret is what was found before, to be given to lz4_index_fini always.
 */
int warn_unused lz4_scan(int fd, uint64_t file_size, struct lz4_buffer *packed, struct lz4_buffer *plain,
	struct lz4_index *ret);

/* The entry that holds @off, which is less than @index->size. */
const struct lz4_index_entry *lz4_index_find(const struct lz4_index *index, uint64_t off);

void lz4_index_fini(struct lz4_index *index);

#endif /* DUMP_LZ4_LZ4_SCAN_H */
