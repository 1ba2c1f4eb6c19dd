/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/service.c - see service.h.
 *
 * Boot CPU only, and nothing is printed before the guest is ready: what is measured is how long memory takes.
 */
#include "guest-stub/config.h"
#include "guest-stub/events.h"
#include "guest-stub/machine.h"
#include "guest-stub/mem.h"
#include "guest-stub/service.h"
#include "guest-stub/smp.h"

#define MIB_SHIFT 20
#define WORDS_PER_PAGE 512
/* our choice: runs of memory that are told; each piece of added memory is one */
#define MAX_TOUCHED 128

static struct run touched[MAX_TOUCHED];
static uint32_t nr_touched;

/* One write a page: its first word, as a fill of kind pattern has it. */
static void touch(struct run run, uint64_t seed)
{
	uint64_t *page = (uint64_t *)(run.first << PAGE_SHIFT);

	for (uint64_t pfn = run.first; pfn < run.first + run.count; pfn++, page += WORDS_PER_PAGE)
		__atomic_store_n(page, splitmix64(seed + pfn * WORDS_PER_PAGE), __ATOMIC_RELAXED);
}

/* Returns how many of @want frames there was memory for, or came in time. */
static uint64_t touch_memory(uint64_t want, uint64_t seed, uint64_t heartbeat_ms)
{
	uint64_t done = 0;

	while (done < want && nr_touched < MAX_TOUCHED) {
		struct run run = pages_alloc(want - done, PAGES_PER_BLOCK, 0);

		if (!run.count && events_await_memory(heartbeat_ms))
			continue;
		if (!run.count)
			break;
		touch(run, seed);
		touched[nr_touched++] = run;
		done += run.count;
	}
	return done;
}

static void tell(uint64_t want, uint64_t done, uint64_t ticks, uint64_t seed)
{
	for (uint32_t i = 0; i < nr_touched; i++)
		con_printf("stub: fill kind=touch pfn=%lu-%lu seed=0x%lx\n", touched[i].first,
			touched[i].first + touched[i].count - 1, seed);
	con_printf("stub: service touched %lu MiB", done >> (MIB_SHIFT - PAGE_SHIFT));
	if (machine.tsc_khz)
		con_printf(" in %lu us", ticks * 1000 / machine.tsc_khz);
	con_printf("\n");
	if (done < want)
		con_printf("stub: error: service: %lu pages do not fit\n", want - done);
}

void service_run(const struct config *config)
{
	uint64_t want = config->touch_mib << (MIB_SHIFT - PAGE_SHIFT), began = read_tsc(), done, ticks;

	done = touch_memory(want, config->seed, config->heartbeat_ms);
	ticks = read_tsc() - began;
	tell(want, done, ticks, config->seed);
	report_ready();
	if (config->then) {
		con_printf("stub: scenario %s\n", config->then->name);
		con_flush();
		config->then->run(config);
	} else {
		idle_forever(config->heartbeat_ms);
	}
}
