/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/region/guest_view.h - the crashed guest's physical memory as selectors read it: bounded and by copy.
 *
 * Every read copies out of the region's file with pread(), so holes read as zeros and stay holes, a
 * file that is shorter than it should be is an error instead of a SIGBUS, and no byte is looked at
 * twice unless the caller reads it twice.
 *
 * Owns nothing.  Knows nothing of what the bytes mean.  Locks: none; any thread.
 */
#ifndef DUMP_REGION_GUEST_VIEW_H
#define DUMP_REGION_GUEST_VIEW_H

#include "dump/region/layout.h"

#include <stddef.h>
#include <stdint.h>

struct guest_view {
	int fd;                           /* the region's file; borrowed */
	const struct dump_layout *layout; /* borrowed; has passed dump_layout_check */
	/*
	 * Memory that is elsewhere, e.g. in a dump: reads as guest_view_read() does, and @fd and @layout are
	 * not looked at.  NULL = it is in @fd.
	 */
	int (*read)(void *arg, uint64_t gpa, void *buf, size_t len);
	void *arg;
};

/*
 * guest_view_read - copy @len bytes at guest-physical @gpa to @buf.
 * Errors: -EFAULT if [@gpa, @gpa + @len) is not inside one segment of RAM; -errno of the file.
 */
int warn_unused guest_view_read(const struct guest_view *view, uint64_t gpa, void *buf, size_t len);

/* Entries [@first, @first + @count) of an array; @entries is the caller's until the next call. */
typedef void guest_view_block_fn(void *arg, const void *entries, uint64_t first, uint64_t count);

/*
 * guest_view_array - for views of a file: read entries [@first, @end) of an array of @size-byte entries at @gpa in blocks of
 * at most 256 KiB, and give each to @fn, in ascending order.
 * @size: a power of two, at most 4096.
 * Errors: -EFAULT if entries [0, @end) are not all inside one segment of RAM, before any call of @fn;
 * -ENOMEM; -errno of the file, perhaps in the middle.
 */
int warn_unused guest_view_array(const struct guest_view *view, uint64_t gpa, size_t size, uint64_t first,
	uint64_t end, guest_view_block_fn *fn, void *arg);

#endif /* DUMP_REGION_GUEST_VIEW_H */
