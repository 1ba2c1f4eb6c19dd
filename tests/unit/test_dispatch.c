/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_dispatch.c - firmware/dispatch.c: what each call passes on and answers */
#include "tests/unit/fake_machine.h"
#include "tests/unit/suites.h"

#include <string.h>

/* ---- the calls ---------------------------------------------------------------------------------- */

START_TEST(query_tells_the_version_the_calls_and_what_the_machine_is)
{
	struct fw_query q = {.h = header(FW_QUERY, sizeof(q))};
	uint64_t calls = 0;

	for (size_t i = 0; i < nr_answered; i++)
		calls |= 1ull << answered[i].number;
	ck_assert_int_eq(call(&q, sizeof(q)), FW_VERDICT_CONTINUE);
	ck_assert_uint_eq(ret_call, FW_QUERY);
	memcpy(&q, m.ram + BLOCK, sizeof(q));
	ck_assert_int_eq(q.h.status, FW_OK);
	ck_assert_uint_eq(q.version_min, 1);
	ck_assert_uint_eq(q.version_max, 1);
	ck_assert_uint_eq(q.calls, calls);
	ck_assert_uint_eq(q.memory, 0x1122334455667788);
	ck_assert_uint_eq(q.vcpus, 3);
	ck_assert_uint_eq(q.generation, 7);
	ck_assert_uint_eq(q.recovery, 1);
	ck_assert_uint_eq(q.tsc_khz, 2400000);
	ck_assert_uint_eq(q.events_gsi, 13);
	ck_assert_uint_eq(q.memory_max, 0x2233445566778899);
	ck_assert_uint_eq(q.features, FW_FEATURE_MEMORY_GROWS);
	ck_assert_uint_eq(q.memory_end, 0x33445566778899aa);
}
END_TEST

START_TEST(console_write_takes_all_bytes_up_to_its_limit)
{
	static const uint32_t lengths[] = {0, 1, 5, 4096, FW_CONSOLE_MAX};

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct fw_console_write w = {
			.h = header(FW_CONSOLE_WRITE, sizeof(w)), .buf = 0x4000, .len = lengths[i]};

		machine_reset();
		for (uint32_t b = 0; b < lengths[i]; b++)
			m.ram[0x4000 + b] = (unsigned char)(b * 11);
		ck_assert_int_eq(call(&w, sizeof(w)), FW_VERDICT_CONTINUE);
		memcpy(&w, m.ram + BLOCK, sizeof(w));
		ck_assert_int_eq(w.h.status, FW_OK);
		ck_assert_uint_eq(w.written, lengths[i]);
		ck_assert_uint_eq(m.text_len, lengths[i]);
		ck_assert_mem_eq(m.text, m.ram + 0x4000, lengths[i]);
	}
}
END_TEST

static void console_write_fails(fw_gpa_t buf, uint32_t len, int32_t status)
{
	struct fw_console_write w = {
		.h = header(FW_CONSOLE_WRITE, sizeof(w)), .buf = buf, .len = len, .written = 99};

	ck_assert_int_eq(call(&w, sizeof(w)), FW_VERDICT_CONTINUE);
	memcpy(&w, m.ram + BLOCK, sizeof(w));
	ck_assert_int_eq(w.h.status, status);
	ck_assert_int_eq(ret_status, status);
	ck_assert_uint_eq(w.written, 0);
}

START_TEST(a_console_write_that_is_too_long_or_not_in_ram_writes_nothing)
{
	console_write_fails(0, FW_CONSOLE_MAX + 1, FW_EINVAL);
	console_write_fails(0, UINT32_MAX, FW_EINVAL);
	console_write_fails(RAM, 1, FW_EFAULT);
	console_write_fails(RAM - 1, 2, FW_EFAULT);
	console_write_fails(UINT64_MAX, 1, FW_EFAULT);
	console_write_fails(UINT64_MAX - 3, 64, FW_EFAULT);
	ck_assert_uint_eq(m.calls, 0);
	m.status = FW_ENOSPC; /* the machine's own refusal */
	console_write_fails(0, 1, FW_ENOSPC);
	ck_assert_uint_eq(m.calls, 1);
}
END_TEST

