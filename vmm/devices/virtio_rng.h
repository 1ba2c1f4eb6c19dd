/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/devices/virtio_rng.h - a virtio entropy device (VIRTIO 1.2, section 5.4): the host's getrandom(), rate-bounded.
 */
#ifndef VMM_DEVICES_VIRTIO_RNG_H
#define VMM_DEVICES_VIRTIO_RNG_H

#include "vmm/devices/virtio_dev.h"

/* our choice: seeds a guest at once, and a greedy guest costs the host next to nothing */
#define RNG_BYTES_PER_SEC KIB(256)
/* our choice: bytes for one buffer; the driver asks again if it wants more */
#define RNG_CHUNK 4096u

struct virtio_rng {
	struct virtio_dev dev;
	uint64_t free_at_ns; /* the thread's own: when what was given is paid for, CLOCK_MONOTONIC */
};

/* Errors: -errno.  Owner: virtio_dev_fini(&rng->dev), also after a failure. */
int warn_unused virtio_rng_init(struct virtio_rng *rng, const struct region *region);

#endif /* VMM_DEVICES_VIRTIO_RNG_H */
