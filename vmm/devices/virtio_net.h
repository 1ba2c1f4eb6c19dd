/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/devices/virtio_net.h - a virtio network device (VIRTIO 1.2, section 5.1) in front of a tap interface (tap.h).
 *
 * One thread receives, one transmits; packets go by readv and writev straight between the interface and guest
 * memory, header included: the kernel checks that header as it checks everything that a tap is given.
 */
#ifndef VMM_DEVICES_VIRTIO_NET_H
#define VMM_DEVICES_VIRTIO_NET_H

#include "vmm/host/tap.h"
#include "vmm/devices/virtio_dev.h"

struct virtio_net {
	struct virtio_dev dev;
	struct tap *tap;         /* borrowed */
	bool reported;           /* the receiving thread's own: the interface is gone */
	_Atomic uint64_t rx, tx; /* packets */
};

/* Errors: -errno.  Owner: virtio_dev_fini(&net->dev), also after a failure. */
int warn_unused virtio_net_init(struct virtio_net *net, struct tap *tap, const struct region *region);

#endif /* VMM_DEVICES_VIRTIO_NET_H */
