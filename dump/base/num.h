/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/base/num.h - units, alignment and overflow-checked arithmetic.
 *
 * Owns nothing.  Everything here is pure and may be used from any thread.
 */
#ifndef DUMP_BASE_NUM_H
#define DUMP_BASE_NUM_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define NSEC_PER_SEC UINT64_C(1000000000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define warn_unused __attribute__((warn_unused_result))

/* Intel SDM vol. 3A 4.5: the base page and the page that one PDE maps */
#define PAGE_SIZE_4K 4096ull
#define PAGE_SIZE_2M (2ull << 20)

/* True if @a + @b does not fit in 64 bits; *@ret_sum is then unchanged. */
static inline warn_unused bool u64_add_overflows(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
	uint64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return true;
	*ret_sum = sum;
	return false;
}

/* True if @a * @b does not fit in 64 bits; *@ret_product is then unchanged. */
static inline warn_unused bool u64_mul_overflows(uint64_t a, uint64_t b, uint64_t *ret_product)
{
	uint64_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return true;
	*ret_product = product;
	return false;
}

static inline bool u64_is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* @align is a power of two. */
static inline uint64_t u64_align_down(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

/* @align is a power of two; the caller knows that @v + @align does not wrap. */
static inline uint64_t u64_align_up(uint64_t v, uint64_t align)
{
	assert(v <= UINT64_MAX - (align - 1));
	return (v + align - 1) & ~(align - 1);
}

static inline uint64_t u64_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t u64_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif /* DUMP_BASE_NUM_H */
