/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_grants.c - vmm/memory/grants.c: how large a grant must be so that memory slots suffice (no KVM) */
#include "tests/unit/suites.h"
#include "vmm/memory/grants.h"

#include <check.h>
#include <stdlib.h>

static uint64_t random_state = 1;

static uint64_t random_below(uint64_t end)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (random_state >> 33) % end;
}

/* Memory comes in random pieces up to @piece.  True if all of it is granted in @slots grants of allowed sizes. */
static bool play(uint64_t initial, uint64_t total, uint32_t slots, uint64_t piece)
{
	uint64_t have = initial, free = 0;
	uint32_t used = 0;

	while (have < total) {
		uint64_t least = used < slots ? grants_least(have, total, slots - used) : 0;

		if (!least || least > total - have || least % MIB(2))
			return false;
		free = u64_min(free + MIB(2) * (1 + random_below(piece / MIB(2))), total - have);
		if (free < least)
			continue;
		have += free;
		free = 0;
		used++;
	}
	return true;
}

START_TEST(the_slots_suffice_however_little_memory_comes_at_a_time)
{
	static const uint64_t initial[] = {MIB(16), MIB(64), MIB(256), MIB(1022)};
	static const uint64_t total[] = {MIB(1024), GIB(4), GIB(17)};
	static const uint64_t piece[] = {MIB(2), MIB(8), MIB(100), GIB(4)};
	static const uint32_t slots[] = {1, 2, 5, GRANT_SLOTS_MAX - 2, GRANT_SLOTS_MAX - 1};

	for (size_t i = 0; i < ARRAY_LEN(initial); i++)
		for (size_t t = 0; t < ARRAY_LEN(total); t++)
			for (size_t p = 0; p < ARRAY_LEN(piece); p++)
				for (size_t s = 0; s < ARRAY_LEN(slots); s++)
					ck_assert(play(initial[i], total[t], slots[s], piece[p]));
}
END_TEST

START_TEST(the_first_grants_are_small_and_the_last_slot_is_for_all_the_rest)
{
	ck_assert_uint_eq(grants_least(MIB(64), GIB(4), GRANT_SLOTS_MAX - 1), MIB(4));
	ck_assert_uint_eq(grants_least(MIB(16), MIB(512), GRANT_SLOTS_MAX - 1), MIB(2));
	ck_assert_uint_eq(grants_least(MIB(64), GIB(4), 1), GIB(4) - MIB(64));
	ck_assert_uint_eq(grants_least(GIB(4) - MIB(2), GIB(4), 30), MIB(2));
	/* a guest of 4 GiB need never wait for more than a fifth of it */
	for (uint64_t have = MIB(64); have < GIB(4); have += MIB(34))
		ck_assert_uint_le(grants_least(have, GIB(4), GRANT_SLOTS_MAX - 2), GIB(4) / 5);
}
END_TEST

Suite *suite_grants(void)
{
	Suite *suite = suite_create("grants");
	TCase *tcase = tcase_create("sizes");

	tcase_add_test(tcase, the_slots_suffice_however_little_memory_comes_at_a_time);
	tcase_add_test(tcase, the_first_grants_are_small_and_the_last_slot_is_for_all_the_rest);
	suite_add_tcase(suite, tcase);
	return suite;
}
