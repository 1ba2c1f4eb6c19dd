/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/sampler.h - reads every millisecond what a running minivmm takes of its tmpfs, and keeps the most.
 *
 * Counted is every regular file on the file system of vm.memory_dir that minivmm or its dumper has open,
 * named or not (the memory of running, waiting and dead VMs), and every file in that directory (dumps, parts
 * of dumps, dead VMs' memory): each inode once, what the kernel says in st_blocks.
 *
 * Files change while they are read one after the other, and memory moves between them, so that one look over
 * them could count it twice.  Each sample therefore looks twice, and takes of each file the smaller figure.
 * A file first grows and then shrinks; so at the moment between the two looks it had at least that
 * much.  The sum is what was really there at that moment, or less: a breach that is seen is one.
 *
 * Threads: sampler_start() makes one; the figures are for the caller after sampler_stop(), but for @now.
 */
#ifndef TESTS_KVM_SAMPLER_H
#define TESTS_KVM_SAMPLER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* our choice: far above the files that minivmm and dumper have on a tmpfs */
#define SAMPLER_FILES_MAX 128

struct sampled_file {
	ino_t inode;
	bool unnamed; /* no link: a VM that runs or waits, a dump without a name yet */
	uint64_t bytes;
};

/* All files at one moment. */
struct sampled_look {
	struct sampled_file files[SAMPLER_FILES_MAX];
	uint32_t nr;
};

struct sampler {
	pid_t pids[2]; /* minivmm and its dumper; 0 = none */
	int dir_fd;    /* owned: vm.memory_dir */
	dev_t device;  /* its file system */
	pthread_t thread;
	_Atomic bool quit;
	struct sampled_look looks[2]; /* the thread's own */

	_Atomic uint64_t now;  /* bytes: the newest sample */
	uint64_t peak;         /* bytes: the largest sample, and what it consists of: */
	uint64_t peak_unnamed; /* files without a name */
	uint64_t peak_ns;      /* CLOCK_MONOTONIC */
	uint64_t samples;
	uint64_t longest_gap_ns; /* between two samples: something else had the CPUs */
	uint64_t peak_private;   /* bytes of private memory of both processes, by smaps_rollup */
	uint64_t peak_shared;    /* the same of shared memory that they have mapped */
};

/*
 * sampler_start - watch process @minivmm, its @dumper (0 = none) and directory @dir.
 * Result: 0 or -errno; then nothing is to be stopped.
 */
int sampler_start(struct sampler *sampler, pid_t minivmm, pid_t dumper, const char *dir);

/* Ends the thread.  The processes may have ended long before. */
void sampler_stop(struct sampler *sampler);

#endif /* TESTS_KVM_SAMPLER_H */
