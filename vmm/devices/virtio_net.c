/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/devices/virtio_net.c - see virtio_net.h.  Section numbers are those of the VIRTIO 1.2 specification. */
#include "vmm/devices/virtio_net.h"

#include "dump/base/log.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <string.h>

enum { QUEUE_RX, QUEUE_TX };

#define HEADER sizeof(struct virtio_net_hdr_v1)
/* 5.1.6.3.1: room that a driver gives a packet that the host need not cut, and one of the usual size */
#define LARGE_PACKET (65550u + HEADER)
#define PACKET (1514u + HEADER)
/* our choice: pieces of one packet; 43 buffers of 1536 bytes hold the largest */
#define RX_PIECES 512

#define BIT(n) (1ull << (n))
#define GUEST_TSO (BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6))

static struct virtio_net *to_net(struct virtio_dev *dev)
{
	return (struct virtio_net *)((char *)dev - offsetof(struct virtio_net, dev));
}

/* ---- receiving ------------------------------------------------------------------------------------ */

/* Buffers for one packet, whatever its size. */
struct room {
	struct virtq_chain first;
	uint16_t nr; /* chains taken */
	uint16_t heads[VIRTQ_SIZE_MAX];
	uint64_t sizes[VIRTQ_SIZE_MAX];
	struct iovec iov[RX_PIECES];
	int nr_iov;
	uint64_t bytes;
};

/* Takes chains until they hold @want bytes.  Result: as virtq_take(), 1 = there is room enough. */
static int gather(struct virtio_dev *dev, struct room *room, uint64_t want, bool many)
{
	struct virtq_chain chain;
	int r, pieces;

	room->nr = 0;
	room->nr_iov = 0;
	room->bytes = 0;
	while (room->bytes < want && room->nr < VIRTQ_SIZE_MAX) {
		if (room->nr && (!many || room->nr_iov > RX_PIECES - (int)VIRTQ_SIZE_MAX))
			break;
		r = virtq_take(&dev->queues[QUEUE_RX].vq, &chain);
		if (r <= 0)
			return r;
		if (!room->nr)
			room->first = chain;
		pieces = virtq_chain_iov(dev->region, &chain, VIRTQ_WRITABLE, 0, chain.writable_bytes,
			room->iov + room->nr_iov);
		assert(pieces >= 0); /* virtq_take() has checked every buffer */
		room->nr_iov += pieces;
		room->heads[room->nr] = chain.head;
		room->sizes[room->nr++] = chain.writable_bytes;
		room->bytes += chain.writable_bytes;
	}
	return 1;
}

/* A packet of @len bytes, header included, is in @room: gives the chains that it fills back, all at once. */
static void deliver(struct virtio_dev *dev, struct room *room, uint64_t len)
{
	struct virtq *vq = &dev->queues[QUEUE_RX].vq;
	uint16_t used = 0;
	int err;

	while (len && used < room->nr) {
		uint64_t part = u64_min(len, room->sizes[used]);

		virtq_fill(vq, used, room->heads[used], (uint32_t)part);
		len -= part;
		used++;
	}
	/* the kernel does not know this field of the header */
	err = virtq_chain_write(dev->region, &room->first, offsetof(struct virtio_net_hdr_v1, num_buffers),
		&used, sizeof(used));
	if (err)
		log_debug("net %s: header: %s", dev->label, strerror(-err));
	virtq_publish(vq, used);
	virtq_untake(vq, (uint16_t)(room->nr - used));
	virtio_dev_report(dev, QUEUE_RX);
}

/* Buffers that cannot hold a header are of no use. */
static void refuse(struct virtio_dev *dev, const struct room *room)
{
	atomic_fetch_add(&dev->refused, 1);
	for (uint16_t i = 0; i < room->nr; i++)
		virtq_give(&dev->queues[QUEUE_RX].vq, room->heads[i], 0);
	virtio_dev_report(dev, QUEUE_RX);
}

/* True if the interface may be asked again when poll() says so. */
static bool is_passing(int error)
{
	/* EFAULT: the packet is lost for want of host memory; EIO: the interface is down */
	return error == EAGAIN || error == EINTR || error == EFAULT || error == EIO;
}

static void receive(struct virtio_net *net, struct room *room)
{
	struct virtio_dev *dev = &net->dev;
	struct virtq *vq = &dev->queues[QUEUE_RX].vq;
	ssize_t n;
	int error;

	virtio_dev_begin(dev);
	pthread_mutex_unlock(&dev->lock);
	n = readv(net->tap->fd, room->iov, room->nr_iov);
	error = n < 0 ? errno : 0;
	pthread_mutex_lock(&dev->lock);
	if (!virtio_dev_end(dev))
		return;
	if (n > 0) {
		atomic_fetch_add(&net->rx, 1);
		deliver(dev, room, (uint64_t)n);
		return;
	}
	if (!is_passing(error) && !net->reported) {
		log_error("net %s: receiving: %s", dev->label, n ? strerror(error) : "end of file");
		net->reported = true;
	}
	if (virtio_dev_wait_fd(dev, is_passing(error) ? net->tap->fd : -1, POLLIN))
		virtq_untake(vq, room->nr);
}

