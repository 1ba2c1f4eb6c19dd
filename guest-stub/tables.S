/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/tables.S - descriptor tables and page tables, made by the assembler: no instruction spent on them.
 *
 * The static page tables map guest-physical 4 KiB .. 1 GiB one to one, for user and kernel; the second to
 * fourth GiB are filled in by paging_init() (paging.c), from ring 3.
 *
 *      boot_pml4[0] -> boot_pdpt[0..3] -> boot_pd  [0]      -> boot_pt: 4 KiB pages, page 0 absent
 *                                                  [1..511]    2 MiB pages
 *                                         low_pds  [0..2]      GiB 1, 2, 3: in bss, empty
 *                             [511]    -> alias_pd [0]         LOW_ALIAS: the first 2 MiB, page 0 included
 */
#include "guest-stub/layout.h"

#define PTE_USER 0x07     /* present, writable, user (Intel SDM vol. 3A 4.5) */
#define PTE_USER_2M 0x87  /* the same, page size 2 MiB */

	.section .data.tables, "aw"
	.balign 4096
	.globl	boot_pml4
boot_pml4:
	.quad	boot_pdpt + PTE_USER
	.fill	511, 8, 0

	.globl	boot_pdpt
boot_pdpt:
	.quad	boot_pd + PTE_USER
	.quad	low_pds + PTE_USER
	.quad	low_pds + 0x1000 + PTE_USER
	.quad	low_pds + 0x2000 + PTE_USER
	.fill	507, 8, 0
	.quad	alias_pd + PTE_USER

alias_pd:
	.quad	PTE_USER_2M
	.fill	511, 8, 0

boot_pd:
	.quad	boot_pt + PTE_USER
	.set	n, 1
	.rept	511
	.quad	n * 0x200000 + PTE_USER_2M
	.set	n, n + 1
	.endr

boot_pt:
	.quad	0
	.set	n, 1
	.rept	511
	.quad	n * 0x1000 + PTE_USER
	.set	n, n + 1
	.endr

/* One gate per vector: 64-bit interrupt gates, DPL 0 but for int3 (Intel SDM vol. 3A, figure 6-8). */
	.balign 16
idt:
	.set	n, 0
	.rept	NR_VECTORS
	.word	vectors_low + n * VECTOR_BYTES
	.word	SEL_CODE64
	.byte	0
	.if	n == VECTOR_BREAKPOINT
	.byte	0xee
	.else
	.byte	0x8e
	.endif
	.word	vectors_high
	.long	0, 0
	.set	n, n + 1
	.endr

/* Segments; the TSS descriptors of the APs are written by smp.c. */
	.balign 16
	.globl	gdt
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* SEL_CODE32 */
	.quad	0x00af9b000000ffff	/* SEL_CODE64 */
	.quad	0x00cf93000000ffff	/* SEL_DATA */
	.quad	0
	.quad	0x00cff3000000ffff	/* SEL_USER_DATA */
	.quad	0x00affb000000ffff	/* SEL_USER_CODE */
	.quad	0
	.word	TSS_BYTES - 1, bsp_tss_low
	.byte	bsp_tss_mid, 0x89, 0, bsp_tss_high
	.quad	0
	.fill	2 * (MAX_CPUS - 1), 8, 0

	.balign 8
	.globl	gdt_pointer, idt_pointer, no_idt_pointer
gdt_pointer:
	.word	GDT_BYTES - 1
	.quad	gdt
idt_pointer:
	.word	16 * NR_VECTORS - 1
	.quad	idt
no_idt_pointer:
	.word	0
	.quad	0

	.section .bss
	.balign 4096
	.globl	low_pds
low_pds:
	.skip	3 * 4096

/* struct cpu of the boot CPU; aligned like all of them, so that ring 0 finds it from its stack pointer */
	.section .bss.cpu, "aw", @nobits
	.balign CPU_BYTES
	.globl	bsp_cpu
bsp_cpu:
	.skip	CPU_BYTES

	.section .note.GNU-stack, "", @progbits
