/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/memory/grants.c - see grants.h */
#include "vmm/memory/grants.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/machine/vm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* our choice: while slots are plenty, a grant adds at least this part of what there is */
#define LEAST_PART 16
/* our choice: what each grant must be able to add, as a part, for the slots to suffice */
#define GROWTH_PART 4

void grants_init(struct grants *grants)
{
	memset(grants, 0, sizeof(*grants));
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
static int add_slot(struct vm *vm, uint64_t off, uint64_t bytes, uint64_t *ret_added)
{
	const struct dump_layout *layout = &vm->region.layout;
	struct kvm_userspace_memory_region slot = {
		.slot = vm->grants.nr_slots,
		.guest_phys_addr = gpa_at(layout, off),
		.memory_size = u64_min(bytes, segment_end(layout, off) - off),
		.userspace_addr = region_hva(&vm->region, off),
	};

	assert(vm->grants.nr_slots < GRANT_SLOTS_MAX);
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return -errno;
	vm->grants.nr_slots++;
	*ret_added = slot.memory_size;
	return 0;
}

void grants_limit(struct vm *vm, uint64_t initial)
{
	uint64_t ram = vm->region.layout.ram;

	vm->grants.initial = initial ? u64_min(initial, ram) : ram;
	region_set_usable(&vm->region, vm->grants.initial);
}

int grants_boot(struct vm *vm)
{
	uint64_t done = 0, added = 0;
	int err = 0;

	pthread_mutex_lock(&vm->grants.lock);
	for (; !err && done < vm->grants.initial; done += added)
		err = add_slot(vm, done, vm->grants.initial - done, &added);
	pthread_mutex_unlock(&vm->grants.lock);
	return err;
}

uint64_t grants_left(const struct vm *vm)
{
	return vm->region.layout.ram - region_usable(&vm->region);
}

/* With the lock held: the next @bytes of RAM, in one piece or, over the hole, in two. */
static uint64_t grant(struct vm *vm, uint64_t bytes)
{
	uint64_t done = 0, added = 0;

	for (; done < bytes; done += added) {
		uint64_t off = region_usable(&vm->region);
		gpa_t gpa = gpa_at(&vm->region.layout, off);
		int err = add_slot(vm, off, bytes - done, &added);

		if (err) {
			/* what KVM has no memory for now, it may have at the next offer */
			log_warn("generation %u: no memory slot: %s", vm->generation, strerror(-err));
			break;
		}
		region_set_usable(&vm->region, off + added);
		EVENT(vm->shared->events, "memory-added", vm->generation, EV_U64("start", gpa),
			EV_U64("bytes", added), EV_U64("memory", off + added));
		/* one for each slot: they are fewer than events may wait */
		err = event_queue_post(&vm->events, FW_EVENT_MEMORY_ADDED, gpa, added);
		assert(!err);
	}
	if (done)
		vm_ring_events(vm);
	return done;
}

/* With the lock held: slots for grants; one is kept for the piece above the hole. */
static uint32_t slots_left(const struct vm *vm)
{
	const struct dump_layout *layout = &vm->region.layout;
	bool hole_ahead = segment_end(layout, region_usable(&vm->region)) < layout->ram;

	return GRANT_SLOTS_MAX - vm->grants.nr_slots - hole_ahead;
}

uint64_t grants_offer(struct vm *vm, uint64_t available)
{
	uint64_t left, done = 0;

	pthread_mutex_lock(&vm->grants.lock);
	left = grants_left(vm);
	available = u64_align_down(u64_min(available, left), PAGE_SIZE_2M);
	if (left && !vm->grants.frozen &&
		available >=
			grants_least(region_usable(&vm->region), vm->region.layout.ram, slots_left(vm)))
		done = grant(vm, available);
	pthread_mutex_unlock(&vm->grants.lock);
	return done;
}

void grants_finish(struct vm *vm)
{
	(void)grants_offer(vm, grants_left(vm));
}

void grants_freeze(struct vm *vm)
{
	struct dump_layout layout;
	uint64_t usable;

	pthread_mutex_lock(&vm->grants.lock);
	usable = region_usable(&vm->region);
	if (!vm->grants.frozen && usable < vm->region.layout.ram) {
		int err = dump_layout_init(&layout, usable, HOLE_BASE, HOLE_END);

		/* a file that cannot be cut is dumped as it is: what the VM never had are holes */
		if (!err && ftruncate(vm->region.fd, (off_t)dump_layout_file_size(&layout)) < 0)
			err = -errno;
		if (err)
			log_debug("generation %u: its region cannot be cut: %s", vm->generation,
				strerror(-err));
		else
			vm->record->layout = layout;
	}
	vm->grants.frozen = true;
	pthread_mutex_unlock(&vm->grants.lock);
}