START_TEST(ready_and_heartbeat_return_to_the_guest_and_name_the_vcpu)
{
	struct fw_ready r = {.h = header(FW_READY, sizeof(r))};
	struct fw_heartbeat b = {.h = header(FW_HEARTBEAT, sizeof(b)), .progress = UINT64_MAX - 1};

	ck_assert_int_eq(call(&r, sizeof(r)), FW_VERDICT_CONTINUE);
	ck_assert_int_eq(status_at(BLOCK), FW_OK);
	ck_assert_uint_eq(m.cpu, 5);
	ck_assert_int_eq(call(&b, sizeof(b)), FW_VERDICT_CONTINUE);
	ck_assert_uint_eq(m.progress, UINT64_MAX - 1);
	ck_assert_uint_eq(ret_call, FW_HEARTBEAT);
	ck_assert_uint_eq(m.calls, 2);
}
END_TEST

START_TEST(reboot_and_power_off_stop_the_vcpu_and_pass_the_code_on)
{
	struct fw_power p = {.h = header(FW_REBOOT, sizeof(p)), .code = 77};

	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_STOP);
	ck_assert_uint_eq(m.code, 77);
	ck_assert_uint_eq(ret_call, FW_REBOOT);
	p.h = header(FW_POWER_OFF, sizeof(p));
	p.code = 0;
	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_STOP);
	ck_assert_uint_eq(m.code, 0);
	ck_assert_uint_eq(ret_call, FW_POWER_OFF);
	m.status = FW_EBUSY; /* the VM is ending already: no reason to run on */
	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_STOP);
	ck_assert_int_eq(status_at(BLOCK), FW_EBUSY);
}
END_TEST

/* ---- panic -------------------------------------------------------------------------------------- */

START_TEST(panic_passes_everything_on_and_stops_the_vcpu)
{
	struct fw_panic p = a_panic();

	memcpy(m.ram + 0x3000, "null deref, and more", 20);
	for (size_t i = 0; i < 2 * sizeof(struct fw_regs); i++)
		m.ram[0x3100 + i] = (unsigned char)i;
	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_STOP);
	ck_assert_int_eq(ret_status, FW_OK);
	ck_assert_uint_eq(m.cpu, 5); /* the one that called, whatever it says */
	ck_assert_mem_eq(&m.panic, &p, sizeof(p));
	ck_assert_uint_eq(m.string_len, 9);
	ck_assert_mem_eq(m.string, "null dere", 9);
	ck_assert_uint_eq(m.nr_regs, 2);
	ck_assert_mem_eq(m.regs, m.ram + 0x3100, 2 * sizeof(struct fw_regs));
}
END_TEST

START_TEST(a_panic_without_anything_is_a_panic)
{
	struct fw_panic p = {.h = header(FW_PANIC, sizeof(p)), .string_len = 10, .nr_regs = 3};

	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_STOP);
	ck_assert_int_eq(ret_status, FW_OK);
	ck_assert_uint_eq(m.calls, 1);
	ck_assert_uint_eq(m.string_len + m.nr_regs, 0); /* address 0 is "not given" */
}
END_TEST

START_TEST(parts_of_a_panic_that_cannot_be_read_are_left_out_alone)
{
	struct fw_panic p = a_panic();

	p.string = RAM - 4; /* 9 bytes */
	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_STOP);
	ck_assert_uint_eq(m.string_len, 0);
	ck_assert_uint_eq(m.nr_regs, 2);
	p = a_panic();
	p.regs = UINT64_MAX - 100;
	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_STOP);
	ck_assert_uint_eq(m.string_len, 9);
	ck_assert_uint_eq(m.nr_regs, 0);
	p.string = UINT64_MAX;
	p.page_desc = p.select = p.page_table = UINT64_MAX; /* not read by the call: recorded as given */
	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_STOP);
	ck_assert_uint_eq(m.string_len + m.nr_regs, 0);
	ck_assert_uint_eq(m.panic.page_desc, UINT64_MAX);
	ck_assert_uint_eq(m.calls, 3);
	ck_assert_int_eq(ret_status, FW_OK);
}
END_TEST

