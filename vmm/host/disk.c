/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/host/disk.c - see disk.h */
#include "vmm/host/disk.h"

#include "dump/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* our choice: zeros are written in pieces of this many bytes where the host cannot make them */
#define ZEROS KIB(64)

/* ---- opening ------------------------------------------------------------------------------------ */

/* Another program's lock is told from other failures: the operator can do something about it. */
static int lock_whole(int fd, bool readonly)
{
	struct flock lock = {.l_type = readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static int find_size(struct disk *disk, const struct stat *st)
{
	uint64_t bytes = (uint64_t)st->st_size;
	int block = DISK_SECTOR;

	if (S_ISBLK(st->st_mode)) {
		disk->block_device = true;
		if (ioctl(disk->fd, BLKGETSIZE64, &bytes) < 0 || ioctl(disk->fd, BLKSSZGET, &block) < 0)
			return -errno;
	} else if (!S_ISREG(st->st_mode)) {
		return -ENOTBLK;
	}
	disk->sectors = bytes / DISK_SECTOR;
	disk->block_size = (uint32_t)block;
	disk->direct_align = disk->block_device ? (uint32_t)block : (uint32_t)PAGE_SIZE_4K;
	return disk->sectors ? 0 : -ENODATA;
}

static const char *explain(int err)
{
	switch (err) {
	case -EBUSY:
		return "it is in use (another program has it locked, or it is mounted)";
	case -ENOTBLK:
		return "neither a file nor a block device";
	case -ENODATA:
		return "smaller than one sector of 512 bytes";
	default:
		return strerror(-err);
	}
}

int disk_open(struct disk *ret, const char *name, const char *path, bool readonly, bool direct, char *why,
	size_t why_size)
{
	struct disk disk = {.name = name, .fd = -1, .direct_fd = -1, .readonly = readonly};
	struct stat st;
	int err;

	/* O_EXCL: a block device that is mounted is busy; to files it means nothing without O_CREAT */
	disk.fd = open(path, (readonly ? O_RDONLY : O_RDWR | O_EXCL) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (disk.fd < 0 || fstat(disk.fd, &st) < 0)
		err = -errno;
	else
		err = find_size(&disk, &st);
	if (!err)
		err = lock_whole(disk.fd, readonly);
	if (!err && direct) {
		disk.direct_fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
		err = disk.direct_fd < 0 ? -errno : 0;
	}
	if (err) {
		snprintf(why, why_size, "%s: %s%s", path,
			direct && disk.direct_fd < 0 && disk.sectors && err == -EINVAL ? "O_DIRECT: " : "",
			explain(err));
		disk_close(&disk);
		return err;
	}
	*ret = disk;
	pthread_mutex_init(&ret->lock, NULL);
	pthread_cond_init(&ret->freed, NULL);
	return 0;
}

void disk_close(struct disk *disk)
{
	if (disk->fd >= 0)
		close(disk->fd); /* the lock goes with it */
	if (disk->direct_fd >= 0)
		close(disk->direct_fd);
	disk->fd = disk->direct_fd = -1;
}

/* ---- whose it is ---------------------------------------------------------------------------------- */

bool disk_attach(struct disk *disk, const void *owner, bool (*wanted)(const void *owner))
{
	bool mine;

	pthread_mutex_lock(&disk->lock);
	while (disk->owner && disk->owner != owner && wanted(owner))
		pthread_cond_wait(&disk->freed, &disk->lock);
	mine = (!disk->owner || disk->owner == owner) && wanted(owner);
	if (mine)
		disk->owner = owner;
	pthread_mutex_unlock(&disk->lock);
	return mine;
}

void disk_wake(struct disk *disk)
{
	pthread_mutex_lock(&disk->lock);
	pthread_cond_broadcast(&disk->freed);
	pthread_mutex_unlock(&disk->lock);
}

void disk_detach(struct disk *disk, const void *owner)
{
	pthread_mutex_lock(&disk->lock);
	if (disk->owner == owner)
		disk->owner = NULL;
	pthread_cond_broadcast(&disk->freed);
	pthread_mutex_unlock(&disk->lock);
}

/* ---- requests ------------------------------------------------------------------------------------- */

/* Drops the first @done bytes. */
static void advance(struct iovec **iov, int *nr, size_t done)
{
	while (*nr && done >= (*iov)->iov_len) {
		done -= (*iov)->iov_len;
		(*iov)++;
		(*nr)--;
	}
	if (*nr) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + done;
		(*iov)->iov_len -= done;
	}
}

/* The descriptor for a request: O_DIRECT takes only what is aligned in every respect. */
static int fd_for(const struct disk *disk, const struct iovec *iov, int nr, uint64_t off)
{
	uint64_t bits = off;

	if (disk->direct_fd < 0)
		return disk->fd;
	for (int i = 0; i < nr; i++)
		bits |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
	return bits % disk->direct_align ? disk->fd : disk->direct_fd;
}

struct transfer {
	enum io_call call;
	ssize_t (*move)(int fd, const struct iovec *iov, int nr, off_t off);
	int at_end; /* what nothing moved means */
};

static int transfer(struct disk *disk, const struct transfer *how, struct iovec *iov, int nr, uint64_t off,
	uint64_t len)
{
	while (len) {
		size_t part = len;
		ssize_t n = io_test_fails(how->call, &part)
				    ? -1
				    : how->move(fd_for(disk, iov, nr, off), iov, nr, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : how->at_end;
		advance(&iov, &nr, (size_t)n);
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

int disk_read(struct disk *disk, struct iovec *iov, int nr, uint64_t off, uint64_t len)
{
	return transfer(disk, &(struct transfer){IO_PREAD, preadv, -ENODATA}, iov, nr, off, len);
}

int disk_write(struct disk *disk, struct iovec *iov, int nr, uint64_t off, uint64_t len)
{
	return transfer(disk, &(struct transfer){IO_PWRITE, pwritev, -EIO}, iov, nr, off, len);
}

int disk_flush(struct disk *disk)
{
	if (io_test_fails(IO_SYNC, NULL) || fdatasync(disk->fd) < 0)
		return -errno;
	return 0;
}

int disk_discard(struct disk *disk, uint64_t off, uint64_t len)
{
	return io_fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
}

static int write_zero_bytes(struct disk *disk, uint64_t off, uint64_t len)
{
	static const char zeros[ZEROS];

	while (len) {
		uint64_t part = u64_min(len, sizeof(zeros));
		int err = io_pwrite_full(disk->fd, zeros, part, off);

		if (err)
			return err;
		off += part;
		len -= part;
	}
	return 0;
}

int disk_write_zeroes(struct disk *disk, uint64_t off, uint64_t len, bool unmap)
{
	int mode = (unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) | FALLOC_FL_KEEP_SIZE;
	int err = io_fallocate(disk->fd, mode, off, len);

	return err == -EOPNOTSUPP ? write_zero_bytes(disk, off, len) : err;
}
