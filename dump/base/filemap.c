/* SPDX-License-Identifier: Apache-2.0 */
/* dump/base/filemap.c - see filemap.h */
#include "dump/base/filemap.h"

#include "dump/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

int filemap_open(int fd, uint64_t off, uint64_t len, unsigned char **ret_map)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)off);

	if (at == MAP_FAILED)
		return -errno;
	(void)madvise(at, len, MADV_NOHUGEPAGE); /* a wish; a kernel without huge pages refuses */
	*ret_map = at;
	return 0;
}

int filemap_reserve(unsigned char *at, uint64_t len, int fd, uint64_t off)
{
	int r;

	len = u64_align_up(len, PAGE_SIZE_4K);
	do
		r = io_test_fails(IO_POPULATE, NULL) ? -1 : madvise(at, len, MADV_POPULATE_WRITE);
	while (r < 0 && (errno == EINTR || errno == EAGAIN));
	if (!r)
		return 0;
	if (errno == EINVAL)
		/* a kernel before 5.14 cannot populate; this takes huge pages where the mount gives them */
		return io_fallocate(fd, 0, off, len);
	return errno == EFAULT ? -ENOSPC : -errno; /* a full file system is a bus error to a mapping */
}

int filemap_write(int fd, uint64_t off, const void *data, uint64_t len)
{
	uint64_t in_page = off % PAGE_SIZE_4K;
	unsigned char *map = NULL;
	int r;

	r = filemap_open(fd, off - in_page, in_page + len, &map);
	if (r)
		return r;
	r = filemap_reserve(map, in_page + len, fd, off - in_page);
	if (!r)
		memcpy(map + in_page, data, len);
	munmap(map, in_page + len);
	return r;
}
