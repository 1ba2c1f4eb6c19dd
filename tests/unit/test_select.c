/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_select.c - which pages lists, page descriptors and zeros select, and what remains
 * of that when the guest lies.
 */
#include "tests/unit/guest_ram.h"
#include "tests/unit/suites.h"

#include "dump/base/bitmap.h"
#include "dump/region/pagewalk.h"
#include "dump/select/select_list.h"
#include "dump/select/select_pages.h"
#include "dump/base/zero_pages.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define P 1ull
#define PS 0x80ull

/* Tables of the fixture: PML4[0] -> PDPT[0] -> PD: 2 MiB pages one to one, PD[511] -> PT */
#define PML4 0x2000ull
#define PDPT 0x3000ull
#define PD 0x4000ull
#define PT 0x5000ull
#define LIST 0x8000ull
#define PT_GVA (511ull << 21)
#define FIXED_PAGES 5 /* the four tables and the list */

static struct guest_ram ram;
static struct dump_record *record;
static uint64_t bits[GUEST_RAM_PAGES / 64];
static uint64_t ignored;

static void setup(void)
{
	guest_ram_init(&ram);
	record = calloc(1, sizeof(*record) + sizeof(record->cpus[0]));
	record->nr_cpus = 1;
	record->cpus[0].saved = 1;
	record->cpus[0].cr[0] = PAGEWALK_CR0_PG;
	record->cpus[0].cr[4] = PAGEWALK_CR4_PAE;
	record->panic.page_table = PML4;
	record->panic.select = LIST;
	guest_ram_entry(&ram, PML4, 0, PDPT | P);
	guest_ram_entry(&ram, PDPT, 0, PD | P);
	for (unsigned i = 0; i < GUEST_RAM_END / MIB(2); i++)
		guest_ram_entry(&ram, PD, i, i * MIB(2) | P | PS);
	guest_ram_entry(&ram, PD, 511, PT | P);
	memset(bits, 0, sizeof(bits));
	ignored = 0;
}

static void teardown(void)
{
	free(record);
	guest_ram_fini(&ram);
}

static void add_tuple(uint64_t addr, uint64_t pages)
{
	struct fw_select tuple = {addr, pages};

	guest_ram_put(&ram, LIST + record->panic.nr_select++ * sizeof(tuple), &tuple, sizeof(tuple));
}

static const char *mark_list(void)
{
	memset(bits, 0, sizeof(bits));
	return select_list_mark(&ram.view, record, bits, &ignored);
}

static uint64_t nr_marked(void)
{
	return bitmap_count(bits, GUEST_RAM_PAGES);
}

/* Page of RAM offset of a guest-physical address. */
static uint64_t page_of(uint64_t gpa)
{
	uint64_t off;

	ck_assert_int_eq(dump_layout_offset(&ram.layout, gpa, 1, &off), 0);
	return off / PAGE_SIZE_4K;
}

static bool is_marked(uint64_t gpa)
{
	return bitmap_test(bits, page_of(gpa));
}

static void check_fixed_pages(void)
{
	ck_assert(is_marked(PML4) && is_marked(PDPT) && is_marked(PD) && is_marked(LIST));
}

START_TEST(a_list_selects_its_pages_the_tables_and_itself)
{
	add_tuple(MIB(20), 3);
	add_tuple(MIB(64), 1);
	ck_assert_ptr_null(mark_list());
	ck_assert_uint_eq(ignored, 0);
	check_fixed_pages();
	ck_assert(is_marked(MIB(20)) && is_marked(MIB(20) + 8192) && is_marked(MIB(64)));
	ck_assert_uint_eq(nr_marked(), FIXED_PAGES - 1 + 4);
}
END_TEST

START_TEST(tuples_go_through_4_kib_pages_one_by_one)
{
	guest_ram_entry(&ram, PT, 1, MIB(70) | P);
	guest_ram_entry(&ram, PT, 2, MIB(10) | P);
	guest_ram_entry(&ram, PT, 4, MIB(30) | P);
	add_tuple(PT_GVA, 4);
	ck_assert_ptr_null(mark_list());
	check_fixed_pages();
	ck_assert(is_marked(PT) && is_marked(MIB(70)) && is_marked(MIB(10)) && !is_marked(MIB(30)));
	ck_assert_uint_eq(nr_marked(), FIXED_PAGES + 2);
}
END_TEST

