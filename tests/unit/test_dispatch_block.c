/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dispatch_block.c - firmware/dispatch.c: every way to get a block wrong, and what
 * exactly is read and written of guest memory
 */
#include "tests/unit/fake_machine.h"
#include "tests/unit/suites.h"

#include <string.h>

/* ---- blocks ------------------------------------------------------------------------------------- */

/* @h is answered with @status, no handler runs, and only the status in RAM changes. */
static void block_fails(fw_gpa_t gpa, const struct fw_header *h, int32_t status)
{
	static unsigned char before[RAM];

	machine_reset();
	memcpy(m.ram + gpa, h, sizeof(*h));
	memcpy(before, m.ram, RAM);
	ck_assert_int_eq(dispatch(gpa), FW_VERDICT_CONTINUE);
	ck_assert_int_eq(ret_status, status);
	ck_assert_uint_eq(ret_call, FW_NR_CALLS);
	ck_assert_int_eq(status_at(gpa), status);
	memcpy(before + gpa + offsetof(struct fw_header, status), &status, sizeof(status));
	ck_assert_mem_eq(m.ram, before, RAM);
	ck_assert_uint_eq(m.calls, 0);
}

START_TEST(a_block_with_a_wrong_magic_version_or_size_is_told_so)
{
	struct fw_header h = header(FW_READY, sizeof(h));

	h.magic ^= 1;
	block_fails(BLOCK, &h, FW_EBLOCK);
	h = header(FW_READY, sizeof(h));
	h.version = 0;
	block_fails(BLOCK, &h, FW_EBLOCK);
	h.version = 2;
	block_fails(BLOCK, &h, FW_EBLOCK);
	for (uint32_t size = 0; size < sizeof(h); size++) {
		h = header(FW_READY, size);
		block_fails(BLOCK, &h, FW_EBLOCK);
	}
	h = header(FW_READY, FW_BLOCK_MAX + 1);
	block_fails(BLOCK, &h, FW_EBLOCK);
	h = header(FW_READY, UINT32_MAX);
	block_fails(BLOCK, &h, FW_EBLOCK);
}
END_TEST

START_TEST(every_call_needs_its_whole_struct_and_may_have_more)
{
	for (size_t i = 0; i < nr_answered; i++) {
		struct fw_header h = header(answered[i].number, answered[i].min - 1);

		block_fails(BLOCK, &h, FW_EBLOCK);
		for (uint32_t size = answered[i].min; size <= FW_BLOCK_MAX; size += 7) {
			h = header(answered[i].number, size);
			machine_reset();
			memset(m.ram + BLOCK, 0, answered[i].size);
			ck_assert_int_eq(call(&h, sizeof(h)),
				answered[i].stops ? FW_VERDICT_STOP : FW_VERDICT_CONTINUE);
			ck_assert_int_eq(status_at(BLOCK), FW_OK);
			ck_assert_uint_eq(m.calls, 1);
		}
	}
}
END_TEST

START_TEST(calls_that_nobody_answers_are_not_supported)
{
	for (uint32_t number = 0; number <= UINT16_MAX; number += number < 300 ? 1 : 997) {
		struct fw_header h = header(number, FW_BLOCK_MAX);
		bool known = false;

		for (size_t i = 0; i < nr_answered; i++)
			known = known || answered[i].number == number;
		if (!known)
			block_fails(BLOCK, &h, FW_ENOTSUP);
	}
}
END_TEST

START_TEST(a_block_outside_ram_gets_nothing)
{
	static const fw_gpa_t outside[] = {RAM, RAM + 64, 1ull << 38, UINT64_MAX - 63, UINT64_MAX};
	static unsigned char before[RAM];

	memcpy(before, m.ram, RAM);
	for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
		ck_assert_int_eq(dispatch(outside[i]), FW_VERDICT_CONTINUE);
		ck_assert_int_eq(ret_status, FW_EFAULT);
		ck_assert_uint_eq(ret_call, FW_NR_CALLS);
	}
	ck_assert_mem_eq(m.ram, before, RAM);
	ck_assert_uint_eq(m.calls + m.nr_out, 0);
}
END_TEST

START_TEST(a_block_may_be_the_last_64_bytes_of_ram)
{
	fw_gpa_t last = RAM - FW_BLOCK_ALIGN;

	for (size_t i = 0; i < nr_answered; i++) {
		struct fw_header h = header(answered[i].number, answered[i].min);

		if (answered[i].min > FW_BLOCK_ALIGN) {
			block_fails(last, &h, FW_EFAULT);
			continue;
		}
		machine_reset();
		memset(m.ram + last, 0, FW_BLOCK_ALIGN);
		call_at(last, &h, sizeof(h));
		ck_assert_int_eq(status_at(last), FW_OK);
		ck_assert_uint_eq(m.calls, 1);
	}
}
END_TEST

/* ---- memory ------------------------------------------------------------------------------------- */

