/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/read/reader_chunk.h - chunks and tables of an open dump.  Private to dump/reader*.c.
 */
#ifndef DUMP_READ_READER_CHUNK_H
#define DUMP_READ_READER_CHUNK_H

#include "dump/read/reader.h"

/*
 * Tables are read in blocks of this many pages (our choice: 2 GiB of RAM).  One is a whole number of
 * chunks of any size, and its part of the bitmap and of the progress table fit into reader->scratch.
 */
#define READER_BLOCK_PAGES (512u << 10)
#define READER_BLOCK_BITMAP (READER_BLOCK_PAGES / 8)
#define READER_BLOCK_CHUNKS (READER_BLOCK_PAGES * PAGE_SIZE_4K / DUMP_CHUNK_MIN)
#define READER_SCRATCH (READER_BLOCK_BITMAP + READER_BLOCK_CHUNKS)
_Static_assert(READER_BLOCK_PAGES *PAGE_SIZE_4K % DUMP_CHUNK_MAX == 0, "a block is whole chunks");

/* NULL if a trailer read from an image of @image_size bytes can be relied on, else what is wrong with it. */
const char *reader_check_trailer(const struct vmcore_trailer *trailer, uint64_t image_size);

/* True if offset @off of the image is guest RAM, as the trailer tells. */
bool reader_is_ram(const struct reader *reader, uint64_t off);

/* -ENODATA if [@off, @off + @len) of the image has RAM in it that is missing from a lossy file; 0 or -errno. */
int warn_unused reader_check_lost(struct reader *reader, uint64_t off, uint64_t len);

/* Is chunk @index in the dump?  Asks the file each time, since a dumper may be at work. */
int warn_unused reader_chunk_done(struct reader *reader, uint64_t index, bool *ret);

/* Where the bytes of a partial dump's chunks are; NULL = nowhere any more. */
static inline struct image *reader_done_image(struct reader *reader)
{
	if (!reader->compressed)
		return &reader->image;
	return reader->packed.fd >= 0 ? &reader->packed : NULL;
}

static inline struct image *reader_pending_image(struct reader *reader)
{
	if (reader->compressed)
		return &reader->image;
	return reader->has_region ? &reader->region : NULL;
}

/* Looks again at how far the LZ4 file of a partial dump goes.  0 or -errno; packed is then as it was. */
int warn_unused reader_reopen_packed(struct reader *reader);

/* VMCORE_STATE_*, as it was when the dump was opened. */
static inline uint32_t reader_state(const struct reader *reader)
{
	return atomic_load_explicit(&reader->trailer.state, memory_order_relaxed);
}

/*
 * True if memory of this file is gone and nothing tells which (VMCORE_FLAG_RELEASED): a page without memory
 * behind it counts as missing, although the guest may never have touched it.
 */
static inline bool reader_is_lossy(const struct reader *reader)
{
	return reader->has_trailer && (reader->trailer.flags & VMCORE_FLAG_RELEASED);
}

/*
 * True if the page bitmap tells which pages were selected.  A region has a bitmap of its own when it is to
 * become the dump itself; else its state stays PREPARING.
 */
static inline bool reader_has_bitmap(const struct reader *reader)
{
	return reader->has_trailer && reader_state(reader) != VMCORE_STATE_PREPARING;
}

#endif /* DUMP_READ_READER_CHUNK_H */
