/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_vmcoreinfo.c - VMCOREINFO found among what looks like it, and its text read strictly. */
#include "tests/unit/mini_guest.h"
#include "tests/unit/suites.h"

#include "dump/base/io.h"
#include "dump/linux/linux_find.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct mini_guest guest;
static struct vmcoreinfo info;

static void setup(void)
{
	mini_guest_init(&guest, MINI_6_1, false);
}

static void teardown(void)
{
	mini_guest_fini(&guest);
}

static void set(const char *rest)
{
	char text[1024];

	snprintf(text, sizeof(text), "OSRELEASE=6.1.0-test\nPAGESIZE=4096\n%s\n%060d\n", rest, 0);
	ck_assert(vmcoreinfo_set(&info, text, strlen(text)));
}

START_TEST(values_are_found_by_kind_and_whole_name)
{
	uint64_t value = 0;
	int64_t number = 0;

	set("SYMBOL(mem_section_x)=11\nXSYMBOL(mem_section)=22\nSYMBOL(mem_section)=ffff8ef8bfd09680\n"
	    "SYMBOL(mem_section)=33\nNUMBER(phys_base)=-4194304\nOFFSET(page.lru)=8\nKERNELOFFSET=4400000");
	ck_assert(vmcoreinfo_symbol(&info, "mem_section", &value));
	ck_assert_uint_eq(value, 0xffff8ef8bfd09680);
	ck_assert(vmcoreinfo_number(&info, "phys_base", &number));
	ck_assert_int_eq(number, -4194304);
	ck_assert(vmcoreinfo_measure(&info, "OFFSET", "page.lru", 8, &value));
	ck_assert_uint_eq(value, 8);
	ck_assert(!vmcoreinfo_measure(&info, "OFFSET", "page.lru", 7, &value));
	ck_assert(!vmcoreinfo_measure(&info, "SIZE", "page.lru", 8, &value));
	ck_assert(!vmcoreinfo_symbol(&info, "mem", &value));
	ck_assert(vmcoreinfo_hex(&info, NULL, "KERNELOFFSET", &value));
	ck_assert_uint_eq(value, 0x4400000);
}
END_TEST

/* More keys than the index has slots: some share one. */
START_TEST(each_of_many_keys_is_found_and_no_other)
{
	char text[VMCOREINFO_TEXT_MAX], name[16];
	size_t len = (size_t)snprintf(text, sizeof(text), "OSRELEASE=6.1.0-test\nno key\n\n=1\n");
	unsigned nr = 0;
	int64_t number;

	while (len + 32 < sizeof(text)) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%x=%u\n", nr, nr);
		nr++;
	}
	ck_assert_uint_gt(nr, VMCOREINFO_SLOTS);
	len += (size_t)snprintf(text + len, sizeof(text) - len, "last=4=5");
	ck_assert(vmcoreinfo_set(&info, text, len));
	for (unsigned i = 0; i < 2 * nr; i++) {
		snprintf(name, sizeof(name), "%x", i);
		ck_assert_msg(vmcoreinfo_decimal(&info, NULL, name, &number) == (i < nr), "key %s", name);
		ck_assert(i >= nr || number == i);
	}
	vmcoreinfo_string(&info, "last", name, sizeof(name));
	ck_assert_str_eq(name, "4=5");
}
END_TEST

static const char *const no_numbers[] = {"", "-", "--1", "+1", " 1", "1 ", "0x10", "12a",
	"9223372036854775808", "-9223372036854775808", "99999999999999999999999999", "1\t"};

START_TEST(what_is_no_number_is_absent)
{
	char line[64];
	int64_t number = 7;

	snprintf(line, sizeof(line), "NUMBER(x)=%s", no_numbers[_i]);
	set(line);
	ck_assert(!vmcoreinfo_number(&info, "x", &number));
	ck_assert_int_eq(number, 7);
}
END_TEST

START_TEST(numbers_fit_64_bits)
{
	uint64_t value = 0;
	int64_t number = 0;

	set("SYMBOL(a)=ffffffffffffffff\nSYMBOL(b)=10000000000000000\nNUMBER(c)="
	    "9223372036854775807\nSYMBOL(d)=");
	ck_assert(vmcoreinfo_symbol(&info, "a", &value));
	ck_assert_uint_eq(value, UINT64_MAX);
	ck_assert(!vmcoreinfo_symbol(&info, "b", &value));
	ck_assert(vmcoreinfo_number(&info, "c", &number));
	ck_assert_int_eq(number, INT64_MAX);
	ck_assert(!vmcoreinfo_symbol(&info, "d", &value));
}
END_TEST

