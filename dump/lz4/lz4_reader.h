/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/lz4/lz4_reader.h - reads the image in an LZ4 file at any offset.
 *
 * Everything in the file is hostile: each number is checked before it is used, the memory is bounded
 * (two blocks, and the index of a file without a table), and bad bytes are an error, not a crash.  A
 * file that shrinks while it is read is an error too: nothing is mapped.
 *
 * Locks: none; a reader is used by one thread at a time.  Readers are cheap; take one for each thread.
 */
#ifndef DUMP_LZ4_LZ4_READER_H
#define DUMP_LZ4_LZ4_READER_H

#include "dump/base/num.h"

#include <stddef.h>
#include <stdint.h>

struct lz4_reader;

/* Flags of lz4_reader_open. */
#define LZ4_READER_SCAN 1   /* do not use the table */
#define LZ4_READER_PREFIX 2 /* a damaged or cut file without a table is read up to the damage */

/* A block of the image, as lz4_reader_block tells it. */
struct lz4_block {
	uint64_t image_off;
	uint32_t image_len; /* bytes of image */
	uint32_t kind;      /* LZ4_KIND_*, dump/lz4/lz4_table.h */
	uint64_t file_off;  /* of its size field */
	uint32_t size;      /* bytes in the file behind that */
};

/*
 * lz4_reader_open - @fd, a regular file, stays the caller's and open.
 *
 * With our table this reads a few bytes.  Any other LZ4 file of independent blocks is decoded once
 * from end to end, to find its blocks: as much work as `lz4 -d`, at most 4 Mi blocks and 64 Ki frames,
 * 24 bytes of memory a block.  The same happens to a file of ours whose table is damaged.
 *
 * Errors: -EBADMSG when it is no LZ4 file or damaged; -ENODATA when it is cut short; -EOPNOTSUPP for
 * dependent blocks, dictionaries, legacy frames; -EFBIG over the bounds; else -errno.
 */
int warn_unused lz4_reader_open(int fd, unsigned flags, struct lz4_reader **ret_reader);

/*
 * lz4_reader_open_partial - @fd is a file whose writer died.  The writer's table is found in @table_fd
 * (a regular file, may be the same as @fd) at @table_off.  Both stay the caller's and open.
 * Errors: -EBADMSG when there is no table or the file is not its; -EOPNOTSUPP when the table is of a later
 * version; else -errno.
 */
int warn_unused lz4_reader_open_partial(
	int fd, int table_fd, uint64_t table_off, struct lz4_reader **ret_reader);

void lz4_reader_close(struct lz4_reader *reader); /* NULL is fine */

/* Bytes of the image, as far as it can be read (LZ4_READER_PREFIX). */
uint64_t lz4_reader_size(const struct lz4_reader *reader);

/* False for a prefix.  What lz4_reader_open_partial opens is never called complete. */
bool lz4_reader_is_complete(const struct lz4_reader *reader);

/* False for a file that had to be decoded from end to end, since it has no table or a damaged one. */
bool lz4_reader_has_table(const struct lz4_reader *reader);

/*
 * lz4_reader_block - the block that holds image offset @off.  LZ4_KIND_NONE: not in a partial file.
 * Errors: -EINVAL for an offset behind the image; -EBADMSG for a bad entry; else -errno.
 */
int warn_unused lz4_reader_block(struct lz4_reader *reader, uint64_t off, struct lz4_block *ret);

/*
 * lz4_reader_read - @len bytes at image offset @off.
 * Errors: -EINVAL for a range that leaves the image; -ENXIO where a partial file has nothing; -EBADMSG
 * for damage; -ENODATA for a file that has become shorter; else -errno.  @buf may have changed then.
 */
int warn_unused lz4_reader_read(struct lz4_reader *reader, uint64_t off, void *buf, size_t len);

/*
 * lz4_reader_check - reads the block that holds image offset @off and compares it with its checksum; without one it is
 * decoded.  A block of zeros, which nobody reads, counts as right, and so does one that is not in the file yet.
 * Result: 0, and in *ret_end the image offset behind the block, also on -EBADMSG.
 * Errors: -EINVAL for an offset behind the image; -EBADMSG for damage; else -errno.
 */
int warn_unused lz4_reader_check(struct lz4_reader *reader, uint64_t off, uint64_t *ret_end);

#endif /* DUMP_LZ4_LZ4_READER_H */
