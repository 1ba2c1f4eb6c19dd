/* SPDX-License-Identifier: Apache-2.0 */
/* dump/read/reader.c - see reader.h; dump/read/reader_open.c opens dumps, dump/read/reader_count.c counts pages. */
#include "dump/read/reader.h"

#include "dump/read/reader_chunk.h"

#include <errno.h>
#include <string.h>

/* our choice: a chunk moves at most twice in a dump's life */
#define MOVES_MAX 8

/*
 * What is done, from where that is.  An LZ4 file that grows is read up to where it ended when it was opened:
 * what its table says beyond that needs a new look.
 */
static int read_done(struct reader *reader, uint64_t off, void *buf, size_t len)
{
	struct image *image = reader_done_image(reader);
	int r;

	if (!image)
		return -ENODATA;
	r = image_read(image, off, buf, len);
	if (!reader->compressed || (r != -EBADMSG && r != -ENXIO))
		return r;
	r = reader_reopen_packed(reader);
	return r ? r : image_read(&reader->packed, off, buf, len);
}

static int read_pending(struct reader *reader, uint64_t off, void *buf, size_t len)
{
	struct image *image = reader_pending_image(reader);

	return image ? image_read(image, off, buf, len) : -ENODATA;
}

/* True if no page that [@off, @off + @len) of the image touches was selected: then it is zeros, wherever they are not. */
static bool is_excluded(struct reader *reader, uint64_t off, size_t len)
{
	uint64_t page = (off - reader->trailer.head) / PAGE_SIZE_4K;
	uint64_t last = (off + len - 1 - reader->trailer.head) / PAGE_SIZE_4K;
	uint8_t selected = 0;

	if (!reader_has_bitmap(reader))
		return false;
	for (bool fresh = true; page <= last; page++, fresh = !(page % 8)) {
		if (fresh && image_read(&reader->image, reader->trailer.places.bitmap_off + page / 8,
				     &selected, 1))
			return false;
		if (selected >> page % 8 & 1)
			return false;
	}
	return true;
}

/*
 * Bytes of one chunk of a partial dump.  A dumper may be at work: it copies, marks, then releases, and with
 * some strategies the other way round after that.  So what was read counts only if the chunk's mark is
 * afterwards what it was before; who reads again because it is not finds the chunk settled soon.
 */
static int read_chunk(struct reader *reader, uint64_t off, void *buf, size_t len)
{
	uint64_t index = (off - reader->trailer.head) / reader->trailer.chunk;
	bool done, still;
	int r;

	for (int i = 0; i < MOVES_MAX; i++) {
		int err;

		r = reader_chunk_done(reader, index, &done);
		if (r)
			return r;
		r = done ? read_done(reader, off, buf, len) : read_pending(reader, off, buf, len);
		err = reader_chunk_done(reader, index, &still);
		if (err)
			return err;
		if (still != done)
			continue;
		if (r != -ENODATA || !is_excluded(reader, off, len))
			return r;
		memset(buf, 0, len);
		return 0;
	}
	return -EAGAIN;
}

int reader_read_image(struct reader *reader, uint64_t off, void *buf, size_t len)
{
	const struct vmcore_trailer *trailer = &reader->trailer;
	unsigned char *at = buf;

	while (len) {
		bool in_chunks = reader->kind == READER_PARTIAL && reader_is_ram(reader, off);
		uint64_t left = len;
		int r;

		if (in_chunks) {
			uint64_t ram_off = off - trailer->head;

			left = u64_min(left, trailer->chunk - ram_off % trailer->chunk);
			left = u64_min(left, trailer->ram - ram_off);
			r = read_chunk(reader, off, at, left);
		} else {
			if (reader->kind == READER_PARTIAL && off < trailer->head)
				left = u64_min(left, trailer->head - off);
			r = image_read(&reader->image, off, at, left);
		}
		if (r)
			return r;
		at += left;
		off += left;
		len -= left;
	}
	return 0;
}

int reader_read(struct reader *reader, uint64_t gpa, void *buf, size_t len)
{
	unsigned char *at = buf;

	while (len) {
		const struct core_segment *segment = elfcore_find(&reader->core, gpa);
		uint64_t skip, in_file, n;
		int r = 0;

		if (!segment)
			return -EFAULT;
		skip = gpa - segment->gpa;
		n = u64_min(len, segment->size - skip);
		in_file = segment->file_bytes > skip ? u64_min(n, segment->file_bytes - skip) : 0;
		if (in_file)
			r = reader_check_lost(reader, segment->off + skip, in_file);
		if (in_file && !r)
			r = reader_read_image(reader, segment->off + skip, at, in_file);
		if (r)
			return r;
		memset(at + in_file, 0, n - in_file);
		at += n;
		len -= n;
		/* to the address after the last one there is nothing: it does not follow that it is 0 */
		if (len && u64_add_overflows(gpa, n, &gpa))
			return -EFAULT;
	}
	return 0;
}

uint64_t reader_contiguous(const struct reader *reader, uint64_t gpa)
{
	const struct core_segment *segment = elfcore_find(&reader->core, gpa);
	const struct core_segment *end = reader->core.segments + reader->core.nr_segments;
	uint64_t at = gpa;

	for (; segment && segment < end && at >= segment->gpa && at - segment->gpa < segment->size;
		segment++)
		at = segment->gpa + segment->size;
	return at - gpa;
}
