/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/crash.c - the crash sequence: see crash_handle() at the end, which reads as the list of steps.
 */
#include "vmm/supervisor/guest_impl.h"
#include "vmm/supervisor/report.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/base/text.h"
#include "dump/record/choices.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* our choice: a vCPU leaves the guest within a scheduler slice; seconds mean a stuck kernel */
#define PARK_TIMEOUT_NS (2 * NSEC_PER_SEC)
/* our choice: a disk that takes longer is broken; the dump does not wait for it any more */
#define QUIET_TIMEOUT_NS (2 * NSEC_PER_SEC)
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

static void say_crash(struct guest *guest, const struct vm *dead, const struct vm_end *end, bool recovering)
{
	char reason[1280];

	/* first what the guest itself said last, then what we say of it */
	console_flush(&guest->around.console, 100 * NSEC_PER_MSEC);
	report_reason(end, dead->record, reason, sizeof(reason));
	log_error("generation %u: crash: %s", dead->generation, reason);
	EVENT_AT(&guest->around.events, "crash", end->ns, dead->generation,
		EV_STR("reason", dump_reason_name(end->reason)), EV_U64("cpu", end->cpu),
		EV_U64("detail", end->detail), EV_STR("text", reason));
	if (recovering)
		log_info("generation %u: recovery VM started", guest->recovery.generation);
}

static void say_dump(struct guest *guest, const struct vm *dead, const struct dump_job *job)
{
	struct publish_names names;
	char bytes[24];

	job_names(job, &names);
	report_bytes(job->ram, bytes, sizeof(bytes));
	log_info("generation %u: dumping %s to %s/%s", dead->generation, bytes, guest->config->dump.dir,
		names.final);
	EVENT(&guest->around.events, "dump-start", dead->generation, EV_STR("dir", guest->config->dump.dir),
		EV_STR("name", job->name), EV_U64("memory", job->ram), EV_U64("populated", job->populated));
}

static void park(struct vm *dead)
{
	if (vm_park(dead, PARK_TIMEOUT_NS))
		log_warn("generation %u: not every vCPU could be stopped; its registers are missing in the "
			 "dump",
			dead->generation);
	dump_record_mark(dead->record, DUMP_MOMENT_PARKED, clock_mono_ns());
}

static void add_dying(struct guest *guest, struct vm *vm)
{
	vm->quiet_deadline_ns = clock_mono_ns() + QUIET_TIMEOUT_NS;
	vm->next_dying = guest->dying;
	guest->dying = vm;
}

/* The dump of @dead, which stands still, has been given to the dumper: the rest of it goes, in a thread of its own. */
static void bury(struct guest *guest, struct vm *dead)
{
	const struct dump_job *job = jobs_find_active(&guest->jobs, dead->generation);

	if (job) /* without a dumper it is given up */
		say_dump(guest, dead, job);
	reapers_take(&guest->reapers, dead);
}

/*
 * What happens when a VM dies.  The order is the point: nothing that takes time with the size of the
 * guest stands between the crash and the recovery VM's first instruction.
 */
void crash_handle(struct guest *guest)
{
	struct vm *dead = recovery_lose_vm(&guest->recovery);
	struct dump_job *job = NULL;
	bool recovering, quiet;

	/* 1. No device begins anything.  Every vCPU stops; its own thread saves its registers.  Asked first, so that none goes far behind an open gate. */
	vm_ask_to_park(dead);
	handover_end(&guest->handover, dead);
	vm_devices_kill(dead->devices); /* before: a vCPU may wait for one */
	park(dead);
	grants_freeze(&dead->grants, &dead->record->layout);

	/* 2. What the dumper must know. */
	if (guest->config->dump.enabled)
		job = jobs_add(&guest->jobs, dead, &dead->end);
	if (job && guest_strategy_of(guest))
		job_set_strategy(job, fallback_strategy());

	/* What the dead VM holds counts before the next one is given anything. */
	handover_claim(&guest->handover, dead, job);

	/* 3. The recovery VM runs: it waits for nothing below. */
	recovering = recovery_from_crash(guest, dead, &dead->end, job);

	/* 4. The dumper takes over the memory. */
	if (job && !jobs_check_quota(&guest->jobs, job))
		job = NULL;
	/* requests to disks that are in flight still write to it: the dump waits for them, and nobody else */
	quiet = vm_devices_are_quiet(dead->devices);
	if (job) {
		job->held = !quiet;
		jobs_announce(&guest->jobs, job, -1);
	}
	jobs_submit(&guest->jobs);

	/* 5. The rest of the dead VM goes. */
	say_crash(guest, dead, &dead->end, recovering);
	jobs_settle(&guest->jobs, dead->generation, 0);
	if (quiet)
		bury(guest, dead);
	else
		add_dying(guest, dead);
	recovery_say(guest);
}

