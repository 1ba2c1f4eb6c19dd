/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/memory/grants.h - a VM that starts with a part of its memory and gets the rest while it runs:
 * recovery.handover = explicit.
 *
 *      RAM offset 0        region->usable                         region->layout.ram
 *      | the VM's: memory slots, firmware calls, devices | not there yet: no slot, holes |
 *                          ^ moves up with each grant
 *
 * A grant is one more memory slot (two, where it reaches over the hole below 4 GiB) and one event for the
 * guest each.  KVM cannot change the size of a slot in use, and slots are few: so grants have a least size,
 * chosen such that the slots suffice for all of memory.  See grants_least().
 *
 * Nothing here depends on what the guest does: whether it reads its events or not, it gets its memory.
 *
 * Locks: its own, so that a dying VM's vCPU can freeze what the main thread is growing.
 */
#ifndef VMM_MEMORY_GRANTS_H
#define VMM_MEMORY_GRANTS_H

#include "dump/base/num.h"
#include "vmm/memory/region.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* our choice: memory slots for RAM; a quarter more memory with each of them is a thousandfold with all */
#define GRANT_SLOTS_MAX 32u

/* [@start, @start + @bytes) of guest-physical memory is the VM's from now on.  With the lock of grants held. */
typedef void grants_added(void *opaque, uint64_t start, uint64_t bytes);

struct grants {
	struct region *region;      /* borrowed */
	const uint32_t *generation; /* borrowed: the VM's, for messages */
	grants_added *added;        /* tells the guest */
	void *opaque;               /* borrowed: argument of @added */
	int vm_fd;                  /* borrowed: set by grants_boot() */
	pthread_mutex_t lock;
	uint64_t initial;  /* bytes that the VM boots with; fixed at creation */
	uint32_t nr_slots; /* guarded by lock: memory slots in use, numbers 0 .. nr_slots-1 */
	bool frozen;       /* guarded by lock: the VM gets no more */
};

void grants_init(struct grants *grants, struct region *region, const uint32_t *generation,
	grants_added *added, void *opaque);
void grants_fini(struct grants *grants);

/*
 * grants_limit - the VM boots with the first @initial bytes of RAM, a multiple of 2 MiB; 0, or more than there is:
 * with all of it, and nothing is to be granted later.  Before anything is loaded there.
 */
void grants_limit(struct grants *grants, uint64_t initial);

/* grants_boot - memory slots of @vm_fd for what the VM boots with.  Errors: -errno of KVM. */
int warn_unused grants_boot(struct grants *grants, int vm_fd);

/* Bytes that the VM does not have yet.  Any thread. */
uint64_t grants_left(const struct grants *grants);

/*
 * grants_offer - host memory for @available more bytes of the VM's RAM is there.
 * Result: bytes that the VM has got of it: a multiple of 2 MiB, 0 if @available is less than a grant.  The
 * caller offers the rest again, with what comes later.  Main thread.
 */
uint64_t grants_offer(struct grants *grants, uint64_t available);

/* The handover is over: the VM gets all that it does not have yet.  Main thread; more than once is fine. */
void grants_finish(struct grants *grants);

/*
 * grants_freeze - the VM is dying: it gets no more, and its region file is cut to the memory that it has; *layout, which
 * is the region's, becomes that of what is left.  Any thread; more than once is fine.
 */
void grants_freeze(struct grants *grants, struct dump_layout *layout);

/*
 * grants_least - bytes of the least grant to a VM that has @have of @total bytes and @slots slots left.
 * A multiple of 2 MiB (or all that is missing), such that the slots suffice: each later grant need add no more than
 * a quarter.
 */
uint64_t grants_least(uint64_t have, uint64_t total, uint32_t slots);

#endif /* VMM_MEMORY_GRANTS_H */
