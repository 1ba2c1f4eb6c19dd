/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_pagewalk.c - page tables of every shape, and every lie that they can tell. */
#include "tests/unit/guest_ram.h"
#include "tests/unit/suites.h"

#include "dump/region/pagewalk.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define P 1ull          /* present */
#define PS 0x80ull      /* page size */
#define NX (1ull << 63) /* and other bits that do not matter */
#define LA57 PAGEWALK_CR4_LA57
#define PLENTY 1000

/* Tables at these places: PML5, PML4, PDPT, PD, PT. */
#define PML5 0x1000ull
#define PML4 0x2000ull
#define PDPT 0x3000ull
#define PD 0x4000ull
#define PT 0x5000ull

/* An address from its five indexes, sign-extended for 5 levels. */
static uint64_t gva_of(unsigned i5, unsigned i4, unsigned i3, unsigned i2, unsigned i1)
{
	uint64_t gva = (uint64_t)i5 << 48 | (uint64_t)i4 << 39 | (uint64_t)i3 << 30 | i2 << 21 | i1 << 12;

	return i5 & 256 ? gva | ~0ull << 57 : gva;
}

/* PML5[257] -> PML4[3] -> PDPT[4] -> PD[5] -> PT[6] -> 0x123000 */
static void build(struct guest_ram *ram)
{
	guest_ram_entry(ram, PML5, 257, PML4 | P | NX);
	guest_ram_entry(ram, PML4, 3, PDPT | P | 0x7e);
	guest_ram_entry(ram, PDPT, 4, PD | P);
	guest_ram_entry(ram, PD, 5, PT | P);
	guest_ram_entry(ram, PT, 6, 0x123000 | P | NX | PS | 0x7ffull << 52);
}

static struct guest_ram ram;
static struct pagewalk walk;

static void setup(void)
{
	guest_ram_init(&ram);
	build(&ram);
}

static void teardown(void)
{
	guest_ram_fini(&ram);
}

static void walk_from(uint64_t cr3, uint64_t cr4)
{
	pagewalk_init(&walk, &ram.view, cr3, cr4, PLENTY);
}

static void check_mapped(uint64_t gva, uint64_t gpa, uint64_t bytes)
{
	struct pagewalk_run run;

	ck_assert_int_eq(pagewalk_run(&walk, gva, &run), 0);
	ck_assert(run.mapped);
	ck_assert_uint_eq(run.gpa, gpa);
	ck_assert_uint_eq(run.bytes, bytes);
}

static void check_absent(uint64_t gva, uint64_t bytes)
{
	struct pagewalk_run run;

	ck_assert_int_eq(pagewalk_run(&walk, gva, &run), 0);
	ck_assert(!run.mapped);
	ck_assert_uint_eq(run.bytes, bytes);
}

static void check_error(uint64_t gva, int error)
{
	struct pagewalk_run run = {.gpa = 77};

	ck_assert_int_eq(pagewalk_run(&walk, gva, &run), error);
	ck_assert_uint_eq(run.gpa, 77);
}

START_TEST(four_levels_of_4_kib_pages)
{
	walk_from(PML4 | 0xfff /* PCID, flags */, 0);
	check_mapped(gva_of(0, 3, 4, 5, 6), 0x123000, 4096);
	check_mapped(gva_of(0, 3, 4, 5, 6) + 0x234, 0x123234, 4096 - 0x234);
}
END_TEST

START_TEST(what_one_level_forbids_to_write_is_not_writable)
{
	static const struct {
		uint64_t table;
		unsigned index;
	} levels[] = {{PML4, 3}, {PDPT, 4}, {PD, 5}, {PT, 6}};
	uint64_t entries[] = {PDPT, PD, PT, 0x123000};
	struct pagewalk_run run;

	for (unsigned readonly = 0; readonly <= ARRAY_LEN(levels); readonly++) {
		for (unsigned i = 0; i < ARRAY_LEN(levels); i++)
			guest_ram_entry(&ram, levels[i].table, levels[i].index,
				entries[i] | P | (i == readonly ? 0 : 2));
		walk_from(PML4, 0);
		ck_assert_int_eq(pagewalk_run(&walk, gva_of(0, 3, 4, 5, 6), &run), 0);
		ck_assert(run.mapped);
		ck_assert_int_eq(run.writable, readonly == ARRAY_LEN(levels));
	}
}
END_TEST

START_TEST(five_levels_when_cr4_says_so)
{
	walk_from(PML5, LA57);
	check_mapped(gva_of(257, 3, 4, 5, 6), 0x123000, 4096);
	check_absent(gva_of(256, 3, 4, 5, 6), (1ull << 48) - gva_of(0, 3, 4, 5, 6));
}
END_TEST

START_TEST(pages_of_2_mib)
{
	guest_ram_entry(&ram, PD, 7, 0x600000 | P | PS | 0x1000 /* PAT */);
	walk_from(PML4, 0);
	check_mapped(gva_of(0, 3, 4, 7, 0), 0x600000, MIB(2));
	check_mapped(gva_of(0, 3, 4, 7, 511) + 8, 0x7ff008, 4096 - 8);
}
END_TEST

