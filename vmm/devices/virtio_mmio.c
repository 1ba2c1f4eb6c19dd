/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/devices/virtio_mmio.c - see virtio_mmio.h.  Section numbers are those of the VIRTIO 1.2 specification. */
#include "vmm/devices/virtio_mmio.h"

#include "dump/base/log.h"
#include "vmm/memory/memmap.h"

#include <errno.h>
#include <linux/kvm.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/ioctl.h>

/* 4.2.2: the block begins with these */
#define MAGIC 0x74726976u /* "virt" */
#define VERSION 2u
/* our choice: vendor ids of virtio-mmio are free; bytes "MVMM" */
#define VENDOR 0x4d4d564du

/* ---- the life of the device ------------------------------------------------------------------------ */

static uint32_t status_now(const struct virtio_mmio *mmio)
{
	return mmio->status | (atomic_load(&mmio->dev->needs_reset) ? VIRTIO_CONFIG_S_NEEDS_RESET : 0);
}

static void reset(struct virtio_mmio *mmio)
{
	struct virtio_dev *dev = mmio->dev;

	virtio_dev_stop(dev);
	atomic_store(&dev->interrupt_status, 0);
	mmio->status = 0;
	mmio->device_features_sel = mmio->driver_features_sel = mmio->queue_sel = 0;
	mmio->driver_features = 0;
	memset(mmio->places, 0, sizeof(mmio->places));
	memset(mmio->ready, 0, sizeof(mmio->ready));
}

static void start(struct virtio_mmio *mmio)
{
	struct virtio_dev *dev = mmio->dev;
	struct virtq_place places[VIRTIO_QUEUES_MAX] = {0};
	int err;

	for (uint32_t i = 0; i < dev->ops->nr_queues; i++)
		if (mmio->ready[i])
			places[i] = mmio->places[i];
	err = virtio_dev_start(dev, mmio->driver_features, places);
	if (!err || err == -ESHUTDOWN)
		return;
	/* a guest may try for ever: one line a VM is enough for the operator */
	if (!mmio->reported)
		log_warn("virtio %s %s: cannot be started: %s", dev->ops->name, dev->label, strerror(-err));
	mmio->reported = true;
	atomic_store(&dev->needs_reset, true);
}

/* 3.1.1: bits are only ever added; what a bit means happens when it appears. */
static void set_status(struct virtio_mmio *mmio, uint32_t value)
{
	struct virtio_dev *dev = mmio->dev;
	uint32_t added = value & ~mmio->status;

	if (!value) {
		reset(mmio);
		return;
	}
	if (added & VIRTIO_CONFIG_S_FEATURES_OK &&
		(mmio->driver_features & ~dev->offered ||
			!(mmio->driver_features & 1ull << VIRTIO_F_VERSION_1)))
		added &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK; /* the driver reads it back and gives up */
	if (added & VIRTIO_CONFIG_S_DRIVER_OK && !((mmio->status | added) & VIRTIO_CONFIG_S_FEATURES_OK))
		added &= ~(uint32_t)VIRTIO_CONFIG_S_DRIVER_OK;
	mmio->status |= added & ~(uint32_t)VIRTIO_CONFIG_S_NEEDS_RESET;
	if (added & VIRTIO_CONFIG_S_DRIVER_OK)
		start(mmio);
}

/*
 * A queue that is in use when it is taken away.  The whole device stops for that, waits for what is in flight in each of
 * its queues, and goes on with the others.
 */
static void set_ready(struct virtio_mmio *mmio, uint32_t queue, bool ready)
{
	bool running = virtio_dev_runs(mmio->dev);

	if (ready == mmio->ready[queue] || (ready && running))
		return; /* 3.1.1: queues are set up before DRIVER_OK */
	mmio->ready[queue] = ready;
	if (running) {
		virtio_dev_stop(mmio->dev);
		start(mmio);
	}
}

/* ---- registers ------------------------------------------------------------------------------------ */

static uint32_t read_register(struct virtio_mmio *mmio, uint64_t offset)
{
	const struct virtio_dev *dev = mmio->dev;
	bool queue = mmio->queue_sel < dev->ops->nr_queues;

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev->ops->device_id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return mmio->device_features_sel < 2
			       ? (uint32_t)(dev->offered >> 32 * mmio->device_features_sel)
			       : 0;
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return queue ? VIRTQ_SIZE_MAX : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return queue && mmio->ready[mmio->queue_sel];
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return atomic_load(&dev->interrupt_status);
	case VIRTIO_MMIO_STATUS:
		return status_now(mmio);
	case VIRTIO_MMIO_SHM_LEN_LOW: /* 4.2.2: all ones = there is no such region */
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX;
	default: /* ConfigGeneration: configurations never change */
		return 0;
	}
}

