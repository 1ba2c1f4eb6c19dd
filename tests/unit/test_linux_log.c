/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_linux_log.c - log, symbols and stack of a crashed kernel, whole and mangled. */
#include "tests/unit/mini_guest.h"
#include "tests/unit/suites.h"

#include "dump/linux/linux_log.h"
#include "dump/linux/linux_report.h"
#include "dump/linux/linux_stack.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING (MINI_LOG + 0x40)
#define DESCS (MINI_LOG + 0x100)
#define INFOS (MINI_LOG + 0x300)
#define TEXTS (MINI_LOG + 0x1000)

static struct mini_guest guest;
static struct linux_log klog;
static struct linux_log_record record;
static struct linux_symbols *symbols;

static void setup(void)
{
	mini_guest_init(&guest, MINI_6_12, false);
}

static void setup5(void)
{
	mini_guest_init(&guest, MINI_6_12, true);
}

static void setup7(void)
{
	mini_guest_init(&guest, MINI_7_2, false);
}

static void teardown(void)
{
	linux_symbols_free(symbols);
	symbols = NULL;
	mini_guest_fini(&guest);
}

static void put64(uint64_t gva, uint64_t value)
{
	memcpy(mini_at(&guest.mini, gva), &value, sizeof(value));
}

static const char *open_log(void)
{
	const char *why = mini_guest_open(&guest);

	return why ? why : linux_log_open(&klog, &guest.kernel);
}

/* All records as text. */
static const char *read_all(void)
{
	static char text[4096];
	size_t len = 0;

	text[0] = '\0';
	ck_assert_ptr_null(open_log());
	for (uint64_t id = klog.first; id < klog.end; id++)
		if (linux_log_read(&klog, id, &record))
			len += linux_log_format(&record, text + len, sizeof(text) - len);
	return text;
}

START_TEST(the_log_is_read_in_order)
{
	ck_assert_str_eq(read_all(), "[    1.000000] Linux version mini\n"
				     "[    2.000001] Kernel panic - not syncing: a test\n"
				     "[    3.000002] ---[ end Kernel panic - not syncing: a test ]---\n");
}
END_TEST

START_TEST(records_that_are_not_whole_are_left_out)
{
	put64(DESCS + 24,
		(_i == 0 ? 0ull : 3ull) << 62 | (_i == 2 ? 9 : 1)); /* reserved, reusable, another's */
	if (_i == 2)
		put64(DESCS + 24, 2ull << 62 | 9);
	ck_assert_str_eq(read_all(), "[    1.000000] Linux version mini\n"
				     "[    3.000002] ---[ end Kernel panic - not syncing: a test ]---\n");
}
END_TEST

START_TEST(a_text_that_wraps_is_at_the_ring_s_start)
{
	put64(DESCS + 24 + 8, 1024 - 16);
	put64(DESCS + 24 + 16, 1024 + 16);
	memcpy(mini_at(&guest.mini, TEXTS + 8), "at start", 8);
	ck_assert_ptr_null(open_log());
	ck_assert(linux_log_read(&klog, 1, &record));
	ck_assert_uint_eq(record.len, 8);
	ck_assert_int_eq(memcmp(record.text, "at start", 8), 0);
	/* one that ends at the ring's end does not wrap */
	put64(DESCS + 24 + 16, 1024);
	memcpy(mini_at(&guest.mini, TEXTS + 1024 - 8), "at end..", 8);
	ck_assert_ptr_null(open_log());
	ck_assert(linux_log_read(&klog, 1, &record));
	ck_assert_int_eq(memcmp(record.text, "at end..", 8), 0);
}
END_TEST

START_TEST(a_record_without_text_is_an_empty_line)
{
	put64(DESCS + 24 + 8, 3);
	put64(DESCS + 24 + 16, 3);
	ck_assert_ptr_nonnull(strstr(read_all(), "\n[    2.000001] \n"));
}
END_TEST