START_TEST(what_is_too_much_of_a_panic_is_cut)
{
	struct fw_panic p = a_panic();

	p.string = 0x8000;
	p.string_len = UINT32_MAX;
	p.nr_regs = UINT32_MAX;
	p.regs = 0x10000;
	p.nr_select = FW_SELECT_MAX + 1;
	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_STOP);
	ck_assert_uint_eq(m.string_len, FW_PANIC_STRING_MAX);
	ck_assert_uint_eq(m.nr_regs, FW_PANIC_REGS_MAX);
	ck_assert_uint_eq(m.panic.nr_select, 0);
	p.nr_select = FW_SELECT_MAX;
	call(&p, sizeof(p));
	ck_assert_uint_eq(m.panic.nr_select, FW_SELECT_MAX);
}
END_TEST

START_TEST(a_second_panic_stops_its_vcpu_too)
{
	struct fw_panic p = a_panic();

	m.status = FW_EBUSY;
	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_STOP);
	ck_assert_int_eq(status_at(BLOCK), FW_EBUSY);
}
END_TEST

START_TEST(a_panic_that_begins_a_dump_of_the_guests_own_returns_and_one_that_ends_it_does_not)
{
	struct fw_panic p = a_panic();

	p.flags = FW_PANIC_BEGIN;
	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_CONTINUE);
	ck_assert_uint_eq(m.panic.flags, FW_PANIC_BEGIN);
	m.status = FW_EINVAL; /* this machine wants to dump itself */
	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_CONTINUE);
	ck_assert_int_eq(status_at(BLOCK), FW_EINVAL);
	m.status = FW_OK;
	p.flags = FW_PANIC_END;
	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_STOP);
}
END_TEST

/* ---- a guest that dumps by itself --------------------------------------------------------------- */

START_TEST(a_stream_is_opened_written_and_closed_with_the_numbers_given)
{
	struct fw_dump_open o = {
		.h = header(FW_DUMP_OPEN, sizeof(o)), .start = UINT64_MAX - 1, .len = 1ull << 60};
	struct fw_dump_write w = {.h = header(FW_DUMP_WRITE, sizeof(w)),
		.stream = 9,
		.flags = FW_DUMP_RELEASE,
		.buf = UINT64_MAX,
		.len = 1ull << 50};
	struct fw_dump_close c = {.h = header(FW_DUMP_CLOSE, sizeof(c)), .stream = UINT32_MAX};

	ck_assert_int_eq(call(&o, sizeof(o)), FW_VERDICT_CONTINUE);
	memcpy(&o, m.ram + BLOCK, sizeof(o));
	ck_assert(o.h.status == FW_OK && o.stream == 9 && m.start == UINT64_MAX - 1 && m.len == 1ull << 60);
	ck_assert_int_eq(call(&w, sizeof(w)), FW_VERDICT_CONTINUE);
	memcpy(&w, m.ram + BLOCK, sizeof(w));
	ck_assert(w.h.status == FW_OK && w.written == 1ull << 50 && m.release && m.stream == 9);
	w.flags = 0;
	call(&w, sizeof(w));
	ck_assert(!m.release);
	ck_assert_int_eq(call(&c, sizeof(c)), FW_VERDICT_CONTINUE);
	ck_assert_uint_eq(m.stream, UINT32_MAX);
	ck_assert_uint_eq(m.calls, 4);
}
END_TEST

