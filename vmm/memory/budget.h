/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/memory/budget.h - how much host memory crashed VMs, their dumps and the recovery VM may take together.
 *
 *      crashed regions + dumps of them in memory + standby + what the recovery VM may touch
 *              <= vm.memory + recovery.reserve
 *
 * Owns the list of what takes memory beside the running VM.  The figures are the kernel's (st_blocks),
 * asked anew each time: a dumper that reports too much cannot break the budget.  Who spends what is
 * left is not its business: vmm/memory/gate.h.
 *
 * A dump counts from its first byte until it is removed, or until the operator's choice
 * recovery.overcommit = allow has let a recovery VM take its room (budget_write_off).
 *
 * Units:  bytes.
 * Locks:  its own; any thread.
 */
#ifndef VMM_MEMORY_BUDGET_H
#define VMM_MEMORY_BUDGET_H

#include "dump/files/publish.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct budget {
	pthread_mutex_t lock;
	uint64_t limit;            /* vm.memory + recovery.reserve */
	int memory_dir_fd;         /* borrowed: where regions have names */
	int dump_dir_fd;           /* borrowed: where dumps have names */
	bool dumps_in_ram;         /* that is a tmpfs */
	uint64_t reserve;          /* bytes of that beside vm.memory */
	uint64_t in_flight;        /* what the dump of the next crash will take for a while */
	uint64_t standby;          /* guarded by lock: memory behind the VM that waits */
	uint64_t image;            /* guarded by lock: the most that was */
	struct budget_item *items; /* owned, guarded by lock */
};

/* What a VM that is over leaves behind. */
struct budget_claim {
	uint32_t generation;
	int region_fd;                     /* of its region; the budget takes a reference of its own */
	const struct publish_names *names; /* of its dump; NULL = it is not dumped */
	bool fills;         /* the dump will take all that is released: waiting for it brings nothing */
	uint64_t in_flight; /* bytes that the dump takes for a while before it gives any back */
	uint64_t expected;  /* what the dump may take before it gives anything back; 0 = little */
};

/* One look at it. */
struct budget_state {
	uint64_t limit;
	uint64_t crashed; /* memory behind regions of VMs that are over */
	uint64_t dumps;   /* memory behind dumps, made or being made */
	uint64_t other; /* standby, what dumps under way take for a while, and what the next crash needs */
	bool growing;   /* something of it is still to be given back, so that waiting for it pays */
	bool under_way; /* a dump is not complete, or a VM that is over is not gone: small sums may still move */
};

/*
 * budget_init - @memory + @reserve bytes for everything together.  @in_flight: what a dump takes before it gives
 * anything back.  As long as dumps take part of the memory, so much of the reserve is kept for the next crash.
 */
void budget_init(struct budget *budget, uint64_t memory, uint64_t reserve, uint64_t in_flight,
	int memory_dir_fd, int dump_dir_fd);
void budget_fini(struct budget *budget);

/*
 * budget_add - a VM is over: from now on what it leaves counts.
 * Errors: -ENOMEM, -EMFILE ...: it does not count then; the caller says so.
 */
int warn_unused budget_add(struct budget *budget, const struct budget_claim *claim);

/* The dump of @generation is complete, or will not be. */
void budget_dump_over(struct budget *budget, uint32_t generation);

/*
 * budget_reaped - nothing of the process maps the region of @generation any more.  If it is not
 * dumped, its memory is given back here, in slices; @given_back is called after each.  Slow.
 */
void budget_reaped(struct budget *budget, uint32_t generation, void (*given_back)(void *), void *arg);

/* True if @generation counts. */
bool budget_has(struct budget *budget, uint32_t generation);

/* What the VM that waits to be the next takes. */
void budget_set_standby(struct budget *budget, uint64_t bytes);

void budget_look(struct budget *budget, struct budget_state *ret);

/* What a VM that has been granted @granted bytes may still be granted. */
static inline uint64_t budget_left(const struct budget_state *state, uint64_t granted)
{
	uint64_t used = state->crashed + state->dumps + state->other + granted;

	return used < state->limit ? state->limit - used : 0;
}

/* The dumps that there are, and those under way once they are over, count no more. */
void budget_write_off(struct budget *budget);

/*
 * budget_watch_dumps - an inotify descriptor that is readable when a file has left @dump_dir_fd: a removed dump is
 * memory given back, and nobody else tells.  Errors: -errno.  Owner: the caller.
 */
int warn_unused budget_watch_dumps(int dump_dir_fd);

#endif /* VMM_MEMORY_BUDGET_H */
