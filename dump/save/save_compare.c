/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/save_compare.c - see save_compare.h */
#include "dump/save/save_compare.h"

#include "dump/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* our choice: what is read at a time */
#define PIECE KIB(256)

static void tell(const struct kdump_progress *progress, uint64_t done, uint64_t total)
{
	if (progress && progress->tell)
		progress->tell(progress->arg, done / PAGE_SIZE_4K, total / PAGE_SIZE_4K);
}

/* Where the next byte that may be other than zero is, in either of them; the end if there is none. */
static int next_data(struct image *a, struct image *b, uint64_t off, uint64_t *ret)
{
	struct image *const images[] = {a, b};
	uint64_t start, end;
	int r = 0;

	*ret = a->size;
	for (size_t i = 0; i < ARRAY_LEN(images) && r >= 0; i++) {
		r = image_data(images[i], off, &start, &end);
		if (r == 1)
			*ret = u64_min(*ret, u64_align_down(u64_max(start, off), PAGE_SIZE_4K));
	}
	return r < 0 ? r : 0;
}

static int compare_images(struct image *image, struct image *copy, const struct kdump_progress *progress)
{
	autofree unsigned char *want = aligned_alloc(PAGE_SIZE_4K, PIECE);
	autofree unsigned char *got = aligned_alloc(PAGE_SIZE_4K, PIECE);
	uint64_t at = 0;
	int r = want && got ? 0 : -ENOMEM;

	while (!r && !(r = next_data(image, copy, at, &at)) && at < image->size) {
		uint64_t len = u64_min(PIECE, image->size - at);

		r = image_read(image, at, want, len);
		if (!r && (r = image_read(copy, at, got, len)) == -EINVAL)
			r = -EBADMSG; /* against the rules of its format */
		if (!r && memcmp(want, got, len))
			r = -EBADMSG;
		at += len;
		tell(progress, at, image->size);
	}
	return r;
}

int save_compare_image(struct reader *reader, int fd, const struct kdump_progress *progress)
{
	int flags = fcntl(fd, F_GETFL), own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct image copy;
	int r = flags < 0 || own < 0 ? -errno : 0;

	/* a format is told by a few bytes, which O_DIRECT does not read */
	if (!r && fcntl(fd, F_SETFL, flags & ~O_DIRECT) < 0)
		r = -errno;
	if (!r)
		r = image_open(own, &copy);
	if (r) {
		cleanup_close(&own);
		return r == -EINVAL || r == -ENODATA ? -EBADMSG : r;
	}
	if (fcntl(fd, F_SETFL, flags) < 0)
		r = -errno;
	if (!r && (copy.size != reader->image.size || !image_is_whole(&copy) || !image_has_table(&copy)))
		r = -EBADMSG;
	if (!r)
		r = compare_images(&reader->image, &copy, progress);
	image_close(&copy);
	return r;
}
