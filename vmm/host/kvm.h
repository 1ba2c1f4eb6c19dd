/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/host/kvm.h - /dev/kvm: opening it, what it must offer, what it supports.
 *
 * Locks: a struct kvm is read-only after kvm_open; any thread may use the file descriptor.
 */
#ifndef VMM_HOST_KVM_H
#define VMM_HOST_KVM_H

#include "dump/base/num.h"

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

/* our choice: leaves that KVM_GET_SUPPORTED_CPUID may return; Linux 6.x returns about 60 */
#define KVM_CPUID_MAX 256
/* our choice: MSRs that are saved in a dump; Linux 6.x lists about 100 to 400 */
#define KVM_MSRS_MAX 512

struct kvm_cpuid_table {
	uint32_t nent;
	uint32_t padding;
	struct kvm_cpuid_entry2 entries[KVM_CPUID_MAX]; /* layout of struct kvm_cpuid2 */
};

struct kvm {
	int fd;              /* owned: /dev/kvm */
	uint32_t run_size;   /* bytes of a vCPU's shared struct kvm_run */
	uint32_t xsave_size; /* bytes of an XSAVE area as KVM reports it, at least 4096 */
	bool software;       /* the host's CPU cannot run guests: this KVM interprets ring 0 */
	bool tsc_deadline;   /* local APIC timers have TSC-deadline mode */
	uint32_t nr_msrs;
	uint32_t msrs[KVM_MSRS_MAX];  /* indexes worth saving: KVM_GET_MSR_INDEX_LIST */
	struct kvm_cpuid_table cpuid; /* supported, not yet filtered */
};

/* One extension that minivmm needs or uses. */
struct kvm_requirement {
	int cap;
	const char *name;
	bool required;
	const char *why;
};
extern const struct kvm_requirement kvm_requirements[];
extern const size_t kvm_nr_requirements;

/*
 * kvm_open - open /dev/kvm, check its version and every required extension.
 * Errors: -errno, or -ENOSYS for a missing extension, with a sentence for a human in @why.
 * Owner:  *ret is the caller's; kvm_close.
 */
int warn_unused kvm_open(struct kvm *ret, char *why, size_t why_size);
void kvm_close(struct kvm *kvm);

/* KVM_CHECK_EXTENSION; 0 = not there. */
int kvm_extension(const struct kvm *kvm, int cap);

#endif /* VMM_HOST_KVM_H */