static void rx_thread(struct virtio_net *net)
{
	struct virtio_dev *dev = &net->dev;
	struct room room;

	pthread_mutex_lock(&dev->lock);
	while (virtio_dev_wait_running(dev, QUEUE_RX)) {
		uint64_t want = dev->features & GUEST_TSO ? LARGE_PACKET : PACKET;
		bool many = dev->features & BIT(VIRTIO_NET_F_MRG_RXBUF);
		int r = gather(dev, &room, want, many);

		if (r < 0) {
			virtio_dev_check(dev, QUEUE_RX);
		} else if (!r) {
			if (virtio_dev_wait(dev, QUEUE_RX))
				virtq_untake(&dev->queues[QUEUE_RX].vq, room.nr);
		} else if (room.sizes[0] < HEADER) {
			refuse(dev, &room);
		} else {
			receive(net, &room);
		}
	}
	pthread_mutex_unlock(&dev->lock);
}

/* ---- transmitting --------------------------------------------------------------------------------- */

static void transmit(struct virtio_net *net, const struct virtq_chain *chain)
{
	struct virtio_dev *dev = &net->dev;
	struct iovec iov[VIRTQ_SIZE_MAX];
	int nr = virtq_chain_iov(dev->region, chain, VIRTQ_READABLE, 0, chain->readable_bytes, iov);
	ssize_t n = -1;

	errno = EINVAL;
	while (nr > 0 && (n = writev(net->tap->fd, iov, nr)) < 0) {
		if (errno == EAGAIN)
			virtio_dev_poll(dev, net->tap->fd, POLLOUT, UINT64_MAX);
		else if (errno != EINTR)
			break;
		if (!virtio_dev_runs(dev))
			break;
	}
	if (n >= 0) {
		atomic_fetch_add(&net->tx, 1);
	} else {
		atomic_fetch_add(&dev->refused, 1); /* lost, as packets may be */
		log_debug("net %s: transmitting: %s", dev->label, strerror(errno));
	}
}

static void tx_thread(struct virtio_net *net)
{
	struct virtq_chain chain;

	while (virtio_dev_take(&net->dev, QUEUE_TX, &chain)) {
		transmit(net, &chain);
		virtio_dev_give(&net->dev, QUEUE_TX, &chain, 0);
	}
}

/* ---- the device ----------------------------------------------------------------------------------- */

static void net_thread(struct virtio_dev *dev, uint32_t index)
{
	if (index == QUEUE_RX)
		rx_thread(to_net(dev));
	else
		tx_thread(to_net(dev));
}

static void net_started(struct virtio_dev *dev)
{
	struct virtio_net *net = to_net(dev);
	unsigned bits = 0;
	int err;

	if (!net->tap->offloads)
		return;
	if (dev->features & BIT(VIRTIO_NET_F_GUEST_CSUM)) {
		bits = TUN_F_CSUM;
		bits |= dev->features & BIT(VIRTIO_NET_F_GUEST_TSO4) ? TUN_F_TSO4 : 0;
		bits |= dev->features & BIT(VIRTIO_NET_F_GUEST_TSO6) ? TUN_F_TSO6 : 0;
		bits |= dev->features & BIT(VIRTIO_NET_F_GUEST_ECN) && bits != TUN_F_CSUM ? TUN_F_TSO_ECN
											  : 0;
	}
	err = tap_set_offloads(net->tap, bits);
	if (err)
		log_error("net %s: offloads: %s", dev->label, strerror(-err));
}

static void net_read_config(const struct virtio_dev *dev, uint64_t off, void *buf, uint32_t len)
{
	const struct tap *tap =
		((const struct virtio_net *)((const char *)dev - offsetof(struct virtio_net, dev)))->tap;

	if (off < sizeof(tap->mac)) /* 5.1.4: the other fields belong to features that are not offered */
		memcpy(buf, tap->mac + off, u64_min(len, sizeof(tap->mac) - off));
}

static const struct virtio_dev_ops net_ops = {
	.name = "net",
	.device_id = VIRTIO_ID_NET,
	.nr_queues = 2,
	.nr_threads = 2, /* one a queue: net_thread() */
	.thread = net_thread,
	.read_config = net_read_config,
	.started = net_started,
};

int virtio_net_init(struct virtio_net *net, struct tap *tap, const struct region *region)
{
	uint64_t offered = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CSUM) |
			   BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |
			   BIT(VIRTIO_NET_F_HOST_ECN);

	if (tap->offloads)
		offered |= BIT(VIRTIO_NET_F_GUEST_CSUM) | GUEST_TSO | BIT(VIRTIO_NET_F_GUEST_ECN);
	net->tap = tap;
	return virtio_dev_init(&net->dev, &net_ops, region, tap->name, offered);
}
