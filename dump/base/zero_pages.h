/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/base/zero_pages.h - which pages hold nothing but zeros.  Locks: none, pure.
 */
#ifndef DUMP_BASE_ZERO_PAGES_H
#define DUMP_BASE_ZERO_PAGES_H

#include <stdint.h>

#define ZERO_PAGES_MAX 64

/*
 * zero_pages - test @nr pages of 4 KiB, at most ZERO_PAGES_MAX, from @pages on, which is aligned to 4 KiB.
 * Result: bit n set = page n is all zeros.
 */
uint64_t zero_pages(const unsigned char *pages, uint64_t nr);

/* The same without vector instructions: what zero_pages() is on CPUs without AVX2. */
uint64_t zero_pages_portable(const unsigned char *pages, uint64_t nr);

#endif /* DUMP_BASE_ZERO_PAGES_H */
