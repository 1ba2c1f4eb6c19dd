/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_config.c - vmm/config.c: files with every kind of mistake, overrides, defaults, printing */
#include "dump/base/cleanup.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "vmm/config.h"
#include "vmm/options.h"

#include <errno.h>
#include <string.h>

#define MINIMAL "[vm]\nkernel = k\n"

static struct scratch scratch;
static struct config config;
static char path[128];

static void setup(void)
{
	scratch_init(&scratch);
	memset(&config, 0, sizeof(config));
}

static void teardown(void)
{
	config_fini(&config);
	scratch_fini(&scratch);
}

/* Loads @text as guest.cfg. */
static int load(const char *text, const char *const *sets, size_t nr_sets)
{
	config_fini(&config);
	scratch_file(&scratch, "guest.cfg", text, strlen(text), path, sizeof(path));
	return config_load(&config, path, sets, nr_sets);
}

static void accepts(const char *text)
{
	ck_assert_msg(!load(text, NULL, 0), "refused:\n%.400s", text);
}

/* @text is refused, in one line a mistake: each of @nr expected parts in a line of its own, in order. */
static void refuses_lines(const char *text, const char *const *parts, size_t nr)
{
	struct config before;
	autofree char *log = NULL;
	char *line, *rest;
	size_t seen = 0;
	int err;

	config_fini(&config);
	before = config;
	stderr_capture();
	err = load(text, NULL, 0);
	log = stderr_text();
	ck_assert_msg(err == -EINVAL, "%d for:\n%.400s", err, text);
	ck_assert_mem_eq(&config, &before, sizeof(config));
	for (line = strtok_r(log, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), seen++) {
		ck_assert_msg(seen < nr, "one line too many: %s", line);
		ck_assert_msg(strstr(line, "minivmm: error: "), "no error line: %s", line);
		ck_assert_msg(strstr(line, parts[seen]), "'%s' is missing in: %s", parts[seen], line);
	}
	ck_assert_msg(seen == nr, "%zu lines instead of %zu for:\n%.400s", seen, nr, text);
}

/* One mistake; the line names the file and @line, and has @part in it. */
static void refuses(const char *text, unsigned line, const char *part)
{
	char where[192];

	snprintf(where, sizeof(where), "/guest.cfg:%u: %s", line, part);
	refuses_lines(text, (const char *const[]){where}, 1);
}

/* ---- files -------------------------------------------------------------------------------------- */

