/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/machine/vcpu_state.c - a vCPU's registers: the state it boots with, the state a dump keeps.
 */
#include "vmm/machine/vcpu.h"

#include "dump/base/log.h"
#include "vmm/memory/memmap.h"
#include "vmm/machine/vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* Intel SDM vol. 3A 2.2.1, 2.5, 3.4.5 */
#define CR0_PE 0x1ull
#define CR0_ET 0x10ull
#define CR0_PG 0x80000000ull
#define CR4_PAE 0x20ull
#define EFER_LME 0x100ull
#define EFER_LMA 0x400ull
#define RFLAGS_FIXED 0x2ull
#define SEGMENT_CODE 0xb  /* execute, read, accessed */
#define SEGMENT_DATA 0x3  /* read, write, accessed */
#define SEGMENT_TSS32 0xb /* busy */

/* Intel SDM vol. 3A 11.5.1: local vector table entries */
#define APIC_LVT0 0x350
#define APIC_LVT1 0x360
#define APIC_MODE_NMI 0x400u
#define APIC_MODE_EXTINT 0x700u

/* Intel SDM vol. 4 2.1 */
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_MISC_ENABLE 0x1a0u
#define MISC_ENABLE_FAST_STRINGS 0x1u
/* Intel SDM vol. 3A 12.11.2.1: without a default type Linux takes all memory for uncached, and gives up PAT */
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MTRR_ENABLE 0x800u
#define MTRR_WRITE_BACK 6u

/* ---- boot --------------------------------------------------------------------------------------- */

/* Flat segments: code at selector @code, data at @data, with a task register as the CPU insists on one. */
static void set_flat_segments(struct kvm_sregs *sregs, uint16_t code, uint16_t data, bool long_mode)
{
	struct kvm_segment flat = {.limit = UINT32_MAX, .present = 1, .db = 1, .s = 1, .g = 1};

	flat.type = SEGMENT_DATA;
	flat.selector = data;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = flat;
	flat.type = SEGMENT_CODE;
	flat.selector = code;
	flat.l = long_mode;
	flat.db = !long_mode;
	sregs->cs = flat;
	sregs->tr = (struct kvm_segment){
		.limit = 0x67, .type = SEGMENT_TSS32, .present = 1, .selector = 0x20};
}

/* PVH: 32-bit, paging off, interrupts off, ebx = start info (Xen docs/misc/pvh.pandoc). */
static void set_pvh(struct kvm_sregs *sregs)
{
	set_flat_segments(sregs, 0x08, 0x10, false);
	sregs->cr0 = CR0_PE | CR0_ET;
	sregs->cr3 = 0;
	sregs->cr4 = 0;
	sregs->efer = 0;
}

/* Linux: long mode on an identity map, interrupts off, rsi = boot_params (boot.rst, "64-bit Boot Protocol"). */
static void set_linux(struct kvm_sregs *sregs)
{
	set_flat_segments(sregs, 0x10, 0x18, true);
	sregs->gdt = (struct kvm_dtable){.base = BOOT_GDT_BASE, .limit = 4 * 8 - 1};
	sregs->cr0 = CR0_PE | CR0_ET | CR0_PG;
	sregs->cr3 = BOOT_PML4_BASE;
	sregs->cr4 = CR4_PAE;
	sregs->efer = EFER_LME | EFER_LMA;
}

static int set_boot_registers(struct vcpu *vcpu, const struct boot_entry *entry)
{
	struct kvm_regs regs = {
		.rip = entry->rip, .rbx = entry->rbx, .rsi = entry->rsi, .rflags = RFLAGS_FIXED};
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	if (entry->long_mode)
		set_linux(&sregs);
	else
		set_pvh(&sregs);
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

/* Virtual wire mode, as firmware leaves it: LINT0 takes the PIC's interrupts, LINT1 is NMI. */
static int set_boot_apic(struct vcpu *vcpu)
{
	struct kvm_lapic_state lapic;
	uint32_t lvt;

	if (ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic) < 0)
		return -errno;
	lvt = APIC_MODE_EXTINT;
	memcpy(lapic.regs + APIC_LVT0, &lvt, sizeof(lvt));
	lvt = APIC_MODE_NMI;
	memcpy(lapic.regs + APIC_LVT1, &lvt, sizeof(lvt));
	return ioctl(vcpu->fd, KVM_SET_LAPIC, &lapic) < 0 ? -errno : 0;
}

