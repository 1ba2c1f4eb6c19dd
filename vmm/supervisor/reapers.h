/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/reapers.h - threads that destroy VMs that are over: tens of milliseconds that nobody waits for.
 *
 * Threads: the main thread's; reapers themselves touch what is guarded by the lock.
 */
#ifndef VMM_SUPERVISOR_REAPERS_H
#define VMM_SUPERVISOR_REAPERS_H

#include "vmm/supervisor/handover.h"

#include <pthread.h>

struct reapers {
	struct handover *handover; /* borrowed: hears of each VM that is gone */
	pthread_mutex_t lock;
	pthread_cond_t gone;
	uint32_t at_work; /* guarded by lock: reapers */
};

void reapers_init(struct reapers *reapers, struct handover *handover);

/* After reapers_await(). */
void reapers_fini(struct reapers *reapers);

/* Destroys @vm in a thread of its own. */
void reapers_take(struct reapers *reapers, struct vm *vm);

/* Waits until all that are being destroyed are gone. */
void reapers_await(struct reapers *reapers);

#endif /* VMM_SUPERVISOR_REAPERS_H */
