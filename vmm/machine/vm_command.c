/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/machine/vm_command.c - what the supervisor has a VM do: see vm.h */
#include "vmm/machine/vm.h"

#include "dump/base/io.h"
#include "vmm/host/console.h"

#include <errno.h>
#include <time.h>

/* our choice: how often a vCPU that has not stopped yet is kicked again */
#define KICK_AGAIN_NS (10 * NSEC_PER_MSEC)

static void command(struct vm *vm, enum vm_command what)
{
	pthread_mutex_lock(&vm->lock);
	vm->commands += what != atomic_load(&vm->command); /* once more the same is no other command */
	atomic_store(&vm->stopping, what == VM_PARK || what == VM_QUIT);
	atomic_store(&vm->command, what);
	pthread_cond_broadcast(&vm->commanded);
	pthread_mutex_unlock(&vm->lock);
}

static void kick_all(struct vm *vm)
{
	console_wake(vm->shared->console);
	for (uint32_t i = 0; i < vm->nr_vcpus_created; i++)
		vcpu_kick(&vm->vcpus[i]);
}

void vm_start(struct vm *vm)
{
	command(vm, VM_RUN);
}

static struct timespec at_ns(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / NSEC_PER_SEC), .tv_nsec = (long)(ns % NSEC_PER_SEC)};
}

/* Waits until @stopped (guarded by lock) counts every vCPU.  Returns how many are missing. */
static uint32_t await_stopped(struct vm *vm, const uint32_t *stopped, uint64_t timeout_ns)
{
	uint64_t deadline = clock_mono_ns() + timeout_ns;
	uint32_t missing;

	kick_all(vm);
	pthread_mutex_lock(&vm->lock);
	while (*stopped < vm->nr_vcpus_created && clock_mono_ns() < deadline) {
		struct timespec again = at_ns(u64_min(clock_mono_ns() + KICK_AGAIN_NS, deadline));

		if (pthread_cond_timedwait(&vm->parked, &vm->lock, &again) == ETIMEDOUT) {
			pthread_mutex_unlock(&vm->lock);
			kick_all(vm);
			pthread_mutex_lock(&vm->lock);
		}
	}
	missing = vm->nr_vcpus_created - *stopped;
	pthread_mutex_unlock(&vm->lock);
	return missing;
}

void vm_ask_to_park(struct vm *vm)
{
	command(vm, VM_PARK);
	kick_all(vm);
}

int vm_park(struct vm *vm, uint64_t timeout_ns)
{
	command(vm, VM_PARK);
	return await_stopped(vm, &vm->nr_parked, timeout_ns) ? -ETIMEDOUT : 0;
}

uint32_t vm_pause(struct vm *vm, uint64_t timeout_ns)
{
	command(vm, VM_PAUSE);
	return await_stopped(vm, &vm->nr_paused, timeout_ns);
}

void vm_resume(struct vm *vm)
{
	command(vm, VM_RUN);
}

void vm_quit(struct vm *vm)
{
	command(vm, VM_QUIT);
	kick_all(vm);
}
