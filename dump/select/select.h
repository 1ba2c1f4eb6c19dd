/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/select/select.h - the chosen selectors, together: which pages belong in the dump, and who said no.
 *
 *      prepare   whole memory, once, before a byte moves     list, pages, linux     clears bits of selected
 *      release   what is excluded goes back to the host first (dump/engine/release.h)
 *      chunk     one chunk, right before it is moved         zero                   clears bits of copy
 *
 * A page is kept if every selector keeps it; it counts for the first one, in the order of the table,
 * that does not.  A selector that cannot believe the guest keeps every page, and that is told.
 */
#ifndef DUMP_SELECT_SELECT_H
#define DUMP_SELECT_SELECT_H

#include "dump/select/selection.h"

/*
 * dump_select_prepare - clear the bits of excluded pages in selection->selected, and make selection->copy.
 * To be called once, before the strategy.  0 or -ENOMEM.
 */
int warn_unused dump_select_prepare(struct selection *selection);

/*
 * dump_select_resume - the same for an engine that goes on with the page bitmap of an earlier one: pages
 * may be gone by now that the decision was made from.
 */
int warn_unused dump_select_resume(struct selection *selection);

/* Frees what these made; harmless without them. */
void dump_select_fini(struct selection *selection);

/*
 * dump_select_chunk - clear the bits of pages of chunk @index that need not be moved in selection->copy.  A
 * strategy calls it right before it moves the chunk, with the chunk's memory still in place; any thread.
 * Result: *ret_dropped: how many, all of them for `zero`, the only selector that decides so late.
 */
int warn_unused dump_select_chunk(struct selection *selection, uint64_t index, uint64_t *ret_dropped);

#endif /* DUMP_SELECT_SELECT_H */
