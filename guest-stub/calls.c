/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/calls.c - see calls.h.
 */
#include "guest-stub/calls.h"
#include "guest-stub/config.h"
#include "guest-stub/machine.h"

/* our choice: 0.1 s where an exit takes 25 us */
#define CALLS 4000

static struct fw_query query __attribute__((aligned(FW_BLOCK_ALIGN)));

/* Any VMM has to see it, whether it knows the port or not. */
static bool port_read(void)
{
	in32(FW_PORT);
	return true;
}

/* The cheapest call: nothing is looked up, nothing but the block is read or written. */
static bool query_call(void)
{
	return fw_call(&query, FW_QUERY, sizeof(query)) == FW_OK;
}

static void measure(const char *name, bool (*call)(void))
{
	bool well = call(); /* the first one takes what the others find there */
	uint64_t ticks = read_tsc();

	for (uint32_t i = 0; i < CALLS; i++)
		well &= call();
	ticks = read_tsc() - ticks;
	con_printf("stub: calls %s: %u, %lu ticks each", name, CALLS, ticks / CALLS);
	if (machine.tsc_khz)
		con_printf(", %lu ns", ticks * 1000 / machine.tsc_khz * 1000 / CALLS);
	con_printf("\n");
	if (!well)
		con_printf("stub: error: calls: %s failed\n", name);
}

void calls_run(const struct config *config)
{
	(void)config;
	measure("port", port_read);
	if (machine.firmware)
		measure("query", query_call);
	report_ready();
}
