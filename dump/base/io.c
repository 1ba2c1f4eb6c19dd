/* SPDX-License-Identifier: Apache-2.0 */
/* dump/base/io.c - see io.h */
#include "dump/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

int (*io_test_hook)(enum io_call call, size_t *len);

int io_pread_full(int fd, void *buf, size_t len, uint64_t off)
{
	unsigned char *at = buf;

	while (len) {
		size_t part = len;
		ssize_t n = io_test_fails(IO_PREAD, &part) ? -1 : pread(fd, at, part, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ENODATA;
		at += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int io_pwrite_full(int fd, const void *buf, size_t len, uint64_t off)
{
	const unsigned char *at = buf;

	while (len) {
		size_t part = len;
		ssize_t n = io_test_fails(IO_PWRITE, &part) ? -1 : pwrite(fd, at, part, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		at += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int io_write_full(int fd, const void *buf, size_t len)
{
	const unsigned char *at = buf;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

uint64_t io_stat_bytes(const struct stat *st)
{
	return (uint64_t)st->st_blocks * 512; /* its unit, whatever the file system: inode(7) */
}

uint64_t io_bytes_behind(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : io_stat_bytes(&st);
}

void io_ring(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

int io_fallocate(int fd, int mode, uint64_t off, uint64_t len)
{
	int r;

	do
		r = io_test_fails(IO_FALLOCATE, NULL) ? -1 : fallocate(fd, mode, (off_t)off, (off_t)len);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int io_sync(int fd)
{
	return io_test_fails(IO_SYNC, NULL) || fsync(fd) < 0 ? -errno : 0;
}

int io_sync_range(int fd, uint64_t off, uint64_t len)
{
	const unsigned flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
			       SYNC_FILE_RANGE_WAIT_AFTER;

	return io_test_fails(IO_SYNC_RANGE, NULL) || sync_file_range(fd, (off_t)off, (off_t)len, flags) < 0
		       ? -errno
		       : 0;
}

int io_sync_dir(int dir_fd)
{
	return io_test_fails(IO_SYNC_DIR, NULL) || fsync(dir_fd) < 0 ? -errno : 0;
}

int io_unlink(int dir_fd, const char *name)
{
	return io_test_fails(IO_UNLINK, NULL) || unlinkat(dir_fd, name, 0) < 0 ? -errno : 0;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}
