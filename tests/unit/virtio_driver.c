/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/virtio_driver.c - see virtio_driver.h */
#include "tests/unit/virtio_driver.h"

#include "dump/base/io.h"

#include <check.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 5000

void driver_init(struct driver *driver)
{
	int shm = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	memset(driver, 0, sizeof(*driver));
	ck_assert_int_ge(shm, 0);
	ck_assert_int_eq(region_create(&driver->region, shm, DRIVER_RAM), 0);
	close(shm);
	bus_init(&driver->bus, "memory");
}

void driver_fini(struct driver *driver)
{
	if (driver->dev)
		virtio_dev_fini(driver->dev);
	virtio_mmio_fini(&driver->mmio);
	region_destroy(&driver->region);
}

void driver_plug(struct driver *driver, struct virtio_dev *dev)
{
	driver->dev = dev;
	virtio_mmio_init(&driver->mmio, dev);
	ck_assert_int_eq(virtio_mmio_add(&driver->mmio, &driver->bus, DRIVER_MMIO), 0);
}

void *driver_at(struct driver *driver, gpa_t gpa)
{
	uint64_t off;

	ck_assert_int_eq(dump_layout_offset(&driver->region.layout, gpa, 1, &off), 0);
	return driver->region.map + off;
}

uint32_t driver_read(struct driver *driver, uint32_t reg)
{
	uint32_t value;

	bus_read(&driver->bus, 0, DRIVER_MMIO + reg, &value, sizeof(value));
	return value;
}

void driver_write(struct driver *driver, uint32_t reg, uint32_t value)
{
	ck_assert_int_eq(
		bus_write(&driver->bus, 0, DRIVER_MMIO + reg, &value, sizeof(value)), BUS_CONTINUE);
}

struct virtq_place driver_place(uint32_t index)
{
	gpa_t base = 0x10000 + index * 0x10000;

	return (struct virtq_place){
		.size = DRIVER_QUEUE_SIZE, .desc = base, .avail = base + 0x4000, .used = base + 0x8000};
}

static void map_queue(struct driver *driver, uint32_t index)
{
	struct virtq_place place = driver_place(index);
	struct driver_queue *queue = &driver->queues[index];

	memset(driver_at(driver, place.desc), 0, 0x10000);
	*queue = (struct driver_queue){.desc = driver_at(driver, place.desc),
		.avail = driver_at(driver, place.avail),
		.used = driver_at(driver, place.used)};
}

void driver_set_up_queue(struct driver *driver, uint32_t index, const struct virtq_place *place)
{
	driver_write(driver, VIRTIO_MMIO_QUEUE_SEL, index);
	driver_write(driver, VIRTIO_MMIO_QUEUE_NUM, place->size);
	driver_write(driver, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)place->desc);
	driver_write(driver, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(place->desc >> 32));
	driver_write(driver, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)place->avail);
	driver_write(driver, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(place->avail >> 32));
	driver_write(driver, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)place->used);
	driver_write(driver, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(place->used >> 32));
	driver_write(driver, VIRTIO_MMIO_QUEUE_READY, 1);
}

void driver_start(struct driver *driver, uint64_t wanted)
{
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	driver_write(driver, VIRTIO_MMIO_STATUS, 0);
	driver_write(driver, VIRTIO_MMIO_STATUS, status);
	wanted |= 1ull << VIRTIO_F_VERSION_1;
	for (uint32_t half = 0; half < 2; half++) {
		driver_write(driver, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		driver_write(driver, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(wanted >> 32 * half));
	}
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	driver_write(driver, VIRTIO_MMIO_STATUS, status);
	ck_assert_uint_eq(driver_read(driver, VIRTIO_MMIO_STATUS), status);
	for (uint32_t i = 0; i < driver->dev->ops->nr_queues; i++) {
		struct virtq_place place = driver_place(i);

		map_queue(driver, i);
		driver_set_up_queue(driver, i, &place);
	}
	status |= VIRTIO_CONFIG_S_DRIVER_OK;
	driver_write(driver, VIRTIO_MMIO_STATUS, status);
	ck_assert_uint_eq(driver_read(driver, VIRTIO_MMIO_STATUS), status);
}

void driver_desc(struct driver *driver, uint32_t index, uint16_t at, gpa_t gpa, uint32_t len,
	uint16_t flags, uint16_t next)
{
	driver->queues[index].desc[at] = (struct vring_desc){
		.addr = gpa, .len = len, .flags = flags, .next = next};
}

void driver_notify(struct driver *driver, uint32_t index)
{
	driver_write(driver, VIRTIO_MMIO_QUEUE_NOTIFY, index);
}

void driver_offer(struct driver *driver, uint32_t index, uint16_t head)
{
	struct driver_queue *queue = &driver->queues[index];

	queue->avail[2 + queue->next_avail % DRIVER_QUEUE_SIZE] = head;
	queue->next_avail++;
	__atomic_store_n(&queue->avail[1], queue->next_avail, __ATOMIC_RELEASE);
	driver_notify(driver, index);
}

bool driver_sees_used(struct driver *driver, uint32_t index, int ms)
{
	struct driver_queue *queue = &driver->queues[index];
	uint64_t deadline = clock_mono_ns() + (uint64_t)ms * NSEC_PER_MSEC, count;

	/* with event indexes: an interrupt for the next one, please */
	__atomic_store_n(&queue->avail[2 + DRIVER_QUEUE_SIZE], queue->next_used, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&queue->used[1], __ATOMIC_ACQUIRE) == queue->next_used) {
		struct pollfd irq = {.fd = driver->dev->irq_fd, .events = POLLIN};
		uint64_t now = clock_mono_ns();

		if (now >= deadline)
			return false;
		(void)poll(&irq, 1, (int)((deadline - now) / NSEC_PER_MSEC) + 1);
		(void)!read(driver->dev->irq_fd, &count, sizeof(count));
	}
	return true;
}

uint32_t driver_await(struct driver *driver, uint32_t index, uint16_t *ret_head)
{
	struct driver_queue *queue = &driver->queues[index];
	struct vring_used_elem elem;

	ck_assert_msg(driver_sees_used(driver, index, PATIENCE_MS), "no chain came back");
	memcpy(&elem, (char *)queue->used + 4 + 8 * (queue->next_used % DRIVER_QUEUE_SIZE), sizeof(elem));
	queue->next_used++;
	if (ret_head)
		*ret_head = (uint16_t)elem.id;
	return elem.len;
}

void driver_await_needs_reset(struct driver *driver)
{
	for (int i = 0; i < PATIENCE_MS; i++) {
		if (driver_read(driver, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET)
			return;
		usleep(1000);
	}
	ck_abort_msg("the device does not ask for a reset");
}
