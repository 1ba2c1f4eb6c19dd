/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/handover.c - what the recovery VM gets of the crashed one's memory, and when: see guest.h.
 *
 * Puts budget and gate to work; the rules are theirs (budget.h, gate.h).
 */
#include "vmm/supervisor/guest.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/base/text.h"
#include "dump/engine/engine.h"
#include "dump/record/choices.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* our choice: with less than this a VM cannot even begin, a kernel touches as much before it prints a line */
#define START_MIN MIB(8)

static uint64_t populated(const struct vm *vm)
{
	return vm ? io_bytes_behind(vm->region.fd) : 0;
}

static void open_gate(struct guest *guest)
{
	int err;

	err = gate_init(
		&guest->gate, &(struct gate_options){.budget = &guest->budget,
				      .allow = guest->config->recovery.overcommit == OVERCOMMIT_ALLOW,
				      .block = guest->huge_pages ? PAGE_SIZE_2M : PAGE_SIZE_4K,
				      .memory_dir_fd = guest->dir_fd,
				      .dump_dir_fd = guest->dump_dir_fd,
				      .notify_fd = guest->notify_fd});
	if (err)
		log_warn("[recovery] handover = gated: userfaultfd: %s; the recovery VM takes memory as it "
			 "touches it, as with none",
			strerror(-err));
	guest->released_fd = guest->gate.wake_fd;
}

