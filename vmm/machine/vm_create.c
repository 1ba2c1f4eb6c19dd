/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/machine/vm_create.c - how a VM comes to be and goes: see vm.h.  The table of devices is add_devices(). */
#include "vmm/machine/vm.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/boot/acpi.h"
#include "vmm/machine/power.h"
#include "vmm/memory/memmap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

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

/* One for each memory slot: they are fewer than events may wait. */
static void tell_memory_added(void *opaque, uint64_t start, uint64_t bytes)
{
	struct vm *vm = opaque;
	int err = event_queue_post(&vm->events, FW_EVENT_MEMORY_ADDED, start, bytes);

	assert(!err);
	EVENT(vm->shared->events, "memory-added", vm->generation, EV_U64("start", start),
		EV_U64("bytes", bytes), EV_U64("memory", region_usable(&vm->region)));
	vm_ring_events(vm);
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
		err = vm_devices_create(&vm->devices, vm->shared->backends, &vm->region, &vm->memory,
			vm->fd, vm->shared->notify_fd);
	return err;
}

/* What firmware would leave in the guest's memory. */
static int write_firmware(struct vm *vm)
{
	struct acpi_machine machine = {.nr_vcpus = vm->shared->nr_vcpus};
	struct vm_mmio mmio[VIRTIO_MMIO_SLOTS];
	int err;

	machine.nr_mmio = vm_devices_places(vm->devices, mmio);
	for (uint32_t i = 0; i < machine.nr_mmio; i++)
		machine.mmio[i] = (struct acpi_mmio){
			.base = mmio[i].base, .len = mmio[i].len, .gsi = mmio[i].gsi};
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
	grants_init(&vm->grants, &vm->region, &vm->generation, tell_memory_added, vm);
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
	grants_limit(&vm->grants, initial);
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
	err = grants_boot(&vm->grants, vm->fd);
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

void vm_destroy(struct vm *vm)
{
	if (!vm)
		return;
	vm_quit(vm);
	for (uint32_t i = 0; i < vm->nr_vcpus_created; i++)
		vcpu_destroy(&vm->vcpus[i]);
	free(vm->vcpus);
	vm_devices_destroy(vm->devices);
	if (vm->ports.nr_devices)
		serial_fini(&vm->serial);
	if (vm->fd >= 0)
		close(vm->fd);
	guest_dump_fini(&vm->guest_dump);
	region_destroy(&vm->region);
	dump_record_unmap(vm->record, vm->shared->nr_vcpus);
	if (vm->record_fd >= 0)
		close(vm->record_fd);
	grants_fini(&vm->grants);
	event_queue_fini(&vm->events);
	pthread_cond_destroy(&vm->commanded);
	pthread_cond_destroy(&vm->parked);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}
