/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_options.c - vmm/config/option_values.c: every type of value, read and written */
#include "tests/unit/suites.h"
#include "vmm/config/options.h"

#include <errno.h>
#include <string.h>

/* One struct config for a test; every string in it is freed at the end. */
static struct config config;

static void setup(void)
{
	memset(&config, 0, sizeof(config));
}

static void teardown(void)
{
	config_fini(&config);
}

static const struct config_option *option(const char *section, const char *key)
{
	const struct config_option *found = option_find(section, key);

	ck_assert_msg(found, "no option %s.%s", section, key);
	return found;
}

static void accepts(const char *section, const char *key, const char *value)
{
	char why[320] = "";
	int err = option_set(option(section, key), &config, value, why, sizeof(why));

	ck_assert_msg(!err, "%s.%s = %s: %d %s", section, key, value, err, why);
}

/* The reason must quote the value and say what is allowed. */
static void refuses(const char *section, const char *key, const char *value, const char *allowed)
{
	char why[320] = "", quoted[128];
	int err = option_set(option(section, key), &config, value, why, sizeof(why));

	ck_assert_msg(err == -EINVAL, "%s.%s = '%s': %d", section, key, value, err);
	snprintf(quoted, sizeof(quoted), "'%.60s", value);
	for (char *c = quoted; *c; c++)
		*c = *c < ' ' && *c > 0 ? '?' : *c; /* nothing that acts on a terminal */
	ck_assert_msg(strstr(why, quoted), "'%s' is not quoted: %s", value, why);
	ck_assert_msg(strstr(why, allowed), "'%s' is missing: %s", allowed, why);
}

/* ---- the table ---------------------------------------------------------------------------------- */

START_TEST(every_key_is_found_and_has_a_help_line)
{
	for (size_t i = 0; i < nr_options; i++) {
		ck_assert_ptr_eq(option_find(options[i].section, options[i].key), &options[i]);
		ck_assert_msg(options[i].help && options[i].help[0], "%s has no help", options[i].key);
	}
}
END_TEST

START_TEST(no_other_key_is_found)
{
	ck_assert_ptr_null(option_find("vm", "memori"));
	ck_assert_ptr_null(option_find("dump", "kernel"));
	ck_assert_ptr_null(option_find("", ""));
	ck_assert_ptr_null(option_find("VM", "memory"));
}
END_TEST

START_TEST(every_default_is_allowed_and_comes_back_as_written)
{
	char back[64];

	for (size_t i = 0; i < nr_options; i++) {
		if (!options[i].fallback)
			continue;
		accepts(options[i].section, options[i].key, options[i].fallback);
		option_format(&options[i], &config, back, sizeof(back));
		ck_assert_str_eq(back, options[i].fallback);
	}
}
END_TEST

START_TEST(both_limits_of_every_number_are_allowed_and_what_is_beyond_them_is_not)
{
	for (size_t i = 0; i < nr_options; i++) {
		const struct config_option *o = &options[i];
		const char *unit = o->type == OPTION_DURATION ? "ns" : "";
		char value[32];

		if (o->type != OPTION_UINT && o->type != OPTION_SIZE && o->type != OPTION_DURATION)
			continue;
		snprintf(value, sizeof(value), "%llu%s", (unsigned long long)o->min, unit);
		accepts(o->section, o->key, value);
		snprintf(value, sizeof(value), "%llu%s", (unsigned long long)o->max, unit);
		accepts(o->section, o->key, value);
		snprintf(value, sizeof(value), "%llu%s", (unsigned long long)o->max + 1, unit);
		refuses(o->section, o->key, value, " to ");
		if (!o->min)
			continue;
		snprintf(value, sizeof(value), "%llu%s", (unsigned long long)o->min - 1, unit);
		refuses(o->section, o->key, value, " to ");
	}
}
END_TEST

/* ---- numbers ------------------------------------------------------------------------------------ */

