/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/crash_loop.c - see crash_loop.h */
#include "vmm/supervisor/crash_loop.h"

/* our choice: a crash loop does no harm at this rate */
#define BACKOFF_MAX_NS (60 * NSEC_PER_SEC)

void crash_loop_note_ready(struct crash_loop *loop)
{
	loop->reports_ready = true;
}

uint64_t crash_loop_stable_at(
	const struct crash_loop *loop, const struct config *config, const struct vm *vm)
{
	uint64_t since = atomic_load(&vm->ready_ns);

	if (!since && !loop->reports_ready)
		since = atomic_load(&vm->first_run_ns);
	return since ? since + config->recovery.stable : UINT64_MAX;
}

void crash_loop_count(
	struct crash_loop *loop, const struct config *config, const struct vm *vm, const struct vm_end *end)
{
	uint64_t alive = end->ns;
	bool stable;

	/* nobody knows when a hang began; surely by then */
	if (end->reason == DUMP_REASON_HANG)
		alive -= u64_min(alive, config->vm.watchdog);
	stable = alive >= crash_loop_stable_at(loop, config, vm);
	if (stable)
		loop->recoveries = 0;
	if (stable || atomic_load(&vm->ready_ns) || !vm->recovery)
		loop->unready = 0;
	else
		loop->unready++;
}

bool crash_loop_may_go_on(const struct crash_loop *loop, const struct config *config)
{
	return loop->recoveries < config->recovery.max;
}

void crash_loop_recovers(struct crash_loop *loop)
{
	loop->recoveries++;
}

uint64_t crash_loop_pause(const struct crash_loop *loop, const struct config *config)
{
	uint64_t pause = config->recovery.backoff;

	if (!loop->unready || !pause)
		return 0;
	for (uint64_t i = 1; i < loop->unready && pause < BACKOFF_MAX_NS; i++)
		pause *= 2;
	return u64_min(pause, BACKOFF_MAX_NS);
}
