/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_event_queue.c - vmm/machine/event_queue.c: what waits, in which order, and what a guest cannot do */
#include "tests/unit/suites.h"
#include "vmm/machine/event_queue.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

static struct event_queue queue;
static struct fw_event events[FW_EVENTS_MAX + 1];

static void setup(void)
{
	event_queue_init(&queue);
}

static void teardown(void)
{
	event_queue_fini(&queue);
}

static int post(uint64_t n)
{
	return event_queue_post(&queue, FW_EVENT_MEMORY_ADDED, n << 21, 1 << 21);
}

/* A poll for @max gives the events [@first, @end), and says that those up to @last wait. */
static void expect(uint32_t max, uint64_t first, uint64_t end, uint64_t last)
{
	uint32_t waiting = 77, count = event_queue_poll(&queue, events, max, &waiting);

	ck_assert_uint_eq(count, end - first);
	ck_assert_uint_eq(waiting, last + 1 - first);
	for (uint32_t i = 0; i < count; i++) {
		ck_assert_uint_eq(events[i].seq, first + i);
		ck_assert_uint_eq(events[i].type, FW_EVENT_MEMORY_ADDED);
		ck_assert_uint_eq(events[i].data[0], (first + i) << 21);
		ck_assert_uint_eq(events[i].data[1], 1 << 21);
		ck_assert_uint_eq(events[i].pad, 0);
	}
}

START_TEST(events_wait_in_order_from_number_1_until_they_are_acknowledged)
{
	expect(FW_EVENTS_MAX, 1, 1, 0);
	for (uint64_t n = 1; n <= 5; n++)
		ck_assert_int_eq(post(n), 0);
	expect(0, 1, 1, 5);
	expect(2, 1, 3, 5);
	expect(2, 1, 3, 5); /* reading takes nothing away */
	ck_assert_int_eq(event_queue_ack(&queue, 2), FW_OK);
	expect(2, 3, 5, 5);
	ck_assert_int_eq(event_queue_ack(&queue, 5), FW_OK);
	expect(FW_EVENTS_MAX, 6, 6, 5);
	ck_assert_int_eq(post(6), 0);
	expect(FW_EVENTS_MAX, 6, 7, 6);
}
END_TEST

START_TEST(the_past_can_be_acknowledged_again_and_the_future_cannot)
{
	ck_assert_int_eq(event_queue_ack(&queue, 0), FW_OK);
	ck_assert_int_eq(event_queue_ack(&queue, 1), FW_EINVAL);
	for (uint64_t n = 1; n <= 3; n++)
		ck_assert_int_eq(post(n), 0);
	ck_assert_int_eq(event_queue_ack(&queue, 4), FW_EINVAL);
	ck_assert_int_eq(event_queue_ack(&queue, UINT64_MAX), FW_EINVAL);
	expect(FW_EVENTS_MAX, 1, 4, 3);
	ck_assert_int_eq(event_queue_ack(&queue, 3), FW_OK);
	ck_assert_int_eq(event_queue_ack(&queue, 1), FW_OK);
	expect(FW_EVENTS_MAX, 4, 4, 3);
}
END_TEST

START_TEST(a_guest_that_never_acknowledges_gets_64_events_and_no_more)
{
	for (uint64_t n = 1; n <= FW_EVENTS_MAX; n++)
		ck_assert_int_eq(post(n), 0);
	for (uint64_t n = 0; n < 1000; n++)
		ck_assert_int_eq(post(n), -ENOSPC);
	expect(FW_EVENTS_MAX, 1, FW_EVENTS_MAX + 1, FW_EVENTS_MAX);
	ck_assert_int_eq(event_queue_ack(&queue, 1), FW_OK);
	ck_assert_int_eq(post(FW_EVENTS_MAX + 1), 0);
	ck_assert_int_eq(post(0), -ENOSPC);
	expect(FW_EVENTS_MAX, 2, FW_EVENTS_MAX + 2, FW_EVENTS_MAX + 1);
}
END_TEST

START_TEST(the_table_goes_round_without_mixing_up_events)
{
	for (uint64_t n = 1; n <= 10 * FW_EVENTS_MAX; n++) {
		ck_assert_int_eq(post(n), 0);
		if (n % 3 == 0) {
			expect(FW_EVENTS_MAX, n - 2, n + 1, n);
			ck_assert_int_eq(event_queue_ack(&queue, n), FW_OK);
		}
	}
}
END_TEST

Suite *suite_event_queue(void)
{
	Suite *suite = suite_create("event queue");
	TCase *tcase = tcase_create("queue");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, events_wait_in_order_from_number_1_until_they_are_acknowledged);
	tcase_add_test(tcase, the_past_can_be_acknowledged_again_and_the_future_cannot);
	tcase_add_test(tcase, a_guest_that_never_acknowledges_gets_64_events_and_no_more);
	tcase_add_test(tcase, the_table_goes_round_without_mixing_up_events);
	suite_add_tcase(suite, tcase);
	return suite;
}
