/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/park.S - the last instructions of a crashed guest, with every general register known.
 *
 * crash.c prints the register values before it comes here; tests compare them with the dump's NT_PRSTATUS.
 * Both routines load all 16 registers from struct cpu.park and change none of them afterwards.  A parked CPU can be
 * called away to help with the dump (crew.c); it comes back to the same values.
 */
#include "guest-stub/layout.h"

.macro LOAD_PARK_REGISTERS_BUT_RDI	/* from the struct cpu at rdi */
	movq	CPU_PARK + 0x00(%rdi), %rax
	movq	CPU_PARK + 0x08(%rdi), %rbx
	movq	CPU_PARK + 0x10(%rdi), %rcx
	movq	CPU_PARK + 0x18(%rdi), %rdx
	movq	CPU_PARK + 0x20(%rdi), %rsi
	movq	CPU_PARK + 0x30(%rdi), %rbp
	movq	CPU_PARK + 0x38(%rdi), %rsp
	movq	CPU_PARK + 0x40(%rdi), %r8
	movq	CPU_PARK + 0x48(%rdi), %r9
	movq	CPU_PARK + 0x50(%rdi), %r10
	movq	CPU_PARK + 0x58(%rdi), %r11
	movq	CPU_PARK + 0x60(%rdi), %r12
	movq	CPU_PARK + 0x68(%rdi), %r13
	movq	CPU_PARK + 0x70(%rdi), %r14
	movq	CPU_PARK + 0x78(%rdi), %r15
.endm

	.text
	.code64

/* void crash_out(struct cpu *cpu): park[rax] = what to write, park[rdx] = the port, park[rdi] = cpu. */
	.globl	crash_out, crash_out_first, crash_out_last
crash_out:
	LOAD_PARK_REGISTERS_BUT_RDI
crash_out_first:
	outl	%eax, %dx
crash_out_last:
	call	crash_refused		/* the VMM went on: it did not take the call */

/*
 * void crash_park(struct cpu *cpu): park[rdi] = cpu; says so in cpu->parked and stays until another CPU changes
 * cpu->park_next.  The loop changes neither a register nor a flag, so it cannot compare.
 */
	.globl	crash_park, crash_park_first, crash_park_loop, crash_park_last
crash_park:
	LOAD_PARK_REGISTERS_BUT_RDI
crash_park_first:
	movl	$1, CPU_PARKED(%rdi)
crash_park_loop:
	pause
crash_park_last:
	jmp	*CPU_PARK_NEXT(%rdi)

/* Where park_next leads for work: the job on the crash stack, then parked as before, flags included. */
	.globl	crash_work
crash_work:
	movq	$crash_park_loop, CPU_PARK_NEXT(%rdi)
	pushq	%rdi
	call	crew_work
	popq	%rdi
	pushq	$RFLAGS_PARKED
	popfq
	jmp	crash_park

/* void *memcpy(void *, const void *, size_t), memset: the compiler calls them, in ring 0 too. */
	.globl	memcpy, memset
memcpy:
	movq	%rdi, %rax
	movq	%rdx, %rcx
	rep movsb
	ret
memset:
	movq	%rdi, %r8
	movl	%esi, %eax
	movq	%rdx, %rcx
	rep stosb
	movq	%r8, %rax
	ret

	.section .note.GNU-stack, "", @progbits
