/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/crash_loop.h - one crash after the other: how often the guest is recovered, and how soon.
 *
 * Threads: the main thread's.
 */
#ifndef VMM_SUPERVISOR_CRASH_LOOP_H
#define VMM_SUPERVISOR_CRASH_LOOP_H

#include "vmm/config/config.h"
#include "vmm/machine/vm.h"

struct crash_loop {
	uint64_t recoveries; /* in a row */
	uint64_t unready;    /* recovery VMs in a row that crashed before they were ready */
	bool reports_ready;  /* some VM has reported it: a VM that does not is not stable */
};

/* A VM has reported that it is ready. */
void crash_loop_note_ready(struct crash_loop *loop);

/*
 * When @vm counts as a fresh start, not as part of a row of crashes: some time after it reported ready, or after its
 * first instruction if no VM of this guest ever has.  UINT64_MAX: not yet known.
 */
uint64_t crash_loop_stable_at(
	const struct crash_loop *loop, const struct config *config, const struct vm *vm);

/* Brings the counters up to date with the death of @vm. */
void crash_loop_count(struct crash_loop *loop, const struct config *config, const struct vm *vm,
	const struct vm_end *end);

/* Whether there may be one more recovery in this row; one begins. */
bool crash_loop_may_go_on(const struct crash_loop *loop, const struct config *config);
void crash_loop_recovers(struct crash_loop *loop);

/* ns before the next recovery. */
uint64_t crash_loop_pause(const struct crash_loop *loop, const struct config *config);

#endif /* VMM_SUPERVISOR_CRASH_LOOP_H */
