/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/trap.h - what the entry code hands to the ring 0 handler.
 */
#ifndef GUEST_STUB_TRAP_H
#define GUEST_STUB_TRAP_H

#include "guest-stub/cpu.h"

/* In the order of trap_entry.S, lowest address first; the last five are the CPU's own. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* fw_regs.vector of a CPU that had no exception */
#define NO_VECTOR 0xffffffffu

/*
 * trap_handler - everything that enters ring 0, interrupts off, on the ring 0 stack of its CPU.
 * @frame may be changed: the CPU continues where it says.
 */
void trap_handler(struct trap_frame *frame);

#endif /* GUEST_STUB_TRAP_H */