/* What firmware leaves in MSRs and Linux relies on.  A host that has not one of them refuses: no harm done. */
static void set_boot_msrs(struct vcpu *vcpu)
{
	static const struct kvm_msr_entry values[] = {
		{.index = MSR_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRINGS},
		{.index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE | MTRR_WRITE_BACK},
	};

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct {
			uint32_t nmsrs, pad; /* layout of struct kvm_msrs */
			struct kvm_msr_entry entry;
		} one = {.nmsrs = 1, .entry = values[i]};

		if (ioctl(vcpu->fd, KVM_SET_MSRS, &one) != 1)
			log_debug("vCPU %u: MSR 0x%x is not settable", vcpu->id, values[i].index);
	}
}

int vcpu_set_boot_state(struct vcpu *vcpu, const struct boot_entry *entry)
{
	int err;

	set_boot_msrs(vcpu);
	if (vcpu->id != 0)
		return 0; /* waits for INIT and SIPI, which set the rest */
	err = set_boot_registers(vcpu, entry);
	return err ? err : set_boot_apic(vcpu);
}

/* ---- dump --------------------------------------------------------------------------------------- */

/* Appends one section to cpu->raw; what does not fit is left out. */
static void add_raw(struct dump_cpu *cpu, enum dump_raw type, const void *data, size_t len)
{
	uint32_t header[2] = {(uint32_t)type, (uint32_t)len};
	size_t padded = (size_t)u64_align_up(sizeof(header) + len, 8);

	if (padded > sizeof(cpu->raw) - cpu->raw_len)
		return;
	memcpy(cpu->raw + cpu->raw_len, header, sizeof(header));
	memcpy(cpu->raw + cpu->raw_len + sizeof(header), data, len);
	cpu->raw_len += (uint32_t)padded;
}

/* Attribute bits as in the second word of a descriptor: what QEMU's note holds (Intel SDM vol. 3A 3.4.5). */
static struct dump_cpu_segment segment_of(const struct kvm_segment *s)
{
	uint32_t flags = (uint32_t)s->type << 8 | (uint32_t)s->s << 12 | (uint32_t)s->dpl << 13 |
			 (uint32_t)s->present << 15 | (uint32_t)s->avl << 20 | (uint32_t)s->l << 21 |
			 (uint32_t)s->db << 22 | (uint32_t)s->g << 23;

	return (struct dump_cpu_segment){
		.selector = s->selector, .limit = s->limit, .flags = flags, .base = s->base};
}

static struct dump_cpu_segment table_of(const struct kvm_dtable *t)
{
	return (struct dump_cpu_segment){.limit = t->limit, .base = t->base};
}

static void save_general(struct dump_cpu *cpu, const struct kvm_regs *r)
{
	cpu->rax = r->rax;
	cpu->rbx = r->rbx;
	cpu->rcx = r->rcx;
	cpu->rdx = r->rdx;
	cpu->rsi = r->rsi;
	cpu->rdi = r->rdi;
	cpu->rsp = r->rsp;
	cpu->rbp = r->rbp;
	cpu->r8 = r->r8;
	cpu->r9 = r->r9;
	cpu->r10 = r->r10;
	cpu->r11 = r->r11;
	cpu->r12 = r->r12;
	cpu->r13 = r->r13;
	cpu->r14 = r->r14;
	cpu->r15 = r->r15;
	cpu->rip = r->rip;
	cpu->rflags = r->rflags;
}