START_TEST(an_address_inside_a_page_takes_the_last_page_too)
{
	add_tuple(MIB(20) + 1, 1);
	add_tuple(MIB(21) + 4095, 0);
	ck_assert_ptr_null(mark_list());
	ck_assert(is_marked(MIB(20)) && is_marked(MIB(20) + 4096));
	ck_assert_uint_eq(nr_marked(), FIXED_PAGES - 1 + 2);
}
END_TEST

START_TEST(overlapping_tuples_select_a_page_once)
{
	add_tuple(MIB(20), 100);
	add_tuple(MIB(20) + 4096 * 50, 100);
	add_tuple(MIB(20), 100);
	ck_assert_ptr_null(mark_list());
	ck_assert_uint_eq(nr_marked(), FIXED_PAGES - 1 + 150);
}
END_TEST

START_TEST(a_tuple_of_2_to_the_63_pages_selects_what_is_mapped_above_its_address)
{
	add_tuple(MIB(94), 1ull << 63);
	ck_assert_ptr_null(mark_list());
	ck_assert_uint_eq(nr_marked(), FIXED_PAGES + 512);
	record->panic.nr_select = 0;
	add_tuple(MIB(94) + 1, UINT64_MAX);
	ck_assert_ptr_null(mark_list());
	ck_assert_uint_eq(nr_marked(), FIXED_PAGES + 512);
	record->panic.nr_select = 0;
	add_tuple(0, UINT64_MAX);
	ck_assert_ptr_null(mark_list());
	ck_assert_uint_eq(nr_marked(), GUEST_RAM_PAGES);
}
END_TEST

START_TEST(tuples_that_name_nothing_cost_only_themselves)
{
	add_tuple(1ull << 47, 1); /* not canonical */
	add_tuple(1ull << 63, 1ull << 63);
	add_tuple(GIB(2), 1000);         /* not mapped */
	add_tuple(GUEST_HOLE_START, 10); /* mapped, not RAM */
	add_tuple(~0ull, ~0ull);         /* up to the end of the address space */
	add_tuple(MIB(2), 1);
	ck_assert_ptr_null(mark_list());
	ck_assert_uint_eq(ignored, 5);
	ck_assert_uint_eq(nr_marked(), FIXED_PAGES - 1 + 1);
}
END_TEST

START_TEST(a_list_that_names_nothing_is_not_believed)
{
	add_tuple(GIB(2), 1000);
	ck_assert_str_eq(mark_list(), "the list names no page of RAM");
}
END_TEST

START_TEST(no_list_and_unreadable_lists_are_not_believed)
{
	ck_assert_str_eq(mark_list(), "the guest's list is empty or too long");
	add_tuple(MIB(2), 1);
	record->panic.select = 0;
	ck_assert_str_eq(mark_list(), "the guest gave no list");
	record->panic.select = GUEST_HOLE_START - 8;
	ck_assert_str_eq(mark_list(), "the list is outside RAM");
	record->panic.select = UINT64_MAX - 7;
	ck_assert_str_eq(mark_list(), "the list is outside RAM");
	record->panic.select = LIST;
	record->panic.nr_select = FW_SELECT_MAX + 1;
	ck_assert_str_eq(mark_list(), "the list is too long");
	record->panic.nr_select = UINT64_MAX;
	ck_assert_str_eq(mark_list(), "the list is too long");
}
END_TEST

START_TEST(broken_tables_are_not_believed)
{
	add_tuple(MIB(2), 1);
	add_tuple(PT_GVA, 1);
	guest_ram_entry(&ram, PD, 511, GUEST_RAM_END | P);
	ck_assert_str_eq(mark_list(), "a page table is outside RAM");
	guest_ram_entry(&ram, PD, 511, MIB(2) | P | PS | 0x2000);
	ck_assert_str_eq(mark_list(), "a page table has reserved bits set");
	record->panic.page_table = 1ull << 51;
	ck_assert_str_eq(mark_list(), "a page table is outside RAM");
}
END_TEST

