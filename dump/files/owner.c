/* SPDX-License-Identifier: Apache-2.0 */
/* dump/files/owner.c - see owner.h */
#include "dump/files/owner.h"

#include "dump/base/cleanup.h"
#include "dump/format/image.h"
#include "dump/format/vmcore.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int read_trailer(struct image *image, struct vmcore_trailer *ret)
{
	int r;

	if (image->size < PAGE_SIZE_4K)
		return -EINVAL;
	r = image_read(image, image->size - PAGE_SIZE_4K, ret, sizeof(*ret));
	if (r)
		return r == -ENODATA ? -EINVAL : r;
	if (memcmp(ret->magic, VMCORE_TRAILER_MAGIC, sizeof(ret->magic)) ||
		ret->version != VMCORE_VERSION || ret->file_size != image->size ||
		!memchr(ret->name, '\0', sizeof(ret->name)))
		return -EINVAL;
	return 0;
}

int dump_owner_read(int dir_fd, const char *file, struct dump_owner *ret)
{
	autoclose int fd = openat(dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct vmcore_trailer trailer;
	struct image image;
	int r;

	if (fd < 0)
		return -errno;
	r = image_open(fd, &image);
	if (r == -EINVAL) /* without room for its head a region has none */
		r = image_open_raw(fd, &image);
	if (r)
		return r;
	take_fd(&fd);
	r = read_trailer(&image, &trailer);
	if (!r) {
		*ret = (struct dump_owner){.role = trailer.role,
			.state = atomic_load_explicit(&trailer.state, memory_order_relaxed)};
		memcpy(ret->name, trailer.name, sizeof(ret->name));
	}
	image_close(&image);
	return r;
}

/* @pattern: 'd' stands for a digit, anything else for itself. */
static bool matches(const char *text, const char *pattern)
{
	for (; *pattern; text++, pattern++)
		if (*pattern == 'd' ? !isdigit((unsigned char)*text) : *text != *pattern)
			return false;
	return true;
}

bool dump_name_is_of(const char *name, const char *guest)
{
	static const char stamp[] = "-ddddddddTdddddd.dddZ-gd";
	size_t len = strlen(guest);

	if (strncmp(name, guest, len) || !matches(name + len, stamp))
		return false;
	name += len + strlen(stamp);
	return name[strspn(name, "0123456789")] == '\0';
}
