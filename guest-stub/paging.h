/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/paging.h - page tables, edited from ring 3: what maps RAM, added memory and aliases.
 *
 * Owns every entry but those of the static tables (tables.S).  One CPU at a time: the boot CPU, or in the
 * crash path whoever holds the lock in dump_addmem.c.  Nothing is ever unmapped.
 */
#ifndef GUEST_STUB_PAGING_H
#define GUEST_STUB_PAGING_H

#include "guest-stub/mem.h"

/* Page table bits (Intel SDM vol. 3A 4.5) */
#define PTE_USER 0x07  /* present, writable, user */
#define PTE_LARGE 0x80 /* 2 MiB */
#define PTE_UNCACHED 0x18
#define PTES 512

/* Frames for new tables; they need not be clear. */
struct table_pool {
	uint64_t *next;
	uint64_t left;
};

/* paging_tables - number of page frames that paging_init() needs. */
uint64_t paging_tables(void);

/*
 * paging_init - map all of start.ram and the APICs, one to one, in 2 MiB pages.
 * @tables: paging_tables() frames in the first GiB, for tables now and in the crash path.
 */
void paging_init(uint64_t *tables);

/*
 * paging_map_added - map [@gpa, @gpa + @len) one to one: memory that the VMM added, as RAM or for a dump.
 * False: out of reach of these page tables.
 */
bool paging_map_added(uint64_t gpa, uint64_t len);

/* paging_alias_tables - frames that paging_alias() can need for @run. */
uint64_t paging_alias_tables(struct run run, bool backwards);

/*
 * paging_alias - map @run a second time at virtual address @va, in 2 MiB pages, or if @backwards in 4 KiB
 * pages with the last frame first.  @va and the first frame are aligned to 2 MiB.
 */
void paging_alias(struct table_pool *pool, uint64_t va, struct run run, bool backwards);

#endif /* GUEST_STUB_PAGING_H */
