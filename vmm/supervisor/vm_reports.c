/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/vm_reports.c - what VMs report, and what is done about it: see guest.h */
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/base/exit_codes.h"
#include "vmm/supervisor/guest_impl.h"

#include <inttypes.h>

static void announce(struct guest *guest)
{
	struct recovery *recovery = &guest->recovery;
	const struct vm *vm = recovery->vm;
	uint64_t first_run = atomic_load(&vm->first_run_ns);
	uint64_t ready = atomic_load(&vm->ready_ns);

	if (first_run && recovery_note_run(recovery))
		EVENT_AT(&guest->around.events, "run", first_run, vm->generation,
			EV_BOOL("recovery", vm->recovery));
	if (atomic_load(&vm->crash_loaded) && recovery_note_crash_loaded(recovery)) {
		log_warn("generation %u: has panicked and runs its own crash kernel: left alone",
			vm->generation);
		EVENT(&guest->around.events, "crash-loaded", vm->generation);
	}
	if (ready && recovery_note_ready(recovery)) {
		log_info("generation %u: ready", vm->generation);
		EVENT_AT(&guest->around.events, "ready", ready, vm->generation);
		jobs_settle(&guest->jobs, vm->generation, ready);
	}
}

static void handle_power_off(struct guest *guest)
{
	const struct vm *vm = guest->recovery.vm;
	uint64_t code = vm->end.detail;

	console_flush(&guest->around.console, 100 * NSEC_PER_MSEC);
	if (code)
		log_error("generation %u: powered off with code %" PRIu64, vm->generation, code);
	else
		log_info("generation %u: powered off", vm->generation);
	EVENT_AT(&guest->around.events, "power-off", vm->end.ns, vm->generation, EV_U64("code", code));
	if (code)
		recovery_fail(&guest->recovery, EXIT_GUEST);
	recovery_power_off(guest);
}

static void handle_reboot(struct guest *guest)
{
	const struct vm *vm = guest->recovery.vm;

	console_flush(&guest->around.console, 100 * NSEC_PER_MSEC);
	log_info("generation %u: reboots", vm->generation);
	EVENT_AT(&guest->around.events, "reboot", vm->end.ns, vm->generation,
		EV_U64("code", vm->end.detail));
	recovery_reboot(guest);
}

void vm_reports_check_dying(struct guest *guest)
{
	uint64_t now = clock_mono_ns();
	struct vm *vm, *next;

	for (vm = guest->dying; vm; vm = next) {
		next = vm->next_dying;
		if (now >= crash_deadline(vm))
			crash_finish(guest, vm);
	}
}

void vm_reports_check(struct guest *guest)
{
	const struct vm *vm = guest->recovery.vm;
	bool dying, ended;

	if (!vm)
		return;
	/* before announce(): a VM that is ready and ends at once has been ready */
	dying = atomic_load_explicit(&vm->dying, memory_order_acquire);
	/* pairs with the release in vm_end */
	ended = atomic_load_explicit(&vm->end_valid, memory_order_acquire);
	announce(guest);
	if (dying) {
		crash_begin(guest);
		return;
	}
	if (!ended)
		return;
	switch (vm->end.kind) {
	case VM_END_CRASH:
		crash_handle(guest);
		break;
	case VM_END_REBOOT:
		handle_reboot(guest);
		break;
	case VM_END_POWER_OFF:
		handle_power_off(guest);
		break;
	}
}
