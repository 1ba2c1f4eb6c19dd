/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vmcores/mini.h - the memory of a Linux kernel that never ran: 2 MiB with all that the dump engine looks
 * at, small enough to be made, changed and looked at a million times.
 *
 *      RAM           1 MiB at 0, 1 MiB at 16 MiB; sections of 16 MiB, so that there are two
 *      0x020000      kernel image, mapped at MINI_IMAGE (KASLR): page table root, uts namespace, log, symbols
 *      0x060000      VMCOREINFO note
 *      0x070000      sections: root array, one root; direct map MINI_DIRECT
 *      0x080000      struct page of frames 0..255, then of 4096..4351; vmemmap MINI_VMEMMAP
 *      0x0a0000      page tables
 *
 * Shares no code with dump/ but the layout.  Plain memory: no Check, no files.
 */
#ifndef TESTS_VMCORES_MINI_H
#define TESTS_VMCORES_MINI_H

#include "dump/region/layout.h"

#include <stdbool.h>
#include <stdint.h>

#define MINI_RAM MIB(2)
#define MINI_PAGES (MINI_RAM / PAGE_SIZE_4K)
#define MINI_SEGMENT_PAGES (MINI_PAGES / 2)
#define MINI_HOLE_START MIB(1)
#define MINI_HOLE_END MIB(16)
#define MINI_HIGH_PFN (MINI_HOLE_END / PAGE_SIZE_4K) /* first frame of the second segment */

#define MINI_IMAGE 0xffffffff84000000ull
#define MINI_IMAGE_PHYS 0x20000ull
#define MINI_DIRECT 0xffff888000000000ull
#define MINI_VMEMMAP 0xffffea0000000000ull
#define MINI_NOTE_PHYS 0x60000ull
#define MINI_UTS (MINI_IMAGE + 0x1000)
#define MINI_NOTE_POINTER (MINI_IMAGE + 0x1800) /* where the kernel keeps the note's address */
#define MINI_LOG (MINI_IMAGE + 0x2000)
#define MINI_SYMBOLS (MINI_IMAGE + 0x10000)
#define MINI_STACK (MINI_IMAGE + 0x18000)

/* How struct page tells things: one for each time that it changed. */
enum mini_kernel {
	MINI_5_10,
	MINI_6_1,
	MINI_6_3,
	MINI_6_6,
	MINI_6_9,
	MINI_6_10,
	MINI_6_12,
	MINI_7_1, /* compound_info with addresses, as without HUGETLB_PAGE_OPTIMIZE_VMEMMAP */
	MINI_7_2, /* with masks */
	MINI_KERNELS
};

struct mini {
	enum mini_kernel kernel;
	bool levels5;
	struct dump_layout layout;
	char info[4096];       /* VMCOREINFO's text */
	uint8_t ram[MINI_RAM]; /* by RAM offset */
};

/* A kernel of which every page is in use by itself, and that has logged three lines. */
void mini_init(struct mini *mini, enum mini_kernel kernel, bool levels5);

/* Writes VMCOREINFO again, without the line that begins with @key (NULL: all of them). */
void mini_write_info(struct mini *mini, const char *without);

/* @len bytes at kernel-virtual @gva of the image, or at guest-physical @gpa. */
void *mini_at(struct mini *mini, uint64_t gva);
void *mini_phys(struct mini *mini, uint64_t gpa);

/* The struct page of frame @pfn, which is RAM; 64 bytes. */
uint8_t *mini_page(struct mini *mini, uint64_t pfn);

/* Makes pages of a kind, at frame @pfn, 1 << @order of them. */
void mini_free(struct mini *mini, uint64_t pfn, unsigned order);
void mini_cache(struct mini *mini, uint64_t pfn, unsigned order, bool private);
void mini_swapcache(struct mini *mini, uint64_t pfn);
void mini_anon(struct mini *mini, uint64_t pfn, unsigned order);
void mini_slab(struct mini *mini, uint64_t pfn, unsigned order);
void mini_hugetlb(struct mini *mini, uint64_t pfn, unsigned order);
void mini_offline(struct mini *mini, uint64_t pfn);
void mini_hwpoison(struct mini *mini, uint64_t pfn);

#endif /* TESTS_VMCORES_MINI_H */
