/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/guest_ram.h - a sparse guest of 64 MiB in a memfd: RAM at 0 .. 32 MiB and at 64 .. 96 MiB,
 * with helpers to build page tables in it.  Every helper ends the test when the host refuses.
 */
#ifndef TESTS_UNIT_GUEST_RAM_H
#define TESTS_UNIT_GUEST_RAM_H

#include "dump/region/guest_view.h"

#define GUEST_RAM MIB(64)
#define GUEST_RAM_PAGES (GUEST_RAM / PAGE_SIZE_4K)
#define GUEST_HOLE_START MIB(32)
#define GUEST_HOLE_END MIB(64)
#define GUEST_RAM_END MIB(96)

struct guest_ram {
	struct dump_layout layout;
	struct guest_view view;
};

void guest_ram_init(struct guest_ram *ram);
void guest_ram_fini(struct guest_ram *ram);

/* Copies to guest-physical @gpa, which must be RAM. */
void guest_ram_put(struct guest_ram *ram, uint64_t gpa, const void *data, size_t len);

/* Entry @index of the table at @table. */
void guest_ram_entry(struct guest_ram *ram, uint64_t table, unsigned index, uint64_t entry);

/* Bytes of the file that have memory behind them. */
uint64_t guest_ram_populated(const struct guest_ram *ram);

#endif /* TESTS_UNIT_GUEST_RAM_H */
