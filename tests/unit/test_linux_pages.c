/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_linux_pages.c - struct page of every kernel, every level, every lie. */
#include "tests/unit/mini_guest.h"
#include "tests/unit/suites.h"

#include "dump/base/bitmap.h"
#include "dump/linux/linux_page.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL LINUX_LEVEL_MAX

static struct mini_guest guest;
static uint64_t drop[MINI_PAGES / 64];
static uint64_t counts[LINUX_REASONS];
static const char *lack; /* what is kept for want of a key */

static const char *classify(uint32_t level, uint32_t workers)
{
	const char *why;

	memset(drop, 0, sizeof(drop));
	memset(counts, 0, sizeof(counts));
	why = mini_guest_open(&guest);
	return why ? why : linux_pages_mark(&guest.kernel, level, workers, drop, counts, &lack);
}

static void assert_classified(uint32_t level)
{
	const char *why = classify(level, 1);

	ck_assert_msg(!why, "%s", why);
}

/* Are frames [@pfn, @pfn + @nr) all dropped, or all kept? */
static bool is_dropped(uint64_t pfn, uint64_t nr)
{
	bool dropped = bitmap_test(drop, mini_bit(pfn));

	for (uint64_t i = 0; i < nr; i++)
		ck_assert_msg(bitmap_test(drop, mini_bit(pfn + i)) == dropped, "frame %#llx",
			(unsigned long long)(pfn + i));
	return dropped;
}

static uint64_t nr_dropped(void)
{
	return bitmap_count(drop, MINI_PAGES);
}

#define HIGH MINI_HIGH_PFN

/* One page or folio of every kind, on both sides of the hole. */
static const struct kind {
	const char *name;
	uint64_t pfn;
	unsigned order;
	uint32_t levels; /* any of them drops it */
	enum linux_reason reason;
} kinds[] = {
	{"free", 8, 3, LINUX_LEVEL_FREE, LINUX_PAGE_FREE},
	{"one free page", HIGH + 1, 0, LINUX_LEVEL_FREE, LINUX_PAGE_FREE},
	{"cache", 16, 0, LINUX_LEVEL_CACHE | LINUX_LEVEL_CACHE_PRIVATE, LINUX_PAGE_CACHE},
	{"cache folio", HIGH + 32, 4, LINUX_LEVEL_CACHE | LINUX_LEVEL_CACHE_PRIVATE, LINUX_PAGE_CACHE},
	{"private cache", 17, 0, LINUX_LEVEL_CACHE_PRIVATE, LINUX_PAGE_CACHE_PRIVATE},
	{"swap cache", 18, 0, LINUX_LEVEL_CACHE | LINUX_LEVEL_CACHE_PRIVATE, LINUX_PAGE_CACHE},
	{"anonymous", 19, 0, LINUX_LEVEL_USER, LINUX_PAGE_USER},
	{"huge anonymous", HIGH + 64, 5, LINUX_LEVEL_USER, LINUX_PAGE_USER},
	{"hugetlb", HIGH + 128, 6, LINUX_LEVEL_USER, LINUX_PAGE_USER},
	{"offline", 20, 0, ALL & ~LINUX_LEVEL_ZERO, LINUX_PAGE_OFFLINE},
	{"hwpoison", 21, 0, ALL & ~LINUX_LEVEL_ZERO, LINUX_PAGE_HWPOISON},
	{"slab", 24, 2, 0, LINUX_REASONS},
	{"the kernel's", 40, 0, 0, LINUX_REASONS},
};

static void make_kinds(void)
{
	mini_free(&guest.mini, 8, 3);
	mini_free(&guest.mini, HIGH + 1, 0);
	mini_cache(&guest.mini, 16, 0, false);
	mini_cache(&guest.mini, HIGH + 32, 4, false);
	mini_cache(&guest.mini, 17, 0, true);
	mini_swapcache(&guest.mini, 18);
	mini_anon(&guest.mini, 19, 0);
	mini_anon(&guest.mini, HIGH + 64, 5);
	mini_hugetlb(&guest.mini, HIGH + 128, 6);
	mini_offline(&guest.mini, 20);
	mini_hwpoison(&guest.mini, 21);
	mini_slab(&guest.mini, 24, 2);
}

