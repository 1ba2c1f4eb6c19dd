/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/smp.c - see smp.h.
 */
#include "guest-stub/crash.h"
#include "guest-stub/machine.h"
#include "guest-stub/mem.h"
#include "guest-stub/smp.h"

/* Interrupt command register (Intel SDM vol. 3A, figure 10-12) */
#define ICR_INIT 0x4500
#define ICR_STARTUP 0x4600
#define ICR_OTHERS_FIXED 0xc4000
#define SVR_ENABLE 0x100
#define TIMER_DIVIDE_BY_1 0xb

/* our choice: the TSC frequency assumed when nobody tells it */
#define GUESSED_TSC_KHZ 3000000
/* our choice: hosts that are very busy have been seen to take tens of milliseconds */
#define AP_START_MS 500
/* KVM and QEMU both count the local APIC timer in nanoseconds (KVM: APIC_BUS_CYCLE_NS = 1) */
#define TIMER_TICKS_PER_MS 1000000
/* our choice: the timer has 32 bits, 4.29 s */
#define TIMER_SHOT_MS 4000

struct cpu *cpu_table[MAX_CPUS] = {&bsp_cpu};

extern uint64_t gdt[];
extern const char ap_real_mode[], ap_real_mode_end[];

static uint32_t nr_started = 1;
static void (*job)(struct cpu *cpu, void *arg);
static void *job_arg;

void lapic_enable(void)
{
	lapic_write(LAPIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
}

/* Intel SDM vol. 3A, figures 8-4 and 8-11: a TSS with an I/O bitmap of zeros, so that ring 3 may use all ports. */
static void make_tss(struct cpu *cpu)
{
	uint64_t base = (uint64_t)cpu + CPU_TSS;
	uint64_t *desc = &gdt[SEL_TSS / 8 + 2 * cpu->id];

	*(uint64_t *)(base + TSS_RSP0) = (uint64_t)cpu + CPU_KSTACK_TOP;
	*(uint16_t *)(base + TSS_IOMAP_BASE) = TSS_IOMAP;
	desc[0] = (TSS_BYTES - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
	desc[1] = base >> 32;
}

static bool start_ap(uint32_t id)
{
	const uint64_t pages = CPU_BYTES / PAGE_BYTES;
	struct run run = pages_alloc(pages, pages, FW_PAGE_RESERVED);
	struct cpu *cpu = (struct cpu *)(run.first << PAGE_SHIFT);

	/* ap_entry64 loads 32 bits of some addresses; with a first fit this is always so */
	if (run.count < pages || run.first + pages > 1 << 20)
		return false;
	__builtin_memset(cpu, 0, CPU_BYTES);
	cpu->id = id;
	make_tss(cpu);
	__atomic_store_n(&cpu_table[id], cpu, __ATOMIC_RELEASE);
	lapic_write(LAPIC_ICR_HIGH, id << 24);
	lapic_write(LAPIC_ICR_LOW, ICR_INIT);
	lapic_write(LAPIC_ICR_LOW, ICR_STARTUP | AP_PAGE >> PAGE_SHIFT);
	return true;
}

void smp_start(uint32_t cpus)
{
	if (cpus <= 1)
		return;
	if (start.ram[0].first > AP_PAGE >> PAGE_SHIFT || start.ram[0].end <= AP_PAGE >> PAGE_SHIFT) {
		con_printf("stub: no RAM at 0x%x to start other CPUs\n", AP_PAGE);
		return;
	}
	__builtin_memcpy((void *)AP_PAGE, ap_real_mode, (size_t)(ap_real_mode_end - ap_real_mode));
	lapic_enable();
	while (nr_started < cpus && start_ap(nr_started))
		nr_started++;
}

/* Bounded wait until every started CPU is in ring 3. */
static void wait_online(void)
{
	uint64_t end = tsc_after_ms(AP_START_MS);

	for (uint32_t id = 1; id < nr_started; id++) {
		struct cpu *cpu = cpu_table[id];

		while (!__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE) && read_tsc() < end)
			cpu_relax();
		if (!cpu->online) {
			con_printf("stub: cpu %u does not start\n", id);
			cpu_table[id] = NULL;
		}
	}
}

void ap_main(struct cpu *cpu)
{
	lapic_enable();
	__atomic_store_n(&cpu->online, 1, __ATOMIC_SEQ_CST); /* pairs with wait_online() */
	crash_join();
	if (cpu->id == 1)
		mem_mark_holes();
	for (;;) {
		uint32_t posted = __atomic_load_n(&cpu->work_posted, __ATOMIC_ACQUIRE); /* smp_run() */

		if (posted == cpu->work_done) {
			gate(GATE_WAIT, (uint64_t)&cpu->work_posted, posted);
			continue;
		}
		job(cpu, job_arg);
		__atomic_store_n(&cpu->work_done, posted, __ATOMIC_RELEASE); /* smp_run() */
	}
}

void smp_run(void (*new_job)(struct cpu *cpu, void *arg), void *arg)
{
	wait_online();
	job = new_job;
	job_arg = arg;
	for (uint32_t id = 1; id < nr_started; id++) {
		struct cpu *cpu = cpu_table[id];

		if (cpu)
			__atomic_add_fetch(&cpu->work_posted, 1, __ATOMIC_RELEASE); /* ap_main() */
	}
	if (nr_started > 1)
		lapic_write(LAPIC_ICR_LOW, ICR_OTHERS_FIXED | VECTOR_WAKE);
	job(&bsp_cpu, arg);
	for (uint32_t id = 1; id < nr_started; id++) {
		struct cpu *cpu = cpu_table[id];

		if (!cpu)
			continue;
		while (__atomic_load_n(&cpu->work_done, __ATOMIC_ACQUIRE) !=
			cpu->work_posted) /* ap_main() */
			cpu_relax();
	}
}

void smp_stop_others(void)
{
	if (nr_started > 1)
		lapic_write(LAPIC_ICR_LOW, ICR_OTHERS_FIXED | VECTOR_STOP);
}

uint64_t tsc_after_ms(uint64_t ms)
{
	return read_tsc() + ms * (machine.tsc_khz ? machine.tsc_khz : GUESSED_TSC_KHZ);
}

void timer_start(uint64_t ms)
{
	uint64_t shot = ms < TIMER_SHOT_MS ? ms : TIMER_SHOT_MS;

	lapic_enable();
	lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
	lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
	lapic_write(LAPIC_TIMER_COUNT, (uint32_t)shot * TIMER_TICKS_PER_MS);
}

void sleep_ms(uint64_t ms)
{
	while (ms) {
		uint32_t ticks = __atomic_load_n(&bsp_cpu.timer_ticks, __ATOMIC_RELAXED);
		uint64_t shot = ms < TIMER_SHOT_MS ? ms : TIMER_SHOT_MS;

		timer_start(shot);
		while (__atomic_load_n(&bsp_cpu.timer_ticks, __ATOMIC_RELAXED) == ticks)
			gate(GATE_WAIT, (uint64_t)&bsp_cpu.timer_ticks, ticks);
		ms -= shot;
	}
}
