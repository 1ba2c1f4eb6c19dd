/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/crash.h - the crash path: from a fault to the panic call, in ring 3.
 *
 *      fault / GATE_PANIC -> trap.c saves the registers -> crash_entry(): stop IPI, wait for the others
 *      to park -> one console message -> FW_PANIC from crash_out(), all registers known
 *
 * If the VMM wants the guest to dump (fw_query.dump_mode), between message and FW_PANIC:
 *
 *      FW_PANIC_BEGIN -> dump_run() on all parked CPUs -> FW_PANIC_END from crash_out()
 */
#ifndef GUEST_STUB_CRASH_H
#define GUEST_STUB_CRASH_H

#include "guest-stub/cpu.h"

/* What is special about this guest's panic; set by scenarios and select.c before it happens. */
struct crash_plan {
	struct fw_panic claims;          /* fields that are not 0 replace what the panic call would say */
	void (*before_dump)(void);       /* after FW_PANIC_BEGIN, before the dump */
	void (*beside)(struct cpu *cpu); /* on one parked CPU from the first panic call on; never returns */
	struct fw_panic *block;          /* the call block, for @beside; set by crash.c */
};

extern struct crash_plan crash_plan;

/* panic - ends the guest with message @string, which must stay valid. */
static inline _Noreturn void panic(const char *string)
{
	gate(GATE_PANIC, (uint64_t)string, 0);
	__builtin_unreachable();
}

/* crash_early - the panic call with nothing but a message, before there is anything else to tell. */
_Noreturn void crash_early(const char *string);

/*
 * crash_join - for a CPU that has just become able to take the stop IPI: parks it if it came too late for that.
 * Otherwise returns.
 */
void crash_join(void);

/* Entered by iretq from trap.c only, in ring 3 on the crash stack of @cpu. */
void crash_entry(struct cpu *cpu);
/* A fault in the crash path itself: the panic call with a message alone. */
void crash_again(struct cpu *cpu);
/* The VMM let a panicked CPU go on: power off. */
void crash_refused(void);

/* park.S */
void crash_out(struct cpu *cpu);
void crash_park(struct cpu *cpu);

#endif /* GUEST_STUB_CRASH_H */
