/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/machine/guest_dump.c - see guest_dump.h */
#include "vmm/machine/guest_dump.h"

#include "dump/base/io.h"
#include "dump/files/publish.h"
#include "vmm/memory/memmap.h"
#include "vmm/memory/grants.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* our choice: how much a write moves before it looks whether the vCPU is to stop */
#define WRITE_PIECE PAGE_SIZE_2M
/* our choice: the same for a release, which takes milliseconds for that much with 4 KiB pages */
#define RELEASE_PIECE MIB(32)
/* our choice: added memory keeps this distance from RAM, so that the guest can tell them apart */
#define ADDED_GAP GIB(1)

void guest_dump_init(struct guest_dump *dump)
{
	memset(dump, 0, sizeof(*dump));
	dump->file_fd = -1;
	pthread_mutex_init(&dump->lock, NULL);
	pthread_mutex_init(&dump->writer, NULL);
	pthread_mutex_init(&dump->releaser, NULL);
}

int guest_dump_begin(struct guest_dump *dump, const struct guest_dump_source *source)
{
	const struct dump_layout *layout = &source->region->layout;
	const struct dump_segment *last = &layout->segments[layout->nr_segments - 1];
	int err;

	pthread_mutex_lock(&dump->lock);
	err = dump->file_fd >= 0 ? -EBUSY
				 : publish_tmpfile(source->dir_fd, dump_layout_file_size(source->layout),
					   &dump->file_fd);
	if (!err) {
		dump->source = *source;
		dump->first_slot = GRANT_SLOTS_MAX;
		/* not below 4 GiB either: there lie the interrupt controllers and KVM's own pages */
		dump->next_added = u64_align_up(u64_max(last->gpa + last->size, HOLE_END), PAGE_SIZE_2M) +
				   ADDED_GAP;
		dump->added_end = 1ull << source->phys_bits;
		atomic_store(&dump->active, true);
	}
	pthread_mutex_unlock(&dump->lock);
	return err;
}

