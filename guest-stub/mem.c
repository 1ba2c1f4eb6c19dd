/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/mem.c - see mem.h.
 */
#include "guest-stub/machine.h"
#include "guest-stub/mem.h"

/* Page table bits (Intel SDM vol. 3A 4.5) */
#define PTE_USER 0x07  /* present, writable, user */
#define PTE_LARGE 0x80 /* 2 MiB */
#define PTE_UNCACHED 0x18
#define PTES 512
#define BLOCKS_PER_GIB 512
#define LOW_GIBS 4 /* tables.S has the page directories of GiB 0 to 3 */

/* our choice: free runs that are tracked; a free that would need more is refused and its pages stay used */
#define MAX_RUNS 256

/* our choice: conventional memory is left alone, the AP entry page and the VMM's tables are there */
#define LOW_PAGES 256

extern uint64_t boot_pdpt[PTES], low_pds[3 * PTES];
extern char _start[], _end[];

struct mem mem;

static struct run runs[MAX_RUNS]; /* free memory, ascending, never adjacent */
static uint32_t nr_runs;

static uint64_t align_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

static bool run_insert(uint32_t at, struct run run)
{
	if (nr_runs == MAX_RUNS)
		return false;
	for (uint32_t i = nr_runs; i > at; i--)
		runs[i] = runs[i - 1];
	runs[at] = run;
	nr_runs++;
	return true;
}

static void run_remove(uint32_t at)
{
	nr_runs--;
	for (uint32_t i = at; i < nr_runs; i++)
		runs[i] = runs[i + 1];
}

/* Takes @count frames at @first out of runs[@at], which contains them.  False: no room for what remains. */
static bool run_take(uint32_t at, uint64_t first, uint64_t count)
{
	struct run *run = &runs[at];
	struct run above = {first + count, run->first + run->count - first - count};

	if (above.count && first > run->first && !run_insert(at + 1, above))
		return false;
	if (first > run->first)
		run->count = first - run->first;
	else if (above.count)
		*run = above;
	else
		run_remove(at);
	return true;
}

/* Finds and takes; the descriptors are not touched. */
static struct run take(uint64_t want, uint64_t align)
{
	struct run best = {0, 0};
	uint32_t best_at = 0;

	for (uint32_t i = 0; i < nr_runs && best.count < want; i++) {
		uint64_t first = align_up(runs[i].first, align), end = runs[i].first + runs[i].count;
		uint64_t count = first < end ? end - first : 0;

		if (count > want)
			count = want;
		if (count > best.count) {
			best = (struct run){first, count};
			best_at = i;
		}
	}
	if (best.count && !run_take(best_at, best.first, best.count))
		best.count = 0;
	return best;
}

static void set_desc(struct run run, uint32_t refcount, uint32_t flags)
{
	for (uint64_t i = 0; i < run.count; i++)
		mem.desc[run.first + i] = (struct fw_page_desc){refcount, flags};
}

struct run pages_alloc(uint64_t want, uint64_t align, uint32_t flags)
{
	struct run run = take(want, align);

	set_desc(run, 1, flags);
	return run;
}

void pages_free(struct run run)
{
	uint32_t at = 0;
	bool joins_below, joins_above;

	while (at < nr_runs && runs[at].first < run.first)
		at++;
	joins_below = at > 0 && runs[at - 1].first + runs[at - 1].count == run.first;
	joins_above = at < nr_runs && run.first + run.count == runs[at].first;
	if (joins_below) {
		runs[at - 1].count += run.count;
		if (joins_above) {
			runs[at - 1].count += runs[at].count;
			run_remove(at);
		}
	} else if (joins_above) {
		runs[at].first = run.first;
		runs[at].count += run.count;
	} else if (!run_insert(at, run)) {
		return;
	}
	set_desc(run, 0, FW_PAGE_FREE);
}

