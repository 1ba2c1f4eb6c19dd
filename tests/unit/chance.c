/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/chance.c - see chance.h */
#include "tests/unit/chance.h"

#include "dump/base/io.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t seed, state;

/* Knuth's MMIX generator; the low bits are not used. */
static uint64_t step(uint64_t from)
{
	return from * 6364136223846793005ull + 1442695040888963407ull;
}

void chance_init(void)
{
	const char *given = getenv("UNIT_TESTS_SEED");

	seed = given ? strtoull(given, NULL, 0) : clock_mono_ns() % 1000000;
	printf("random moments and choices: UNIT_TESTS_SEED=%llu repeats them\n", (unsigned long long)seed);
	fflush(stdout);
}

void chance_begin(const char *test, int iteration)
{
	state = seed + (uint64_t)iteration * 7919;
	for (; *test; test++)
		state = step(state ^ (unsigned char)*test);
}

uint64_t chance_below(uint64_t end)
{
	state = step(state);
	return (state >> 33) % end;
}
