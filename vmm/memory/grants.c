/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/memory/grants.c - see grants.h */
#include "vmm/memory/grants.h"

#include "dump/base/log.h"
#include "vmm/memory/memmap.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* our choice: while slots are plenty, a grant adds at least this part of what there is */
#define LEAST_PART 16
/* our choice: what each grant must be able to add, as a part, for the slots to suffice */
#define GROWTH_PART 4

void grants_init(struct grants *grants, struct region *region, const uint32_t *generation,
	grants_added *added, void *opaque)
{
	*grants = (struct grants){
		.region = region, .generation = generation, .added = added, .opaque = opaque, .vm_fd = -1};
	pthread_mutex_init(&grants->lock, NULL);
}

void grants_fini(struct grants *grants)
{
	pthread_mutex_destroy(&grants->lock);
}

uint64_t grants_least(uint64_t have, uint64_t total, uint32_t slots)
{
	uint64_t least = u64_max(PAGE_SIZE_2M, have / LEAST_PART), need = total;

	/* @need: what the VM must have before the last i slots, if each of them adds a quarter */
	for (uint32_t i = 1; i < slots && need > have; i++)
		need -= need / (GROWTH_PART + 1);
	if (need > have)
		least = u64_max(least, need - have);
	return u64_min(u64_align_up(least, PAGE_SIZE_2M), total - have);
}

/* The end of the segment that RAM offset @off is in. */
static uint64_t segment_end(const struct dump_layout *layout, uint64_t off)
{
	for (uint32_t i = 0; i < layout->nr_segments; i++)
		if (off < layout->segments[i].off + layout->segments[i].size)
			return layout->segments[i].off + layout->segments[i].size;
	return layout->ram;
}

static gpa_t gpa_at(const struct dump_layout *layout, uint64_t off)
{
	uint32_t i = 0;

	while (off - layout->segments[i].off >= layout->segments[i].size)
		i++;
	return layout->segments[i].gpa + (off - layout->segments[i].off);
}

/* With the lock held: a memory slot for [@off, @off + @bytes) of RAM, or for what of it lies in one segment. */
static int add_slot(struct grants *grants, uint64_t off, uint64_t bytes, uint64_t *ret_added)
{
	const struct dump_layout *layout = &grants->region->layout;
	struct kvm_userspace_memory_region slot = {
		.slot = grants->nr_slots,
		.guest_phys_addr = gpa_at(layout, off),
		.memory_size = u64_min(bytes, segment_end(layout, off) - off),
		.userspace_addr = region_hva(grants->region, off),
	};

	assert(grants->nr_slots < GRANT_SLOTS_MAX);
	if (ioctl(grants->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return -errno;
	grants->nr_slots++;
	*ret_added = slot.memory_size;
	return 0;
}

void grants_limit(struct grants *grants, uint64_t initial)
{
	uint64_t ram = grants->region->layout.ram;

	grants->initial = initial ? u64_min(initial, ram) : ram;
	region_set_usable(grants->region, grants->initial);
}

int grants_boot(struct grants *grants, int vm_fd)
{
	uint64_t done = 0, added = 0;
	int err = 0;

	pthread_mutex_lock(&grants->lock);
	grants->vm_fd = vm_fd;
	for (; !err && done < grants->initial; done += added)
		err = add_slot(grants, done, grants->initial - done, &added);
	pthread_mutex_unlock(&grants->lock);
	return err;
}

uint64_t grants_left(const struct grants *grants)
{
	return grants->region->layout.ram - region_usable(grants->region);
}

/* With the lock held: the next @bytes of RAM, in one piece or, over the hole, in two. */
static uint64_t grant(struct grants *grants, uint64_t bytes)
{
	uint64_t done = 0, added = 0;

	for (; done < bytes; done += added) {
		uint64_t off = region_usable(grants->region);
		gpa_t gpa = gpa_at(&grants->region->layout, off);
		int err = add_slot(grants, off, bytes - done, &added);

		if (err) {
			/* what KVM has no memory for now, it may have at the next offer */
			log_warn("generation %u: no memory slot: %s", *grants->generation, strerror(-err));
			break;
		}
		region_set_usable(grants->region, off + added);
		grants->added(grants->opaque, gpa, added);
	}
	return done;
}

/* With the lock held: slots for grants; one is kept for the piece above the hole. */
static uint32_t slots_left(const struct grants *grants)
{
	const struct dump_layout *layout = &grants->region->layout;
	bool hole_ahead = segment_end(layout, region_usable(grants->region)) < layout->ram;

	return GRANT_SLOTS_MAX - grants->nr_slots - hole_ahead;
}

uint64_t grants_offer(struct grants *grants, uint64_t available)
{
	uint64_t left, done = 0;

	pthread_mutex_lock(&grants->lock);
	left = grants_left(grants);
	available = u64_align_down(u64_min(available, left), PAGE_SIZE_2M);
	if (left && !grants->frozen &&
		available >= grants_least(region_usable(grants->region), grants->region->layout.ram,
				     slots_left(grants)))
		done = grant(grants, available);
	pthread_mutex_unlock(&grants->lock);
	return done;
}

void grants_finish(struct grants *grants)
{
	(void)grants_offer(grants, grants_left(grants));
}

void grants_freeze(struct grants *grants, struct dump_layout *layout)
{
	struct dump_layout cut;
	uint64_t usable;

	pthread_mutex_lock(&grants->lock);
	usable = region_usable(grants->region);
	if (!grants->frozen && usable < grants->region->layout.ram) {
		int err = dump_layout_init(&cut, usable, HOLE_BASE, HOLE_END);

		/* a file that cannot be cut is dumped as it is: what the VM never had are holes */
		if (!err && ftruncate(grants->region->fd, (off_t)dump_layout_file_size(&cut)) < 0)
			err = -errno;
		if (err)
			log_debug("generation %u: its region cannot be cut: %s", *grants->generation,
				strerror(-err));
		else
			*layout = cut;
	}
	grants->frozen = true;
	pthread_mutex_unlock(&grants->lock);
}
