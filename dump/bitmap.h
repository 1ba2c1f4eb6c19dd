/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/bitmap.h - a bit for each page: bit n of a bitmap is bit n % 64 of word n / 64.
 *
 * Locks: none.  Threads that change bits keep to different words, or serialise.
 */
#ifndef DUMP_BITMAP_H
#define DUMP_BITMAP_H

#include "dump/base/num.h"

#include <stdint.h>
#include <string.h>

static inline bool bitmap_test(const uint64_t *map, uint64_t bit)
{
	return map[bit / 64] >> (bit % 64) & 1;
}

static inline void bitmap_clear(uint64_t *map, uint64_t bit)
{
	map[bit / 64] &= ~(1ull << (bit % 64));
}

/* Sets bits 0 .. @bits - 1 and clears the rest of the last word. */
static inline void bitmap_fill(uint64_t *map, uint64_t bits)
{
	memset(map, 0xff, bits / 64 * 8);
	if (bits % 64)
		map[bits / 64] = (1ull << (bits % 64)) - 1;
}

/* First bit at or after @from with value @value, or @end if there is none before it. */
static inline uint64_t bitmap_next(const uint64_t *map, uint64_t from, uint64_t end, bool value)
{
	while (from < end) {
		uint64_t word = (value ? map[from / 64] : ~map[from / 64]) >> (from % 64);

		if (word)
			return u64_min(from + (uint64_t)__builtin_ctzll(word), end);
		from = (from / 64 + 1) * 64;
	}
	return end;
}

#endif /* DUMP_BITMAP_H */
