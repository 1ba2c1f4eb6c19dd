/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/lz4/lz4_writer.h - writes a vmcore's image as a standard LZ4 file, compressed by several threads.
 *
 *      | frame header | head: stored | chunk | chunk | ... | tail: stored | 0 | skippable frame: table |
 *        create         create, patch  put, zeros            finish, patch      finish
 *
 * Owns the order of the blocks and the places they get.  Knows nothing of ELF, guests or file names.
 *
 *      lz4_writer_create(fd, options, &writer)
 *      in each thread:  lz4_worker_create(writer, &worker)
 *                       lz4_worker_put(worker, chunk, ...)   for the chunks it takes from a counter
 *                       lz4_worker_destroy(worker)
 *      any thread:      lz4_writer_zeros(writer, first, count)
 *      threads joined:  lz4_writer_finish(writer)            frame ended, table written
 *                       lz4_writer_patch(writer, off, ...)   head and tail get their contents
 *                       lz4_writer_sum(writer)               and their checksums
 *      lz4_writer_destroy(writer)
 *
 * Order.  A frame is read in one go, so blocks lie in the order of the image, and a block's place is
 * known when those of all earlier ones are.  A worker compresses without a lock.  If it is the block's
 * turn and nobody is writing, the worker writes it and all that follow; else it parks the block in a
 * spare buffer, for whoever has the missing one or is writing, and goes on.  When the spare buffers are
 * used up it waits for its turn, which comes when earlier blocks have their places, not when they are
 * written.  So chunks come in about ascending order: workers that take them from one counter never
 * wait for long.
 *
 * After a kill.  options.table tells where each block lies, and names no block before all its bytes
 * are in the file.  With it and the file, lz4_reader_open_partial() reads what had been written.
 *
 * Errors are -errno of the first failure, for every call from then on; nothing is finished then.  The
 * writer stores through write calls only: a full disk is -ENOSPC, never SIGBUS.
 */
#ifndef DUMP_LZ4_LZ4_WRITER_H
#define DUMP_LZ4_LZ4_WRITER_H

#include "dump/lz4/lz4_table.h"

#include <stddef.h>
#include <stdint.h>

/* liblz4's bounds: 1 compresses best, each further step is a little faster (lz4.h) */
#define LZ4_ACCELERATION_LEAST 1
#define LZ4_ACCELERATION_MOST 65537

struct lz4_writer;
struct lz4_worker;

struct lz4_writer_options {
	struct lz4_image image;
	int acceleration;
	/*
	 * Buffers of a chunk beside the two of each worker, for blocks that wait for their turn or for
	 * the writer.  0 is correct and slow; 2 a worker is what docs/vmcore.md measured.
	 */
	uint32_t spares;
	/*
	 * lz4_table_bytes() of memory, aligned to 8, whose stores cannot fail; borrowed until the writer
	 * is destroyed.  It becomes a struct lz4_table; every entry that is not LZ4_KIND_NONE is true.
	 */
	void *table;
	/*
	 * Chunks [@chunk, @chunk + @count) are in the file and in the table: their memory may go.  Called
	 * once for each chunk, from any thread that is in a call of this header, with no lock held.
	 * @tag is what was given to lz4_worker_put, 0 for those of lz4_writer_zeros.  NULL = no call.
	 */
	void (*written)(void *arg, uint64_t chunk, uint64_t count, uint64_t tag);
	void *written_arg;
};

/* A run of a chunk's bytes; what lies between the runs is zeros. */
struct lz4_run {
	uint32_t off;     /* within the chunk */
	uint32_t len;     /* bytes */
	const void *data; /* borrowed until the chunk's written() */
};

/*
 * lz4_writer_create - start a file in the empty @fd, which stays the caller's: frame header and a head
 * of zeros.
 * Errors: -EFBIG for a chunk over LZ4_BLOCK_MAX or an image too large (lz4_image_check); -EINVAL for an
 * acceleration or a chunk size that does not exist; -ENOMEM; else -errno of the write.
 */
int warn_unused lz4_writer_create(
	int fd, const struct lz4_writer_options *options, struct lz4_writer **ret_writer);

void lz4_writer_destroy(struct lz4_writer *writer); /* NULL is fine; all workers are destroyed */

/* What one thread needs.  Made before the thread takes its first chunk. */
int warn_unused lz4_worker_create(struct lz4_writer *writer, struct lz4_worker **ret_worker);

void lz4_worker_destroy(struct lz4_worker *worker); /* NULL is fine */

/*
 * lz4_worker_put - the contents of @chunk (number of the chunk, from the start of RAM): @runs ascend
 * and do not overlap.  One run that covers the chunk is compressed where it is, more are gathered.
 * Result: 0: accepted; it may be in the file now, or later: written() tells.
 * Errors: -EINVAL for a chunk or run that does not exist, -EEXIST for a chunk that was handed in
 * already, -EDEADLK when all workers wait for a chunk that none of them has; else the writer's.
 */
int warn_unused lz4_worker_put(struct lz4_worker *worker, uint64_t chunk, const struct lz4_run *runs,
	size_t nr_runs, uint64_t tag);

/*
 * lz4_writer_zeros - chunks [@first, @first + @count) are holes.  Costs 1/255 of their size in the
 * file and no compression.  Never waits for other chunks; any order, any thread.
 * Errors: as lz4_worker_put.
 */
int warn_unused lz4_writer_zeros(struct lz4_writer *writer, uint64_t first, uint64_t count);

/*
 * lz4_writer_finish - end the frame and write the table.  All chunks have been handed in, no other
 * thread uses the writer.  The tail is a hole of zeros then.
 * Errors: -ENODATA if a chunk is missing, else the writer's.
 */
int warn_unused lz4_writer_finish(struct lz4_writer *writer);

/*
 * lz4_writer_patch - @len bytes at image offset @off, in the head (any time) or in the tail (after
 * finish).  What was never patched is zeros, and holes in the file.
 * Errors: -EINVAL for a range that is not, or not yet, such a one; else -errno of the write.
 */
int warn_unused lz4_writer_patch(struct lz4_writer *writer, uint64_t off, const void *data, uint64_t len);

/*
 * lz4_writer_sum - checksums of the blocks that were patched since the last call.  Until then they are wrong, and readers
 * call these blocks damaged.  Reads each of them, up to 4 MiB, once.
 * Errors: -ENOMEM; -errno of the read or write.
 */
int warn_unused lz4_writer_sum(struct lz4_writer *writer);

/* Bytes of the file up to the last block that has a place; any thread. */
uint64_t lz4_writer_file_bytes(struct lz4_writer *writer);

#endif /* DUMP_LZ4_LZ4_WRITER_H */
