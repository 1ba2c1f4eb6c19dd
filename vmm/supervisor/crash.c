/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/crash.c - the crash sequence: see crash_handle() at the end, which reads as the list of steps.
 */
#include "vmm/supervisor/guest.h"
#include "vmm/supervisor/report.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/base/text.h"
#include "dump/record/choices.h"
#include "vmm/base/exit_codes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/* our choice: a vCPU leaves the guest within a scheduler slice; seconds mean a stuck kernel */
#define PARK_TIMEOUT_NS (2 * NSEC_PER_SEC)
/* our choice: a crash loop does no harm at this rate */
#define BACKOFF_MAX_NS (60 * NSEC_PER_SEC)

/*
 * When @vm counts as a fresh start, not as part of a row of crashes: some time after it reported ready, or after its
 * first instruction if no VM of this guest ever has.  UINT64_MAX: not yet known.
 */
static uint64_t stable_at(const struct guest *guest, const struct vm *vm)
{
	uint64_t since = atomic_load(&vm->ready_ns);

	if (!since && !guest->reports_ready)
		since = atomic_load(&vm->first_run_ns);
	return since ? since + guest->config->recovery.stable : UINT64_MAX;
}

uint64_t crash_settle_deadline(const struct guest *guest)
{
	if (!guest->vm || !jobs_await(&guest->jobs, guest->vm->generation))
		return UINT64_MAX;
	return stable_at(guest, guest->vm);
}

/* Brings the counters of the crash loop up to date with the death of @vm. */
static void count_crash(struct guest *guest, const struct vm *vm, const struct vm_end *end)
{
	uint64_t alive = end->ns;
	bool stable;

	/* nobody knows when a hang began; surely by then */
	if (end->reason == DUMP_REASON_HANG)
		alive -= u64_min(alive, guest->config->vm.watchdog);
	stable = alive >= stable_at(guest, vm);
	if (stable)
		guest->recoveries = 0;
	if (stable || atomic_load(&vm->ready_ns) || !vm->recovery)
		guest->unready = 0;
	else
		guest->unready++;
}

static uint64_t backoff(const struct guest *guest)
{
	uint64_t pause = guest->config->recovery.backoff;

	if (!guest->unready || !pause)
		return 0;
	for (uint64_t i = 1; i < guest->unready && pause < BACKOFF_MAX_NS; i++)
		pause *= 2;
	return u64_min(pause, BACKOFF_MAX_NS);
}

static bool may_recover(const struct guest *guest)
{
	return guest->config->recovery.enabled && !guest->stopping &&
	       guest->recoveries < guest->config->recovery.max;
}

static void say_no_recovery(struct guest *guest)
{
	if (!guest->config->recovery.enabled)
		log_info("no recovery: recovery.enabled = no");
	else if (!guest->stopping)
		log_error("no recovery: %" PRIu64 " in a row already (recovery.max)", guest->recoveries);
	/* asked to stop, it would not have gone on anyway */
	if (!guest->exit_code && !guest->stopping)
		guest->exit_code = EXIT_CRASHED;
}

/* True if the configured strategy is one that the guest itself carries out. */
static bool guest_strategy_of(const struct guest *guest)
{
	return dump_strategies[guest->config->dump.strategy].guest_mode != FW_DUMP_MODE_VMM;
}

/* The first strategy that needs no guest: for guests that cannot dump, or failed to. */
static uint32_t fallback_strategy(void)
{
	uint32_t i = 0;

	while (dump_strategies[i].guest_mode != FW_DUMP_MODE_VMM)
		i++;
	return i;
}

/* Starts the recovery VM, or gives up with a reason.  True if one runs; it may have to wait. */
static bool start_recovery(struct guest *guest, struct dump_job *job)
{
	struct vm *vm;

	guest->recovery_waits = handover_must_wait(guest);
	if (guest->recovery_waits) {
		guest->recover_job = job;
		return false;
	}
	vm = guest_take_standby(guest);
	if (!vm) {
		if (job)
			job->awaits_recovery = false;
		guest->exit_code = EXIT_HOST;
		return false;
	}
	guest->recoveries++;
	vm->recovery = true;
	guest_start_vm(guest, vm, job);
	return true;
}

