/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/recovery.c - see recovery.h */
#include "vmm/supervisor/recovery.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/base/exit_codes.h"
#include "vmm/supervisor/guest_impl.h"
#include "vmm/supervisor/report.h"

#include <errno.h>

/* our choice: as for a crash, a vCPU leaves the guest within a scheduler slice */
#define RETIRE_TIMEOUT_NS (2 * NSEC_PER_SEC)
/* our choice: no guest that does any work reboots more often; each reboot is a VM, and lines in the log */
#define REBOOT_INTERVAL_NS NSEC_PER_SEC
/* our choice: how soon a VM is made again for which the host had no memory, if nobody says that some came back */
#define RETRY_NS (200 * NSEC_PER_MSEC)

/* @due_ns: when the state ends by itself, UINT64_MAX = it does not. */
static void enter(struct recovery *r, enum guest_state state, uint64_t due_ns)
{
	assert(state == r->state || guest_state_may_follow(r->state, state));
	if (state != r->state)
		log_debug("guest: %s, was %s", guest_state_name(state), guest_state_name(r->state));
	r->state = state;
	r->due_ns = due_ns;
}

void recovery_init(struct recovery *recovery)
{
	*recovery = (struct recovery){.state = GUEST_STARTS, .due_ns = UINT64_MAX};
}

void recovery_fini(struct guest *guest)
{
	struct recovery *r = &guest->recovery;

	if (r->vm)
		handover_end(&guest->handover, r->vm);
	vm_destroy(r->vm);
	r->vm = NULL;
}

void recovery_fail(struct recovery *recovery, int code)
{
	if (!recovery->exit_code)
		recovery->exit_code = code;
}

/* ---- VMs come and go ---------------------------------------------------------------------------------- */

/* Makes @vm the running one: number, flags, go.  @job: the crash it recovers from, or NULL. */
static void start_vm(struct guest *guest, struct vm *vm, const struct dump_job *job)
{
	struct recovery *r = &guest->recovery;

	r->generation = r->next_generation++;
	vm->generation = r->generation;
	vm->predecessor = job ? job->record : NULL;
	r->vm = vm;
	r->announced_run = false;
	r->announced_ready = false;
	r->announced_crash_loaded = false;
	r->resumed_ns = 0;
	r->tries_again = false;
	handover_set_standby(&guest->handover, standby_vm(&guest->standby)); /* @vm may have been it */
	handover_start(&guest->handover, vm);
	vm_start(vm);
	enter(r, GUEST_RUNS, UINT64_MAX);
	handover_grant(&guest->handover, vm);
}

/* What a VM that is made beside a dump boots with; 0 = all its memory. */
static uint64_t initial_memory(const struct config *config)
{
	return config->recovery.handover == HANDOVER_EXPLICIT ? config->recovery.initial : 0;
}

bool recovery_start_first(struct guest *guest)
{
	struct recovery *r = &guest->recovery;
	struct vm *vm;
	int err;

	vm = standby_make(&guest->fresh, &err);
	if (vm) {
		start_vm(guest, vm, NULL);
		return true;
	}
	recovery_fail(r, err == -EINVAL || err == -ENOENT || err == -E2BIG ? EXIT_CONFIG : EXIT_HOST);
	enter(r, GUEST_ENDING, UINT64_MAX);
	return false;
}

struct vm *recovery_lose_vm(struct recovery *recovery)
{
	struct vm *vm = recovery->vm;

	recovery->vm = NULL;
	return vm;
}

/* The VM is over without a crash: it stands still before anything else happens. */
static void retire_vm(struct guest *guest)
{
	struct vm *vm = recovery_lose_vm(&guest->recovery);

	vm_ask_to_park(vm); /* first: none goes far behind an open gate */
	handover_end(&guest->handover, vm);
	vm_devices_kill(
		vm->devices); /* what is in flight there ends beside all the rest: the reaper waits for it */
	if (vm_park(vm, RETIRE_TIMEOUT_NS))
		log_warn("generation %u: not every vCPU could be stopped", vm->generation);
	jobs_settle(&guest->jobs, vm->generation, 0);
	reapers_take(&guest->reapers, vm);
}

void recovery_reboot(struct guest *guest)
{
	struct recovery *r = &guest->recovery;
	uint64_t first_run = atomic_load(&r->vm->first_run_ns);

	retire_vm(guest);
	if (r->stopping)
		enter(r, GUEST_ENDING, UINT64_MAX);
	else
		enter(r, GUEST_WAITS_REBOOT, first_run + REBOOT_INTERVAL_NS); /* mostly long ago */
}

