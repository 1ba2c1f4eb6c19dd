/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_config_values.c - vmm/config/config_defaults.c, config_print.c: overrides, defaults, and printing what is in effect */
#include "dump/base/cleanup.h"
#include "tests/unit/config_fixture.h"
#include "tests/unit/suites.h"
#include "vmm/base/places.h"
#include "vmm/config/options.h"

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
	char expected[192], place[PLACES_PATH_MAX];

	accepts(MINIMAL);
	ck_assert_str_eq(config.vm.name, "guest");
	ck_assert_str_eq(config.vm.kernel, scratch_path(&scratch, "k", expected, sizeof(expected)));
	ck_assert_str_eq(config.recovery.kernel, expected);
	ck_assert_str_eq(config.vm.cmdline, "");
	ck_assert_str_eq(config.recovery.cmdline, "");
	places_own(place);
	snprintf(expected, sizeof(expected), "%s/guest", place);
	ck_assert_str_eq(config.dump.dir, expected);
	ck_assert_str_eq(config.console.output, "stdio");
	ck_assert_uint_eq(config.vm.memory, MIB(512));
	ck_assert_uint_eq(config.vm.vcpus, 1);
	ck_assert_uint_eq(config.vm.watchdog, 0);
	ck_assert_uint_eq(config.dump.huge_pages, HUGE_PAGES_AUTO);
	ck_assert_uint_eq(config.dump.chunk, MIB(2));
	ck_assert_uint_eq(config.dump.workers, 0);
	ck_assert_uint_eq(config.recovery.max, 5);
	ck_assert_uint_eq(config.recovery.backoff, NSEC_PER_SEC);
	ck_assert_uint_eq(config.recovery.stable, 60 * NSEC_PER_SEC);
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

/* ---- sections with names --------------------------------------------------------------------------- */

START_TEST(disks_and_network_cards_are_sections_with_names_in_the_order_of_the_file)
{
	char expected[192];

	accepts(MINIMAL "[disk root]\npath = a.img\n[net lan]\ntap = tap0\n[disk  data_2]\npath = /b.img\n"
			"readonly = yes\ndirect = yes\n[disk root]\ndirect = no\n[net wan]\nfd = 7\n"
			"mac = 02:00:00:00:00:01\n");
	ck_assert_uint_eq(config.nr_disks, 2);
	ck_assert_str_eq(config.disks[0].name, "root");
	ck_assert_str_eq(config.disks[0].path, scratch_path(&scratch, "a.img", expected, sizeof(expected)));
	ck_assert(!config.disks[0].readonly);
	ck_assert_str_eq(config.disks[1].name, "data_2");
	ck_assert_str_eq(config.disks[1].path, "/b.img");
	ck_assert(config.disks[1].readonly && config.disks[1].direct);
	ck_assert_uint_eq(config.nr_nets, 2);
	ck_assert_str_eq(config.nets[0].tap, "tap0");
	ck_assert_str_eq(config.nets[0].mac, "");
	ck_assert_str_eq(config.nets[1].tap, "");
	ck_assert_uint_eq(config.nets[1].fd, 7);
	ck_assert_str_eq(config.nets[1].mac, "02:00:00:00:00:01");
	survives_printing();
	ck_assert_str_eq(config.disks[1].name, "data_2");
	ck_assert_str_eq(config.nets[1].mac, "02:00:00:00:00:01");
}
END_TEST

START_TEST(an_override_names_section_and_key_and_may_make_the_section)
{
	const char *const sets[] = {"disk.root.path=/x.y=z.img", "disk.new-1.path=n", "net.lan.tap=tap9"};

	ck_assert_int_eq(load(MINIMAL "[disk root]\npath = a\n", sets, ARRAY_LEN(sets)), 0);
	ck_assert_uint_eq(config.nr_disks, 2);
	ck_assert_str_eq(config.disks[0].path, "/x.y=z.img");
	ck_assert_str_eq(config.disks[1].name, "new-1");
	ck_assert_str_eq(config.nets[0].tap, "tap9");
}
END_TEST

