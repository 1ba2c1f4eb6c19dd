/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/host/tap.c - see tap.h */
#include "vmm/host/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TUN_DEVICE "/dev/net/tun"
/* a bit of the first byte of an Ethernet address; TAP_MAC_MULTICAST is another */
#define MAC_LOCAL 2u
/* our choice: more than any queue of an interface holds */
#define DROPS_MAX 10000u

/* The same address in every run: FNV-1a of guest and section, marked as locally administered. */
static void derive_mac(const char *guest, const char *name, uint8_t ret[TAP_MAC_LEN])
{
	const char *const words[] = {guest, "/", name};
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		for (const char *c = words[i]; *c; c++)
			hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
	memcpy(ret, &hash, TAP_MAC_LEN);
	ret[0] = (uint8_t)((ret[0] & ~TAP_MAC_MULTICAST) | MAC_LOCAL);
}

static int attach(struct tap *tap, const char *interface, char *why, size_t why_size)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int err;

	tap->fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0) {
		err = -errno;
		snprintf(why, why_size, TUN_DEVICE ": %s", strerror(-err));
		return err;
	}
	if (strlen(interface) >= sizeof(request.ifr_name)) {
		snprintf(why, why_size, "%s: longer than %zu bytes", interface,
			sizeof(request.ifr_name) - 1);
		return -EINVAL;
	}
	memcpy(request.ifr_name, interface, strlen(interface));
	if (ioctl(tap->fd, TUNSETIFF, &request) < 0) {
		err = -errno;
		snprintf(why, why_size, "tap interface %s: %s%s", interface, strerror(-err),
			err == -EBUSY   ? " (another program uses it)"
			: err == -EPERM ? " (make it first: ip tuntap add NAME mode tap user USER)"
					: "");
		return err;
	}
	return 0;
}

static int take_over(struct tap *tap, int fd, char *why, size_t why_size)
{
	struct ifreq request = {0};
	int flags = fcntl(fd, F_GETFL);
	int err;

	if (flags < 0 || ioctl(fd, TUNGETIFF, &request) < 0) {
		err = -errno;
		snprintf(why, why_size, "descriptor %d is no tap interface: %s", fd, strerror(-err));
		return err;
	}
	if (!(request.ifr_flags & IFF_VNET_HDR) || !(request.ifr_flags & IFF_NO_PI)) {
		snprintf(why, why_size,
			"descriptor %d: the interface must have been opened with "
			"IFF_NO_PI | IFF_VNET_HDR",
			fd);
		return -EINVAL;
	}
	tap->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* the dumper must not inherit it */
	if (tap->fd < 0 || fcntl(tap->fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		err = -errno;
		snprintf(why, why_size, "descriptor %d: %s", fd, strerror(-err));
		return err;
	}
	return 0;
}

int tap_open(struct tap *ret, const char *guest, const char *name, const char *interface, int fd,
	const char *mac, char *why, size_t why_size)
{
	struct tap tap = {.name = name, .fd = -1};
	int header = sizeof(struct virtio_net_hdr_v1);
	int err;

	if (!mac[0])
		derive_mac(guest, name, tap.mac);
	else if (tap_parse_mac(mac, tap.mac))
		return -EINVAL; /* the configuration was checked */
	err = fd >= 0 ? take_over(&tap, fd, why, why_size) : attach(&tap, interface, why, why_size);
	if (!err && ioctl(tap.fd, TUNSETVNETHDRSZ, &header) < 0) {
		err = -errno;
		snprintf(why, why_size, "%s: header size: %s", fd >= 0 ? name : interface, strerror(-err));
	}
	if (err) {
		tap_close(&tap);
		return err;
	}
	tap.offloads = !ioctl(tap.fd, TUNSETOFFLOAD, 0u);
	*ret = tap;
	return 0;
}

void tap_close(struct tap *tap)
{
	if (tap->fd >= 0)
		close(tap->fd);
	tap->fd = -1;
}

int tap_set_offloads(struct tap *tap, unsigned bits)
{
	char start_of_packet[64];

	if (bits == tap->offload_bits)
		return 0;
	if (ioctl(tap->fd, TUNSETOFFLOAD, bits) < 0)
		return -errno;
	tap->offload_bits = bits;
	for (unsigned i = 0; i < DROPS_MAX && read(tap->fd, start_of_packet, sizeof(start_of_packet)) >= 0;
		i++)
		;
	return 0;
}
