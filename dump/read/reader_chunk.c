/* SPDX-License-Identifier: Apache-2.0 */
/* dump/read/reader_chunk.c - see reader_chunk.h */
#include "dump/read/reader_chunk.h"

#include <errno.h>

int reader_chunk_done(struct reader *reader, uint64_t index, bool *ret)
{
	uint8_t progress;
	int r;

	*ret = reader->kind == READER_COMPLETE;
	if (reader->kind != READER_PARTIAL)
		return 0;
	r = image_read(&reader->image, reader->trailer.places.progress_off + index, &progress, 1);
	*ret = progress == VMCORE_CHUNK_DONE;
	return r;
}

bool reader_is_ram(const struct reader *reader, uint64_t off)
{
	return reader->has_trailer && off >= reader->trailer.head &&
	       off - reader->trailer.head < reader->trailer.ram;
}

/* True if there is no memory behind some of [@off, @off + @len) of the image.  1, 0 or -errno. */
static int has_hole(struct reader *reader, uint64_t off, uint64_t len)
{
	uint64_t start, end;
	int r;

	for (uint64_t at = off; at < off + len; at = end) {
		r = image_data(&reader->image, at, &start, &end);
		if (r <= 0 || start > at || end <= at)
			return r < 0 ? r : 1;
	}
	return 0;
}

int reader_check_lost(struct reader *reader, uint64_t off, uint64_t len)
{
	uint64_t end = off + len;
	int r;

	if (!reader_is_lossy(reader))
		return 0;
	off = u64_max(off, reader->trailer.head);
	end = u64_min(end, reader->trailer.head + reader->trailer.ram);
	r = off < end ? has_hole(reader, off, end - off) : 0;
	return r > 0 ? -ENODATA : r;
}