static const struct {
	const char *text;
	unsigned line;
	const char *part;
} bad_sections[] = {
	{"[disk a]\npath = x\nsize = 1\n", 5, "[disk a] has no key 'size'; it has: path, readonly, direct"},
	{"[disk]\npath = x\n", 4, "disk needs a name of 1 to 32 letters, digits, '_' or '-': [disk NAME]"},
	{"[disk a b]\npath = x\n", 4, "disk needs a name"},
	{"[net a.b]\ntap = x\n", 4, "net needs a name"},
	{"[disk 123456789012345678901234567890123]\npath = x\n", 4, "disk needs a name"},
	{"[disk a]\npath = x\npath = y\n", 5, "[disk a] path: already set in line 4"},
	{"[disk a]\npath = x\n[disk b]\npath = y\n[disk a]\npath = z\n", 8,
		"[disk a] path: already set in line 4"},
	{"[disk a]\npath =\n", 4, "[disk a] path: '' is not allowed; allowed: a path"},
	{"[disks a]\npath = x\n", 4, "there is no section [disks a]; sections: vm,"},
	{"[net a]\ntap = 1234567890123456\n", 4, "[net a] tap: '1234567890123456' is not allowed"},
	{"[net a]\ntap = ../x\n", 4, "[net a] tap: '../x' is not allowed"},
	{"[net a]\ntap = x\nmac = 01:00:00:00:00:00\n", 5, "not a multicast address"},
	{"[net a]\nfd = -1\n", 4, "[net a] fd: '-1' is not allowed"},
};

START_TEST(mistakes_in_sections_with_names_are_reported_like_all_others)
{
	char text[256];
	autofree char *log = NULL;

	snprintf(text, sizeof(text), MINIMAL "%s", bad_sections[_i].text);
	stderr_capture();
	ck_assert_int_eq(load(text, NULL, 0), -EINVAL);
	log = stderr_text();
	snprintf(text, sizeof(text), "/guest.cfg:%u: %s", bad_sections[_i].line, bad_sections[_i].part);
	ck_assert_msg(strstr(log, text) || strstr(log, bad_sections[_i].part), "'%s' is missing in: %s",
		text, log);
}
END_TEST

START_TEST(a_disk_without_a_path_and_a_card_without_an_interface_are_incomplete)
{
	refuses_lines(MINIMAL "[disk a]\nreadonly = yes\n",
		(const char *const[]){"guest.cfg: [disk a] path: missing"}, 1);
	refuses_lines(MINIMAL "[net a]\nmac = 02:00:00:00:00:00\n",
		(const char *const[]){"guest.cfg: [net a] needs either tap or fd"}, 1);
	refuses_lines(MINIMAL "[net a]\ntap = x\nfd = 5\n",
		(const char *const[]){"guest.cfg: [net a] needs either tap or fd"}, 1);
}
END_TEST

START_TEST(there_are_only_so_many_disks)
{
	char text[1024] = MINIMAL;

	for (int i = 0; i < CONFIG_DISKS_MAX; i++)
		snprintf(
			text + strlen(text), sizeof(text) - strlen(text), "[disk d%d]\npath = x%d\n", i, i);
	accepts(text);
	strcat(text, "[disk more]\npath = x\n");
	refuses_lines(text, (const char *const[]){"there may be 8 sections [disk NAME] and no more"}, 1);
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
	tcase_add_test(rest, disks_and_network_cards_are_sections_with_names_in_the_order_of_the_file);
	tcase_add_test(rest, an_override_names_section_and_key_and_may_make_the_section);
	tcase_add_loop_test(rest, mistakes_in_sections_with_names_are_reported_like_all_others, 0,
		(int)ARRAY_LEN(bad_sections));
	tcase_add_test(rest, a_disk_without_a_path_and_a_card_without_an_interface_are_incomplete);
	tcase_add_test(rest, there_are_only_so_many_disks);
	suite_add_tcase(suite, rest);
	return suite;
}
