/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_config.c - vmm/config/config_file.c: files with every kind of mistake, and long values */
#include "dump/base/cleanup.h"
#include "tests/unit/config_fixture.h"
#include "tests/unit/suites.h"

#include <errno.h>
#include <string.h>

/* ---- files -------------------------------------------------------------------------------------- */

START_TEST(a_file_may_set_every_key)
{
	accepts("# a comment\n; another\n\n[vm]\nname = web-1\nkernel = /boot/k\ncmdline = a=b c  \nmemory "
		"= 1G\n"
		"vcpus = 4\nwatchdog = 5s\n\n[dump]\nenabled = no\ndir = /dev/shm/x\nhuge_pages = off\n"
		"strategy = vmapp\nselect = all\nchunk = 4M\nworkers = 3\n[recovery]\nenabled: no\n"
		"kernel=/boot/r\ncmdline = quiet\nmax = 9\nbackoff = 250ms\nstable = 2m\n[console]\noutput "
		"= none ; "
		"nobody reads it\n");
	ck_assert_str_eq(config.vm.name, "web-1");
	ck_assert_str_eq(config.vm.kernel, "/boot/k");
	ck_assert_str_eq(config.vm.cmdline, "a=b c");
	ck_assert_uint_eq(config.vm.memory, GIB(1));
	ck_assert_uint_eq(config.vm.vcpus, 4);
	ck_assert_uint_eq(config.vm.watchdog, 5 * NSEC_PER_SEC);
	ck_assert(!config.dump.enabled);
	ck_assert_str_eq(config.dump.dir, "/dev/shm/x");
	ck_assert_uint_eq(config.dump.huge_pages, HUGE_PAGES_OFF);
	ck_assert_uint_eq(config.dump.chunk, MIB(4));
	ck_assert_uint_eq(config.dump.workers, 3);
	ck_assert(!config.recovery.enabled);
	ck_assert_str_eq(config.recovery.kernel, "/boot/r");
	ck_assert_str_eq(config.recovery.cmdline, "quiet");
	ck_assert_uint_eq(config.recovery.max, 9);
	ck_assert_uint_eq(config.recovery.backoff, 250 * NSEC_PER_MSEC);
	ck_assert_uint_eq(config.recovery.stable, 120 * NSEC_PER_SEC);
	ck_assert_str_eq(config.console.output, "none");
}
END_TEST

START_TEST(windows_line_ends_and_a_byte_order_mark_do_no_harm)
{
	accepts("\xef\xbb\xbf[vm]\r\nkernel = k\r\nmemory = 32M\r\n");
	ck_assert_uint_eq(config.vm.memory, MIB(32));
}
END_TEST

START_TEST(a_value_that_is_not_allowed_is_reported_with_what_is)
{
	refuses("[vm]\nkernel = k\nmemory = lots\n", 3,
		"[vm] memory: 'lots' is not allowed; allowed: 16M to 128G, a multiple of 2M");
	refuses("[vm]\nkernel = k\n\n# comment\nvcpus = 65\n", 5,
		"[vm] vcpus: '65' is not allowed; allowed: 1 to 64");
	refuses("[vm]\nkernel = k\n[dump]\nselect = most\n", 4,
		"[dump] select: 'most' is not allowed; allowed: all");
	refuses("[vm]\nkernel = k\nmemory = 99999999999T\n", 3,
		"[vm] memory: '99999999999T' is not allowed");
	refuses("[vm]\nkernel =\n", 2, "[vm] kernel: '' is not allowed; allowed: a path");
}
END_TEST

START_TEST(an_unknown_key_is_reported_with_the_keys_there_are)
{
	refuses("[vm]\nkernel = k\nmemroy = 1G\n", 3,
		"[vm] has no key 'memroy'; it has: name, kernel, initrd, cmdline, memory, memory_dir, "
		"memory_overcommit, vcpus, watchdog");
}
END_TEST

