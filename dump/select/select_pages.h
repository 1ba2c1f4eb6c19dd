/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/select/select_pages.h - the pages that nobody uses, by the guest's page descriptor array (firmware/abi.h,
 * struct fw_page_desc; entry n describes guest frame n).
 *
 * A page is excluded if its reference count is 0 or its flags have FW_PAGE_FREE.  Kept are the array's
 * own pages and frames that the array does not reach.
 *
 * Locks: none; pure but for the reads of @view.
 */
#ifndef DUMP_SELECT_SELECT_PAGES_H
#define DUMP_SELECT_SELECT_PAGES_H

#include "dump/region/guest_view.h"

/*
 * select_pages_mark - set the bits of the pages to exclude in @unused (dump/base/bitmap.h, a bit for each page
 * of RAM offset), which is all clear.
 * Result: NULL; or why the array cannot be believed (static text), and @unused is then to be thrown away.
 */
const char *warn_unused select_pages_mark(
	const struct guest_view *view, uint64_t page_desc, uint64_t nr_page_desc, uint64_t *unused);

#endif /* DUMP_SELECT_SELECT_PAGES_H */
