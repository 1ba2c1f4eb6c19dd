/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/fill.h - memory contents that a test can compute: docs/guest-stub.md, "Contents".
 *
 * Owns the formulas.  Everything here is a function of (seed, page frame number, word index).
 */
#ifndef GUEST_STUB_FILL_H
#define GUEST_STUB_FILL_H

#include "guest-stub/mem.h"

/* our choice: kinds that one command line may ask for */
#define MAX_FILLS 8

/* Output of the splitmix64 generator whose state before the step is @x (docs/guest-stub.md). */
static inline uint64_t splitmix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

struct fill_kind;

struct fill {
	const struct fill_kind *kind;
	uint32_t percent; /* of all RAM */
};

/* fill_kind_find - the kind called @name, or null. */
const struct fill_kind *fill_kind_find(const char *name);

/* fill_print_kinds - one console line for each kind. */
void fill_print_kinds(void);

/*
 * fill_run - allocate and fill memory as @fills say, with all CPUs; prints every range.
 * @heartbeat_ms: not 0: call heartbeat() about this often meanwhile.
 */
void fill_run(const struct fill *fills, uint32_t nr_fills, uint64_t seed, uint64_t heartbeat_ms);

/* fill_range - the kind of range number @index in the order they were filled, and @ret_run; null after the last. */
const struct fill_kind *fill_range(uint32_t index, struct run *ret_run);

#endif /* GUEST_STUB_FILL_H */