static void save_system(struct dump_cpu *cpu, const struct kvm_sregs *s)
{
	cpu->cs = segment_of(&s->cs);
	cpu->ds = segment_of(&s->ds);
	cpu->es = segment_of(&s->es);
	cpu->fs = segment_of(&s->fs);
	cpu->gs = segment_of(&s->gs);
	cpu->ss = segment_of(&s->ss);
	cpu->ldt = segment_of(&s->ldt);
	cpu->tr = segment_of(&s->tr);
	cpu->gdt = table_of(&s->gdt);
	cpu->idt = table_of(&s->idt);
	cpu->cr[0] = s->cr0;
	cpu->cr[2] = s->cr2;
	cpu->cr[3] = s->cr3;
	cpu->cr[4] = s->cr4;
}

/* KVM_GET_MSRS refuses 256 and more (E2BIG): MAX_IO_MSRS in arch/x86/kvm/x86.c */
#define MSRS_PER_CALL 255u

/* Reads the listed MSRs in few calls: KVM stops at one it does not know for this guest, we go on behind it. */
static void save_msrs(struct vcpu *vcpu, struct dump_cpu *cpu)
{
	const struct kvm *kvm = vcpu->vm->shared->kvm;
	struct {
		uint32_t nmsrs, pad; /* layout of struct kvm_msrs */
		struct kvm_msr_entry entries[KVM_MSRS_MAX];
	} batch;
	uint64_t pairs[2 * KVM_MSRS_MAX];
	uint32_t nr_pairs = 0, at = 0;

	while (at < kvm->nr_msrs) {
		int got;

		batch.nmsrs = (uint32_t)u64_min(kvm->nr_msrs - at, MSRS_PER_CALL);
		for (uint32_t i = 0; i < batch.nmsrs; i++)
			batch.entries[i].index = kvm->msrs[at + i];
		got = ioctl(vcpu->fd, KVM_GET_MSRS, &batch);
		for (int i = 0; i < got; i++) {
			pairs[2 * nr_pairs] = batch.entries[i].index;
			pairs[2 * nr_pairs + 1] = batch.entries[i].data;
			nr_pairs++;
			if (batch.entries[i].index == MSR_KERNEL_GS_BASE)
				cpu->kernel_gs_base = batch.entries[i].data;
		}
		at += (got > 0 ? (uint32_t)got : 0) + 1;
	}
	add_raw(cpu, DUMP_RAW_MSRS, pairs, 2 * nr_pairs * sizeof(pairs[0]));
}

static void save_xsave(struct vcpu *vcpu, struct dump_cpu *cpu)
{
	size_t size = vcpu->vm->shared->kvm->xsave_size;
	bool large = size > sizeof(struct kvm_xsave);
	void *xsave = calloc(1, size);

	if (xsave && !ioctl(vcpu->fd, large ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, xsave))
		add_raw(cpu, DUMP_RAW_XSAVE, xsave, size);
	free(xsave);
}

void vcpu_save(struct vcpu *vcpu, struct dump_cpu *cpu)
{
	struct kvm_mp_state mp = {0};
	struct kvm_vcpu_events events;
	struct kvm_debugregs debug;
	struct kvm_lapic_state lapic;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	memset(cpu, 0, sizeof(*cpu));
	cpu->apic_id = vcpu->id;
	if (!ioctl(vcpu->fd, KVM_GET_REGS, &regs) && !ioctl(vcpu->fd, KVM_GET_SREGS, &sregs)) {
		save_general(cpu, &regs);
		save_system(cpu, &sregs);
		add_raw(cpu, DUMP_RAW_REGS, &regs, sizeof(regs));
		add_raw(cpu, DUMP_RAW_SREGS, &sregs, sizeof(sregs));
		cpu->saved = 1;
	}
	if (!ioctl(vcpu->fd, KVM_GET_MP_STATE, &mp))
		add_raw(cpu, DUMP_RAW_MP_STATE, &mp.mp_state, sizeof(mp.mp_state));
	if (!ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events))
		add_raw(cpu, DUMP_RAW_EVENTS, &events, sizeof(events));
	if (!ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &debug))
		add_raw(cpu, DUMP_RAW_DEBUGREGS, &debug, sizeof(debug));
	if (!ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic))
		add_raw(cpu, DUMP_RAW_LAPIC, &lapic, sizeof(lapic));
	save_xsave(vcpu, cpu);
	save_msrs(vcpu, cpu);
}