START_TEST(the_registers_help_when_the_guest_gives_no_root)
{
	add_tuple(MIB(20), 1);
	record->panic.page_table = 0;
	record->cpus[0].cr[3] = PML4;
	ck_assert_ptr_null(mark_list());
	ck_assert_uint_eq(nr_marked(), FIXED_PAGES - 1 + 1);
	record->cpus[0].cr[4] = 0;
	ck_assert_str_eq(mark_list(), "the guest does not use 64-bit page tables");
	record->cpus[0].saved = 0;
	ck_assert_ptr_nonnull(strstr(mark_list(), "no page-table root"));
	record->cpus[0].saved = 1;
	record->cpus[0].cr[0] = 0; /* no paging: addresses are physical */
	add_tuple(GUEST_RAM_END - 4096, UINT64_MAX);
	add_tuple(UINT64_MAX, UINT64_MAX);
	ck_assert_ptr_null(mark_list());
	ck_assert_uint_eq(ignored, 1);
	ck_assert_uint_eq(nr_marked(), 3);
}
END_TEST

/* All tables point to themselves: 2^36 pages, all of them PML4. */
START_TEST(endless_lists_over_looping_tables_end_soon)
{
	for (unsigned i = 0; i < 512; i++)
		guest_ram_entry(&ram, PML4, i, PML4 | P);
	for (unsigned i = 0; i < 1000; i++)
		add_tuple(0, UINT64_MAX);
	ck_assert_str_eq(mark_list(), "the list asks for more work than memory has pages");
}
END_TEST

/* Pages of 1 GiB over and over: each is work for a quarter of a million bits. */
START_TEST(the_longest_list_of_the_largest_pages_ends_soon)
{
	struct fw_select *tuples = calloc(FW_SELECT_MAX, sizeof(*tuples));

	for (unsigned i = 0; i < 512; i++) {
		guest_ram_entry(&ram, PML4, i, PDPT | P);
		guest_ram_entry(&ram, PDPT, i, P | PS);
	}
	for (unsigned i = 0; i < FW_SELECT_MAX; i++)
		tuples[i] = (struct fw_select){0, 1ull << 63};
	record->panic.select = MIB(16);
	record->panic.nr_select = FW_SELECT_MAX;
	guest_ram_put(&ram, MIB(16), tuples, FW_SELECT_MAX * sizeof(*tuples));
	free(tuples);
	ck_assert_str_eq(mark_list(), "the list asks for more work than memory has pages");
}
END_TEST

START_TEST(the_longest_list_of_honest_tuples_is_honoured)
{
	struct fw_select *tuples = calloc(FW_SELECT_MAX, sizeof(*tuples));

	/* in no order, and every page of RAM four times */
	for (unsigned i = 0; i < FW_SELECT_MAX; i++) {
		uint64_t page = (uint64_t)i * 7919 % GUEST_RAM_PAGES;

		tuples[i].addr = page * 4096 < GUEST_HOLE_START ? page * 4096 : page * 4096 + MIB(32);
		tuples[i].pages = 1;
	}
	record->panic.select = MIB(16);
	record->panic.nr_select = FW_SELECT_MAX;
	guest_ram_put(&ram, MIB(16), tuples, FW_SELECT_MAX * sizeof(*tuples));
	free(tuples);
	ck_assert_ptr_null(mark_list());
	ck_assert_uint_eq(ignored, 0);
	ck_assert_uint_eq(nr_marked(), GUEST_RAM_PAGES);
}
END_TEST

/* ---- page descriptors --------------------------------------------------------------------------- */

#define DESC 0x100000ull
#define NR_FRAMES (GUEST_RAM_END / PAGE_SIZE_4K)
#define DESC_PAGES (NR_FRAMES * sizeof(struct fw_page_desc) / PAGE_SIZE_4K)

static struct fw_page_desc desc[NR_FRAMES];

/* Every third frame used, every one after that free but counted, and the others not used. */
static void describe(void)
{
	for (uint64_t i = 0; i < NR_FRAMES; i++)
		desc[i] = (struct fw_page_desc){
			i % 3 != 2, i % 3 == 1 ? FW_PAGE_FREE | FW_PAGE_SLAB : FW_PAGE_RESERVED};
}

static const char *mark_pages(uint64_t gpa, uint64_t nr)
{
	guest_ram_put(&ram, gpa, desc, u64_min(nr, NR_FRAMES) * sizeof(desc[0]));
	memset(bits, 0, sizeof(bits));
	return select_pages_mark(&ram.view, gpa, nr, bits);
}