START_TEST(a_size_takes_each_unit_in_either_case)
{
	accepts("vm", "memory", "33554432");
	ck_assert_uint_eq(config.vm.memory, MIB(32));
	accepts("vm", "memory", "32768K");
	ck_assert_uint_eq(config.vm.memory, MIB(32));
	accepts("vm", "memory", "64m");
	ck_assert_uint_eq(config.vm.memory, MIB(64));
	accepts("vm", "memory", "3G");
	ck_assert_uint_eq(config.vm.memory, GIB(3));
	refuses("vm", "memory", "1T", "16M to 128G, a multiple of 2M"); /* a unit, but too much */
}
END_TEST

START_TEST(a_size_that_overflows_is_refused)
{
	uint64_t before = config.vm.memory = MIB(32);

	refuses("vm", "memory", "99999999999T", "16M to 128G");
	refuses("vm", "memory", "18446744073709551616", "16M to 128G"); /* 2^64 */
	refuses("vm", "memory", "16777217T", "16M to 128G");            /* 2^64 + 1 TiB */
	refuses("vm", "memory", "9999999999999999999999999999999999", "16M to 128G");
	ck_assert_uint_eq(config.vm.memory, before);
}
END_TEST

START_TEST(what_is_no_size_is_refused)
{
	static const char *const bad[] = {"", " ", "M", "-1M", "+16M", "0x1000000", "16 M", "16MB", "16Mi",
		"1.5G", "1e9", "16M ", "all", "ns"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refuses("vm", "memory", bad[i], "16M to 128G, a multiple of 2M");
}
END_TEST

START_TEST(a_size_must_be_a_multiple_where_the_table_says_so)
{
	refuses("vm", "memory", "17M", "a multiple of 2M");
	refuses("vm", "memory", "18874369", "a multiple of 2M");
	accepts("vm", "memory", "18M");
}
END_TEST

START_TEST(a_chunk_must_be_a_power_of_two)
{
	refuses("dump", "chunk", "3M", "64K to 1G, a power of two");
	accepts("dump", "chunk", "4M");
	ck_assert_uint_eq(config.dump.chunk, MIB(4));
}
END_TEST

START_TEST(a_duration_takes_each_unit_and_counts_seconds_without_one)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} cases[] = {
		{"7", 7 * NSEC_PER_SEC},
		{"7s", 7 * NSEC_PER_SEC},
		{"7ms", 7 * NSEC_PER_MSEC},
		{"7us", 7 * NSEC_PER_USEC},
		{"7ns", 7},
		{"7m", 420 * NSEC_PER_SEC},
		{"0", 0},
		{"0ms", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		accepts("vm", "watchdog", cases[i].text);
		ck_assert_uint_eq(config.vm.watchdog, cases[i].ns);
	}
}
END_TEST

START_TEST(a_duration_that_overflows_or_has_an_unknown_unit_is_refused)
{
	refuses("vm", "watchdog", "18446744074", "0 to 1440m"); /* 2^64 ns and a little */
	refuses("vm", "watchdog", "99999999999999999999ns", "0 to 1440m");
	refuses("vm", "watchdog", "1h", "0 to 1440m");
	refuses("vm", "watchdog", "1 s", "0 to 1440m");
	refuses("vm", "watchdog", "-1s", "0 to 1440m");
	refuses("vm", "watchdog", "", "0 to 1440m");
}
END_TEST

START_TEST(a_count_takes_no_unit)
{
	accepts("vm", "vcpus", "64");
	ck_assert_uint_eq(config.vm.vcpus, 64);
	refuses("vm", "vcpus", "1K", "1 to 64");
	refuses("vm", "vcpus", "2s", "1 to 64");
	refuses("vm", "vcpus", "two", "1 to 64");
}
END_TEST