START_TEST(a_key_of_another_section_is_unknown)
{
	refuses("[vm]\nkernel = k\nchunk = 2M\n", 3, "[vm] has no key 'chunk'");
}
END_TEST

START_TEST(an_unknown_section_is_reported_with_the_sections_there_are)
{
	refuses("[vm]\nkernel = k\n[dumps]\nchunk = 2M\n", 4,
		"there is no section [dumps]; sections: vm, dump, recovery, console");
	refuses("kernel = k\n[vm]\nkernel = k\n", 1, "there is no section []; sections: vm,");
}
END_TEST

START_TEST(a_key_set_twice_is_reported_with_the_line_of_the_first)
{
	refuses("[vm]\nkernel = k\nmemory = 1G\nmemory = 2G\n", 4, "[vm] memory: already set in line 3");
	refuses("[vm]\nkernel = k\n[dump]\n[vm]\nkernel = j\n", 5, "[vm] kernel: already set in line 2");
}
END_TEST

START_TEST(an_indented_key_in_a_second_section_of_that_name_is_set_twice_and_no_continuation)
{
	refuses("[vm]\nkernel = k\ncmdline = a\n[vm]\n  cmdline = b\n", 5,
		"[vm] cmdline: already set in line 3");
}
END_TEST

START_TEST(a_line_that_is_neither_section_nor_key_is_reported)
{
	refuses("[vm]\nkernel = k\nnonsense\n", 3, "neither '[section]' nor 'key = value' nor a comment");
	refuses_lines("[vm\nkernel = k\n",
		(const char *const[]){":2: there is no section []", ":1: neither '[section]'"}, 2);
}
END_TEST

START_TEST(one_run_shows_every_mistake)
{
	refuses_lines("[vm]\nmemory = x\nvcpus = 0\nkernle = k\n[dmup]\nchunk = 1\n[console]\noutput =\n",
		(const char *const[]){":2: [vm] memory", ":3: [vm] vcpus", ":4: [vm] has no key",
			":6: there is no section", ":8: [console] output"},
		5);
}
END_TEST

START_TEST(a_missing_kernel_is_reported)
{
	refuses_lines("[vm]\nmemory = 1G\n", (const char *const[]){"guest.cfg: [vm] kernel: missing"}, 1);
	refuses_lines("", (const char *const[]){"guest.cfg: [vm] kernel: missing"}, 1);
}
END_TEST

/* Each names both keys. */
static const struct {
	const char *dump, *one, *other;
} conflicts[] = {
	{"compress = lz4\nstrategy = remap\n", "compress = lz4", "strategy = vmapp"},
	{"compress = lz4\nstrategy = hybrid\n", "compress = lz4", "strategy = vmapp"},
	{"compress = lz4\nstrategy = hypercall\n", "compress = lz4", "strategy = vmapp"},
	{"compress = lz4\nstrategy = addmem\n", "compress = lz4", "strategy = vmapp"},
	{"compress = lz4\nchunk = 8M\n", "compress = lz4", "chunk = 4M"},
	{"compress = lz4\norder = descending\n", "compress = lz4", "order = ascending"},
	{"select = zero\nstrategy = hypercall\n", "select must be all", "strategy = hypercall"},
	{"select = pages\nstrategy = addmem\n", "select must be all", "addmem"},
};

START_TEST(values_that_do_not_go_together_are_refused_with_both_keys)
{
	char text[256];

	snprintf(text, sizeof(text), "[vm]\nkernel = k\n[dump]\n%s", conflicts[_i].dump);
	refuses_lines(text, &conflicts[_i].one, 1);
	refuses_lines(text, &conflicts[_i].other, 1);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_gives_its_errno)
{
	autofree char *log = NULL;
	char missing[128];

	stderr_capture();
	ck_assert_int_eq(
		config_load(&config, scratch_path(&scratch, "none.cfg", missing, sizeof(missing)), NULL, 0),
		-ENOENT);
	ck_assert_int_eq(config_load(&config, scratch.dir, NULL, 0), -EIO); /* a directory */
	log = stderr_text();
	ck_assert_ptr_nonnull(strstr(log, "none.cfg: No such file or directory\n"));
	ck_assert_ptr_nonnull(strstr(log, ": cannot be read\n"));
}
END_TEST

