/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/deadlines.c - what the event loop does when its time has come: watchdog, pauses, limits; see guest.h */
#include "vmm/supervisor/guest_impl.h"

#include "dump/base/io.h"

/*
 * When the watchdog bites, or, of a guest that makes no firmware calls, looks for signs of life (watchdog.h);
 * UINT64_MAX = never.
 */
static uint64_t watchdog_deadline(struct guest *guest)
{
	uint64_t last, stalled;

	/* a guest's own crash kernel takes its time */
	if (!guest->recovery.vm || !guest->config->vm.watchdog || vm_is_paused(guest->recovery.vm) ||
		atomic_load(&guest->recovery.vm->crash_loaded))
		return UINT64_MAX;
	if (!atomic_load(&guest->recovery.vm->calls_made))
		return atomic_load(&guest->recovery.vm->first_run_ns)
			       ? guest->recovery.vm->watchdog.look_at_ns
			       : UINT64_MAX;
	stalled = gate_stalled_until(&guest->handover.gate);
	if (stalled == UINT64_MAX)
		return UINT64_MAX; /* it waits for memory, and is not to blame */
	last = u64_max(atomic_load(&guest->recovery.vm->first_run_ns),
		atomic_load(&guest->recovery.vm->heartbeat_ns));
	last = u64_max(last, last ? stalled : 0);
	last = u64_max(last, guest->recovery.resumed_ns);
	return last ? last + guest->config->vm.watchdog : UINT64_MAX;
}

/*
 * When timelines wait no longer for the running VM to be ready, because it is stable and its guest never reports that;
 * UINT64_MAX = never.
 */
static uint64_t settle_deadline(const struct guest *guest)
{
	const struct vm *vm = guest->recovery.vm;

	if (!vm || !jobs_await(&guest->jobs, vm->generation))
		return UINT64_MAX;
	return crash_loop_stable_at(&guest->recovery.loop, guest->config, vm);
}

void deadlines_check(struct guest *guest)
{
	uint64_t now = clock_mono_ns();

	if (now >= watchdog_deadline(guest) &&
		(atomic_load(&guest->recovery.vm->calls_made) ||
			watchdog_look(&guest->recovery.vm->watchdog, guest->recovery.vm->vcpus,
				guest->recovery.vm->nr_vcpus_created, guest->recovery.vm->generation,
				guest->config->vm.watchdog, now))) {
		vm_end(guest->recovery.vm,
			&(struct vm_end){.kind = VM_END_CRASH, .reason = DUMP_REASON_HANG, .ns = now});
		vm_reports_check(guest);
	}
	if (now >= guest->recovery.due_ns) {
		if (guest->recovery.vm)
			guest_stop(guest, "vm.stop_timeout");
		else
			recovery_due(guest);
	}
	if (now >= settle_deadline(guest))
		jobs_settle(&guest->jobs, guest->recovery.vm->generation, 0);
	jobs_check_stall(&guest->jobs, now);
	fullness_check(guest, now);
}

/* For epoll_wait: ms until the next deadline, -1 = none. */
int deadlines_next(struct guest *guest)
{
	uint64_t at = watchdog_deadline(guest), now = clock_mono_ns();

	at = u64_min(at, jobs_stall_deadline(&guest->jobs));
	at = u64_min(at, settle_deadline(guest));
	at = u64_min(at, fullness_deadline(guest));
	at = u64_min(at, guest->recovery.due_ns);
	for (const struct vm *vm = guest->dying; vm; vm = vm->next_dying)
		at = u64_min(at, crash_deadline(vm));
	if (at == UINT64_MAX)
		return -1;
	return at <= now ? 0 : (int)u64_min((at - now) / NSEC_PER_MSEC + 1, 1000);
}
