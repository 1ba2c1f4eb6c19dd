/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/crash.c - the crash sequence: see crash_handle() at the end, which reads as the list of steps.
 */
#include "vmm/guest.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/exit_codes.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* our choice: a vCPU leaves the guest within a scheduler slice; seconds mean a stuck kernel */
#define PARK_TIMEOUT_NS (2 * NSEC_PER_SEC)
/* our choice: a crash loop does no harm at this rate */
#define BACKOFF_MAX_NS (60 * NSEC_PER_SEC)
/* our choice: a VM that served this long is a fresh start, not part of a crash loop */
#define STABLE_NS (60 * NSEC_PER_SEC)

/* Brings the counters of the crash loop up to date with the death of @vm. */
static void count_crash(struct guest *guest, const struct vm *vm)
{
	uint64_t ready = atomic_load(&vm->ready_ns);

	if (ready && vm->end.ns - ready >= STABLE_NS)
		guest->recoveries = 0;
	if (ready || !vm->recovery)
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
	if (!guest->exit_code)
		guest->exit_code = EXIT_CRASHED;
}

/* Starts the recovery VM, or gives up with a reason.  True if one runs. */
static bool start_recovery(struct guest *guest, struct dump_job *job)
{
	struct vm *vm = guest_take_standby(guest);

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

static void say_crash(struct guest *guest, const struct vm *dead, bool recovering)
{
	char reason[1280];

	/* first what the guest itself said last, then what we say of it */
	console_flush(&guest->console, 100 * NSEC_PER_MSEC);
	report_reason(&dead->end, dead->record, reason, sizeof(reason));
	log_error("generation %u: crash: %s", dead->generation, reason);
	EVENT_AT(&guest->events, "crash", dead->end.ns, dead->generation,
		EV_STR("reason", dump_reason_name(dead->end.reason)), EV_U64("cpu", dead->end.cpu),
		EV_U64("detail", dead->end.detail), EV_STR("text", reason));
	if (recovering)
		log_info("generation %u: recovery VM started", guest->generation);
}

void crash_recover_now(struct guest *guest)
{
	struct dump_job *job = guest->recover_job;

	guest->recover_at_ns = 0;
	guest->recover_job = NULL;
	if (start_recovery(guest, job))
		log_info("generation %u: recovery VM started", guest->generation);
}

static void say_dump(struct guest *guest, const struct vm *dead, const struct dump_job *job)
{
	char bytes[24];

	report_bytes(dead->region.layout.ram, bytes, sizeof(bytes));
	log_info("generation %u: dumping %s to %s/%s.vmcore", dead->generation, bytes,
		guest->config->dump.dir, job->record->name);
	EVENT(&guest->events, "dump-start", dead->generation, EV_STR("dir", guest->config->dump.dir),
		EV_STR("name", job->record->name), EV_U64("memory", dead->region.layout.ram));
}

/*
 * What happens when a VM dies.  The order is the point: nothing that takes time with the size of the
 * guest stands between the crash and the recovery VM's first instruction.
 */
void crash_handle(struct guest *guest)
{
	struct vm *dead = guest->vm;
	struct dump_job *job = NULL;
	bool recover, recovering = false;
	uint64_t pause;
	int err;

	/* 1. Every vCPU stops; its own thread saves its registers. */
	err = vm_park(dead, PARK_TIMEOUT_NS);
	if (err)
		log_warn("generation %u: not every vCPU could be stopped; its registers are missing in the "
			 "dump",
			dead->generation);
	guest->vm = NULL;

	/* 2. What the dumper must know. */
	if (guest->config->dump.enabled)
		job = jobs_add(guest, dead, clock_mono_ns());

	/* 3. The recovery VM runs: it waits for nothing below. */
	count_crash(guest, dead);
	recover = may_recover(guest);
	pause = backoff(guest);
	if (recover && job) {
		job->awaits_recovery = true;
		job->successor = guest->next_generation;
	}
	if (recover && !pause)
		recovering = start_recovery(guest, job);

	/* 4. The dumper takes over the memory. */
	jobs_submit(guest);

	/* 5. The rest of the dead VM goes, in a thread of its own. */
	say_crash(guest, dead, recovering);
	if (job)
		say_dump(guest, dead, job);
	jobs_settle(guest, dead->generation, 0);
	guest_reap(guest, dead);

	if (recover && pause) {
		log_info("recovery in %" PRIu64 " ms (recovery.backoff)", pause / NSEC_PER_MSEC);
		guest->recover_at_ns = clock_mono_ns() + pause;
		guest->recover_job = job;
	} else if (!recover) {
		say_no_recovery(guest);
	}
}
