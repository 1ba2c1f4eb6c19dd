/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/guest_state.h - what a guest can be doing, and what may follow on what.
 *
 * docs/architecture.md, "States", has the picture.  Pure.
 */
#ifndef VMM_SUPERVISOR_GUEST_STATE_H
#define VMM_SUPERVISOR_GUEST_STATE_H

#include <stdbool.h>

/* In the order of docs/control.md, where `ctl status` has their names. */
enum guest_state {
	GUEST_STARTS,        /* before the first VM */
	GUEST_RUNS,          /* a VM runs; it has not reported that it is ready */
	GUEST_READY,         /* a VM runs, and has */
	GUEST_PAUSED,        /* a VM stands still until the operator lets it go on */
	GUEST_WAITS_BACKOFF, /* no VM: recovery.backoff */
	GUEST_WAITS_DUMP,    /* no VM: recovery.concurrent = no */
	GUEST_WAITS_MEMORY,  /* no VM: what a dump under way, or somebody else, has yet to give back */
	GUEST_WAITS_STANDBY, /* no VM: the next one is being made */
	GUEST_WAITS_REBOOT,  /* no VM: the guest reboots */
	GUEST_STOPPING,      /* a VM runs, and was asked to power off */
	GUEST_ENDING,        /* no VM, and none will come */
	GUEST_STATES
};

/* "running", "waits-memory" ... */
const char *guest_state_name(enum guest_state state);

/* True if @to may follow on @from. */
bool guest_state_may_follow(enum guest_state from, enum guest_state to);

#endif /* VMM_SUPERVISOR_GUEST_STATE_H */