START_TEST(strings_are_cut)
{
	char text[8];

	set("");
	vmcoreinfo_string(&info, "OSRELEASE", text, sizeof(text));
	ck_assert_str_eq(text, "6.1.0-t");
	vmcoreinfo_string(&info, "CRASHTIME", text, sizeof(text));
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(what_is_no_text_is_refused)
{
	char text[VMCOREINFO_TEXT_MAX + 1];
	static const char bad[] = {'\0', '\r', '\x1b', '\x7f', '\xff'};

	memset(text, 'a', sizeof(text));
	memcpy(text, "OSRELEASE=", 10);
	ck_assert(vmcoreinfo_set(&info, text, VMCOREINFO_TEXT_MAX));
	ck_assert(!vmcoreinfo_set(&info, text, VMCOREINFO_TEXT_MAX + 1));
	ck_assert_uint_eq(info.len, 0);
	ck_assert(!vmcoreinfo_set(&info, text, VMCOREINFO_TEXT_MIN - 1));
	ck_assert(!vmcoreinfo_set(&info, text + 1, 100));
	for (size_t i = 0; i < sizeof(bad); i++) {
		text[50] = bad[i];
		ck_assert_msg(!vmcoreinfo_set(&info, text, 100), "byte %#x", bad[i]);
	}
	text[50] = 'a';
	memset(text + 100, 0, 10);
	ck_assert(vmcoreinfo_set(&info, text, 110)); /* padding */
	ck_assert_uint_eq(info.len, 100);
}
END_TEST

START_TEST(it_is_found_in_memory_as_the_kernel_wrote_it)
{
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1 + (uint32_t)_i, UINT64_MAX, NULL, NULL, &info), 1);
	ck_assert_str_eq(info.text, guest.mini.info);
	ck_assert_uint_eq(info.len, strlen(guest.mini.info));
}
END_TEST

/* The kernel's string, the text without its header, headers that are not at a page's start. */
START_TEST(what_looks_like_it_is_not_taken)
{
	uint8_t *note = mini_phys(&guest.mini, MINI_NOTE_PHYS);
	uint8_t *elsewhere = mini_phys(&guest.mini, MINI_HOLE_END);
	uint8_t *copy = malloc(PAGE_SIZE_4K);
	uint32_t too_long = VMCOREINFO_TEXT_MAX + 1;

	memcpy(copy, note, PAGE_SIZE_4K);
	memset(note, 0, PAGE_SIZE_4K);
	memcpy(elsewhere, copy + 24, 3000);                       /* text */
	memcpy(elsewhere + PAGE_SIZE_4K, "VMCOREINFO", 11);       /* string */
	memcpy(elsewhere + 2 * PAGE_SIZE_4K + 64, copy, 3000);    /* not at the start of a page */
	memcpy(elsewhere + 3 * PAGE_SIZE_4K, copy, 24);           /* header without text */
	memcpy(elsewhere + 4 * PAGE_SIZE_4K, copy, PAGE_SIZE_4K); /* a length beyond what there may be */
	memcpy(elsewhere + 4 * PAGE_SIZE_4K + 4, &too_long, sizeof(too_long));
	memset(elsewhere + 4 * PAGE_SIZE_4K + 24 + strlen(guest.mini.info), 'x',
		too_long - strlen(guest.mini.info));
	elsewhere += PAGE_SIZE_4K;
	memcpy(elsewhere + 5 * PAGE_SIZE_4K, copy, PAGE_SIZE_4K); /* another type */
	elsewhere[5 * PAGE_SIZE_4K + 8] = 1;
	mini_guest_sync(&guest);
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1, UINT64_MAX, NULL, NULL, &info), 0);
	ck_assert_uint_eq(info.len, 0);
	free(copy);
}
END_TEST

START_TEST(a_note_that_memory_ends_in_is_not_taken)
{
	uint8_t *note = mini_phys(&guest.mini, MINI_NOTE_PHYS);
	uint8_t *last = mini_phys(&guest.mini, MINI_HOLE_END + MIB(1) - PAGE_SIZE_4K);
	uint32_t len = PAGE_SIZE_4K - 24 + 1;

	memcpy(last, note, PAGE_SIZE_4K);
	memset(last + 24 + strlen(guest.mini.info), 'x', PAGE_SIZE_4K - 24 - strlen(guest.mini.info));
	memset(note, 0, PAGE_SIZE_4K);
	memcpy(last + 4, &len, sizeof(len));
	mini_guest_sync(&guest);
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1, UINT64_MAX, NULL, NULL, &info), 0);
	len--;
	memcpy(last + 4, &len, sizeof(len));
	mini_guest_sync(&guest);
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1, UINT64_MAX, NULL, NULL, &info), 1);
	ck_assert_uint_eq(info.len, len);
}
END_TEST

