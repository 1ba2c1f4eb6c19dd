/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/devices/virtio_dev.h - what all virtio devices share: queues, the threads that serve them, start and stop.
 *
 * A device (virtio_blk.c, virtio_net.c, virtio_rng.c) embeds a struct virtio_dev; its transport (virtio_mmio.c)
 * starts and stops it as the driver asks; the machine (vm_devices.c) ends it for good when the VM dies.
 *
 *      IDLE     the driver is not ready; no thread touches guest memory or the backend
 *      RUNNING  worker threads take chains, carry them out, give them back
 *      DEAD     the VM is over: as IDLE, for ever
 *      QUIT     the threads return
 *
 * A request is *in flight* between virtio_dev_take() and virtio_dev_give().  Stopping waits for those in flight;
 * what they have done is not told to the driver any more.
 *
 * Locks: @lock guards everything not marked otherwise.  It is never held while a request is carried out, so a
 * vCPU waits for it for microseconds; virtio_dev_stop() alone waits for requests.
 */
#ifndef VMM_DEVICES_VIRTIO_DEV_H
#define VMM_DEVICES_VIRTIO_DEV_H

#include "dump/base/log.h"
#include "vmm/devices/virtio_queue.h"

#include <pthread.h>
#include <stdatomic.h>

/* our choices: net has two queues, a disk four threads */
#define VIRTIO_QUEUES_MAX 2u
#define VIRTIO_THREADS_MAX 4u

enum virtio_state { VIRTIO_IDLE, VIRTIO_RUNNING, VIRTIO_DEAD, VIRTIO_QUIT };

struct virtio_dev;

struct virtio_dev_ops {
	const char *name;   /* "block", for messages */
	uint32_t device_id; /* VIRTIO_ID_* */
	uint32_t nr_queues;
	uint32_t nr_threads;
	/* Body of thread @index: takes and gives until virtio_dev_take() says that it is over. */
	void (*thread)(struct virtio_dev *dev, uint32_t index);
	/* Copies the configuration space, @len bytes at @off; zeros where there is none.  Any thread, no lock. */
	void (*read_config)(const struct virtio_dev *dev, uint64_t off, void *buf, uint32_t len);
	/* The device starts; its features are final.  Lock held.  NULL = nothing to do. */
	void (*started)(struct virtio_dev *dev);
	/* The device stops: wakes threads that wait for anything but a queue.  Lock held.  NULL = none do. */
	void (*stopping)(struct virtio_dev *dev);
	/* Stopped, and nothing is in flight: lets go of the backend.  Lock held; maybe called again.  NULL = ok. */
	void (*idle)(struct virtio_dev *dev);
};

struct virtio_queue {
	struct virtq vq;
	int kick_fd;         /* owned: eventfd that the driver's notifications ring */
	pthread_cond_t wake; /* threads of this queue wait for work or a change of state */
	bool polled;         /* one of them waits for kick_fd instead */
};

struct virtio_dev {
	const struct virtio_dev_ops *ops;
	const struct region *region; /* borrowed */
	const char *label;           /* borrowed: name in guest.cfg, for messages */
	uint64_t offered;            /* feature bits; fixed before the VM runs */
	uint64_t features;           /* negotiated; fixed while RUNNING */
	pthread_mutex_t lock;
	pthread_cond_t quiet; /* nothing in flight any more, or DEAD */
	int quiet_fd; /* borrowed: rung when a DEAD device has become quiet; -1 = nobody waits for that */
	_Atomic enum virtio_state state;
	struct virtio_queue queues[VIRTIO_QUEUES_MAX];
	uint32_t in_flight;
	uint32_t starts; /* how often it has started */
	int wake_fd;     /* owned: eventfd, readable while the state is not RUNNING: ends polls */
	pthread_t threads[VIRTIO_THREADS_MAX];
	uint32_t nr_threads; /* started so far */

	int irq_fd;                         /* owned: eventfd that interrupts the guest */
	_Atomic uint32_t interrupt_status;  /* VIRTIO_MMIO_INT_* */
	_Atomic bool needs_reset;           /* the driver broke a rule */
	struct log_limit limit;             /* lines about that */
	_Atomic uint64_t requests, refused; /* chains given back; those among them that failed */
};

