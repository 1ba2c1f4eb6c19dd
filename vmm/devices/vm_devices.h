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
#include "vmm/memory/memmap.h"

#include <stdbool.h>

struct backends;
struct bus;
struct region;
struct vm_devices;

/* A memory-mapped device that nothing but the ACPI tables tells the guest of: a virtio-mmio transport. */
struct vm_mmio {
	uint64_t base; /* guest-physical */
	uint64_t len;  /* bytes */
	uint32_t gsi;  /* edge-triggered interrupt, an input of the IOAPIC */
};

/*
 * vm_devices_create - makes them from @backends (NULL = none) for a VM with @region, on its bus @memory, connected to
 * @vm_fd; they ring @quiet_fd (borrowed, -1 = nothing) as vm_devices_kill() says.
 * Errors: -errno.  Owner: vm_devices_destroy(*ret), also after a failure.
 */
int warn_unused vm_devices_create(struct vm_devices **ret, struct backends *backends, struct region *region,
	struct bus *memory, int vm_fd, int quiet_fd);

/* Where they are, for the guest to be told.  Result: how many. */
uint32_t vm_devices_places(const struct vm_devices *devices, struct vm_mmio ret[static VIRTIO_MMIO_SLOTS]);

/* Ends their threads; waits for what is in flight.  After the vCPUs are gone.  NULL is fine. */
void vm_devices_destroy(struct vm_devices *devices);

/*
 * vm_devices_kill - no device begins anything any more, for ever.  Before the VM's memory is given away and before
 * another VM gets its disks.  Does not wait: what is in flight may still touch guest memory, until
 * vm_devices_are_quiet(); the descriptor given at creation is rung then.  The next VM's requests to a disk wait for what
 * is in flight there (disk_attach()), and for nothing else.
 */
void vm_devices_kill(struct vm_devices *devices);

/* True if nothing is in flight. */
bool vm_devices_are_quiet(struct vm_devices *devices);

/* Says what is in flight still, on behalf of generation @generation. */
void vm_devices_report_unquiet(struct vm_devices *devices, uint32_t generation);

#endif /* VMM_DEVICES_VM_DEVICES_H */
