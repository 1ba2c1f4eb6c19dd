/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/base/disk_load.h - what a guest asks of its disks, on a page that others read.
 *
 *      VMM, threads of the disks  --begin, end-->  page  <--look--  who shares the disk: dump/base/pacer.h
 *
 * The VMM knows this exactly, and no tool of the host can: requests in flight, what is done, how long it took.
 *
 * Threads: any may write and any may read, in several processes.  Relaxed atomics: each number is right by itself, two
 * of them need not be of the same moment, and nobody ever waits.  A reader believes none of it further than it has to:
 * the writer may have been killed between a begin and its end.
 */
#ifndef DUMP_BASE_DISK_LOAD_H
#define DUMP_BASE_DISK_LOAD_H

#include "dump/base/num.h"

#include <stdatomic.h>
#include <stdint.h>

/*
 * Latencies are counted by the power of two that they lie in, in four steps each: from 4 us to 2^28 us, four
 * minutes; what is below or above counts as the first or the last.
 */
#define DISK_LOAD_STEPS 4u
#define DISK_LOAD_BUCKETS (26u * DISK_LOAD_STEPS)

/* our choice: what a request costs a disk at least, in bytes that it could have moved meanwhile */
#define DISK_LOAD_COST_MIN (64ull << 10)

struct disk_load {
	_Atomic uint64_t begun, ended; /* requests */
	_Atomic uint64_t moved_ns;     /* CLOCK_MONOTONIC: when one last began or ended */
	_Atomic uint64_t bytes;        /* of those that ended */
	_Atomic uint64_t cost;         /* the same, each one DISK_LOAD_COST_MIN at least */
	_Atomic uint64_t latencies[DISK_LOAD_BUCKETS];
};

/*
 * disk_load_create - a new page, all zeros, and a file descriptor of it for others; its size is sealed.
 * Errors: -errno.  Owner: disk_load_unmap(), and close() of *ret_fd.
 */
int warn_unused disk_load_create(struct disk_load **ret, int *ret_fd);

/*
 * disk_load_map - the page behind @fd, for reading.
 * Errors: -EINVAL if it is none, or may become shorter; -errno.  Owner: disk_load_unmap().
 */
int warn_unused disk_load_map(int fd, const struct disk_load **ret);
void disk_load_unmap(const struct disk_load *load); /* NULL is fine */

/* A request begins at @now. */
void disk_load_begin(struct disk_load *load, uint64_t now_ns);

/* It ends, which was for @bytes and began at @began_ns. */
void disk_load_end(struct disk_load *load, uint64_t began_ns, uint64_t now_ns, uint64_t bytes);

/* Requests in flight; 0 also when the page makes no sense. */
uint64_t disk_load_in_flight(const struct disk_load *load);

/* The bucket that a latency is counted in, and the latency below which all of a bucket are. */
unsigned disk_load_bucket(uint64_t latency_ns);
uint64_t disk_load_bucket_end_ns(unsigned bucket);

#endif /* DUMP_BASE_DISK_LOAD_H */
