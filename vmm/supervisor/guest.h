/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/guest.h - the supervisor: one guest through all its generations.
 *
 *      guest.c    event loop: signals, console input, vCPU reports, dumper events
 *      guest_open.c  all that is open as long as the guest runs
 *      guest_reap.c  threads that destroy VMs that are over
 *      deadlines.c   what happens when its time has come
 *      crash.c    the crash sequence: stop the dead VM, start the next one, hand over to the dumper
 *      handover.c   the crashed VM's memory becomes the recovery VM's
 *      guest_control.c  requests of the control socket
 *      report.c   the end of a VM in words
 *
 * Threads: everything here belongs to the main thread, except that reapers (threads that destroy a
 * dead VM) use the fields marked so.
 */
#ifndef VMM_SUPERVISOR_GUEST_H
#define VMM_SUPERVISOR_GUEST_H

#include "vmm/host/backends.h"
#include "vmm/memory/budget.h"
#include "vmm/config/config.h"
#include "vmm/host/console.h"
#include "vmm/control/control.h"
#include "vmm/base/events.h"
#include "vmm/jobs/jobs.h"
#include "vmm/memory/gate.h"
#include "vmm/host/kvm.h"
#include "vmm/machine/vm.h"

/* Why a recovery VM that is due does not start yet. */
enum recovery_wait {
	RECOVERY_WAITS_NOT,
	RECOVERY_WAITS_DUMP,   /* recovery.concurrent = no */
	RECOVERY_WAITS_MEMORY, /* until dumps under way have given some back */
};

struct guest {
	const struct config *config; /* borrowed */
	struct kvm kvm;
	struct console console;
	struct events events;
	struct backends backends;
	struct control control;
	struct vm_shared shared;
	int dir_fd, lock_fd; /* owned: vm.memory_dir, and its lock against a second minivmm */
	bool huge_pages;     /* vm.memory_dir gives them */
	int dump_dir_fd;     /* owned: dump.dir */
	int fallback_dir_fd; /* owned: dump.fallback_dir, -1 = none */
	int epoll_fd, signal_fd, notify_fd; /* owned */

	struct vm *vm;                       /* owned: the running VM, NULL between generations */
	struct vm *dying;                    /* owned list: crashed VMs that dump by themselves */
	struct vm *standby;                  /* owned: made ahead of time for the next recovery, or NULL */
	bool standby_failed;                 /* do not try again and again */
	uint32_t generation;                 /* of the newest VM */
	uint32_t next_generation;            /* VMs started so far */
	bool announced_run, announced_ready; /* of @vm: event and line are out */
	bool reports_ready;                  /* some VM has reported it: a VM that does not is not stable */
	uint64_t started_ns;                 /* when minivmm was started */
	uint64_t resumed_ns;                 /* when @vm went on after a pause; 0 = it was never paused */
	bool announced_crash_loaded;         /* of @vm */
	uint64_t stop_at_ns;                 /* @vm was asked to power off: it is stopped then; 0 = not */

	uint64_t recoveries;               /* in a row */
	uint64_t unready;                  /* recovery VMs in a row that crashed before they were ready */
	uint64_t recover_at_ns;            /* start the recovery VM then; 0 = none waits */
	uint64_t reboot_at_ns;             /* start the VM after a reboot then; 0 = none waits */
	enum recovery_wait recovery_waits; /* what else keeps the recovery VM from starting */
	struct dump_job *recover_job;      /* borrowed: the crash that it recovers from, or NULL */

	struct budget budget;
	struct gate gate; /* none with another handover than gated */
	int dumps_fd;    /* owned: readable when a dump was removed; HANDOVER_EXPLICIT with wait, else -1 */
	bool blocked;    /* said that the running VM waits for the removal of a dump; HANDOVER_EXPLICIT */
	int released_fd; /* borrowed from the gate, or owned and watched: rung by the dumper; -1 = none */

	struct jobs jobs;

	bool stopping; /* no new VM is started */
	bool abandon;  /* leave now, whatever is under way */
	int exit_code;

	pthread_mutex_t reap_lock;
	pthread_cond_t reaped;
	uint32_t reaping; /* guarded by reap_lock: reapers at work */
};

/*
 * guest_run - boot the guest and stay with it to its end.
 * @events_path: event log, or NULL.  Result: the process's exit code (exit_codes.h); every failure has
 * been reported.
 */
int warn_unused guest_run(const struct config *config, const char *events_path);

/* ---- guest.c, for the others ------------------------------------------------------------ */

/* A VM with the recovery kernel, waiting.  NULL when it cannot be made (reported once). */
struct vm *guest_take_standby(struct guest *guest);