void recovery_power_off(struct guest *guest)
{
	guest->recovery.stopping = true;
	retire_vm(guest);
	enter(&guest->recovery, GUEST_ENDING, UINT64_MAX);
}

void recovery_no_more(struct recovery *recovery)
{
	recovery->stopping = true;
}

void recovery_stop(struct guest *guest)
{
	struct recovery *r = &guest->recovery;

	r->stopping = true;
	if (r->vm)
		retire_vm(guest);
	else
		jobs_settle(&guest->jobs, r->next_generation, 0); /* which will not come */
	enter(r, GUEST_ENDING, UINT64_MAX);
}

void recovery_ask_to_stop(struct recovery *recovery, uint64_t timeout_ns)
{
	recovery->stopping = true;
	enter(recovery, GUEST_STOPPING, timeout_ns ? clock_mono_ns() + timeout_ns : UINT64_MAX);
}

void recovery_abandon(struct recovery *recovery)
{
	recovery->abandon = true;
}

void recovery_paused(struct recovery *recovery)
{
	enter(recovery, GUEST_PAUSED, recovery->due_ns); /* the time to power off goes on */
}

void recovery_resumed(struct recovery *recovery)
{
	recovery->resumed_ns = clock_mono_ns();
	enter(recovery,
		recovery->stopping          ? GUEST_STOPPING
		: recovery->announced_ready ? GUEST_READY
					    : GUEST_RUNS,
		recovery->due_ns);
}

/* ---- what the running VM reports ------------------------------------------------------------------------ */

static bool first_time(bool *announced)
{
	bool first = !*announced;

	*announced = true;
	return first;
}

bool recovery_note_run(struct recovery *recovery)
{
	return first_time(&recovery->announced_run);
}

bool recovery_note_ready(struct recovery *recovery)
{
	if (!first_time(&recovery->announced_ready))
		return false;
	crash_loop_note_ready(&recovery->loop);
	if (recovery->state == GUEST_RUNS)
		enter(recovery, GUEST_READY, UINT64_MAX);
	return true;
}

bool recovery_note_crash_loaded(struct recovery *recovery)
{
	return first_time(&recovery->announced_crash_loaded);
}

bool recovery_may_follow(const struct recovery *recovery, const struct config *config)
{
	return config->recovery.enabled && !recovery->stopping &&
	       crash_loop_may_go_on(&recovery->loop, config);
}

/* ---- the next VM ---------------------------------------------------------------------------------------- */

/* What has become of the standby; the budget knows of one that is made.  True if that is news. */
static bool look_at_standby(struct guest *guest)
{
	bool news = standby_look(&guest->standby);

	if (news)
		handover_set_standby(&guest->handover, standby_vm(&guest->standby));
	return news;
}

/* A VM could not be made: when the host lacked something it is made again, else there is none any more. */
static void make_again(struct guest *guest, struct standby *standby)
{
	struct recovery *r = &guest->recovery;
	bool retry = standby_may_retry(standby->err);

	if (!r->tries_again)
		log_error("%s: %s%s", standby->what, standby->why,
			retry ? "; tried again until it can be made" : "");
	r->tries_again = retry;
	standby_forget(standby);
	r->memory_returned = false;
	if (retry) {
		enter(r, r->state == GUEST_WAITS_REBOOT ? GUEST_WAITS_REBOOT : GUEST_WAITS_MEMORY,
			clock_mono_ns() + RETRY_NS);
		return;
	}
	jobs_settle(&guest->jobs, r->next_generation, 0); /* which will not come */
	r->exit_code = EXIT_HOST;
	enter(r, GUEST_ENDING, UINT64_MAX);
}

/* The job of the crash that is recovered from, or NULL. */
static const struct dump_job *recovered_job(const struct guest *guest)
{
	const struct recovery *r = &guest->recovery;

	return jobs_awaiting(&guest->jobs, r->crashed, r->next_generation);
}

/* Starts the recovery VM, or finds out what it has to wait for.  True if it runs. */
static bool start_recovery(struct guest *guest)
{
	struct recovery *r = &guest->recovery;
	enum handover_wait wait = handover_must_wait(&guest->handover, jobs_busy(&guest->jobs));
	struct vm *vm;

	if (wait != HANDOVER_WAITS_NOT) {
		enter(r, wait == HANDOVER_WAITS_DUMP ? GUEST_WAITS_DUMP : GUEST_WAITS_MEMORY, UINT64_MAX);
		return false;
	}
	(void)look_at_standby(guest);
	if (guest->standby.state == STANDBY_NONE)
		standby_build(&guest->standby, initial_memory(guest->config));
	if (guest->standby.state == STANDBY_BUILDS) {
		/* made again and again, it still waits for memory */
		if (r->state != GUEST_WAITS_MEMORY)
			enter(r, GUEST_WAITS_STANDBY, UINT64_MAX);
		r->due_ns = UINT64_MAX;
		return false;
	}
	if (guest->standby.state == STANDBY_FAILED) {
		make_again(guest, &guest->standby);
		return false;
	}
	vm = standby_take(&guest->standby);
	crash_loop_recovers(&r->loop);
	vm->recovery = true;
	start_vm(guest, vm, recovered_job(guest));
	return true;
}

