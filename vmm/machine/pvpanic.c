/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/machine/pvpanic.c - the pvpanic device: a guest kernel tells that it has panicked.
 *
 * Source: QEMU docs/specs/pvpanic.rst.  One I/O port; reading gives the events that are understood here, writing
 * reports some of them.  The handler runs on vCPU threads and touches atomics of the VM only.
 */
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/memory/memmap.h"
#include "vmm/machine/vm.h"

#define EVENT_PANICKED 0x01u
#define EVENT_CRASH_LOADED 0x02u /* the guest has a crash kernel, which it runs now */
#define EVENT_SHUTDOWN 0x04u

static void pvpanic_read(void *device, const struct bus_access *access, uint64_t *ret_value)
{
	(void)device;
	(void)access;
	*ret_value = EVENT_PANICKED | EVENT_CRASH_LOADED | EVENT_SHUTDOWN;
}

static enum bus_verdict pvpanic_write(void *device, const struct bus_access *access, uint64_t value)
{
	struct vm_end end = {.cpu = access->cpu, .ns = clock_mono_ns()};
	struct vm *vm = device;

	if (value & EVENT_PANICKED) {
		end.kind = VM_END_CRASH;
		end.reason = DUMP_REASON_PVPANIC;
		end.detail = value & 0xff;
	} else if (value & EVENT_SHUTDOWN) {
		end.kind = VM_END_POWER_OFF;
	} else {
		/* its own crash kernel dumps and reboots; the supervisor says so, and the watchdog rests */
		if ((value & EVENT_CRASH_LOADED) && !atomic_exchange(&vm->crash_loaded, true))
			vm_notify(vm);
		return BUS_CONTINUE;
	}
	vm_end(vm, &end);
	return BUS_STOP;
}

int pvpanic_add(struct vm *vm)
{
	static const struct bus_device_ops ops = {.read = pvpanic_read, .write = pvpanic_write};

	return bus_add(&vm->ports,
		&(struct bus_device){
			.name = "pvpanic", .base = PORT_PVPANIC, .len = 1, .ops = &ops, .opaque = vm});
}
