/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/vcpu_state.c - a vCPU's registers: the state it boots with, the state a dump keeps.
 */
#include "vmm/vcpu.h"

#include "vmm/vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* Intel SDM vol. 3A 2.5, 3.4.5 */
#define CR0_PE 0x1ull
#define CR0_ET 0x10ull
#define RFLAGS_FIXED 0x2ull
#define SEGMENT_CODE 0xb  /* execute, read, accessed */
#define SEGMENT_DATA 0x3  /* read, write, accessed */
#define SEGMENT_TSS32 0xb /* busy */

/* Intel SDM vol. 3A 11.5.1: local vector table entries */
#define APIC_LVT0 0x350
#define APIC_LVT1 0x360
#define APIC_MODE_NMI 0x400u
#define APIC_MODE_EXTINT 0x700u

/* Intel SDM vol. 4 2.1: IA32_KERNEL_GS_BASE */
#define MSR_KERNEL_GS_BASE 0xc0000102u

/* ---- boot --------------------------------------------------------------------------------------- */

/* PVH: flat 32-bit segments, paging off, interrupts off, ebx = start info (Xen docs/misc/pvh.pandoc). */
static int set_boot_registers(struct vcpu *vcpu, const struct boot_entry *entry)
{
	struct kvm_segment flat = {.limit = UINT32_MAX, .present = 1, .db = 1, .s = 1, .g = 1};
	struct kvm_regs regs = {.rip = entry->rip, .rbx = entry->rbx, .rflags = RFLAGS_FIXED};
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	flat.type = SEGMENT_DATA;
	flat.selector = 0x10;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
	flat.type = SEGMENT_CODE;
	flat.selector = 0x08;
	sregs.cs = flat;
	sregs.tr = (struct kvm_segment){
		.limit = 0x67, .type = SEGMENT_TSS32, .present = 1, .selector = 0x18};
	sregs.cr0 = CR0_PE | CR0_ET;
	sregs.cr3 = 0;
	sregs.cr4 = 0;
	sregs.efer = 0;
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

int vcpu_set_boot_state(struct vcpu *vcpu, const struct boot_entry *entry)
{
	int err = set_boot_registers(vcpu, entry);

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

		batch.nmsrs = kvm->nr_msrs - at;
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
