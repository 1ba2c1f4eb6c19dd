/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/recovery.h - what the guest is doing: which VM runs, or what the next one waits for.
 *
 * One state at a time (docs/architecture.md, "States", has the picture), and one writer: recovery.c alone assigns to a
 * struct recovery.  What happened is told to the functions below, and the others read.
 *
 * Threads: the main thread's.
 */
#ifndef VMM_SUPERVISOR_RECOVERY_H
#define VMM_SUPERVISOR_RECOVERY_H

#include "vmm/jobs/jobs.h"
#include "vmm/machine/vm.h"
#include "vmm/supervisor/crash_loop.h"
#include "vmm/supervisor/guest_state.h"

struct guest;

struct recovery {
	enum guest_state state;
	struct vm *vm;                       /* owned: the running VM, or NULL */
	uint32_t generation;                 /* of the newest VM */
	uint32_t next_generation;            /* VMs started so far */
	bool announced_run, announced_ready; /* of @vm: event and line are out */
	bool announced_crash_loaded;         /* the same */
	uint64_t resumed_ns;                 /* when @vm went on after a pause; 0 = it was never paused */
	uint64_t
		due_ns; /* when the state ends by itself; STOPPING, and then PAUSED: VM is stopped; UINT64_MAX = never */

	struct crash_loop loop;
	uint32_t crashed;     /* generation that the VM recovers from that is waited for */
	bool memory_returned; /* WAITS_MEMORY: some came back since the last try */
	bool tries_again;     /* a VM that is waited for could not be made once; said */
	bool stopping;        /* no new VM is started */
	bool abandon;         /* leave now, whatever is under way */
	int exit_code;        /* so far */
};

void recovery_init(struct recovery *recovery);

/* Destroys the VM that is left. */
void recovery_fini(struct guest *guest);

/* The process will end with @code, unless it is to end with another failure already. */
void recovery_fail(struct recovery *recovery, int code);

/* ---- VMs come and go ------------------------------------------------------------------------------------ */

/* Makes the first VM and starts it.  False: there is none (reported); recovery->exit_code says why. */
bool recovery_start_first(struct guest *guest);

/* The running VM is over: it is the caller's, with all that it may still have to say. */
struct vm *recovery_lose_vm(struct recovery *recovery);

/*
 * recovery_from_crash - @dead has crashed as @end says, @job is its dump, or NULL: starts the next VM, or decides when.
 * Result: true if it runs.  recovery_say() then tells the operator what is to come.
 */
bool recovery_from_crash(
	struct guest *guest, const struct vm *dead, const struct vm_end *end, struct dump_job *job);
void recovery_say(struct guest *guest);

/* True if a recovery VM may still be started. */
bool recovery_may_follow(const struct recovery *recovery, const struct config *config);

/* The running VM reboots: it stands still, and the next one starts soon, unless the guest is to stop. */
void recovery_reboot(struct guest *guest);

/* The running VM has powered off: no other follows. */
void recovery_power_off(struct guest *guest);

/* No new VM is started from here on. */
void recovery_no_more(struct recovery *recovery);

/* The operator ends the guest: the running VM stands still, and nothing that waits starts any more. */
void recovery_stop(struct guest *guest);

/* The guest was asked to power off: no VM follows on this one, which is stopped after @timeout_ns, 0 = never. */
void recovery_ask_to_stop(struct recovery *recovery, uint64_t timeout_ns);

/* The process is to end now. */
void recovery_abandon(struct recovery *recovery);

/* The running VM stands still, or goes on. */
void recovery_paused(struct recovery *recovery);
void recovery_resumed(struct recovery *recovery);

/* ---- what the running VM reports: true for the first time ------------------------------------------------- */

bool recovery_note_run(struct recovery *recovery);
bool recovery_note_ready(struct recovery *recovery);
bool recovery_note_crash_loaded(struct recovery *recovery);

/* ---- time ------------------------------------------------------------------------------------------------ */

/* The next VM's turn may have come: what it waited for has happened.  Once a turn of the event loop. */
void recovery_check(struct guest *guest);

/* Memory of the host has been given back. */
void recovery_hear_of_memory(struct recovery *recovery);

/* recovery->due_ns is reached, and no VM runs. */
void recovery_due(struct guest *guest);

/* Has the next recovery VM made when nothing urgent is under way. */
void recovery_prepare(struct guest *guest);

#endif /* VMM_SUPERVISOR_RECOVERY_H */
