/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/region/pagewalk.h - the page tables of a crashed guest: 4 and 5 levels, pages of 4 KiB, 2 MiB and 1 GiB
 * (Intel SDM vol. 3A 4.5).
 *
 * The tables are hostile.  A walk has as many steps as there are levels, so a loop in them cannot make
 * one here; every table is copied once from inside RAM or refused; and the tables that one struct may
 * read are counted.  Of permissions only the one to write is told; accessed and key bits are ignored.
 *
 * The last table of each level is kept, so that neighbouring pages cost no more than a few loads.
 * Locks: none; a struct is used by one thread.
 */
#ifndef DUMP_REGION_PAGEWALK_H
#define DUMP_REGION_PAGEWALK_H

#include "dump/region/guest_view.h"

#include <stdbool.h>
#include <stdint.h>

#define PAGEWALK_LEVELS_MAX 5
#define PAGEWALK_ENTRIES 512

/* Bits of control registers that decide how addresses are translated (Intel SDM vol. 3A 2.5) */
#define PAGEWALK_CR0_PG (1ull << 31)
#define PAGEWALK_CR4_PAE (1ull << 5)
#define PAGEWALK_CR4_LA57 (1ull << 12)

struct pagewalk_table {
	bool valid;
	uint64_t gpa; /* where the copy comes from */
	uint64_t entries[PAGEWALK_ENTRIES];
};

struct pagewalk {
	const struct guest_view *view; /* borrowed */
	uint64_t root;                 /* guest-physical address of the first table */
	unsigned levels;               /* 4 or 5 */
	uint64_t tables_left;          /* reads of tables that are still allowed */
	/* Called with the address of each table that has been read, perhaps more than once; NULL = none. */
	void (*on_table)(void *arg, uint64_t gpa);
	void *arg;
	struct pagewalk_table tables[PAGEWALK_LEVELS_MAX]; /* last table of level 1 (PT) .. 5 (PML5) */
};

/* A run of guest-virtual memory that one entry decides about. */
struct pagewalk_run {
	bool mapped;
	bool writable;  /* mapped: by the kernel, by the entries of all levels */
	uint64_t gpa;   /* mapped: guest-physical address of its first byte; perhaps outside RAM */
	uint64_t bytes; /* from the address asked for to the end of the page, or of the unmapped range */
};

/*
 * pagewalk_init - for tables at @cr3 (flags and PCID are ignored) in the mode that @cr4 tells, with
 * leave to read @tables_max tables.  20 KiB: not for small stacks.
 */
void pagewalk_init(struct pagewalk *walk, const struct guest_view *view, uint64_t cr3, uint64_t cr4,
	uint64_t tables_max);

/* True if all bits above the highest translated one equal it: only such addresses can be mapped. */
bool pagewalk_is_canonical(const struct pagewalk *walk, uint64_t gva);

/* Bytes from @gva, a canonical address, to the end of its half of the address space. */
uint64_t pagewalk_room(const struct pagewalk *walk, uint64_t gva);

/*
 * pagewalk_run - translate @gva.
 * Errors: -ERANGE if @gva is not canonical; -EFAULT if a table is outside RAM; -EINVAL if an entry has
 * a reserved bit set; -E2BIG if no more tables may be read; -errno of the file.  *ret is then unchanged.
 */
int warn_unused pagewalk_run(struct pagewalk *walk, uint64_t gva, struct pagewalk_run *ret);

#endif /* DUMP_REGION_PAGEWALK_H */