bool recovery_from_crash(
	struct guest *guest, const struct vm *dead, const struct vm_end *end, struct dump_job *job)
{
	struct recovery *r = &guest->recovery;
	uint64_t pause;

	crash_loop_count(&r->loop, guest->config, dead, end);
	if (!recovery_may_follow(r, guest->config)) {
		enter(r, GUEST_ENDING, UINT64_MAX);
		return false;
	}
	r->crashed = dead->generation;
	if (job)
		jobs_expect(job, r->next_generation);
	(void)look_at_standby(guest);
	standby_forget(&guest->standby); /* made for nobody, it failed; now it is needed */
	pause = crash_loop_pause(&r->loop, guest->config);
	if (!pause)
		return start_recovery(guest);
	enter(r, GUEST_WAITS_BACKOFF, clock_mono_ns() + pause);
	return false;
}

void recovery_say(struct guest *guest)
{
	struct recovery *r = &guest->recovery;

	if (r->state != GUEST_ENDING) {
		report_waiting(r, &guest->around.events);
		return;
	}
	report_no_recovery(r, guest->config);
	/* asked to stop, it would not have gone on anyway */
	if (!r->stopping)
		recovery_fail(r, EXIT_CRASHED);
}

/* Tries to start the recovery VM that waits. */
static void go_on(struct guest *guest)
{
	enum guest_state before = guest->recovery.state;

	if (start_recovery(guest))
		log_info("generation %u: recovery VM started", guest->recovery.generation);
	else if (guest->recovery.state != before)
		report_waiting(&guest->recovery, &guest->around.events);
}

/* The VM after a reboot: has it made, and starts it when it is. */
static void go_on_rebooting(struct guest *guest)
{
	struct recovery *r = &guest->recovery;
	struct standby *fresh = &guest->fresh;

	(void)standby_look(fresh);
	if (fresh->state == STANDBY_NONE)
		standby_build(
			fresh, handover_is_free(&guest->handover) ? 0 : initial_memory(guest->config));
	if (fresh->state == STANDBY_FAILED)
		make_again(guest, fresh);
	else if (fresh->state == STANDBY_BUILT)
		start_vm(guest, standby_take(fresh), NULL);
	else
		enter(r, GUEST_WAITS_REBOOT, UINT64_MAX);
}

void recovery_due(struct guest *guest)
{
	if (guest->recovery.state == GUEST_WAITS_REBOOT)
		go_on_rebooting(guest);
	else
		go_on(guest);
}

void recovery_hear_of_memory(struct recovery *recovery)
{
	recovery->memory_returned = true;
}

void recovery_check(struct guest *guest)
{
	const struct recovery *r = &guest->recovery;
	bool waits = r->due_ns == UINT64_MAX; /* else for a moment, which recovery_due() knows */

	if (r->state == GUEST_WAITS_DUMP || r->state == GUEST_WAITS_STANDBY ||
		(r->state == GUEST_WAITS_MEMORY && (waits || r->memory_returned)))
		go_on(guest);
	else if (r->state == GUEST_WAITS_REBOOT && waits)
		go_on_rebooting(guest);
}

void recovery_prepare(struct guest *guest)
{
	const struct recovery *r = &guest->recovery;
	const struct vm *vm = r->vm;

	/* the guest itself runs: it is warned, nothing has failed yet */
	if (look_at_standby(guest) && guest->standby.state == STANDBY_FAILED)
		log_error("%s: %s", guest->standby.what, guest->standby.why);
	if (guest->standby.state != STANDBY_NONE || !recovery_may_follow(r, guest->config))
		return;
	if (!vm && r->state != GUEST_WAITS_BACKOFF && r->state != GUEST_WAITS_DUMP)
		return;
	if (vm && (!atomic_load(&vm->first_run_ns) ||
			  (jobs_busy(&guest->jobs) && !atomic_load(&vm->ready_ns))))
		return;
	standby_build(&guest->standby, initial_memory(guest->config));
}
