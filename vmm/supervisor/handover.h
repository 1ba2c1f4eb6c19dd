/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/handover.h - the crashed VM's memory becomes the recovery VM's: what the next VM gets, and when.
 *
 * Puts budget and gate (or grants) to work; the rules are theirs: docs/handover.md.
 *
 * Threads: the main thread's, but handover_reaped(), which reapers call.
 */
#ifndef VMM_SUPERVISOR_HANDOVER_H
#define VMM_SUPERVISOR_HANDOVER_H

#include "vmm/jobs/jobs.h"
#include "vmm/memory/budget.h"
#include "vmm/memory/gate.h"
#include "vmm/supervisor/surroundings.h"

/* Why a recovery VM that is due cannot start yet. */
enum handover_wait {
	HANDOVER_WAITS_NOT,
	HANDOVER_WAITS_DUMP,   /* recovery.concurrent = no */
	HANDOVER_WAITS_MEMORY, /* until dumps under way have given some back */
};

struct handover {
	const struct surroundings *around; /* borrowed */
	struct events *events;             /* borrowed: its */
	struct budget budget;
	struct gate gate; /* none with another handover than gated */
	int dumps_fd;    /* owned: readable when a dump was removed; HANDOVER_EXPLICIT with wait, else -1 */
	bool blocked;    /* said that the running VM waits for the removal of a dump; HANDOVER_EXPLICIT */
	int released_fd; /* borrowed from the gate, or owned and watched: rung by the dumper; -1 = none */
};

/* No budget, no gate. */
void handover_init(struct handover *handover);

/*
 * Sets up budget and gate, after directories and event loop; says what is missing.  Errors: -errno when there
 * is no descriptor.
 */
int warn_unused handover_open(struct handover *handover, struct surroundings *around);
void handover_close(struct handover *handover);

/* @vm is over: what it leaves counts; @job is its dump, or NULL.  Before the next VM starts. */
void handover_claim(struct handover *handover, const struct vm *vm, const struct dump_job *job);

/* News of the jobs; @running: the VM that runs beside them, or NULL. */
void handover_hear(
	struct handover *handover, enum jobs_news news, const struct dump_job *job, struct vm *running);

/* The VM of @generation is destroyed.  For reapers; gives its memory back if it is not dumped. */
void handover_reaped(struct handover *handover, uint32_t generation);

/* The standby is @standby now, or none (NULL). */
void handover_set_standby(struct handover *handover, const struct vm *standby);

/* @vm is about to run; its number is set. */
void handover_start(struct handover *handover, struct vm *vm);

/* @vm is to be stopped: from here on nobody in it waits for memory. */
void handover_end(struct handover *handover, const struct vm *vm);

/* True if the budget covers a whole VM that starts now. */
bool handover_is_free(struct handover *handover);

/* Whether a recovery VM may start now; @dumps: a dump is under way. */
enum handover_wait handover_must_wait(struct handover *handover, bool dumps);

/* @vm, or NULL, that started with a part of its memory (grants.h) gets what the budget covers by now. */
void handover_grant(struct handover *handover, struct vm *vm);

/* @dumps_fd is readable: there may be memory for the VM that waits for it. */
void handover_dump_removed(struct handover *handover, struct vm *running);

/* How much of its memory @vm, which runs, has by now, and whether it waits for more. */
void handover_look(struct handover *handover, const struct vm *vm, uint64_t *ret_granted, bool *ret_waits);

/* Says what the gate has to say.  Where @running waits for memory, @jobs gives up old dumps for it (dump.rotate). */
void handover_check(struct handover *handover, struct jobs *jobs, const struct vm *running);

#endif /* VMM_SUPERVISOR_HANDOVER_H */
