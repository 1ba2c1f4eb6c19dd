/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/select/select_list.h - the pages that the guest named: tuples of guest-virtual address and number of
 * pages (firmware/abi.h, struct fw_select), translated by the guest's own page tables.
 *
 * Tuple by tuple, a lie costs the guest that tuple: an address that is not canonical, not mapped or not
 * in RAM names nothing, a number of pages that reaches beyond the address space ends there.  What makes
 * the list as a whole unbelievable keeps every page: see the reasons in select_list.c.
 *
 * Locks: none; pure but for the reads of @view.
 */
#ifndef DUMP_SELECT_SELECT_LIST_H
#define DUMP_SELECT_SELECT_LIST_H

#include "dump/region/guest_view.h"
#include "dump/record/record.h"

/*
 * select_list_mark - set the bits of the pages that @record's list names in @wanted (dump/base/bitmap.h, a bit
 * for each page of RAM offset), and those of the list itself and of the page tables that were read to translate it:
 * without them nobody could find the named pages by their virtual addresses.
 * Work: bounded by the pages of RAM and the length of the list, whatever the guest wrote.
 * Result: NULL, and in *ret_ignored the tuples that named no page of RAM; or why the list cannot be
 * believed (static text), and @wanted is then to be thrown away.
 */
const char *warn_unused select_list_mark(const struct guest_view *view, const struct dump_record *record,
	uint64_t *wanted, uint64_t *ret_ignored);

#endif /* DUMP_SELECT_SELECT_LIST_H */