/*
 * The same for a guest that dumps by itself: it goes on beside the recovery VM until it says that it
 * is done, crashes again, or takes too long.
 */
void crash_begin(struct guest *guest)
{
	struct vm *dead = recovery_lose_vm(&guest->recovery);
	struct dump_job *job;
	bool recovering;

	dead->dumps_itself = true;
	dead->dying_deadline_ns = dead->crash.ns + guest->config->dump.guest_timeout;
	handover_end(&guest->handover, dead);
	vm_devices_kill(
		dead->devices); /* its vCPUs go on; they have no use for devices, and the next VM does */
	add_dying(guest, dead);
	job = jobs_add(&guest->jobs, dead, &dead->crash);
	handover_claim(&guest->handover, dead, job);
	recovering = recovery_from_crash(guest, dead, &dead->crash, job);
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
	recovery_say(guest);
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
	if (unlinkat(guest->around.dump_dir_fd, names.dump_partial, 0) < 0 && errno != ENOENT)
		log_warn("generation %u: %s: %s", job->generation, names.dump_partial, strerror(errno));
	/* the VM is parked; its reaper closes the file later, but its room is needed now */
	if (ftruncate(vm->guest_dump.file_fd, 0) < 0)
		log_debug("guest's dump file: %s", strerror(errno));
}

static void remove_dying(struct guest *guest, const struct vm *vm)
{
	struct vm **at = &guest->dying;

	while (*at && *at != vm)
		at = &(*at)->next_dying;
	if (*at)
		*at = vm->next_dying;
}

/* @vm has dumped by itself, or did not: it stops, and the dumper finishes. */
static void finish_own_dump(struct guest *guest, struct vm *vm)
{
	bool ended = atomic_load_explicit(&vm->end_valid, memory_order_acquire);
	bool complete = ended && vm->end.guest_dumped;
	struct dump_job *job = jobs_find_active(&guest->jobs, vm->generation);
	char reason[1280] = "it took longer than dump.guest_timeout";

	park(vm);
	if (ended)
		report_reason(&vm->end, NULL, reason, sizeof(reason));
	if (!complete && job)
		log_warn("generation %u: the guest did not finish its dump (%s); it is dumped without it",
			vm->generation, reason);
	if (!job)
		return;
	EVENT(&guest->around.events, "guest-dumped", vm->generation, EV_BOOL("complete", complete),
		EV_U64("written", vm->guest_dump.written));
	if (!complete)
		job_set_strategy(job, fallback_strategy());
	take_guest_file(guest, job, vm, complete);
}

uint64_t crash_deadline(const struct vm *vm)
{
	bool ended = !vm->dumps_itself || atomic_load_explicit(&vm->end_valid, memory_order_acquire);
	uint64_t due = ended ? 0 : vm->dying_deadline_ns;

	return vm_devices_are_quiet(vm->devices) ? due : u64_max(due, vm->quiet_deadline_ns);
}

void crash_finish(struct guest *guest, struct vm *vm)
{
	struct dump_job *job;

	remove_dying(guest, vm);
	vm_devices_report_unquiet(vm->devices, vm->generation);
	if (vm->dumps_itself)
		finish_own_dump(guest, vm);
	job = jobs_find_active(&guest->jobs, vm->generation);
	if (job)
		job->held = false;
	jobs_submit(&guest->jobs);
	bury(guest, vm);
}

void crash_hurry(struct guest *guest, uint32_t generation)
{
	for (struct vm *vm = guest->dying; vm; vm = vm->next_dying)
		if (vm->generation == generation)
			vm->dying_deadline_ns = vm->quiet_deadline_ns = 0;
}

void crash_fini(struct guest *guest)
{
	while (guest->dying) {
		struct vm *next = guest->dying->next_dying;

		vm_destroy(guest->dying);
		guest->dying = next;
	}
}

bool crash_dumps_itself(const struct guest *guest, uint32_t generation)
{
	for (const struct vm *vm = guest->dying; vm; vm = vm->next_dying)
		if (vm->generation == generation && vm->dumps_itself)
			return true;
	return false;
}
