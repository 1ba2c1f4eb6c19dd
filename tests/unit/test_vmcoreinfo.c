/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_vmcoreinfo.c - VMCOREINFO found among what looks like it, and its text read strictly. */
#include "tests/unit/mini_guest.h"
#include "tests/unit/suites.h"

#include <check.h>
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
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1 + (uint32_t)_i, NULL, NULL, &info), 1);
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
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1, NULL, NULL, &info), 0);
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
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1, NULL, NULL, &info), 0);
	len--;
	memcpy(last + 4, &len, sizeof(len));
	mini_guest_sync(&guest);
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1, NULL, NULL, &info), 1);
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
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1, linux_kernel_accepts, &guest.view, &info), 1);
	ck_assert_str_eq(info.text, guest.mini.info);

	memset(note, 0, PAGE_SIZE_4K);
	mini_guest_sync(&guest);
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1, linux_kernel_accepts, &guest.view, &info), 0);
	ck_assert_msg(
		strstr(info.text, "OSRELEASE=6.0.0-mini"), "the refused one is told: %.30s", info.text);
}
END_TEST

START_TEST(looking_for_it_allocates_nothing)
{
	struct stat st;

	ck_assert_int_eq(ftruncate(guest.view.fd, 0), 0);
	ck_assert_int_eq(ftruncate(guest.view.fd, (off_t)dump_layout_file_size(&guest.mini.layout)), 0);
	ck_assert_int_eq(vmcoreinfo_scan(&guest.view, 1, NULL, NULL, &info), 0);
	ck_assert_int_eq(fstat(guest.view.fd, &st), 0);
	ck_assert_int_eq(st.st_blocks, 0);
}
END_TEST

Suite *suite_vmcoreinfo(void)
{
	Suite *suite = suite_create("vmcoreinfo");
	TCase *text = tcase_create("text");
	TCase *scan = tcase_create("scan");

	tcase_add_test(text, values_are_found_by_kind_and_whole_name);
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
	tcase_add_test(scan, looking_for_it_allocates_nothing);
	suite_add_tcase(suite, scan);
	return suite;
}