START_TEST(what_is_refused_opens_no_stream_writes_nothing_and_adds_no_memory)
{
	struct fw_dump_open o = {.h = header(FW_DUMP_OPEN, sizeof(o)), .stream = 77};
	struct fw_dump_write w = {.h = header(FW_DUMP_WRITE, sizeof(w)), .len = 5, .written = 77};
	struct fw_mem_add a = {.h = header(FW_MEM_ADD, sizeof(a)), .added = 77};

	m.status = FW_EINVAL;
	call(&o, sizeof(o));
	memcpy(&o, m.ram + BLOCK, sizeof(o));
	ck_assert(o.h.status == FW_EINVAL && o.stream == 0);
	call(&w, sizeof(w));
	memcpy(&w, m.ram + BLOCK, sizeof(w));
	ck_assert(w.h.status == FW_EINVAL && w.written == 0);
	call(&a, sizeof(a));
	memcpy(&a, m.ram + BLOCK, sizeof(a));
	ck_assert(a.h.status == FW_EINVAL && a.added == 0);
}
END_TEST

START_TEST(an_unknown_flag_of_a_stream_write_is_refused)
{
	struct fw_dump_write w = {.h = header(FW_DUMP_WRITE, sizeof(w)), .flags = 2};

	call(&w, sizeof(w));
	ck_assert_int_eq(status_at(BLOCK), FW_EINVAL);
	ck_assert_uint_eq(m.calls, 0);
}
END_TEST

START_TEST(memory_is_added_and_removed_at_the_address_that_the_machine_says)
{
	struct fw_mem_add a = {.h = header(FW_MEM_ADD, sizeof(a)), .start = 0x5000, .len = 0x3000};
	struct fw_mem_remove r = {.h = header(FW_MEM_REMOVE, sizeof(r)), .added = 0x123456000};

	ck_assert_int_eq(call(&a, sizeof(a)), FW_VERDICT_CONTINUE);
	memcpy(&a, m.ram + BLOCK, sizeof(a));
	ck_assert(a.h.status == FW_OK && a.added == 0x123456000 && m.start == 0x5000 && m.len == 0x3000);
	ck_assert_int_eq(call(&r, sizeof(r)), FW_VERDICT_CONTINUE);
	ck_assert_uint_eq(m.added, 0x123456000);
}
END_TEST

START_TEST(a_machine_that_cannot_take_a_guests_dump_neither_answers_nor_announces_it)
{
	struct fw_machine_ops without = machine_ops;
	struct fw_query q = {.h = header(FW_QUERY, sizeof(q))};

	without.dump_open = NULL;
	for (uint32_t number = FW_DUMP_OPEN; number <= FW_MEM_REMOVE; number++) {
		struct fw_header h = header(number, FW_BLOCK_MAX);

		memcpy(m.ram + BLOCK, &h, sizeof(h));
		ck_assert_int_eq(
			fw_dispatch(&without, &m, 0, BLOCK, &ret_call, &ret_status), FW_VERDICT_CONTINUE);
		ck_assert_int_eq(status_at(BLOCK), FW_ENOTSUP);
	}
	ck_assert_uint_eq(m.calls, 0);
	memcpy(m.ram + BLOCK, &q, sizeof(q));
	fw_dispatch(&without, &m, 0, BLOCK, &ret_call, &ret_status);
	memcpy(&q, m.ram + BLOCK, sizeof(q));
	ck_assert_uint_eq(q.calls & 0xf8, 0);
}
END_TEST

/* ---- events ------------------------------------------------------------------------------------- */

static struct fw_events_poll poll_events(fw_gpa_t buf, uint32_t max)
{
	struct fw_events_poll p = {
		.h = header(FW_EVENTS_POLL, sizeof(p)), .buf = buf, .max = max, .count = 77, .waiting = 77};

	ck_assert_int_eq(call(&p, sizeof(p)), FW_VERDICT_CONTINUE);
	memcpy(&p, m.ram + BLOCK, sizeof(p));
	return p;
}

