/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/select/select.h - the chosen selectors, together: which pages belong in the dump, and who said no.
 *
 *      prepare   whole memory, once, before a byte moves     list, pages     clears bits of tail.selected
 *      release   what is excluded goes back to the host first (dump/engine/release.h)
 *      chunk     one chunk, right before it is moved         zero            clears bits of engine->copy
 *
 * A page is kept if every selector keeps it; it counts for the first one, in the order of the table,
 * that does not.  A selector that cannot believe the guest keeps every page, and that is told.
 *
 * Selectors are a set in one word: bit n is dump_selectors[n], `all` (bit 0) stands alone.  Above the set
 * is the level of the one that has levels, `linux:31`, 0 without it.  `zero` is what its bit 0 is.
 */
#ifndef DUMP_SELECT_SELECT_H
#define DUMP_SELECT_SELECT_H

#include "dump/base/num.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dump_engine;

#define DUMP_SELECT_ALL 1u
#define DUMP_SELECT_ZERO 2u
#define DUMP_SELECT_LINUX 16u
#define DUMP_SELECT_SET 0xffu /* VMCORE_SELECTORS_MAX of them */
#define DUMP_SELECT_LEVEL_SHIFT 8
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

/*
 * dump_select_prepare - clear the bits of excluded pages in engine->tail.selected, and make engine->copy.
 * To be called once, before the strategy.  0 or -ENOMEM.
 */
int warn_unused dump_select_prepare(struct dump_engine *engine);

/*
 * dump_select_resume - the same for an engine that goes on with the page bitmap of an earlier one: pages
 * may be gone by now that the decision was made from.
 */
int warn_unused dump_select_resume(struct dump_engine *engine);

/* Frees what these made; harmless without them. */
void dump_select_fini(struct dump_engine *engine);

/*
 * dump_select_chunk - clear the bits of pages of chunk @index that need not be moved in engine->copy.  A
 * strategy calls it right before it moves the chunk, with the chunk's memory still in place; any thread.
 */
int warn_unused dump_select_chunk(struct dump_engine *engine, uint64_t index);

/*
 * dump_select_distrust - the selector @name keeps every page, because of @why; for prepare functions.
 * The first two reasons are kept as text in engine->distrust.
 */
void dump_select_distrust(struct dump_engine *engine, const char *name, const char *why);

#endif /* DUMP_SELECT_SELECT_H */
