/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/devices/virtio_blk.c - see virtio_blk.h.  Section numbers are those of the VIRTIO 1.2 specification. */
#include "vmm/devices/virtio_blk.h"

#include "dump/base/io.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <string.h>

/* 5.2.6: a chain is a header, data, and one byte of status at the end of what the device may write */
#define HEADER sizeof(struct virtio_blk_outhdr)
#define STATUS 1u

/* our choices: ranges of a discard or write-zeroes request, and what one of them may cover */
#define RANGES_MAX 16u
#define DISCARD_SECTORS_MAX (GIB(1) / DISK_SECTOR)
#define ZEROES_SECTORS_MAX (MIB(32) / DISK_SECTOR) /* may be written byte by byte */
/*
 * our choices: bytes that are moved, zeroed or discarded before a request looks whether its VM still runs.  One chain can
 * name the same buffer 254 times, and ask for as much as the disk has; the next VM's disk waits for one part at most.
 */
#define MOVE_PART MIB(1)
#define ZEROES_PART MIB(4)
#define DISCARD_PART MIB(64)
/* our choice: enough to find a failing disk */
#define LINES_MAX 16

static struct virtio_blk *to_blk(struct virtio_dev *dev)
{
	return (struct virtio_blk *)((char *)dev - offsetof(struct virtio_blk, dev));
}

/* One request. */
struct request {
	struct virtio_blk *blk;
	const struct virtq_chain *chain;
	uint32_t type;
	uint64_t sector;
	uint64_t out, in; /* bytes of data: from the driver, to the driver */
	uint64_t done_in; /* bytes written to the driver */
};

/* ---- requests ------------------------------------------------------------------------------------- */

/* Each returns 0, -EINVAL for a request that makes no sense, -EOPNOTSUPP, or another -errno of the host. */
typedef int (*request_fn)(struct request *request);

static int check_range(const struct disk *disk, uint64_t sector, uint64_t bytes)
{
	if (bytes % DISK_SECTOR || sector > disk->sectors || bytes / DISK_SECTOR > disk->sectors - sector)
		return -EINVAL;
	return 0;
}

/* True if the VM is over, and what is left of its request with it. */
static bool is_over(const struct request *r, uint64_t done)
{
	return done && !virtio_dev_runs(&r->blk->dev);
}

typedef int (*move_fn)(struct disk *disk, struct iovec *iov, int nr, uint64_t off, uint64_t len);

/* Moves the @bytes of data, which begin @skip bytes into their part of the chain. */
static int move(struct request *r, enum virtq_side side, uint64_t skip, uint64_t bytes, move_fn move_part)
{
	struct iovec iov[VIRTQ_SIZE_MAX];
	int err = check_range(r->blk->disk, r->sector, bytes);

	for (uint64_t done = 0; done < bytes && !err; done += MOVE_PART) {
		uint64_t len = u64_min(bytes - done, MOVE_PART);
		int nr = virtq_chain_iov(r->blk->dev.region, r->chain, side, skip + done, len, iov);

		if (nr < 0)
			return nr;
		if (is_over(r, done))
			return -ECANCELED;
		err = move_part(r->blk->disk, iov, nr, r->sector * DISK_SECTOR + done, len);
	}
	return err;
}

static int do_read(struct request *r)
{
	int err = move(r, VIRTQ_WRITABLE, 0, r->in, disk_read);

	r->done_in = err ? 0 : r->in;
	return err;
}

static int do_write(struct request *r)
{
	if (r->blk->disk->readonly)
		return -EROFS;
	return move(r, VIRTQ_READABLE, HEADER, r->out, disk_write);
}

static int do_flush(struct request *r)
{
	return disk_flush(r->blk->disk);
}

static int do_get_id(struct request *r)
{
	char id[VIRTIO_BLK_ID_BYTES] = {0};
	size_t len = u64_min(r->in, sizeof(id));
	int err;

	memcpy(id, r->blk->disk->name, u64_min(strlen(r->blk->disk->name), sizeof(id)));
	err = virtq_chain_write(r->blk->dev.region, r->chain, 0, id, len);
	r->done_in = err ? 0 : len;
	return err;
}

