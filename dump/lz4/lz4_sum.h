/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/lz4/lz4_sum.h - XXH32, the checksum of the LZ4 frame format: of headers, blocks and contents, seed 0.
 *
 * Source: xxhash_spec.md 0.1.1, "XXH32 algorithm".  liblz4 has it, too, but does not offer it.  Pure, no locks.
 */
#ifndef DUMP_LZ4_LZ4_SUM_H
#define DUMP_LZ4_LZ4_SUM_H

#include <stddef.h>
#include <stdint.h>

#define LZ4_SUM_BYTES 4 /* in a file, little-endian */

/* A sum of bytes that come in pieces. */
struct lz4_sum {
	uint32_t lanes[4];
	uint64_t total;
	unsigned char rest[16]; /* total % 16 bytes that no lane has seen */
};

void lz4_sum_start(struct lz4_sum *sum);
void lz4_sum_add(struct lz4_sum *sum, const void *data, size_t len);
uint32_t lz4_sum_end(const struct lz4_sum *sum);

/* Of @len bytes in one piece. */
uint32_t lz4_sum_of(const void *data, size_t len);

#endif /* DUMP_LZ4_LZ4_SUM_H */
