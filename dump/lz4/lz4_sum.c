/* SPDX-License-Identifier: Apache-2.0 */
/* dump/lz4/lz4_sum.c - see lz4_sum.h */
#include "dump/lz4/lz4_sum.h"

#include "dump/base/num.h"
#include "dump/lz4/lz4_frame.h"

#include <string.h>

#define PRIME32_1 0x9E3779B1u
#define PRIME32_2 0x85EBCA77u
#define PRIME32_3 0xC2B2AE3Du
#define PRIME32_4 0x27D4EB2Fu
#define PRIME32_5 0x165667B1u

#define STRIPE 16 /* bytes; four for each lane */

static uint32_t rotate(uint32_t v, int bits)
{
	return v << bits | v >> (32 - bits);
}

static uint32_t round_of(uint32_t lane, uint32_t input)
{
	return rotate(lane + input * PRIME32_2, 13) * PRIME32_1;
}

/* Whole stripes.  The lanes are in registers meanwhile: this is where the time goes. */
static void add_stripes(uint32_t lanes[4], const unsigned char *at, size_t stripes)
{
	uint32_t a = lanes[0], b = lanes[1], c = lanes[2], d = lanes[3];

	for (; stripes; stripes--, at += STRIPE) {
		a = round_of(a, lz4_get32(at));
		b = round_of(b, lz4_get32(at + 4));
		c = round_of(c, lz4_get32(at + 8));
		d = round_of(d, lz4_get32(at + 12));
	}
	lanes[0] = a;
	lanes[1] = b;
	lanes[2] = c;
	lanes[3] = d;
}

void lz4_sum_start(struct lz4_sum *sum)
{
	*sum = (struct lz4_sum){.lanes = {PRIME32_1 + PRIME32_2, PRIME32_2, 0, -PRIME32_1}};
}

void lz4_sum_add(struct lz4_sum *sum, const void *data, size_t len)
{
	size_t have = sum->total % STRIPE, part = u64_min(STRIPE - have, len);
	const unsigned char *at = data;

	if (!len)
		return;
	sum->total += len;
	if (have) {
		memcpy(sum->rest + have, at, part);
		at += part;
		len -= part;
		if (have + part < STRIPE)
			return;
		add_stripes(sum->lanes, sum->rest, 1);
	}
	add_stripes(sum->lanes, at, len / STRIPE);
	memcpy(sum->rest, at + len / STRIPE * STRIPE, len % STRIPE);
}

uint32_t lz4_sum_end(const struct lz4_sum *sum)
{
	const uint32_t *lanes = sum->lanes;
	const unsigned char *at = sum->rest;
	size_t len = sum->total % STRIPE;
	uint32_t h = PRIME32_5;

	if (sum->total >= STRIPE)
		h = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
	h += (uint32_t)sum->total;
	for (; len >= 4; at += 4, len -= 4)
		h = rotate(h + lz4_get32(at) * PRIME32_3, 17) * PRIME32_4;
	for (; len; at++, len--)
		h = rotate(h + *at * PRIME32_5, 11) * PRIME32_1;
	h = (h ^ h >> 15) * PRIME32_2;
	h = (h ^ h >> 13) * PRIME32_3;
	return h ^ h >> 16;
}

uint32_t lz4_sum_of(const void *data, size_t len)
{
	struct lz4_sum sum;

	lz4_sum_start(&sum);
	lz4_sum_add(&sum, data, len);
	return lz4_sum_end(&sum);
}
