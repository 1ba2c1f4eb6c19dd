/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/machine/vm.c - see vm.h */
#include "vmm/machine/vm.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/boot/acpi.h"
#include "vmm/host/console.h"
#include "vmm/memory/memmap.h"
#include "vmm/machine/power.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* our choice: how often a vCPU that has not stopped yet is kicked again */
#define KICK_AGAIN_NS (10 * NSEC_PER_MSEC)

/* ---- creation ----------------------------------------------------------------------------------- */

/*
 * The 8259s as firmware leaves them: masked.  A kernel that knows it is on a hardware-reduced ACPI machine
 * never touches them, and a chip that is not set up would deliver exceptions for interrupts.
 */
static int mask_pics(int vm_fd)
{
	for (uint32_t id = KVM_IRQCHIP_PIC_MASTER; id <= KVM_IRQCHIP_PIC_SLAVE; id++) {
		struct kvm_irqchip chip = {.chip_id = id};

		if (ioctl(vm_fd, KVM_GET_IRQCHIP, &chip) < 0)
			return -errno;
		chip.chip.pic.imr = 0xff;
		if (ioctl(vm_fd, KVM_SET_IRQCHIP, &chip) < 0)
			return -errno;
	}
	return 0;
}

static int create_kvm_vm(struct vm *vm)
{
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	uint64_t identity = KVM_IDENTITY_MAP_BASE;

	vm->fd = ioctl(vm->shared->kvm->fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return -errno;
	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
		ioctl(vm->fd, KVM_SET_TSS_ADDR, KVM_TSS_BASE) < 0 ||
		ioctl(vm->fd, KVM_CREATE_IRQCHIP) < 0 || ioctl(vm->fd, KVM_CREATE_PIT2, &pit) < 0)
		return -errno;
	return mask_pics(vm->fd);
}