/* A kernel that was there before, by kexec: its page tables are overwritten, its VMCOREINFO is not. */
START_TEST(the_one_of_the_kernel_that_is_there_is_preferred)
{
	uint8_t *note = mini_phys(&guest.mini, MINI_NOTE_PHYS);
	uint8_t *stale = mini_phys(&guest.mini, MINI_HOLE_END);

	memcpy(stale, note, PAGE_SIZE_4K);
	memcpy(stale + 24 + strlen("OSRELEASE=6."), "0", 1);
	mini_guest_sync(&guest);
	ck_assert_int_eq(
		vmcoreinfo_scan(&guest.view, 1, UINT64_MAX, linux_kernel_accepts, &guest.view, &info), 1);
	ck_assert_str_eq(info.text, guest.mini.info);

	memset(note, 0, PAGE_SIZE_4K);
	mini_guest_sync(&guest);
	ck_assert_int_eq(
		vmcoreinfo_scan(&guest.view, 1, UINT64_MAX, linux_kernel_accepts, &guest.view, &info), 0);
	ck_assert_msg(
		strstr(info.text, "OSRELEASE=6.0.0-mini"), "the refused one is told: %.30s", info.text);
}
END_TEST

/* Kernels before 5.11 do not tell where in the namespace the name is. */
START_TEST(another_kernel_s_note_is_refused_on_every_kernel)
{
	const char *why;

	mini_guest_fini(&guest);
	mini_guest_init(&guest, (enum mini_kernel)_i, false);
	why = mini_guest_open(&guest);
	ck_assert_msg(!why, "%s", why);
	memcpy((char *)mini_at(&guest.mini, MINI_UTS + 4) + 2 * 65, "4.19", 4);
	why = mini_guest_open(&guest);
	ck_assert_ptr_nonnull(why);
	ck_assert_str_eq(why, "the kernel in memory is not the one that VMCOREINFO describes");
	ck_assert(!linux_kernel_accepts(&guest.view, &guest.info));
}
END_TEST

START_TEST(looking_for_it_allocates_nothing)
{
	struct stat st;

	ck_assert_int_eq(ftruncate(guest.view.fd, 0), 0);
	ck_assert_int_eq(ftruncate(guest.view.fd, (off_t)dump_layout_file_size(&guest.mini.layout)), 0);
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1, UINT64_MAX, NULL, NULL, &info), 0);
	ck_assert_int_eq(fstat(guest.view.fd, &st), 0);
	ck_assert_int_eq(st.st_blocks, 0);
}
END_TEST

START_TEST(no_more_is_looked_at_than_is_allowed)
{
	/* the note is in the first segment, which is looked at after the last one: of 1 MiB */
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1, 200, NULL, NULL, &info), 0);
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1, 600, NULL, NULL, &info), 1);
}
END_TEST

/* CR3 of the kernel, of one that has an address space identifier, and of a process with tables of its own */
static const uint64_t roots[] = {MINI_IMAGE_PHYS, MINI_IMAGE_PHYS | 0x123, MINI_IMAGE_PHYS | 0x1803};

START_TEST(it_is_found_by_the_kernels_own_pointer)
{
	const struct guest_view *view = &guest.view;

	ck_assert_int_eq(linux_find_info(view, roots[_i], 0, &info), 1);
	ck_assert_str_eq(info.text, guest.mini.info);
	mini_guest_fini(&guest);
	mini_guest_init(&guest, MINI_6_12, true);
	ck_assert_int_eq(linux_find_info(view, roots[_i], PAGEWALK_CR4_LA57, &info), 1);
	ck_assert_str_eq(info.text, guest.mini.info);
}
END_TEST

START_TEST(without_the_pointer_the_kernel_is_known_not_to_have_it)
{
	uint64_t *pointer = mini_at(&guest.mini, MINI_NOTE_POINTER);

	info.len = 0;
	*pointer += PAGE_SIZE_4K; /* something else */
	mini_guest_sync(&guest);
	ck_assert_int_eq(linux_find_info(&guest.view, roots[_i], 0, &info), 0);
	*pointer = MINI_NOTE_PHYS; /* no address of the direct map */
	mini_guest_sync(&guest);
	ck_assert_int_eq(linux_find_info(&guest.view, roots[_i], 0, &info), 0);
	*pointer = MINI_DIRECT + MINI_NOTE_PHYS;
	memset(mini_at(&guest.mini, MINI_UTS), 'x', 256); /* another kernel's */
	mini_guest_sync(&guest);
	ck_assert_int_eq(linux_find_info(&guest.view, roots[_i], 0, &info), 0);
	ck_assert_uint_eq(info.len, 0);
}
END_TEST

