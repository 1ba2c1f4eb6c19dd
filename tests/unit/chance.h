/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/chance.h - random numbers of tests, which can be had again.
 *
 * One seed for a run of the program: UNIT_TESTS_SEED, or else one made of the clock.  The program prints it
 * at its start, so that a failure of a random moment can be repeated.  Locks: none; each test is a process.
 */
#ifndef TESTS_UNIT_CHANCE_H
#define TESTS_UNIT_CHANCE_H

#include <stdint.h>

/* Chooses the seed and prints it; before any test. */
void chance_init(void);

/* Begins a sequence of its own for each test and iteration: @test is its __func__ or the like. */
void chance_begin(const char *test, int iteration);

/* A number below @end, which is not 0. */
uint64_t chance_below(uint64_t end);

#endif /* TESTS_UNIT_CHANCE_H */
