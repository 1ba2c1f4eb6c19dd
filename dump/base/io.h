/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/base/io.h - whole reads and writes, and the clock.
 *
 * Locks: none.  Errors: -errno as of the failing call; -ENODATA when a file ends early.
 */
#ifndef DUMP_BASE_IO_H
#define DUMP_BASE_IO_H

#include "dump/base/num.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads exactly @len bytes at file offset @off; retries EINTR and short reads. */
int warn_unused io_pread_full(int fd, void *buf, size_t len, uint64_t off);

/* Writes exactly @len bytes at file offset @off; retries EINTR and short writes. */
int warn_unused io_pwrite_full(int fd, const void *buf, size_t len, uint64_t off);

/* Writes exactly @len bytes at the current position; retries EINTR and short writes. */
int warn_unused io_write_full(int fd, const void *buf, size_t len);

/*
 * io_sync - what the file @fd holds is on the disk.  An error is told once by the kernel, to whoever asks first, and what
 * it was about need not be written again by a later call that succeeds: never retried, never to be believed later.
 */
int warn_unused io_sync(int fd);

/* The same for [@off, @off + @len), without what the file system must note down to find it: no promise, only progress. */
int warn_unused io_sync_range(int fd, uint64_t off, uint64_t len);

/* The names in the directory @dir_fd are on the disk.  Some file systems cannot be asked for it: -EINVAL. */
int warn_unused io_sync_dir(int dir_fd);

/* Removes the name @name in the directory @dir_fd. */
int warn_unused io_unlink(int dir_fd, const char *name);

/* fallocate() of [@off, @off + @len); retries EINTR. */
int warn_unused io_fallocate(int fd, int mode, uint64_t off, uint64_t len);

/* Bytes of memory or disk behind a file: what is not a hole.  Of one that cannot be asked 0. */
struct stat;
uint64_t io_stat_bytes(const struct stat *st);
uint64_t io_bytes_behind(int fd);

/* Makes the eventfd @fd readable; one whose counter is full is that already.  Any thread. */
void io_ring(int fd);

/*
 * For tests that let calls fail.  Asked before each call of these kinds, on any thread; it may shorten *len.
 * Result: 0, or the errno that the call is to fail with without being made.  Set by tests alone.
 */
enum io_call {
	IO_PREAD,
	IO_PWRITE,
	IO_FALLOCATE,
	IO_POPULATE, /* MADV_POPULATE_WRITE */
	IO_SEEK,     /* SEEK_DATA, SEEK_HOLE */
	IO_TMPFILE,
	IO_TRUNCATE,
	IO_LINK,
	IO_SYNC,
	IO_SYNC_RANGE,
	IO_SYNC_DIR,
	IO_UNLINK,
	IO_STORE, /* into a table that is a mapping of its file: cannot fail, but a kill can come before it */
	IO_NR_CALLS
};
extern int (*io_test_hook)(enum io_call call, size_t *len);

/* True if the test wants this call to fail; errno is set then.  @len may be NULL. */
static inline bool io_test_fails(enum io_call call, size_t *len)
{
	size_t none = 0;
	int error = __builtin_expect(!io_test_hook, 1) ? 0 : io_test_hook(call, len ? len : &none);

	if (error)
		errno = error;
	return error;
}

/* CLOCK_MONOTONIC in nanoseconds: the time base of every timeline. */
uint64_t clock_mono_ns(void);

/* CLOCK_REALTIME in nanoseconds since 1970. */
uint64_t clock_wall_ns(void);

#endif /* DUMP_BASE_IO_H */