static void say_crash(struct guest *guest, const struct vm *dead, const struct vm_end *end, bool recovering)
{
	char reason[1280];

	/* first what the guest itself said last, then what we say of it */
	console_flush(&guest->console, 100 * NSEC_PER_MSEC);
	report_reason(end, dead->record, reason, sizeof(reason));
	log_error("generation %u: crash: %s", dead->generation, reason);
	EVENT_AT(&guest->events, "crash", end->ns, dead->generation,
		EV_STR("reason", dump_reason_name(end->reason)), EV_U64("cpu", end->cpu),
		EV_U64("detail", end->detail), EV_STR("text", reason));
	if (recovering)
		log_info("generation %u: recovery VM started", guest->generation);
}

static void say_waiting(struct guest *guest)
{
	bool dump = guest->recovery_waits == RECOVERY_WAITS_DUMP;

	log_info("recovery waits %s", dump ? "for the dump (recovery.concurrent = no)"
					   : "for memory that a dump under way holds");
	EVENT(&guest->events, "recovery-waits", guest->next_generation,
		EV_STR("for", dump ? "dump" : "memory"));
}

void crash_recover_now(struct guest *guest)
{
	struct dump_job *job = guest->recover_job;

	guest->recover_at_ns = 0;
	guest->recover_job = NULL;
	if (start_recovery(guest, job))
		log_info("generation %u: recovery VM started", guest->generation);
	else if (guest->recovery_waits)
		say_waiting(guest);
}

void crash_check_waiting(struct guest *guest)
{
	if (guest->recovery_waits && !handover_must_wait(guest))
		crash_recover_now(guest);
}

static void say_dump(struct guest *guest, const struct vm *dead, const struct dump_job *job)
{
	struct publish_names names;
	char bytes[24];

	job_names(job, &names);
	report_bytes(dead->record->layout.ram, bytes, sizeof(bytes));
	log_info("generation %u: dumping %s to %s/%s", dead->generation, bytes, guest->config->dump.dir,
		names.final);
	EVENT(&guest->events, "dump-start", dead->generation, EV_STR("dir", guest->config->dump.dir),
		EV_STR("name", job->name), EV_U64("memory", dead->record->layout.ram),
		EV_U64("populated", job->populated));
}

/* Starts the recovery VM of @dead, now or after a pause, if there is to be one. */
static bool recover_from(
	struct guest *guest, const struct vm *dead, const struct vm_end *end, struct dump_job *job)
{
	uint64_t pause;

	count_crash(guest, dead, end);
	pause = backoff(guest);
	if (!may_recover(guest))
		return false;
	if (job) {
		job->awaits_recovery = true;
		job->successor = guest->next_generation;
	}
	if (!pause)
		return start_recovery(guest, job);
	guest->recover_at_ns = clock_mono_ns() + pause;
	guest->recover_job = job;
	return false;
}

static void say_recovery(struct guest *guest)
{
	if (guest->recover_at_ns)
		log_info("recovery in %" PRIu64 " ms (recovery.backoff)",
			(guest->recover_at_ns - u64_min(clock_mono_ns(), guest->recover_at_ns)) /
				NSEC_PER_MSEC);
	else if (guest->recovery_waits)
		say_waiting(guest);
	else if (!guest->vm)
		say_no_recovery(guest);
}

static void park(struct vm *dead)
{
	if (vm_park(dead, PARK_TIMEOUT_NS))
		log_warn("generation %u: not every vCPU could be stopped; its registers are missing in the "
			 "dump",
			dead->generation);
	vm_devices_quiesce(dead->devices, dead->generation);
	dump_record_mark(dead->record, DUMP_MOMENT_PARKED, clock_mono_ns());
}

/*
 * What happens when a VM dies.  The order is the point: nothing that takes time with the size of the
 * guest stands between the crash and the recovery VM's first instruction.
 */
void crash_handle(struct guest *guest)
{
	struct vm *dead = guest->vm;
	struct dump_job *job = NULL;
	bool recovering;

	/* 1. Every vCPU stops; its own thread saves its registers.  Asked first, so that none goes far behind an open gate. */
	vm_ask_to_park(dead);
	handover_end(guest, dead);
	park(dead);
	grants_freeze(&dead->grants, &dead->record->layout);
	guest->vm = NULL;

	/* 2. What the dumper must know. */
	if (guest->config->dump.enabled)
		job = jobs_add(&guest->jobs, dead, &dead->end);
	if (job && guest_strategy_of(guest))
		job_set_strategy(job, fallback_strategy());

	/* What the dead VM holds counts before the next one is given anything. */
	handover_claim(guest, dead, job);

	/* 3. The recovery VM runs: it waits for nothing below. */
	recovering = recover_from(guest, dead, &dead->end, job);

	/* 4. The dumper takes over the memory. */
	if (job && !jobs_check_quota(&guest->jobs, job))
		job = NULL;
	if (job)
		jobs_announce(&guest->jobs, job, -1);
	jobs_submit(&guest->jobs);
	job = jobs_find_active(
		&guest->jobs, dead->generation); /* without a dumper it is given up, and gone */

	/* 5. The rest of the dead VM goes, in a thread of its own. */
	say_crash(guest, dead, &dead->end, recovering);
	if (job)
		say_dump(guest, dead, job);
	jobs_settle(&guest->jobs, dead->generation, 0);
	guest_reap(guest, dead);
	say_recovery(guest);
}

