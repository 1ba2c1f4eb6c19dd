/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_config_values.c - vmm/config.c: overrides, defaults, and printing what is in effect */
#include "dump/base/cleanup.h"
#include "tests/unit/config_fixture.h"
#include "tests/unit/suites.h"
#include "vmm/options.h"

#include <errno.h>
#include <string.h>

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

START_TEST(a_recovery_with_a_kernel_of_its_own_takes_no_other_kernels_initrd)
{
	accepts("[vm]\nkernel = /a\n");
	ck_assert_str_eq(config.vm.initrd, "");
	ck_assert_str_eq(config.recovery.initrd, "");
	accepts("[vm]\nkernel = /a\ninitrd = /i\n");
	ck_assert_str_eq(config.recovery.initrd, "/i");
	accepts("[vm]\nkernel = /a\ninitrd = /i\n[recovery]\nkernel = /b\n");
	ck_assert_str_eq(config.recovery.initrd, "");
	accepts("[vm]\nkernel = /a\ninitrd = /i\n[recovery]\nkernel = /b\ninitrd = /j\n");
	ck_assert_str_eq(config.vm.initrd, "/i");
	ck_assert_str_eq(config.recovery.initrd, "/j");
	accepts("[vm]\nkernel = /a\ninitrd = /i\n[recovery]\ninitrd = /j\n");
	ck_assert_str_eq(config.recovery.initrd, "/j");
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

Suite *suite_config_values(void)
{
	Suite *suite = suite_create("config values");
	TCase *rest = tcase_create("overrides, defaults, printing");

	tcase_add_checked_fixture(rest, config_setup, config_teardown);
	tcase_add_test(rest, an_override_replaces_what_the_file_says_and_the_last_one_counts);
	tcase_add_test(rest, an_override_may_supply_what_the_file_lacks);
	tcase_add_test(rest, a_wrong_override_is_reported_with_what_is_allowed);
	tcase_add_test(rest, a_minimal_file_gets_the_documented_defaults);
	tcase_add_test(rest, recovery_takes_kernel_and_command_line_from_the_vm_unless_it_has_its_own);
	tcase_add_test(rest, a_recovery_with_a_kernel_of_its_own_takes_no_other_kernels_initrd);
	tcase_add_test(rest, relative_paths_are_meant_from_the_directory_of_the_file_also_in_overrides);
	tcase_add_test(rest, the_guest_is_named_after_the_file_if_nothing_else_is_said);
	tcase_add_test(rest, what_is_printed_reads_back_as_the_same_configuration);
	tcase_add_test(rest, long_text_is_printed_in_lines_that_can_be_read_back);
	tcase_add_test(rest, the_lists_for_help_and_documentation_name_every_key);
	tcase_add_test(rest, a_configuration_that_was_freed_can_be_freed_again);
	suite_add_tcase(suite, rest);
	return suite;
}