/* Makes @vm the running one: number, flags, go.  @job: the crash it recovers from, or NULL. */
void guest_start_vm(struct guest *guest, struct vm *vm, struct dump_job *job);

/* The VM after a reboot. */
void guest_reboot_now(struct guest *guest);

/* What guest->vm has reported: may handle its crash or its end, and leave another one or none. */
void guest_check_vm(struct guest *guest);

/* The operator wants a crash of guest->vm, if there is one; guest_check_vm() handles it. */
void guest_crash_now(struct guest *guest);

/* The operator wants an end: no VM runs afterwards.  A second time: without waiting for dumps. */
void guest_stop(struct guest *guest, const char *why);

/*
 * guest_ask_to_stop - press the power button of a guest that listens; one that does not, or the second time, is stopped
 * (guest_stop).  True if the button was pressed.
 */
bool guest_ask_to_stop(struct guest *guest, const char *why);

/* ---- guest_open.c ------------------------------------------------------------------------------- */

/* Opens everything; 0 or the process's exit code (reported).  guest_close() in both cases. */
int warn_unused guest_open(struct guest *guest, const char *events_path);

/* Ends what still runs, closes everything. */
void guest_close(struct guest *guest);

/* ---- guest_reap.c ------------------------------------------------------------------------------- */

/* Destroys @vm in a thread of its own. */
void guest_reap(struct guest *guest, struct vm *vm);

/* Waits until all that are being destroyed are gone. */
void guest_await_reapers(struct guest *guest);

/* ---- deadlines.c -------------------------------------------------------------------------------- */

/* Does what is due. */
void deadlines_check(struct guest *guest);

/* For epoll_wait: ms until something is due, -1 = nothing will be. */
int deadlines_next(struct guest *guest);

/* ---- guest_control.c ---------------------------------------------------------------------------- */

/* Opens vm.control, if there is to be one.  -errno (reported). */
int warn_unused guest_control_open(struct guest *guest);
void guest_control_close(struct guest *guest);

/* ---- crash.c ------------------------------------------------------------------------------------ */

/* guest->vm has crashed (vm->end is filled in): the whole crash sequence. */
void crash_handle(struct guest *guest);

/* guest->vm has crashed and dumps by itself: everything but the dump begins. */
void crash_begin(struct guest *guest);

/*
 * When timelines wait no longer for guest->vm to be ready, because it is stable and its guest never reports that;
 * UINT64_MAX = never.  jobs_settle() then.
 */
uint64_t crash_settle_deadline(const struct guest *guest);

/* @vm of the dying ones is done, has failed, or took too long: stop it and let the dumper finish. */
void crash_finish(struct guest *guest, struct vm *vm);

/* The pause before a recovery is over, or what it waited for has happened. */
void crash_recover_now(struct guest *guest);

/* Starts the recovery VM that waits (recovery_waits) if it need not any more. */
void crash_check_waiting(struct guest *guest);

/* ---- handover.c --------------------------------------------------------------------------------- */

/*
 * Sets up budget and gate, after directories and event loop; says what is missing.  Errors: -errno when there
 * is no descriptor.
 */
int warn_unused handover_open(struct guest *guest);
void handover_close(struct guest *guest);

/* @vm is over: what it leaves counts; @job is its dump, or NULL.  Before the next VM starts. */
void handover_claim(struct guest *guest, const struct vm *vm, const struct dump_job *job);

/* News of the jobs: the owner's callback (jobs.h). */
void handover_hear(struct guest *guest, enum jobs_news news, const struct dump_job *job);

/* The VM of @generation is destroyed.  For reapers; gives its memory back if it is not dumped. */
void handover_reaped(struct guest *guest, uint32_t generation);

/* The standby has changed. */
void handover_set_standby(struct guest *guest);

/* @vm is about to run; its number is set. */
void handover_start(struct guest *guest, struct vm *vm);

/* @vm is to be stopped: from here on nobody in it waits for memory. */
void handover_end(struct guest *guest, const struct vm *vm);

/* True if the budget covers a whole VM that starts now. */
bool handover_is_free(struct guest *guest);

/* Whether a recovery VM may start now. */
enum recovery_wait handover_must_wait(struct guest *guest);

/* A VM that started with a part of its memory (grants.h) gets what the budget covers by now. */
void handover_grant(struct guest *guest);

/* guest->dumps_fd is readable: there may be memory for the VM that waits for it. */
void handover_dump_removed(struct guest *guest);

/* How much of its memory guest->vm, which there is, has by now, and whether it waits for more. */
void handover_look(struct guest *guest, uint64_t *ret_granted, bool *ret_waits);

/* Says what the gate has to say. */
void handover_check(struct guest *guest);

#endif /* VMM_SUPERVISOR_GUEST_H */
