/* SPDX-License-Identifier: Apache-2.0 */
/* dump/region/pagewalk.c - see pagewalk.h */
#include "dump/region/pagewalk.h"

#include <errno.h>

/* Intel SDM vol. 3A, tables 4-14 to 4-20: the same places in the entries of all levels */
#define ENTRY_PRESENT (1ull << 0)
#define ENTRY_WRITABLE (1ull << 1)
#define ENTRY_PAGE (1ull << 7) /* levels 2 and 3: maps a page; level 1: a memory type; above: reserved */
#define ENTRY_ADDRESS 0x000ffffffffff000ull /* bits 51..12; those over MAXPHYADDR are beyond any RAM */
#define ENTRY_PAT_OF_LARGE (1ull << 12)     /* in the address of a large page */

#define LEVEL_PT 1
#define LEVEL_PDPT 3 /* the highest whose entries may map pages */
#define LEVEL_BITS 9

/* Bytes that one entry of a table of @level covers. */
static uint64_t entry_bytes(unsigned level)
{
	return PAGE_SIZE_4K << (LEVEL_BITS * (level - 1));
}

static unsigned entry_index(uint64_t gva, unsigned level)
{
	return gva / entry_bytes(level) % PAGEWALK_ENTRIES;
}

void pagewalk_init(struct pagewalk *walk, const struct guest_view *view, uint64_t cr3, uint64_t cr4,
	uint64_t tables_max)
{
	walk->view = view;
	walk->root = cr3 & ENTRY_ADDRESS;
	walk->levels = cr4 & PAGEWALK_CR4_LA57 ? 5 : 4;
	walk->tables_left = tables_max;
	walk->on_table = NULL;
	walk->arg = NULL;
	for (unsigned i = 0; i < PAGEWALK_LEVELS_MAX; i++)
		walk->tables[i].valid = false;
}

/* Half of what the tables can translate: the lower half starts at 0, the upper one ends at 2^64. */
static uint64_t half_bytes(const struct pagewalk *walk)
{
	return entry_bytes(walk->levels) * PAGEWALK_ENTRIES / 2;
}

bool pagewalk_is_canonical(const struct pagewalk *walk, uint64_t gva)
{
	return gva < half_bytes(walk) || gva >= -half_bytes(walk);
}

uint64_t pagewalk_room(const struct pagewalk *walk, uint64_t gva)
{
	return gva < half_bytes(walk) ? half_bytes(walk) - gva : -gva;
}

/* The copy of the table at @gpa, made now unless it is the level's last one. */
static int get_table(struct pagewalk *walk, unsigned level, uint64_t gpa, const struct pagewalk_table **ret)
{
	struct pagewalk_table *table = &walk->tables[level - 1];
	int r;

	*ret = table;
	if (table->valid && table->gpa == gpa)
		return 0;
	if (!walk->tables_left)
		return -E2BIG;
	walk->tables_left--;
	table->valid = false;
	r = guest_view_read(walk->view, gpa, table->entries, sizeof(table->entries));
	if (r)
		return r;
	table->valid = true;
	table->gpa = gpa;
	if (walk->on_table)
		walk->on_table(walk->arg, gpa);
	return 0;
}

static bool is_page(uint64_t entry, unsigned level)
{
	return level == LEVEL_PT || (level <= LEVEL_PDPT && entry & ENTRY_PAGE);
}

/* @entry is present. */
static bool has_reserved_bits(uint64_t entry, unsigned level)
{
	if (level > LEVEL_PDPT)
		return entry & ENTRY_PAGE;
	if (level == LEVEL_PT || !(entry & ENTRY_PAGE))
		return false;
	return entry & ENTRY_ADDRESS & (entry_bytes(level) - 1) & ~ENTRY_PAT_OF_LARGE;
}

int pagewalk_run(struct pagewalk *walk, uint64_t gva, struct pagewalk_run *ret)
{
	uint64_t gpa = walk->root, all = ENTRY_WRITABLE;

	if (!pagewalk_is_canonical(walk, gva))
		return -ERANGE;
	for (unsigned level = walk->levels;; level--) {
		uint64_t size = entry_bytes(level);
		const struct pagewalk_table *table;
		uint64_t entry;
		int r;

		r = get_table(walk, level, gpa, &table);
		if (r)
			return r;
		entry = table->entries[entry_index(gva, level)];
		if (!(entry & ENTRY_PRESENT)) {
			*ret = (struct pagewalk_run){.bytes = size - gva % size};
			return 0;
		}
		if (has_reserved_bits(entry, level))
			return -EINVAL;
		all &= entry;
		gpa = entry & ENTRY_ADDRESS;
		if (is_page(entry, level)) {
			gpa = u64_align_down(gpa, size) + gva % size;
			*ret = (struct pagewalk_run){.mapped = true,
				.writable = all & ENTRY_WRITABLE,
				.gpa = gpa,
				.bytes = size - gva % size};
			return 0;
		}
	}
}
