/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/devices/bus.c - see bus.h */
#include "vmm/devices/bus.h"

#include "dump/base/log.h"

#include <errno.h>
#include <string.h>

void bus_init(struct bus *bus, const char *name)
{
	memset(bus, 0, sizeof(*bus));
	bus->name = name;
}

int bus_add(struct bus *bus, const struct bus_device *device)
{
	uint32_t at = 0;
	uint64_t end;

	if (!device->len || u64_add_overflows(device->base, device->len, &end))
		return -EINVAL;
	if (bus->nr_devices == BUS_DEVICES_MAX)
		return -ENOSPC;
	for (uint32_t i = 0; i < bus->nr_devices; i++) {
		const struct bus_device *other = &bus->devices[i];

		if (device->base < other->base + other->len && other->base < end) {
			log_error("%s bus: %s at 0x%llx-0x%llx overlaps %s at 0x%llx-0x%llx", bus->name,
				device->name, (unsigned long long)device->base, (unsigned long long)end - 1,
				other->name, (unsigned long long)other->base,
				(unsigned long long)(other->base + other->len - 1));
			return -EEXIST;
		}
		if (other->base < device->base)
			at = i + 1;
	}
	memmove(&bus->devices[at + 1], &bus->devices[at], (bus->nr_devices - at) * sizeof(bus->devices[0]));
	bus->devices[at] = *device;
	bus->nr_devices++;
	return 0;
}

static const struct bus_device *find(const struct bus *bus, uint64_t addr, uint32_t len)
{
	uint32_t low = 0, high = bus->nr_devices;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct bus_device *device = &bus->devices[middle];

		if (addr < device->base)
			high = middle;
		else if (addr - device->base >= device->len)
			low = middle + 1;
		else
			return device->len - (addr - device->base) >= len ? device : NULL;
	}
	return NULL;
}

void bus_read(const struct bus *bus, uint32_t cpu, uint64_t addr, void *data, uint32_t len)
{
	const struct bus_device *device = find(bus, addr, len);
	uint64_t value = UINT64_MAX;

	assert(len <= sizeof(value));
	if (device && device->ops->read)
		device->ops->read(device->opaque,
			&(struct bus_access){.cpu = cpu, .offset = addr - device->base, .len = len},
			&value);
	memcpy(data, &value, len);
}

enum bus_verdict bus_write(
	const struct bus *bus, uint32_t cpu, uint64_t addr, const void *data, uint32_t len)
{
	const struct bus_device *device = find(bus, addr, len);
	uint64_t value = 0;

	assert(len <= sizeof(value));
	memcpy(&value, data, len);
	if (!device || !device->ops->write)
		return BUS_CONTINUE;
	return device->ops->write(device->opaque,
		&(struct bus_access){.cpu = cpu, .offset = addr - device->base, .len = len}, value);
}
