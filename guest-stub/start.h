/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/start.h - what the VMM passed at the PVH entry: memory map and command line.
 */
#ifndef GUEST_STUB_START_H
#define GUEST_STUB_START_H

#include "guest-stub/cpu.h"

/* our choice: bounds for what is taken over from the VMM's structures */
#define MAX_RAM_RANGES 32
#define CMDLINE_BYTES 4096

/* Whole pages of RAM, [first, end) as page frame numbers. */
struct ram_range {
	uint64_t first, end;
};

/* Copied from the start info, which is not looked at again; RAM grows by start_add_ram() alone. */
struct start {
	uint32_t nr_ram;
	struct ram_range ram[MAX_RAM_RANGES]; /* ascending, not overlapping */
	uint64_t ram_pages;                   /* in all ranges together */
	char cmdline[CMDLINE_BYTES];          /* NUL-terminated; config.c cuts it up */
};

extern struct start start;

/*
 * start_read - fill in @start from the hvm_start_info at guest-physical address @info.
 * Returns null, or what is wrong with it.
 */
const char *start_read(uint64_t info);

/*
 * start_add_ram - one more range, page frames [@first, @end), above all others; it may go on where the last one ends.
 * False: it is not above them, or there are too many.
 */
bool start_add_ram(uint64_t first, uint64_t end);

#endif /* GUEST_STUB_START_H */
