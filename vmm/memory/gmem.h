/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/memory/gmem.h - the only way to guest memory: length-checked copies by guest-physical address.
 *
 * Everything that comes out of here is hostile: copy once, validate the copy.
 *
 * Units:  bytes; a length of 0 is fine.
 * Errors: -EFAULT if [gpa, gpa+len) is not inside one run of RAM or wraps, nothing is copied then;
 *         -ENOSPC if the tmpfs is full (copy out to a page that was never touched).
 * Owner:  the caller owns the buffers; no reference to guest memory is kept.
 * Locks:  none; any thread while the region lives.
 */
#ifndef VMM_MEMORY_GMEM_H
#define VMM_MEMORY_GMEM_H

#include "vmm/memory/memmap.h"
#include "vmm/memory/region.h"

#include <stddef.h>
#include <sys/uio.h>

/* Guest to host. */
int warn_unused gmem_copy_in(const struct region *region, gpa_t gpa, void *dst, size_t len);

/* Host to guest.  Waits while the region's gate is closed there (gate.h). */
int warn_unused gmem_copy_out(const struct region *region, gpa_t gpa, const void *src, size_t len);

/*
 * gmem_iov - the piece [@gpa, @gpa+@len) of the mapping that KVM uses, for system calls only: preadv, writev,
 * getrandom.  There a page that cannot be had is EFAULT or a short count; dereferenced it would be a SIGBUS.
 * What a call reads from it may change under it: whoever looks at bytes copies them in instead.
 */
int warn_unused gmem_iov(const struct region *region, gpa_t gpa, size_t len, struct iovec *ret);

/*
 * gmem_pin - the address of [@gpa, @gpa+@len), with memory behind each of its pages from here on: for the rings
 * of a virtqueue, which need single atomic loads and stores that no system call offers (a pread of two bytes
 * may be torn).  Nothing else goes this way.
 * Errors: -EFAULT also when the tmpfs is full, other -errno of MADV_POPULATE_WRITE (Linux 5.14).
 * Owner:  the mapping; nobody may take pages of this range away before the user of the pointer has stopped
 * (virtio_dev_quiesce(): before a dead VM's memory is released, and before region_unmap()).
 */
int warn_unused gmem_pin(const struct region *region, gpa_t gpa, size_t len, void **ret);

#endif /* VMM_MEMORY_GMEM_H */
