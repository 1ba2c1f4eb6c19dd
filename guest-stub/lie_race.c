/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/lie_race.c - see lie.h: one CPU changes what another one passes to the VMM, all the time.
 *
 * A VMM that reads anything twice, once to check and once to use, falls for it sooner or later.
 */
#include "guest-stub/config.h"
#include "guest-stub/crash.h"
#include "guest-stub/lie.h"
#include "guest-stub/machine.h"
#include "guest-stub/smp.h"

/* our choice: some 100 ms on the development machine */
#define CALLS 5000
/* our choice: descriptors that change; those of all frames would fill memory that was never used */
#define CHANGING_DESCS 65536
#define NR_TUPLES 16

static struct {
	struct fw_header h;
	uint64_t w[6];
} block __attribute__((aligned(FW_BLOCK_ALIGN)));

static struct fw_select tuples[NR_TUPLES];
static uint32_t over; /* 1 once the caller has finished */

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* Calls that a change of the number may turn into each other: none of them ends the VM. */
static uint16_t harmless(uint64_t random)
{
	static const uint16_t numbers[] = {FW_QUERY, FW_DUMP_OPEN, FW_DUMP_WRITE, FW_DUMP_CLOSE, FW_MEM_ADD,
		FW_MEM_REMOVE, FW_HEARTBEAT, FW_NR_CALLS};

	return numbers[random % ARRAY_LEN(numbers)];
}

static void change_block(uint64_t random)
{
	uint32_t *size = &block.h.size, *magic = &block.h.magic;

	__atomic_store_n(&block.h.call, harmless(random), __ATOMIC_RELAXED);
	__atomic_store_n(size, random & 256 ? 64 : (uint32_t)(random >> 32), __ATOMIC_RELAXED);
	__atomic_store_n(magic, random & 512 ? FW_MAGIC : (uint32_t)(random >> 20), __ATOMIC_RELAXED);
	store(&block.w[random >> 10 & 3], splitmix64(random) >> (random >> 16) % 64);
}

static void call_and_change(struct cpu *cpu, void *arg)
{
	uint64_t random = *(const uint64_t *)arg;

	if (cpu != &bsp_cpu) {
		while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
			change_block(random = splitmix64(random + cpu->id));
		return;
	}
	for (uint32_t n = 0; n < CALLS; n++) {
		int32_t status = fw_call(&block, harmless(n), 64);

		if (status != FW_PENDING && (status > FW_OK || status < FW_ENOSPC))
			con_printf("stub: error: call during a race: status %d\n", status);
	}
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
}

/* On one parked CPU: everything the panic call passes but the header, the CPU number and the flags. */
static void change_panic(struct cpu *cpu)
{
	struct fw_panic truth = *crash_plan.block, *panic_block = crash_plan.block;
	uint64_t *const fields[] = {&panic_block->string, &panic_block->regs, &panic_block->page_table,
		&panic_block->page_desc, &panic_block->nr_page_desc, &panic_block->select,
		&panic_block->nr_select, &panic_block->time_ns, &panic_block->tsc};
	const uint64_t truths[] = {truth.string, truth.regs, truth.page_table, truth.page_desc,
		truth.nr_page_desc, truth.select, truth.nr_select, truth.time_ns, truth.tsc};
	const uint64_t descs = truth.nr_page_desc < CHANGING_DESCS ? truth.nr_page_desc : CHANGING_DESCS;

	for (uint64_t random = cpu->id;;) {
		uint64_t i;

		random = splitmix64(random);
		i = random % ARRAY_LEN(fields);
		store(fields[i], random >> 32 & 1 ? truths[i] : splitmix64(random) >> (random >> 40) % 64);
		__atomic_store_n(&panic_block->string_len, (uint32_t)(random >> 8), __ATOMIC_RELAXED);
		__atomic_store_n(&panic_block->nr_regs, (uint32_t)(random >> 33), __ATOMIC_RELAXED);
		store(&tuples[random % NR_TUPLES].addr, random & ~(uint64_t)(PAGE_BYTES - 1));
		store(&tuples[random >> 8 & (NR_TUPLES - 1)].pages, random >> (random >> 56));
		mem.desc[(random >> 16) % descs].refcount ^= 1;
	}
}

void lie_race(const struct config *config)
{
	uint64_t seed = config->seed;

	con_printf("stub: lie race: blocks, lists and descriptors change during the calls\n");
	smp_run(call_and_change, &seed);
	crash_plan.claims.select = (fw_gpa_t)tuples;
	crash_plan.claims.nr_select = NR_TUPLES;
	crash_plan.beside = change_panic;
	con_printf("stub: lie race done\n");
	con_flush();
	panic("lie");
}
