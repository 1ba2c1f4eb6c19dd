/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/machine/watchdog.h - tells a hung guest from an idle one when the guest does not say by heartbeat calls.
 *
 * A vCPU that lives leaves the guest again and again, if only to program its timer for the next tick; KVM
 * counts that.  A vCPU that hangs burns the time of its thread and leaves only when the host wants the CPU, which KVM
 * counts too, apart (irq_exits).  So: a guest hangs when one of its vCPU threads has burned vm.watchdog of CPU time
 * while all vCPUs together made no exits of their own.  Halted, paused and starved vCPUs burn nothing and are never
 * blamed.  Limits: docs/linux.md, "Hangs".
 *
 * Locks: none; everything is the supervisor's.
 */
#ifndef VMM_MACHINE_WATCHDOG_H
#define VMM_MACHINE_WATCHDOG_H

#include "dump/base/num.h"
#include "dump/record/record.h"

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

struct watchdog {
	bool ready;         /* the offsets below are known */
	uint64_t exits_off; /* bytes: of KVM's counters in a vCPU's statistics file */
	uint64_t irq_exits_off;
	uint64_t look_at_ns; /* CLOCK_MONOTONIC: look again then; 0 = not looked yet */
	uint64_t exits;      /* of all vCPUs, of their own, when the guest was last seen alive */
	uint64_t cpu_ns[DUMP_VCPUS_MAX]; /* CPU time of each vCPU's thread then */
};

/*
 * watchdog_look - see whether the VM of @nr_vcpus @vcpus lives; to be called when look_at_ns is reached.
 * @limit: ns of CPU time without an exit that make a hang.  Result: true if the guest hangs.
 * Without statistics it says so once, and look_at_ns is UINT64_MAX from then on.
 */
bool watchdog_look(struct watchdog *w, const struct vcpu *vcpus, uint32_t nr_vcpus, uint32_t generation,
	uint64_t limit, uint64_t now);

/*
 * watchdog_alive - whether @exits more exits in @cpu_ns of CPU time of one vCPU, with @nr_vcpus in all, show a guest that lives.
 * A few come from the host's own non-maskable interrupts.  Pure.
 */
bool watchdog_alive(uint64_t exits, uint64_t cpu_ns, uint32_t nr_vcpus);

#endif /* VMM_MACHINE_WATCHDOG_H */
