/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/mem.h - physical memory: page descriptors, page allocator, what was ever used.
 *
 * Owns the page descriptor array (firmware/abi.h, struct fw_page_desc; index = page frame number, up to the
 * highest frame of RAM) and the list of free runs.  Boot CPU only, but for mem_mark_holes().
 * RAM may grow while the kernel runs (events.h).
 *
 * Frames that were never allocated have the descriptor 0: nobody uses them.  Memory is zero when a VM
 * starts, so the descriptors of untouched memory cost nothing.
 */
#ifndef GUEST_STUB_MEM_H
#define GUEST_STUB_MEM_H

#include "guest-stub/start.h"

/* A run of page frames. */
struct run {
	uint64_t first, count;
};

/* Constant after mem_init(), but for nr_desc; before it null and 0. */
struct mem {
	struct fw_page_desc *desc; /* the array, with room for mem_top() entries */
	uint64_t nr_desc;          /* its entries: frames up to the end of RAM, mem_add() adds some */
	struct run image;          /* the frames of the kernel's image */
	struct run own;            /* of page tables and of the array */
};

extern struct mem mem;

/*
 * mem_init - map all of start.ram and make it allocatable, but for the first MiB and the kernel itself.
 * Returns null, or what is wrong.
 */
const char *mem_init(void);

/* mem_top - the frame behind the highest one that is or may become RAM. */
uint64_t mem_top(void);

/*
 * mem_add - @run, which the VMM has just added above all RAM, is RAM: maps it and makes it allocatable, untouched.
 * False: the kernel cannot take it.
 */
bool mem_add(struct run run);

/*
 * mem_mark_holes - flag the descriptors of frames that are not RAM with FW_PAGE_RESERVED.
 * Any CPU, once, after mem_init(): with a hole of 1 GiB this touches 2 MiB, so it is done aside (smp.c).
 */
void mem_mark_holes(void);

/*
 * pages_alloc - the first free run of @want frames that starts at a multiple of @align (a power of two).
 * If there is none: the longest shorter one, so that callers can go on for the rest; count 0 if memory is full.
 * Their descriptors get refcount 1 and @flags.  Contents are whatever the frames held.
 */
struct run pages_alloc(uint64_t want, uint64_t align, uint32_t flags);

/*
 * pages_alloc_untouched - the same of memory that was never allocated, so that freed contents stay; FW_PAGE_RESERVED.
 */
struct run pages_alloc_untouched(uint64_t want);

/*
 * pages_free - give @run back; descriptors become refcount 0, FW_PAGE_FREE.
 * Any run of allocated frames will do, it need not be one that pages_alloc() returned.
 */
void pages_free(struct run run);

/* Which frames of RAM: all; those that were ever allocated or never can be; those that are not free. */
enum mem_pages { MEM_ALL, MEM_TOUCHED, MEM_USED };

/*
 * mem_next - the first run of such frames in [@from, @end), which lies in one range of RAM; count 0: none.
 * Looks at the allocator's lists, not at descriptors, most of which were never written.  Any CPU in the crash path.
 */
struct run mem_next(enum mem_pages which, uint64_t from, uint64_t end);

/* mem_is_reserved - whether the kernel itself needs one of @count frames from @first on. */
bool mem_is_reserved(uint64_t first, uint64_t count);

#endif /* GUEST_STUB_MEM_H */
