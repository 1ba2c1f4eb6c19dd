/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/disk_sim.c - see disk_sim.h */
#include "tests/unit/disk_sim.h"

#include <check.h>
#include <string.h>

static uint64_t serve(struct sim *sim, uint64_t bytes)
{
	uint64_t from = u64_max(sim->now_ns, sim->free_ns);

	sim->free_ns = from + sim->fixed_ns + bytes * NSEC_PER_SEC / sim->bytes_per_s;
	return sim->free_ns;
}

static uint64_t guest_works_at(const struct sim_guest *guest, uint64_t ns)
{
	uint64_t phase = guest->on_ns ? (ns - SIM_START_NS) % guest->period_ns : 0;

	return phase < guest->on_ns || !guest->on_ns ? ns : ns + guest->period_ns - phase;
}

static void guest_event(struct sim *sim, struct sim_flow *flow)
{
	uint64_t took = sim->now_ns - flow->began_ns;

	if (!flow->began_ns) {
		flow->began_ns = sim->now_ns;
		disk_load_begin(&sim->load, sim->now_ns);
		flow->next_ns = serve(sim, sim->guest.bytes);
		return;
	}
	disk_load_end(&sim->load, flow->began_ns, sim->now_ns, sim->guest.bytes);
	sim->latencies[u64_min(took / 10000, ARRAY_LEN(sim->latencies) - 1)]++;
	sim->guest_cost += u64_max(sim->guest.bytes, DISK_LOAD_COST_MIN);
	sim->guest_requests++;
	flow->began_ns = 0;
	flow->next_ns = guest_works_at(&sim->guest, sim->now_ns + sim->guest.think_ns + 1);
}

static void copier_event(struct sim *sim)
{
	struct sim_flow *flow = &sim->copier;
	uint64_t when;

	if (flow->began_ns) {
		pacer_took(&sim->pacer, sim->now_ns, sim->piece);
		sim->copied += sim->piece;
		sim->pieces++;
		sim->copied_ns = sim->now_ns;
		flow->began_ns = 0;
	}
	sim->asked++;
	when = pacer_ask(&sim->pacer, sim->now_ns);
	ck_assert(!when || when > sim->now_ns);
	flow->next_ns = when;
	if (when)
		return;
	sim->longest_gap = u64_max(sim->longest_gap, sim->now_ns - sim->copied_ns);
	flow->began_ns = sim->now_ns;
	flow->next_ns = serve(sim, sim->piece);
}

void sim_init(struct sim *sim, const char *policy, const struct sim_guest *guest)
{
	struct pacer_settings settings;

	*sim = (struct sim){.now_ns = SIM_START_NS,
		.copied_ns = SIM_START_NS,
		.bytes_per_s = 500000000,
		.fixed_ns = 50 * NSEC_PER_USEC,
		.piece = KIB(256),
		.guest = *guest};
	ck_assert_int_eq(pacer_parse(policy, &settings), 0);
	pacer_init(&sim->pacer, &settings, &sim->load, SIM_START_NS);
	sim->copier.next_ns = SIM_START_NS;
	for (unsigned i = 0; i < guest->depth; i++)
		sim->flows[i].next_ns = guest_works_at(guest, SIM_START_NS + i);
}

void sim_run(struct sim *sim, uint64_t ns)
{
	uint64_t end_ns = sim->now_ns + ns;

	for (;;) {
		struct sim_flow *first = &sim->copier;

		for (unsigned i = 0; i < sim->guest.depth; i++)
			if (sim->flows[i].next_ns < first->next_ns)
				first = &sim->flows[i];
		if (first->next_ns > end_ns)
			break;
		sim->now_ns = first->next_ns;
		if (first == &sim->copier)
			copier_event(sim);
		else
			guest_event(sim, first);
	}
	sim->now_ns = end_ns;
}

void sim_settle(struct sim *sim)
{
	sim->copied = sim->pieces = sim->longest_gap = sim->guest_cost = sim->guest_requests = sim->asked =
		0;
	memset(sim->latencies, 0, sizeof(sim->latencies));
}

uint64_t sim_p99_ns(const struct sim *sim)
{
	uint64_t above = 0;
	size_t i = ARRAY_LEN(sim->latencies);

	while (i-- > 0 && above * 100 <= sim->guest_requests)
		above += sim->latencies[i];
	return (i + 2) * 10000;
}
