/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/record/choices.h - what a user can choose for a dump, by name: strategies, sinks, selectors.  Plain const
 * tables; configuration, --help, the crash record and the engine all read these.  What each does is in a table of
 * the same order: dump/engine/tables.c, dump/engine/sink.h, dump/select/select.c.
 *
 * Selectors are a set in one word: bit n is dump_selectors[n], `all` (bit 0) stands alone.  Above the set
 * is the level of the one that has levels, `linux:31`, 0 without it.  `zero` is what its bit 0 is.
 */
#ifndef DUMP_RECORD_CHOICES_H
#define DUMP_RECORD_CHOICES_H

#include "dump/base/num.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A strategy moves the selected bytes from the crashed region into the dump. */
enum dump_strategy_number {
	DUMP_STRATEGY_VMAPP,
	DUMP_STRATEGY_HYPERCALL,
	DUMP_STRATEGY_ADDMEM,
	DUMP_STRATEGY_REMAP,
	DUMP_STRATEGY_HYBRID,
	DUMP_STRATEGY_NR
};

struct dump_strategy {
	const char *name;    /* as in [dump] strategy = */
	const char *help;    /* one line for --help */
	uint32_t guest_mode; /* FW_DUMP_MODE_*: what a guest is told by the query call */
	bool in_place;       /* the region's own file becomes the dump */
	bool sinks;          /* any sink will do; without, it is the first one */
	bool scratch;        /* in_place, with a dump file besides it while it works */
};

/* A sink: where the bytes go that a strategy moves, and in which encoding. */
enum dump_sink_number { DUMP_SINK_ELF, DUMP_SINK_LZ4, DUMP_SINK_NR };

struct dump_sink {
	const char *name; /* as in [dump] compress = */
	const char *help; /* one line for --help */
	/*
	 * The file is not laid out as the region: the tables that tell what is done are in the region's tail
	 * room while it works, and the file has names of its own.
	 */
	bool compressed;
};

/*
 * A selector decides which pages belong in the dump (dump/select/select.h).  The place in the table is its number
 * in the dump's file, so it never changes.
 */
enum dump_selector_number {
	DUMP_SELECTOR_ALL,
	DUMP_SELECTOR_ZERO,
	DUMP_SELECTOR_LIST,
	DUMP_SELECTOR_PAGES,
	DUMP_SELECTOR_LINUX,
	DUMP_SELECTOR_NR
};

/* our choice: selectors that a dump's file has counters for */
#define DUMP_SELECTORS_MAX 8
_Static_assert((int)DUMP_SELECTOR_NR <= DUMP_SELECTORS_MAX, "selectors have numbers in the file");

struct dump_selector {
	const char *name; /* as in [dump] select = */
	const char *help; /* one line for --help */
};

extern const struct dump_strategy dump_strategies[];
extern const size_t dump_nr_strategies;
extern const struct dump_sink dump_sinks[];
extern const size_t dump_nr_sinks;
extern const struct dump_selector dump_selectors[];
extern const size_t dump_nr_selectors;

#define DUMP_SELECT_ALL (1u << DUMP_SELECTOR_ALL)
#define DUMP_SELECT_ZERO (1u << DUMP_SELECTOR_ZERO)
#define DUMP_SELECT_LINUX (1u << DUMP_SELECTOR_LINUX)
#define DUMP_SELECT_SET ((1u << DUMP_SELECTORS_MAX) - 1)
#define DUMP_SELECT_LEVEL_SHIFT DUMP_SELECTORS_MAX
#define DUMP_SELECT_LEVEL_MAX 31u
/* our choice: buffers for dump_select_format that are always large enough */
#define DUMP_SELECT_TEXT 64

/*
 * dump_select_parse - read names separated by commas, blanks around them allowed, e.g. "pages, zero".
 * `all` beside others says nothing, and is dropped; so is linux:0.  linux stands for linux:31.
 * Errors: -EINVAL for an unknown or missing name, or a level that is none; *ret_mask is then unchanged.
 */
int warn_unused dump_select_parse(const char *text, uint32_t *ret_mask);

/* Writes what dump_select_parse() would read back as @mask, a valid one, e.g. "zero,pages". */
void dump_select_format(uint32_t mask, char *buf, size_t size);

/* The level of `linux`. */
static inline uint32_t dump_select_level(uint32_t mask)
{
	return mask >> DUMP_SELECT_LEVEL_SHIFT & DUMP_SELECT_LEVEL_MAX;
}

/* True for what dump_select_parse() can give. */
bool dump_select_is_valid(uint32_t mask);

#endif /* DUMP_RECORD_CHOICES_H */