static void setup(void)
{
	mini_guest_init(&guest, MINI_6_1, false);
	make_kinds();
}

static void teardown(void)
{
	mini_guest_fini(&guest);
}

static void check_kinds(enum mini_kernel kernel, uint32_t level)
{
	uint64_t want[LINUX_REASONS] = {0}, sum = 0;

	assert_classified(level);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct kind *kind = &kinds[i];
		/* 6.1 as Debian builds it has no such flag: then nothing tells these pages from the kernel's */
		bool known = kernel != MINI_6_1 || kind->reason != LINUX_PAGE_HWPOISON;

		ck_assert_msg(is_dropped(kind->pfn, 1ull << kind->order) == (known && level & kind->levels),
			"%s at level %u", kind->name, level);
		if (known && level & kind->levels)
			want[kind->reason] += 1ull << kind->order;
	}
	for (size_t i = 0; i < LINUX_REASONS; i++) {
		ck_assert_msg(counts[i] == want[i], "%s: %llu", linux_reason_name(i),
			(unsigned long long)counts[i]);
		sum += want[i];
	}
	ck_assert_uint_eq(nr_dropped(), sum);
	ck_assert_ptr_null(lack);
}

START_TEST(every_kernel_s_pages_are_told_apart_at_every_level)
{
	enum mini_kernel kernel = (enum mini_kernel)(_i % MINI_KERNELS);

	mini_guest_init(&guest, kernel, _i >= MINI_KERNELS);
	make_kinds();
	for (uint32_t level = 0; level <= ALL; level++)
		check_kinds(kernel, level);
	mini_guest_fini(&guest);
}
END_TEST

START_TEST(several_workers_find_the_same)
{
	uint64_t alone[ARRAY_LEN(drop)];

	assert_classified(ALL);
	memcpy(alone, drop, sizeof(drop));
	ck_assert_ptr_null(classify(ALL, 4));
	ck_assert_int_eq(memcmp(alone, drop, sizeof(drop)), 0);
}
END_TEST

/* Keys without which a kind of page cannot be told: it is kept, the others are not. */
static const struct {
	const char *key;
	uint64_t pfn; /* of what is kept then */
} keys[] = {
	{"NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", 8},
	{"LENGTH(zone.free_area)", 8},
	{"NUMBER(PG_lru)", 16},
	{"NUMBER(PG_head_mask)", HIGH + 128},
	{"OFFSET(page.compound_order)", HIGH + 128},
	{"OFFSET(page.compound_order)", HIGH + 64},
	{"NUMBER(PG_swapcache)", 18},
	{"NUMBER(PG_swapbacked)", 18},
	{"NUMBER(PG_slab)", 19},
	{"NUMBER(PG_slab)", 8},
	{"NUMBER(PG_slab)", 24},
	{"NUMBER(HUGETLB_PAGE_DTOR)", HIGH + 128},
	{"NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)", 20},
};

START_TEST(an_absent_key_keeps_what_it_would_tell)
{
	assert_classified(ALL);
	ck_assert(bitmap_test(drop, mini_bit(keys[_i].pfn)) || keys[_i].pfn == 24);
	mini_write_info(&guest.mini, keys[_i].key);
	assert_classified(ALL);
	ck_assert(!bitmap_test(drop, mini_bit(keys[_i].pfn)));
	ck_assert(!bitmap_test(drop, mini_bit(40)));
}
END_TEST

START_TEST(without_the_private_flag_no_cache_page_counts_as_free_of_it)
{
	mini_write_info(&guest.mini, "NUMBER(PG_private)");
	assert_classified(LINUX_LEVEL_CACHE);
	ck_assert(!bitmap_test(drop, mini_bit(16)));
	assert_classified(LINUX_LEVEL_CACHE_PRIVATE);
	ck_assert(bitmap_test(drop, mini_bit(16)));
}
END_TEST