static void check_frame(uint64_t frame, uint64_t gpa, uint64_t nr)
{
	uint64_t at = frame * PAGE_SIZE_4K;
	bool array = at + 4096 > gpa && at < gpa + nr * sizeof(desc[0]);
	bool unused = frame < nr && frame % 3 && !array;

	if (at < GUEST_HOLE_START || at >= GUEST_HOLE_END)
		ck_assert_msg(is_marked(at) == unused, "frame %llu", (unsigned long long)frame);
}

static const struct {
	uint64_t gpa, nr;
} arrays[] = {
	{DESC, NR_FRAMES}, {DESC + 4096 - 8, NR_FRAMES}, {DESC, 1000}, /* frames beyond it are kept */
	{DESC, 1}, {DESC + 8, 65}, {GUEST_HOLE_END, NR_FRAMES - 1},
	{GUEST_RAM_END - NR_FRAMES * 8, NR_FRAMES},
	{DESC, GUEST_HOLE_START / 4096 + 77}, /* ends in the hole */
};

START_TEST(unused_pages_are_those_the_descriptors_say_but_for_the_array)
{
	describe();
	if (arrays[_i].nr == 1)
		desc[0].flags = FW_PAGE_FREE;
	ck_assert_ptr_null(mark_pages(arrays[_i].gpa, arrays[_i].nr));
	if (arrays[_i].nr == 1) {
		ck_assert_uint_eq(nr_marked(), 1);
		return;
	}
	for (uint64_t frame = 0; frame < NR_FRAMES; frame++)
		check_frame(frame, arrays[_i].gpa, arrays[_i].nr);
}
END_TEST

START_TEST(an_array_may_be_longer_than_memory)
{
	describe();
	memset(bits, 0, sizeof(bits));
	guest_ram_put(&ram, DESC, desc, sizeof(desc));
	ck_assert_ptr_null(select_pages_mark(&ram.view, DESC, NR_FRAMES * 10, bits));
}
END_TEST

START_TEST(arrays_that_cannot_be_are_not_believed)
{
	const char *outside = "the page descriptors are outside RAM";

	describe();
#define MARK(gpa, nr) select_pages_mark(&ram.view, gpa, nr, bits)
	ck_assert_str_eq(MARK(0, NR_FRAMES), "the guest gave no page descriptors");
	ck_assert_str_eq(MARK(DESC, 0), "the guest gave no page descriptors");
	ck_assert_str_eq(MARK(DESC + 4, NR_FRAMES), "the page descriptors are not aligned");
	ck_assert_str_eq(MARK(DESC, 1ull << 63), outside);
	ck_assert_str_eq(MARK(DESC, UINT64_MAX), outside);
	ck_assert_str_eq(MARK(DESC, 1ull << 61), outside);
	ck_assert_str_eq(MARK(DESC, GUEST_RAM / 8), outside);
	ck_assert_str_eq(MARK(UINT64_MAX - 7, 1), outside);
	ck_assert_str_eq(MARK(GUEST_HOLE_START - 8, 2), outside);
	ck_assert_str_eq(MARK(GUEST_HOLE_START, 1), outside);
	ck_assert_str_eq(MARK(1ull << 52, NR_FRAMES), outside);
	ck_assert_uint_eq(nr_marked(), 0);
#undef MARK
}
END_TEST

START_TEST(an_array_by_which_nothing_is_used_is_not_believed)
{
	memset(desc, 0, sizeof(desc));
	ck_assert_str_eq(mark_pages(DESC, NR_FRAMES), "the page descriptors say that no page is in use");
	desc[0].refcount = 1;
	ck_assert_ptr_null(mark_pages(DESC, NR_FRAMES));
	ck_assert_uint_eq(nr_marked(), GUEST_RAM_PAGES - 1 - DESC_PAGES);
}
END_TEST

/* ---- zeros -------------------------------------------------------------------------------------- */

typedef uint64_t zero_fn(const unsigned char *pages, uint64_t nr);

static zero_fn *const zero_fns[] = {zero_pages, zero_pages_portable};

