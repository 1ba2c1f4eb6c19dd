/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/virtio_driver.h - the other side of a virtio device: a driver that can also misbehave.
 *
 * Guest memory is a real region of 4 GiB (nothing of it is touched but a few pages), mapped, so that the driver
 * plays the guest's vCPU.  Every helper ends the test when the host refuses.
 *
 *      0x10000 + queue * 0x10000    descriptors; +0x4000 available ring; +0x8000 used ring
 *      DRIVER_DATA                  buffers
 */
#ifndef TESTS_UNIT_VIRTIO_DRIVER_H
#define TESTS_UNIT_VIRTIO_DRIVER_H

#include "vmm/devices/virtio_mmio.h"

#include <linux/virtio_ring.h>

#define DRIVER_RAM GIB(4)
#define DRIVER_DATA MIB(1)
#define DRIVER_QUEUE_SIZE 256u
#define DRIVER_MMIO 0xd0000000ull

struct driver_queue {
	struct vring_desc *desc;
	uint16_t *avail; /* flags, index, heads ... */
	uint16_t *used;
	uint16_t next_avail, next_used;
};

struct driver {
	struct region region;
	struct bus bus;
	struct virtio_mmio mmio;
	struct virtio_dev *dev;
	struct driver_queue queues[VIRTIO_QUEUES_MAX];
};

/* Makes guest memory; the device comes with driver_plug(). */
void driver_init(struct driver *driver);
void driver_fini(struct driver *driver);
void driver_plug(struct driver *driver, struct virtio_dev *dev);

/* Guest memory at @gpa. */
void *driver_at(struct driver *driver, gpa_t gpa);

uint32_t driver_read(struct driver *driver, uint32_t reg);
void driver_write(struct driver *driver, uint32_t reg, uint32_t value);

/* Where the driver puts queue @index. */
struct virtq_place driver_place(uint32_t index);

/* The whole handshake, with features @wanted; rings are cleared first. */
void driver_start(struct driver *driver, uint64_t wanted);
void driver_set_up_queue(struct driver *driver, uint32_t index, const struct virtq_place *place);

/* Fills descriptor @at of queue @index. */
void driver_desc(struct driver *driver, uint32_t index, uint16_t at, gpa_t gpa, uint32_t len,
	uint16_t flags, uint16_t next);

/* Makes the chain at @head available, and notifies. */
void driver_offer(struct driver *driver, uint32_t index, uint16_t head);
void driver_notify(struct driver *driver, uint32_t index);

/* Waits up to 5 s for the next used chain; fails the test if none comes.  Result: its bytes; *ret_head. */
uint32_t driver_await(struct driver *driver, uint32_t index, uint16_t *ret_head);

/* True if a chain has been given back that driver_await() has not seen; looks for @ms. */
bool driver_sees_used(struct driver *driver, uint32_t index, int ms);

/* Waits up to 5 s for NEEDS_RESET. */
void driver_await_needs_reset(struct driver *driver);

#endif /* TESTS_UNIT_VIRTIO_DRIVER_H */