static bool overlaps(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* RAM offset of a window that the guest asks for. */
static int32_t check_window(const struct guest_dump *dump, fw_gpa_t start, uint64_t len, uint64_t *ret_off)
{
	if (!atomic_load(&dump->active))
		return FW_ENOTSUP;
	if (!len || start % PAGE_SIZE_4K || len % PAGE_SIZE_4K)
		return FW_EINVAL;
	return region_offset(dump->source.region, start, len, ret_off) ? FW_EFAULT : FW_OK;
}

/* ---- streams ------------------------------------------------------------------------------------ */

int32_t guest_dump_open(struct guest_dump *dump, fw_gpa_t start, uint64_t len, uint32_t *ret_stream)
{
	uint32_t free_slot = FW_STREAMS_MAX;
	uint64_t off;
	int32_t status = check_window(dump, start, len, &off);

	if (status != FW_OK)
		return status;
	pthread_mutex_lock(&dump->lock);
	for (uint32_t i = 0; i < FW_STREAMS_MAX && status == FW_OK; i++) {
		const struct dump_stream *stream = &dump->streams[i];

		if (!stream->open)
			free_slot = free_slot == FW_STREAMS_MAX ? i : free_slot;
		else if (overlaps(off, len, stream->off, stream->len))
			status = FW_EINVAL;
	}
	if (status == FW_OK && free_slot == FW_STREAMS_MAX)
		status = FW_ENOSPC;
	if (status == FW_OK) {
		dump->streams[free_slot] = (struct dump_stream){.open = true, .off = off, .len = len};
		*ret_stream = free_slot + 1;
	}
	pthread_mutex_unlock(&dump->lock);
	return status;
}

/* Takes @len bytes at the stream's position for the caller to fill. */
static int32_t reserve(struct guest_dump *dump, uint32_t stream, uint64_t len, uint64_t *ret_off)
{
	struct dump_stream *s = &dump->streams[stream - 1];
	int32_t status = FW_OK;

	pthread_mutex_lock(&dump->lock);
	if (!s->open || len > s->len - s->pos) {
		status = FW_EINVAL;
	} else {
		*ret_off = s->off + s->pos;
		s->pos += len;
		dump->written += len;
	}
	pthread_mutex_unlock(&dump->lock);
	return status;
}

/* One punch; the others wait, as they would in the kernel, so that what it gave back can be counted. */
static int release_piece(struct guest_dump *dump, uint64_t start, uint64_t len)
{
	uint64_t before, after;
	int r;

	pthread_mutex_lock(&dump->releaser);
	before = io_bytes_behind(dump->source.region->fd);
	r = io_fallocate(dump->source.region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		dump->source.region->layout.head + start, len);
	after = io_bytes_behind(dump->source.region->fd);
	if (before > after)
		dump->given_back += before - after;
	pthread_mutex_unlock(&dump->releaser);
	return r;
}

/* Gives the whole pages of RAM [@off, @off + @len) back to the host. */
static void release(struct guest_dump *dump, uint64_t off, uint64_t len)
{
	uint64_t start = u64_align_up(off, PAGE_SIZE_4K);
	uint64_t end = u64_align_down(off + len, PAGE_SIZE_4K);

	atomic_store(&dump->released, true);
	/* in pieces that end between huge pages; what stays is released by the dumper */
	for (uint64_t part; start < end && !atomic_load(dump->source.stopping); start += part) {
		part = u64_min(end - start, RELEASE_PIECE - start % RELEASE_PIECE);
		if (release_piece(dump, start, part))
			return;
	}
}

/*
 * Bytes from RAM offset @off on, at most @len, that have no memory behind them: they are zeros, and reading
 * them through the mapping would allocate them.  Multiple of the page size, or @len.
 */
static uint64_t hole_at(const struct guest_dump *dump, uint64_t off, uint64_t len)
{
	uint64_t head = dump->source.region->layout.head;
	off_t data = lseek(dump->source.region->fd, (off_t)(head + off), SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? len : 0;
	return u64_min((uint64_t)data - head - off, len);
}

/*
 * From the mapping: a source or a target without memory is an error, not a SIGBUS.  tmpfs takes one writer
 * a file and lets the others spin for it: they sleep instead.  Mapping the source first keeps the kernel
 * from copying a huge page in pieces.
 */
static int write_piece(struct guest_dump *dump, uint64_t from, uint64_t to, uint64_t len)
{
	uint64_t start = u64_align_down(from, PAGE_SIZE_4K);
	int err;

	(void)madvise(dump->source.region->map + start, from + len - start, MADV_POPULATE_READ);
	pthread_mutex_lock(&dump->writer);
	err = io_pwrite_full(
		dump->file_fd, dump->source.region->map + from, len, dump->source.region->layout.head + to);
	pthread_mutex_unlock(&dump->writer);
	return err;
}

/*
 * Zeros from a source without memory: the target is to have none either.  Where an earlier write left bytes
 * they go; the kernel zeroes the parts of pages at both ends.
 */
static int write_hole(const struct guest_dump *dump, uint64_t head, uint64_t to, uint64_t len)
{
	off_t data = lseek(dump->file_fd, (off_t)(head + to), SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? 0 : -errno;
	if ((uint64_t)data >= head + to + len)
		return 0;
	return io_fallocate(dump->file_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, head + to, len);
}

int32_t guest_dump_write(
	struct guest_dump *dump, uint32_t stream, fw_gpa_t buf, uint64_t len, bool give_back)
{
	uint64_t from, to;
	int32_t status;

	if (!atomic_load(&dump->active))
		return FW_ENOTSUP;
	if (!stream || stream > FW_STREAMS_MAX)
		return FW_EINVAL;
	if (region_offset(dump->source.region, buf, len, &from))
		return FW_EFAULT;
	status = reserve(dump, stream, len, &to);
	for (uint64_t done = 0; status == FW_OK && done < len;) {
		uint64_t skip = hole_at(dump, from + done, len - done);
		/* pieces end at huge pages, so that little more than what is used is read */
		uint64_t part = u64_min(
			len - done - skip, WRITE_PIECE - (from + done + skip) % WRITE_PIECE);

		if (atomic_load(dump->source.stopping))
			status = FW_EBUSY;
		else if (skip && write_hole(dump, dump->source.region->layout.head, to + done, skip))
			status = FW_ENOSPC;
		done += skip;
		if (status == FW_OK && part && write_piece(dump, from + done, to + done, part))
			status = FW_ENOSPC;
		done += part;
	}
	if (status == FW_OK && give_back)
		release(dump, from, len);
	return status;
}

int32_t guest_dump_close(struct guest_dump *dump, uint32_t stream)
{
	int32_t status = FW_EINVAL;

	if (!atomic_load(&dump->active))
		return FW_ENOTSUP;
	if (!stream || stream > FW_STREAMS_MAX)
		return FW_EINVAL;
	pthread_mutex_lock(&dump->lock);
	if (dump->streams[stream - 1].open) {
		dump->streams[stream - 1].open = false;
		status = FW_OK;
	}
	pthread_mutex_unlock(&dump->lock);
	return status;
}

/* ---- added memory ------------------------------------------------------------------------------- */

/*
 * Maps the window so that huge pages of the file, of the VMM and of the guest coincide: all three
 * addresses are equal modulo 2 MiB.
 */
static int map_window(struct guest_dump *dump, struct dump_area *area)
{
	uint64_t lead = area->off % PAGE_SIZE_2M;
	uintptr_t aligned;
	void *map;

	area->reserve_size = lead + area->len + PAGE_SIZE_2M;
	area->reserve = mmap(
		NULL, area->reserve_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area->reserve == MAP_FAILED) {
		area->reserve = NULL;
		return -errno;
	}
	aligned = u64_align_up((uintptr_t)area->reserve, PAGE_SIZE_2M) + lead;
	map = mmap((char *)area->reserve + (aligned - (uintptr_t)area->reserve), area->len,
		PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, dump->file_fd,
		(off_t)(dump->source.region->layout.head + area->off));
	if (map == MAP_FAILED)
		return -errno;
	area->map = map;
	(void)madvise(map, area->len, MADV_HUGEPAGE);
	/* kept from being swapped where the limit allows; never a reason to fail */
	(void)mlock2(map, area->len, MLOCK_ONFAULT);
	return 0;
}

static int set_slot(const struct guest_dump *dump, const struct dump_area *area, uint64_t size)
{
	struct kvm_userspace_memory_region slot = {
		.slot = dump->first_slot + (uint32_t)(area - dump->areas),
		.guest_phys_addr = area->added,
		.memory_size = size,
		.userspace_addr = (uint64_t)(uintptr_t)area->map,
	};

	return ioctl(dump->source.vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0 ? -errno : 0;
}

static void drop_area(struct dump_area *area)
{
	if (area->reserve)
		munmap(area->reserve, area->reserve_size);
	memset(area, 0, sizeof(*area));
}

/* With the lock held: a free entry whose window collides with no other. */
static int32_t find_area(struct guest_dump *dump, uint64_t off, uint64_t len, struct dump_area **ret)
{
	*ret = NULL;
	for (uint32_t i = 0; i < FW_STREAMS_MAX; i++) {
		struct dump_area *area = &dump->areas[i];

		if (!area->used)
			*ret = *ret ? *ret : area;
		else if (overlaps(off, len, area->off, area->len))
			return FW_EINVAL;
	}
	return *ret ? FW_OK : FW_ENOSPC;
}

int32_t guest_dump_mem_add(struct guest_dump *dump, fw_gpa_t start, uint64_t len, fw_gpa_t *ret_added)
{
	struct dump_area *area;
	uint64_t off;
	int32_t status = check_window(dump, start, len, &off);

	if (status != FW_OK)
		return status;
	pthread_mutex_lock(&dump->lock);
	status = find_area(dump, off, len, &area);
	if (status == FW_OK && (dump->next_added >= dump->added_end ||
				       len + 2 * PAGE_SIZE_2M > dump->added_end - dump->next_added))
		status = FW_ENOSPC;
	if (status == FW_OK) {
		*area = (struct dump_area){.used = true,
			.added = dump->next_added + start % PAGE_SIZE_2M,
			.off = off,
			.len = len};
		if (map_window(dump, area) || set_slot(dump, area, len)) {
			drop_area(area);
			status = FW_ENOSPC;
		} else {
			dump->next_added = u64_align_up(area->added + len, PAGE_SIZE_2M);
			*ret_added = area->added;
		}
	}
	pthread_mutex_unlock(&dump->lock);
	return status;
}

int32_t guest_dump_mem_remove(struct guest_dump *dump, fw_gpa_t added)
{
	int32_t status = FW_EINVAL;

	if (!atomic_load(&dump->active))
		return FW_ENOTSUP;
	pthread_mutex_lock(&dump->lock);
	for (uint32_t i = 0; i < FW_STREAMS_MAX; i++) {
		struct dump_area *area = &dump->areas[i];

		if (area->used && area->added == added) {
			status = set_slot(dump, area, 0) ? FW_EBUSY : FW_OK;
			if (status == FW_OK)
				drop_area(area);
			break;
		}
	}
	pthread_mutex_unlock(&dump->lock);
	return status;
}

void guest_dump_fini(struct guest_dump *dump)
{

	for (uint32_t i = 0; i < FW_STREAMS_MAX; i++)
		drop_area(&dump->areas[i]);
	if (dump->file_fd >= 0)
		close(dump->file_fd);
	dump->file_fd = -1;
	pthread_mutex_destroy(&dump->lock);
	pthread_mutex_destroy(&dump->writer);
	pthread_mutex_destroy(&dump->releaser);
}
