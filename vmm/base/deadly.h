/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/base/deadly.h - signals that end the process without its exit(): what has to be put right before it dies.
 *
 * Nothing can be done about SIGKILL.  Signals that are ignored, or that somebody has a handler for, are left alone.
 * Locks: set up by one thread; handlers run on any.
 */
#ifndef VMM_BASE_DEADLY_H
#define VMM_BASE_DEADLY_H

/*
 * deadly_watch - has @before called on each signal whose default action ends the process; then the process dies of it
 * as it would have.  @before may call only what signal-safety(7) allows.  NULL ends it.
 */
void deadly_watch(void (*before)(void));

/* For a handler of a deadly signal of its own, which finds that the process has to die: calls what is watched. */
void deadly_call(void);

#endif /* VMM_BASE_DEADLY_H */
