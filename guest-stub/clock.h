/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/clock.h - the wall clock, from KVM's paravirtual clock if the VMM offers it.
 */
#ifndef GUEST_STUB_CLOCK_H
#define GUEST_STUB_CLOCK_H

#include "guest-stub/cpu.h"

/* What KVM writes for the two clock MSRs (Linux, Documentation/virt/kvm/x86/msr.rst). */
struct kvm_clock {
	struct {
		uint32_t version; /* odd: being written */
		uint32_t sec, nsec;
	} wall; /* time of day at system time 0 */
	uint32_t pad;
	struct {
		uint32_t version; /* odd: being written */
		uint32_t pad0;
		uint64_t tsc;         /* TSC at @system_time */
		uint64_t system_time; /* ns */
		uint32_t tsc_to_ns;   /* 32-bit fraction */
		int8_t tsc_shift;
		uint8_t flags;
		uint8_t pad1[2];
	} system;
};

_Static_assert(offsetof(struct kvm_clock, system) == KVM_CLOCK_SYSTEM, "trap.c");
_Static_assert(sizeof(struct kvm_clock) == 48, "msr.rst");

/* clock_read - ns since 1970 at TSC value @tsc; 0 if the machine has no such clock.  One CPU at a time. */
uint64_t clock_read(uint64_t tsc);

#endif /* GUEST_STUB_CLOCK_H */
