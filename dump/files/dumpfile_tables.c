/* SPDX-License-Identifier: Apache-2.0 */
/* dump/files/dumpfile_tables.c - tables of a file whose crash record is gone: see dumpfile.h */
#include "dump/files/dumpfile.h"

#include "dump/base/io.h"

#include <stddef.h>
#include <string.h>

/* our choice: marks that are written together */
#define MARKS 4096

static uint64_t trailer_off(const struct vmcore_trailer *trailer)
{
	return trailer->file_size - PAGE_SIZE_4K;
}

int dumpfile_put_bitmap(int fd, const struct vmcore_trailer *trailer, const uint64_t *selected)
{
	return io_pwrite_full(
		fd, selected, (trailer->ram / PAGE_SIZE_4K + 7) / 8, trailer->places.bitmap_off);
}

int dumpfile_put_marks(
	int fd, const struct vmcore_trailer *trailer, uint64_t first, uint64_t end, uint8_t mark)
{
	unsigned char marks[MARKS];
	int r = 0;

	memset(marks, mark, sizeof(marks));
	while (!r && first < end) {
		uint64_t n = u64_min(end - first, sizeof(marks));

		r = io_pwrite_full(fd, marks, n, trailer->places.progress_off + first);
		first += n;
	}
	return r;
}

int dumpfile_put_state(int fd, const struct vmcore_trailer *trailer, uint32_t state)
{
	return io_pwrite_full(
		fd, &state, sizeof(state), trailer_off(trailer) + offsetof(struct vmcore_trailer, state));
}

int dumpfile_put_flags(int fd, const struct vmcore_trailer *trailer, uint32_t flags)
{
	return io_pwrite_full(
		fd, &flags, sizeof(flags), trailer_off(trailer) + offsetof(struct vmcore_trailer, flags));
}

int dumpfile_put_trailer(int fd, const struct vmcore_trailer *trailer)
{
	return io_pwrite_full(fd, trailer, sizeof(*trailer), trailer_off(trailer));
}
