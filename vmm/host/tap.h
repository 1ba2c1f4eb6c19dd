/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/host/tap.h - the host's end of a guest's network card: a tap interface, which one VM uses at a time.
 *
 * It stays open through all generations; what arrives while no VM reads it waits in the interface's queue, and is
 * dropped there when that is full.  Packets carry a struct virtio_net_hdr_v1 in front (IFF_VNET_HDR), so that
 * checksums and segmentation can be left to whoever does them best.
 */
#ifndef VMM_HOST_TAP_H
#define VMM_HOST_TAP_H

#include "dump/base/num.h"
#include "vmm/config/config.h"

struct tap {
	const char *name;         /* borrowed: of its section in guest.cfg */
	int fd;                   /* owned; does not block */
	uint8_t mac[TAP_MAC_LEN]; /* of the guest's end */
	bool offloads;            /* the kernel takes TUNSETOFFLOAD */
	unsigned offload_bits;    /* TUN_F_* as set last */
};

/*
 * tap_open - attach to interface @interface, or take over descriptor @fd if that is not -1 (inherited: a tap or
 * macvtap with IFF_VNET_HDR, opened for one queue).  @mac: "xx:xx:xx:xx:xx:xx"; "" = derived from @guest and @name.
 * Errors: -errno with a sentence in @why.  Owner: tap_close(), which accepts fd -1.
 */
int warn_unused tap_open(struct tap *ret, const char *guest, const char *name, const char *interface,
	int fd, const char *mac, char *why, size_t why_size);
void tap_close(struct tap *tap);

/*
 * tap_set_offloads - what the guest's driver can take: TUN_F_* bits.  When they change, packets that have arrived
 * until now, of the old kind, are thrown away.  Errors: -errno.
 */
int warn_unused tap_set_offloads(struct tap *tap, unsigned bits);

#endif /* VMM_HOST_TAP_H */
