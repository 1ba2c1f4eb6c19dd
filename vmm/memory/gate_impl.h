/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/memory/gate_impl.h - what gate.c (life, attaching, reports) and gate_serve.c (who may touch what) share.
 *
 * Locks: the gate's lock is held by the caller, but of gate_thread().
 */
#ifndef VMM_MEMORY_GATE_IMPL_H
#define VMM_MEMORY_GATE_IMPL_H

#include "vmm/memory/gate.h"

/* The thread; @opaque is the gate.  Ends when quit is set and the gate is woken. */
void *gate_thread(void *opaque);

/* Ends the handover if the budget covers everything, or never will and need not; true then. */
bool gate_finish_if_over(struct gate *gate, struct budget_state *ret_state);

/* Opens all memory of the gated VM, which there is, and forgets it. */
void gate_open_everything(struct gate *gate);

/* Forgets the gated VM; nothing of it is registered any more. */
void gate_forget(struct gate *gate);

#endif /* VMM_MEMORY_GATE_IMPL_H */
