/* SPDX-License-Identifier: Apache-2.0 */
/* dump/base/zero_pages.c - see zero_pages.h */
#include "dump/base/zero_pages.h"

#include "dump/base/num.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* our choice: what is looked at before asking whether it was enough; a page of data ends its test here */
#define STEP 256

static bool is_zero_portable(const unsigned char *page)
{
	for (size_t at = 0; at < PAGE_SIZE_4K; at += STEP) {
		uint64_t words[STEP / 8];
		uint64_t any = 0;

		memcpy(words, page + at, STEP);
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			any |= words[i];
		if (any)
			return false;
	}
	return true;
}

uint64_t zero_pages_portable(const unsigned char *pages, uint64_t nr)
{
	uint64_t mask = 0;

	assert(nr <= ZERO_PAGES_MAX);
	for (uint64_t i = 0; i < nr; i++)
		mask |= (uint64_t)is_zero_portable(pages + i * PAGE_SIZE_4K) << i;
	return mask;
}

#ifdef __x86_64__

__attribute__((target("avx2"))) static bool is_zero_avx2(const unsigned char *page)
{
	const __m256i *at = (const __m256i *)(const void *)page;
	const __m256i *end = at + PAGE_SIZE_4K / sizeof(*at);

	for (; at < end; at += STEP / sizeof(*at)) {
		__m256i a = _mm256_or_si256(_mm256_load_si256(at), _mm256_load_si256(at + 1));
		__m256i b = _mm256_or_si256(_mm256_load_si256(at + 2), _mm256_load_si256(at + 3));
		__m256i c = _mm256_or_si256(_mm256_load_si256(at + 4), _mm256_load_si256(at + 5));
		__m256i d = _mm256_or_si256(_mm256_load_si256(at + 6), _mm256_load_si256(at + 7));

		a = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
		if (!_mm256_testz_si256(a, a))
			return false;
	}
	return true;
}

__attribute__((target("avx2"))) static uint64_t zero_pages_avx2(const unsigned char *pages, uint64_t nr)
{
	uint64_t mask = 0;

	for (uint64_t i = 0; i < nr; i++)
		mask |= (uint64_t)is_zero_avx2(pages + i * PAGE_SIZE_4K) << i;
	return mask;
}

uint64_t zero_pages(const unsigned char *pages, uint64_t nr)
{
	assert(nr <= ZERO_PAGES_MAX);
	return __builtin_cpu_supports("avx2") ? zero_pages_avx2(pages, nr) : zero_pages_portable(pages, nr);
}

#else

uint64_t zero_pages(const unsigned char *pages, uint64_t nr)
{
	return zero_pages_portable(pages, nr);
}

#endif
