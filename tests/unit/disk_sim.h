/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/disk_sim.h - a disk that is simulated, by a clock that is: a guest and a copier with a pacer share it.
 *
 * The disk serves one request after the other, in the order in which they come.  The guest keeps @depth requests in
 * flight, the copier one piece.  Time passes from event to event, so that seconds of it take none.
 */
#ifndef TESTS_UNIT_DISK_SIM_H
#define TESTS_UNIT_DISK_SIM_H

#include "dump/base/pacer.h"

#define SIM_NEVER UINT64_MAX
#define SIM_DEPTH_MAX 16
/* any moment: the clock never starts at 0 */
#define SIM_START_NS (1000 * NSEC_PER_SEC)

struct sim_guest {
	unsigned depth;    /* 0: it has no requests */
	uint64_t bytes;    /* of one */
	uint64_t think_ns; /* between the end of one and the next */
	uint64_t on_ns;    /* it works so long of each @period_ns; 0: always */
	uint64_t period_ns;
};

struct sim_flow {
	uint64_t next_ns;  /* it does something then */
	uint64_t began_ns; /* its request did; 0: it has none */
};

struct sim {
	uint64_t now_ns, free_ns; /* of the disk */
	uint64_t bytes_per_s, fixed_ns;
	struct sim_guest guest;
	struct sim_flow flows[SIM_DEPTH_MAX], copier;
	uint64_t piece;
	struct disk_load load;
	struct pacer pacer;
	uint64_t asked;                                  /* times */
	uint64_t copied, pieces, copied_ns, longest_gap; /* ns between two pieces */
	uint64_t guest_cost, guest_requests;
	unsigned latencies[1 << 16]; /* requests, by 10 us */
};

/* A disk of 500 MB/s that takes 50 us for a request, and pieces of 256 KiB; the copier paced by @policy. */
void sim_init(struct sim *sim, const char *policy, const struct sim_guest *guest);

/* @ns pass. */
void sim_run(struct sim *sim, uint64_t ns);

/* What is counted is counted from here on. */
void sim_settle(struct sim *sim);

/* What 99 of 100 of the guest's requests did not take longer than, to 20 us. */
uint64_t sim_p99_ns(const struct sim *sim);

#endif /* TESTS_UNIT_DISK_SIM_H */