/* 5.2.6.2: flags that are not known, and unmap where it has no meaning, are "unsupported". */
static int check_trim(const struct request *r, const struct virtio_blk_discard_write_zeroes *range)
{
	bool zeroes = r->type == VIRTIO_BLK_T_WRITE_ZEROES;

	if (range->flags & ~(zeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u))
		return -EOPNOTSUPP;
	if (range->num_sectors > (zeroes ? ZEROES_SECTORS_MAX : DISCARD_SECTORS_MAX))
		return -EINVAL;
	return check_range(r->blk->disk, range->sector, (uint64_t)range->num_sectors * DISK_SECTOR);
}

static int trim(const struct request *r, const struct virtio_blk_discard_write_zeroes *range)
{
	bool zeroes = r->type == VIRTIO_BLK_T_WRITE_ZEROES;
	uint64_t off = range->sector * DISK_SECTOR, bytes = (uint64_t)range->num_sectors * DISK_SECTOR;
	uint64_t part = zeroes ? ZEROES_PART : DISCARD_PART;
	int err = 0;

	for (uint64_t done = 0; done < bytes && !err; done += part) {
		uint64_t len = u64_min(bytes - done, part);

		if (is_over(r, done))
			return -ECANCELED;
		err = zeroes ? disk_write_zeroes(r->blk->disk, off + done, len,
				       range->flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP)
			     : disk_discard(r->blk->disk, off + done, len);
	}
	return err;
}

static int do_trim(struct request *r)
{
	struct virtio_blk_discard_write_zeroes ranges[RANGES_MAX];
	uint64_t nr = r->out / sizeof(ranges[0]);
	int err;

	if (r->blk->disk->readonly)
		return -EROFS;
	if (!nr || nr > RANGES_MAX || r->out % sizeof(ranges[0]))
		return -EINVAL;
	err = virtq_chain_read(r->blk->dev.region, r->chain, HEADER, ranges, r->out);
	for (uint64_t i = 0; i < nr && !err; i++)
		err = check_trim(r, &ranges[i]);
	for (uint64_t i = 0; i < nr && !err; i++)
		err = is_over(r, i) ? -ECANCELED : trim(r, &ranges[i]);
	return err;
}

static const struct {
	uint32_t type;
	request_fn carry_out;
} requests[] = {
	{VIRTIO_BLK_T_IN, do_read},
	{VIRTIO_BLK_T_OUT, do_write},
	{VIRTIO_BLK_T_FLUSH, do_flush},
	{VIRTIO_BLK_T_GET_ID, do_get_id},
	{VIRTIO_BLK_T_DISCARD, do_trim},
	{VIRTIO_BLK_T_WRITE_ZEROES, do_trim},
};

static int do_request(struct request *r)
{
	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		if (requests[i].type == r->type)
			return requests[i].carry_out(r);
	return -EOPNOTSUPP;
}

/* Counted for those who share the disk: dump/base/disk_load.h */
static int carry_out(struct request *r)
{
	struct disk_load *load = r->blk->disk->load;
	uint64_t began_ns;
	int err;

	if (!load)
		return do_request(r);
	began_ns = clock_mono_ns();
	disk_load_begin(load, began_ns);
	err = do_request(r);
	disk_load_end(load, began_ns, clock_mono_ns(), r->type == VIRTIO_BLK_T_IN ? r->in : r->out);
	return err;
}

/* Tells the operator of failures of the host; what the guest asks wrongly is the guest's business. */
static void report(struct request *r, int err)
{
	struct virtio_dev *dev = &r->blk->dev;
	bool say;

	if (!err || err == -EINVAL || err == -EOPNOTSUPP || err == -EROFS || err == -ECANCELED)
		return;
	pthread_mutex_lock(&dev->lock);
	say = log_limit_ok(&r->blk->limit);
	pthread_mutex_unlock(&dev->lock);
	if (say)
		log_error("disk %s: request of type %u at sector %llu failed: %s%s", dev->label, r->type,
			(unsigned long long)r->sector, strerror(-err),
			err == -EFAULT ? " (is the tmpfs of vm.memory_dir full?)" : "");
}

