/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/machine/vm.c - what the threads of a VM report, and what they wait for: see vm.h */
#include "vmm/machine/vm.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/memory/memmap.h"

#include <string.h>
#include <sys/ioctl.h>

void vm_notify(struct vm *vm)
{
	io_ring(vm->shared->notify_fd);
}

bool vm_claim_end(struct vm *vm)
{
	return !atomic_exchange(&vm->ended, true);
}

bool vm_end(struct vm *vm, const struct vm_end *end)
{
	if (!vm_claim_end(vm))
		return false;
	vm_publish_end(vm, end);
	return true;
}

void vm_publish_end(struct vm *vm, const struct vm_end *end)
{
	vm->end = *end;
	atomic_store_explicit(&vm->end_valid, true, memory_order_release);
	vm_notify(vm);
}

void vm_ring_events(struct vm *vm)
{
	static const uint32_t levels[] = {1, 0};

	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		struct kvm_irq_level line = {.irq = GSI_EVENTS, .level = levels[i]};

		if (ioctl(vm->fd, KVM_IRQ_LINE, &line) < 0)
			log_debug("interrupt of events: %s", strerror(errno));
	}
}

/*
 * Waits for a command after number *@seen.  Not for another command than the last: between two looks a pause may have
 * come and gone.
 */
static enum vm_command await_command(struct vm *vm, uint64_t *seen)
{
	enum vm_command now;

	pthread_mutex_lock(&vm->lock);
	while (vm->commands == *seen)
		pthread_cond_wait(&vm->commanded, &vm->lock);
	*seen = vm->commands;
	now = atomic_load(&vm->command);
	pthread_mutex_unlock(&vm->lock);
	return now;
}

static void sit_out_pause(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->nr_paused++;
	pthread_cond_signal(&vm->parked);
	while (atomic_load(&vm->command) == VM_PAUSE)
		pthread_cond_wait(&vm->commanded, &vm->lock);
	vm->nr_paused--; /* only here: one that overslept a short resume is still counted, and rightly */
	pthread_mutex_unlock(&vm->lock);
}

static void report_parked(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->nr_parked++;
	pthread_cond_signal(&vm->parked);
	pthread_mutex_unlock(&vm->lock);
}

void vm_obey(struct vm *vm, const struct vm_duties *duties, void *opaque)
{
	enum vm_command command = VM_HOLD;
	uint64_t seen = 0;

	while (command != VM_QUIT) {
		command = await_command(vm, &seen);
		if (command == VM_RUN) {
			duties->run(opaque);
		} else if (command == VM_PAUSE) {
			sit_out_pause(vm);
			duties->resumed(opaque);
		} else if (command == VM_PARK) {
			duties->park(opaque);
			report_parked(vm);
		}
	}
}
