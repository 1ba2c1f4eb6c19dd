/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/machine/firmware_port.c - the firmware-call port and the POST code port of a VM.
 *
 * Connects firmware/dispatch.c (what a call means) with struct vm (what it does here).  Handlers run
 * on vCPU threads, several at once: they touch atomics of the VM, its RAM through gmem.h, and the
 * crash record only after winning vm->ended.
 */
#include "vmm/machine/vm.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "firmware/dispatch.h"
#include "vmm/host/console.h"
#include "vmm/machine/cpuid.h"
#include "vmm/memory/gmem.h"
#include "vmm/memory/memmap.h"

#include <errno.h>
#include <string.h>

/* our choice: POST codes of one VM that become events; a guest may write any number */
#define POST_CODES_MAX 16

static int op_copy_in(void *machine, fw_gpa_t gpa, void *dst, size_t len)
{
	struct vm *vm = machine;

	return gmem_copy_in(&vm->region, gpa, dst, len);
}

static int op_copy_out(void *machine, fw_gpa_t gpa, const void *src, size_t len)
{
	struct vm *vm = machine;

	return gmem_copy_out(&vm->region, gpa, src, len);
}

static void op_query(void *machine, struct fw_query *query)
{
	struct vm *vm = machine;
	const struct dump_layout *layout = &vm->region.layout;
	const struct dump_segment *last = &layout->segments[layout->nr_segments - 1];

	query->memory = region_usable(&vm->region);
	query->vcpus = vm->shared->nr_vcpus;
	query->generation = vm->generation;
	query->recovery = vm->recovery;
	query->tsc_khz = vm->tsc_khz;
	query->dump_mode = vm->shared->dump_mode;
	query->events_gsi = GSI_EVENTS;
	query->memory_max = layout->ram;
	query->features = vm->grants.initial < layout->ram ? FW_FEATURE_MEMORY_GROWS : 0;
	query->memory_end = last->gpa + last->size;
}

static int32_t op_console_write(void *machine, const char *text, uint32_t len)
{
	struct vm *vm = machine;

	console_write(vm->shared->console, vm->generation, text, len, &vm->stopping);
	return FW_OK;
}

/* What the guest says of its panic; whoever claimed the record may call this, once. */
static void fill_record(struct dump_record *record, const struct fw_panic *call, const char *string,
	uint32_t string_len, const struct fw_regs *regs, uint32_t nr_regs)
{
	record->panic = *call;
	record->panic_string_len = string_len;
	memcpy(record->panic_string, string, string_len);
	record->nr_regs = nr_regs;
	memcpy(record->regs, regs, nr_regs * sizeof(regs[0]));
}

static int begin_dump(struct vm *vm)
{
	return guest_dump_begin(&vm->guest_dump, &(struct guest_dump_source){.vm_fd = vm->fd,
							 .dir_fd = vm->shared->dump_dir_fd,
							 .region = &vm->region,
							 .layout = &vm->record->layout,
							 .phys_bits = cpuid_phys_bits(vm->shared->kvm),
							 .stopping = &vm->stopping});
}

static int32_t op_panic(void *machine, uint32_t cpu, const struct fw_panic *call, const char *string,
	uint32_t string_len, const struct fw_regs *regs, uint32_t nr_regs)
{
	struct vm_end end = {
		.kind = VM_END_CRASH, .reason = DUMP_REASON_PANIC, .cpu = cpu, .ns = clock_mono_ns()};
	struct vm *vm = machine;

	/* The record belongs to whoever announces the crash first: claim that, fill it in, publish. */
	if (call->flags & FW_PANIC_BEGIN) {
		int err;

		if (vm->shared->dump_mode == FW_DUMP_MODE_VMM)
			return FW_ENOTSUP;
		if (atomic_load(&vm->ended) || atomic_exchange(&vm->crash_claimed, true))
			return FW_EBUSY;
		grants_freeze(&vm->grants, &vm->record->layout);
		err = begin_dump(vm);
		if (err) {
			if (log_limit_ok(&vm->vcpus[cpu].refused))
				log_debug("generation %u: no file for the guest's dump: %s", vm->generation,
					strerror(-err));
			atomic_store(&vm->crash_claimed, false); /* a plain panic call may follow */
			return FW_ENOSPC;
		}
		fill_record(vm->record, call, string, string_len, regs, nr_regs);
		vm->crash = end;
		atomic_store_explicit(&vm->dying, true, memory_order_release);
		vm_notify(vm);
		return FW_OK;
	}
	end.guest_dumped = (call->flags & FW_PANIC_END) && atomic_load(&vm->guest_dump.active);
	if (!vm_claim_end(vm))
		return FW_EBUSY;
	/* of a guest that dumped, or tried to, the first call says what happened */
	if (!atomic_exchange(&vm->crash_claimed, true))
		fill_record(vm->record, call, string, string_len, regs, nr_regs);
	vm_publish_end(vm, &end);
	return FW_OK;
}

static int32_t op_dump_open(void *machine, fw_gpa_t start, uint64_t len, uint32_t *ret_stream)
{
	struct vm *vm = machine;

	return guest_dump_open(&vm->guest_dump, start, len, ret_stream);
}

static int32_t op_dump_write(void *machine, uint32_t stream, fw_gpa_t buf, uint64_t len, bool give_back)
{
	struct vm *vm = machine;

	return guest_dump_write(&vm->guest_dump, stream, buf, len, give_back);
}

