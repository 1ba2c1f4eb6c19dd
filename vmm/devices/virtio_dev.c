/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/devices/virtio_dev.c - see virtio_dev.h */
#include "vmm/devices/virtio_dev.h"

#include "dump/base/io.h"
#include "dump/base/log.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define COMMON_FEATURES                                                                                    \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX)

/* our choice: in the life of a device, which is its VM's */
#define BROKEN_LINES_MAX 8

static void drain_eventfd(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* ---- creation ----------------------------------------------------------------------------------- */

int virtio_dev_init(struct virtio_dev *dev, const struct virtio_dev_ops *ops, const struct region *region,
	const char *label, uint64_t offered)
{
	pthread_condattr_t attr;
	bool failed;

	assert(ops->nr_queues <= VIRTIO_QUEUES_MAX && ops->nr_threads <= VIRTIO_THREADS_MAX);
	dev->ops = ops;
	dev->region = region;
	dev->label = label;
	dev->quiet_fd = -1;
	dev->limit.burst = BROKEN_LINES_MAX;
	dev->offered = offered | COMMON_FEATURES;
	pthread_mutex_init(&dev->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&dev->quiet, &attr);
	pthread_condattr_destroy(&attr);
	dev->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	dev->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	failed = dev->wake_fd < 0 || dev->irq_fd < 0;
	for (uint32_t i = 0; i < ops->nr_queues; i++) {
		pthread_cond_init(&dev->queues[i].wake, NULL);
		dev->queues[i].kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		failed |= dev->queues[i].kick_fd < 0;
	}
	return failed ? -EMFILE : 0; /* nothing else goes wrong with an eventfd, but for ENOMEM */
}

/* Lock held. */
static void set_state(struct virtio_dev *dev, enum virtio_state state)
{
	atomic_store(&dev->state, state);
	for (uint32_t i = 0; i < dev->ops->nr_queues; i++)
		pthread_cond_broadcast(&dev->queues[i].wake);
	if (state == VIRTIO_RUNNING) {
		drain_eventfd(dev->wake_fd);
		/*
		 * Every queue is looked at once, as a driver may have filled it before it was ready: a thread that
		 * polled when the device stopped may still do so and has not seen @wake_fd.
		 */
		for (uint32_t i = 0; i < dev->ops->nr_queues; i++)
			io_ring(dev->queues[i].kick_fd);
		return;
	}
	io_ring(dev->wake_fd);
	if (dev->ops->stopping)
		dev->ops->stopping(dev);
	if (!dev->in_flight && dev->ops->idle)
		dev->ops->idle(dev);
}

void virtio_dev_fini(struct virtio_dev *dev)
{
	if (!dev->ops)
		return;
	pthread_mutex_lock(&dev->lock);
	set_state(dev, VIRTIO_QUIT);
	pthread_mutex_unlock(&dev->lock);
	for (uint32_t i = 0; i < dev->nr_threads; i++)
		pthread_join(dev->threads[i], NULL);
	for (uint32_t i = 0; i < dev->ops->nr_queues; i++) {
		pthread_cond_destroy(&dev->queues[i].wake);
		if (dev->queues[i].kick_fd >= 0)
			close(dev->queues[i].kick_fd);
	}
	if (dev->wake_fd >= 0)
		close(dev->wake_fd);
	if (dev->irq_fd >= 0)
		close(dev->irq_fd);
	pthread_cond_destroy(&dev->quiet);
	pthread_mutex_destroy(&dev->lock);
	dev->ops = NULL;
}

/* ---- start and stop ------------------------------------------------------------------------------- */

static void *thread_main(void *opaque)
{
	struct virtio_dev *dev = opaque;
	char name[16]; /* "block-root": the kernel's TASK_COMM_LEN */
	uint32_t index;
	sigset_t all;

	/* signals are the event loop's and the vCPUs' */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	pthread_mutex_lock(&dev->lock);
	index = 0;
	while (!pthread_equal(dev->threads[index], pthread_self()))
		index++; /* virtio_dev_start() held the lock until it was stored */
	pthread_mutex_unlock(&dev->lock);
	snprintf(name, sizeof(name), "%.7s-%.7s", dev->ops->name, dev->label);
	pthread_setname_np(pthread_self(), name);
	dev->ops->thread(dev, index);
	return NULL;
}

/* Threads are made when a driver first wants them: a standby VM has none.  Lock held. */
static int make_threads(struct virtio_dev *dev)
{
	while (dev->nr_threads < dev->ops->nr_threads) {
		int err = -pthread_create(&dev->threads[dev->nr_threads], NULL, thread_main, dev);

		if (err)
			return err;
		dev->nr_threads++;
	}
	return 0;
}

static void close_queues(struct virtio_dev *dev)
{
	for (uint32_t i = 0; i < dev->ops->nr_queues; i++)
		virtq_close(&dev->queues[i].vq);
}

/* Lock held. */
static int open_queues(
	struct virtio_dev *dev, uint64_t features, const struct virtq_place places[VIRTIO_QUEUES_MAX])
{
	for (uint32_t i = 0; i < dev->ops->nr_queues; i++) {
		int err = places[i].size ? virtq_open(&dev->queues[i].vq, dev->region, &places[i], features)
					 : 0;

		if (err) {
			close_queues(dev);
			return err;
		}
	}
	return 0;
}

int virtio_dev_start(
	struct virtio_dev *dev, uint64_t features, const struct virtq_place places[VIRTIO_QUEUES_MAX])
{
	int err = -ESHUTDOWN;

	pthread_mutex_lock(&dev->lock);
	if (atomic_load(&dev->state) != VIRTIO_IDLE)
		goto out;
	err = open_queues(dev, features, places);
	if (!err)
		err = make_threads(dev);
	if (err)
		goto out;
	dev->features = features;
	dev->starts++;
	if (dev->ops->started)
		dev->ops->started(dev);
	set_state(dev, VIRTIO_RUNNING);
out:
	pthread_mutex_unlock(&dev->lock);
	return err;
}

void virtio_dev_stop(struct virtio_dev *dev)
{
	pthread_mutex_lock(&dev->lock);
	if (virtio_dev_runs(dev))
		set_state(dev, VIRTIO_IDLE);
	while (dev->in_flight && atomic_load(&dev->state) < VIRTIO_DEAD)
		pthread_cond_wait(&dev->quiet, &dev->lock);
	if (!dev->in_flight) { /* else they are virtio_dev_fini()'s */
		close_queues(dev);
		atomic_store(&dev->needs_reset, false);
	}
	pthread_mutex_unlock(&dev->lock);
}

void virtio_dev_notify(struct virtio_dev *dev, uint32_t index)
{
	if (index < dev->ops->nr_queues)
		io_ring(dev->queues[index].kick_fd);
}

void virtio_dev_kill(struct virtio_dev *dev)
{
	pthread_mutex_lock(&dev->lock);
	if (atomic_load(&dev->state) < VIRTIO_DEAD)
		set_state(dev, VIRTIO_DEAD);
	pthread_cond_broadcast(&dev->quiet);
	pthread_mutex_unlock(&dev->lock);
}

bool virtio_dev_is_quiet(struct virtio_dev *dev)
{
	bool quiet;

	pthread_mutex_lock(&dev->lock);
	quiet = !dev->in_flight;
	pthread_mutex_unlock(&dev->lock);
	return quiet;
}

int virtio_dev_wait_quiet(struct virtio_dev *dev, uint64_t deadline_ns)
{
	const struct timespec until = {.tv_sec = (time_t)(deadline_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(deadline_ns % NSEC_PER_SEC)};
	int err = 0;

	pthread_mutex_lock(&dev->lock);
	while (dev->in_flight && !err)
		err = -pthread_cond_timedwait(&dev->quiet, &dev->lock, &until);
	err = dev->in_flight ? -ETIMEDOUT : 0;
	pthread_mutex_unlock(&dev->lock);
	return err;
}

/* ---- interrupts ----------------------------------------------------------------------------------- */

static void interrupt(struct virtio_dev *dev, uint32_t cause)
{
	/* before the edge: pairs with the driver's read of InterruptStatus in its handler */
	atomic_fetch_or(&dev->interrupt_status, cause);
	io_ring(dev->irq_fd);
}

void virtio_dev_report(struct virtio_dev *dev, uint32_t index)
{
	if (virtq_wants_interrupt(&dev->queues[index].vq))
		interrupt(dev, VIRTIO_MMIO_INT_VRING);
}

void virtio_dev_check(struct virtio_dev *dev, uint32_t index)
{
	if (atomic_exchange(&dev->needs_reset, true))
		return;
	/* once a start of the device; but a driver can reset it and break it in turn */
	if (log_limit_ok(&dev->limit))
		log_warn("virtio %s %s: queue %u: the driver made %s; the device waits for a reset%s",
			dev->ops->name, dev->label, index, dev->queues[index].vq.broken,
			dev->limit.used == dev->limit.burst ? "; no more of this is told of it" : "");
	interrupt(dev, VIRTIO_MMIO_INT_CONFIG);
}

/* ---- threads ------------------------------------------------------------------------------------- */

bool virtio_dev_wait_running(struct virtio_dev *dev, uint32_t index)
{
	struct virtio_queue *queue = &dev->queues[index];

	while (!virtio_dev_runs(dev) || !queue->vq.size || queue->vq.broken) {
		if (atomic_load(&dev->state) == VIRTIO_QUIT)
			return false;
		pthread_cond_wait(&queue->wake, &dev->lock);
	}
	return true;
}

void virtio_dev_poll(struct virtio_dev *dev, int fd, short events, uint64_t timeout_ns)
{
	struct pollfd fds[] = {{.fd = dev->wake_fd, .events = POLLIN}, {.fd = fd, .events = events}};
	const struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(timeout_ns % NSEC_PER_SEC)};

	/* whatever it says, the caller looks again */
	(void)ppoll(fds, ARRAY_LEN(fds), timeout_ns == UINT64_MAX ? NULL : &timeout, NULL);
}

bool virtio_dev_wait_fd(struct virtio_dev *dev, int fd, short events)
{
	uint32_t starts = dev->starts;

	pthread_mutex_unlock(&dev->lock);
	virtio_dev_poll(dev, fd, events, UINT64_MAX);
	pthread_mutex_lock(&dev->lock);
	return dev->starts == starts && virtio_dev_runs(dev);
}

/* One thread of a queue waits for the notification, the others for that thread. */
bool virtio_dev_wait(struct virtio_dev *dev, uint32_t index)
{
	struct virtio_queue *queue = &dev->queues[index];
	bool same;

	if (queue->polled) {
		uint32_t starts = dev->starts;

		pthread_cond_wait(&queue->wake, &dev->lock);
		return dev->starts == starts && virtio_dev_runs(dev);
	}
	drain_eventfd(queue->kick_fd); /* what rang until here is seen below */
	if (!virtq_want_notify(&queue->vq))
		return true;
	queue->polled = true;
	same = virtio_dev_wait_fd(dev, queue->kick_fd, POLLIN);
	queue->polled = false;
	return same;
}

void virtio_dev_begin(struct virtio_dev *dev)
{
	dev->in_flight++;
}

bool virtio_dev_end(struct virtio_dev *dev)
{
	dev->in_flight--;
	if (virtio_dev_runs(dev))
		return true;
	if (!dev->in_flight) {
		if (dev->ops->idle)
			dev->ops->idle(dev);
		pthread_cond_broadcast(&dev->quiet);
		if (atomic_load(&dev->state) >= VIRTIO_DEAD && dev->quiet_fd >= 0)
			io_ring(dev->quiet_fd);
	}
	return false;
}

bool virtio_dev_take(struct virtio_dev *dev, uint32_t index, struct virtq_chain *ret)
{
	struct virtio_queue *queue = &dev->queues[index];
	bool taken = false;

	pthread_mutex_lock(&dev->lock);
	while (!taken && virtio_dev_wait_running(dev, index)) {
		int r = virtq_take(&queue->vq, ret);

		taken = r > 0;
		if (r < 0)
			virtio_dev_check(dev, index);
		else if (!r)
			virtio_dev_wait(dev, index);
	}
	if (taken) {
		virtio_dev_begin(dev);
		pthread_cond_signal(&queue->wake); /* another one takes the next, or waits for it */
	}
	pthread_mutex_unlock(&dev->lock);
	return taken;
}

void virtio_dev_give(
	struct virtio_dev *dev, uint32_t index, const struct virtq_chain *chain, uint32_t written)
{
	atomic_fetch_add(&dev->requests, 1);
	pthread_mutex_lock(&dev->lock);
	if (virtio_dev_end(dev)) {
		virtq_give(&dev->queues[index].vq, chain->head, written);
		virtio_dev_report(dev, index);
	}
	pthread_mutex_unlock(&dev->lock);
}