START_TEST(a_poll_copies_the_oldest_events_and_tells_how_many_wait)
{
	struct fw_events_poll p;
	struct fw_event events[3];

	m.waiting = 3;
	p = poll_events(0x4000, 2);
	ck_assert(p.h.status == FW_OK && p.count == 2 && p.waiting == 3);
	memcpy(events, m.ram + 0x4000, sizeof(events));
	for (uint64_t i = 0; i < 2; i++)
		ck_assert(events[i].seq == i + 1 && events[i].type == FW_EVENT_MEMORY_ADDED &&
			  !events[i].pad && events[i].data[0] == i * 0x200000 &&
			  events[i].data[1] == 0x200000);
	ck_assert_uint_eq(m.ram[0x4000 + 2 * sizeof(events[0])], 0xa5); /* no byte of a third one */
	p = poll_events(RAM - 3 * sizeof(events[0]), FW_EVENTS_MAX);    /* room for those there are */
	ck_assert(p.h.status == FW_OK && p.count == 3 && p.waiting == 3);
	p = poll_events(UINT64_MAX, 0); /* just asks */
	ck_assert(p.h.status == FW_OK && p.count == 0 && p.waiting == 3);
	m.waiting = 0;
	p = poll_events(UINT64_MAX, 5);
	ck_assert(p.h.status == FW_OK && p.count == 0 && p.waiting == 0);
}
END_TEST

static void poll_fails(fw_gpa_t buf, uint32_t max, int32_t status)
{
	struct fw_events_poll p = poll_events(buf, max);

	ck_assert_int_eq(p.h.status, status);
	ck_assert(p.count == 0 && p.waiting == 0);
}

START_TEST(a_poll_for_too_many_or_to_a_place_outside_ram_gives_nothing)
{
	m.waiting = 2;
	poll_fails(0x4000, FW_EVENTS_MAX + 1, FW_EINVAL);
	poll_fails(0x4000, UINT32_MAX, FW_EINVAL);
	ck_assert_uint_eq(m.calls, 0);
	poll_fails(RAM, 1, FW_EFAULT);
	poll_fails(RAM - sizeof(struct fw_event), 2, FW_EFAULT);
	poll_fails(UINT64_MAX - 31, 2, FW_EFAULT);
	m.status = FW_ENOTSUP; /* the machine's own refusal */
	poll_fails(0x4000, 1, FW_ENOTSUP);
	for (unsigned i = 0; i < 64; i++)
		ck_assert_uint_eq(m.ram[0x4000 + i], 0xa5);
}
END_TEST

START_TEST(an_acknowledgement_passes_its_number_on_and_the_answer_back)
{
	struct fw_events_ack a = {.h = header(FW_EVENTS_ACK, sizeof(a)), .seq = UINT64_MAX - 5};

	ck_assert_int_eq(call(&a, sizeof(a)), FW_VERDICT_CONTINUE);
	ck_assert_int_eq(status_at(BLOCK), FW_OK);
	ck_assert_uint_eq(m.seq, UINT64_MAX - 5);
	m.status = FW_EINVAL;
	ck_assert_int_eq(call(&a, sizeof(a)), FW_VERDICT_CONTINUE);
	ck_assert_int_eq(status_at(BLOCK), FW_EINVAL);
}
END_TEST

START_TEST(a_machine_without_events_neither_answers_nor_announces_them)
{
	struct fw_machine_ops without = machine_ops;
	struct fw_query q = {.h = header(FW_QUERY, sizeof(q))};

	without.events_poll = NULL;
	for (uint32_t number = FW_EVENTS_POLL; number <= FW_EVENTS_ACK; number++) {
		struct fw_header h = header(number, FW_BLOCK_MAX);

		memcpy(m.ram + BLOCK, &h, sizeof(h));
		fw_dispatch(&without, &m, 0, BLOCK, &ret_call, &ret_status);
		ck_assert_int_eq(status_at(BLOCK), FW_ENOTSUP);
	}
	ck_assert_uint_eq(m.calls, 0);
	memcpy(m.ram + BLOCK, &q, sizeof(q));
	fw_dispatch(&without, &m, 0, BLOCK, &ret_call, &ret_status);
	memcpy(&q, m.ram + BLOCK, sizeof(q));
	ck_assert_uint_eq(q.calls & 0x300, 0);
}
END_TEST

