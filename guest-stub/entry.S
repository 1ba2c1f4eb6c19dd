/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/entry.S - from the PVH entry, and from the APs' startup vector, to C in ring 3.
 *
 * Owns the ELF note that makes the image bootable, and everything that runs before stub_main().  It must
 * stay short: on some hosts an instruction in ring 0 costs half a microsecond (docs/guest-stub.md), so all
 * tables are made by the assembler (tables.S) and everything that can wait is done in ring 3.
 */
#include "guest-stub/layout.h"

/* xen/include/public/elfnote.h: the 32-bit physical entry point */
#define XEN_ELFNOTE_PHYS32_ENTRY 18

	.section .notes, "a", @note
	.balign 4
	.long 4, 4, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.long pvh_entry

/* Flat 32-bit protected mode, paging off  ->  64-bit code at \target.  Clobbers eax, ecx, edx. */
.macro ENTER_LONG_MODE target
	movl	$CR4_BITS, %eax
	movl	%eax, %cr4
	movl	$boot_pml4, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	movl	$EFER_LME, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$CR0_BITS, %eax
	movl	%eax, %cr0
	ljmpl	$SEL_CODE64, $\target
.endm

	.section .text.entry, "ax"
	.code32

/* PVH: 32-bit protected mode, flat segments, ebx = hvm_start_info (xen/include/public/arch-x86/hvm). */
	.globl	pvh_entry
pvh_entry:
	movb	$1, %al			/* the VMM takes the time of the first instruction here */
	outb	%al, $PORT_POST
	movb	$0xff, %al		/* mask both 8259s: under QEMU the firmware left them running */
	outb	%al, $0x21
	outb	%al, $0xa1
	lgdt	gdt_pointer
	movl	$bsp_cpu + CPU_KSTACK_TOP, bsp_cpu + CPU_TSS + TSS_RSP0
	movw	$TSS_IOMAP, bsp_cpu + CPU_TSS + TSS_IOMAP_BASE
	movl	%ebx, %edi
	ENTER_LONG_MODE entry64

	.code64
entry64:
	lidt	idt_pointer
	movl	$SEL_TSS, %eax
	ltr	%ax
	movl	$SEL_DATA, %eax
	movl	%eax, %ss
	movl	$bsp_cpu + CPU_KSTACK_TOP, %esp
	movl	%edi, %edi		/* first argument: where the start info is */
	pushq	$SEL_USER_DATA
	pushq	$bsp_cpu + CPU_STACK_TOP - 8
	pushq	$RFLAGS_USER
	pushq	$SEL_USER_CODE
	pushq	$stub_main
	iretq

/* An AP in 32-bit protected mode, come from ap_real_mode. */
	.code32
ap_entry32:
	movl	$SEL_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %ss
	ENTER_LONG_MODE ap_entry64

	.code64
ap_entry64:
	lidt	idt_pointer
	movl	$LAPIC_BASE + LAPIC_ID, %eax
	movl	(%rax), %eax
	shrl	$24, %eax
	movq	cpu_table(, %rax, 8), %rdi	/* first argument: its struct cpu */
	testq	%rdi, %rdi
	jz	ap_late
	shll	$4, %eax
	addl	$SEL_TSS, %eax
	ltr	%ax
	leaq	CPU_KSTACK_TOP(%rdi), %rsp
	leaq	CPU_STACK_TOP - 8(%rdi), %rax
	pushq	$SEL_USER_DATA
	pushq	%rax
	pushq	$RFLAGS_USER
	pushq	$SEL_USER_CODE
	pushq	$ap_main
	iretq

ap_late:				/* smp.c waits no more for this one */
	hlt				/* interrupts are off */
	jmp	ap_late

/* Copied to AP_PAGE; a startup IPI starts an AP there in real mode with cs = AP_PAGE / 16. */
	.section .rodata.ap, "a"
	.code16
	.globl	ap_real_mode, ap_real_mode_end
ap_real_mode:
	cli
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	ap_gdt_pointer - ap_real_mode
	movl	$0x11, %eax		/* ET PE */
	movl	%eax, %cr0
	ljmpl	$SEL_CODE32, $ap_entry32
	.balign 4
ap_gdt_pointer:
	.word	GDT_BYTES - 1
	.long	gdt
ap_real_mode_end:

	.section .note.GNU-stack, "", @progbits
