/* SPDX-License-Identifier: Apache-2.0 */
/* dump/base/disk_load.c - see disk_load.h */
#include "dump/base/disk_load.h"

#include "dump/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* the power of two at which the first bucket begins: four whole steps, us */
#define POWER_MIN 2u

unsigned disk_load_bucket(uint64_t latency_ns)
{
	uint64_t us = u64_max(latency_ns / NSEC_PER_USEC, 1u << POWER_MIN);
	unsigned power = 63 - (unsigned)__builtin_clzll(us);
	unsigned step = us >> (power - 2) & (DISK_LOAD_STEPS - 1); /* the two bits below the highest one */

	return (unsigned)u64_min((power - POWER_MIN) * DISK_LOAD_STEPS + step, DISK_LOAD_BUCKETS - 1);
}

uint64_t disk_load_bucket_end_ns(unsigned bucket)
{
	unsigned power = bucket / DISK_LOAD_STEPS + POWER_MIN, step = bucket % DISK_LOAD_STEPS;

	if (bucket >= DISK_LOAD_BUCKETS - 1)
		return UINT64_MAX;
	return (NSEC_PER_USEC * (DISK_LOAD_STEPS + step + 1) / DISK_LOAD_STEPS) << power;
}

void disk_load_begin(struct disk_load *load, uint64_t now_ns)
{
	atomic_fetch_add_explicit(&load->begun, 1, memory_order_relaxed);
	atomic_store_explicit(&load->moved_ns, now_ns, memory_order_relaxed);
}

void disk_load_end(struct disk_load *load, uint64_t began_ns, uint64_t now_ns, uint64_t bytes)
{
	uint64_t took = now_ns > began_ns ? now_ns - began_ns : 0;

	atomic_fetch_add_explicit(&load->latencies[disk_load_bucket(took)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&load->bytes, bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&load->cost, u64_max(bytes, DISK_LOAD_COST_MIN), memory_order_relaxed);
	atomic_fetch_add_explicit(&load->ended, 1, memory_order_relaxed);
	atomic_store_explicit(&load->moved_ns, now_ns, memory_order_relaxed);
}

uint64_t disk_load_in_flight(const struct disk_load *load)
{
	uint64_t ended = atomic_load_explicit(&load->ended, memory_order_relaxed);
	uint64_t begun = atomic_load_explicit(&load->begun, memory_order_relaxed);

	return begun > ended ? begun - ended : 0;
}

int disk_load_create(struct disk_load **ret, int *ret_fd)
{
	autoclose int fd = memfd_create("minivmm-disk-load", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *map;

	if (fd < 0 || ftruncate(fd, sizeof(struct disk_load)) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	map = mmap(NULL, sizeof(struct disk_load), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*ret = map;
	*ret_fd = take_fd(&fd);
	return 0;
}

int disk_load_map(int fd, const struct disk_load **ret)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *map;

	/* one that became shorter would end its reader */
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size != sizeof(struct disk_load))
		return -EINVAL;
	map = mmap(NULL, sizeof(struct disk_load), PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*ret = map;
	return 0;
}

void disk_load_unmap(const struct disk_load *load)
{
	if (load)
		munmap((void *)(uintptr_t)load, sizeof(*load));
}
