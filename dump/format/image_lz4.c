/* SPDX-License-Identifier: Apache-2.0 */
/* dump/format/image_lz4.c - the LZ4 format of image.h, by way of dump/lz4/lz4_reader.h. */
#include "dump/format/image_formats.h"

#include "dump/lz4/lz4_frame.h"
#include "dump/lz4/lz4_reader.h"
#include "dump/lz4/lz4_table.h"

#include "dump/base/io.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static bool lz4_probe(const unsigned char *start, size_t len)
{
	return len >= sizeof(uint32_t) && lz4_get32(start) == LZ4_FRAME_MAGIC;
}

/* A file that is cut off or damaged somewhere is read up to there. */
static int lz4_open(struct image *image, uint64_t file_size)
{
	struct lz4_reader *reader = NULL;
	int r = lz4_reader_open(image->fd, LZ4_READER_PREFIX, &reader);

	(void)file_size;
	if (r == -EBADMSG || r == -ENODATA || r == -EOPNOTSUPP)
		return -EINVAL;
	if (r)
		return r;
	image->state = reader;
	image->size = lz4_reader_size(reader);
	return 0;
}

static int lz4_read(struct image *image, uint64_t off, void *buf, size_t len)
{
	return lz4_reader_read(image->state, off, buf, len);
}

/* Blocks that the table calls zero are holes; finer than that a look into the blocks would be needed. */
static int lz4_data(struct image *image, uint64_t off, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t start = off;

	while (off < image->size) {
		struct lz4_block block;
		int r = lz4_reader_block(image->state, off, &block);

		if (r)
			return r;
		off = block.image_off + block.image_len;
		if (block.kind == LZ4_KIND_COMPRESSED || block.kind == LZ4_KIND_STORED) {
			*ret_start = u64_max(start, block.image_off);
			*ret_end = off;
			return 1;
		}
		if (off <= start)
			return -EIO; /* a block of no bytes would make this loop for ever */
	}
	return 0;
}

static int lz4_check(struct image *image, uint64_t off, uint64_t *ret_end)
{
	return lz4_reader_check(image->state, off, ret_end);
}

static void lz4_close(struct image *image)
{
	lz4_reader_close(image->state);
}

const struct reader_format image_format_lz4 = {
	.name = "lz4",
	.probe = lz4_probe,
	.open = lz4_open,
	.read = lz4_read,
	.data = lz4_data,
	.check = lz4_check,
	.close = lz4_close,
};

int image_open_lz4_partial(int fd, int table_fd, uint64_t table_off, struct image *ret)
{
	struct lz4_reader *reader = NULL;
	int r = lz4_reader_open_partial(fd, table_fd, table_off, &reader);

	if (r == -EBADMSG || r == -ENODATA || r == -EOPNOTSUPP)
		return -EINVAL;
	if (r)
		return r;
	*ret = (struct image){
		.format = &image_format_lz4, .fd = fd, .state = reader, .size = lz4_reader_size(reader)};
	return 0;
}

bool image_is_whole(const struct image *image)
{
	return image->format != &image_format_lz4 || lz4_reader_is_complete(image->state);
}

bool image_has_table(const struct image *image)
{
	return image->format != &image_format_lz4 || lz4_reader_has_table(image->state);
}

bool image_is_lz4(int fd)
{
	unsigned char start[sizeof(uint32_t)];
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && !io_pread_full(fd, start, sizeof(start), 0) &&
	       lz4_probe(start, sizeof(start));
}

bool image_is_lz4_partial(int fd)
{
	struct lz4_table_footer footer;
	struct stat st;

	return image_is_lz4(fd) && !fstat(fd, &st) &&
	       ((uint64_t)st.st_size < sizeof(footer) ||
		       io_pread_full(fd, &footer, sizeof(footer), (uint64_t)st.st_size - sizeof(footer)) ||
		       memcmp(footer.magic, LZ4_TABLE_MAGIC, sizeof(footer.magic)));
}
