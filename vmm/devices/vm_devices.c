/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/devices/vm_devices.c - see vm_devices.h */
#include "vmm/devices/vm_devices.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/host/backends.h"
#include "vmm/memory/memmap.h"
#include "vmm/devices/virtio_blk.h"
#include "vmm/devices/virtio_mmio.h"
#include "vmm/devices/virtio_net.h"
#include "vmm/devices/virtio_rng.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static_assert(CONFIG_DISKS_MAX + CONFIG_NETS_MAX + 1 <= VIRTIO_MMIO_SLOTS, "a place for every device");

struct vm_devices {
	struct virtio_blk disks[CONFIG_DISKS_MAX];
	struct virtio_net nets[CONFIG_NETS_MAX];
	struct virtio_rng rng;
	struct virtio_dev
		*all[VIRTIO_MMIO_SLOTS]; /* those above that exist, in the order of their places */
	struct virtio_mmio mmio[VIRTIO_MMIO_SLOTS];
	uint32_t nr;
};

/* The next place on the bus is @dev's. */
static int plug(struct vm_devices *devices, struct virtio_dev *dev, struct bus *memory, int vm_fd)
{
	uint32_t slot = devices->nr++;
	int err;

	devices->all[slot] = dev;
	virtio_mmio_init(&devices->mmio[slot], dev);
	err = virtio_mmio_add(&devices->mmio[slot], memory, virtio_mmio_base(slot));
	if (!err)
		err = virtio_mmio_connect(
			&devices->mmio[slot], vm_fd, virtio_mmio_base(slot), virtio_mmio_gsi(slot));
	return err;
}

int vm_devices_create(struct vm_devices **ret, struct backends *backends, struct region *region,
	struct bus *memory, int vm_fd, int quiet_fd)
{
	struct vm_devices *devices = calloc(1, sizeof(*devices));
	int err = 0;

	*ret = devices;
	if (!devices)
		return -ENOMEM;
	for (uint32_t i = 0; backends && i < backends->nr_disks && !err; i++) {
		err = virtio_blk_init(&devices->disks[i], &backends->disks[i], region);
		if (!err)
			err = plug(devices, &devices->disks[i].dev, memory, vm_fd);
	}
	for (uint32_t i = 0; backends && i < backends->nr_taps && !err; i++) {
		err = virtio_net_init(&devices->nets[i], &backends->taps[i], region);
		if (!err)
			err = plug(devices, &devices->nets[i].dev, memory, vm_fd);
	}
	if (!err)
		err = virtio_rng_init(&devices->rng, region);
	if (!err)
		err = plug(devices, &devices->rng.dev, memory, vm_fd);
	for (uint32_t i = 0; i < devices->nr; i++)
		devices->all[i]->quiet_fd = quiet_fd;
	return err;
}

uint32_t vm_devices_places(const struct vm_devices *devices, struct vm_mmio ret[static VIRTIO_MMIO_SLOTS])
{
	for (uint32_t i = 0; i < devices->nr; i++)
		ret[i] = (struct vm_mmio){
			.base = virtio_mmio_base(i), .len = VIRTIO_MMIO_SIZE, .gsi = virtio_mmio_gsi(i)};
	return devices->nr;
}

void vm_devices_destroy(struct vm_devices *devices)
{
	if (!devices)
		return;
	for (uint32_t i = 0; i < devices->nr; i++)
		log_debug("virtio %s %s: %" PRIu64 " requests, %" PRIu64 " of them refused",
			devices->all[i]->ops->name, devices->all[i]->label,
			atomic_load(&devices->all[i]->requests), atomic_load(&devices->all[i]->refused));
	for (size_t i = 0; i < CONFIG_DISKS_MAX; i++)
		virtio_dev_fini(&devices->disks[i].dev);
	for (size_t i = 0; i < CONFIG_NETS_MAX; i++)
		virtio_dev_fini(&devices->nets[i].dev);
	virtio_dev_fini(&devices->rng.dev);
	for (uint32_t i = 0; i < devices->nr; i++)
		virtio_mmio_fini(&devices->mmio[i]);
	free(devices);
}

void vm_devices_kill(struct vm_devices *devices)
{
	for (uint32_t i = 0; devices && i < devices->nr; i++)
		virtio_dev_kill(devices->all[i]);
}

bool vm_devices_are_quiet(struct vm_devices *devices)
{
	for (uint32_t i = 0; devices && i < devices->nr; i++)
		if (!virtio_dev_is_quiet(devices->all[i]))
			return false;
	return true;
}

void vm_devices_report_unquiet(struct vm_devices *devices, uint32_t generation)
{
	for (uint32_t i = 0; devices && i < devices->nr; i++) {
		const struct virtio_dev *dev = devices->all[i];

		if (!virtio_dev_is_quiet(devices->all[i]))
			log_warn("generation %u: %s %s: requests do not come to an end; the next VM waits "
				 "for them",
				generation, dev->ops->name, dev->label);
	}
}
