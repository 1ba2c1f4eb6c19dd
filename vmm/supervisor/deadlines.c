/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/deadlines.c - what the event loop does when its time has come: watchdog, pauses, limits; see guest.h */
#include "vmm/supervisor/guest.h"

#include "dump/base/io.h"

/*
 * When the watchdog bites, or, of a guest that makes no firmware calls, looks for signs of life (watchdog.h);
 * UINT64_MAX = never.
 */
static uint64_t watchdog_deadline(struct guest *guest)
{
	uint64_t last, stalled;

	/* a guest's own crash kernel takes its time */
	if (!guest->vm || !guest->config->vm.watchdog || vm_is_paused(guest->vm) ||
		atomic_load(&guest->vm->crash_loaded))
		return UINT64_MAX;
	if (!atomic_load(&guest->vm->calls_made))
		return atomic_load(&guest->vm->first_run_ns) ? guest->vm->watchdog.look_at_ns : UINT64_MAX;
	stalled = gate_stalled_until(&guest->gate);
	if (stalled == UINT64_MAX)
		return UINT64_MAX; /* it waits for memory, and is not to blame */
	last = u64_max(atomic_load(&guest->vm->first_run_ns), atomic_load(&guest->vm->heartbeat_ns));
	last = u64_max(last, last ? stalled : 0);
	last = u64_max(last, guest->resumed_ns);
	return last ? last + guest->config->vm.watchdog : UINT64_MAX;
}

void deadlines_check(struct guest *guest)
{
	uint64_t now = clock_mono_ns();

	if (now >= watchdog_deadline(guest) &&
		(atomic_load(&guest->vm->calls_made) ||
			watchdog_look(&guest->vm->watchdog, guest->vm->vcpus, guest->vm->nr_vcpus_created,
				guest->vm->generation, guest->config->vm.watchdog, now))) {
		vm_end(guest->vm,
			&(struct vm_end){.kind = VM_END_CRASH, .reason = DUMP_REASON_HANG, .ns = now});
		guest_check_vm(guest);
	}
	if (guest->recover_at_ns && now >= guest->recover_at_ns)
		crash_recover_now(guest);
	if (guest->reboot_at_ns && now >= guest->reboot_at_ns)
		guest_reboot_now(guest);
	if (guest->vm && guest->stop_at_ns && now >= guest->stop_at_ns)
		guest_stop(guest, "vm.stop_timeout");
	if (now >= crash_settle_deadline(guest))
		jobs_settle(&guest->jobs, guest->vm->generation, 0);
	jobs_check_stall(&guest->jobs, now);
}

/* For epoll_wait: ms until the next deadline, -1 = none. */
int deadlines_next(struct guest *guest)
{
	uint64_t at = watchdog_deadline(guest), now = clock_mono_ns();

	at = u64_min(at, jobs_stall_deadline(&guest->jobs));
	at = u64_min(at, crash_settle_deadline(guest));
	if (guest->recover_at_ns)
		at = u64_min(at, guest->recover_at_ns);
	if (guest->reboot_at_ns)
		at = u64_min(at, guest->reboot_at_ns);
	if (guest->vm && guest->stop_at_ns)
		at = u64_min(at, guest->stop_at_ns);
	for (const struct vm *vm = guest->dying; vm; vm = vm->next_dying)
		at = u64_min(at, vm->dying_deadline_ns);
	if (at == UINT64_MAX)
		return -1;
	return at <= now ? 0 : (int)u64_min((at - now) / NSEC_PER_MSEC + 1, 1000);
}