static void set_serial_irq(void *opaque, bool level)
{
	struct vm *vm = opaque;
	struct kvm_irq_level line = {.irq = IRQ_SERIAL0, .level = level};

	if (ioctl(vm->fd, KVM_IRQ_LINE, &line) < 0)
		log_debug("serial interrupt: %s", strerror(errno));
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

int vm_announce_mmio(struct vm *vm, gpa_t base, uint64_t len, uint32_t gsi)
{
	if (vm->nr_mmio == ARRAY_LEN(vm->mmio))
		return -ENOSPC;
	vm->mmio[vm->nr_mmio++] = (struct vm_mmio){.base = base, .len = len, .gsi = gsi};
	return 0;
}

/* The device table: every device of the machine, in one place. */
static int add_devices(struct vm *vm)
{
	int err;

	bus_init(&vm->ports, "port");
	bus_init(&vm->memory, "memory");
	serial_init(&vm->serial, vm->shared->console, &vm->generation, &vm->stopping, set_serial_irq, vm);
	err = serial_add(&vm->serial, &vm->ports, PORT_SERIAL0);
	if (!err)
		err = firmware_port_add(vm);
	if (!err)
		err = power_add(vm);
	if (!err)
		err = pvpanic_add(vm);
	if (!err)
		err = vm_devices_add(vm);
	return err;
}

/* What firmware would leave in the guest's memory. */
static int write_firmware(struct vm *vm)
{
	struct acpi_machine machine = {.nr_vcpus = vm->shared->nr_vcpus, .nr_mmio = vm->nr_mmio};
	int err;

	for (uint32_t i = 0; i < vm->nr_mmio; i++)
		machine.mmio[i] = (struct acpi_mmio){
			.base = vm->mmio[i].base, .len = vm->mmio[i].len, .gsi = vm->mmio[i].gsi};
	err = acpi_write(&machine, &vm->region);
	return err ? err : power_put_reset_vector(&vm->region);
}

static int create_vcpus(struct vm *vm, const struct boot_entry *entry)
{
	int khz;

	vm->vcpus = calloc(vm->shared->nr_vcpus, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return -ENOMEM;
	for (uint32_t i = 0; i < vm->shared->nr_vcpus; i++) {
		int err = vcpu_create(&vm->vcpus[i], vm, i, entry);

		if (err)
			return err;
		vm->nr_vcpus_created++;
	}
	khz = ioctl(vm->vcpus[0].fd, KVM_GET_TSC_KHZ, 0);
	vm->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
	return 0;
}

static struct vm *alloc_vm(const struct vm_shared *shared)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	pthread_condattr_t attr;

	if (!vm)
		return NULL;
	vm->shared = shared;
	vm->fd = -1;
	vm->record_fd = -1;
	vm->region.fd = -1;
	guest_dump_init(&vm->guest_dump);
	event_queue_init(&vm->events);
	grants_init(&vm->grants);
	pthread_mutex_init(&vm->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&vm->commanded, NULL);
	pthread_cond_init(&vm->parked, &attr);
	pthread_condattr_destroy(&attr);
	return vm;
}

int vm_create(struct vm **ret, const struct vm_shared *shared, uint64_t initial,
	const struct boot_source *source, char *why, size_t why_size)
{
	struct vm *vm = alloc_vm(shared);
	struct boot_entry entry;
	const char *step = "memory";
	int err = -ENOMEM;

	if (!vm)
		goto fail;
	step = "guest RAM";
	err = region_create(&vm->region, shared->dir_fd, shared->memory);
	if (err)
		goto fail;
	grants_limit(vm, initial);
	step = NULL;
	err = loader_load(&vm->region, source, &entry, why, why_size);
	if (err)
		goto fail;
	step = "crash record";
	err = dump_record_create(shared->nr_vcpus, &vm->record_fd, &vm->record);
	if (err)
		goto fail;
	vm->record->layout = vm->region.layout;
	step = "KVM virtual machine";
	err = create_kvm_vm(vm);
	if (err)
		goto fail;
	step = "KVM memory slots";
	err = grants_boot(vm);
	if (err)
		goto fail;
	step = "devices";
	err = add_devices(vm);
	if (err)
		goto fail;
	step = "firmware tables";
	err = write_firmware(vm);
	if (err)
		goto fail;
	step = "KVM vCPUs";
	err = create_vcpus(vm, &entry);
	if (err)
		goto fail;
	*ret = vm;
	return 0;
fail:
	if (step)
		snprintf(why, why_size, "%s: %s", step, strerror(-err));
	vm_destroy(vm);
	return err;
}

/* ---- commands ----------------------------------------------------------------------------------- */

static void command(struct vm *vm, enum vm_command what)
{
	pthread_mutex_lock(&vm->lock);
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

void vm_sit_out_pause(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->nr_paused++;
	pthread_cond_signal(&vm->parked);
	while (atomic_load(&vm->command) == VM_PAUSE)
		pthread_cond_wait(&vm->commanded, &vm->lock);
	vm->nr_paused--; /* only here: one that overslept a short resume is still counted, and rightly */
	pthread_mutex_unlock(&vm->lock);
}

enum vm_command vm_wait_command(struct vm *vm, enum vm_command what)
{
	enum vm_command now;

	pthread_mutex_lock(&vm->lock);
	while ((now = atomic_load(&vm->command)) == what)
		pthread_cond_wait(&vm->commanded, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
	return now;
}

void vm_report_parked(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->nr_parked++;
	pthread_cond_signal(&vm->parked);
	pthread_mutex_unlock(&vm->lock);
}

/* ---- reports ------------------------------------------------------------------------------------ */

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

/* ---- destruction -------------------------------------------------------------------------------- */

void vm_destroy(struct vm *vm)
{
	if (!vm)
		return;
	command(vm, VM_QUIT);
	kick_all(vm);
	for (uint32_t i = 0; i < vm->nr_vcpus_created; i++)
		vcpu_destroy(&vm->vcpus[i]);
	free(vm->vcpus);
	vm_devices_destroy(vm->devices);
	if (vm->ports.nr_devices)
		serial_fini(&vm->serial);
	if (vm->fd >= 0)
		close(vm->fd);
	guest_dump_fini(vm);
	region_destroy(&vm->region);
	dump_record_unmap(vm->record);
	if (vm->record_fd >= 0)
		close(vm->record_fd);
	grants_fini(&vm->grants);
	event_queue_fini(&vm->events);
	pthread_cond_destroy(&vm->commanded);
	pthread_cond_destroy(&vm->parked);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}
