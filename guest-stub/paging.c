/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/paging.c - see paging.h.
 */
#include "guest-stub/machine.h"
#include "guest-stub/paging.h"

#define PTE_ADDRESS 0x000ffffffffff000
#define BLOCK_SHIFT 21 /* of a 2 MiB page */
#define GIB_SHIFT 30
#define BLOCKS_PER_GIB 512
#define LOW_GIBS 4           /* tables.S has the page directories of GiB 0 to 3 */
#define ALIAS_GIB (PTES - 1) /* LOW_ALIAS */
#define SHIFT_TOP 39         /* address bits below an entry of the top-level table */
#define BITS_PER_LEVEL 9

extern uint64_t boot_pml4[PTES], boot_pdpt[PTES], low_pds[3 * PTES];

static struct table_pool spare; /* for added memory; left is 0 unless this guest may need it */

static uint64_t align_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

/* GiBs up to the end of RAM, or of that which may come later. */
static uint64_t ram_gibs(void)
{
	return align_up(mem_top(), 1 << (GIB_SHIFT - PAGE_SHIFT)) >> (GIB_SHIFT - PAGE_SHIFT);
}

static uint64_t high_directories(void)
{
	return ram_gibs() > LOW_GIBS ? ram_gibs() - LOW_GIBS : 0;
}

uint64_t paging_tables(void)
{
	/* an area of added memory can begin and end in the middle of a GiB, and there can be so many of them */
	uint64_t added = machine.dump_mode == FW_DUMP_MODE_ADDMEM ? ram_gibs() + 2 * FW_STREAMS_MAX : 0;

	return high_directories() + added;
}

static uint64_t *pool_take(struct table_pool *pool)
{
	uint64_t *table = pool->next;

	if (!pool->left)
		return NULL;
	pool->left--;
	pool->next += PTES;
	__builtin_memset(table, 0, PAGE_BYTES);
	return table;
}

/* One page directory for GiB number @gib: RAM as 2 MiB blocks, and the APICs where they are. */
static void fill_page_directory(uint64_t *pd, uint64_t gib)
{
	uint64_t first_block = gib * BLOCKS_PER_GIB;
	const uint64_t devices[] = {LAPIC_BASE >> BLOCK_SHIFT, IOAPIC_BASE >> BLOCK_SHIFT};

	for (uint32_t i = 0; i < start.nr_ram; i++) {
		uint64_t block = start.ram[i].first / PAGES_PER_BLOCK;
		uint64_t end = align_up(start.ram[i].end, PAGES_PER_BLOCK) / PAGES_PER_BLOCK;

		if (block < first_block)
			block = first_block;
		for (; block < end && block < first_block + BLOCKS_PER_GIB; block++)
			pd[block - first_block] = block << BLOCK_SHIFT | PTE_LARGE | PTE_USER;
	}
	for (uint32_t i = 0; i < ARRAY_LEN(devices); i++)
		if (devices[i] / BLOCKS_PER_GIB == gib)
			pd[devices[i] - first_block] = devices[i] << BLOCK_SHIFT | PTE_UNCACHED |
						       PTE_LARGE | PTE_USER;
}

void paging_init(uint64_t *tables)
{
	uint64_t high = high_directories();

	spare = (struct table_pool){tables, paging_tables()};
	/* the tables are written through the static ones, which end at 1 GiB */
	for (uint64_t gib = 1; gib < LOW_GIBS; gib++)
		fill_page_directory(low_pds + (gib - 1) * PTES, gib);
	for (uint64_t i = 0; i < high; i++) {
		uint64_t *pd = pool_take(&spare);

		fill_page_directory(pd, LOW_GIBS + i);
		boot_pdpt[LOW_GIBS + i] = (uint64_t)pd | PTE_USER;
	}
}

bool paging_map_added(uint64_t gpa, uint64_t len)
{
	const uint64_t limit = (uint64_t)ALIAS_GIB << GIB_SHIFT;

	if (gpa >= limit || len > limit - gpa)
		return false;
	for (uint64_t block = gpa >> BLOCK_SHIFT; block << BLOCK_SHIFT < gpa + len; block++) {
		uint64_t *entry = &boot_pdpt[block / BLOCKS_PER_GIB];

		if (!*entry) {
			uint64_t *pd = pool_take(&spare);

			if (!pd)
				return false;
			*entry = (uint64_t)pd | PTE_USER;
		}
		((uint64_t *)(*entry & PTE_ADDRESS))[block % BLOCKS_PER_GIB] = block << BLOCK_SHIFT |
									       PTE_LARGE | PTE_USER;
	}
	return true;
}

uint64_t paging_alias_tables(struct run run, bool backwards)
{
	uint64_t blocks = align_up(run.count, PAGES_PER_BLOCK) / PAGES_PER_BLOCK;
	uint64_t directories = blocks / BLOCKS_PER_GIB + 2; /* begins and ends in the middle of a GiB */

	return 1 + directories + (backwards ? blocks : 0);
}

/* The table below entry @index of @table, made if there is none. */
static uint64_t *table_below(struct table_pool *pool, uint64_t *table, uint64_t index)
{
	if (!table[index])
		table[index] = (uint64_t)pool_take(pool) | PTE_USER;
	return (uint64_t *)(table[index] & PTE_ADDRESS);
}

void paging_alias(struct table_pool *pool, uint64_t va, struct run run, bool backwards)
{
	const uint64_t step = backwards ? 1 : PAGES_PER_BLOCK;

	for (uint64_t at = 0; at < run.count; at += step) {
		uint64_t here = va + (at << PAGE_SHIFT);
		uint64_t frame = run.first + (backwards ? run.count - 1 - at : at);
		uint64_t *table = boot_pml4;

		for (int shift = SHIFT_TOP; shift > BLOCK_SHIFT; shift -= BITS_PER_LEVEL)
			table = table_below(pool, table, here >> shift & (PTES - 1));
		if (backwards) {
			table = table_below(pool, table, here >> BLOCK_SHIFT & (PTES - 1));
			table[here >> PAGE_SHIFT & (PTES - 1)] = frame << PAGE_SHIFT | PTE_USER;
		} else {
			table[here >> BLOCK_SHIFT & (PTES - 1)] = frame << PAGE_SHIFT | PTE_LARGE |
								  PTE_USER;
		}
	}
}