/*
 * virtio_dev_init - an idle device.  @offered: its own feature bits; VERSION_1, INDIRECT_DESC and EVENT_IDX are added.
 * Errors: -errno.  Owner: virtio_dev_fini(), also after a failure.
 */
int warn_unused virtio_dev_init(struct virtio_dev *dev, const struct virtio_dev_ops *ops,
	const struct region *region, const char *label, uint64_t offered);

/* Ends the threads (waits for requests in flight) and frees everything. */
void virtio_dev_fini(struct virtio_dev *dev);

/* ---- for the transport ---------------------------------------------------------------------------- */

/*
 * virtio_dev_start - IDLE to RUNNING with @features, with those queues whose place has a size.
 * Errors: -errno of virtq_open() or of making threads; -ESHUTDOWN when the device is dead.
 */
int warn_unused virtio_dev_start(
	struct virtio_dev *dev, uint64_t features, const struct virtq_place places[VIRTIO_QUEUES_MAX]);

/* RUNNING to IDLE; returns when nothing is in flight, or when the device is dead: nobody waits for it then. */
void virtio_dev_stop(struct virtio_dev *dev);

/* The driver notifies queue @index. */
void virtio_dev_notify(struct virtio_dev *dev, uint32_t index);

/* ---- for the machine ------------------------------------------------------------------------------ */

/*
 * virtio_dev_kill - no more requests, for ever.  Any state; does not wait.
 * virtio_dev_is_quiet - true if nothing is in flight.
 * virtio_dev_wait_quiet - 0 when nothing is in flight, -ETIMEDOUT if something still is at @deadline_ns
 * (CLOCK_MONOTONIC).  Its end then lets go of the backend, and does not touch the rings.
 */
void virtio_dev_kill(struct virtio_dev *dev);
bool virtio_dev_is_quiet(struct virtio_dev *dev);
int warn_unused virtio_dev_wait_quiet(struct virtio_dev *dev, uint64_t deadline_ns);

/* ---- for the device's threads --------------------------------------------------------------------- */

/* Waits for a chain of queue @index.  False: the thread must return. */
bool warn_unused virtio_dev_take(struct virtio_dev *dev, uint32_t index, struct virtq_chain *ret);

/* Gives it back with @written bytes in it, and interrupts the driver if it wants that. */
void virtio_dev_give(
	struct virtio_dev *dev, uint32_t index, const struct virtq_chain *chain, uint32_t written);

/*
 * The same in smaller steps, for threads that need more than one chain at a time or wait for something else.
 * All with the lock held, all return with it held.
 *
 * virtio_dev_wait_running - waits until queue @index can be used; false: the thread must return.
 * virtio_dev_wait - waits until there is one more chain in queue @index, or for a change of state.
 * virtio_dev_wait_fd - waits for @events of @fd, or for a change of state.
 *                   Both: true if the queues are still those from before, so that chains taken may be taken back.
 * virtio_dev_begin - one more request in flight.
 * virtio_dev_end - one less.  True if the device still runs: the chains may be given back.
 * virtio_dev_report - after virtq_publish(): interrupts the driver if it wants that.
 * virtio_dev_check - after -EPROTO of virtq_take(): tells driver and operator.
 */
bool warn_unused virtio_dev_wait_running(struct virtio_dev *dev, uint32_t index);
bool virtio_dev_wait(struct virtio_dev *dev, uint32_t index);
bool virtio_dev_wait_fd(struct virtio_dev *dev, int fd, short events);
void virtio_dev_begin(struct virtio_dev *dev);
bool warn_unused virtio_dev_end(struct virtio_dev *dev);
void virtio_dev_report(struct virtio_dev *dev, uint32_t index);
void virtio_dev_check(struct virtio_dev *dev, uint32_t index);

/*
 * Without the lock: waits for @events of @fd (-1 = nothing), at most @timeout_ns (UINT64_MAX = for ever), or until the
 * device stops.
 */
void virtio_dev_poll(struct virtio_dev *dev, int fd, short events, uint64_t timeout_ns);

/* True while requests may begin.  Any thread. */
static inline bool virtio_dev_runs(const struct virtio_dev *dev)
{
	return atomic_load(&dev->state) == VIRTIO_RUNNING;
}

#endif /* VMM_DEVICES_VIRTIO_DEV_H */
