/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/base/io.h - whole reads and writes, and the clock.
 *
 * Locks: none.  Errors: -errno as of the failing call; -ENODATA when a file ends early.
 */
#ifndef DUMP_BASE_IO_H
#define DUMP_BASE_IO_H

#include "dump/base/num.h"

#include <stddef.h>
#include <stdint.h>

/* Reads exactly @len bytes at file offset @off; retries EINTR and short reads. */
int warn_unused io_pread_full(int fd, void *buf, size_t len, uint64_t off);

/* Writes exactly @len bytes at file offset @off; retries EINTR and short writes. */
int warn_unused io_pwrite_full(int fd, const void *buf, size_t len, uint64_t off);

/* Writes exactly @len bytes at the current position; retries EINTR and short writes. */
int warn_unused io_write_full(int fd, const void *buf, size_t len);

/* CLOCK_MONOTONIC in nanoseconds: the time base of every timeline. */
uint64_t clock_mono_ns(void);

/* CLOCK_REALTIME in nanoseconds since 1970. */
uint64_t clock_wall_ns(void);

#endif /* DUMP_BASE_IO_H */