/*
 * The same for a guest that dumps by itself: it goes on beside the recovery VM until it says that it
 * is done, crashes again, or takes too long.
 */
void crash_begin(struct guest *guest)
{
	struct vm *dead = guest->vm;
	struct dump_job *job;
	bool recovering;

	guest->vm = NULL;
	dead->next_dying = guest->dying;
	dead->dying_deadline_ns = dead->crash.ns + guest->config->dump.guest_timeout;
	guest->dying = dead;
	handover_end(guest, dead);
	vm_devices_quiesce(dead->devices,
		dead->generation); /* its vCPUs go on; they have no use for devices, and the next VM does */
	job = jobs_add(&guest->jobs, dead, &dead->crash);
	handover_claim(guest, dead, job);
	recovering = recover_from(guest, dead, &dead->crash, job);
	/* asked before the files have names: what is refused leaves nothing behind */
	if (job && !jobs_check_quota(&guest->jobs, job))
		job = NULL;
	if (job) {
		job->held = true;
		jobs_announce(&guest->jobs, job, dead->guest_dump.file_fd);
	} else {
		dead->dying_deadline_ns = 0; /* its memory is given back at once */
	}
	say_crash(guest, dead, &dead->crash, recovering);
	if (job)
		log_info("generation %u: the guest dumps by itself (strategy %s)", dead->generation,
			dump_strategies[guest->config->dump.strategy].name);
	jobs_settle(&guest->jobs, dead->generation, 0);
	say_recovery(guest);
}

static void remove_dying(struct guest *guest, const struct vm *vm)
{
	struct vm **at = &guest->dying;

	while (*at && *at != vm)
		at = &(*at)->next_dying;
	if (*at)
		*at = vm->next_dying;
}

/*
 * The file that the guest has dumped into goes to the dumper, unless it is unfinished and holds nothing that
 * the dead VM's memory does not: then the dump is made afresh, wherever there is room.
 */
static void take_guest_file(struct guest *guest, struct dump_job *job, struct vm *vm, bool complete)
{
	struct publish_names names;

	if (complete || atomic_load(&vm->guest_dump.released)) {
		job->given_back = vm->guest_dump.given_back;
		job->dump_fd = fcntl(vm->guest_dump.file_fd, F_DUPFD_CLOEXEC, 0);
		return;
	}
	job_names(job, &names);
	if (unlinkat(guest->dump_dir_fd, names.dump_partial, 0) < 0 && errno != ENOENT)
		log_warn("generation %u: %s: %s", job->generation, names.dump_partial, strerror(errno));
	/* the VM is parked; its reaper closes the file later, but its room is needed now */
	if (ftruncate(vm->guest_dump.file_fd, 0) < 0)
		log_debug("guest's dump file: %s", strerror(errno));
}

void crash_finish(struct guest *guest, struct vm *vm)
{
	bool ended = atomic_load_explicit(&vm->end_valid, memory_order_acquire);
	bool complete = ended && vm->end.guest_dumped;
	struct dump_job *job = jobs_find_active(&guest->jobs, vm->generation);
	char reason[1280] = "it took longer than dump.guest_timeout";

	park(vm);
	remove_dying(guest, vm);
	if (ended)
		report_reason(&vm->end, NULL, reason, sizeof(reason));
	if (!complete && job)
		log_warn("generation %u: the guest did not finish its dump (%s); it is dumped without it",
			vm->generation, reason);
	if (job) {
		EVENT(&guest->events, "guest-dumped", vm->generation, EV_BOOL("complete", complete),
			EV_U64("written", vm->guest_dump.written));
		if (!complete)
			job_set_strategy(job, fallback_strategy());
		take_guest_file(guest, job, vm, complete);
		job->held = false;
		say_dump(guest, vm, job);
		jobs_submit(&guest->jobs);
	}
	guest_reap(guest, vm);
}