/* Words in code and constants look like pointers too; the pointer is a variable. */
START_TEST(the_pointer_is_not_looked_for_in_what_the_kernel_cannot_write)
{
	uint64_t *top = mini_at(&guest.mini, MINI_IMAGE);

	top[511] &= ~2ull;
	mini_guest_sync(&guest);
	ck_assert_int_eq(linux_find_info(&guest.view, MINI_IMAGE_PHYS, 0, &info), -ENOENT);
}
END_TEST

START_TEST(who_maps_nothing_where_linux_is_has_no_kernel)
{
	/* an empty table; a table that is no RAM; 4-level tables taken for 5-level ones map nothing there */
	memset(mini_phys(&guest.mini, MINI_HOLE_END), 0, PAGE_SIZE_4K);
	mini_guest_sync(&guest);
	ck_assert_int_eq(linux_find_info(&guest.view, MINI_HOLE_END, 0, &info), -ENOENT);
	ck_assert_int_eq(linux_find_info(&guest.view, MINI_HOLE_START, 0, &info), -ENOENT);
	ck_assert_int_eq(linux_find_info(&guest.view, MINI_IMAGE_PHYS, PAGEWALK_CR4_LA57, &info), -ENOENT);
}
END_TEST

/* All that there may be of an image, the same page again and again, every word of it a pointer. */
START_TEST(a_hostile_image_is_not_followed_for_long)
{
	uint64_t *page = mini_phys(&guest.mini, MINI_HOLE_END), *table = page + 512, *top = page + 1024;
	uint64_t top_phys = MINI_HOLE_END + 2 * PAGE_SIZE_4K;
	uint64_t start = clock_mono_ns();

	for (unsigned i = 0; i < 512; i++) {
		page[i] = MINI_DIRECT + (uint64_t)i * PAGE_SIZE_4K;
		table[i] = MINI_HOLE_END | 3;
		/* 511 and 510 lead to the image, and are the same table at each level */
		top[i] = (i < 510 ? MINI_HOLE_END + PAGE_SIZE_4K : top_phys) | 3;
	}
	mini_guest_sync(&guest);
	ck_assert_int_eq(linux_find_info(&guest.view, top_phys, 0, &info), 0);
	ck_assert_uint_lt(clock_mono_ns() - start, 5 * NSEC_PER_SEC);
}
END_TEST

Suite *suite_vmcoreinfo(void)
{
	Suite *suite = suite_create("vmcoreinfo");
	TCase *text = tcase_create("text");
	TCase *scan = tcase_create("scan");
	TCase *find = tcase_create("find");

	tcase_add_test(text, values_are_found_by_kind_and_whole_name);
	tcase_add_test(text, each_of_many_keys_is_found_and_no_other);
	tcase_add_loop_test(text, what_is_no_number_is_absent, 0, ARRAY_LEN(no_numbers));
	tcase_add_test(text, numbers_fit_64_bits);
	tcase_add_test(text, strings_are_cut);
	tcase_add_test(text, what_is_no_text_is_refused);
	suite_add_tcase(suite, text);
	tcase_add_checked_fixture(scan, setup, teardown);
	tcase_add_loop_test(scan, it_is_found_in_memory_as_the_kernel_wrote_it, 0, 3);
	tcase_add_test(scan, what_looks_like_it_is_not_taken);
	tcase_add_test(scan, a_note_that_memory_ends_in_is_not_taken);
	tcase_add_test(scan, the_one_of_the_kernel_that_is_there_is_preferred);
	tcase_add_loop_test(scan, another_kernel_s_note_is_refused_on_every_kernel, 0, MINI_KERNELS);
	tcase_add_test(scan, looking_for_it_allocates_nothing);
	tcase_add_test(scan, no_more_is_looked_at_than_is_allowed);
	suite_add_tcase(suite, scan);
	tcase_add_checked_fixture(find, setup, teardown);
	tcase_add_loop_test(find, it_is_found_by_the_kernels_own_pointer, 0, ARRAY_LEN(roots));
	tcase_add_loop_test(
		find, without_the_pointer_the_kernel_is_known_not_to_have_it, 0, ARRAY_LEN(roots));
	tcase_add_test(find, the_pointer_is_not_looked_for_in_what_the_kernel_cannot_write);
	tcase_add_test(find, who_maps_nothing_where_linux_is_has_no_kernel);
	tcase_add_test(find, a_hostile_image_is_not_followed_for_long);
	suite_add_tcase(suite, find);
	return suite;
}
