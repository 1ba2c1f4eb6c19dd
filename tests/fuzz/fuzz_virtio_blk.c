/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_virtio_blk.c - intent: whatever a driver puts into the rings of a virtqueue and wherever it puts the rings, every
 * chain that is taken lies in RAM and adds up, taking ends, giving back writes the used ring alone, and a disk
 * behind it keeps its size and is written only by requests to write.
 *
 * Input: byte 0: bit 0 = indirect descriptors, bit 1 = event indexes, bits 4-7 = log2 of the queue's size;
 * byte 1: bit 0 = the disk is read-only; 2 bytes each: descriptors / 16, available ring / 2, used ring / 4; then the
 * contents of RAM (tests/fuzz/guest.h).
 */
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "tests/fuzz/guest.h"
#include "vmm/devices/virtio_blk.h"

#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTORS 64u
#define TAKES_MAX 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct region region = {.fd = -1};
static struct disk disk = {.name = "fuzz", .fd = -1, .direct_fd = -1};
static struct virtio_blk blk;
static char content[SECTORS * DISK_SECTOR];

static void init(const struct fuzz_guest *guest)
{
	char *map = mmap(NULL, FUZZ_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, guest->view.fd,
		(off_t)guest->layout.head);

	must(map != MAP_FAILED, "a mapping of RAM");
	region.fd = guest->view.fd;
	region.layout = guest->layout;
	region.map = map;
	region_set_usable(&region, FUZZ_RAM);
	disk.fd = memfd_create("fuzz-disk", MFD_CLOEXEC);
	disk.sectors = SECTORS;
	disk.block_size = disk.direct_align = DISK_SECTOR;
	memset(content, 'd', sizeof(content));
	log_set_level(LOG_ERROR);
	must(disk.fd >= 0, "a disk");
	must(!virtio_blk_init(&blk, &disk, &region), "a device");
	blk.limit.burst = 0;
	atomic_store(&blk.dev.state, VIRTIO_RUNNING); /* it has no threads: requests are carried out here */
}

static void check_chain(const struct virtq_chain *chain)
{
	uint64_t sums[2] = {0, 0}, off;

	must(chain->nr_readable + chain->nr_writable <= (int)VIRTQ_SIZE_MAX, "a bounded chain");
	for (int i = 0; i < chain->nr_readable + chain->nr_writable; i++) {
		must(chain->bufs[i].len, "no empty buffer");
		must(!dump_layout_offset(&region.layout, chain->bufs[i].gpa, chain->bufs[i].len, &off),
			"every buffer is in RAM");
		sums[i >= chain->nr_readable] += chain->bufs[i].len;
	}
	must(sums[0] == chain->readable_bytes && sums[1] == chain->writable_bytes, "sums are right");
}

static void check_disk(bool readonly)
{
	static char now[sizeof(content)];
	struct stat st;

	must(!fstat(disk.fd, &st) && st.st_size == (off_t)sizeof(content), "the disk keeps its size");
	if (readonly) {
		must(!io_pread_full(disk.fd, now, sizeof(now), 0), "a disk to read");
		must(!memcmp(now, content, sizeof(now)), "a read-only disk is not written");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct {
		uint8_t flags, readonly;
		uint16_t desc, avail, used;
	} in;
	static struct virtq_chain chain;
	struct fuzz_guest *guest;
	struct virtq_place place;
	struct virtq vq;
	int wishes = 0;

	fuzz_take(&data, &size, &in, sizeof(in));
	guest = fuzz_guest_init(data, size);
	if (region.fd < 0)
		init(guest);
	disk.readonly = in.readonly & 1;
	must(!io_pwrite_full(disk.fd, content, sizeof(content), 0), "a disk to write");
	place = (struct virtq_place){.size = 1u << (in.flags >> 4),
		.desc = in.desc * 16u,
		.avail = in.avail * 2u,
		.used = in.used * 4u};
	if (virtq_open(&vq, &region, &place,
		    (in.flags & 1 ? 1ull << VIRTIO_RING_F_INDIRECT_DESC : 0) |
			    (in.flags & 2 ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0)))
		return 0;
	for (int i = 0; i < TAKES_MAX; i++) {
		int r = virtq_take(&vq, &chain);
		uint32_t written;

		must(r == 1 || (r == 0 && !vq.broken) || (r < 0 && vq.broken), "one of three results");
		if (r <= 0)
			break;
		check_chain(&chain);
		written = virtio_blk_handle(&blk, &chain);
		must(written <= chain.writable_bytes, "no more is written than there is room");
		virtq_give(&vq, chain.head, written);
		wishes += virtq_wants_interrupt(&vq);
	}
	wishes += virtq_want_notify(&vq);
	must(wishes <= TAKES_MAX + 1, "one answer each");
	check_disk(disk.readonly);
	virtq_close(&vq);
	return 0;
}