uint32_t virtio_blk_handle(struct virtio_blk *blk, const struct virtq_chain *chain)
{
	struct virtio_blk_outhdr header;
	struct request r = {.blk = blk, .chain = chain};
	uint8_t status;
	int err;

	if (chain->readable_bytes < HEADER || chain->writable_bytes < STATUS)
		return 0; /* no way to answer: 5.2.6.1 says that there is both */
	r.out = chain->readable_bytes - HEADER;
	r.in = chain->writable_bytes - STATUS;
	err = virtq_chain_read(blk->dev.region, chain, 0, &header, sizeof(header));
	if (!err) {
		r.type = header.type;
		r.sector = header.sector;
		err = carry_out(&r);
	}
	report(&r, err);
	if (err)
		atomic_fetch_add(&blk->dev.refused, 1);
	if (!virtio_dev_runs(&blk->dev))
		return 0; /* it took longer than the VM lived, whose memory may be given away by now */
	status = !err ? VIRTIO_BLK_S_OK : err == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
	err = virtq_chain_write(blk->dev.region, chain, r.in, &status, STATUS);
	report(&r, err);
	return err ? 0 : (uint32_t)u64_min(r.done_in + STATUS, UINT32_MAX);
}

/* ---- the device ----------------------------------------------------------------------------------- */

static bool still_wanted(const void *owner)
{
	return virtio_dev_runs(owner);
}

static void blk_thread(struct virtio_dev *dev, uint32_t index)
{
	struct virtio_blk *blk = to_blk(dev);
	struct virtq_chain chain;

	(void)index;
	while (virtio_dev_take(dev, 0, &chain)) {
		uint32_t written = 0;

		/* the VM before this one may still have requests under way */
		if (disk_attach(blk->disk, dev, still_wanted))
			written = virtio_blk_handle(blk, &chain);
		virtio_dev_give(dev, 0, &chain, written);
	}
}

static void blk_stopping(struct virtio_dev *dev)
{
	disk_wake(to_blk(dev)->disk);
}

static void blk_idle(struct virtio_dev *dev)
{
	disk_detach(to_blk(dev)->disk, dev);
}

static void blk_read_config(const struct virtio_dev *dev, uint64_t off, void *buf, uint32_t len)
{
	const struct disk *disk =
		((const struct virtio_blk *)((const char *)dev - offsetof(struct virtio_blk, dev)))->disk;
	struct virtio_blk_config config = {
		.capacity = disk->sectors,
		.seg_max = VIRTQ_SIZE_MAX - 2, /* header and status are the other two */
		.blk_size = disk->block_size,
		.max_discard_sectors = DISCARD_SECTORS_MAX,
		.max_discard_seg = RANGES_MAX,
		.discard_sector_alignment = (uint32_t)PAGE_SIZE_4K / DISK_SECTOR,
		.max_write_zeroes_sectors = ZEROES_SECTORS_MAX,
		.max_write_zeroes_seg = RANGES_MAX,
		.write_zeroes_may_unmap = 1,
	};

	if (off < sizeof(config))
		memcpy(buf, (const char *)&config + off, u64_min(len, sizeof(config) - off));
}

static const struct virtio_dev_ops blk_ops = {
	.name = "block",
	.device_id = VIRTIO_ID_BLOCK,
	.nr_queues = 1,
	.nr_threads = 4, /* our choice: a flush does not keep three others waiting */
	.thread = blk_thread,
	.read_config = blk_read_config,
	.stopping = blk_stopping,
	.idle = blk_idle,
};

int virtio_blk_init(struct virtio_blk *blk, struct disk *disk, const struct region *region)
{
	uint64_t offered = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
			   1ull << VIRTIO_BLK_F_FLUSH;

	offered |= disk->readonly ? 1ull << VIRTIO_BLK_F_RO
				  : 1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
	blk->disk = disk;
	blk->limit.burst = LINES_MAX;
	return virtio_dev_init(&blk->dev, &blk_ops, region, disk->name, offered);
}
