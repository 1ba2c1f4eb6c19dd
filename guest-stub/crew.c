/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/crew.c - see crew.h.
 */
#include "guest-stub/crew.h"
#include "guest-stub/smp.h"

extern const char crash_work[];

static bool is_parked(const struct cpu *cpu)
{
	return cpu && __atomic_load_n(&cpu->parked, __ATOMIC_ACQUIRE); /* park.S */
}

static void give(struct cpu *cpu, void (*job)(struct cpu *cpu))
{
	cpu->crew_job = job;
	__atomic_store_n(&cpu->parked, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&cpu->park_next, (uint64_t)crash_work, __ATOMIC_RELEASE); /* crash_park, park.S */
}

void crew_work(struct cpu *cpu)
{
	cpu->crew_job(cpu);
}

uint32_t crew_size(void)
{
	uint32_t n = 1;

	for (uint32_t id = 0; id < MAX_CPUS; id++)
		n += is_parked(cpu_table[id]);
	return n;
}

/* Without a bound: a CPU that never comes back is for the VMM to notice (dump.guest_timeout). */
void crew_run(struct cpu *self, void (*job)(struct cpu *cpu))
{
	bool given[MAX_CPUS] = {false};

	for (uint32_t id = 0; id < MAX_CPUS; id++) {
		given[id] = is_parked(cpu_table[id]);
		if (given[id])
			give(cpu_table[id], job);
	}
	job(self);
	for (uint32_t id = 0; id < MAX_CPUS; id++)
		while (given[id] && !is_parked(cpu_table[id]))
			cpu_relax();
}

bool crew_send(void (*job)(struct cpu *cpu))
{
	for (uint32_t id = 0; id < MAX_CPUS; id++) {
		if (!is_parked(cpu_table[id]))
			continue;
		give(cpu_table[id], job);
		return true;
	}
	return false;
}