/* Fields and numbers that every kernel has had: without one, the kinds that it is not needed for are still told. */
#define IN_USE (LINUX_LEVEL_CACHE | LINUX_LEVEL_CACHE_PRIVATE | LINUX_LEVEL_USER)
static const struct piece {
	enum mini_kernel kernel;
	const char *key;
	uint32_t told;    /* levels whose single pages go all the same */
	const char *lack; /* begins with it */
} pieces[] = {
	{MINI_6_1, "OFFSET(page.compound_head)", LINUX_LEVEL_FREE, "pages in use are kept: "},
	{MINI_6_12, "OFFSET(page.compound_head)", LINUX_LEVEL_FREE, "pages in use are kept: "},
	{MINI_7_1, "OFFSET(page.compound_info)", LINUX_LEVEL_FREE, "pages in use are kept: "},
	{MINI_7_2, "OFFSET(page.compound_info)", LINUX_LEVEL_FREE, "pages in use are kept: "},
	{MINI_7_2, "OFFSET(page.flags)", LINUX_LEVEL_FREE | LINUX_LEVEL_USER,
		"many pages in use are kept: "},
	{MINI_6_1, "OFFSET(page.mapping)", LINUX_LEVEL_FREE, "many pages in use are kept: "},
	{MINI_7_2, "OFFSET(page.mapping)", LINUX_LEVEL_FREE, "many pages in use are kept: "},
	{MINI_6_1, "OFFSET(page._mapcount)", IN_USE, "free pages are kept: "},
	{MINI_6_1, "OFFSET(page.private)", IN_USE, "free pages are kept: "},
	{MINI_7_2, "OFFSET(page.private)", IN_USE, "free pages are kept: "},
	{MINI_7_2, "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", IN_USE, "free pages are kept: "},
	{MINI_7_2, "LENGTH(zone.free_area)", IN_USE, "free pages are kept: "},
	{MINI_6_1, "OFFSET(page.compound_order)", IN_USE | LINUX_LEVEL_FREE, "large folios are kept: "},
	{MINI_7_2, "NUMBER(PG_head_mask)", IN_USE | LINUX_LEVEL_FREE, "large folios are kept: "},
	{MINI_6_1, "NUMBER(PG_slab)", 0, "most pages are kept: "},
	{MINI_7_2, "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)", 0, "most pages are kept: "},
};

START_TEST(without_one_key_the_pages_that_do_not_need_it_are_still_told)
{
	const struct piece *piece = &pieces[_i];

	mini_guest_init(&guest, piece->kernel, false);
	make_kinds();
	mini_write_info(&guest.mini, piece->key);
	assert_classified(ALL);
	ck_assert_ptr_nonnull(lack);
	ck_assert_msg(!strncmp(lack, piece->lack, strlen(piece->lack)), "%s", lack);
	ck_assert_uint_lt(strlen(lack) + strlen("linux: "), 128);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct kind *kind = &kinds[i];
		bool dropped = bitmap_test(drop, mini_bit(kind->pfn));

		/* nothing is dropped that would not be with the key; folios need more than their pages do */
		ck_assert_msg(!dropped || kind->levels, "%s", kind->name);
		if (kind->reason == LINUX_PAGE_FREE)
			ck_assert_msg(dropped == !!(piece->told & LINUX_LEVEL_FREE), "%s", kind->name);
		else if (!kind->order && kind->reason <= LINUX_PAGE_USER)
			ck_assert_msg(dropped == !!(piece->told & kind->levels), "%s", kind->name);
	}
	/* a level that does not need the key has nothing to complain of */
	assert_classified(piece->told & LINUX_LEVEL_FREE ? LINUX_LEVEL_FREE : LINUX_LEVEL_ZERO);
	ck_assert(!lack || !piece->told || !(piece->told & LINUX_LEVEL_FREE));
	mini_guest_fini(&guest);
}
END_TEST

static const char *const required[] = {"SIZE(page)", "OFFSET(page.flags)", "SYMBOL(mem_section)",
	"LENGTH(mem_section)", "SIZE(mem_section)", "OFFSET(mem_section.section_mem_map)",
	"NUMBER(SECTION_SIZE_BITS)", "NUMBER(phys_base)", "SYMBOL(init_top_pgt)", "SYMBOL(init_uts_ns)",
	"OFFSET(page"};