/* ---- names -------------------------------------------------------------------------------------- */

START_TEST(every_call_number_has_a_name_of_its_own)
{
	for (uint32_t i = 0; i < FW_NR_CALLS; i++) {
		ck_assert_ptr_nonnull(fw_call_name(i));
		for (uint32_t other = 0; other < i; other++)
			ck_assert_str_ne(fw_call_name(i), fw_call_name(other));
	}
	ck_assert_ptr_null(fw_call_name(FW_NR_CALLS));
	ck_assert_ptr_null(fw_call_name(UINT32_MAX));
	ck_assert(!fw_call_supported(FW_NR_CALLS) && !fw_call_supported(UINT32_MAX));
	for (size_t i = 0; i < nr_answered; i++)
		ck_assert(fw_call_supported(answered[i].number));
}
END_TEST

Suite *suite_dispatch(void)
{
	Suite *suite = suite_create("dispatch");
	TCase *good = tcase_create("calls"), *panic = tcase_create("panic"), *dump = tcase_create("dump");
	TCase *events = tcase_create("events");

	tcase_add_checked_fixture(good, machine_reset, NULL);
	tcase_add_test(good, query_tells_the_version_the_calls_and_what_the_machine_is);
	tcase_add_test(good, console_write_takes_all_bytes_up_to_its_limit);
	tcase_add_test(good, a_console_write_that_is_too_long_or_not_in_ram_writes_nothing);
	tcase_add_test(good, ready_and_heartbeat_return_to_the_guest_and_name_the_vcpu);
	tcase_add_test(good, reboot_and_power_off_stop_the_vcpu_and_pass_the_code_on);
	tcase_add_test(good, every_call_number_has_a_name_of_its_own);
	suite_add_tcase(suite, good);

	tcase_add_checked_fixture(panic, machine_reset, NULL);
	tcase_add_test(panic, panic_passes_everything_on_and_stops_the_vcpu);
	tcase_add_test(panic, a_panic_without_anything_is_a_panic);
	tcase_add_test(panic, parts_of_a_panic_that_cannot_be_read_are_left_out_alone);
	tcase_add_test(panic, what_is_too_much_of_a_panic_is_cut);
	tcase_add_test(
		panic, a_panic_that_begins_a_dump_of_the_guests_own_returns_and_one_that_ends_it_does_not);
	tcase_add_test(panic, a_second_panic_stops_its_vcpu_too);
	suite_add_tcase(suite, panic);

	tcase_add_checked_fixture(dump, machine_reset, NULL);
	tcase_add_test(dump, a_stream_is_opened_written_and_closed_with_the_numbers_given);
	tcase_add_test(dump, what_is_refused_opens_no_stream_writes_nothing_and_adds_no_memory);
	tcase_add_test(dump, an_unknown_flag_of_a_stream_write_is_refused);
	tcase_add_test(dump, memory_is_added_and_removed_at_the_address_that_the_machine_says);
	tcase_add_test(dump, a_machine_that_cannot_take_a_guests_dump_neither_answers_nor_announces_it);
	suite_add_tcase(suite, dump);

	tcase_add_checked_fixture(events, machine_reset, NULL);
	tcase_add_test(events, a_poll_copies_the_oldest_events_and_tells_how_many_wait);
	tcase_add_test(events, a_poll_for_too_many_or_to_a_place_outside_ram_gives_nothing);
	tcase_add_test(events, an_acknowledgement_passes_its_number_on_and_the_answer_back);
	tcase_add_test(events, a_machine_without_events_neither_answers_nor_announces_them);
	suite_add_tcase(suite, events);
	return suite;
}