START_TEST(a_number_is_written_in_the_largest_unit_that_divides_it)
{
	static const struct {
		const char *section, *key, *in, *out;
	} cases[] = {
		{"vm", "memory", "2048M", "2G"},
		{"vm", "memory", "1026M", "1026M"},
		{"dump", "chunk", "65536", "64K"},
		{"vm", "watchdog", "120000ms", "2m"},
		{"vm", "watchdog", "1500us", "1500us"},
		{"vm", "watchdog", "1", "1s"},
		{"vm", "watchdog", "0", "0"},
		{"vm", "vcpus", "007", "7"},
	};
	char out[32];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		accepts(cases[i].section, cases[i].key, cases[i].in);
		option_format(option(cases[i].section, cases[i].key), &config, out, sizeof(out));
		ck_assert_str_eq(out, cases[i].out);
	}
}
END_TEST

/* ---- words -------------------------------------------------------------------------------------- */

START_TEST(yes_and_no_may_be_written_in_the_usual_ways)
{
	static const char *const yes[] = {"yes", "YES", "true", "1"};
	static const char *const no[] = {"no", "No", "false", "0"};
	static const char *const bad[] = {"", "y", "on", "2", "maybe"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		accepts("dump", "enabled", yes[i]);
		ck_assert(config.dump.enabled);
	}
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		accepts("dump", "enabled", no[i]);
		ck_assert(!config.dump.enabled);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refuses("dump", "enabled", bad[i], "yes or no");
}
END_TEST

START_TEST(every_name_of_a_choice_is_allowed_and_a_refusal_lists_them)
{
	for (size_t i = 0; i < nr_options; i++) {
		const struct config_option *o = &options[i];
		char back[64];

		if (o->type != OPTION_CHOICE)
			continue;
		ck_assert_ptr_nonnull(o->choice(0));
		for (size_t n = 0; o->choice(n); n++) {
			accepts(o->section, o->key, o->choice(n));
			option_format(o, &config, back, sizeof(back));
			ck_assert_str_eq(back, o->choice(n));
			refuses(o->section, o->key, "nonsense", o->choice(n));
		}
		refuses(o->section, o->key, "", o->choice(0));
	}
}
END_TEST

