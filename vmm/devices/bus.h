/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/devices/bus.h - finds the device behind an I/O port or a guest-physical address.
 *
 * A machine has two of these: ports and memory-mapped.  Devices get offsets into their range, never
 * addresses.  Reads that nobody claims give all ones, writes are dropped, as on a PC.
 *
 * Locks: none.  Filled by one thread before vCPUs start, read-only afterwards; a device's handlers
 * run on any vCPU thread, several at once, and do their own locking.
 */
#ifndef VMM_DEVICES_BUS_H
#define VMM_DEVICES_BUS_H

#include "dump/base/num.h"

#include <stdint.h>

/* our choice: a few fixed devices and up to 16 virtio ones */
#define BUS_DEVICES_MAX 32

/* What a vCPU does after an access. */
enum bus_verdict {
	BUS_CONTINUE, /* run on */
	BUS_STOP,     /* the guest must not execute another instruction (panic, power off) */
};

struct bus_access {
	uint32_t cpu;    /* vCPU that makes the access */
	uint64_t offset; /* bytes from the start of the device's range */
	uint32_t len;    /* bytes: 1, 2, 4 or 8 */
};

struct bus_device_ops {
	/* *ret_value is all ones before the call; only its low @len bytes count. */
	void (*read)(void *device, const struct bus_access *access, uint64_t *ret_value);
	enum bus_verdict (*write)(void *device, const struct bus_access *access, uint64_t value);
};

struct bus_device {
	const char *name; /* borrowed for the life of the bus */
	uint64_t base;
	uint64_t len; /* ports or bytes, not 0 */
	const struct bus_device_ops *ops;
	void *opaque; /* borrowed: first argument of the handlers */
};

struct bus {
	const char *name; /* "port" or "memory", for messages */
	uint32_t nr_devices;
	struct bus_device devices[BUS_DEVICES_MAX]; /* ascending by base, no overlaps */
};

void bus_init(struct bus *bus, const char *name);

/*
 * bus_add - claim a range.
 * Errors: -EEXIST if it overlaps another device (both are named in an error line), -EINVAL if it is
 * empty or wraps, -ENOSPC if the bus is full.
 */
int warn_unused bus_add(struct bus *bus, const struct bus_device *device);

/* An access of @len bytes (1, 2, 4, 8) at @addr by vCPU @cpu; it must lie whole inside one device. */
void bus_read(const struct bus *bus, uint32_t cpu, uint64_t addr, void *data, uint32_t len);
enum bus_verdict bus_write(
	const struct bus *bus, uint32_t cpu, uint64_t addr, const void *data, uint32_t len);

#endif /* VMM_DEVICES_BUS_H */
