/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/lie_events.c - see lie.h: a guest that reads events wrongly, and uses memory that it does not have yet.
 *
 * It acknowledges nothing from here on, and must get all its memory all the same.
 */
#include "guest-stub/config.h"
#include "guest-stub/crash.h"
#include "guest-stub/lie.h"
#include "guest-stub/machine.h"
#include "guest-stub/paging.h"
#include "guest-stub/smp.h"

/* No machine has RAM there (start.c: 256 GiB is the limit of this kernel). */
#define FAR (1ull << 50)
/* our choice: a crashed VM's memory comes much sooner, unless the test holds it back */
#define LIMIT_MS 30000
#define BLOCK_BYTES (PAGES_PER_BLOCK * PAGE_BYTES)
#define MIB_SHIFT 20

static struct fw_event events[FW_EVENTS_MAX];

static void expect(const char *what, int32_t status, int32_t promised)
{
	if (status != promised)
		con_printf("stub: error: %s: status %d instead of %d\n", what, status, promised);
}

static uint64_t memory_now(void)
{
	static struct fw_query block __attribute__((aligned(FW_BLOCK_ALIGN)));

	fw_call(&block, FW_QUERY, sizeof(block));
	return block.memory;
}

static int32_t poll(uint64_t buf, uint32_t max, uint32_t *ret_count, uint32_t *ret_waiting)
{
	static struct fw_events_poll block __attribute__((aligned(FW_BLOCK_ALIGN)));
	int32_t status;

	block = (struct fw_events_poll){.buf = buf, .max = max, .count = 77, .waiting = 77};
	status = fw_call(&block, FW_EVENTS_POLL, sizeof(block));
	*ret_count = block.count;
	*ret_waiting = block.waiting;
	if (status != FW_OK && (block.count || block.waiting))
		con_printf("stub: error: poll, status %d: %u of %u events\n", status, block.count,
			block.waiting);
	return status;
}

static void try_poll(const char *what, uint64_t buf, uint32_t max, int32_t promised)
{
	uint32_t count, waiting;

	expect(what, poll(buf, max, &count, &waiting), promised);
}

static void try_ack(const char *what, uint64_t seq, int32_t promised)
{
	static struct fw_events_ack block __attribute__((aligned(FW_BLOCK_ALIGN)));

	block.seq = seq;
	expect(what, fw_call(&block, FW_EVENTS_ACK, sizeof(block)), promised);
}

static void try_short_blocks(void)
{
	static struct fw_events_poll block __attribute__((aligned(FW_BLOCK_ALIGN)));

	expect("poll of 39 bytes", fw_call(&block, FW_EVENTS_POLL, sizeof(block) - 1), FW_EBLOCK);
	expect("acknowledgement of 23 bytes",
		fw_call(&block, FW_EVENTS_ACK, sizeof(struct fw_events_ack) - 1), FW_EBLOCK);
}

/* What the last block of RAM to come does before it has come.  False: it was there too soon to tell. */
static bool try_memory_to_come(void)
{
	static struct fw_console_write text __attribute__((aligned(FW_BLOCK_ALIGN)));
	uint64_t gpa = machine.memory_end - BLOCK_BYTES, *there = (uint64_t *)gpa, read;
	int32_t console;

	if (!paging_map_added(gpa, BLOCK_BYTES))
		con_printf("stub: error: 0x%lx cannot be mapped\n", gpa);
	out32(FW_PORT, (uint32_t)(gpa >> FW_BLOCK_SHIFT)); /* no block in RAM: ignored */
	text.buf = gpa;
	text.len = 16;
	console = fw_call(&text, FW_CONSOLE_WRITE, sizeof(text));
	__atomic_store_n(there, 0x1234, __ATOMIC_RELAXED);
	read = __atomic_load_n(there, __ATOMIC_RELAXED);
	if (memory_now() == machine.memory_max)
		return false;
	expect("console from memory to come", console, FW_EFAULT);
	if (read != UINT64_MAX)
		con_printf("stub: error: memory to come reads 0x%lx\n", read);
	return true;
}

/* Waits until an event waits; false: too long. */
static bool await_event(uint64_t end)
{
	uint32_t count, waiting;

	while (poll(FAR, 0, &count, &waiting) == FW_OK && !waiting && read_tsc() < end)
		sleep_ms(1);
	return waiting;
}

static void try_events(void)
{
	uint32_t count, waiting, again;
	uint64_t newest;
	int32_t to_come = poll(machine.memory_end - sizeof(events[0]), 1, &count, &waiting);

	if (memory_now() < machine.memory_max)
		expect("poll to memory to come", to_come, FW_EFAULT);
	try_poll("poll for 65", (uint64_t)events, FW_EVENTS_MAX + 1, FW_EINVAL);
	try_poll("poll for 2^32 - 1", (uint64_t)events, UINT32_MAX, FW_EINVAL);
	try_poll("poll to outside RAM", FAR, 1, FW_EFAULT);
	try_poll("poll to over 2^64", UINT64_MAX - 7, 1, FW_EFAULT);
	try_poll("poll to the local APIC", LAPIC_BASE, 1, FW_EFAULT);
	expect("poll", poll((uint64_t)events, FW_EVENTS_MAX, &count, &waiting), FW_OK);
	newest = events[0].seq + count - 1;
	for (uint32_t i = 0; i < count; i++)
		if (events[i].seq != events[0].seq + i || events[i].type != FW_EVENT_MEMORY_ADDED)
			con_printf("stub: error: event %u is number %lu of type %u\n", i, events[i].seq,
				events[i].type);
	if (!count || count != waiting)
		con_printf("stub: error: %u of %u events\n", count, waiting);
	try_ack("acknowledgement of the future", newest + FW_EVENTS_MAX, FW_EINVAL);
	try_ack("acknowledgement of 2^64 - 1", UINT64_MAX, FW_EINVAL);
	try_ack("acknowledgement of the past", events[0].seq - 1, FW_OK);
	poll((uint64_t)events, FW_EVENTS_MAX, &again, &waiting);
	if (again < count)
		con_printf("stub: error: %u events after %u\n", again, count);
	try_short_blocks();
}

void lie_events(const struct config *config)
{
	uint64_t end = tsc_after_ms(LIMIT_MS);

	(void)config;
	con_printf("stub: lie events: wrong polls and acknowledgements, none right; memory to come\n");
	if (!(machine.features & FW_FEATURE_MEMORY_GROWS))
		con_printf("stub: lie events: not here, memory does not grow\n");
	else {
		if (!try_memory_to_come())
			con_printf("stub: lie events: all memory was there\n");
		report_ready(); /* whoever holds memory back may go on */
		if (!await_event(end))
			con_printf("stub: error: no event\n");
		try_events();
		while (memory_now() < machine.memory_max && read_tsc() < end)
			sleep_ms(1);
		con_printf("stub: lie events: memory %lu MiB in the end\n", memory_now() >> MIB_SHIFT);
	}
	con_printf("stub: lie events done\n");
	con_flush();
	panic("lie");
}