START_TEST(one_bit_anywhere_makes_a_page_not_zero)
{
	unsigned char *pages = aligned_alloc(4096, 64 * 4096);

	memset(pages, 0, 64 * 4096);
	ck_assert_uint_eq(zero_fns[_i](pages, 64), ~0ull);
	ck_assert_uint_eq(zero_fns[_i](pages, 0), 0);
	ck_assert_uint_eq(zero_fns[_i](pages, 7), 0x7f);
	for (unsigned at = 0; at < 4096; at++) {
		pages[5 * 4096 + at] = (unsigned char)(1 << at % 8);
		ck_assert_uint_eq(zero_fns[_i](pages, 64), ~(1ull << 5));
		pages[5 * 4096 + at] = 0;
	}
	for (unsigned page = 0; page < 64; page++)
		pages[page * 4096 + 4095] = page % 3 == 0;
	for (unsigned page = 0; page < 64; page++)
		ck_assert_uint_eq(zero_fns[_i](pages, 64) >> page & 1, page % 3 != 0);
	free(pages);
}
END_TEST

START_TEST(bitmaps_set_ranges_and_masks_as_bit_by_bit)
{
	uint64_t want[4], got[4];

	for (unsigned first = 0; first <= 256; first += 3) {
		for (unsigned end = first; end <= 256; end++) {
			memset(want, 0, sizeof(want));
			memset(got, 0, sizeof(got));
			for (unsigned i = first; i < end; i++)
				bitmap_set(want, i);
			bitmap_set_range(got, first, end);
			ck_assert_mem_eq(got, want, sizeof(got));
			ck_assert_uint_eq(bitmap_count(got, 256), end - first);
			ck_assert_uint_eq(bitmap_count(got, end), end - first);
		}
	}
	for (unsigned at = 0; at <= 192; at++) {
		memset(want, 0, sizeof(want));
		memset(got, 0, sizeof(got));
		for (unsigned i = 0; i < 64; i += 7)
			bitmap_set(want, at + i);
		bitmap_set_mask(got, at, 0x8102040810204081);
		ck_assert_mem_eq(got, want, sizeof(got));
	}
}
END_TEST

Suite *suite_select(void)
{
	Suite *suite = suite_create("selectors");
	TCase *list = tcase_create("list"), *pages = tcase_create("pages"), *zero = tcase_create("zero");

	tcase_add_checked_fixture(list, setup, teardown);
	tcase_add_test(list, a_list_selects_its_pages_the_tables_and_itself);
	tcase_add_test(list, tuples_go_through_4_kib_pages_one_by_one);
	tcase_add_test(list, an_address_inside_a_page_takes_the_last_page_too);
	tcase_add_test(list, overlapping_tuples_select_a_page_once);
	tcase_add_test(list, a_tuple_of_2_to_the_63_pages_selects_what_is_mapped_above_its_address);
	tcase_add_test(list, tuples_that_name_nothing_cost_only_themselves);
	tcase_add_test(list, a_list_that_names_nothing_is_not_believed);
	tcase_add_test(list, no_list_and_unreadable_lists_are_not_believed);
	tcase_add_test(list, broken_tables_are_not_believed);
	tcase_add_test(list, the_registers_help_when_the_guest_gives_no_root);
	tcase_add_test(list, endless_lists_over_looping_tables_end_soon);
	tcase_add_test(list, the_longest_list_of_the_largest_pages_ends_soon);
	tcase_add_test(list, the_longest_list_of_honest_tuples_is_honoured);
	suite_add_tcase(suite, list);
	tcase_add_checked_fixture(pages, setup, teardown);
	tcase_add_loop_test(
		pages, unused_pages_are_those_the_descriptors_say_but_for_the_array, 0, ARRAY_LEN(arrays));
	tcase_add_test(pages, an_array_may_be_longer_than_memory);
	tcase_add_test(pages, arrays_that_cannot_be_are_not_believed);
	tcase_add_test(pages, an_array_by_which_nothing_is_used_is_not_believed);
	suite_add_tcase(suite, pages);
	tcase_add_loop_test(zero, one_bit_anywhere_makes_a_page_not_zero, 0, ARRAY_LEN(zero_fns));
	tcase_add_test(zero, bitmaps_set_ranges_and_masks_as_bit_by_bit);
	suite_add_tcase(suite, zero);
	return suite;
}
