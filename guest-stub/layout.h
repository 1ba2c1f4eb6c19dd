/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/layout.h - the numbers that C, assembly and the linker script of the stub agree on.
 *
 * Owns every fixed address, selector, vector and offset.  Plain numbers only, readable by the assembler.
 */
#ifndef GUEST_STUB_LAYOUT_H
#define GUEST_STUB_LAYOUT_H

/* Selectors: the layout that Linux has, so that debuggers guess right. */
#define SEL_CODE32 0x08
#define SEL_CODE64 0x10
#define SEL_DATA 0x18
#define SEL_USER_DATA 0x2b
#define SEL_USER_CODE 0x33
#define SEL_TSS 0x40 /* of the boot CPU; CPU n has SEL_TSS + n * 16 */

/* our choice: as many as FW_PANIC takes register areas (firmware/abi.h, FW_PANIC_REGS_MAX) */
#define MAX_CPUS 64
#define GDT_BYTES (SEL_TSS + 16 * MAX_CPUS)

/* Control registers (Intel SDM vol. 3A 2.5): 64-bit paging, SSE on, alignment and caching as after reset */
#define CR0_BITS 0x80010033 /* PG WP NE ET MP PE */
#define CR4_BITS 0x00000620 /* OSXMMEXCPT OSFXSR PAE */
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100

/* Flags of ring 3 code: interrupts on; and of a parked CPU: off, so that nothing takes it out of its loop */
#define RFLAGS_USER 0x202
#define RFLAGS_PARKED 0x002

/* Interrupt vectors.  The spurious one ends in 0xf, as old local APICs demand. */
#define VECTOR_BREAKPOINT 3
#define VECTOR_PAGE_FAULT 14
#define VECTOR_TIMER 0x20
#define VECTOR_WAKE 0x21
#define VECTOR_STOP 0x22
#define VECTOR_EVENTS 0x23
#define VECTOR_SPURIOUS 0x2f
#define NR_VECTORS 0x30
#define VECTOR_BYTES 16 /* of code per vector in trap_entry.S */

/* Local APIC registers (Intel SDM vol. 3A, table 10-1) */
#define LAPIC_BASE 0xfee00000
#define IOAPIC_BASE 0xfec00000 /* where every PC has the first one */
#define LAPIC_ID 0x020
#define LAPIC_EOI 0x0b0
#define LAPIC_SVR 0x0f0
#define LAPIC_ICR_LOW 0x300
#define LAPIC_ICR_HIGH 0x310
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_TIMER_COUNT 0x380
#define LAPIC_TIMER_DIVIDE 0x3e0

/* Where the APs start in real mode: a page of conventional memory that no boot protocol uses */
#define AP_PAGE 0x8000

/*
 * Without firmware calls nobody tells a guest that it replaces one that crashed.  A reset keeps RAM, so a stub that
 * panics there leaves a word for the next one: just below its image, where no firmware works (SeaBIOS clears
 * conventional memory).
 */
#define CRASH_MARK_AT 0x1ff000
#define CRASH_MARK 0x64656873617263 /* "crashed", our choice */

/* struct cpu (cpu.h asserts these): one aligned block per CPU, found from any ring 0 stack pointer */
#define CPU_BYTES 0x8000
#define CPU_PARK 0x000      /* 16 registers: rax rbx rcx rdx rsi rdi rbp rsp r8..r15 */
#define CPU_PARKED 0x080    /* u32 */
#define CPU_PARK_NEXT 0x088 /* u64: address where a parked CPU goes on */
#define CPU_TSS 0x1000      /* stub.lds knows this number too */
#define CPU_KSTACK_TOP 0x4000
#define CPU_CRASH_TOP 0x6000
#define CPU_STACK_TOP 0x8000
#define TSS_RSP0 4 /* Intel SDM vol. 3A, figure 8-11 */
#define TSS_IOMAP_BASE 102
#define TSS_IOMAP 104
#define TSS_BYTES (TSS_IOMAP + 8192 + 1)

/* Operations of the int3 gate, in rax (trap.c) */
#define GATE_WAIT 1    /* rdi: address of a u32, rsi: value; halt until an interrupt while they are equal */
#define GATE_PANIC 2   /* rdi: message; does not return */
#define GATE_NO_IDT 3  /* load an empty IDT: the next exception is a triple fault */
#define GATE_READ_CR 4 /* rdi: 0, 2, 3 or 4; the register comes back in rax */
#define GATE_READ_MSR 5  /* rdi: number */
#define GATE_WRITE_MSR 6 /* rdi: number, rsi: value */
#define GATE_KVM_CLOCK 8 /* rdi: struct kvm_clock; let KVM write it; rax = 0 if there is no such clock */
#define GATE_PARK 7      /* to crash_park(), interrupts off; does not return */

#define KVM_CLOCK_SYSTEM 16 /* offset in struct kvm_clock */

/* Where QEMU has what a machine without firmware calls needs */
#define PORT_POST 0x80
#define PORT_UART 0x3f8
#define PORT_PVPANIC 0x505
#define PORT_ACPI_PM1 0x604
#define PORT_RESET 0xcf9

/* The first 2 MiB a second time (tables.S), because page 0 is absent at its own address */
#define LOW_ALIAS 0x7fc0000000

/* Where the pages that select= names are mapped once more (select.c); Linux has its direct map there */
#define SELECT_ALIAS 0xffff888000000000

#define PAGE_SHIFT 12
#define PAGE_BYTES 4096
#define PAGES_PER_BLOCK 512 /* pages of one 2 MiB mapping, and of one dump chunk */

#endif /* GUEST_STUB_LAYOUT_H */
