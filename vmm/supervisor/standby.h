/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/standby.h - a VM that is made ahead of its time, by a thread of its own: a kernel on a disk that sleeps,
 * or on a network, holds nobody up.
 *
 *      NONE --standby_build()--> BUILDS --the thread is done--> BUILT --standby_take()--> NONE
 *                                                         \---> FAILED --standby_forget()--> NONE
 *
 * Kernel and initrd are held open from the start: what is read is what was there then.
 *
 * Threads: the main thread's; the builder touches what is marked so, until it has set @done.
 */
#ifndef VMM_SUPERVISOR_STANDBY_H
#define VMM_SUPERVISOR_STANDBY_H

#include "vmm/machine/vm.h"

enum standby_state { STANDBY_NONE, STANDBY_BUILDS, STANDBY_BUILT, STANDBY_FAILED };

struct standby {
	const struct vm_shared *shared; /* borrowed */
	const char *what;               /* borrowed: for messages */
	struct boot_source source;      /* borrowed strings */
	struct boot_files files;        /* owned: the source's, open */
	enum standby_state state;
	pthread_t thread; /* while BUILDS */

	uint64_t initial;      /* bytes of RAM that it boots with, 0 = all; set before the builder starts */
	struct vm *vm;         /* owned; the builder's */
	int err;               /* the builder's: -errno, and why */
	char why[512];         /* the builder's */
	_Atomic bool done;     /* release by the builder: the three above are final */
	_Atomic bool unwanted; /* the builder is to give up */
};

/* Nothing is made, nothing is open. */
void standby_init(struct standby *standby);

/* What it is made of.  Opens the files of @source that can be opened; what cannot is reported by those who need it. */
void standby_open(struct standby *standby, const struct vm_shared *shared, const char *what,
	const struct boot_source *source);

/* Gives up what is being made, and waits for that; destroys what is made. */
void standby_fini(struct standby *standby);

/*
 * standby_make - make one here and now, while there is nothing else to do.
 * Result: a VM that is the caller's, or NULL: *ret_err is -errno (reported).
 */
struct vm *standby_make(struct standby *standby, int *ret_err);

/* Begins to make one with @initial bytes of RAM, 0 = all; NONE only.  The thread rings shared->notify_fd when it is done. */
void standby_build(struct standby *standby, uint64_t initial);

/* What has become of it.  True if that is news: BUILDS until now, and no more. */
bool standby_look(struct standby *standby);

/* The VM that is BUILT becomes the caller's. */
struct vm *standby_take(struct standby *standby);

/* The VM that is BUILT, or NULL. */
static inline const struct vm *standby_vm(const struct standby *standby)
{
	return standby->state == STANDBY_BUILT ? standby->vm : NULL;
}

/* FAILED becomes NONE: the next one may be made. */
void standby_forget(struct standby *standby);

/* Whether making one again may succeed after FAILED with @err: the host had no memory, no descriptors, no threads. */
bool standby_may_retry(int err);

#endif /* VMM_SUPERVISOR_STANDBY_H */
