/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/linux/linux_page.h - what one struct page of Linux says about its page.  Private to dump/linux_page*.c.
 *
 * Pure: looks at copies.  docs/dumps.md, "The selector linux", has the rules in words.
 */
#ifndef DUMP_LINUX_LINUX_PAGE_H
#define DUMP_LINUX_LINUX_PAGE_H

#include "dump/linux/linux_pages.h"

/* our choice: struct page is 56 to 80 bytes; 4096 must hold several */
#define LINUX_STRUCT_PAGE_MIN 40
#define LINUX_STRUCT_PAGE_MAX 512
/* our choice: pages of one block of descriptors, a power of two that folios up to 16 MiB fit into */
#define LINUX_BLOCK_PAGES 4096
/* arch/x86: a huge page of 1 GiB, the largest thing that has an order */
#define LINUX_ORDER_MAX 18

/* A value of _mapcount that tells the type of a page. */
struct linux_page_type {
	bool known;
	uint32_t value;
};

/* Fields that VMCOREINFO has no offset for: this one. */
#define LINUX_NO_OFFSET UINT32_MAX

/* How to read struct page, from VMCOREINFO. */
struct linux_page_format {
	uint32_t size;
	/* Offsets, or LINUX_NO_OFFSET: what depends on an absent one counts as not known, too. */
	uint32_t flags, mapping, mapcount, private_data;
	uint32_t compound; /* compound_head; 7.1 and later: compound_info */
	/*
	 * 7.1 and later, if struct page has a power of 2: a tail may have, instead of its head's address, the mask
	 * that makes it of its own (include/linux/page-flags.h: compound_info_has_mask).
	 */
	bool has_masks;
	/* Masks of one bit each; 0 = not known. */
	uint64_t lru, private_bit, swapcache, swapbacked, slab, hwpoison, head, hugetlb_1;
	struct linux_page_type buddy, offline, slab_type, hugetlb_type;
	uint64_t free_orders; /* orders of free pages are below; 0 = not known */
	/* Of the first tail page: offsets of the order (one byte) and of the destructor (one or more). */
	uint32_t order, dtor;
	uint64_t hugetlb_dtor;
	bool dtor_known;
	bool order_in_flags; /* 6.6 and later: the low byte of the first tail's flags */
};

/* Result: NULL, or why no kind of page can be told (static text). */
const char *warn_unused linux_page_format_init(
	struct linux_page_format *format, const struct linux_kernel *kernel);

/*
 * What is kept of what @level leaves out, for want of a key that every kernel has had, the gravest first (static
 * text); NULL = nothing.
 */
const char *linux_page_format_lack(const struct linux_page_format *format, uint32_t level);

/*
 * linux_page_decide - for the page of frame @pfn, whose struct page @page was read from the kernel-virtual
 * address @gva; @tail is the next one, or NULL if it is not at hand.
 * Result: why it and the *ret_nr pages from it on are left out with @level; or LINUX_REASONS: it is kept.
 */
enum linux_reason linux_page_decide(const struct linux_page_format *format, uint32_t level, uint64_t pfn,
	uint64_t gva, const unsigned char *page, const unsigned char *tail, uint64_t *ret_nr);

#endif /* DUMP_LINUX_LINUX_PAGE_H */
