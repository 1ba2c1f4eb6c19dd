/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/devices/virtio_mmio.h - the register block of one virtio device (VIRTIO 1.2, section 4.2.2; version 2 only).
 *
 * Notifications go from KVM straight to the device's threads (KVM_IOEVENTFD), interrupts from those straight to
 * KVM (KVM_IRQFD); vCPUs come here for set-up, interrupt acknowledgement and reset alone.  A write of 0 to
 * Status returns when no request is in flight any more: drivers reuse their memory right after it.
 *
 * Locks: lock guards the fields below it; handlers run on vCPU threads.
 */
#ifndef VMM_DEVICES_VIRTIO_MMIO_H
#define VMM_DEVICES_VIRTIO_MMIO_H

#include "vmm/devices/bus.h"
#include "vmm/devices/virtio_dev.h"

struct virtio_mmio {
	struct virtio_dev *dev; /* borrowed */
	pthread_mutex_t lock;
	uint32_t status; /* VIRTIO_CONFIG_S_*, without NEEDS_RESET, which is dev's */
	uint32_t device_features_sel, driver_features_sel;
	uint64_t driver_features;
	uint32_t queue_sel;
	struct virtq_place places[VIRTIO_QUEUES_MAX];
	bool ready[VIRTIO_QUEUES_MAX];
	bool reported; /* a failed start, in this VM */
};

void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_dev *dev);
void virtio_mmio_fini(struct virtio_mmio *mmio);

/* Claims VIRTIO_MMIO_SIZE bytes at @base of @memory.  Errors: those of bus_add(). */
int warn_unused virtio_mmio_add(struct virtio_mmio *mmio, struct bus *memory, uint64_t base);

/*
 * Has KVM (@vm_fd) take notifications of the device at @base, and interrupts for @gsi.  Lasts as long as @vm_fd.
 * Errors: -errno.
 */
int warn_unused virtio_mmio_connect(struct virtio_mmio *mmio, int vm_fd, uint64_t base, uint32_t gsi);

#endif /* VMM_DEVICES_VIRTIO_MMIO_H */
