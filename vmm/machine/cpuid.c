/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/machine/cpuid.c - see cpuid.h */
#include "vmm/machine/cpuid.h"

#include <string.h>

/* Intel SDM vol. 2A CPUID 80000008H: without that leaf, 36 bits */
#define PHYS_BITS_DEFAULT 36
#define PHYS_BITS_MAX 52

enum cpuid_reg { EAX, EBX, ECX, EDX };

/* Which hosts a rule is for. */
enum cpuid_host { EVERY_KVM, SOFTWARE_KVM, WITH_TSC_DEADLINE };

/* Bits that the guest must not see, or must see, and why. */
struct cpuid_rule {
	uint32_t function, index;
	enum cpuid_reg reg;
	uint32_t clear, set;
	enum cpuid_host host;
	const char *why;
};

#define BIT(n) (1u << (n))

/*
 * A software KVM runs on a CPU that has neither VMX nor SVM (kvm.c): it interprets what the guest does in ring 0.
 * Interpreters announce more than they can run there, and a guest that believes them dies of it.
 *
 * Bit numbers: Intel SDM vol. 2A CPUID; Documentation/virt/kvm/x86/cpuid.rst for 0x4000xxxx.
 */
static const struct cpuid_rule rules[] = {
	{1, 0, ECX, 0, BIT(31), EVERY_KVM, "hypervisor present"},
	{1, 0, ECX, 0, BIT(24), WITH_TSC_DEADLINE,
		"TSC-deadline timer: KVM has it, but lists it in newer versions only"},
	{1, 0, ECX, BIT(3), 0, EVERY_KVM,
		"MONITOR/MWAIT: would keep an idle vCPU from leaving to the host"},
	{1, 0, ECX, BIT(5) | BIT(6), 0, EVERY_KVM, "VMX, SMX: no nested guests"},
	{0x80000001, 0, ECX, BIT(2), 0, EVERY_KVM, "SVM: no nested guests"},
	{7, 0, EBX, BIT(2), 0, EVERY_KVM, "SGX: enclaves cannot be dumped"},
	{7, 0, EDX, BIT(22) | BIT(24) | BIT(25), 0, EVERY_KVM,
		"AMX: 8 KiB of state a vCPU, needs arch_prctl"},
	{0x40000001, 0, EAX, BIT(4) | BIT(10) | BIT(14), 0, EVERY_KVM,
		"asynchronous page faults: a vCPU that waits for memory is to wait"},
	{0x40000001, 0, EAX, BIT(16) | BIT(17), 0, EVERY_KVM,
		"map GPA range, migration control: for encrypted guests"},
	{1, 0, ECX, BIT(13), 0, SOFTWARE_KVM, "CMPXCHG16B"},
	{0x40000001, 0, EAX, BIT(7) | BIT(9) | BIT(11) | BIT(13), 0, SOFTWARE_KVM,
		"features that make hypercalls: PV unhalt, PV TLB flush, PV send IPI, PV sched yield"},
};

static bool rule_applies(const struct cpuid_rule *rule, const struct kvm *kvm)
{
	switch (rule->host) {
	case SOFTWARE_KVM:
		return kvm->software;
	case WITH_TSC_DEADLINE:
		return kvm->tsc_deadline;
	default:
		return true;
	}
}

static uint32_t *reg_of(struct kvm_cpuid_entry2 *entry, enum cpuid_reg reg)
{
	switch (reg) {
	case EAX:
		return &entry->eax;
	case EBX:
		return &entry->ebx;
	case ECX:
		return &entry->ecx;
	default:
		return &entry->edx;
	}
}

static void apply_rules(const struct kvm *kvm, struct kvm_cpuid_entry2 *entry)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		uint32_t *reg = reg_of(entry, rules[i].reg);

		if (entry->function != rules[i].function || entry->index != rules[i].index ||
			!rule_applies(&rules[i], kvm))
			continue;
		*reg = (*reg & ~rules[i].clear) | rules[i].set;
	}
}

/* Smallest n with 2^n >= @count. */
static uint32_t log2_up(uint32_t count)
{
	uint32_t bits = 0;

	while ((1u << bits) < count)
		bits++;
	return bits;
}

