/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/machine/vm.h - one virtual machine: a KVM VM, its vCPUs, devices, RAM and its crash record in waiting.
 *
 * Several live in one process: the running one, its standby, and crashed ones on their way out.
 *
 * Threads: vCPU threads report through vm_end() and the atomics below and ring notify_fd; the
 * supervisor reads those, and alone calls the functions that command the VM.
 *
 *      vm_create.c   making and destroying one, with its table of devices
 *      vm_command.c  what the supervisor has it do
 *      vm.c          what its own threads report and wait for
 */
#ifndef VMM_MACHINE_VM_H
#define VMM_MACHINE_VM_H

#include "dump/record/record.h"
#include "vmm/devices/bus.h"
#include "vmm/machine/event_queue.h"
#include "vmm/base/events.h"
#include "vmm/memory/grants.h"
#include "vmm/machine/guest_dump.h"
#include "vmm/host/kvm.h"
#include "vmm/memory/memmap.h"
#include "vmm/memory/region.h"
#include "vmm/devices/serial.h"
#include "vmm/machine/vcpu.h"
#include "vmm/devices/vm_devices.h"
#include "vmm/machine/watchdog.h"

#include <pthread.h>
#include <stdatomic.h>

/* What the vCPU threads are to do: see vcpu.h. */
enum vm_command { VM_HOLD, VM_RUN, VM_PAUSE, VM_PARK, VM_QUIT };

/* Why a VM is over. */
enum vm_end_kind { VM_END_CRASH = 1, VM_END_REBOOT, VM_END_POWER_OFF };

struct vm_end {
	enum vm_end_kind kind;
	enum dump_reason reason; /* CRASH */
	uint32_t cpu;            /* that saw it */
	uint64_t detail;         /* CRASH: see dump_record.detail; REBOOT, POWER_OFF: the guest's code */
	uint64_t ns;             /* CLOCK_MONOTONIC when it was seen */
	bool guest_dumped;       /* CRASH: the guest has written its dump by itself (FW_PANIC_END) */
};

/* What all VMs of one guest share; everything borrowed, read-only while VMs live. */
struct vm_shared {
	const struct kvm *kvm;
	struct console *console;
	struct backends *backends; /* disks and network interfaces; NULL = none */
	struct events *events;
	int dir_fd;             /* directory of regions */
	const char *memory_dir; /* its path, for messages */
	int dump_dir_fd;        /* directory of dumps; may be the same */
	uint32_t dump_mode;     /* FW_DUMP_MODE_*: who dumps after a panic call */
	int notify_fd;          /* eventfd that vCPU threads ring */
	uint32_t nr_vcpus;
	uint64_t memory; /* bytes of RAM */
	bool watchdog;   /* vCPUs are to be watched: see watchdog.h */
};

struct vm {
	const struct vm_shared *shared; /* borrowed */
	int fd;                         /* owned */
	uint32_t generation;            /* set before the VM runs */
	bool recovery;                  /* started because its predecessor crashed; set before it runs */
	struct region region;
	struct grants grants; /* how much of it the VM has */
	struct bus ports, memory;
	struct serial serial;
	struct vm_devices *devices; /* owned: the virtio ones */
	struct event_queue events;  /* for the guest to read */
	struct dump_record *record; /* owned: vCPU threads save registers here when parked */
	int record_fd;              /* owned */
	struct vcpu *vcpus;         /* owned: shared->nr_vcpus of them */
	uint32_t nr_vcpus_created;
	uint32_t tsc_khz; /* of the guest; 0 = unknown; set at creation */

	pthread_mutex_t lock;
	pthread_cond_t commanded;        /* vCPU threads wait for a command */
	pthread_cond_t parked;           /* the supervisor waits for parked vCPUs */
	_Atomic enum vm_command command; /* written with lock held, read anywhere */
	uint64_t commands;     /* guarded by lock: number of the command, so that none is missed */
	_Atomic bool stopping; /* the command is past RUN: nobody may wait for anything */
	uint32_t nr_parked;    /* guarded by lock */
	uint32_t nr_paused;    /* guarded by lock: vCPUs that stand still in a pause */

	/* A guest that dumps by itself goes on after its crash: see guest_dump.h. */
	struct guest_dump guest_dump;
	_Atomic bool crash_claimed; /* by the first FW_PANIC_BEGIN */
	_Atomic bool dying;  /* release: @crash and the record are filled in; acquire by the supervisor */
	struct vm_end crash; /* how it began to die */
	uint64_t dying_deadline_ns; /* supervisor: dump without the guest then */
	uint64_t quiet_deadline_ns; /* supervisor: dump it then, though requests to disks are in flight */
	bool dumps_itself;          /* supervisor: it is dying, and goes on until it has dumped */
	struct vm *next_dying;      /* supervisor's list */