START_TEST(a_guest_name_has_only_characters_that_are_safe_in_a_file_name)
{
	static const char *const good[] = {
		"a", "web-1", "A.b_c-9", "_x", "123456789012345678901234567890123456789012345678"};
	static const char *const bad[] = {"", ".", "..", ".hidden", "-rf", "a/b", "a b", "a\tb", "\xc3\xa4",
		"a;b", "a%s", "1234567890123456789012345678901234567890123456789"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		accepts("vm", "name", good[i]);
		ck_assert_str_eq(config.vm.name, good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refuses("vm", "name", bad[i], "1 to 48 letters");
}
END_TEST

START_TEST(text_may_be_empty_and_a_path_may_not)
{
	accepts("vm", "cmdline", "");
	ck_assert_str_eq(config.vm.cmdline, "");
	accepts("vm", "cmdline", "a=b \"c d\" %s \\");
	ck_assert_str_eq(config.vm.cmdline, "a=b \"c d\" %s \\");
	refuses("vm", "kernel", "", "a path");
	refuses("console", "output", "", "stdio, none or a path");
	accepts("console", "output", "none");
}
END_TEST

START_TEST(control_characters_are_refused_in_text_and_in_paths)
{
	refuses("vm", "cmdline", "a\n[dump]\nenabled = no", "no control characters");
	refuses("vm", "kernel", "vmlinux\n", "a path");
	refuses("console", "output", "\x1b[2J", "stdio, none or a path");
	accepts("vm", "cmdline", "tabs\tare text");
}
END_TEST

START_TEST(text_is_limited_to_what_a_file_can_hold)
{
	char longest[4097];

	memset(longest, 'x', sizeof(longest));
	longest[4095] = '\0';
	accepts("vm", "cmdline", longest);
	longest[4095] = 'x';
	longest[4096] = '\0';
	refuses("vm", "cmdline", longest, "4095 bytes");
}
END_TEST

START_TEST(a_refusal_says_what_is_allowed_even_if_the_value_is_very_long)
{
	char value[3000];

	memset(value, '9', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	refuses("vm", "memory", value, "16M to 128G, a multiple of 2M");
	refuses("vm", "name", value, "not starting with '.' or '-'");
}
END_TEST

START_TEST(a_refused_value_leaves_the_old_one)
{
	accepts("vm", "name", "old");
	refuses("vm", "name", "new/", "letters");
	ck_assert_str_eq(config.vm.name, "old");
	accepts("dump", "enabled", "yes");
	refuses("dump", "enabled", "", "yes or no");
	ck_assert(config.dump.enabled);
}
END_TEST

START_TEST(formatting_into_a_small_buffer_cuts_and_terminates)
{
	char tiny[4], one[1];

	accepts("vm", "cmdline", "a long text");
	option_format(option("vm", "cmdline"), &config, tiny, sizeof(tiny));
	ck_assert_str_eq(tiny, "a l");
	for (size_t i = 0; i < nr_options; i++) {
		option_allowed(&options[i], tiny, sizeof(tiny));
		ck_assert_uint_eq(strlen(tiny), 3);
		option_allowed(&options[i], one, sizeof(one));
		ck_assert_str_eq(one, "");
	}
}
END_TEST

Suite *suite_options(void)
{
	Suite *suite = suite_create("options");
	TCase *table = tcase_create("table"), *numbers = tcase_create("numbers"),
	      *words = tcase_create("words");

	tcase_add_checked_fixture(table, setup, teardown);
	tcase_add_test(table, every_key_is_found_and_has_a_help_line);
	tcase_add_test(table, no_other_key_is_found);
	tcase_add_test(table, every_default_is_allowed_and_comes_back_as_written);
	tcase_add_test(table, both_limits_of_every_number_are_allowed_and_what_is_beyond_them_is_not);
	suite_add_tcase(suite, table);

	tcase_add_checked_fixture(numbers, setup, teardown);
	tcase_add_test(numbers, a_size_takes_each_unit_in_either_case);
	tcase_add_test(numbers, a_size_that_overflows_is_refused);
	tcase_add_test(numbers, what_is_no_size_is_refused);
	tcase_add_test(numbers, a_size_must_be_a_multiple_where_the_table_says_so);
	tcase_add_test(numbers, a_chunk_must_be_a_power_of_two);
	tcase_add_test(numbers, a_duration_takes_each_unit_and_counts_seconds_without_one);
	tcase_add_test(numbers, a_duration_that_overflows_or_has_an_unknown_unit_is_refused);
	tcase_add_test(numbers, a_count_takes_no_unit);
	tcase_add_test(numbers, a_number_is_written_in_the_largest_unit_that_divides_it);
	suite_add_tcase(suite, numbers);

	tcase_add_checked_fixture(words, setup, teardown);
	tcase_add_test(words, yes_and_no_may_be_written_in_the_usual_ways);
	tcase_add_test(words, every_name_of_a_choice_is_allowed_and_a_refusal_lists_them);
	tcase_add_test(words, a_guest_name_has_only_characters_that_are_safe_in_a_file_name);
	tcase_add_test(words, text_may_be_empty_and_a_path_may_not);
	tcase_add_test(words, control_characters_are_refused_in_text_and_in_paths);
	tcase_add_test(words, text_is_limited_to_what_a_file_can_hold);
	tcase_add_test(words, a_refusal_says_what_is_allowed_even_if_the_value_is_very_long);
	tcase_add_test(words, a_refused_value_leaves_the_old_one);
	tcase_add_test(words, formatting_into_a_small_buffer_cuts_and_terminates);
	suite_add_tcase(suite, words);
	return suite;
}