START_TEST(places_that_contradict_themselves_read_nothing_outside)
{
	static const uint64_t places[][2] = {{0, UINT64_MAX & ~7ull}, {0, 0}, {64, 8}, {1ull << 62, 8},
		{1016, 1024 + 4}, {UINT64_MAX & ~7ull, 8}};
	uint16_t len = 65535;

	put64(DESCS + 24 + 8, places[_i][0]);
	put64(DESCS + 24 + 16, places[_i][1]);
	memcpy(mini_at(&guest.mini, INFOS + 88 + 16), &len, sizeof(len));
	ck_assert_ptr_null(open_log());
	if (linux_log_read(&klog, 1, &record))
		ck_assert_uint_le(record.len, 1024);
}
END_TEST

START_TEST(impossible_rings_are_no_log)
{
	switch (_i) {
	case 0:
		put64(RING, 23);
		break;
	case 1:
		put64(RING + 48, 32);
		break;
	case 2:
		put64(RING + 48, 0);
		break;
	case 3:
		put64(MINI_LOG, 0xffff800000000000);
		break;
	case 4:
		mini_write_info(&guest.mini, "OFFSET(prb_desc.state_var)");
		break;
	case 5:
		mini_write_info(&guest.mini, "SYMBOL(prb)");
		break;
	}
	ck_assert_ptr_nonnull(open_log());
}
END_TEST

START_TEST(ids_that_make_no_sense_are_cut_to_the_ring)
{
	put64(RING + 32, _i ? 5000 : 0);
	put64(RING + 24, _i ? 3 : 1ull << 61);
	ck_assert_ptr_null(open_log());
	ck_assert_uint_le(klog.end - klog.first, 8);
}
END_TEST

START_TEST(lines_are_printable)
{
	char buf[256], tiny[20];

	record.ns = 12345678901ull * 1000;
	record.len = 9;
	memcpy(record.text, "a\nb\x1b\xff\tc\0d", 9);
	linux_log_format(&record, buf, sizeof(buf));
	ck_assert_str_eq(buf, "[12345.678901] a\n               b\\x1b\\xff\tc\\x00d\n");
	ck_assert_uint_eq(linux_log_format(&record, tiny, sizeof(tiny)), 19);
	ck_assert_str_eq(tiny, "[12345.678901] a\n \n");
}
END_TEST

static void put_caller(uint64_t id, uint32_t caller)
{
	memcpy(mini_at(&guest.mini, INFOS + id * 88 + 20), &caller, sizeof(caller));
}

/* As makedumpfile 1.7.8 writes them. */
START_TEST(who_wrote_a_line_is_told_if_it_is_asked_for)
{
	char line[LINUX_REPORT_LINE_MAX];

	put_caller(0, 0);
	put_caller(1, 4194304);
	put_caller(2, 0x80000003);
	ck_assert_ptr_null(open_log());
	klog.callers = true;
	ck_assert(linux_log_read(&klog, 0, &record));
	linux_log_format(&record, line, sizeof(line));
	ck_assert_str_eq(line, "[    1.000000] [      T0] Linux version mini\n");
	ck_assert(linux_log_read(&klog, 1, &record));
	record.text[6] = '\n';
	linux_log_format(&record, line, sizeof(line));
	ck_assert_str_eq(line, "[    2.000001] [T4194304] Kernel\n"
			       "                          panic - not syncing: a test\n");
	ck_assert(linux_log_read(&klog, 2, &record));
	linux_log_format(&record, line, sizeof(line));
	ck_assert_str_eq(
		line, "[    3.000002] [      C3] ---[ end Kernel panic - not syncing: a test ]---\n");
}
END_TEST

START_TEST(the_longest_line_has_room)
{
	static char line[LINUX_LOG_LINE_MAX + 64];

	record = (struct linux_log_record){
		.ns = UINT64_MAX, .len = LINUX_LOG_TEXT_MAX, .has_caller = true, .caller = UINT32_MAX};
	memset(record.text, '\n', sizeof(record.text));
	ck_assert_uint_lt(linux_log_format(&record, line, sizeof(line)), LINUX_LOG_LINE_MAX);
}
END_TEST

