/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/events.c - see events.h.
 */
#include "guest-stub/events.h"
#include "guest-stub/machine.h"
#include "guest-stub/mem.h"
#include "guest-stub/smp.h"

/* IOAPIC (Intel 82093AA data sheet, 3.0) */
#define IOREGSEL 0x00
#define IOWIN 0x10
#define IOREDTBL(n) (0x10 + 2 * (n))
#define IOAPIC_INPUTS 24

/* our choice: fewer than may wait, so that tests see more than one poll */
#define EVENTS_AT_ONCE 8
#define MIB_SHIFT 20

static bool taking; /* events, since events_init() */

static void ioapic_write(uint32_t reg, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(reg), "r"((uint64_t)IOAPIC_BASE + IOREGSEL) : "memory");
	__asm__ volatile("movl %0, (%1)" : : "r"(value), "r"((uint64_t)IOAPIC_BASE + IOWIN) : "memory");
}

uint32_t events_interrupts(void)
{
	return __atomic_load_n(&bsp_cpu.event_interrupts, __ATOMIC_ACQUIRE); /* trap.c */
}

static void ack(uint64_t seq)
{
	static struct fw_events_ack block __attribute__((aligned(FW_BLOCK_ALIGN)));
	int32_t status;

	block.seq = seq;
	status = fw_call(&block, FW_EVENTS_ACK, sizeof(block));
	if (status != FW_OK)
		con_printf("stub: error: event %lu cannot be acknowledged: %d\n", seq, status);
}

static void handle(const struct fw_event *event)
{
	struct run run = {event->data[0] >> PAGE_SHIFT, event->data[1] >> PAGE_SHIFT};

	if (event->type != FW_EVENT_MEMORY_ADDED)
		return;
	if (mem_add(run))
		con_printf("stub: memory added pfn=%lu-%lu\n", run.first, run.first + run.count - 1);
	else
		con_printf("stub: error: memory added pfn=%lu-%lu: no use for it\n", run.first,
			run.first + run.count - 1);
}

bool events_take(void)
{
	static struct fw_events_poll block __attribute__((aligned(FW_BLOCK_ALIGN)));
	static struct fw_event events[EVENTS_AT_ONCE];
	bool any = false;

	if (!taking)
		return false;
	do {
		block.buf = (fw_gpa_t)events;
		block.max = EVENTS_AT_ONCE;
		if (fw_call(&block, FW_EVENTS_POLL, sizeof(block)) != FW_OK || !block.count)
			return any;
		for (uint32_t i = 0; i < block.count; i++)
			handle(&events[i]);
		ack(events[block.count - 1].seq);
		any = true;
	} while (block.waiting > block.count);
	return true;
}

void events_init(void)
{
	if (!(machine.features & FW_FEATURE_MEMORY_GROWS))
		return;
	if (machine.events_gsi && machine.events_gsi < IOAPIC_INPUTS) {
		lapic_enable();
		ioapic_write(IOREDTBL(machine.events_gsi) + 1, 0); /* to the boot CPU, whose APIC id is 0 */
		ioapic_write(
			IOREDTBL(machine.events_gsi), VECTOR_EVENTS); /* edge, active high, not masked */
	}
	taking = true;
	events_take(); /* an edge before this moment is lost */
}

/* RAM in MiB; the memory map keeps a part of the first one to itself. */
static uint64_t ram_mib(void)
{
	const uint64_t pages_per_mib = 1 << (MIB_SHIFT - PAGE_SHIFT);

	return (start.ram_pages + pages_per_mib - 1) / pages_per_mib;
}

bool events_await_memory(uint64_t heartbeat_ms)
{
	while (taking && start.ram[start.nr_ram - 1].end << PAGE_SHIFT < machine.memory_end) {
		uint32_t seen = events_interrupts();

		if (events_take())
			return true;
		if (heartbeat_ms) {
			heartbeat(start.ram_pages);
			timer_start(heartbeat_ms);
		}
		gate(GATE_WAIT, (uint64_t)&bsp_cpu.event_interrupts, seen);
	}
	return false;
}

void events_await_total(uint64_t mib, uint64_t heartbeat_ms)
{
	while (ram_mib() < mib && events_await_memory(heartbeat_ms))
		;
}

void idle_forever(uint64_t heartbeat_ms)
{
	for (uint64_t n = 1;; n++) {
		uint32_t seen = events_interrupts();

		if (events_take())
			con_flush();
		if (heartbeat_ms) {
			heartbeat(n);
			sleep_ms(heartbeat_ms);
		} else {
			gate(GATE_WAIT, (uint64_t)&bsp_cpu.event_interrupts, seen);
		}
	}
}
