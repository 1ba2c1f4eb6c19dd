/* SPDX-License-Identifier: Apache-2.0 */
/* dump/select/select.c - see select.h */
#include "dump/select/select.h"

#include "dump/base/bitmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What each of dump_selectors[] does; NULL = nothing to do. */
static const struct {
	int (*prepare)(struct selection *selection);
	int (*chunk)(struct selection *selection, uint64_t index, uint64_t *ret_excluded);
} selectors[DUMP_SELECTOR_NR] = {
	[DUMP_SELECTOR_ZERO] = {.chunk = select_zero},
	[DUMP_SELECTOR_LIST] = {.prepare = select_list},
	[DUMP_SELECTOR_PAGES] = {.prepare = select_pages},
	[DUMP_SELECTOR_LINUX] = {.prepare = select_linux},
};

static bool is_chosen(const struct selection *selection, size_t selector)
{
	return selection->selectors & 1u << selector;
}

/* Own memory for selection->copy if a selector decides chunk by chunk; otherwise it is the page bitmap. */
static int make_copy(struct selection *selection)
{
	uint64_t bytes = bitmap_words(selection->region->layout->ram / PAGE_SIZE_4K) * sizeof(uint64_t);

	selection->copy = selection->selected;
	for (size_t i = 0; i < ARRAY_LEN(selectors); i++)
		if (is_chosen(selection, i) && selectors[i].chunk)
			selection->copy = NULL;
	if (selection->copy)
		return 0;
	selection->copy = malloc(bytes);
	if (!selection->copy)
		return -ENOMEM;
	memcpy(selection->copy, selection->selected, bytes);
	return 0;
}

int dump_select_prepare(struct selection *selection)
{
	uint64_t pages = selection->region->layout->ram / PAGE_SIZE_4K, left = pages;

	for (size_t i = 0; i < ARRAY_LEN(selectors); i++) {
		uint64_t before = left;
		int r;

		if (!is_chosen(selection, i) || !selectors[i].prepare)
			continue;
		r = selectors[i].prepare(selection);
		if (r)
			return r;
		left = bitmap_count(selection->selected, pages);
		selection->excluded[i] = before - left;
	}
	return make_copy(selection);
}

int dump_select_resume(struct selection *selection)
{
	/* as select_linux() did */
	if (selection->distrusted & selection->selectors & DUMP_SELECT_LINUX)
		selection->selectors |= DUMP_SELECT_ZERO;
	return make_copy(selection);
}

void dump_select_fini(struct selection *selection)
{
	if (selection->copy != selection->selected)
		free(selection->copy);
	selection->copy = NULL;
}

int dump_select_chunk(struct selection *selection, uint64_t index, uint64_t *ret_dropped)
{
	*ret_dropped = 0;
	for (size_t i = 0; i < ARRAY_LEN(selectors); i++) {
		int r;

		if (!is_chosen(selection, i) || !selectors[i].chunk)
			continue;
		r = selectors[i].chunk(selection, index, ret_dropped);
		if (r)
			return r;
	}
	return 0;
}