START_TEST(a_caller_that_is_nowhere_is_not_told)
{
	char text[VMCOREINFO_TEXT_MAX];
	size_t len;

	mini_write_info(&guest.mini, "OFFSET(printk_info.caller_id)");
	len = (size_t)snprintf(text, sizeof(text), "%s%s", guest.mini.info,
		_i ? "OFFSET(printk_info.caller_id)=86\n" : "");
	mini_guest_sync(&guest);
	ck_assert(vmcoreinfo_set(&guest.info, text, len));
	ck_assert_ptr_null(linux_kernel_init(&guest.kernel, &guest.view, &guest.info));
	ck_assert_ptr_null(linux_log_open(&klog, &guest.kernel));
	klog.callers = true;
	ck_assert(linux_log_read(&klog, 0, &record));
	ck_assert(!record.has_caller);
}
END_TEST

START_TEST(the_report_tells_release_panic_and_the_end_of_the_log)
{
	struct linux_report report;

	ck_assert_ptr_null(mini_guest_open(&guest));
	linux_report_make(&report, &guest.kernel);
	ck_assert_uint_eq(report.valid, 1);
	ck_assert_str_eq(report.release, "6.12.0-mini");
	ck_assert_str_eq(report.panic, "a test");
	ck_assert_str_eq(report.signature.title, "Kernel panic: a test");
	ck_assert_uint_eq(report.uptime_ns, 3 * NSEC_PER_SEC + 2 * NSEC_PER_USEC);
	ck_assert_uint_eq(report.nr_lines, 3);
	ck_assert_str_eq(report.lines[0], "[    1.000000] Linux version mini");
	ck_assert_int_eq(report.cpu, -1);
	put64(MINI_LOG, 0);
	ck_assert_ptr_null(mini_guest_open(&guest));
	linux_report_make(&report, &guest.kernel);
	ck_assert_str_eq(report.trouble, "the log's ring buffer cannot be read");
	ck_assert_uint_eq(report.nr_lines, 0);
}
END_TEST

START_TEST(a_report_of_another_process_is_made_harmless)
{
	struct linux_report report;

	memset(&report, 0x9b, sizeof(report));
	linux_report_clean(&report);
	ck_assert_uint_eq(report.nr_lines, LINUX_REPORT_LINES);
	ck_assert_uint_eq(strlen(report.panic), sizeof(report.panic) - 1);
	ck_assert_uint_eq(strspn(report.signature.title, " "), sizeof(report.signature.title) - 1);
	ck_assert_uint_eq(strspn(report.signature.text, " "), sizeof(report.signature.text) - 1);
	ck_assert_uint_eq(strspn(report.lines[LINUX_REPORT_LINES - 1], " "), LINUX_REPORT_LINE_MAX - 1);
}
END_TEST

/* ---- symbols -------------------------------------------------------------------------------------------- */

static void load_symbols(void)
{
	const char *why = mini_guest_open(&guest);

	if (!why)
		why = linux_symbols_load(&guest.kernel, &symbols);
	ck_assert_msg(!why, "%s", why);
}

START_TEST(addresses_have_names)
{
	struct linux_symbol symbol;
	uint64_t address;

	load_symbols();
	ck_assert(linux_symbols_find(symbols, MINI_IMAGE + 0x1ff, &symbol));
	ck_assert_str_eq(symbol.name, "panic");
	ck_assert_int_eq(symbol.type, 'T');
	ck_assert_uint_eq(symbol.address, MINI_IMAGE + 0x100);
	ck_assert_uint_eq(symbol.size, 0x100);
	ck_assert(linux_symbols_find(symbols, UINT64_MAX, &symbol));
	ck_assert_str_eq(symbol.name, "some_data");
	ck_assert(!linux_symbols_find(symbols, MINI_IMAGE - 1, &symbol));
	ck_assert(linux_symbols_address(symbols, "sysrq_handle_crash", &address));
	ck_assert_uint_eq(address, MINI_IMAGE + 0x200);
	ck_assert(!linux_symbols_address(symbols, "sysrq", &address));
	ck_assert(linux_symbols_is_text(symbols, MINI_IMAGE + 0x3ff));
	ck_assert(!linux_symbols_is_text(symbols, MINI_IMAGE + 0x400));
}
END_TEST

