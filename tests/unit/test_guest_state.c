/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_guest_state.c - vmm/supervisor/guest_state.c, crash_loop.c: what may follow on what, and how soon */
#include "tests/unit/suites.h"
#include "vmm/supervisor/crash_loop.h"
#include "vmm/supervisor/guest_state.h"

#include <stdlib.h>
#include <string.h>

START_TEST(each_state_has_a_name_of_its_own)
{
	for (int a = 0; a < GUEST_STATES; a++) {
		ck_assert_ptr_nonnull(guest_state_name(a));
		for (int b = 0; b < a; b++)
			ck_assert_str_ne(guest_state_name(a), guest_state_name(b));
	}
}
END_TEST

static bool has_vm(int state)
{
	return state == GUEST_RUNS || state == GUEST_READY || state == GUEST_PAUSED ||
	       state == GUEST_STOPPING;
}

START_TEST(every_state_can_end_and_nothing_follows_on_the_end)
{
	for (int state = 0; state < GUEST_STATES; state++) {
		ck_assert_int_eq(guest_state_may_follow(state, GUEST_ENDING), state != GUEST_ENDING);
		ck_assert(!guest_state_may_follow(GUEST_ENDING, state));
		ck_assert(!guest_state_may_follow(state, GUEST_STARTS));
	}
}
END_TEST

START_TEST(a_wait_leads_to_a_vm_that_runs_and_to_no_other_that_has_one)
{
	for (int state = GUEST_WAITS_BACKOFF; state <= GUEST_WAITS_REBOOT; state++)
		for (int next = 0; next < GUEST_STATES; next++)
			if (has_vm(next))
				ck_assert_msg(guest_state_may_follow(state, next) == (next == GUEST_RUNS),
					"%s, then %s", guest_state_name(state), guest_state_name(next));
}
END_TEST

START_TEST(a_guest_that_is_to_stop_gets_no_other_vm)
{
	for (int next = 0; next < GUEST_STATES; next++)
		ck_assert_msg(guest_state_may_follow(GUEST_STOPPING, next) ==
				      (next == GUEST_PAUSED || next == GUEST_ENDING),
			"%s", guest_state_name(next));
}
END_TEST

/* ---- crash after crash ---------------------------------------------------------------------------------- */

static struct config config;
static struct crash_loop loop;
static struct vm *vm;

static void setup(void)
{
	memset(&config, 0, sizeof(config));
	config.recovery.max = 5;
	config.recovery.backoff = NSEC_PER_SEC;
	config.recovery.stable = 60 * NSEC_PER_SEC;
	loop = (struct crash_loop){0};
	vm = calloc(1, sizeof(*vm));
	ck_assert_ptr_nonnull(vm);
}

static void teardown(void)
{
	free(vm);
}

/* A recovery VM that ran from @run on, was ready at @ready (0 = never) and crashed at @end, all in s. */
static uint64_t crashes(uint64_t run, uint64_t ready, uint64_t end)
{
	struct vm_end crash = {.kind = VM_END_CRASH, .reason = DUMP_REASON_PANIC, .ns = end * NSEC_PER_SEC};

	vm->recovery = true;
	vm->first_run_ns = run * NSEC_PER_SEC;
	vm->ready_ns = ready * NSEC_PER_SEC;
	if (ready)
		crash_loop_note_ready(&loop);
	crash_loop_count(&loop, &config, vm, &crash);
	crash_loop_recovers(&loop);
	return crash_loop_pause(&loop, &config) / NSEC_PER_SEC;
}

START_TEST(the_pause_doubles_up_to_a_minute_while_no_recovery_vm_is_ready)
{
	static const uint64_t pauses[] = {1, 2, 4, 8, 16, 32, 60, 60};

	for (size_t i = 0; i < ARRAY_LEN(pauses); i++)
		ck_assert_uint_eq(crashes(10, 0, 11), pauses[i]);
	ck_assert_uint_eq(crashes(10, 11, 12), 0); /* ready once */
	ck_assert_uint_eq(crashes(10, 0, 11), 1);
}
END_TEST

START_TEST(a_row_ends_with_a_vm_that_was_stable)
{
	for (int i = 0; i < 5; i++) {
		ck_assert(crash_loop_may_go_on(&loop, &config));
		(void)crashes(10, 11, 12);
	}
	ck_assert(!crash_loop_may_go_on(&loop, &config));
	(void)crashes(10, 11, 70); /* a second too early */
	ck_assert_uint_eq(loop.recoveries, 6);
	(void)crashes(10, 11, 71);
	ck_assert_uint_eq(loop.recoveries, 1);
}
END_TEST

START_TEST(the_first_instruction_counts_only_as_long_as_no_vm_was_ever_ready)
{
	(void)crashes(10, 0, 70);
	ck_assert_uint_eq(loop.recoveries, 1);
	(void)crashes(10, 20, 30);
	(void)crashes(10, 0, 1000);
	ck_assert_uint_eq(loop.recoveries, 3);
}
END_TEST

Suite *suite_guest_state(void)
{
	Suite *suite = suite_create("guest state");
	TCase *states = tcase_create("states"), *loops = tcase_create("crash after crash");

	tcase_add_test(states, each_state_has_a_name_of_its_own);
	tcase_add_test(states, every_state_can_end_and_nothing_follows_on_the_end);
	tcase_add_test(states, a_wait_leads_to_a_vm_that_runs_and_to_no_other_that_has_one);
	tcase_add_test(states, a_guest_that_is_to_stop_gets_no_other_vm);
	suite_add_tcase(suite, states);
	tcase_add_checked_fixture(loops, setup, teardown);
	tcase_add_test(loops, the_pause_doubles_up_to_a_minute_while_no_recovery_vm_is_ready);
	tcase_add_test(loops, a_row_ends_with_a_vm_that_was_stable);
	tcase_add_test(loops, the_first_instruction_counts_only_as_long_as_no_vm_was_ever_ready);
	suite_add_tcase(suite, loops);
	return suite;
}
