/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/select/selection.h - what the selectors of one dump work on and what they have found: the pages, who excluded them, and
 * who could not believe the guest.
 *
 * Locks: one thread, but for excluded[] and the bits of @copy (bitmap_*_atomic), which any thread changes.
 */
#ifndef DUMP_SELECT_SELECTION_H
#define DUMP_SELECT_SELECTION_H

#include "dump/linux/linux_pages.h"
#include "dump/linux/vmcoreinfo.h"
#include "dump/record/choices.h"
#include "dump/record/record.h"
#include "dump/region/dead_region.h"

#include <stdatomic.h>
#include <stdint.h>

struct selection {
	/* Borrowed from the engine, for the life of the selection. */
	const struct dump_record *record;
	struct dead_region *region;
	const struct vmcoreinfo *vmcoreinfo; /* of the guest's Linux; empty = none */
	uint64_t chunk;                      /* bytes */
	uint32_t workers;                    /* threads that may be used: 1 or more */
	/* The page bitmap in the file: what belongs in the dump.  Bits are cleared before the strategy runs. */
	uint64_t *selected;

	/*
	 * What of it a strategy has to move: the same bits, less the pages of zeros that dump_select_chunk()
	 * finds.  Either @selected itself or memory of its own.  bitmap_next() while threads run.
	 */
	uint64_t *copy;
	uint32_t selectors; /* the record's; a selector that cannot do its work may add another one */
	_Atomic uint64_t excluded[DUMP_SELECTORS_MAX]; /* pages, by the first selector to exclude them */
	uint32_t distrusted;                           /* selectors that kept everything: a mask */
	char distrust[128];              /* why, or why some pages are kept; "" = no trouble */
	uint64_t reasons[LINUX_REASONS]; /* pages that `linux` excluded, by reason */
	uint64_t list_ignored;           /* tuples of the list that named no page of RAM */
};

/* Chunk @index is RAM offsets [*ret_off, *ret_off + *ret_len). */
static inline void selection_chunk(
	const struct selection *selection, uint64_t index, uint64_t *ret_off, uint64_t *ret_len)
{
	dump_layout_chunk(selection->region->layout, selection->chunk, index, ret_off, ret_len);
}

/*
 * dump_select_distrust - @selector keeps every page, because of @why; for prepare functions.
 * The first two reasons are kept as text in selection->distrust.
 */
void dump_select_distrust(struct selection *selection, enum dump_selector_number selector, const char *why);

/* As dump_select_distrust(), but @selector keeps some pages that it would have left out, not all. */
void dump_select_lack(struct selection *selection, enum dump_selector_number selector, const char *why);

/*
 * The selectors, each in a file of its own, for the table in dump/select/select.c.  Whole memory, once, before the strategy,
 * on the dumper's main thread: clear bits of @selected.  0 or -errno of the host, which fails the dump: what is
 * wrong with the guest's data is for dump_select_distrust().
 */
int warn_unused select_list(struct selection *selection);
int warn_unused select_pages(struct selection *selection);
int warn_unused select_linux(struct selection *selection);

/*
 * One chunk, right before it is moved, on any thread: clears bits of @copy and adds their number to
 * *ret_excluded.  0 or -errno.
 */
int warn_unused select_zero(struct selection *selection, uint64_t index, uint64_t *ret_excluded);

#endif /* DUMP_SELECT_SELECTION_H */