static int32_t op_dump_close(void *machine, uint32_t stream)
{
	struct vm *vm = machine;

	return guest_dump_close(&vm->guest_dump, stream);
}

static int32_t op_mem_add(void *machine, fw_gpa_t start, uint64_t len, fw_gpa_t *ret_added)
{
	struct vm *vm = machine;

	return guest_dump_mem_add(&vm->guest_dump, start, len, ret_added);
}

static int32_t op_mem_remove(void *machine, fw_gpa_t added)
{
	struct vm *vm = machine;

	return guest_dump_mem_remove(&vm->guest_dump, added);
}

static int32_t op_events_poll(
	void *machine, struct fw_event *events, uint32_t max, uint32_t *ret_count, uint32_t *ret_waiting)
{
	struct vm *vm = machine;

	*ret_count = event_queue_poll(&vm->events, events, max, ret_waiting);
	return FW_OK;
}

static int32_t op_events_ack(void *machine, uint64_t seq)
{
	struct vm *vm = machine;

	return event_queue_ack(&vm->events, seq);
}

static int32_t op_ready(void *machine, uint32_t cpu)
{
	struct vm *vm = machine;
	uint64_t none = 0;

	(void)cpu;
	if (atomic_compare_exchange_strong(&vm->ready_ns, &none, clock_mono_ns()))
		vm_notify(vm);
	return FW_OK;
}

static int32_t op_heartbeat(void *machine, uint32_t cpu, uint64_t progress)
{
	struct vm *vm = machine;

	(void)cpu;
	(void)progress;
	atomic_store(&vm->heartbeat_ns, clock_mono_ns());
	return FW_OK;
}

static int32_t end_by_call(struct vm *vm, enum vm_end_kind kind, uint32_t cpu, uint32_t code)
{
	struct vm_end end = {.kind = kind, .cpu = cpu, .detail = code, .ns = clock_mono_ns()};

	return vm_end(vm, &end) ? FW_OK : FW_EBUSY;
}

static int32_t op_reboot(void *machine, uint32_t cpu, uint32_t code)
{
	return end_by_call(machine, VM_END_REBOOT, cpu, code);
}

static int32_t op_power_off(void *machine, uint32_t cpu, uint32_t code)
{
	return end_by_call(machine, VM_END_POWER_OFF, cpu, code);
}

static const struct fw_machine_ops machine_ops = {
	.copy_in = op_copy_in,
	.copy_out = op_copy_out,
	.query = op_query,
	.console_write = op_console_write,
	.panic = op_panic,
	.dump_open = op_dump_open,
	.dump_write = op_dump_write,
	.dump_close = op_dump_close,
	.mem_add = op_mem_add,
	.mem_remove = op_mem_remove,
	.events_poll = op_events_poll,
	.events_ack = op_events_ack,
	.ready = op_ready,
	.heartbeat = op_heartbeat,
	.reboot = op_reboot,
	.power_off = op_power_off,
};

/* ---- ports -------------------------------------------------------------------------------------- */

static void firmware_read(void *device, const struct bus_access *access, uint64_t *ret_value)
{
	(void)device;
	if (access->offset == 0 && access->len == 4)
		*ret_value = FW_SIGNATURE;
}

static enum bus_verdict firmware_write(void *device, const struct bus_access *access, uint64_t value)
{
	fw_gpa_t block = (value & UINT32_MAX) << FW_BLOCK_SHIFT;
	struct vm *vm = device;
	enum fw_verdict verdict;
	int32_t status;
	uint32_t call;

	if (access->offset != 0 || access->len != 4)
		return BUS_CONTINUE;
	verdict = fw_dispatch(&machine_ops, vm, access->cpu, block, &call, &status);
	if (status == FW_OK)
		atomic_store_explicit(&vm->calls_made, true, memory_order_relaxed);
	if (status != FW_OK && log_limit_ok(&vm->vcpus[access->cpu].refused))
		log_debug("generation %u: vCPU %u: firmware call %s at 0x%llx: status %d", vm->generation,
			access->cpu, call < FW_NR_CALLS ? fw_call_name(call) : "?",
			(unsigned long long)block, status);
	return verdict == FW_VERDICT_STOP ? BUS_STOP : BUS_CONTINUE;
}

static enum bus_verdict post_write(void *device, const struct bus_access *access, uint64_t value)
{
	uint64_t ns = clock_mono_ns();
	struct vm *vm = device;

	(void)access;
	/* Linux writes to this port for delays: count, and stop reporting early */
	if (atomic_load(&vm->post_codes) < POST_CODES_MAX &&
		atomic_fetch_add(&vm->post_codes, 1) < POST_CODES_MAX)
		EVENT_AT(vm->shared->events, "post", ns, vm->generation, EV_U64("code", value & 0xff));
	return BUS_CONTINUE;
}

int firmware_port_add(struct vm *vm)
{
	static const struct bus_device_ops firmware_ops = {.read = firmware_read, .write = firmware_write};
	static const struct bus_device_ops post_ops = {.write = post_write};
	int err;

	err = bus_add(&vm->ports, &(struct bus_device){.name = "firmware calls",
					  .base = FW_PORT,
					  .len = 4,
					  .ops = &firmware_ops,
					  .opaque = vm});
	if (!err)
		err = bus_add(&vm->ports, &(struct bus_device){.name = "POST codes",
						  .base = PORT_POST,
						  .len = 1,
						  .ops = &post_ops,
						  .opaque = vm});
	return err;
}