	_Atomic bool ended;     /* claimed by the first vm_end() */
	_Atomic bool end_valid; /* release: end is filled in; acquire by the supervisor */
	struct vm_end end;
	_Atomic uint64_t first_run_ns;   /* 0 = has not entered the guest yet */
	_Atomic uint64_t ready_ns;       /* first ready call; 0 = none */
	_Atomic uint64_t heartbeat_ns;   /* last heartbeat call; 0 = none */
	_Atomic uint32_t post_codes;     /* POST codes reported so far */
	_Atomic bool calls_made;         /* the guest has made a firmware call */
	_Atomic bool crash_loaded;       /* pvpanic: the guest's own crash kernel takes over */
	struct watchdog watchdog;        /* supervisor */
	struct dump_record *predecessor; /* borrowed or NULL: gets the moment of the first KVM_RUN */
};

/*
 * vm_create - a VM with @source loaded, its vCPU threads waiting (VM_HOLD).
 * @initial: bytes of RAM that it boots with, or 0: all; see grants.h.
 * Errors: -errno with a sentence in @why.  Owner: vm_destroy().
 */
int warn_unused vm_create(struct vm **ret, const struct vm_shared *shared, uint64_t initial,
	const struct boot_source *source, char *why, size_t why_size);

/* Ends the threads, closes everything.  Slow (tens of ms): not for critical paths.  NULL is fine. */
void vm_destroy(struct vm *vm);

/* ---- vm_command.c: for the supervisor --------------------------------------------------------------- */

/* Lets the vCPUs run.  Generation, recovery and predecessor are set before. */
void vm_start(struct vm *vm);

/*
 * vm_ask_to_park - the first half of vm_park(), which is still to be called: vCPUs stop as soon as they can.  One
 * that waits for memory (gate.h) stops when it has been let through, before it touches more.
 */
void vm_ask_to_park(struct vm *vm);

/*
 * vm_park - stop every vCPU where it is and have its registers saved into vm->record.
 * Result: 0, or -ETIMEDOUT when some did not stop within @timeout_ns; those have saved = 0 in the
 * record, and stop as soon as they leave the guest or the device access that they are in.
 */
int warn_unused vm_park(struct vm *vm, uint64_t timeout_ns);

/*
 * vm_pause - stop every vCPU until vm_resume().  The VM keeps everything, and can be parked or destroyed as it is.
 * Result: how many vCPUs have not stopped within @timeout_ns: those wait in a device access, for instance for
 * the console, and stop as soon as it is over.
 */
uint32_t vm_pause(struct vm *vm, uint64_t timeout_ns);
void vm_resume(struct vm *vm);

/* Has the threads of the vCPUs end, which vcpu_destroy() waits for. */
void vm_quit(struct vm *vm);

static inline bool vm_is_paused(const struct vm *vm)
{
	return atomic_load(&vm->command) == VM_PAUSE;
}

/* ---- vm.c: for threads of the VM ---------------------------------------------------------------------- */

/*
 * vm_end - report the end of the VM; only the first report counts.  Any thread.
 * Result: true for the first.  Rings notify_fd.
 */
bool vm_end(struct vm *vm, const struct vm_end *end);

/* The two halves of vm_end(), for who has something to fill in between: true for the first; once, by that one. */
bool vm_claim_end(struct vm *vm);
void vm_publish_end(struct vm *vm, const struct vm_end *end);

/* Rings notify_fd. */
void vm_notify(struct vm *vm);

/* What a vCPU's thread can do. */
struct vm_duties {
	void (*run)(void *opaque);     /* runs the guest as long as vm->command is VM_RUN, or for less */
	void (*resumed)(void *opaque); /* the pause is over */
	void (*park)(void *opaque);    /* saves what is to be saved */
};

/*
 * vm_obey - the body of a vCPU's thread: does what is commanded, and returns on VM_QUIT.
 * Every command is obeyed that is not followed by another one before the thread gets to it.
 */
void vm_obey(struct vm *vm, const struct vm_duties *duties, void *opaque);

/* Tells the guest that an event waits: one edge of GSI_EVENTS.  Any thread. */
void vm_ring_events(struct vm *vm);

/* The firmware-call port and the POST port (firmware_port.c). */
int warn_unused firmware_port_add(struct vm *vm);

/* The pvpanic port (pvpanic.c). */
int warn_unused pvpanic_add(struct vm *vm);

#endif /* VMM_MACHINE_VM_H */
