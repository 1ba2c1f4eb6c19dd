/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/devices/virtio_blk.h - a virtio block device (VIRTIO 1.2, section 5.2) in front of a disk (disk.h).
 *
 * Four threads carry requests out with plain preadv and pwritev, straight between the disk and guest memory.
 * Requests may be completed out of order, as the specification allows; a flush covers what was completed before.
 */
#ifndef VMM_DEVICES_VIRTIO_BLK_H
#define VMM_DEVICES_VIRTIO_BLK_H

#include "dump/base/log.h"
#include "vmm/host/disk.h"
#include "vmm/devices/virtio_dev.h"

struct virtio_blk {
	struct virtio_dev dev;
	struct disk *disk;      /* borrowed */
	struct log_limit limit; /* guarded by dev.lock: lines about requests that failed */
};

/* Errors: -errno.  Owner: virtio_dev_fini(&blk->dev), also after a failure. */
int warn_unused virtio_blk_init(struct virtio_blk *blk, struct disk *disk, const struct region *region);

/*
 * virtio_blk_handle - carries out the request that @chain is: what the threads do with each one.  The disk is attached.
 * Result: bytes written to the chain, its status included; 0 if there is no way to answer.
 */
uint32_t virtio_blk_handle(struct virtio_blk *blk, const struct virtq_chain *chain);

#endif /* VMM_DEVICES_VIRTIO_BLK_H */