/* What is missing is said, and nothing else. */
START_TEST(who_has_no_symbols_is_told_why)
{
	static const struct {
		enum mini_kernel kernel;
		const char *without, *why;
	} cases[] = {
		{MINI_5_10, NULL,
			"VMCOREINFO does not name the kernel's symbols: kernels before 6.0 do not"},
		{MINI_6_12, "SYMBOL(kallsyms_names)",
			"VMCOREINFO does not name the kernel's symbols: it may have been built without "
			"them "
			"(CONFIG_KALLSYMS)"},
		{MINI_7_2, "SYMBOL(kallsyms_offsets)",
			"VMCOREINFO does not name the kernel's symbols: it may have been built without "
			"them "
			"(CONFIG_KALLSYMS)"},
		/* taken for one of 7.0 or later, whose offsets mean something else */
		{MINI_6_12, "SYMBOL(kallsyms_relative_base)",
			"the kernel's symbols have other addresses than VMCOREINFO says"},
	};

	mini_guest_fini(&guest);
	mini_guest_init(&guest, cases[_i].kernel, false);
	mini_write_info(&guest.mini, cases[_i].without);
	ck_assert_ptr_null(mini_guest_open(&guest));
	ck_assert_str_eq(linux_symbols_load(&guest.kernel, &symbols), cases[_i].why);
}
END_TEST

START_TEST(offsets_that_lead_anywhere_end_somewhere)
{
	uint32_t *offsets = mini_at(&guest.mini, MINI_SYMBOLS + 0x4000);
	struct linux_symbol symbol;

	offsets[1] = INT32_MAX;
	offsets[2] = (uint32_t)INT32_MIN;
	ck_assert_ptr_null(mini_guest_open(&guest));
	/* they do not ascend: _etext is not where it was, and all that counts is that nothing is read outside */
	if (!linux_symbols_load(&guest.kernel, &symbols))
		linux_symbols_find(symbols, MINI_IMAGE + 0x100, &symbol);
}
END_TEST

START_TEST(tables_that_lead_outside_are_refused)
{
	uint32_t nr = _i == 0 ? 0 : _i == 1 ? LINUX_SYMBOLS_MAX + 1 : LINUX_SYMBOLS_MAX;
	uint16_t index = UINT16_MAX;

	if (_i < 3)
		memcpy(mini_at(&guest.mini, MINI_SYMBOLS), &nr, sizeof(nr));
	else if (_i == 3)
		memcpy(mini_at(&guest.mini, MINI_SYMBOLS + 0x3000), &index, sizeof(index));
	else
		memset(mini_at(&guest.mini, MINI_SYMBOLS + 0x1000), 0xff, 0x1000);
	ck_assert_ptr_null(mini_guest_open(&guest));
	ck_assert_ptr_nonnull(linux_symbols_load(&guest.kernel, &symbols));
}
END_TEST

/* ---- stack ---------------------------------------------------------------------------------------------- */

static char frames[1024];

static void add_frame(void *arg, const struct linux_frame *frame)
{
	size_t len = strlen(frames);

	(void)arg;
	snprintf(frames + len, sizeof(frames) - len, "%s%s ", frame->guess ? "?" : "",
		frame->named ? frame->symbol.name : "none");
}

/* A call at @at, 5 bytes, of @target; result: its return address. */
static uint64_t call(uint64_t at, uint64_t target)
{
	int32_t relative = (int32_t)(target - (at + 5));
	uint8_t *code = mini_at(&guest.mini, at);

	code[0] = 0xe8;
	memcpy(code + 1, &relative, sizeof(relative));
	return at + 5;
}