START_TEST(each_byte_of_a_block_is_read_once_and_nothing_behind_the_call)
{
	for (size_t i = 0; i < nr_answered; i++) {
		struct fw_header h = header(answered[i].number, FW_BLOCK_MAX);
		fw_gpa_t end = BLOCK;

		machine_reset();
		memset(m.ram + BLOCK, 0, FW_BLOCK_MAX);
		call(&h, sizeof(h));
		for (unsigned r = 0; r < m.nr_in; r++) {
			if (m.in[r].gpa < BLOCK) /* what a field points at */
				continue;
			ck_assert_uint_eq(m.in[r].gpa, end); /* one after the other */
			end += m.in[r].len;
		}
		ck_assert_uint_ge(end - BLOCK, answered[i].size);
		ck_assert_uint_le(end - BLOCK, u64_max(answered[i].size, FW_BLOCK_ALIGN));
	}
}
END_TEST

START_TEST(changing_a_block_during_its_call_has_no_effect)
{
	struct fw_panic p = a_panic();
	struct fw_heartbeat b = {.h = header(FW_HEARTBEAT, sizeof(b)), .progress = 42};
	struct fw_console_write w = {.h = header(FW_CONSOLE_WRITE, sizeof(w)), .buf = 0x4000, .len = 3};

	m.garble = true; /* each byte is 0xee when it has been read once */
	call(&p, sizeof(p));
	ck_assert_mem_eq(&m.panic, &p, sizeof(p));
	call(&b, sizeof(b));
	ck_assert_uint_eq(m.progress, 42);
	memcpy(m.ram + 0x4000, "abc", 3);
	call(&w, sizeof(w));
	ck_assert_uint_eq(m.text_len, 3);
	ck_assert_mem_eq(m.text, "abc", 3);
	ck_assert_int_eq(status_at(BLOCK), FW_OK);
}
END_TEST

START_TEST(only_the_calls_out_fields_and_then_the_status_are_written)
{
	for (size_t i = 0; i < nr_answered; i++) {
		struct fw_header h = header(answered[i].number, FW_BLOCK_MAX);
		const struct range *last;

		machine_reset();
		memset(m.ram + BLOCK, 0, answered[i].size);
		call(&h, sizeof(h));
		ck_assert_uint_eq(m.nr_out, answered[i].out ? 2 : 1);
		last = &m.out[m.nr_out - 1];
		ck_assert_uint_eq(last->gpa, BLOCK + offsetof(struct fw_header, status));
		ck_assert_uint_eq(last->len, sizeof(h.status));
		if (answered[i].out) {
			ck_assert_uint_eq(m.out[0].gpa, BLOCK + answered[i].out);
			ck_assert_uint_eq(m.out[0].len, answered[i].size - answered[i].out);
		}
	}
}
END_TEST

START_TEST(bytes_behind_the_calls_struct_stay_as_they_are)
{
	for (size_t i = 0; i < nr_answered; i++) {
		struct fw_header h = header(answered[i].number, FW_BLOCK_MAX);

		machine_reset();
		memset(m.ram + BLOCK, 0, answered[i].size);
		call(&h, sizeof(h));
		for (fw_gpa_t at = BLOCK + answered[i].size; at < BLOCK + FW_BLOCK_MAX; at++)
			ck_assert_uint_eq(m.ram[at], 0xa5);
	}
}
END_TEST

START_TEST(fields_that_a_block_is_too_short_for_are_neither_read_nor_written)
{
	for (size_t i = 0; i < nr_answered; i++) {
		for (uint32_t size = answered[i].min; size < answered[i].size; size++) {
			struct fw_header h = header(answered[i].number, size);

			machine_reset();
			call(&h, sizeof(h));
			ck_assert_int_eq(status_at(BLOCK), FW_OK);
			for (unsigned r = 0; r < m.nr_in; r++)
				ck_assert_uint_le(m.in[r].gpa + m.in[r].len, BLOCK + size);
			ck_assert_uint_eq(m.out[0].gpa + m.out[0].len, BLOCK + size);
			for (fw_gpa_t at = BLOCK + size; at < BLOCK + FW_BLOCK_MAX; at++)
				ck_assert_uint_eq(m.ram[at], 0xa5);
		}
	}
	ck_assert_uint_lt(answered[0].min, answered[0].size); /* FW_QUERY is such a call */
}
END_TEST

Suite *suite_dispatch_block(void)
{
	Suite *suite = suite_create("dispatch block");
	TCase *blocks = tcase_create("blocks"), *memory = tcase_create("memory");

	tcase_add_checked_fixture(blocks, machine_reset, NULL);
	tcase_add_test(blocks, a_block_with_a_wrong_magic_version_or_size_is_told_so);
	tcase_add_test(blocks, every_call_needs_its_whole_struct_and_may_have_more);
	tcase_add_test(blocks, calls_that_nobody_answers_are_not_supported);
	tcase_add_test(blocks, a_block_outside_ram_gets_nothing);
	tcase_add_test(blocks, a_block_may_be_the_last_64_bytes_of_ram);
	suite_add_tcase(suite, blocks);

	tcase_add_checked_fixture(memory, machine_reset, NULL);
	tcase_add_test(memory, each_byte_of_a_block_is_read_once_and_nothing_behind_the_call);
	tcase_add_test(memory, changing_a_block_during_its_call_has_no_effect);
	tcase_add_test(memory, only_the_calls_out_fields_and_then_the_status_are_written);
	tcase_add_test(memory, bytes_behind_the_calls_struct_stay_as_they_are);
	tcase_add_test(memory, fields_that_a_block_is_too_short_for_are_neither_read_nor_written);
	suite_add_tcase(suite, memory);
	return suite;
}
