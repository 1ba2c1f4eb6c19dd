/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/guest_impl.h - a guest and its parts.  Each part is written by its own file alone; guest.h has the order
 * in which they stand.
 *
 * Threads: everything belongs to the main thread, but what a part's header says otherwise.
 */
#ifndef VMM_SUPERVISOR_GUEST_IMPL_H
#define VMM_SUPERVISOR_GUEST_IMPL_H

#include "vmm/control/control.h"
#include "vmm/jobs/jobs.h"
#include "vmm/supervisor/handover.h"
#include "vmm/supervisor/reapers.h"
#include "vmm/supervisor/recovery.h"
#include "vmm/supervisor/standby.h"
#include "vmm/supervisor/surroundings.h"

/* fullness.c's */
struct fullness {
	uint64_t look_ns; /* when to look next whether vm.memory_dir is full */
	bool said;        /* that it is */
};

struct guest {
	const struct config *config; /* borrowed */
	uint64_t started_ns;         /* when minivmm was started */
	struct surroundings around;
	struct handover handover;
	struct reapers reapers;
	struct standby standby; /* of the next recovery */
	struct standby fresh;   /* of the next reboot */
	struct jobs jobs;
	struct recovery recovery;
	struct vm *dying; /* owned list, crash.c's: crashed VMs whose dump has not begun */
	struct fullness fullness;
	struct control control; /* guest_control.c's */
};

/* ---- crash.c ------------------------------------------------------------------------------------ */

/* The running VM has crashed (vm->end is filled in): the whole crash sequence. */
void crash_handle(struct guest *guest);

/* The running VM has crashed and dumps by itself: everything but the dump begins. */
void crash_begin(struct guest *guest);

/*
 * When @vm of the dying ones is done, or out of time; 0 = now.  It dumps by itself, or requests of its devices are in
 * flight.  crash_finish() then: stops it and lets the dumper begin, or finish.
 */
uint64_t crash_deadline(const struct vm *vm);
void crash_finish(struct guest *guest, struct vm *vm);

/* Destroys those that are left. */
void crash_fini(struct guest *guest);

/* True if @generation is crashed and goes on until it has dumped by itself. */
bool crash_dumps_itself(const struct guest *guest, uint32_t generation);

/* The dump of @generation is not to wait for its VM any more. */
void crash_hurry(struct guest *guest, uint32_t generation);

/* ---- vm_reports.c ------------------------------------------------------------------------------- */

/* What VMs have reported: may handle a crash or an end, and leave another running VM or none. */
void vm_reports_check(struct guest *guest);

/* The same for VMs that dump by themselves: those that are done, and those out of time. */
void vm_reports_check_dying(struct guest *guest);

/* ---- operator.c --------------------------------------------------------------------------------- */

/* The operator wants a crash of the running VM, if there is one; vm_reports_check() handles it. */
void guest_crash_now(struct guest *guest);

/* The operator wants an end: no VM runs afterwards.  A second time: without waiting for dumps. */
void guest_stop(struct guest *guest, const char *why);

/*
 * guest_ask_to_stop - press the power button of a guest that listens; one that does not, or the second time, is stopped
 * (guest_stop).  True if the button was pressed.
 */
bool guest_ask_to_stop(struct guest *guest, const char *why);

/* ---- deadlines.c -------------------------------------------------------------------------------- */

/* Does what is due. */
void deadlines_check(struct guest *guest);

/* For epoll_wait: ms until something is due, -1 = nothing will be. */
int deadlines_next(struct guest *guest);

/* ---- fullness.c --------------------------------------------------------------------------------- */

/* When to look next; UINT64_MAX = never. */
uint64_t fullness_deadline(const struct guest *guest);

/* Looks whether the running VM cannot get memory, if it is time: old dumps go for it, or it is said. */
void fullness_check(struct guest *guest, uint64_t now);

/* ---- guest_control.c ---------------------------------------------------------------------------- */

/* Opens vm.control, if there is to be one.  -errno (reported). */
int warn_unused guest_control_open(struct guest *guest);
void guest_control_close(struct guest *guest);

/* ---- guest_open.c ------------------------------------------------------------------------------- */

/* Opens everything; 0 or the process's exit code (reported).  guest_close() in both cases. */
int warn_unused guest_open(struct guest *guest, const struct config *config, const char *events_path);

/* Ends what still runs, closes everything. */
void guest_close(struct guest *guest);

#endif /* VMM_SUPERVISOR_GUEST_IMPL_H */