START_TEST(pages_of_1_gib)
{
	guest_ram_entry(&ram, PDPT, 9, GIB(5) | P | PS | NX);
	walk_from(PML4, 0);
	check_mapped(gva_of(0, 3, 9, 0, 0), GIB(5), GIB(1));
	check_mapped(gva_of(0, 3, 9, 1, 1), GIB(5) + MIB(2) + 4096, GIB(1) - MIB(2) - 4096);
}
END_TEST

START_TEST(what_is_not_present_is_skipped_as_a_whole)
{
	walk_from(PML4, 0);
	check_absent(gva_of(0, 3, 4, 5, 7) + 1, 4095);
	check_absent(gva_of(0, 3, 4, 6, 1), MIB(2) - 4096);
	check_absent(gva_of(0, 3, 5, 1, 0), GIB(1) - MIB(2));
	check_absent(gva_of(0, 4, 1, 0, 0), GIB(511));
	/* rubbish in an entry that is not present means nothing */
	guest_ram_entry(&ram, PML4, 8, ~P);
	walk_from(PML4, 0);
	check_absent(gva_of(0, 8, 0, 0, 0), GIB(512));
}
END_TEST

START_TEST(addresses_that_are_not_canonical_are_refused)
{
	walk_from(PML4, 0);
	check_error(1ull << 47, -ERANGE);
	check_error(1ull << 63, -ERANGE);
	check_error(~0ull << 47 & ~(1ull << 60), -ERANGE);
	check_error((~0ull << 47) - 1, -ERANGE);
	check_absent(~0ull << 47, GIB(512));
	ck_assert_uint_eq(pagewalk_room(&walk, 0), 1ull << 47);
	ck_assert_uint_eq(pagewalk_room(&walk, (1ull << 47) - 1), 1);
	ck_assert_uint_eq(pagewalk_room(&walk, ~0ull << 47), 1ull << 47);
	ck_assert_uint_eq(pagewalk_room(&walk, ~0ull), 1);
	walk_from(PML5, LA57);
	check_error(1ull << 56, -ERANGE);
	check_absent(1ull << 47, (1ull << 48) - (1ull << 47));
	ck_assert_uint_eq(pagewalk_room(&walk, ~0ull << 56), 1ull << 56);
}
END_TEST

START_TEST(tables_outside_ram_are_refused)
{
	const uint64_t outside[] = {GUEST_HOLE_START, GUEST_HOLE_END - 4096, GUEST_RAM_END, 1ull << 51};

	for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
		guest_ram_entry(&ram, PD, 5, outside[i] | P);
		walk_from(PML4, 0);
		check_error(gva_of(0, 3, 4, 5, 6), -EFAULT);
		check_error(gva_of(0, 3, 4, 5, 6), -EFAULT);
		walk_from(outside[i], 0);
		check_error(0, -EFAULT);
	}
}
END_TEST

START_TEST(a_page_outside_ram_is_told_as_it_is_mapped)
{
	guest_ram_entry(&ram, PT, 7, 0xfee00000 | P);
	walk_from(PML4, 0);
	check_mapped(gva_of(0, 3, 4, 5, 7), 0xfee00000, 4096);
}
END_TEST

START_TEST(reserved_bits_are_refused_at_every_level)
{
	const uint64_t gva = gva_of(257, 3, 4, 5, 6);

	guest_ram_entry(&ram, PML5, 257, PML4 | P | PS);
	walk_from(PML5, LA57);
	check_error(gva, -EINVAL);
	build(&ram);
	guest_ram_entry(&ram, PML4, 3, PDPT | P | PS);
	walk_from(PML5, LA57);
	check_error(gva, -EINVAL);
	build(&ram);
	for (unsigned bit = 13; bit < 30; bit++) {
		guest_ram_entry(&ram, PDPT, 4, GIB(1) | P | PS | 1ull << bit);
		walk_from(PML5, LA57);
		check_error(gva, -EINVAL);
	}
	build(&ram);
	for (unsigned bit = 13; bit < 21; bit++) {
		guest_ram_entry(&ram, PD, 5, MIB(2) | P | PS | 1ull << bit);
		walk_from(PML5, LA57);
		check_error(gva, -EINVAL);
	}
}
END_TEST

/* A table that maps itself is legal (kernels do it) and a loop: the walk ends all the same. */
START_TEST(loops_end_after_as_many_steps_as_there_are_levels)
{
	guest_ram_entry(&ram, PML4, 510, PML4 | P);
	walk_from(PML4, 0);
	check_mapped(gva_of(0, 510, 510, 510, 510) | ~0ull << 48, PML4, 4096);
	check_mapped(gva_of(0, 510, 510, 510, 3) | ~0ull << 48, PDPT, 4096);
	check_mapped(gva_of(0, 510, 3, 4, 5) | ~0ull << 48, PT, 4096);
	ck_assert_uint_le(PLENTY - walk.tables_left, 3 * 4);
}
END_TEST

