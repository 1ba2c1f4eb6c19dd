/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/handover.c - see handover.h */
#include "vmm/supervisor/handover.h"

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

static void open_gate(struct handover *handover)
{
	int err;

	err = gate_init(&handover->gate,
		&(struct gate_options){.budget = &handover->budget,
			.allow = handover->around->config->recovery.overcommit == OVERCOMMIT_ALLOW,
			.block = handover->around->huge_pages ? PAGE_SIZE_2M : PAGE_SIZE_4K,
			.memory_dir_fd = handover->around->dir_fd,
			.dump_dir_fd = handover->around->dump_dir_fd,
			.notify_fd = handover->around->notify_fd});
	if (err)
		log_warn("[recovery] handover = gated: userfaultfd: %s; the recovery VM takes memory as it "
			 "touches it, as with none",
			strerror(-err));
	handover->released_fd = handover->gate.wake_fd;
}

/* For memory that is handed out by the supervisor itself (grants.h). */
static int open_explicit(struct handover *handover)
{
	int err;

	handover->released_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = handover->released_fd < 0 ? -errno
					: surroundings_watch(handover->around, handover->released_fd);
	if (err || handover->around->config->recovery.overcommit == OVERCOMMIT_ALLOW)
		return err;
	handover->dumps_fd = budget_watch_dumps(handover->around->dump_dir_fd);
	return handover->dumps_fd < 0 ? handover->dumps_fd
				      : surroundings_watch(handover->around, handover->dumps_fd);
}

void handover_init(struct handover *handover)
{
	*handover = (struct handover){.dumps_fd = -1, .released_fd = -1};
	gate_none(&handover->gate);
	budget_init(&handover->budget, 0, 0, 0, -1, -1);
}

int handover_open(struct handover *handover, struct surroundings *around)
{
	const struct config *config = around->config;
	struct dump_options options = job_options(config);

	handover->around = around;
	handover->events = &around->events;
	budget_fini(&handover->budget);
	budget_init(&handover->budget, config->vm.memory, config->recovery.reserve,
		config->dump.enabled ? dump_engine_in_flight(&options, config->vm.memory) : 0,
		handover->around->dir_fd, handover->around->dump_dir_fd);
	if (!config->recovery.enabled || config->recovery.handover == HANDOVER_NONE)
		return 0;
	if (config->recovery.handover == HANDOVER_GATED) {
		open_gate(handover);
		return 0;
	}
	return open_explicit(handover);
}

void handover_close(struct handover *handover)
{
	if (handover->released_fd >= 0 && handover->gate.uffd < 0) /* else the gate's */
		close(handover->released_fd);
	handover->released_fd = -1;
	if (handover->dumps_fd >= 0)
		close(handover->dumps_fd);
	handover->dumps_fd = -1;
	gate_fini(&handover->gate);
	budget_fini(&handover->budget);
}

/* True if the dump takes all the memory that the crashed VM gives back. */
static bool dump_fills(const struct dump_job *job)
{
	const struct dump_strategy *strategy = &dump_strategies[job->options.strategy];

	return job->options.selectors == DUMP_SELECT_ALL && strategy->guest_mode == FW_DUMP_MODE_VMM &&
	       !dump_sinks[strategy->sinks ? job->options.sink : 0].compressed;
}

void handover_claim(struct handover *handover, const struct vm *vm, const struct dump_job *job)
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
	err = budget_add(&handover->budget, &claim);
	if (err)
		log_warn("generation %u: its memory does not count in the budget: %s", vm->generation,
			strerror(-err));
}

/* Any thread: something has been given back. */
static void ring_released(void *opaque)
{
	const struct handover *handover = opaque;

	if (handover->released_fd >= 0)
		io_ring(handover->released_fd);
}

void handover_reaped(struct handover *handover, uint32_t generation)
{
	budget_reaped(&handover->budget, generation, ring_released, handover);
}

void handover_set_standby(struct handover *handover, const struct vm *standby)
{
	budget_set_standby(&handover->budget, populated(standby));
}

void handover_start(struct handover *handover, struct vm *vm)
{
	int gated;

	handover->blocked = false;
	gated = gate_attach(&handover->gate, &vm->region, vm->generation);
	if (gated < 0)
		log_warn("generation %u: its memory cannot be gated: %s", vm->generation, strerror(-gated));
	if (gated > 0)
		EVENT(handover->events, "handover-start", vm->generation,
			EV_U64("granted", gate_granted(&handover->gate)),
			EV_U64("memory", vm->region.layout.ram));
}

void handover_end(struct handover *handover, const struct vm *vm)
{
	gate_detach(&handover->gate, &vm->region);
}

/* True if the budget covers a whole VM that starts now. */
bool handover_is_free(struct handover *handover)
{
	struct budget_state state;

	budget_look(&handover->budget, &state);
	return budget_left(&state, 0) >= handover->around->config->vm.memory;
}