START_TEST(without_what_is_needed_nothing_is_dropped_and_the_reason_is_told)
{
	const char *why;

	mini_write_info(&guest.mini, required[_i]);
	why = classify(ALL, 1);
	ck_assert_ptr_nonnull(why);
	ck_assert_uint_eq(nr_dropped(), 0);
}
END_TEST

/* Numbers that no kernel has. */
static const char *const nonsense[] = {"SIZE(page)=8", "SIZE(page)=65", "SIZE(page)=4096", "SIZE(page)=0",
	"OFFSET(page.flags)=60", "OFFSET(page.mapping)=-8", "NUMBER(SECTION_SIZE_BITS)=63",
	"NUMBER(SECTION_SIZE_BITS)=0", "SIZE(mem_section)=0", "SIZE(mem_section)=4097",
	"SYMBOL(mem_section)=dead000000000000", "SYMBOL(init_top_pgt)=0", "NUMBER(phys_base)=1",
	"SYMBOL(init_uts_ns)=ffffffff84000000", "NUMBER(sme_mask)=140737488355328"};

START_TEST(nonsense_is_not_believed)
{
	struct vmcoreinfo info;
	char text[VMCOREINFO_TEXT_MAX];
	size_t key = strcspn(nonsense[_i], "=") + 1, len;
	char name[64];
	const char *why;

	snprintf(name, sizeof(name), "%.*s", (int)key, nonsense[_i]);
	mini_write_info(&guest.mini, name);
	len = (size_t)snprintf(text, sizeof(text), "%s%s\n", guest.mini.info, nonsense[_i]);
	mini_guest_sync(&guest);
	ck_assert(vmcoreinfo_set(&info, text, len));
	memset(drop, 0, sizeof(drop));
	why = linux_kernel_init(&guest.kernel, &guest.view, &info);
	if (!why)
		why = linux_pages_mark(&guest.kernel, ALL, 1, drop, counts, &lack);
	ck_assert_ptr_nonnull(why);
	ck_assert_uint_eq(nr_dropped(), 0);
}
END_TEST

static void poke64(uint64_t pfn, unsigned offset, uint64_t value)
{
	memcpy(mini_page(&guest.mini, pfn) + offset, &value, sizeof(value));
}

START_TEST(a_free_page_of_an_impossible_order_is_kept)
{
	static const uint64_t orders[] = {
		11, 64, 1ull << 32, UINT64_MAX, 4 /* frame 8 is not aligned to it */};

	poke64(8, 40, orders[_i]);
	assert_classified(ALL);
	ck_assert(!is_dropped(8, 8));
}
END_TEST

START_TEST(a_folio_that_contradicts_itself_is_kept)
{
	switch (_i) {
	case 0: /* order */
		mini_page(&guest.mini, HIGH + 65)[17] = 0;
		break;
	case 1:
		mini_page(&guest.mini, HIGH + 65)[17] = 60;
		break;
	case 2: /* not aligned */
		mini_page(&guest.mini, HIGH + 65)[17] = 7;
		break;
	case 3: /* its first tail belongs to another head */
		poke64(HIGH + 65, 8, MINI_VMEMMAP + 1);
		break;
	case 4:
		poke64(HIGH + 65, 8, 0);
		break;
	}
	assert_classified(ALL);
	ck_assert(!bitmap_test(drop, mini_bit(HIGH + 64)));
}
END_TEST

START_TEST(an_order_beyond_memory_drops_what_is_memory)
{
	/* order 8 at the last aligned frame of the low segment: its end is the segment's */
	mini_anon(&guest.mini, 192, 6);
	mini_page(&guest.mini, 193)[17] = 6;
	assert_classified(ALL);
	ck_assert(is_dropped(192, 64));
	mini_init(&guest.mini, MINI_6_1, false);
	mini_anon(&guest.mini, 0, 8);
	mini_page(&guest.mini, 1)[17] = 12; /* 4096 frames: the hole and beyond it */
	assert_classified(ALL);
	ck_assert(is_dropped(0, 256));
	ck_assert(!is_dropped(HIGH, 256));
	ck_assert_uint_eq(counts[LINUX_PAGE_USER], 256);
}
END_TEST

