/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/devices/vm_devices.h - the virtio devices of one VM: a disk each, a network card each, one source of entropy.
 *
 * They are made with the VM, but a device opens, reads and attaches to nothing before its driver in the guest
 * says that it is ready: a standby VM's devices are as idle as the VM.
 */
#ifndef VMM_DEVICES_VM_DEVICES_H
#define VMM_DEVICES_VM_DEVICES_H

#include "dump/base/num.h"

struct vm;
struct vm_devices;

/*
 * vm_devices_add - makes them for @vm from vm->shared->backends, on vm->memory, connected to KVM, announced.
 * Errors: -errno.  Owner: vm_devices_destroy(vm->devices), also after a failure.
 */
int warn_unused vm_devices_add(struct vm *vm);

/* Ends their threads; waits for what is in flight.  After the vCPUs are gone.  NULL is fine. */
void vm_devices_destroy(struct vm_devices *devices);

/*
 * vm_quiesce_devices - no device of @vm touches guest memory or a backend from here on, for ever; what is in flight
 * is finished first.  Before the VM's memory is given away and before another VM gets its disks.
 * What takes longer than a bound (a disk that hangs) is left to end by itself, and said in a warning: the next VM's
 * requests to that disk wait for it (disk_attach()).
 */
void vm_quiesce_devices(struct vm *vm);

#endif /* VMM_DEVICES_VM_DEVICES_H */
