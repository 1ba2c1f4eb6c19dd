/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_dump_layout.c - where RAM lies in a file, and which layouts are refused. */
#include "tests/unit/suites.h"

#include "dump/base/bitmap.h"
#include "dump/region/layout.h"

#include <check.h>
#include <errno.h>

#define HOLE_START GIB(3)
#define HOLE_END GIB(4)

static struct dump_layout layout_of(uint64_t ram)
{
	struct dump_layout layout;

	ck_assert_int_eq(dump_layout_init(&layout, ram, HOLE_START, HOLE_END), 0);
	ck_assert_int_eq(dump_layout_check(&layout), 0);
	ck_assert_uint_eq(dump_layout_file_size(&layout) % PAGE_SIZE_2M, 0);
	return layout;
}

START_TEST(ram_below_the_hole_is_one_segment)
{
	const uint64_t sizes[] = {4096, MIB(512), HOLE_START - 4096, HOLE_START};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct dump_layout layout = layout_of(sizes[i]);

		ck_assert_uint_eq(layout.nr_segments, 1);
		ck_assert_uint_eq(layout.segments[0].gpa, 0);
		ck_assert_uint_eq(layout.segments[0].size, sizes[i]);
		ck_assert_uint_eq(layout.segments[0].off, 0);
		ck_assert_uint_eq(layout.ram, sizes[i]);
		ck_assert_uint_eq(layout.head, MIB(2));
	}
}
END_TEST

START_TEST(ram_above_the_hole_continues_at_its_end)
{
	const uint64_t sizes[] = {HOLE_START + 4096, GIB(4), GIB(64) + 4096};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct dump_layout layout = layout_of(sizes[i]);

		ck_assert_uint_eq(layout.nr_segments, 2);
		ck_assert_uint_eq(layout.segments[0].size, HOLE_START);
		ck_assert_uint_eq(layout.segments[1].gpa, HOLE_END);
		ck_assert_uint_eq(layout.segments[1].off, HOLE_START);
		ck_assert_uint_eq(layout.segments[1].size, sizes[i] - HOLE_START);
	}
}
END_TEST

START_TEST(an_empty_hole_splits_nothing_and_a_hole_at_0_moves_everything)
{
	struct dump_layout layout;

	ck_assert_int_eq(dump_layout_init(&layout, GIB(4), GIB(1), GIB(1)), 0);
	ck_assert_uint_eq(layout.nr_segments, 1);
	ck_assert_int_eq(dump_layout_init(&layout, GIB(4), 0, GIB(1)), 0);
	ck_assert_uint_eq(layout.nr_segments, 1);
	ck_assert_uint_eq(layout.segments[0].gpa, GIB(1));
	ck_assert_int_eq(dump_layout_check(&layout), 0);
}
END_TEST

START_TEST(impossible_sizes_and_holes_are_refused)
{
	struct dump_layout layout = {.ram = 77};

	ck_assert_int_eq(dump_layout_init(&layout, 0, HOLE_START, HOLE_END), -EINVAL);
	ck_assert_int_eq(dump_layout_init(&layout, 4095, HOLE_START, HOLE_END), -EINVAL);
	ck_assert_int_eq(dump_layout_init(&layout, DUMP_RAM_MAX + 4096, HOLE_START, HOLE_END), -EINVAL);
	ck_assert_int_eq(dump_layout_init(&layout, UINT64_MAX - 4095, HOLE_START, HOLE_END), -EINVAL);
	ck_assert_int_eq(dump_layout_init(&layout, GIB(1), HOLE_START + 1, HOLE_END), -EINVAL);
	ck_assert_int_eq(dump_layout_init(&layout, GIB(1), HOLE_START, HOLE_END + 1), -EINVAL);
	ck_assert_int_eq(dump_layout_init(&layout, GIB(1), HOLE_END, HOLE_START), -EINVAL);
	ck_assert_int_eq(dump_layout_init(&layout, GIB(1), 0, UINT64_MAX - 4095), -EINVAL);
	ck_assert_uint_eq(layout.ram, 77);
	ck_assert_int_eq(dump_layout_init(&layout, DUMP_RAM_MAX, HOLE_START, HOLE_END), 0);
	ck_assert_int_eq(dump_layout_check(&layout), 0);
}
END_TEST