/* The first tail of 32 pages of a kernel that has masks there, or addresses where masks may be. */
START_TEST(a_tail_s_mask_must_be_that_of_its_order)
{
	static const struct {
		uint64_t word;
		bool dropped;
	} words[] = {
		{~0x7ffull | 1, true}, /* 32 descriptors of 64 bytes */
		{MINI_VMEMMAP + (HIGH + 64) * 64 + 1,
			true},          /* an address: as with struct page of 56 bytes */
		{~0xfffull | 1, false}, /* an order more, and one less */
		{~0x3ffull | 1, false},
		{~0x7ffull, false}, /* no tail's */
		{UINT64_MAX, false},
		{1, false},
		{MINI_VMEMMAP + HIGH * 64 + 1, false},
	};

	mini_guest_init(&guest, _i % 2 ? MINI_7_2 : MINI_7_1, false);
	make_kinds();
	poke64(HIGH + 65, 8, words[_i / 2].word);
	assert_classified(ALL);
	ck_assert_int_eq(bitmap_test(drop, mini_bit(HIGH + 64)), words[_i / 2].dropped);
	mini_guest_fini(&guest);
}
END_TEST

START_TEST(an_older_kernel_has_no_masks)
{
	poke64(HIGH + 65, 8, ~0x7ffull | 1);
	assert_classified(ALL);
	ck_assert(!bitmap_test(drop, mini_bit(HIGH + 64)));
}
END_TEST

START_TEST(a_tail_alone_is_kept)
{
	mini_anon(&guest.mini, 100, 0);
	poke64(100, 8, MINI_VMEMMAP + 64 * 64 + 1);
	assert_classified(ALL);
	ck_assert(!bitmap_test(drop, mini_bit(100)));
}
END_TEST

START_TEST(a_section_without_descriptors_is_kept)
{
	uint64_t *root = mini_phys(&guest.mini, 0x71000);

	switch (_i) {
	case 0: /* not present */
		root[2] = MINI_VMEMMAP | 0xe;
		break;
	case 1: /* no map */
		root[2] = MINI_VMEMMAP | 0xd;
		break;
	case 2: /* not mapped */
		root[2] = 0xffffd00000000000 | 0xf;
		break;
	case 3: /* not canonical */
		root[2] = 0x0001d00000000000 | 0xf;
		break;
	}
	assert_classified(ALL);
	ck_assert(is_dropped(8, 8));
	ck_assert(!bitmap_test(drop, mini_bit(HIGH + 1)));
}
END_TEST

START_TEST(descriptors_that_are_not_in_memory_keep_their_pages)
{
	uint64_t table = 0xa0000;

	/* the last level table of the vmemmap of the second segment: found by what it maps */
	for (uint64_t at = table; at < table + 0x20000; at += 8) {
		uint64_t *entry = mini_phys(&guest.mini, at);

		if (*entry == (0x84000 | 3ull))
			*entry = _i ? 0 : MINI_HOLE_START | 1; /* unmapped; mapped to what is no RAM */
	}
	assert_classified(ALL);
	ck_assert(is_dropped(8, 8));
	ck_assert(!is_dropped(HIGH, 64));
	ck_assert(is_dropped(HIGH + 128, 64));
}
END_TEST

/* What Debian's kernels say of struct page, as they say it. */
#define OFFSETS_SINCE_6_12                                                                                 \
	"SIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page._refcount)=52\nOFFSET(page.mapping)=24\n"        \
	"OFFSET(page.lru)=8\nOFFSET(page._mapcount)=48\nOFFSET(page.private)=40\n"
#define NUMBERS_SINCE_6_12                                                                                 \
	"NUMBER(PG_lru)=5\nNUMBER(PG_private)=14\nNUMBER(PG_swapcache)=10\nNUMBER(PG_swapbacked)=17\n"     \
	"NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-184549376\nNUMBER(PG_head_mask)=64\n"                           \
	"NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456\nNUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-201326592\n"   \
	"NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-251658240\nLENGTH(zone.free_area)=11\n"

