/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/base/bitmap.h - a bit for each page: bit n of a bitmap is bit n % 64 of word n / 64.
 *
 * Locks: none.  Threads that change bits keep to different words, or use bitmap_clear_mask_atomic() and
 * read with bitmap_next().
 */
#ifndef DUMP_BASE_BITMAP_H
#define DUMP_BASE_BITMAP_H

#include "dump/base/num.h"

#include <stdint.h>
#include <string.h>

/* Words of a bitmap of @bits bits. */
static inline uint64_t bitmap_words(uint64_t bits)
{
	return (bits + 63) / 64;
}

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

static inline void bitmap_set(uint64_t *map, uint64_t bit)
{
	map[bit / 64] |= 1ull << (bit % 64);
}

/* Sets bits @bit + n for each bit n that is set in @mask; they all lie inside the map. */
static inline void bitmap_set_mask(uint64_t *map, uint64_t bit, uint64_t mask)
{
	uint64_t low = mask << (bit % 64);
	uint64_t high = bit % 64 ? mask >> (64 - bit % 64) : 0;

	if (low)
		map[bit / 64] |= low;
	if (high)
		map[bit / 64 + 1] |= high;
}

/* Bits @first .. @last of one word. */
static inline uint64_t bitmap_word_mask(unsigned first, unsigned last)
{
	return ~0ull >> (63 - last) & ~0ull << first;
}

/* Sets bits [@first, @end). */
static inline void bitmap_set_range(uint64_t *map, uint64_t first, uint64_t end)
{
	while (first < end) {
		uint64_t stop = u64_min((first / 64 + 1) * 64, end);

		map[first / 64] |= bitmap_word_mask(first % 64, (stop - 1) % 64);
		first = stop;
	}
}

/* Clears bits [@first, @end). */
static inline void bitmap_clear_range(uint64_t *map, uint64_t first, uint64_t end)
{
	while (first < end) {
		uint64_t stop = u64_min((first / 64 + 1) * 64, end);

		map[first / 64] &= ~bitmap_word_mask(first % 64, (stop - 1) % 64);
		first = stop;
	}
}

/* Number of set bits among the first @bits. */
static inline uint64_t bitmap_count(const uint64_t *map, uint64_t bits)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < bits / 64; i++)
		sum += (uint64_t)__builtin_popcountll(map[i]);
	if (bits % 64)
		sum += (uint64_t)__builtin_popcountll(map[bits / 64] & ((1ull << (bits % 64)) - 1));
	return sum;
}

/* Clears bits @bit + n for each bit n that is set in @mask, beside threads that clear others. */
static inline void bitmap_clear_mask_atomic(uint64_t *map, uint64_t bit, uint64_t mask)
{
	uint64_t low = mask << (bit % 64);
	uint64_t high = bit % 64 ? mask >> (64 - bit % 64) : 0;

	if (low)
		__atomic_fetch_and(&map[bit / 64], ~low, __ATOMIC_RELAXED);
	if (high)
		__atomic_fetch_and(&map[bit / 64 + 1], ~high, __ATOMIC_RELAXED);
}

/* Number of set bits in [@first, @end). */
static inline uint64_t bitmap_count_range(const uint64_t *map, uint64_t first, uint64_t end)
{
	uint64_t sum = 0;

	while (first < end) {
		uint64_t stop = u64_min((first / 64 + 1) * 64, end);
		uint64_t mask = bitmap_word_mask(first % 64, (stop - 1) % 64);

		sum += (uint64_t)__builtin_popcountll(map[first / 64] & mask);
		first = stop;
	}
	return sum;
}

/* First bit at or after @from with value @value, or @end if there is none before it. */
static inline uint64_t bitmap_next(const uint64_t *map, uint64_t from, uint64_t end, bool value)
{
	while (from < end) {
		uint64_t all = __atomic_load_n(&map[from / 64], __ATOMIC_RELAXED);
		uint64_t word = (value ? all : ~all) >> (from % 64);

		if (word)
			return u64_min(from + (uint64_t)__builtin_ctzll(word), end);
		from = (from / 64 + 1) * 64;
	}
	return end;
}

#endif /* DUMP_BASE_BITMAP_H */
