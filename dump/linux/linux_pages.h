/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/linux/linux_pages.h - which pages of a Linux guest nobody will miss, by the kernel's own struct page.
 *
 * Levels are those of makedumpfile(8) and may be added: 1 zeros (by contents: not here), 2 page cache,
 * 4 page cache with private data too, 8 user data, 16 free pages.  Poisoned pages and pages that are
 * logically offline go with every level but 0 and 1.
 *
 * Each offset and constant comes from VMCOREINFO.  A kind of page that an absent key would be needed to
 * tell is kept, and so is each page whose description cannot be read or contradicts itself.  docs/dumps.md
 * has the rules.  A kernel decides about its own pages only: a lie costs it its own evidence.
 */
#ifndef DUMP_LINUX_LINUX_PAGES_H
#define DUMP_LINUX_LINUX_PAGES_H

#include "dump/linux/linux_kernel.h"

#define LINUX_LEVEL_ZERO 1u
#define LINUX_LEVEL_CACHE 2u
#define LINUX_LEVEL_CACHE_PRIVATE 4u
#define LINUX_LEVEL_USER 8u
#define LINUX_LEVEL_FREE 16u
#define LINUX_LEVEL_MAX 31u

/* Why a page is left out; the order is that of the counters in a dump's trailer. */
enum linux_reason {
	LINUX_PAGE_FREE,
	LINUX_PAGE_CACHE,
	LINUX_PAGE_CACHE_PRIVATE,
	LINUX_PAGE_USER,
	LINUX_PAGE_HWPOISON,
	LINUX_PAGE_OFFLINE,
	LINUX_REASONS
};
/* "free", "cache", ...; NULL from LINUX_REASONS on */
const char *linux_reason_name(size_t reason);

/*
 * linux_pages_mark - set the bits of the pages that @level leaves out in @drop (dump/base/bitmap.h, a bit for each
 * page of RAM offset of @kernel's view, which is one of a file), which is all clear.
 * @workers: threads, 1 or more.  @counts: pages by reason, each page once.
 * Work: bounded by the pages of RAM.
 * Result: NULL; or why the kernel's page descriptors cannot be found (static text), @drop is then clear.
 * *ret_lack: what is kept although @level leaves it out, for want of a key (static text); NULL = nothing.
 */
const char *warn_unused linux_pages_mark(struct linux_kernel *kernel, uint32_t level, uint32_t workers,
	uint64_t *drop, uint64_t counts[LINUX_REASONS], const char **ret_lack);

#endif /* DUMP_LINUX_LINUX_PAGES_H */