static const struct {
	const char *text;
	bool masks;
	unsigned hwpoison;
} told[] = {
	{"OSRELEASE=6.12.117+deb13-cloud-amd64\nPAGESIZE=4096\n" OFFSETS_SINCE_6_12
	 "OFFSET(page.compound_head)=8\n" NUMBERS_SINCE_6_12 "NUMBER(PG_hwpoison)=20\n",
		false, 20},
	{"OSRELEASE=7.2.13+deb14-cloud-amd64\nPAGESIZE=4096\n" OFFSETS_SINCE_6_12
	 "OFFSET(page.compound_info)=8\n" NUMBERS_SINCE_6_12
	 "NUMBER(PG_hwpoison)=21\nNUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)=-150994944\n",
		true, 21},
	{"OSRELEASE=7.3.4+deb13-rt-amd64\nPAGESIZE=4096\n" OFFSETS_SINCE_6_12
	 "OFFSET(page.compound_info)=8\n" NUMBERS_SINCE_6_12 "NUMBER(PG_hwpoison)=21\n",
		true, 21},
};

START_TEST(what_debian_s_kernels_say_of_struct_page_is_understood)
{
	struct linux_page_format format;

	ck_assert(vmcoreinfo_set(&guest.kernel.info, told[_i].text, strlen(told[_i].text)));
	ck_assert_ptr_null(linux_page_format_init(&format, &guest.kernel));
	ck_assert_ptr_null(linux_page_format_lack(&format, ALL));
	ck_assert_uint_eq(format.size, 64);
	ck_assert_uint_eq(format.mapping, 24);
	ck_assert_uint_eq(format.mapcount, 48);
	ck_assert_uint_eq(format.private_data, 40);
	ck_assert_uint_eq(format.compound, 8);
	ck_assert_int_eq(format.has_masks, told[_i].masks);
	ck_assert(format.order_in_flags);
	ck_assert_uint_eq(format.head, 64);
	ck_assert_uint_eq(format.hwpoison, 1u << told[_i].hwpoison);
	ck_assert_uint_eq(format.buddy.value, 0xf0000000);
	ck_assert_uint_eq(format.slab_type.value, 0xf5000000);
	ck_assert_uint_eq(format.hugetlb_type.value, 0xf4000000);
}
END_TEST

Suite *suite_linux_pages(void)
{
	Suite *suite = suite_create("linux-pages");
	TCase *kernels = tcase_create("kernels");
	TCase *lies = tcase_create("lies");

	tcase_add_loop_test(
		kernels, every_kernel_s_pages_are_told_apart_at_every_level, 0, 2 * MINI_KERNELS);
	tcase_add_loop_test(kernels, without_one_key_the_pages_that_do_not_need_it_are_still_told, 0,
		ARRAY_LEN(pieces));
	tcase_add_loop_test(kernels, a_tail_s_mask_must_be_that_of_its_order, 0, 16);
	suite_add_tcase(suite, kernels);
	tcase_add_checked_fixture(lies, setup, teardown);
	tcase_add_loop_test(
		lies, what_debian_s_kernels_say_of_struct_page_is_understood, 0, ARRAY_LEN(told));
	tcase_add_test(lies, several_workers_find_the_same);
	tcase_add_loop_test(lies, an_absent_key_keeps_what_it_would_tell, 0, ARRAY_LEN(keys));
	tcase_add_test(lies, without_the_private_flag_no_cache_page_counts_as_free_of_it);
	tcase_add_loop_test(lies, without_what_is_needed_nothing_is_dropped_and_the_reason_is_told, 0,
		ARRAY_LEN(required));
	tcase_add_loop_test(lies, nonsense_is_not_believed, 0, ARRAY_LEN(nonsense));
	tcase_add_loop_test(lies, a_free_page_of_an_impossible_order_is_kept, 0, 5);
	tcase_add_loop_test(lies, a_folio_that_contradicts_itself_is_kept, 0, 5);
	tcase_add_test(lies, an_order_beyond_memory_drops_what_is_memory);
	tcase_add_test(lies, an_older_kernel_has_no_masks);
	tcase_add_test(lies, a_tail_alone_is_kept);
	tcase_add_loop_test(lies, a_section_without_descriptors_is_kept, 0, 4);
	tcase_add_loop_test(lies, descriptors_that_are_not_in_memory_keep_their_pages, 0, 2);
	suite_add_tcase(suite, lies);
	return suite;
}