START_TEST(no_byte_of_a_file_is_a_surprise)
{
	char text[] = MINIMAL "cmdline = x?y\n";
	char *at = strchr(text, '?');
	autofree char *log = NULL;

	stderr_capture(); /* some of these are errors, none is more */
	for (int byte = 0; byte < 256; byte++) {
		*at = (char)byte;
		config_fini(&config);
		scratch_file(&scratch, "guest.cfg", text, sizeof(text) - 1, path, sizeof(path));
		if (!config_load(&config, path, NULL, 0))
			ck_assert_uint_eq(config.vm.cmdline[0], 'x');
	}
	log = stderr_text();
}
END_TEST

/* ---- long values -------------------------------------------------------------------------------- */

START_TEST(text_goes_on_in_indented_lines)
{
	accepts(MINIMAL "cmdline = one\n  two  three\n\tfour\n\n   # no part of it\n  five\nvcpus = 2\n");
	ck_assert_str_eq(config.vm.cmdline, "one two  three four five");
	ck_assert_uint_eq(config.vm.vcpus, 2);
}
END_TEST

START_TEST(text_may_begin_in_the_line_after_its_key)
{
	accepts(MINIMAL "cmdline =\n  one\n  two\n");
	ck_assert_str_eq(config.vm.cmdline, "one two");
}
END_TEST

START_TEST(a_comment_behind_a_continued_value_is_no_part_of_it)
{
	accepts(MINIMAL "cmdline = one ; first\n  two;2 ; second\n");
	ck_assert_str_eq(config.vm.cmdline, "one two;2");
}
END_TEST

START_TEST(a_comment_behind_any_value_may_begin_with_either_sign)
{
	accepts("[vm]   # the machine\nkernel = k#1   # a bzImage\ncmdline = a=#b #1 #\nvcpus = 2\t# two; "
		"not "
		"one\n"
		"memory = 1G # of RAM\n  # nothing goes on here\n[dump]\nselect = zero # and no more\n");
	ck_assert_str_eq(strrchr(config.vm.kernel, '/'), "/k#1");
	ck_assert_str_eq(config.vm.cmdline, "a=#b #1");
	ck_assert_uint_eq(config.vm.vcpus, 2);
	ck_assert_uint_eq(config.vm.memory, GIB(1));
}
END_TEST

START_TEST(only_text_may_go_on_over_several_lines)
{
	refuses("[vm]\nkernel = a\n  b\n", 3, "[vm] kernel: only text can go on over several lines");
	refuses("[vm]\nkernel = a\nmemory = 1G\n  2G\n", 4, "[vm] memory: only text can go on");
}
END_TEST

START_TEST(the_continuation_of_a_mistake_is_no_second_mistake)
{
	refuses("[vm]\nkernel = k\nmemory = much\n  more\n  and more\n", 3, "[vm] memory: 'much'");
	refuses("[vm]\nkernel = k\ncmdlin = much\n  more\n", 3, "[vm] has no key 'cmdlin'");
}
END_TEST

START_TEST(a_line_may_have_198_bytes)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "%scmdline = ", MINIMAL);

	memset(text + len, 'x', 188);
	strcpy(text + len + 188, "\nvcpus = 3\n");
	accepts(text);
	ck_assert_uint_eq(strlen(config.vm.cmdline), 188);
	ck_assert_uint_eq(config.vm.vcpus, 3);
	memset(text + len, 'x', 189);
	strcpy(text + len + 189, "\nvcpus = 3\n");
	refuses(text, 3, "line longer than 198 bytes; continue a long value on an indented line");
}
END_TEST

