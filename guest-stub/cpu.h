/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/cpu.h - the per-CPU area and the instructions that C has no word for.
 *
 * struct cpu is one aligned block holding the CPU's state, TSS and stacks.  Ring 0 finds its own by rounding
 * its stack pointer down; ring 3 passes the pointer on.  A field belongs to its CPU unless said otherwise.
 */
#ifndef GUEST_STUB_CPU_H
#define GUEST_STUB_CPU_H

#include "firmware/abi.h"
#include "guest-stub/layout.h"

#include <stdbool.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Indices into cpu.park; the order of cpu.park is that of park.S. */
enum park_index {
	PARK_RAX,
	PARK_RBX,
	PARK_RCX,
	PARK_RDX,
	PARK_RSI,
	PARK_RDI,
	PARK_RBP,
	PARK_RSP,
	PARK_NR = 16
};

struct cpu {
	uint64_t park[PARK_NR]; /* registers while parked; written by the CPU that crashed */
	uint32_t parked;        /* 1 once parked with these registers (park.S) */
	uint32_t id;            /* APIC id; set before the CPU starts */
	uint64_t park_next;     /* where it goes on when parked: to park again, or to work (park.S) */
	void (*crew_job)(struct cpu *cpu); /* what to do then (crew.c) */
	uint32_t online;                   /* 1 once in ring 3 (smp.c) */
	uint32_t timer_ticks;              /* timer interrupts so far (trap.c) */
	uint32_t event_interrupts;         /* of the VMM's events so far (trap.c) */
	uint32_t work_posted;              /* number of the job posted by the boot CPU (smp.c) */
	uint32_t work_done;                /* number of the last job finished */
	uint32_t faults;                   /* times it entered the crash path (trap.c) */
	uint32_t regs_valid;               /* 1 once @regs is complete */
	const char *panic_string;          /* argument of GATE_PANIC, or null when an exception led here */
	struct fw_regs regs;               /* where it was when it crashed or was stopped */
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct cpu, park) == CPU_PARK, "park.S");
_Static_assert(offsetof(struct cpu, parked) == CPU_PARKED, "park.S");
_Static_assert(offsetof(struct cpu, park_next) == CPU_PARK_NEXT, "park.S");
_Static_assert(sizeof(struct cpu) <= CPU_TSS, "the TSS follows");
_Static_assert(CPU_TSS + TSS_BYTES <= CPU_KSTACK_TOP - 1024, "the ring 0 stack follows");

extern struct cpu bsp_cpu;

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* Looks before it takes, so that those who wait do not fight for the line. */
static inline void spin_lock(uint32_t *lock)
{
	while (__atomic_load_n(lock, __ATOMIC_RELAXED) || __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
		cpu_relax();
}

static inline bool spin_trylock(uint32_t *lock)
{
	return !__atomic_load_n(lock, __ATOMIC_RELAXED) && !__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE);
}

static inline void spin_unlock(uint32_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

static inline void lapic_write(uint32_t reg, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(value), "r"((uint64_t)LAPIC_BASE + reg) : "memory");
}

/*
 * gate - from ring 3 into ring 0: operation @op (GATE_*) with up to two arguments.
 * Returns what the operation returns in rax.
 */
static inline uint64_t gate(uint64_t op, uint64_t arg1, uint64_t arg2)
{
	__asm__ volatile("int3" : "+a"(op) : "D"(arg1), "S"(arg2) : "memory");
	return op;
}

#endif /* GUEST_STUB_CPU_H */