/* The free list at the start: all RAM above the first MiB but the image. */
static void find_free_memory(void)
{
	struct run image = {(uint64_t)_start >> PAGE_SHIFT, (uint64_t)(_end - _start) >> PAGE_SHIFT};

	for (uint32_t i = 0; i < start.nr_ram; i++) {
		uint64_t first = start.ram[i].first, end = start.ram[i].end;

		if (first < LOW_PAGES)
			first = LOW_PAGES;
		if (first >= end)
			continue;
		run_insert(nr_runs, (struct run){first, end - first});
		if (first <= image.first && image.first + image.count <= end)
			run_take(nr_runs - 1, image.first, image.count);
	}
}

/* One page directory for GiB number @gib: RAM as 2 MiB blocks, and the local APIC where it is. */
static void fill_page_directory(uint64_t *pd, uint64_t gib)
{
	uint64_t first_block = gib * BLOCKS_PER_GIB;
	uint64_t lapic_block = LAPIC_BASE >> 21;

	for (uint32_t i = 0; i < start.nr_ram; i++) {
		uint64_t block = start.ram[i].first / PAGES_PER_BLOCK;
		uint64_t end = align_up(start.ram[i].end, PAGES_PER_BLOCK) / PAGES_PER_BLOCK;

		if (block < first_block)
			block = first_block;
		for (; block < end && block < first_block + BLOCKS_PER_GIB; block++)
			pd[block - first_block] = block << 21 | PTE_LARGE | PTE_USER;
	}
	if (lapic_block / BLOCKS_PER_GIB == gib)
		pd[lapic_block - first_block] = lapic_block << 21 | PTE_UNCACHED | PTE_LARGE | PTE_USER;
}

void mem_mark_holes(void)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < start.nr_ram; i++) {
		set_desc((struct run){end, start.ram[i].first - end}, 0, FW_PAGE_RESERVED);
		end = start.ram[i].end;
	}
}

const char *mem_init(void)
{
	uint64_t top = start.ram[start.nr_ram - 1].end;
	uint64_t gibs = align_up(top, 1 << 18) >> 18;
	uint64_t high_pds = gibs > LOW_GIBS ? gibs - LOW_GIBS : 0;
	uint64_t desc_pages = align_up(top * sizeof(struct fw_page_desc), PAGE_BYTES) >> PAGE_SHIFT;
	struct run own, low = {0, LOW_PAGES};
	struct run image = {(uint64_t)_start >> PAGE_SHIFT, (uint64_t)(_end - _start) >> PAGE_SHIFT};
	uint64_t *pds;

	find_free_memory();
	for (uint64_t gib = 1; gib < LOW_GIBS; gib++)
		fill_page_directory(low_pds + (gib - 1) * PTES, gib);
	own = take(high_pds + desc_pages, 1);
	pds = (uint64_t *)(own.first << PAGE_SHIFT);
	/* the page directories are written through the static tables, which end at 1 GiB */
	if (own.count < high_pds + desc_pages || own.first + high_pds > 1 << 18)
		return "not enough memory for the page descriptors";
	__builtin_memset(pds, 0, high_pds * PAGE_BYTES);
	for (uint64_t i = 0; i < high_pds; i++) {
		fill_page_directory(pds + i * PTES, LOW_GIBS + i);
		boot_pdpt[LOW_GIBS + i] = (uint64_t)(pds + i * PTES) | PTE_USER;
	}
	mem.desc = (struct fw_page_desc *)((own.first + high_pds) << PAGE_SHIFT);
	mem.nr_desc = top;
	if (!machine.firmware) /* after a reset by QEMU, memory holds what the last boot left */
		__builtin_memset(mem.desc, 0, top * sizeof(*mem.desc));
	if (top < LOW_PAGES)
		low.count = top;
	set_desc(low, 1, FW_PAGE_RESERVED);
	set_desc(image, 1, FW_PAGE_RESERVED);
	set_desc(own, 1, FW_PAGE_RESERVED);
	return NULL;
}
