/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/machine/cpuid.h - the CPU that the guest sees: what KVM supports, filtered by one table (cpuid.c).
 */
#ifndef VMM_MACHINE_CPUID_H
#define VMM_MACHINE_CPUID_H

#include "vmm/host/kvm.h"

/*
 * cpuid_for_vcpu - @ret = the host's table after the filter, with the leaves that differ from vCPU
 * to vCPU (APIC id) or with the number of vCPUs (topology) filled in for vCPU @id of @nr_vcpus.
 */
void cpuid_for_vcpu(const struct kvm *kvm, uint32_t id, uint32_t nr_vcpus, struct kvm_cpuid_table *ret);

/* Bits of a guest-physical address. */
uint32_t cpuid_phys_bits(const struct kvm *kvm);

#endif /* VMM_MACHINE_CPUID_H */
