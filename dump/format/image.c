/* SPDX-License-Identifier: Apache-2.0 */
/* dump/format/image.c - see image.h; the format of uncompressed files is here too. */
#include "dump/format/image.h"

#include "dump/base/io.h"
#include "dump/format/image_formats.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- plain: the file is the image ---------------------------------------------------------------- */

static bool plain_probe(const unsigned char *start, size_t len)
{
	return len >= SELFMAG && !memcmp(start, ELFMAG, SELFMAG);
}

static int plain_open(struct image *image, uint64_t file_size)
{
	image->size = file_size;
	return 0;
}

static int plain_read(struct image *image, uint64_t off, void *buf, size_t len)
{
	return io_pread_full(image->fd, buf, len, off);
}

static int plain_data(struct image *image, uint64_t off, uint64_t *ret_start, uint64_t *ret_end)
{
	off_t start = lseek(image->fd, (off_t)off, SEEK_DATA);
	off_t end;

	if (start < 0)
		return errno == ENXIO ? 0 : -errno;
	end = lseek(image->fd, start, SEEK_HOLE);
	if (end < 0)
		return errno == ENXIO ? 0 : -errno; /* the file has shrunk meanwhile */
	*ret_start = (uint64_t)start;
	*ret_end = (uint64_t)end;
	return 1;
}

static const struct reader_format format_plain = {
	.name = "elf",
	.probe = plain_probe,
	.open = plain_open,
	.read = plain_read,
	.data = plain_data,
};

/* ---- the table ------------------------------------------------------------------------------------ */

static const struct reader_format *const formats[] = {
	&format_plain,
	&image_format_lz4,
};

static const struct reader_format *find_format(const unsigned char *start, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (formats[i]->probe(start, len))
			return formats[i];
	return NULL;
}

/* Bytes of a regular file. */
static int file_size(int fd, uint64_t *ret_size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

int image_open_raw(int fd, struct image *ret)
{
	uint64_t size = 0;
	int r = file_size(fd, &size);

	if (!r)
		*ret = (struct image){.format = &format_plain, .fd = fd, .size = size};
	return r;
}

int image_open(int fd, struct image *ret)
{
	struct image image = {.fd = fd};
	unsigned char start[IMAGE_PROBE_BYTES];
	uint64_t size = 0;
	size_t len;
	int r;

	r = file_size(fd, &size);
	if (r)
		return r;
	len = (size_t)u64_min(size, sizeof(start));
	r = io_pread_full(fd, start, len, 0);
	if (r)
		return r;
	image.format = find_format(start, len);
	if (!image.format)
		return -EINVAL;
	r = image.format->open(&image, size);
	if (!r)
		*ret = image;
	return r;
}

void image_close(struct image *image)
{
	if (image->fd < 0)
		return;
	if (image->format->close)
		image->format->close(image);
	close(image->fd);
	image->fd = -1;
}

int image_read(struct image *image, uint64_t off, void *buf, size_t len)
{
	if (off > image->size || len > image->size - off)
		return -ENODATA;
	return len ? image->format->read(image, off, buf, len) : 0;
}

int image_data(struct image *image, uint64_t off, uint64_t *ret_start, uint64_t *ret_end)
{
	if (off >= image->size)
		return 0;
	if (image->format->data)
		return image->format->data(image, off, ret_start, ret_end);
	*ret_start = off;
	*ret_end = image->size;
	return 1;
}
