/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/machine/vcpu.h - one virtual CPU: its thread, its run loop, its registers.
 *
 * The life of the thread follows the VM's command (vm.h, vm_obey()):
 *
 *	HOLD  wait                      (standby: made ahead of time, costs nothing)
 *	RUN   KVM_RUN, handle the exit, again
 *	PAUSE wait, then go on
 *	PARK  complete the pending exit, save all registers into the crash record, report, wait
 *	QUIT  return
 *
 * Kick: the command is stored first, then immediate_exit is set, then VCPU_KICK_SIGNAL is sent; its
 * handler is empty.  KVM_RUN returns EINTR, the thread clears immediate_exit and reads the command
 * again, so no order of events loses a request.
 *
 * Locks: fields are set before the thread starts; the thread alone uses fd and run, except that
 * vcpu_kick sets run->immediate_exit.
 */
#ifndef VMM_MACHINE_VCPU_H
#define VMM_MACHINE_VCPU_H

#include "dump/base/log.h"
#include "dump/record/record.h"
#include "vmm/host/kvm.h"
#include "vmm/boot/loader.h"

#include <pthread.h>
#include <signal.h>

struct vm;

/* our choice: real-time signals are not used by the C library below SIGRTMIN */
#define VCPU_KICK_SIGNAL SIGRTMIN

struct vcpu {
	struct vm *vm;       /* borrowed: the machine it belongs to */
	uint32_t id;         /* also its APIC id */
	int fd;              /* owned */
	int stats_fd;        /* owned: KVM's counters, for the watchdog; -1 = none */
	struct kvm_run *run; /* owned mapping of kvm->run_size bytes, shared with the kernel */
	pthread_t thread;
	bool started; /* the thread exists */
	bool over;    /* the thread's own: it saw the end of the VM, and runs no guest any more */
	struct log_limit refused; /* the thread's own: lines about firmware calls that were refused */
};

/* Makes EINTR out of VCPU_KICK_SIGNAL; once a process, before the first vCPU. */
int warn_unused vcpu_kick_init(void);

/*
 * vcpu_create - a vCPU of @vm with its CPUID; number 0 is set up to start at @entry, the others wait for
 * INIT/SIPI.  Its thread is started and obeys vm->command.
 * Errors: -errno.  Owner: vcpu_destroy(), after the command is VM_QUIT.
 */
int warn_unused vcpu_create(struct vcpu *ret, struct vm *vm, uint32_t id, const struct boot_entry *entry);
void vcpu_destroy(struct vcpu *vcpu);

/* Makes the thread look at vm->command soon.  Any thread. */
void vcpu_kick(struct vcpu *vcpu);

/*
 * vcpu_save - read every register into @ret (vcpu_state.c).  Only the vCPU's own thread, parked.
 * What cannot be read is left out; ret->saved tells whether the general registers are there.
 */
void vcpu_save(struct vcpu *vcpu, struct dump_cpu *ret);

/* Sets what firmware would: MSRs, and on the boot processor the registers for @entry (vcpu_state.c). */
int warn_unused vcpu_set_boot_state(struct vcpu *vcpu, const struct boot_entry *entry);

#endif /* VMM_MACHINE_VCPU_H */