START_TEST(lines_behind_an_over_long_one_are_counted_right_and_it_continues_nothing)
{
	char text[4096];
	int len = snprintf(text, sizeof(text), "%svcpus = 2\ncmdline = ", MINIMAL);

	memset(text + len, 'x', 3000);
	strcpy(text + len + 3000, "\n  tail\nmemory = much\n");
	refuses_lines(text,
		(const char *const[]){":4: line longer than 198 bytes", ":6: [vm] memory: 'much'"}, 2);
}
END_TEST

START_TEST(text_longer_than_the_limit_is_refused_with_the_line_that_is_too_much)
{
	autofree char *text = calloc(1, 8192);
	size_t len;

	ck_assert_ptr_nonnull(text);
	strcpy(text, MINIMAL "cmdline = x\n");
	len = strlen(text);
	for (int i = 0; i < 32; i++) { /* 1 + n * 129 bytes: the 32nd is over 4095 */
		text[len++] = ' ';
		memset(text + len, 'y', 128);
		len += 128;
		text[len++] = '\n';
	}
	refuses(text, 35, "[vm] cmdline: longer than 4095 bytes");
	text[len - 130] = '\0';
	accepts(text);
	ck_assert_uint_eq(strlen(config.vm.cmdline), 1 + 31 * 129);
}
END_TEST

Suite *suite_config(void)
{
	Suite *suite = suite_create("config");
	TCase *files = tcase_create("files"), *lengths = tcase_create("long values");

	tcase_add_checked_fixture(files, config_setup, config_teardown);
	tcase_add_test(files, a_file_may_set_every_key);
	tcase_add_test(files, windows_line_ends_and_a_byte_order_mark_do_no_harm);
	tcase_add_test(files, a_value_that_is_not_allowed_is_reported_with_what_is);
	tcase_add_test(files, an_unknown_key_is_reported_with_the_keys_there_are);
	tcase_add_test(files, a_key_of_another_section_is_unknown);
	tcase_add_test(files, an_unknown_section_is_reported_with_the_sections_there_are);
	tcase_add_test(files, a_key_set_twice_is_reported_with_the_line_of_the_first);
	tcase_add_test(
		files, an_indented_key_in_a_second_section_of_that_name_is_set_twice_and_no_continuation);
	tcase_add_test(files, a_line_that_is_neither_section_nor_key_is_reported);
	tcase_add_test(files, one_run_shows_every_mistake);
	tcase_add_test(files, a_missing_kernel_is_reported);
	tcase_add_loop_test(
		files, values_that_do_not_go_together_are_refused_with_both_keys, 0, ARRAY_LEN(conflicts));
	tcase_add_test(files, a_file_that_cannot_be_read_gives_its_errno);
	tcase_add_test(files, no_byte_of_a_file_is_a_surprise);
	suite_add_tcase(suite, files);

	tcase_add_checked_fixture(lengths, config_setup, config_teardown);
	tcase_add_test(lengths, text_goes_on_in_indented_lines);
	tcase_add_test(lengths, text_may_begin_in_the_line_after_its_key);
	tcase_add_test(lengths, a_comment_behind_a_continued_value_is_no_part_of_it);
	tcase_add_test(lengths, a_comment_behind_any_value_may_begin_with_either_sign);
	tcase_add_test(lengths, only_text_may_go_on_over_several_lines);
	tcase_add_test(lengths, the_continuation_of_a_mistake_is_no_second_mistake);
	tcase_add_test(lengths, a_line_may_have_198_bytes);
	tcase_add_test(lengths, lines_behind_an_over_long_one_are_counted_right_and_it_continues_nothing);
	tcase_add_test(lengths, text_longer_than_the_limit_is_refused_with_the_line_that_is_too_much);
	suite_add_tcase(suite, lengths);
	return suite;
}
