/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/tools/stub-formula.h - what a page that the guest stub filled must contain, written a second
 * time from docs/guest-stub.md and not from the stub's source: the judge's own idea of the truth.
 *
 * One thread: the dictionary of words is made on first use.
 */
#ifndef TESTS_TOOLS_STUB_FORMULA_H
#define TESTS_TOOLS_STUB_FORMULA_H

#include <stdint.h>
#include <string.h>

#define FORMULA_PAGE 4096u
#define FORMULA_WORDS 512u      /* 64-bit words of a page */
#define FORMULA_TEXT_WORDS 256u /* different words of kind "text" */

/* splitmix64 (Steele, Lea, Flood 2014): the state is advanced by the golden ratio, then mixed. */
static inline uint64_t formula_splitmix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* Kinds "pattern" and "freed": the FORMULA_WORDS words of frame @pfn. */
static inline void formula_pattern(uint64_t seed, uint64_t pfn, uint64_t *words)
{
	for (unsigned i = 0; i < FORMULA_WORDS; i++)
		words[i] = formula_splitmix64(seed + FORMULA_WORDS * pfn + i);
}

/* Kind "text": eight characters, seven letters from the bytes of splitmix64(@n) and a blank. */
static inline uint64_t formula_text_word(unsigned n)
{
	uint64_t random = formula_splitmix64(n);
	unsigned char text[8];
	uint64_t word;

	for (unsigned i = 0; i < 7; i++, random >>= 8)
		text[i] = (unsigned char)('a' + (random & 0xff) % 26);
	text[7] = ' ';
	memcpy(&word, text, sizeof(word)); /* memory order, as the guest has it */
	return word;
}

/* The FORMULA_WORDS words of frame @pfn: pattern's number modulo FORMULA_TEXT_WORDS picks each. */
static inline void formula_text(uint64_t seed, uint64_t pfn, uint64_t *words)
{
	static uint64_t dictionary[FORMULA_TEXT_WORDS];

	if (!dictionary[0]) /* no word is 0 */
		for (unsigned n = 0; n < FORMULA_TEXT_WORDS; n++)
			dictionary[n] = formula_text_word(n);
	formula_pattern(seed, pfn, words);
	for (unsigned i = 0; i < FORMULA_WORDS; i++)
		words[i] = dictionary[words[i] % FORMULA_TEXT_WORDS];
}

#endif /* TESTS_TOOLS_STUB_FORMULA_H */
