/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/operator.c - what the operator wants: a crash, an end; see guest.h */
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/machine/power.h"
#include "vmm/supervisor/guest_impl.h"

void guest_stop(struct guest *guest, const char *why)
{
	if (guest->recovery.stopping && !guest->recovery.vm) {
		if (jobs_busy(&guest->jobs))
			log_warn("%s again: leaving; the dumper process finishes the dump by itself", why);
		recovery_abandon(&guest->recovery);
		jobs_abandon(&guest->jobs);
		return;
	}
	log_info("%s: stopping", why);
	recovery_no_more(&guest->recovery);
	vm_reports_check(guest); /* a crash that was seen before is dumped all the same */
	if (guest->recovery.vm)
		EVENT(&guest->around.events, "stop", guest->recovery.vm->generation, EV_STR("why", why));
	recovery_stop(guest);
	if (jobs_busy(&guest->jobs))
		log_info("waiting for the dump to complete; stop again to leave it to the dumper process");
}

void guest_crash_now(struct guest *guest)
{
	if (guest->recovery.vm)
		vm_end(guest->recovery.vm, &(struct vm_end){.kind = VM_END_CRASH,
						   .reason = DUMP_REASON_OPERATOR,
						   .ns = clock_mono_ns()});
}

bool guest_ask_to_stop(struct guest *guest, const char *why)
{
	uint64_t timeout = guest->config->vm.stop_timeout;

	if (guest->recovery.stopping || !guest->recovery.vm || vm_is_paused(guest->recovery.vm) ||
		!power_button_press(guest->recovery.vm)) {
		guest_stop(guest, why);
		return false;
	}
	log_info("%s: pressed the guest's power button; once more stops it at once", why);
	EVENT(&guest->around.events, "power-button", guest->recovery.vm->generation, EV_STR("why", why));
	recovery_ask_to_stop(&guest->recovery, timeout);
	return true;
}
