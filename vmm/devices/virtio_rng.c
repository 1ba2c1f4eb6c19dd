/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/devices/virtio_rng.c - see virtio_rng.h */
#include "vmm/devices/virtio_rng.h"

#include "dump/base/io.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <sys/random.h>

/* our choice: what may be drawn at once before the rate counts */
#define BURST_NS (NSEC_PER_SEC / 4)

/* Bytes given; straight into guest memory, where a page that cannot be had is EFAULT. */
static uint32_t fill(struct virtio_dev *dev, const struct virtq_chain *chain)
{
	struct iovec iov[VIRTQ_SIZE_MAX];
	uint64_t want = u64_min(chain->writable_bytes, RNG_CHUNK);
	int nr = virtq_chain_iov(dev->region, chain, VIRTQ_WRITABLE, 0, want, iov);
	uint32_t given = 0;

	for (int i = 0; i < nr; i++) {
		size_t done = 0;

		while (done < iov[i].iov_len) {
			ssize_t n = getrandom((char *)iov[i].iov_base + done, iov[i].iov_len - done, 0);

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return given;
			done += (size_t)n;
			given += (uint32_t)n;
		}
	}
	return given;
}

/* Waits until @bytes more may be given. */
static void pay(struct virtio_rng *rng, uint32_t bytes)
{
	uint64_t now = clock_mono_ns();

	rng->free_at_ns = u64_max(rng->free_at_ns, now) + bytes * NSEC_PER_SEC / RNG_BYTES_PER_SEC;
	if (rng->free_at_ns - now > BURST_NS)
		virtio_dev_poll(&rng->dev, -1, 0, rng->free_at_ns - now - BURST_NS);
}

static void rng_thread(struct virtio_dev *dev, uint32_t index)
{
	struct virtio_rng *rng = (struct virtio_rng *)((char *)dev - offsetof(struct virtio_rng, dev));
	struct virtq_chain chain;

	(void)index;
	while (virtio_dev_take(dev, 0, &chain)) {
		uint32_t given = fill(dev, &chain);

		pay(rng, given);
		virtio_dev_give(dev, 0, &chain, given);
	}
}

static void rng_read_config(const struct virtio_dev *dev, uint64_t off, void *buf, uint32_t len)
{
	(void)dev, (void)off, (void)buf, (void)len; /* 5.4.4: it has none */
}

static const struct virtio_dev_ops rng_ops = {
	.name = "entropy",
	.device_id = VIRTIO_ID_RNG,
	.nr_queues = 1,
	.nr_threads = 1,
	.thread = rng_thread,
	.read_config = rng_read_config,
};

int virtio_rng_init(struct virtio_rng *rng, const struct region *region)
{
	return virtio_dev_init(&rng->dev, &rng_ops, region, "rng", 0);
}