START_TEST(a_layout_that_breaks_any_rule_is_refused)
{
	const struct dump_layout good = layout_of(GIB(4));
	struct dump_layout bad;

#define REFUSED(change)                                                                                    \
	do {                                                                                               \
		bad = good;                                                                                \
		change;                                                                                    \
		ck_assert_msg(dump_layout_check(&bad) == -EINVAL, #change);                                \
	} while (0)
	REFUSED(bad.head = 0);
	REFUSED(bad.head = 4096);
	REFUSED(bad.head = 1ull << 63);
	REFUSED(bad.ram = 0);
	REFUSED(bad.ram += 1);
	REFUSED(bad.ram -= 4096);
	REFUSED(bad.ram += 4096);
	REFUSED(bad.ram = UINT64_MAX - 4095);
	REFUSED(bad.tail = 0);
	REFUSED(bad.tail += 1);
	REFUSED(bad.tail = dump_layout_tail_min(bad.ram) - 4096);
	REFUSED(bad.tail = UINT64_MAX - 4095);
	REFUSED(bad.nr_segments = 0);
	REFUSED(bad.nr_segments = 1);
	REFUSED(bad.nr_segments = 3);
	REFUSED(bad.nr_segments = DUMP_SEGMENTS_MAX + 1);
	REFUSED(bad.nr_segments = UINT32_MAX);
	REFUSED(bad.segments[0].gpa = 1);
	REFUSED(bad.segments[0].gpa = HOLE_END);
	REFUSED(bad.segments[0].size = 0);
	REFUSED(bad.segments[0].size += 4096);
	REFUSED(bad.segments[0].size -= 1);
	REFUSED(bad.segments[0].off = 4096);
	REFUSED(bad.segments[1].off -= 4096);
	REFUSED(bad.segments[1].off += 4096);
	REFUSED(bad.segments[1].gpa = HOLE_START - 4096);
	REFUSED(bad.segments[1].gpa = UINT64_MAX - 4095);
	REFUSED(bad.segments[1].size = UINT64_MAX - 4095);
#undef REFUSED
}
END_TEST

START_TEST(an_address_becomes_its_offset_only_inside_one_segment)
{
	const struct dump_layout layout = layout_of(GIB(4));
	uint64_t off = 99;

	ck_assert_int_eq(dump_layout_offset(&layout, 0, 1, &off), 0);
	ck_assert_uint_eq(off, 0);
	ck_assert_int_eq(dump_layout_offset(&layout, HOLE_START - 1, 1, &off), 0);
	ck_assert_uint_eq(off, HOLE_START - 1);
	ck_assert_int_eq(dump_layout_offset(&layout, HOLE_END, GIB(1), &off), 0);
	ck_assert_uint_eq(off, HOLE_START);
	off = 99;
	ck_assert_int_eq(dump_layout_offset(&layout, HOLE_START - 1, 2, &off), -EFAULT);
	ck_assert_int_eq(dump_layout_offset(&layout, HOLE_START, 1, &off), -EFAULT);
	ck_assert_int_eq(dump_layout_offset(&layout, HOLE_END - 1, 1, &off), -EFAULT);
	ck_assert_int_eq(dump_layout_offset(&layout, HOLE_END, GIB(1) + 1, &off), -EFAULT);
	ck_assert_int_eq(dump_layout_offset(&layout, HOLE_END + GIB(1), 0, &off), -EFAULT);
	ck_assert_uint_eq(off, 99);
}
END_TEST

START_TEST(an_address_and_length_that_wrap_are_refused)
{
	const struct dump_layout layout = layout_of(GIB(4));
	uint64_t off = 99;

	ck_assert_int_eq(dump_layout_offset(&layout, 4096, UINT64_MAX, &off), -EFAULT);
	ck_assert_int_eq(dump_layout_offset(&layout, UINT64_MAX, 2, &off), -EFAULT);
	ck_assert_int_eq(dump_layout_offset(&layout, HOLE_END, UINT64_MAX - HOLE_END + 2, &off), -EFAULT);
	ck_assert_uint_eq(off, 99);
}
END_TEST

START_TEST(a_bitmap_finds_the_next_bit_across_words_and_stops_at_the_end)
{
	uint64_t map[3] = {~0ull, ~0ull, ~0ull};

	bitmap_fill(map, 130);
	ck_assert_uint_eq(map[2], 3);
	ck_assert_uint_eq(bitmap_next(map, 0, 130, true), 0);
	ck_assert_uint_eq(bitmap_next(map, 0, 130, false), 130);
	ck_assert_uint_eq(bitmap_next(map, 130, 130, true), 130);
	bitmap_clear(map, 64);
	bitmap_clear(map, 127);
	ck_assert(!bitmap_test(map, 64) && bitmap_test(map, 65));
	ck_assert_uint_eq(bitmap_next(map, 1, 130, false), 64);
	ck_assert_uint_eq(bitmap_next(map, 64, 130, true), 65);
	ck_assert_uint_eq(bitmap_next(map, 65, 130, false), 127);
	ck_assert_uint_eq(bitmap_next(map, 65, 100, false), 100);
	ck_assert_uint_eq(bitmap_next(map, 127, 130, true), 128);
}
END_TEST

Suite *suite_dump_layout(void)
{
	Suite *suite = suite_create("dump layout");
	TCase *tc = tcase_create("layout");

	tcase_add_test(tc, ram_below_the_hole_is_one_segment);
	tcase_add_test(tc, ram_above_the_hole_continues_at_its_end);
	tcase_add_test(tc, an_empty_hole_splits_nothing_and_a_hole_at_0_moves_everything);
	tcase_add_test(tc, impossible_sizes_and_holes_are_refused);
	tcase_add_test(tc, a_layout_that_breaks_any_rule_is_refused);
	tcase_add_test(tc, an_address_becomes_its_offset_only_inside_one_segment);
	tcase_add_test(tc, an_address_and_length_that_wrap_are_refused);
	tcase_add_test(tc, a_bitmap_finds_the_next_bit_across_words_and_stops_at_the_end);
	suite_add_tcase(suite, tc);
	return suite;
}