/* EAX of a cache, 25-14: threads that share it - 1.  A core has its own, up to level 2; a type of 0 ends the list. */
static void set_cache_sharing(struct kvm_cpuid_entry2 *entry, uint32_t nr_vcpus)
{
	uint32_t type = entry->eax & 0x1f, level = entry->eax >> 5 & 7;
	uint32_t others = level < 3 ? 0 : (1u << log2_up(nr_vcpus)) - 1;

	if (type)
		entry->eax = (entry->eax & ~(0xfffu << 14)) | others << 14;
}

static void set_topology(struct kvm_cpuid_entry2 *entry, uint32_t id, uint32_t nr_vcpus)
{
	switch (entry->function) {
	case 1: /* EBX: initial APIC id in 31-24, logical processors in 23-16; EDX 28: HTT */
		entry->ebx = (entry->ebx & 0xffff) | (id << 24) | (nr_vcpus << 16);
		entry->edx = nr_vcpus > 1 ? entry->edx | BIT(28) : entry->edx & ~BIT(28);
		break;
	case 4: /* EAX 31-26: cores in the package - 1 */
		entry->eax = (entry->eax & 0x03ffffff) | (((1u << log2_up(nr_vcpus)) - 1) << 26);
		set_cache_sharing(entry, nr_vcpus);
		break;
	case 0xb: /* level 0: threads (one a core), level 1: cores; EDX: x2APIC id */
	case 0x1f:
		entry->edx = id;
		entry->eax = entry->index == 1 ? log2_up(nr_vcpus) : 0;
		entry->ebx = entry->index == 0 ? 1 : entry->index == 1 ? nr_vcpus : 0;
		entry->ecx = (entry->index & 0xff) | (entry->index < 2 ? (entry->index + 1) << 8 : 0);
		break;
	case 0x80000008: /* ECX 7-0: threads - 1, 15-12: bits of the APIC id that number them */
		entry->ecx = (entry->ecx & ~0xf0ffu) | (nr_vcpus - 1) | (log2_up(nr_vcpus) << 12);
		break;
	case 0x8000001d: /* caches, on AMD */
		set_cache_sharing(entry, nr_vcpus);
		break;
	case 0x8000001e: /* AMD: EAX: APIC id, EBX 7-0: core, 15-8: threads of a core - 1, ECX: node */
		entry->eax = id;
		entry->ebx = id;
		entry->ecx = 0;
		break;
	default:
		break;
	}
}

/*
 * KVM lists the first level of the topology leaves only (its own host's levels mean nothing to the
 * guest): add the second, that of the cores, before it is filled in.
 */
static void add_core_level(struct kvm_cpuid_table *table, uint32_t function)
{
	bool first = false;

	for (uint32_t i = 0; i < table->nent; i++) {
		if (table->entries[i].function != function)
			continue;
		if (table->entries[i].index == 1)
			return;
		first = true;
	}
	if (first && table->nent < KVM_CPUID_MAX)
		table->entries[table->nent++] = (struct kvm_cpuid_entry2){
			.function = function, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX};
}

void cpuid_for_vcpu(const struct kvm *kvm, uint32_t id, uint32_t nr_vcpus, struct kvm_cpuid_table *ret)
{
	memcpy(ret, &kvm->cpuid, sizeof(*ret));
	add_core_level(ret, 0xb);
	add_core_level(ret, 0x1f);
	for (uint32_t i = 0; i < ret->nent && i < KVM_CPUID_MAX; i++) {
		apply_rules(kvm, &ret->entries[i]);
		set_topology(&ret->entries[i], id, nr_vcpus);
	}
}

uint32_t cpuid_phys_bits(const struct kvm *kvm)
{
	uint32_t bits = PHYS_BITS_DEFAULT;

	for (uint32_t i = 0; i < kvm->cpuid.nent && i < KVM_CPUID_MAX; i++)
		if (kvm->cpuid.entries[i].function == 0x80000008)
			bits = kvm->cpuid.entries[i].eax & 0xff;
	return bits < PHYS_BITS_MAX ? bits : PHYS_BITS_MAX;
}
