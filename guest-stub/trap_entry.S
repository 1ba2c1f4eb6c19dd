/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/trap_entry.S - where the CPU enters ring 0: one stub per vector, then one common path.
 *
 * Builds struct trap_frame (trap.h) on the ring 0 stack, calls trap_handler(), and returns to wherever the
 * frame says by then.
 */
#include "guest-stub/layout.h"

	.section .text.vectors, "ax"
	.balign 4096
	.globl	trap_vectors
trap_vectors:
	.set	n, 0
	.rept	NR_VECTORS
	.balign	VECTOR_BYTES
	/* these push an error code themselves (Intel SDM vol. 3A, table 6-1; 29 and 30: AMD APM vol. 2, 8.2) */
	.if	(n == 8) || ((n >= 10) && (n <= 14)) || (n == 17) || (n == 21) || (n == 29) || (n == 30)
	.else
	pushq	$0
	.endif
	pushq	$n
	jmp	trap_common
	.set	n, n + 1
	.endr

trap_common:
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	movq	%rsp, %rbx
	andq	$-16, %rsp
	call	trap_handler
	movq	%rbx, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp		/* vector and error code */
	iretq

	.section .note.GNU-stack, "", @progbits