START_TEST(a_file_may_set_every_key)
{
	accepts("# a comment\n; another\n\n[vm]\nname = web-1\nkernel = /boot/k\ncmdline = a=b c  \nmemory "
		"= 1G\n"
		"vcpus = 4\nwatchdog = 5s\n\n[dump]\nenabled = no\ndir = /dev/shm/x\nhuge_pages = off\n"
		"strategy = vmapp\nselect = all\nchunk = 4M\nworkers = 3\n[recovery]\nenabled: no\n"
		"kernel=/boot/r\ncmdline = quiet\nmax = 9\nbackoff = 250ms\n[console]\noutput = none ; "
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
		"[vm] has no key 'memroy'; it has: name, kernel, cmdline, memory, memory_dir, vcpus, "
		"watchdog");
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

/* ---- --set -------------------------------------------------------------------------------------- */

START_TEST(an_override_replaces_what_the_file_says_and_the_last_one_counts)
{
	const char *const sets[] = {
		"vm.memory=2G", "vm.memory=64M", "vm.cmdline=a=b.c x.y=z", "console.output=none"};

	ck_assert_int_eq(load(MINIMAL "memory = 1G\n", sets, ARRAY_LEN(sets)), 0);
	ck_assert_uint_eq(config.vm.memory, MIB(64));
	ck_assert_str_eq(config.vm.cmdline, "a=b.c x.y=z");
	ck_assert_str_eq(config.console.output, "none");
}
END_TEST

START_TEST(an_override_may_supply_what_the_file_lacks)
{
	const char *const sets[] = {"vm.kernel=/boot/k"};

	ck_assert_int_eq(load("", sets, 1), 0);
	ck_assert_str_eq(config.vm.kernel, "/boot/k");
}
END_TEST

START_TEST(a_wrong_override_is_reported_with_what_is_allowed)
{
	static const struct {
		const char *set, *line;
	} cases[] = {
		{"vm.memory=1", "--set vm.memory: '1' is not allowed; allowed: 16M to 128G"},
		{"vm.memory", "--set vm.memory: expected section.key=value"},
		{"memory=1G", "--set memory=1G: expected section.key=value"},
		{"vm=a.b", "--set vm=a.b: expected section.key=value"},
		{"", "--set : expected section.key=value"},
		{".=", "--set .: there is no section []; sections: vm, dump"},
		{"vm.=x", "--set vm.: [vm] has no key ''; it has: name, kernel"},
		{"vm.mem=1G", "--set vm.mem: [vm] has no key 'mem'; it has: name, kernel"},
		{"wm.memory=1G", "--set wm.memory: there is no section [wm]; sections: vm, dump"},
		{"a-section-name-that-is-far-too-long.key=1", "expected section.key=value"},
		{"vm.a-key-that-is-also-far-too-long-for-it=1", "expected section.key=value"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *log = NULL;
		int err;

		stderr_capture();
		err = load(MINIMAL, &cases[i].set, 1);
		log = stderr_text();
		ck_assert_int_eq(err, -EINVAL);
		ck_assert_msg(strstr(log, cases[i].line), "'%s' is missing in: %s", cases[i].line, log);
	}
}
END_TEST

/* ---- defaults ----------------------------------------------------------------------------------- */

START_TEST(a_minimal_file_gets_the_documented_defaults)
{
	char expected[192];

	accepts(MINIMAL);
	ck_assert_str_eq(config.vm.name, "guest");
	ck_assert_str_eq(config.vm.kernel, scratch_path(&scratch, "k", expected, sizeof(expected)));
	ck_assert_str_eq(config.recovery.kernel, expected);
	ck_assert_str_eq(config.vm.cmdline, "");
	ck_assert_str_eq(config.recovery.cmdline, "");
	ck_assert_str_eq(config.dump.dir, "/dev/shm/minivmm/guest");
	ck_assert_str_eq(config.console.output, "stdio");
	ck_assert_uint_eq(config.vm.memory, MIB(512));
	ck_assert_uint_eq(config.vm.vcpus, 1);
	ck_assert_uint_eq(config.vm.watchdog, 0);
	ck_assert_uint_eq(config.dump.huge_pages, HUGE_PAGES_AUTO);
	ck_assert_uint_eq(config.dump.chunk, MIB(2));
	ck_assert_uint_eq(config.dump.workers, 0);
	ck_assert_uint_eq(config.recovery.max, 5);
	ck_assert_uint_eq(config.recovery.backoff, NSEC_PER_SEC);
	ck_assert(config.dump.enabled && config.recovery.enabled);
}
END_TEST

START_TEST(recovery_takes_kernel_and_command_line_from_the_vm_unless_it_has_its_own)
{
	accepts("[vm]\nkernel = /a\ncmdline = x y\n");
	ck_assert_str_eq(config.recovery.kernel, "/a");
	ck_assert_str_eq(config.recovery.cmdline, "x y");
	accepts("[vm]\nkernel = /a\ncmdline = x y\n[recovery]\nkernel = /b\ncmdline =\n");
	ck_assert_str_eq(config.recovery.kernel, "/b");
	ck_assert_str_eq(config.recovery.cmdline, "");
}
END_TEST

START_TEST(relative_paths_are_meant_from_the_directory_of_the_file_also_in_overrides)
{
	const char *const sets[] = {"recovery.kernel=../r", "console.output=log/console"};
	char expected[192];

	ck_assert_int_eq(load("[vm]\nkernel = boot/k\n[dump]\ndir = d\n", sets, 2), 0);
	ck_assert_str_eq(config.vm.kernel, scratch_path(&scratch, "boot/k", expected, sizeof(expected)));
	ck_assert_str_eq(config.dump.dir, scratch_path(&scratch, "d", expected, sizeof(expected)));
	ck_assert_str_eq(
		config.recovery.kernel, scratch_path(&scratch, "../r", expected, sizeof(expected)));
	ck_assert_str_eq(
		config.console.output, scratch_path(&scratch, "log/console", expected, sizeof(expected)));
}
END_TEST

START_TEST(the_guest_is_named_after_the_file_if_nothing_else_is_said)
{
	static const struct {
		const char *file, *name;
	} cases[] = {
		{"web 1.cfg", "web-1"},
		{"plain", "plain"},
		{"a.b.cfg", "a.b"},
		{".cfg", "gcfg"},
		{"-x.cfg", "gx"},
		{"k\xc3\xb6ln.cfg", "k--ln"},
		{"..x", "g.x"},
		{"0123456789012345678901234567890123456789012345678901234567890.cfg",
			"012345678901234567890123456789012345678901234567"},
	};
	char why[320];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		scratch_file(&scratch, cases[i].file, MINIMAL, strlen(MINIMAL), path, sizeof(path));
		config_fini(&config);
		ck_assert_int_eq(config_load(&config, path, NULL, 0), 0);
		ck_assert_str_eq(config.vm.name, cases[i].name);
		/* and it is one that a file could set */
		ck_assert_int_eq(
			option_set(option_find("vm", "name"), &config, cases[i].name, why, sizeof(why)), 0);
	}
}
END_TEST

/* ---- printing ----------------------------------------------------------------------------------- */

static char *printed(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	config_print(&config, out);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

/* What is printed must read back as the same values, and so print the same text. */
static void survives_printing(void)
{
	autofree char *first = printed(), *second = NULL;

	accepts(first);
	second = printed();
	ck_assert_str_eq(second, first);
}

START_TEST(what_is_printed_reads_back_as_the_same_configuration)
{
	accepts(MINIMAL);
	survives_printing();
	accepts("[vm]\nname = web-1\nkernel = /boot/k\ncmdline = a=b c;d \"e  f\" #g\nmemory = "
		"1026M\nvcpus = 4\n"
		"watchdog = 1500us\n[dump]\nenabled = no\nchunk = 64K\n[recovery]\nenabled = no\ncmdline "
		"=\n"
		"max = 0\nbackoff = 0\n[console]\noutput = none\n");
	survives_printing();
	ck_assert_str_eq(config.vm.cmdline, "a=b c;d \"e  f\" #g");
	ck_assert_uint_eq(config.vm.watchdog, 1500 * NSEC_PER_USEC);
}
END_TEST

START_TEST(long_text_is_printed_in_lines_that_can_be_read_back)
{
	autofree char *text = calloc(1, 8192), *before = NULL;
	size_t len;

	ck_assert_ptr_nonnull(text);
	strcpy(text, MINIMAL "cmdline =\n");
	len = strlen(text);
	for (int i = 0; i < 20; i++) /* words of 1 to 191 bytes */
		len += (size_t)sprintf(text + len, "\t%0*d  b\n", 1 + 10 * i, i);
	accepts(text);
	before = strdup(config.vm.cmdline);
	survives_printing();
	ck_assert_str_eq(config.vm.cmdline, before);
}
END_TEST

START_TEST(the_lists_for_help_and_documentation_name_every_key)
{
	autofree char *keys = NULL, *help = NULL;
	size_t size;
	FILE *out = open_memstream(&keys, &size);

	config_print_keys(out);
	fclose(out);
	out = open_memstream(&help, &size);
	config_print_help(out);
	fclose(out);
	for (size_t i = 0; i < nr_options; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s.%s", options[i].section, options[i].key);
		ck_assert_ptr_nonnull(strstr(help, name));
		ck_assert_ptr_nonnull(strstr(help, options[i].help));
		strcat(name, "\n");
		ck_assert_ptr_nonnull(strstr(keys, name));
	}
}
END_TEST

START_TEST(a_configuration_that_was_freed_can_be_freed_again)
{
	accepts(MINIMAL);
	config_fini(&config);
	config_fini(&config);
	ck_assert_ptr_null(config.path);
	ck_assert_ptr_null(config.vm.kernel);
}
END_TEST

Suite *suite_config(void)
{
	Suite *suite = suite_create("config");
	TCase *files = tcase_create("files"), *lengths = tcase_create("long values");
	TCase *rest = tcase_create("overrides, defaults, printing");

	tcase_add_checked_fixture(files, setup, teardown);
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
	tcase_add_test(files, a_file_that_cannot_be_read_gives_its_errno);
	tcase_add_test(files, no_byte_of_a_file_is_a_surprise);
	suite_add_tcase(suite, files);

	tcase_add_checked_fixture(lengths, setup, teardown);
	tcase_add_test(lengths, text_goes_on_in_indented_lines);
	tcase_add_test(lengths, text_may_begin_in_the_line_after_its_key);
	tcase_add_test(lengths, a_comment_behind_a_continued_value_is_no_part_of_it);
	tcase_add_test(lengths, only_text_may_go_on_over_several_lines);
	tcase_add_test(lengths, the_continuation_of_a_mistake_is_no_second_mistake);
	tcase_add_test(lengths, a_line_may_have_198_bytes);
	tcase_add_test(lengths, lines_behind_an_over_long_one_are_counted_right_and_it_continues_nothing);
	tcase_add_test(lengths, text_longer_than_the_limit_is_refused_with_the_line_that_is_too_much);
	suite_add_tcase(suite, lengths);

	tcase_add_checked_fixture(rest, setup, teardown);
	tcase_add_test(rest, an_override_replaces_what_the_file_says_and_the_last_one_counts);
	tcase_add_test(rest, an_override_may_supply_what_the_file_lacks);
	tcase_add_test(rest, a_wrong_override_is_reported_with_what_is_allowed);
	tcase_add_test(rest, a_minimal_file_gets_the_documented_defaults);
	tcase_add_test(rest, recovery_takes_kernel_and_command_line_from_the_vm_unless_it_has_its_own);
	tcase_add_test(rest, relative_paths_are_meant_from_the_directory_of_the_file_also_in_overrides);
	tcase_add_test(rest, the_guest_is_named_after_the_file_if_nothing_else_is_said);
	tcase_add_test(rest, what_is_printed_reads_back_as_the_same_configuration);
	tcase_add_test(rest, long_text_is_printed_in_lines_that_can_be_read_back);
	tcase_add_test(rest, the_lists_for_help_and_documentation_name_every_key);
	tcase_add_test(rest, a_configuration_that_was_freed_can_be_freed_again);
	suite_add_tcase(suite, rest);
	return suite;
}
