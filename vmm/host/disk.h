/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/host/disk.h - a disk image or block device, which one VM of the guest uses at a time.
 *
 * It is opened and locked once a guest, and goes from VM to VM: a device *attaches* before its first request and
 * detaches when it has stopped and nothing of it is in flight.  So requests of two VMs are never mixed, whatever
 * the dead one left under way.  A lock (fcntl, F_OFD_SETLK) on the whole file keeps other programs that ask
 * for one out: other minivmm, and QEMU.
 *
 * What is written is in the host's page cache, which outlives a VM; disk_flush() brings it to the disk.
 *
 * Locks: lock guards owner; the rest is fixed by disk_open().
 */
#ifndef VMM_HOST_DISK_H
#define VMM_HOST_DISK_H

#include "dump/base/disk_load.h"

#include <pthread.h>
#include <sys/uio.h>

/* VIRTIO 1.2 5.2: the unit of addresses and lengths, whatever the disk's own blocks are */
#define DISK_SECTOR 512u

struct disk {
	const char *name; /* borrowed: of its section in guest.cfg */
	int fd;           /* owned; buffered */
	int direct_fd;    /* owned; O_DIRECT, or -1 */
	bool readonly;
	bool block_device;
	uint64_t sectors;    /* capacity */
	uint32_t block_size; /* bytes: logical blocks, as the guest is told */
	uint32_t
		direct_align; /* bytes: requests that are a multiple of it go to direct_fd; our choice for files: 4 KiB */
	struct disk_load *load; /* borrowed: where its requests are counted; NULL = nowhere */
	pthread_mutex_t lock;
	pthread_cond_t freed;
	const void *owner; /* the device that has it attached, or NULL */
};

/*
 * disk_open - open and lock @path.  @direct: past the host's page cache where requests are aligned.
 * Errors: -errno with a sentence in @why; -EBUSY when another program has it locked.
 * Owner:  disk_close(), which accepts a disk of zeros whose fd is -1.
 */
int warn_unused disk_open(struct disk *ret, const char *name, const char *path, bool readonly, bool direct,
	char *why, size_t why_size);
void disk_close(struct disk *disk);

/*
 * disk_attach - waits until no other device has it, for as long as *@wanted.
 * Result: true if @owner has it now (or had it already).  disk_wake() makes waiting ones look at *@wanted again.
 */
bool warn_unused disk_attach(struct disk *disk, const void *owner, bool (*wanted)(const void *owner));
void disk_wake(struct disk *disk);

/* Gives it free if @owner has it. */
void disk_detach(struct disk *disk, const void *owner);

/*
 * Requests.  Whole or an error: -errno; -EFAULT when memory of the guest cannot be had, -ENODATA when the file
 * has become shorter.  @iov is used up.  The caller has checked that the range is inside the disk.
 */
int warn_unused disk_read(struct disk *disk, struct iovec *iov, int nr, uint64_t off, uint64_t len);
int warn_unused disk_write(struct disk *disk, struct iovec *iov, int nr, uint64_t off, uint64_t len);
int warn_unused disk_flush(struct disk *disk);

/* Contents of the range become undefined (here: zeros, and room on the host).  -EOPNOTSUPP: it cannot. */
int warn_unused disk_discard(struct disk *disk, uint64_t off, uint64_t len);

/* Zeros; @unmap: may give the room back to the host. */
int warn_unused disk_write_zeroes(struct disk *disk, uint64_t off, uint64_t len, bool unmap);

#endif /* VMM_HOST_DISK_H */
