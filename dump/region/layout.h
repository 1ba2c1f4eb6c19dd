/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/region/layout.h - where guest-physical memory lies in a region file and in a vmcore: the same place.
 *
 *      file offset 0            head                     head + ram            head + ram + tail
 *      | ELF header, program    | guest RAM, without the  | bitmaps, chunk      |
 *      | headers, notes         | hole below 4 GiB        | progress, metadata  |
 *
 * A region file has holes in its head and tail room; holes cost nothing.  A dump of it keeps every
 * page at the page's own offset, so that chunks can be written in any order, and a crashed region
 * becomes a vmcore by filling the head and the tail.
 *
 * Knows nothing of KVM or of how the files are made.  Pure data, no locks.
 */
#ifndef DUMP_REGION_LAYOUT_H
#define DUMP_REGION_LAYOUT_H

#include "dump/base/num.h"

#include <stdint.h>

/* our choice: two today (below and above the hole); more when memory can be added to a running VM */
#define DUMP_SEGMENTS_MAX 8

/* our choice: one huge page; 64 vCPUs need about 1 MiB of notes */
#define DUMP_HEAD_ROOM PAGE_SIZE_2M

/* our choices: sizes of a chunk; the smallest decides how much tail room the progress table needs */
#define DUMP_CHUNK_MIN KIB(64)
#define DUMP_CHUNK_MAX GIB(1)

/* our choice: what one region may hold; leaves room in a 47-bit user address space */
#define DUMP_RAM_MAX (1ull << 46)

/*
 * One run of guest-physical memory.  Segments ascend in gpa and do not overlap; in off they follow
 * each other without a gap, from 0.
 */
struct dump_segment {
	uint64_t gpa;  /* guest-physical address of the first byte; multiple of 4 KiB */
	uint64_t size; /* bytes; multiple of 4 KiB, not 0 */
	uint64_t off;  /* RAM offset: bytes from the end of the head room; multiple of 4 KiB */
};

struct dump_layout {
	uint64_t head; /* bytes before RAM; multiple of 2 MiB */
	uint64_t ram;  /* bytes of RAM: the sum of the segments; multiple of 4 KiB */
	uint64_t tail; /* bytes after RAM; multiple of 4 KiB, at least dump_layout_tail_min() */
	uint32_t nr_segments;
	uint32_t pad;
	struct dump_segment segments[DUMP_SEGMENTS_MAX];
};

/* Bytes of the whole file. */
static inline uint64_t dump_layout_file_size(const struct dump_layout *layout)
{
	return layout->head + layout->ram + layout->tail;
}

/* Chunk @index, of @chunk bytes or what is left: RAM offsets [*ret_off, *ret_off + *ret_len). */
static inline void dump_layout_chunk(const struct dump_layout *layout, uint64_t chunk, uint64_t index,
	uint64_t *ret_off, uint64_t *ret_len)
{
	*ret_off = index * chunk;
	*ret_len = u64_min(chunk, layout->ram - *ret_off);
}

/*
 * dump_layout_tail_min - bytes that the tail of @ram bytes of RAM must have: page bitmap, progress
 * table of the smallest chunks, trailer page (dump/format/tail.h).  @ram obeys the rules of a layout.
 */
uint64_t dump_layout_tail_min(uint64_t ram);

/*
 * dump_layout_init - fill in @ret for @ram bytes of RAM, split so that nothing lies in
 * [@hole_start, @hole_end).  The tail room is made large enough for the metadata of this size, and
 * such that the file is a multiple of 2 MiB (hugetlb files must be).
 * Errors: -EINVAL if @ram is 0, not a multiple of 4 KiB, or over DUMP_RAM_MAX, or if an end of the
 * hole is no multiple of 4 KiB, is over DUMP_RAM_MAX, or lies before its start; @ret is unchanged.
 */
int warn_unused dump_layout_init(
	struct dump_layout *ret, uint64_t ram, uint64_t hole_start, uint64_t hole_end);

/* 0 if @layout obeys every rule written at its fields, else -EINVAL.  For layouts from outside. */
int warn_unused dump_layout_check(const struct dump_layout *layout);

/*
 * dump_layout_offset - RAM offset of guest-physical @gpa, of which @len bytes must be contiguous.
 * Errors: -EFAULT if [@gpa, @gpa+@len) is not inside one segment or wraps.
 */
int warn_unused dump_layout_offset(
	const struct dump_layout *layout, uint64_t gpa, uint64_t len, uint64_t *ret_off);

#endif /* DUMP_REGION_LAYOUT_H */
