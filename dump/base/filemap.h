/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/base/filemap.h - a small part of a tmpfs file, mapped so that stores into it cannot fail.
 *
 * For the head and tail room: a few KiB in places where a write() on a huge-page tmpfs would take, and
 * clear, 2 MiB each (up to 5 ms when the host has to find the memory first).  Locks: none.
 */
#ifndef DUMP_BASE_FILEMAP_H
#define DUMP_BASE_FILEMAP_H

#include "dump/base/num.h"

#include <stdint.h>

/* filemap_open - map [@off, @off + @len) of @fd shared and writable, with 4 KiB pages; @off is aligned. */
int warn_unused filemap_open(int fd, uint64_t off, uint64_t len, unsigned char **ret_map);

/*
 * filemap_reserve - give [@at, @at + @len) of a mapping by filemap_open memory, so that a store there
 * never finds the file system full (SIGBUS).  @fd, @off: the file and its offset of @at; all aligned.
 * Errors: -ENOSPC when there is no room, else -errno.
 */
int warn_unused filemap_reserve(unsigned char *at, uint64_t len, int fd, uint64_t off);

/* filemap_write - @len bytes at the offset @off of @fd, which may be any, by way of such a mapping. */
int warn_unused filemap_write(int fd, uint64_t off, const void *data, uint64_t len);

#endif /* DUMP_BASE_FILEMAP_H */
