/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/memory/gate.h - lets a VM touch only as much of its memory as the budget covers.
 *
 *      vCPU, or system call into guest memory        gate thread
 *        first touch of a closed block  --uffd-->  covered?  yes: open the block and some after it
 *                                                            no: wait for memory to be given back
 *
 * The VM sees all its RAM.  Its mapping is registered with userfaultfd(2) for missing pages; opening a
 * run of blocks means to unregister it, which wakes who waits for it, and after which the first
 * touch is an ordinary page fault and can get a huge page.  When the budget covers all the rest, or will not
 * grow any more, everything is opened and nothing is registered.  Pages that were populated before (the
 * kernel image) never fault.
 *
 * minivmm itself writes guest memory through the file and not through the mapping: gate_touch()
 * makes such a write wait as well (gmem_copy_out() calls it).
 *
 * Only one VM at a time is gated: the one that runs.  The descriptor is made once, when privileges are there.
 *
 * Threads: a thread of its own serves faults; the supervisor attaches, detaches and reads reports;
 * gate_touch() may be called by any thread.
 */
#ifndef VMM_MEMORY_GATE_H
#define VMM_MEMORY_GATE_H

#include "vmm/memory/budget.h"
#include "vmm/memory/region.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* vCPUs and device threads that may wait at the same time; each waits for one block */
#define GATE_WAITERS_MAX 128

/* What came of one handover. */
struct gate_report {
	uint32_t generation; /* of the VM that got the memory */
	uint64_t over_ns;    /* CLOCK_MONOTONIC when everything was open */
	uint64_t opened;     /* times that blocks were opened on demand */
	uint64_t waits;      /* of them: had to wait for memory */
	uint64_t waited_ns;  /* by all waiting threads, in sum */
	uint64_t longest_ns; /* one wait */
	uint64_t uncovered;  /* bytes that were opened although the budget did not cover them */
};

enum gate_news {
	GATE_NO_NEWS,
	GATE_BLOCKED, /* the VM waits, and no dump is under way: only the removal of one gives memory */
	GATE_OVER,    /* everything is open: *ret_report is filled in */
};

struct gate_wait {
	uint64_t block;
	uint64_t since_ns;
	bool counted; /* in the report: it had to wait for memory */
};

/* All borrowed for the life of the gate. */
struct gate_options {
	struct budget *budget;
	bool allow;        /* recovery.overcommit */
	uint64_t block;    /* bytes of what is opened at least: what one page fault may take */
	int memory_dir_fd; /* of the regions: how much room is there really */
	int dump_dir_fd;   /* watched for removed dumps; -1 = not */
	int notify_fd;     /* eventfd: rung when there is news for the supervisor */
};

struct gate {
	int uffd;     /* owned; -1 = no gate */
	int wake_fd;  /* owned eventfd: look again */
	int watch_fd; /* owned inotify: a dump was removed; -1 = not asked for */
	struct gate_options options;
	pthread_t thread;
	bool started;
	_Atomic bool quit;

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t opened;
	struct region *region; /* borrowed: the gated VM's, NULL = none */
	uint32_t generation;
	uint64_t nr_blocks;
	uint64_t *open;   /* owned: bit n = block n is open */
	uint64_t granted; /* bytes of open blocks */
	struct gate_wait waits[GATE_WAITERS_MAX];
	uint32_t nr_waits;
	bool blocked; /* the supervisor knows or is to know */
	enum gate_news news;
	struct gate_report report;
	uint64_t last_wait_ns; /* when a wait ended last */
};

/*
 * gate_init - open the descriptors and start the thread.
 * Errors: -EPERM when this user may not use userfaultfd for system calls and KVM, -ENOSYS where there is
 * none, else -errno.  @gate is then as after gate_fini().
 */
int warn_unused gate_init(struct gate *gate, const struct gate_options *options);

/* For a gate that is not there: every other call is then harmless. */
void gate_none(struct gate *gate);

void gate_fini(struct gate *gate);

/* 0 if this process may use userfaultfd as the gate needs it, else -errno. */
int warn_unused gate_probe(void);

/*
 * gate_attach - gate the memory of VM @generation, which has not run yet, if the budget does not cover it.
 * Result: 1 = gated, 0 = it need not be, or -errno: it cannot be, and takes what it touches.
 */
int warn_unused gate_attach(struct gate *gate, struct region *region, uint32_t generation);

/* Opens everything: before the vCPUs of the gated VM are stopped.  Harmless if @region is not gated. */
void gate_detach(struct gate *gate, const struct region *region);

/* Memory has been given back, or a dump is over.  Any thread; costs a system call. */
void gate_wake(struct gate *gate);

/*
 * gate_touch - wait until all of RAM offsets [@off, @off + @len) is open.  For writes through the file of a
 * region whose gate field points here.  Any thread but the gate's own.
 */
void gate_touch(struct gate *gate, const struct region *region, uint64_t off, uint64_t len);

/* News since the last call. */
enum gate_news gate_take_news(struct gate *gate, struct gate_report *ret_report);

/*
 * gate_stalled_until - for watchdogs: UINT64_MAX while a thread of the VM waits, else when the last wait
 * ended (CLOCK_MONOTONIC ns; 0 = none).
 */
uint64_t gate_stalled_until(struct gate *gate);

/* Bytes that the gated VM has been granted; 0 = none is gated. */
uint64_t gate_granted(struct gate *gate);

#endif /* VMM_MEMORY_GATE_H */
