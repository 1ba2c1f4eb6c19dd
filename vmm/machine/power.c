/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/machine/power.c - see power.h */
#include "vmm/machine/power.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/memory/gmem.h"
#include "vmm/memory/memmap.h"
#include "vmm/machine/vm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/* ACPI specification 4.8.3.7.1: sleep control register */
#define SLEEP_ENABLE 0x20u
#define SLEEP_TYPE_SHIFT 2
#define SLEEP_TYPE_MASK 7u

/* IBM PC AT keyboard controller, command F0-FF: pulse output lines; bit 0 low = line 0, the CPU's reset */
#define KEYBOARD_PULSE 0xf0u
#define KEYBOARD_NO_RESET 0x01u

static enum bus_verdict end_vm(struct vm *vm, uint32_t cpu, enum vm_end_kind kind)
{
	vm_end(vm, &(struct vm_end){.kind = kind, .cpu = cpu, .ns = clock_mono_ns()});
	return BUS_STOP;
}

static void read_zero(void *device, const struct bus_access *access, uint64_t *ret_value)
{
	(void)device;
	(void)access;
	*ret_value = 0; /* nothing has woken up, no key is waiting, no reset is under way */
}

static enum bus_verdict sleep_write(void *device, const struct bus_access *access, uint64_t value)
{
	if (access->offset == 0 && (value & SLEEP_ENABLE) &&
		(value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK) == SLEEP_TYPE_S5)
		return end_vm(device, access->cpu, VM_END_POWER_OFF);
	return BUS_CONTINUE;
}

static enum bus_verdict reset_write(void *device, const struct bus_access *access, uint64_t value)
{
	return value & RESET_NOW ? end_vm(device, access->cpu, VM_END_REBOOT) : BUS_CONTINUE;
}

static enum bus_verdict keyboard_write(void *device, const struct bus_access *access, uint64_t value)
{
	if ((value & KEYBOARD_PULSE) == KEYBOARD_PULSE && !(value & KEYBOARD_NO_RESET))
		return end_vm(device, access->cpu, VM_END_REBOOT);
	return BUS_CONTINUE;
}

int power_add(struct vm *vm)
{
	static const struct bus_device_ops sleep_ops = {.read = read_zero, .write = sleep_write};
	static const struct bus_device_ops reset_ops = {.read = read_zero, .write = reset_write};
	static const struct bus_device_ops keyboard_ops = {.read = read_zero, .write = keyboard_write};
	const struct bus_device devices[] = {
		{.name = "sleep registers", .base = PORT_SLEEP_CONTROL, .len = 2, .ops = &sleep_ops},
		{.name = "reset register", .base = PORT_RESET, .len = 1, .ops = &reset_ops},
		{.name = "keyboard controller", .base = PORT_KEYBOARD, .len = 1, .ops = &keyboard_ops},
	};
	int err = 0;

	_Static_assert(PORT_SLEEP_STATUS == PORT_SLEEP_CONTROL + 1, "one range");
	for (size_t i = 0; !err && i < ARRAY_LEN(devices); i++) {
		struct bus_device device = devices[i];

		device.opaque = vm;
		err = bus_add(&vm->ports, &device);
	}
	return err;
}

int power_put_reset_vector(const struct region *region)
{
	static const uint8_t code[] = {
		0xba, PORT_RESET & 0xff, PORT_RESET >> 8, /* mov dx, PORT_RESET */
		0xb0, RESET_VALUE,                        /* mov al, RESET_VALUE */
		0xee,                                     /* out dx, al */
		0xf4,                                     /* hlt */
		0xeb, 0xfd,                               /* jmp to the hlt */
	};

	return gmem_copy_out(region, RESET_VECTOR, code, sizeof(code));
}

static bool button_is_wired(const struct vm *vm)
{
	struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};

	return !ioctl(vm->fd, KVM_GET_IRQCHIP, &chip) &&
	       !chip.chip.ioapic.redirtbl[IRQ_POWER_BUTTON].fields.mask;
}

bool power_button_press(struct vm *vm)
{
	struct kvm_irq_level line = {.irq = IRQ_POWER_BUTTON, .level = 1};

	if (!button_is_wired(vm))
		return false;
	for (int i = 0; i < 2; i++, line.level = 0) {
		if (ioctl(vm->fd, KVM_IRQ_LINE, &line) < 0) {
			log_debug("power button: %s", strerror(errno));
			return false;
		}
	}
	return true;
}