static void report_uncovered(uint32_t generation, uint64_t uncovered)
{
	char bytes[24];

	report_bytes(uncovered, bytes, sizeof(bytes));
	log_info("generation %u: the dump keeps its memory, so the recovery VM may take %s more than the "
		 "budget (recovery.overcommit = allow)",
		generation, bytes);
}

static void report_blocked(struct handover *handover, uint32_t generation)
{
	const struct config *config = handover->around->config;
	bool wait = config->recovery.overcommit == OVERCOMMIT_WAIT;

	log_warn(
		"generation %u: waits for memory that dumps or others keep in %s: remove one (minivmm dump "
		"rm)%s%s",
		generation, config->vm.memory_dir,
		!wait && config->dump.rotate == ROTATE_NONE ? ", or set dump.rotate = yes" : "",
		wait ? ", or set recovery.overcommit = allow" : "");
	EVENT(handover->events, "handover-blocked", generation);
}

static void report_complete(const struct vm *vm)
{
	uint64_t started = atomic_load(&vm->first_run_ns), now = clock_mono_ns();

	log_info("generation %u: has all its memory %.1f ms after it started", vm->generation,
		started && now > started ? (double)(now - started) / (double)NSEC_PER_MSEC : 0.0);
}

void handover_grant(struct handover *handover, struct vm *vm)
{
	bool allow = handover->around->config->recovery.overcommit == OVERCOMMIT_ALLOW;
	struct budget_state state;
	uint64_t left;

	if (!vm || !grants_left(&vm->grants))
		return;
	budget_look(&handover->budget, &state);
	left = budget_left(&state, region_usable(&vm->region));
	if (left >= grants_left(&vm->grants)) {
		grants_finish(&vm->grants);
	} else if (!state.growing && allow) {
		report_uncovered(vm->generation, grants_left(&vm->grants) - left);
		budget_write_off(&handover->budget);
		grants_finish(&vm->grants);
	} else if (!grants_offer(&vm->grants, left) && !state.under_way && !handover->blocked) {
		handover->blocked = true;
		report_blocked(handover, vm->generation);
	}
	if (!grants_left(&vm->grants))
		report_complete(vm);
}

void handover_hear(
	struct handover *handover, enum jobs_news news, const struct dump_job *job, struct vm *running)
{
	if (news == JOBS_FINISHED || news == JOBS_FAILED) {
		budget_dump_over(&handover->budget, job->generation);
		ring_released(handover);
	}
	if (news == JOBS_FINISHED || news == JOBS_FAILED || news == JOBS_RELEASED)
		handover_grant(handover, running);
}

void handover_dump_removed(struct handover *handover, struct vm *running)
{
	char events[4096];

	/* one look answers for all of them */
	while (read(handover->dumps_fd, events, sizeof(events)) > 0)
		;
	handover_grant(handover, running);
}

void handover_look(struct handover *handover, const struct vm *vm, uint64_t *ret_granted, bool *ret_waits)
{
	uint64_t gated = gate_granted(&handover->gate);

	*ret_granted = gated ? gated : region_usable(&vm->region);
	*ret_waits = gate_stalled_until(&handover->gate) == UINT64_MAX ||
		     (handover->blocked && grants_left(&vm->grants));
}

enum handover_wait handover_must_wait(struct handover *handover, bool dumps)
{
	/* what it boots with is its own from the start, with no gate before it */
	uint64_t least = handover->around->config->recovery.handover == HANDOVER_EXPLICIT
				 ? handover->around->config->recovery.initial
				 : START_MIN;
	struct budget_state state;

	if (!handover->around->config->recovery.concurrent && dumps)
		return HANDOVER_WAITS_DUMP;
	if (handover->released_fd < 0)
		return HANDOVER_WAITS_NOT;
	budget_look(&handover->budget, &state);
	return state.growing && budget_left(&state, 0) < least ? HANDOVER_WAITS_MEMORY : HANDOVER_WAITS_NOT;
}

static void report_over(struct handover *handover, const struct vm *vm, const struct gate_report *report)
{
	uint64_t started = vm ? atomic_load(&vm->first_run_ns) : 0;

	EVENT_AT(handover->events, "handover-done", report->over_ns, report->generation,
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

void handover_check(struct handover *handover, struct jobs *jobs, const struct vm *running)
{
	struct gate_report report;

	switch (gate_take_news(&handover->gate, &report)) {
	case GATE_NO_NEWS:
		break;
	case GATE_OVER:
		report_over(handover, running, &report);
		break;
	case GATE_BLOCKED:
		/* the oldest dump goes, unless the operator would rather have the VM wait */
		if (handover->around->config->recovery.overcommit == OVERCOMMIT_WAIT ||
			!jobs_free_memory(jobs))
			report_blocked(handover, report.generation);
		break;
	}
}
