/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/smp.h - starting the other CPUs, giving them work, stopping them; waiting for time to pass.
 *
 * Owns cpu_table.  smp_start() and smp_run() are for the boot CPU.  Idle CPUs are halted.
 */
#ifndef GUEST_STUB_SMP_H
#define GUEST_STUB_SMP_H

#include "guest-stub/cpu.h"

/* Indexed by APIC id; null: not started.  Read by ap_entry64 (entry.S). */
extern struct cpu *cpu_table[MAX_CPUS];

/* smp_start - start CPUs 1 .. @cpus - 1.  Does not wait for them: they come up while the boot CPU goes on. */
void smp_start(uint32_t cpus);

/*
 * smp_run - @job(@arg) once on every CPU, this one included; returns when all have finished.
 * Waits for CPUs that are still starting, within bounds; those that never come are reported and forgotten.
 */
void smp_run(void (*job)(struct cpu *cpu, void *arg), void *arg);

/* smp_stop_others - sends the stop IPI (trap.c) to all CPUs but the caller's, if there are any. */
void smp_stop_others(void);

/* tsc_after_ms - the TSC @ms from now; with an unknown frequency at least that (3 GHz is assumed). */
uint64_t tsc_after_ms(uint64_t ms);

/* lapic_enable - lets interrupts of other devices in; smp_start() and sleep_ms() do that themselves. */
void lapic_enable(void);

/* timer_start - one timer interrupt (VECTOR_TIMER) in @ms milliseconds, or in TIMER_SHOT_MS if that is sooner. */
void timer_start(uint64_t ms);

/* sleep_ms - halts the boot CPU for @ms milliseconds. */
void sleep_ms(uint64_t ms);

/* In ring 3 from ap_entry64. */
_Noreturn void ap_main(struct cpu *cpu);

#endif /* GUEST_STUB_SMP_H */
