/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/lz4/lz4_writer_impl.h - the writer's inside.  Private to dump/lz4/lz4_writer.c (the file's two ends),
 * dump/lz4/lz4_worker.c (compression and order of the chunks between them) and dump/lz4/lz4_block.c (what both need).
 */
#ifndef DUMP_LZ4_LZ4_WRITER_IMPL_H
#define DUMP_LZ4_LZ4_WRITER_IMPL_H

#include "dump/lz4/lz4_sum.h"
#include "dump/lz4/lz4_writer.h"

#include <pthread.h>

/* our choice: how far ahead of its turn a block may be parked; stored and zero blocks need no buffer */
#define LZ4_PARKED_MAX 64

/* Bytes that a block takes in the file beside its own: size field before, checksum behind it. */
#define LZ4_BLOCK_AROUND (LZ4_BLOCK_HEADER + LZ4_SUM_BYTES)

/* A block, or a run of zero blocks, on its way into the file. */
struct lz4_item {
	uint64_t chunk;
	uint64_t count; /* chunks; 0 = this place is free; over 1 for runs of LZ4_KIND_ZERO only */
	uint64_t tag;
	uint64_t file_off; /* known once it has its place */
	uint32_t kind;
	uint32_t size; /* bytes of one block without what is around them */
	uint32_t sum;  /* stored: checksum of the bytes */
	const unsigned char
		*data;         /* stored: the bytes; else: the size field, the bytes and their checksum */
	unsigned char *buffer; /* the spare buffer that @data is in, owned; NULL = none */
};

/* A block of zeros, compressed once, with its size field and checksum. */
struct lz4_zero {
	unsigned char *data; /* owned; @copies of the block, one behind the other */
	uint32_t size;       /* bytes of one without what is around them */
	uint64_t copies;
};

struct lz4_writer {
	/* Frozen from creation on. */
	int fd;
	struct lz4_writer_options options;
	struct lz4_table *table;   /* options.table */
	struct lz4_entry *entries; /* those of the chunks; each is stored to by the thread that wrote it */
	uint64_t nr_chunks;
	uint64_t nr_full;                 /* chunks that are not short: all, or all but the last */
	struct lz4_zero zero, short_zero; /* of a full chunk, of the short last one */

	_Atomic int error; /* the first failure, -errno */

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t moved; /* @next, @nr_spares, @error or @workers has changed */
	uint64_t next;        /* first chunk without a place */
	uint64_t file_end;    /* where it will be */
	uint64_t written;     /* chunks in the file */
	uint32_t drainers;    /* threads that write; one, or more when there are no spare buffers */
	uint64_t *zeros; /* chunks declared to be holes that may be without a place; dump/base/bitmap.h */
	struct lz4_item parked[LZ4_PARKED_MAX]; /* chunk % LZ4_PARKED_MAX */
	unsigned char **spares;                 /* owned buffers, @nr_spares of them here */
	uint32_t nr_spares;
	struct lz4_worker *workers; /* list of those that are not destroyed */

	uint64_t tail_off; /* file offset of the tail's first block; 0 = not finished */
	/* Blocks of head and tail whose contents have changed since their checksum was written; bit 0: the first of both. */
	uint64_t *patched; /* owned; dump/base/bitmap.h */
};

struct lz4_worker {
	struct lz4_writer *writer;      /* borrowed */
	struct lz4_worker *next_worker; /* guarded by the writer's lock, like @wants */
	const struct lz4_item *wants;   /* what this worker waits with; NULL = does not wait */
	void *state;                    /* owned, liblz4's */
	unsigned char *output;          /* owned: size field, compressed bytes, checksum */
	unsigned char *input;           /* owned: a chunk gathered from runs */
};

/* Bytes of a buffer: what is around a block, and room for liblz4's worst case, which lets it skip its checks. */
size_t lz4_buffer_bytes(const struct lz4_writer *writer);

/* Bytes of image in @chunk. */
static inline uint32_t lz4_chunk_len(const struct lz4_writer *writer, uint64_t chunk)
{
	const struct lz4_image *image = &writer->options.image;

	return (uint32_t)u64_min(image->chunk, image->ram - chunk * image->chunk);
}

/* Stores an entry of a block that is in the file.  Paired with the salvager's read after a kill. */
static inline void lz4_publish(struct lz4_entry *entry, uint64_t file_off, uint32_t size, uint32_t kind)
{
	entry->file_off = file_off;
	entry->size = size;
	atomic_store_explicit(&entry->kind, kind, memory_order_release);
}

/* Compresses @len bytes into a block with what is around it in @out; 0 when they do not become fewer. */
uint32_t lz4_compress_block(
	void *state, const void *data, uint32_t len, unsigned char *out, int acceleration);

/* Records the first failure and wakes who waits.  Not under the lock. */
int lz4_writer_fail(struct lz4_writer *writer, int error);

#endif /* DUMP_LZ4_LZ4_WRITER_IMPL_H */
