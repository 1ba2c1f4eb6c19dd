/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/devices/virtio_queue.h - the device's side of a split virtqueue (Virtual I/O Device version 1.2, section 2.7).
 *
 * The driver puts chains of buffers into the available ring, the device takes them and puts them back
 * through the used ring.  All three parts lie in guest memory and are hostile:
 *
 *      descriptor table   16 bytes each   address, length, flags, next      written by the driver
 *      available ring     flags, index, heads ..., used_event              written by the driver
 *      used ring          flags, index, {head, bytes} ..., avail_event     written by the device
 *
 * Each value is loaded once, and what was loaded is checked.  The first breach of the rules that could mean harm
 * makes the queue *broken*: nothing more is taken from it until the driver resets the device.
 *
 * Owner: the rings stay the guest's; the queue holds pinned addresses of them (gmem.h, gmem_pin) from
 * virtq_open() until virtq_close().  Locks: none; the user serialises (virtio_dev.h).
 */
#ifndef VMM_DEVICES_VIRTIO_QUEUE_H
#define VMM_DEVICES_VIRTIO_QUEUE_H

#include "vmm/memory/gmem.h"

#include <stdbool.h>

/* our choice: entries of a queue, and buffers of one chain */
#define VIRTQ_SIZE_MAX 256u

/* Where the driver says that a queue is. */
struct virtq_place {
	uint32_t size; /* entries: a power of two up to VIRTQ_SIZE_MAX */
	gpa_t desc;    /* multiple of 16 */
	gpa_t avail;   /* multiple of 2 */
	gpa_t used;    /* multiple of 4 */
};

struct virtq {
	const struct region *region; /* borrowed */
	uint32_t size;               /* 0 = closed */
	char *desc, *avail, *used;   /* pinned */
	bool indirect, event_idx;    /* negotiated */
	uint16_t next_avail;         /* index of the next chain to take */
	uint16_t next_used;          /* index of the next chain to give back */
	uint16_t signalled;          /* next_used when the driver was last interrupted */
	bool signalled_valid;
	const char *broken; /* what the driver did, or NULL */
};

/* One buffer, inside one run of RAM. */
struct virtq_buf {
	gpa_t gpa;
	uint32_t len; /* not 0 */
};

/* A chain that was taken: first what the device may read, then what it may write. */
struct virtq_chain {
	uint16_t head;
	uint16_t nr_readable, nr_writable;       /* nr_readable + nr_writable <= VIRTQ_SIZE_MAX */
	uint64_t readable_bytes, writable_bytes; /* sums */
	struct virtq_buf bufs[VIRTQ_SIZE_MAX];
};

enum virtq_side { VIRTQ_READABLE, VIRTQ_WRITABLE };

/*
 * virtq_open - begin to use the queue at @place.  @features: VIRTIO_RING_F_INDIRECT_DESC and _EVENT_IDX count.
 * Errors: -EINVAL for a size or alignment that the rules forbid, those of gmem_pin(); *vq is closed then.
 */
int warn_unused virtq_open(
	struct virtq *vq, const struct region *region, const struct virtq_place *place, uint64_t features);
void virtq_close(struct virtq *vq);

/*
 * virtq_take - the next chain.
 * Result: 1 taken, 0 there is none, -EPROTO the queue is broken (vq->broken tells what the driver did).
 */
int warn_unused virtq_take(struct virtq *vq, struct virtq_chain *ret);

/* Takes back the last @nr virtq_take()s, none of whose chains has been given back: they come again. */
void virtq_untake(struct virtq *vq, uint16_t nr);

/*
 * virtq_fill - notes that the chain at @head comes back with @written bytes in its writable buffers, as number @ahead
 * (0, 1, ...) of those that virtq_publish() shows to the driver, all at once.  virtq_give() does both for one chain.
 */
void virtq_fill(struct virtq *vq, uint16_t ahead, uint16_t head, uint32_t written);
void virtq_publish(struct virtq *vq, uint16_t nr);
void virtq_give(struct virtq *vq, uint16_t head, uint32_t written);

/* True if the driver wants an interrupt for what was given back since the last call. */
bool warn_unused virtq_wants_interrupt(struct virtq *vq);

/*
 * virtq_want_notify - ask the driver for a notification when it makes the next chain available.
 * Result: false if one is available already (or the queue is broken): take it rather than wait.
 */
bool warn_unused virtq_want_notify(struct virtq *vq);

/* ---- contents of chains -------------------------------------------------------------------------- */

/*
 * virtq_chain_iov - bytes [@off, @off + @len) of one side of @chain as pieces for a system call (gmem_iov).
 * Result: number of pieces, at most VIRTQ_SIZE_MAX; -EINVAL if the side has fewer bytes.
 */
int warn_unused virtq_chain_iov(const struct region *region, const struct virtq_chain *chain,
	enum virtq_side side, uint64_t off, uint64_t len, struct iovec iov[VIRTQ_SIZE_MAX]);

/* Copies from the readable side.  -EINVAL if it has fewer bytes, or the errors of gmem_copy_in(). */
int warn_unused virtq_chain_read(
	const struct region *region, const struct virtq_chain *chain, uint64_t off, void *dst, size_t len);

/* Copies to the writable side.  -EINVAL if it has fewer bytes, or the errors of gmem_copy_out(). */
int warn_unused virtq_chain_write(const struct region *region, const struct virtq_chain *chain,
	uint64_t off, const void *src, size_t len);

#endif /* VMM_DEVICES_VIRTIO_QUEUE_H */