/* panic() called by sysrq_handle_crash(), called through a pointer by last_function(). */
START_TEST(the_stack_tells_who_called_whom)
{
	static const uint8_t call_rax[] = {0xff, 0xd0};
	uint64_t rsp = MINI_STACK + 0x1000;

	/* the text overlaps page tables and other things in this small kernel: put it where nothing is */
	put64(rsp, MINI_IMAGE + 0x350); /* no call before it */
	put64(rsp + 8, 0x1234);         /* no text */
	put64(rsp + 16, call(MINI_IMAGE + 0x210, MINI_IMAGE + 0x100));
	memcpy(mini_at(&guest.mini, MINI_IMAGE + 0x310), call_rax, sizeof(call_rax));
	put64(rsp + 24, MINI_IMAGE + 0x312);
	put64(rsp + 32, call(MINI_IMAGE + 0x320, MINI_IMAGE)); /* an old one */
	load_symbols();
	frames[0] = '\0';
	ck_assert_uint_eq(
		linux_stack_walk(&guest.kernel, symbols, MINI_IMAGE + 0x180, rsp, add_frame, NULL), 4);
	ck_assert_str_eq(frames, "panic sysrq_handle_crash ?last_function ?last_function ");
}
END_TEST

START_TEST(a_stack_that_is_none_has_one_frame)
{
	static const uint64_t stacks[] = {
		0, 0x7fff0000, MINI_STACK + 1, 0xffff800000000000, UINT64_MAX - 7};

	load_symbols();
	frames[0] = '\0';
	ck_assert_uint_eq(
		linux_stack_walk(&guest.kernel, symbols, 0x401000, stacks[_i], add_frame, NULL), 1);
	ck_assert_str_eq(frames, "none ");
}
END_TEST

Suite *suite_linux_log(void)
{
	Suite *suite = suite_create("linux-log");
	TCase *tc = tcase_create("log"), *tc5 = tcase_create("newer symbols"),
	      *tc7 = tcase_create("symbols of 7.0 and later");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_log_is_read_in_order);
	tcase_add_loop_test(tc, records_that_are_not_whole_are_left_out, 0, 3);
	tcase_add_test(tc, a_text_that_wraps_is_at_the_ring_s_start);
	tcase_add_test(tc, a_record_without_text_is_an_empty_line);
	tcase_add_loop_test(tc, places_that_contradict_themselves_read_nothing_outside, 0, 6);
	tcase_add_loop_test(tc, impossible_rings_are_no_log, 0, 6);
	tcase_add_loop_test(tc, ids_that_make_no_sense_are_cut_to_the_ring, 0, 2);
	tcase_add_test(tc, lines_are_printable);
	tcase_add_test(tc, who_wrote_a_line_is_told_if_it_is_asked_for);
	tcase_add_test(tc, the_longest_line_has_room);
	tcase_add_loop_test(tc, a_caller_that_is_nowhere_is_not_told, 0, 2);
	tcase_add_test(tc, the_report_tells_release_panic_and_the_end_of_the_log);
	tcase_add_test(tc, a_report_of_another_process_is_made_harmless);
	tcase_add_test(tc, addresses_have_names);
	tcase_add_loop_test(tc, who_has_no_symbols_is_told_why, 0, 4);
	tcase_add_loop_test(tc, tables_that_lead_outside_are_refused, 0, 5);
	tcase_add_test(tc, the_stack_tells_who_called_whom);
	tcase_add_loop_test(tc, a_stack_that_is_none_has_one_frame, 0, 5);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(tc5, setup5, teardown);
	tcase_add_test(tc5, addresses_have_names);
	suite_add_tcase(suite, tc5);
	tcase_add_checked_fixture(tc7, setup7, teardown);
	tcase_add_test(tc7, addresses_have_names);
	tcase_add_test(tc7, offsets_that_lead_anywhere_end_somewhere);
	tcase_add_loop_test(tc7, tables_that_lead_outside_are_refused, 0, 5);
	tcase_add_test(tc7, the_stack_tells_who_called_whom);
	suite_add_tcase(suite, tc7);
	return suite;
}