/* Half of an address. */
static void set_half(gpa_t *address, bool high, uint32_t value)
{
	*address = high ? (*address & UINT32_MAX) | (gpa_t)value << 32
			: (*address & ~(gpa_t)UINT32_MAX) | value;
}

/* Registers of the selected queue: only while it is not ready (4.2.2.2), but for QueueReady. */
static void write_queue_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	struct virtq_place *place;

	if (mmio->queue_sel >= mmio->dev->ops->nr_queues)
		return;
	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		set_ready(mmio, mmio->queue_sel, value & 1);
		return;
	}
	if (mmio->ready[mmio->queue_sel])
		return;
	place = &mmio->places[mmio->queue_sel];
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		place->size = value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&place->desc, offset == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&place->avail, offset == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_half(&place->used, offset == VIRTIO_MMIO_QUEUE_USED_HIGH, value);
		break;
	}
}

static void write_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		mmio->device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		mmio->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		if (mmio->driver_features_sel < 2 && !(mmio->status & VIRTIO_CONFIG_S_FEATURES_OK))
			set_half(&mmio->driver_features, mmio->driver_features_sel, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		mmio->queue_sel = value;
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		atomic_fetch_and(&mmio->dev->interrupt_status, ~value);
		break;
	case VIRTIO_MMIO_STATUS:
		set_status(mmio, value);
		break;
	default:
		write_queue_register(mmio, offset, value);
		break;
	}
}

/* ---- bus ------------------------------------------------------------------------------------------ */

static void handle_read(void *opaque, const struct bus_access *access, uint64_t *ret_value)
{
	struct virtio_mmio *mmio = opaque;

	*ret_value = 0;
	if (access->offset >= VIRTIO_MMIO_CONFIG) {
		mmio->dev->ops->read_config(
			mmio->dev, access->offset - VIRTIO_MMIO_CONFIG, ret_value, access->len);
		return;
	}
	if (access->len != sizeof(uint32_t))
		return; /* 4.2.2.2: drivers use 32 bits */
	pthread_mutex_lock(&mmio->lock);
	*ret_value = read_register(mmio, access->offset);
	pthread_mutex_unlock(&mmio->lock);
}

static enum bus_verdict handle_write(void *opaque, const struct bus_access *access, uint64_t value)
{
	struct virtio_mmio *mmio = opaque;

	if (access->offset >= VIRTIO_MMIO_CONFIG || access->len != sizeof(uint32_t))
		return BUS_CONTINUE; /* no device here has configuration that a driver may write */
	if (access->offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
		virtio_dev_notify(mmio->dev, (uint32_t)value);
		return BUS_CONTINUE;
	}
	pthread_mutex_lock(&mmio->lock);
	write_register(mmio, access->offset, (uint32_t)value);
	pthread_mutex_unlock(&mmio->lock);
	return BUS_CONTINUE;
}

static const struct bus_device_ops mmio_ops = {.read = handle_read, .write = handle_write};

/* ---- set-up --------------------------------------------------------------------------------------- */

void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_dev *dev)
{
	*mmio = (struct virtio_mmio){.dev = dev};
	pthread_mutex_init(&mmio->lock, NULL);
}

void virtio_mmio_fini(struct virtio_mmio *mmio)
{
	if (mmio->dev)
		pthread_mutex_destroy(&mmio->lock);
	mmio->dev = NULL;
}

int virtio_mmio_add(struct virtio_mmio *mmio, struct bus *memory, uint64_t base)
{
	return bus_add(memory, &(struct bus_device){.name = mmio->dev->label,
				       .base = base,
				       .len = VIRTIO_MMIO_SIZE,
				       .ops = &mmio_ops,
				       .opaque = mmio});
}

int virtio_mmio_connect(struct virtio_mmio *mmio, int vm_fd, uint64_t base, uint32_t gsi)
{
	struct virtio_dev *dev = mmio->dev;
	struct kvm_irqfd irqfd = {.fd = (uint32_t)dev->irq_fd, .gsi = gsi};

	if (ioctl(vm_fd, KVM_IRQFD, &irqfd) < 0)
		return -errno;
	for (uint32_t i = 0; i < dev->ops->nr_queues; i++) {
		struct kvm_ioeventfd notify = {.datamatch = i,
			.addr = base + VIRTIO_MMIO_QUEUE_NOTIFY,
			.len = sizeof(uint32_t),
			.fd = dev->queues[i].kick_fd,
			.flags = KVM_IOEVENTFD_FLAG_DATAMATCH};

		if (ioctl(vm_fd, KVM_IOEVENTFD, &notify) < 0)
			return -errno;
	}
	return 0;
}
