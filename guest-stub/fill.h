/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/fill.h - memory contents that a test can compute: docs/guest-stub.md, "Contents".
 *
 * Owns the formulas.  Everything here is a function of (seed, page frame number, word index).
 */
#ifndef GUEST_STUB_FILL_H
#define GUEST_STUB_FILL_H

#include <stdbool.h>
#include <stdint.h>

/* our choice: kinds that one command line may ask for */
#define MAX_FILLS 8

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

#endif /* GUEST_STUB_FILL_H */
