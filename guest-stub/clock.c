/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/clock.c - see clock.h.
 *
 * The clock is set up only when somebody asks for the time, which is in the crash path: it costs the boot nothing.
 */
#include "guest-stub/clock.h"

#define NSEC_PER_SEC 1000000000ull
/* our choice: KVM writes the structures before ring 3 runs again; a few looks are plenty */
#define CLOCK_POLLS 1000

static struct kvm_clock kvm_clock __attribute__((aligned(64)));

/* A version that is neither 0 nor odd. */
static bool is_complete(const uint32_t *version)
{
	uint32_t v = __atomic_load_n(version, __ATOMIC_ACQUIRE);

	return v && !(v & 1);
}

uint64_t clock_read(uint64_t tsc)
{
	const struct kvm_clock *c = &kvm_clock;
	uint64_t ticks, ns;
	int polls = 0;

	if (!gate(GATE_KVM_CLOCK, (uint64_t)c, 0))
		return 0;
	while (!is_complete(&c->wall.version) || !is_complete(&c->system.version))
		if (++polls > CLOCK_POLLS)
			return 0;
	/* the structure was written after @tsc was read, so go backwards from it */
	ticks = c->system.tsc > tsc ? c->system.tsc - tsc : 0;
	ticks = c->system.tsc_shift < 0 ? ticks >> -c->system.tsc_shift : ticks << c->system.tsc_shift;
	ns = (uint64_t)((unsigned __int128)ticks * c->system.tsc_to_ns >> 32);
	return c->wall.sec * NSEC_PER_SEC + c->wall.nsec + c->system.system_time - ns;
}