static int watch(const struct guest *guest, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(guest->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* For memory that is handed out by the supervisor itself (grants.h). */
static int open_explicit(struct guest *guest)
{
	int err;

	guest->released_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = guest->released_fd < 0 ? -errno : watch(guest, guest->released_fd);
	if (err || guest->config->recovery.overcommit == OVERCOMMIT_ALLOW)
		return err;
	guest->dumps_fd = budget_watch_dumps(guest->dump_dir_fd);
	return guest->dumps_fd < 0 ? guest->dumps_fd : watch(guest, guest->dumps_fd);
}

int handover_open(struct guest *guest)
{
	const struct config *config = guest->config;
	struct dump_options options = job_options(config);

	budget_fini(&guest->budget);
	budget_init(&guest->budget, config->vm.memory, config->recovery.reserve,
		config->dump.enabled ? dump_engine_in_flight(&options, config->vm.memory) : 0,
		guest->dir_fd, guest->dump_dir_fd);
	if (!config->recovery.enabled || config->recovery.handover == HANDOVER_NONE)
		return 0;
	if (config->recovery.handover == HANDOVER_GATED) {
		open_gate(guest);
		return 0;
	}
	return open_explicit(guest);
}

void handover_close(struct guest *guest)
{
	if (guest->released_fd >= 0 && guest->gate.uffd < 0) /* else the gate's */
		close(guest->released_fd);
	guest->released_fd = -1;
	if (guest->dumps_fd >= 0)
		close(guest->dumps_fd);
	guest->dumps_fd = -1;
	gate_fini(&guest->gate);
	budget_fini(&guest->budget);
}

/* True if the dump takes all the memory that the crashed VM gives back. */
static bool dump_fills(const struct dump_job *job)
{
	const struct dump_strategy *strategy = &dump_strategies[job->options.strategy];

	return job->options.selectors == DUMP_SELECT_ALL && strategy->guest_mode == FW_DUMP_MODE_VMM &&
	       !dump_sinks[strategy->sinks ? job->options.sink : 0].compressed;
}

void handover_claim(struct guest *guest, const struct vm *vm, const struct dump_job *job)
{
	struct budget_claim claim = {.generation = vm->generation, .region_fd = vm->region.fd};
	struct publish_names names;
	int err;

	if (job) {
		job_names(job, &names);
		claim.names = &names;
		claim.fills = dump_fills(job);
		claim.in_flight = dump_engine_in_flight(&job->options, vm->region.layout.ram);
		if (dump_strategies[job->options.strategy].guest_mode != FW_DUMP_MODE_VMM)
			claim.expected = job->populated;
	}
	err = budget_add(&guest->budget, &claim);
	if (err)
		log_warn("generation %u: its memory does not count in the budget: %s", vm->generation,
			strerror(-err));
}

/* Any thread: something has been given back. */
static void ring_released(void *opaque)
{
	const struct guest *guest = opaque;

	if (guest->released_fd >= 0)
		io_ring(guest->released_fd);
}

void handover_reaped(struct guest *guest, uint32_t generation)
{
	budget_reaped(&guest->budget, generation, ring_released, guest);
}

void handover_set_standby(struct guest *guest)
{
	budget_set_standby(&guest->budget, populated(guest->standby));
}

void handover_start(struct guest *guest, struct vm *vm)
{
	int gated;

	guest->blocked = false;
	handover_set_standby(guest); /* @vm may have been it */
	gated = gate_attach(&guest->gate, &vm->region, vm->generation);
	if (gated < 0)
		log_warn("generation %u: its memory cannot be gated: %s", vm->generation, strerror(-gated));
	if (gated > 0)
		EVENT(&guest->events, "handover-start", vm->generation,
			EV_U64("granted", gate_granted(&guest->gate)),
			EV_U64("memory", vm->region.layout.ram));
}

void handover_end(struct guest *guest, const struct vm *vm)
{
	gate_detach(&guest->gate, &vm->region);
}

/* True if the budget covers a whole VM that starts now. */
bool handover_is_free(struct guest *guest)
{
	struct budget_state state;

	budget_look(&guest->budget, &state);
	return budget_left(&state, 0) >= guest->config->vm.memory;
}

static void report_uncovered(uint32_t generation, uint64_t uncovered)
{
	char bytes[24];

	report_bytes(uncovered, bytes, sizeof(bytes));
	log_info("generation %u: the dump keeps its memory, so the recovery VM may take %s more than the "
		 "budget (recovery.overcommit = allow)",
		generation, bytes);
}

static void report_blocked(struct guest *guest, uint32_t generation)
{
	log_warn("generation %u: waits for memory that dumps keep: remove one (minivmm dump rm), or set "
		 "recovery.overcommit = allow",
		generation);
	EVENT(&guest->events, "handover-blocked", generation);
}

static void report_complete(const struct vm *vm)
{
	uint64_t started = atomic_load(&vm->first_run_ns), now = clock_mono_ns();

	log_info("generation %u: has all its memory %.1f ms after it started", vm->generation,
		started && now > started ? (double)(now - started) / (double)NSEC_PER_MSEC : 0.0);
}

void handover_grant(struct guest *guest)
{
	bool allow = guest->config->recovery.overcommit == OVERCOMMIT_ALLOW;
	struct vm *vm = guest->vm;
	struct budget_state state;
	uint64_t left;

	if (!vm || !grants_left(&vm->grants))
		return;
	budget_look(&guest->budget, &state);
	left = budget_left(&state, region_usable(&vm->region));
	if (left >= grants_left(&vm->grants)) {
		grants_finish(&vm->grants);
	} else if (!state.growing && allow) {
		report_uncovered(vm->generation, grants_left(&vm->grants) - left);
		budget_write_off(&guest->budget);
		grants_finish(&vm->grants);
	} else if (!grants_offer(&vm->grants, left) && !state.under_way && !guest->blocked) {
		guest->blocked = true;
		report_blocked(guest, vm->generation);
	}
	if (!grants_left(&vm->grants))
		report_complete(vm);
}

void handover_hear(struct guest *guest, enum jobs_news news, const struct dump_job *job)
{
	if (news == JOBS_FINISHED || news == JOBS_FAILED) {
		budget_dump_over(&guest->budget, job->generation);
		ring_released(guest);
	}
	if (news == JOBS_FINISHED || news == JOBS_FAILED || news == JOBS_RELEASED)
		handover_grant(guest);
}

void handover_dump_removed(struct guest *guest)
{
	char events[4096];

	/* one look answers for all of them */
	while (read(guest->dumps_fd, events, sizeof(events)) > 0)
		;
	handover_grant(guest);
}

void handover_look(struct guest *guest, uint64_t *ret_granted, bool *ret_waits)
{
	uint64_t gated = gate_granted(&guest->gate);

	*ret_granted = gated ? gated : region_usable(&guest->vm->region);
	*ret_waits = gate_stalled_until(&guest->gate) == UINT64_MAX ||
		     (guest->blocked && grants_left(&guest->vm->grants));
}

enum recovery_wait handover_must_wait(struct guest *guest)
{
	/* what it boots with is its own from the start, with no gate before it */
	uint64_t least = guest->config->recovery.handover == HANDOVER_EXPLICIT
				 ? guest->config->recovery.initial
				 : START_MIN;
	struct budget_state state;

	if (!guest->config->recovery.concurrent && jobs_busy(&guest->jobs))
		return RECOVERY_WAITS_DUMP;
	if (guest->released_fd < 0)
		return RECOVERY_WAITS_NOT;
	budget_look(&guest->budget, &state);
	return state.growing && budget_left(&state, 0) < least ? RECOVERY_WAITS_MEMORY : RECOVERY_WAITS_NOT;
}

static void report_over(struct guest *guest, const struct gate_report *report)
{
	const struct vm *vm = guest->vm;
	uint64_t started = vm ? atomic_load(&vm->first_run_ns) : 0;

	EVENT_AT(&guest->events, "handover-done", report->over_ns, report->generation,
		EV_U64("opened", report->opened), EV_U64("waits", report->waits),
		EV_U64("waited_ns", report->waited_ns), EV_U64("longest_ns", report->longest_ns),
		EV_U64("uncovered", report->uncovered));
	if (report->uncovered) {
		report_uncovered(report->generation, report->uncovered);
		return;
	}
	if (!report->opened)
		return;
	log_info("generation %u: has all its memory %.1f ms after it started; waited %.1f ms for it, in "
		 "%" PRIu64 " waits",
		report->generation,
		started && report->over_ns > started
			? (double)(report->over_ns - started) / (double)NSEC_PER_MSEC
			: 0.0,
		(double)report->waited_ns / (double)NSEC_PER_MSEC, report->waits);
}

void handover_check(struct guest *guest)
{
	struct gate_report report;

	switch (gate_take_news(&guest->gate, &report)) {
	case GATE_NO_NEWS:
		break;
	case GATE_OVER:
		report_over(guest, &report);
		break;
	case GATE_BLOCKED:
		report_blocked(guest, report.generation);
		break;
	}
}