START_TEST(neighbours_read_no_table_twice)
{
	walk_from(PML4, 0);
	check_mapped(gva_of(0, 3, 4, 5, 6), 0x123000, 4096);
	for (unsigned i = 7; i < 512; i++)
		check_absent(gva_of(0, 3, 4, 5, i), 4096);
	ck_assert_uint_eq(walk.tables_left, PLENTY - 4);
}
END_TEST

START_TEST(no_more_tables_are_read_than_allowed)
{
	pagewalk_init(&walk, &ram.view, PML4, 0, 3);
	check_error(gva_of(0, 3, 4, 5, 6), -E2BIG);
	check_absent(gva_of(0, 3, 4, 6, 0), MIB(2));
	pagewalk_init(&walk, &ram.view, PML4, 0, 4);
	check_mapped(gva_of(0, 3, 4, 5, 6), 0x123000, 4096);
}
END_TEST

static void count_table(void *arg, uint64_t gpa)
{
	uint64_t *sum = arg;

	*sum += gpa;
}

START_TEST(tables_are_told_as_they_are_read_and_holes_stay_holes)
{
	uint64_t before = guest_ram_populated(&ram);
	uint64_t sum = 0;

	guest_ram_entry(&ram, PDPT, 8, 0x200000 | P); /* a table nobody ever wrote */
	walk_from(PML4, 0);
	walk.on_table = count_table;
	walk.arg = &sum;
	check_mapped(gva_of(0, 3, 4, 5, 6), 0x123000, 4096);
	ck_assert_uint_eq(sum, PML4 + PDPT + PD + PT);
	check_absent(gva_of(0, 3, 8, 0, 0), MIB(2));
	ck_assert_uint_eq(sum, PML4 + PDPT + PD + PT + 0x200000);
	ck_assert_uint_eq(guest_ram_populated(&ram), before);
}
END_TEST

static void collect_block(void *arg, const void *entries, uint64_t first, uint64_t count)
{
	const uint64_t *values = entries;
	uint64_t *next = arg;

	ck_assert_uint_eq(first, *next);
	for (uint64_t i = 0; i < count; i++)
		ck_assert_uint_eq(values[i], first + i);
	*next += count;
}

START_TEST(arrays_are_read_in_order_and_only_inside_ram)
{
	const uint64_t nr = 100000, gpa = 0x10018;
	uint64_t *values = malloc(nr * 8);
	uint64_t next = 3;

	for (uint64_t i = 0; i < nr; i++)
		values[i] = i;
	guest_ram_put(&ram, gpa, values, nr * 8);
	free(values);
	ck_assert_int_eq(guest_view_array(&ram.view, gpa, 8, 3, nr, collect_block, &next), 0);
	ck_assert_uint_eq(next, nr);
	ck_assert_int_eq(guest_view_array(&ram.view, GUEST_HOLE_START - 80, 8, 0, 11, collect_block, &next),
		-EFAULT);
	ck_assert_int_eq(
		guest_view_array(&ram.view, GUEST_HOLE_START - 4, 8, 0, 1, collect_block, &next), -EFAULT);
	ck_assert_int_eq(
		guest_view_array(&ram.view, gpa, 8, 0, UINT64_MAX / 8 + 2, collect_block, &next), -EFAULT);
	ck_assert_int_eq(
		guest_view_array(&ram.view, gpa, 8, 0, UINT64_MAX / 8, collect_block, &next), -EFAULT);
	ck_assert_int_eq(
		guest_view_array(&ram.view, UINT64_MAX - 7, 8, 0, 1, collect_block, &next), -EFAULT);
}
END_TEST

Suite *suite_pagewalk(void)
{
	Suite *suite = suite_create("page tables");
	TCase *tc = tcase_create("pagewalk");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, four_levels_of_4_kib_pages);
	tcase_add_test(tc, what_one_level_forbids_to_write_is_not_writable);
	tcase_add_test(tc, five_levels_when_cr4_says_so);
	tcase_add_test(tc, pages_of_2_mib);
	tcase_add_test(tc, pages_of_1_gib);
	tcase_add_test(tc, what_is_not_present_is_skipped_as_a_whole);
	tcase_add_test(tc, addresses_that_are_not_canonical_are_refused);
	tcase_add_test(tc, tables_outside_ram_are_refused);
	tcase_add_test(tc, a_page_outside_ram_is_told_as_it_is_mapped);
	tcase_add_test(tc, reserved_bits_are_refused_at_every_level);
	tcase_add_test(tc, loops_end_after_as_many_steps_as_there_are_levels);
	tcase_add_test(tc, neighbours_read_no_table_twice);
	tcase_add_test(tc, no_more_tables_are_read_than_allowed);
	tcase_add_test(tc, tables_are_told_as_they_are_read_and_holes_stay_holes);
	tcase_add_test(tc, arrays_are_read_in_order_and_only_inside_ram);
	suite_add_tcase(suite, tc);
	return suite;
}
