/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/gmem.h - the only way to guest memory: length-checked copies by guest-physical address.
 *
 * Everything that comes out of here is hostile: copy once, validate the copy.
 *
 * Units:  bytes; a length of 0 is fine.
 * Errors: -EFAULT if [gpa, gpa+len) is not inside one run of RAM or wraps, nothing is copied then;
 *         -ENOSPC if the tmpfs is full (copy out to a page that was never touched).
 * Owner:  the caller owns the buffers; no reference to guest memory is kept.
 * Locks:  none; any thread while the region lives.
 */
#ifndef VMM_GMEM_H
#define VMM_GMEM_H

#include "vmm/memmap.h"
#include "vmm/region.h"

#include <stddef.h>

/* Guest to host. */
int warn_unused gmem_copy_in(const struct region *region, gpa_t gpa, void *dst, size_t len);

/* Host to guest.  Waits while the region's gate is closed there (gate.h). */
int warn_unused gmem_copy_out(const struct region *region, gpa_t gpa, const void *src, size_t len);

#endif /* VMM_GMEM_H */
