/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/guest.h - a small guest whose memory comes from a fuzzer's input, for targets of selectors.
 *
 * RAM is 32 pages: 20 at 0 and 12 at 1 MiB.  Input is a sequence of records {u16 place, u64 value},
 * little-endian: value is stored at guest-physical place * 8 of RAM offset, modulo the size of RAM; that
 * way a fuzzer reaches page tables with a few bytes.  Bit 15 of place: the value is stored 64 times in a row.
 */
#ifndef TESTS_FUZZ_GUEST_H
#define TESTS_FUZZ_GUEST_H

#include "dump/region/guest_view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_PAGES 32
#define FUZZ_RAM (FUZZ_PAGES * PAGE_SIZE_4K)
#define FUZZ_HOLE_START (20 * PAGE_SIZE_4K)
#define FUZZ_HOLE_END MIB(1)

struct fuzz_guest {
	struct dump_layout layout;
	struct guest_view view;
	uint8_t ram[FUZZ_RAM]; /* what the file holds: by RAM offset */
};

/* Ends the program with @what if not @ok.  Not assert(): a fuzzer's build must not lose it to NDEBUG. */
void must(bool ok, const char *what);

/* One guest for all inputs; each call starts from memory of zeros. */
struct fuzz_guest *fuzz_guest_init(const uint8_t *records, size_t size);

/* The next @len bytes of the input, zeros where it has ended; advances. */
void fuzz_take(const uint8_t **data, size_t *size, void *to, size_t len);

#endif /* TESTS_FUZZ_GUEST_H */
