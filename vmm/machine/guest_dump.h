/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/machine/guest_dump.h - a crashed guest that dumps by itself: streams it writes to, memory it is given.
 *
 *      guest                             VMM, on the calling vCPU's thread
 *      FW_PANIC (BEGIN)   ------------>  makes the dump file; the recovery VM is started meanwhile
 *      FW_DUMP_OPEN       ------------>  a window [start, start + len) of the dump file
 *      FW_DUMP_WRITE      ------------>  copies into the window at the stream's position
 *      FW_MEM_ADD         ------------>  maps a window as guest memory (a new memory slot)
 *      FW_PANIC (END)     ------------>  vCPUs stop, the dumper finishes the file
 *
 * The dump file has the layout of a vmcore from the beginning, so that all windows together are one:
 * nothing is put together afterwards.
 *
 * The guest is hostile: every number is bounded against the layout, windows of one kind may not
 * overlap, tables have fixed sizes.
 *
 * Locks: lock guards the tables; data moves without it.  Any vCPU thread may call, several at once.
 */
#ifndef VMM_MACHINE_GUEST_DUMP_H
#define VMM_MACHINE_GUEST_DUMP_H

#include "firmware/abi.h"
#include "vmm/memory/region.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct dump_stream {
	bool open;
	uint64_t off; /* RAM offset of its window */
	uint64_t len; /* bytes */
	uint64_t pos; /* bytes written or being written */
};

struct dump_area {
	bool used;
	fw_gpa_t added; /* where the guest sees it */
	uint64_t off;   /* RAM offset of its window */
	uint64_t len;   /* bytes */
	char *map;      /* owned: the window in the VMM's address space */
	void *reserve;  /* owned: the address range that holds @map */
	uint64_t reserve_size;
};

/* What it needs of its VM; everything borrowed. */
struct guest_dump_source {
	int vm_fd;
	int dir_fd;                       /* directory of dumps */
	struct region *region;            /* the VM's memory */
	const struct dump_layout *layout; /* of the dump: what of the region is the VM's */
	uint32_t phys_bits;               /* of the guest's physical addresses */
	const _Atomic bool *stopping;     /* nobody may wait for anything any more */
};

struct guest_dump {
	struct guest_dump_source source; /* set by BEGIN, read once @active is */
	pthread_mutex_t lock;
	pthread_mutex_t releaser; /* held by the vCPU that punches; guards @given_back */
	uint64_t given_back;      /* bytes; for others once the vCPUs are parked */
	_Atomic bool released;    /* some of the guest's memory is in the dump file alone */
	_Atomic bool active;      /* between BEGIN and the VM's end */
	int file_fd;              /* owned: the dump file; -1 = none */
	uint32_t first_slot;      /* KVM memory slot of area 0 */
	fw_gpa_t next_added;      /* guarded by lock: lowest address not yet given out */
	fw_gpa_t added_end;       /* addresses from here on do not exist in the guest */
	pthread_mutex_t writer;   /* held by the vCPU that is in pwrite(): see write_piece() */
	uint64_t written;         /* guarded by lock: bytes written to streams */
	struct dump_stream streams[FW_STREAMS_MAX]; /* guarded by lock */
	struct dump_area areas[FW_STREAMS_MAX];     /* guarded by lock */
};

void guest_dump_init(struct guest_dump *dump);

/*
 * guest_dump_begin - make the dump file in @source->dir_fd.  Once for a VM.
 * Errors: -EBUSY if there is one already, else -errno; the VM can then only be dumped by the VMM.
 */
int warn_unused guest_dump_begin(struct guest_dump *dump, const struct guest_dump_source *source);

/* Removes all areas and closes the file; the vCPUs are gone or stand still. */
void guest_dump_fini(struct guest_dump *dump);

/* The firmware calls; arguments and statuses as in firmware/abi.h. */
int32_t guest_dump_open(struct guest_dump *dump, fw_gpa_t start, uint64_t len, uint32_t *ret_stream);
int32_t guest_dump_write(
	struct guest_dump *dump, uint32_t stream, fw_gpa_t buf, uint64_t len, bool release);
int32_t guest_dump_close(struct guest_dump *dump, uint32_t stream);
int32_t guest_dump_mem_add(struct guest_dump *dump, fw_gpa_t start, uint64_t len, fw_gpa_t *ret_added);
int32_t guest_dump_mem_remove(struct guest_dump *dump, fw_gpa_t added);

#endif /* VMM_MACHINE_GUEST_DUMP_H */
