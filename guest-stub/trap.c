/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/trap.c - ring 0: exceptions, interrupts and the int3 gate.
 *
 * Owns what must be privileged and nothing else: this file is compiled for the general registers alone and is
 * slow on hosts that emulate ring 0, so whatever can be done in ring 3 is done there.  Knows nothing of the
 * console or of memory management.  An exception is not handled here: the frame is saved into struct cpu and
 * made to return into crash_entry() in ring 3.
 */
#include "guest-stub/crash.h"
#include "guest-stub/trap.h"

extern const char no_idt_pointer[];

static struct cpu *this_cpu(const struct trap_frame *frame)
{
	return (struct cpu *)((uint64_t)frame & ~((uint64_t)CPU_BYTES - 1));
}

static uint64_t read_cr(uint64_t number)
{
	uint64_t value = 0;

	if (number == 0)
		__asm__ volatile("movq %%cr0, %0" : "=r"(value));
	else if (number == 2)
		__asm__ volatile("movq %%cr2, %0" : "=r"(value));
	else if (number == 3)
		__asm__ volatile("movq %%cr3, %0" : "=r"(value));
	else if (number == 4)
		__asm__ volatile("movq %%cr4, %0" : "=r"(value));
	return value;
}

static uint64_t read_msr(uint32_t number)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
	return (uint64_t)high << 32 | low;
}

static void write_msr(uint32_t number, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(number)
			 : "memory");
}

/* Linux, Documentation/virt/kvm/x86/cpuid.rst and msr.rst */
#define CPUID_KVM_SIGNATURE 0x40000000
#define CPUID_KVM_FEATURES 0x40000001
#define KVM_SIGNATURE_EBX 0x4b4d564b /* "KVMK" */
#define KVM_FEATURE_CLOCKSOURCE2 0x8
#define MSR_KVM_WALL_CLOCK 0x4b564d00
#define MSR_KVM_SYSTEM_TIME 0x4b564d01

static void cpuid(uint32_t leaf, uint32_t *ret_eax, uint32_t *ret_ebx)
{
	uint32_t ecx = 0, edx;

	__asm__ volatile("cpuid" : "=a"(*ret_eax), "=b"(*ret_ebx), "+c"(ecx), "=d"(edx) : "0"(leaf));
}

/* In ring 0 also because there cpuid is what the VMM set, on any host. */
static bool start_kvm_clock(uint64_t addr)
{
	uint32_t eax, ebx;

	cpuid(CPUID_KVM_SIGNATURE, &eax, &ebx);
	if (ebx != KVM_SIGNATURE_EBX || eax < CPUID_KVM_FEATURES)
		return false;
	cpuid(CPUID_KVM_FEATURES, &eax, &ebx);
	if (!(eax & KVM_FEATURE_CLOCKSOURCE2))
		return false;
	write_msr(MSR_KVM_WALL_CLOCK, addr);
	write_msr(MSR_KVM_SYSTEM_TIME, (addr + KVM_CLOCK_SYSTEM) | 1);
	return true;
}

static void save_regs(struct cpu *cpu, const struct trap_frame *f, uint32_t vector)
{
	cpu->regs = (struct fw_regs){
		.cpu = cpu->id,
		.vector = vector,
		.error = f->error,
		.rax = f->rax,
		.rbx = f->rbx,
		.rcx = f->rcx,
		.rdx = f->rdx,
		.rsi = f->rsi,
		.rdi = f->rdi,
		.rbp = f->rbp,
		.rsp = f->rsp,
		.r8 = f->r8,
		.r9 = f->r9,
		.r10 = f->r10,
		.r11 = f->r11,
		.r12 = f->r12,
		.r13 = f->r13,
		.r14 = f->r14,
		.r15 = f->r15,
		.rip = f->rip,
		.rflags = f->rflags,
		.cs = f->cs,
		.ss = f->ss,
		.cr2 = read_cr(2),
		.cr3 = read_cr(3),
	};
	cpu->regs_valid = 1;
}

/* Makes @f return to @target(@cpu) in ring 3 on the stack that only the crash path uses. */
static void return_to(struct trap_frame *f, void (*target)(struct cpu *), struct cpu *cpu, uint64_t rflags)
{
	f->rip = (uint64_t)target;
	f->rdi = (uint64_t)cpu;
	f->rsp = (uint64_t)cpu + CPU_CRASH_TOP - 8;
	f->rflags = rflags;
	f->cs = SEL_USER_CODE;
	f->ss = SEL_USER_DATA;
}

static void crash(struct cpu *cpu, struct trap_frame *f, uint32_t vector)
{
	uint32_t before = cpu->faults++;

	if (before > 1)
		__asm__ volatile("lidt %0; ud2" : : "m"(*no_idt_pointer)); /* nothing works: triple fault */
	if (before == 1) {
		return_to(f, crash_again, cpu, RFLAGS_USER);
		return;
	}
	save_regs(cpu, f, vector);
	return_to(f, crash_entry, cpu, RFLAGS_USER);
}

static void park(struct cpu *cpu, struct trap_frame *f)
{
	if (!cpu->regs_valid) /* not set by a fault of its own that came second */
		save_regs(cpu, f, NO_VECTOR);
	return_to(f, crash_park, cpu, RFLAGS_PARKED);
}

/* The gate was not used with an operation it knows: then int3 is an exception like any other. */
static void gate_handler(struct cpu *cpu, struct trap_frame *f)
{
	const uint32_t *flag;

	switch (f->rax) {
	case GATE_WAIT:
		flag = (const uint32_t *)f->rdi;
		/* interrupts are off from the test until hlt has begun: no wake-up is lost */
		if (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == (uint32_t)f->rsi)
			__asm__ volatile("sti; hlt; cli" : : : "memory");
		break;
	case GATE_PANIC:
		cpu->panic_string = (const char *)f->rdi;
		crash(cpu, f, NO_VECTOR);
		break;
	case GATE_NO_IDT:
		__asm__ volatile("lidt %0" : : "m"(*no_idt_pointer));
		break;
	case GATE_READ_CR:
		f->rax = read_cr(f->rdi);
		break;
	case GATE_READ_MSR:
		f->rax = read_msr((uint32_t)f->rdi);
		break;
	case GATE_WRITE_MSR:
		write_msr((uint32_t)f->rdi, f->rsi);
		break;
	case GATE_KVM_CLOCK:
		f->rax = start_kvm_clock(f->rdi);
		break;
	case GATE_PARK:
		park(cpu, f);
		break;
	default:
		crash(cpu, f, VECTOR_BREAKPOINT);
	}
}

void trap_handler(struct trap_frame *f)
{
	struct cpu *cpu = this_cpu(f);

	switch (f->vector) {
	case VECTOR_BREAKPOINT:
		gate_handler(cpu, f);
		break;
	case VECTOR_TIMER:
		cpu->timer_ticks++;
		lapic_write(LAPIC_EOI, 0);
		break;
	case VECTOR_EVENTS:
		cpu->event_interrupts++;
		lapic_write(LAPIC_EOI, 0);
		break;
	case VECTOR_WAKE:
		lapic_write(LAPIC_EOI, 0);
		break;
	case VECTOR_STOP:
		lapic_write(LAPIC_EOI, 0);
		park(cpu, f);
		break;
	case VECTOR_SPURIOUS:
		break;
	default:
		crash(cpu, f, (uint32_t)f->vector);
	}
}
