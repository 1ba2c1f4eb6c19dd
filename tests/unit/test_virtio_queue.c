/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_virtio_queue.c - vmm/devices/virtio_queue.c: chains as they should be, and every way they should not */
#include "dump/base/io.h"
#include "tests/unit/suites.h"
#include "tests/unit/virtio_driver.h"

#include <errno.h>
#include <string.h>

#define INDIRECT (1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define EVENT_IDX (1ull << VIRTIO_RING_F_EVENT_IDX)
#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define TABLE VRING_DESC_F_INDIRECT
#define SIZE 8u
#define DATA DRIVER_DATA
#define TOP (HOLE_END + DRIVER_RAM - HOLE_BASE)

static struct driver driver;
static struct virtq vq;
static struct virtq_chain chain;

/* Without a device: the queue is the test's. */
static void offer(uint16_t head)
{
	struct driver_queue *queue = &driver.queues[0];

	queue->avail[2 + queue->next_avail++ % SIZE] = head;
	queue->avail[1] = queue->next_avail;
}

static void open_queue(uint64_t features)
{
	struct virtq_place place = driver_place(0);
	struct driver_queue *queue = &driver.queues[0];

	memset(driver_at(&driver, place.desc), 0, 0x10000);
	*queue = (struct driver_queue){.desc = driver_at(&driver, place.desc),
		.avail = driver_at(&driver, place.avail),
		.used = driver_at(&driver, place.used)};
	place.size = SIZE;
	ck_assert_int_eq(virtq_open(&vq, &driver.region, &place, features), 0);
}

static void setup(void)
{
	driver_init(&driver);
	open_queue(INDIRECT);
}

static void teardown(void)
{
	driver_fini(&driver);
}

static void desc(uint16_t at, gpa_t gpa, uint32_t len, unsigned flags, uint16_t next)
{
	driver_desc(&driver, 0, at, gpa, len, (uint16_t)flags, next);
}

/* Entry @at of an indirect table at @table. */
static void entry(gpa_t table, uint16_t at, gpa_t gpa, uint32_t len, unsigned flags, uint16_t next)
{
	((struct vring_desc *)driver_at(&driver, table))[at] = (struct vring_desc){
		.addr = gpa, .len = len, .flags = (uint16_t)flags, .next = next};
}

/* ---- as it should be ------------------------------------------------------------------------------ */

START_TEST(a_chain_comes_with_its_buffers_in_order_readable_ones_first)
{
	desc(3, DATA, 16, NEXT, 7);
	desc(7, DATA + 100, 512, NEXT | WRITE, 0);
	desc(0, HOLE_END, 1, WRITE, 5);
	offer(3);
	ck_assert_int_eq(virtq_take(&vq, &chain), 1);
	ck_assert_uint_eq(chain.head, 3);
	ck_assert_uint_eq(chain.nr_readable, 1);
	ck_assert_uint_eq(chain.nr_writable, 2);
	ck_assert_uint_eq(chain.readable_bytes, 16);
	ck_assert_uint_eq(chain.writable_bytes, 513);
	ck_assert_uint_eq(chain.bufs[1].gpa, DATA + 100);
	ck_assert_uint_eq(chain.bufs[2].gpa, HOLE_END);
	ck_assert_int_eq(virtq_take(&vq, &chain), 0);
	virtq_give(&vq, 3, 513);
	ck_assert_uint_eq(driver.queues[0].used[1], 1);
	ck_assert_uint_eq(((uint32_t *)(void *)driver.queues[0].used)[1], 3);
	ck_assert_uint_eq(((uint32_t *)(void *)driver.queues[0].used)[2], 513);
}
END_TEST

START_TEST(an_indirect_table_may_follow_direct_descriptors_and_has_its_own_order)
{
	gpa_t table = DATA + 0x1000;

	desc(0, DATA, 16, NEXT, 1);
	desc(1, table, 3 * sizeof(struct vring_desc), TABLE, 0);
	entry(table, 0, DATA + 32, 8, NEXT, 2);
	entry(table, 2, DATA + 64, 4, NEXT | WRITE, 1);
	entry(table, 1, DATA + 128, 1, WRITE, 0);
	offer(0);
	ck_assert_int_eq(virtq_take(&vq, &chain), 1);
	ck_assert_uint_eq(chain.nr_readable, 2);
	ck_assert_uint_eq(chain.nr_writable, 2);
	ck_assert_uint_eq(chain.bufs[2].gpa, DATA + 64);
	ck_assert_uint_eq(chain.bufs[3].gpa, DATA + 128);
}
END_TEST

START_TEST(indexes_wrap_and_every_chain_comes_once)
{
	unsigned wrong = 0; /* an assertion a round would take longer than all the rest */

	for (uint32_t i = 0; i < 0x20000; i++) {
		uint16_t head = (uint16_t)(i * 5 % SIZE);

		desc(head, DATA + i % 4096, 1 + i % 7, WRITE, 0);
		offer(head);
		wrong += virtq_take(&vq, &chain) != 1 || chain.head != head ||
			 chain.bufs[0].gpa != DATA + i % 4096 || virtq_take(&vq, &chain);
		virtq_give(&vq, head, i);
		wrong += driver.queues[0].used[1] != (uint16_t)(i + 1);
	}
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(what_was_taken_back_comes_again)
{
	for (uint16_t i = 0; i < 3; i++) {
		desc(i, DATA + i, 1, WRITE, 0);
		offer(i);
		ck_assert_int_eq(virtq_take(&vq, &chain), 1);
	}
	virtq_untake(&vq, 2);
	ck_assert_int_eq(virtq_take(&vq, &chain), 1);
	ck_assert_uint_eq(chain.head, 1);
}
END_TEST

START_TEST(several_chains_are_shown_to_the_driver_at_once)
{
	virtq_fill(&vq, 0, 4, 10);
	virtq_fill(&vq, 1, 5, 20);
	ck_assert_uint_eq(driver.queues[0].used[1], 0);
	virtq_publish(&vq, 2);
	ck_assert_uint_eq(driver.queues[0].used[1], 2);
	ck_assert_uint_eq(((uint32_t *)(void *)driver.queues[0].used)[3], 5);
	ck_assert_uint_eq(((uint32_t *)(void *)driver.queues[0].used)[4], 20);
}
END_TEST

START_TEST(without_event_indexes_the_drivers_flag_decides_about_interrupts)
{
	virtq_give(&vq, 0, 0);
	ck_assert(virtq_wants_interrupt(&vq));
	driver.queues[0].avail[0] = VRING_AVAIL_F_NO_INTERRUPT;
	ck_assert(!virtq_wants_interrupt(&vq));
}
END_TEST

START_TEST(with_event_indexes_an_interrupt_comes_when_the_drivers_index_is_passed)
{
	uint16_t *event;

	open_queue(EVENT_IDX);
	event = &driver.queues[0].avail[2 + SIZE];
	virtq_give(&vq, 0, 0);
	ck_assert(virtq_wants_interrupt(&vq)); /* the first in any case */
	*event = 3;
	virtq_give(&vq, 0, 0);
	ck_assert(!virtq_wants_interrupt(&vq));
	virtq_give(&vq, 0, 0);
	ck_assert(!virtq_wants_interrupt(&vq));
	virtq_give(&vq, 0, 0); /* index 4: entry 3 is there */
	ck_assert(virtq_wants_interrupt(&vq));
	virtq_give(&vq, 0, 0);
	ck_assert(!virtq_wants_interrupt(&vq));
	*event = 6;
	virtq_publish(&vq, 3); /* 6 lies within */
	ck_assert(virtq_wants_interrupt(&vq));
}
END_TEST

START_TEST(the_device_asks_for_a_notification_of_the_next_chain_unless_it_is_there)
{
	uint16_t *avail_event;

	open_queue(EVENT_IDX);
	avail_event = &driver.queues[0].used[2 + 4 * SIZE];
	ck_assert(virtq_want_notify(&vq));
	ck_assert_uint_eq(*avail_event, 0);
	desc(0, DATA, 1, WRITE, 0);
	offer(0);
	ck_assert(!virtq_want_notify(&vq));
	ck_assert_int_eq(virtq_take(&vq, &chain), 1);
	ck_assert(virtq_want_notify(&vq));
	ck_assert_uint_eq(*avail_event, 1);
}
END_TEST

START_TEST(an_empty_buffer_is_left_out)
{
	desc(0, UINT64_MAX, 0, NEXT, 1);
	desc(1, DATA, 4, WRITE, 0);
	offer(0);
	ck_assert_int_eq(virtq_take(&vq, &chain), 1);
	ck_assert_uint_eq(chain.nr_readable, 0);
	ck_assert_uint_eq(chain.nr_writable, 1);
}
END_TEST

/* ---- contents ------------------------------------------------------------------------------------ */

START_TEST(contents_are_found_across_buffers_and_never_beyond_their_side)
{
	struct iovec iov[VIRTQ_SIZE_MAX];
	char text[8] = {0};

	desc(0, DATA, 3, NEXT, 1);
	desc(1, DATA + 0x1000, 5, NEXT, 2);
	desc(2, DATA + 0x2000, 2, NEXT | WRITE, 3);
	desc(3, DATA + 0x3000, 2, WRITE, 0);
	memcpy(driver_at(&driver, DATA), "abc", 3);
	memcpy(driver_at(&driver, DATA + 0x1000), "defgh", 5);
	offer(0);
	ck_assert_int_eq(virtq_take(&vq, &chain), 1);
	ck_assert_int_eq(virtq_chain_read(&driver.region, &chain, 2, text, 4), 0);
	ck_assert_str_eq(text, "cdef");
	ck_assert_int_eq(virtq_chain_read(&driver.region, &chain, 8, text, 0), 0);
	ck_assert_int_eq(virtq_chain_read(&driver.region, &chain, 5, text, 4), -EINVAL);
	ck_assert_int_eq(virtq_chain_read(&driver.region, &chain, UINT64_MAX, text, 2), -EINVAL);
	ck_assert_int_eq(virtq_chain_write(&driver.region, &chain, 1, "xy", 2), 0);
	ck_assert_mem_eq(driver_at(&driver, DATA + 0x2001), "x", 1);
	ck_assert_mem_eq(driver_at(&driver, DATA + 0x3000), "y", 1);
	ck_assert_int_eq(virtq_chain_write(&driver.region, &chain, 3, "xy", 2), -EINVAL);
	ck_assert_int_eq(virtq_chain_iov(&driver.region, &chain, VIRTQ_READABLE, 3, 5, iov), 1);
	ck_assert_ptr_eq(iov[0].iov_base, driver_at(&driver, DATA + 0x1000));
	ck_assert_int_eq(virtq_chain_iov(&driver.region, &chain, VIRTQ_WRITABLE, 1, 3, iov), 2);
	ck_assert_uint_eq(iov[0].iov_len, 1);
	ck_assert_uint_eq(iov[1].iov_len, 2);
	ck_assert_int_eq(virtq_chain_iov(&driver.region, &chain, VIRTQ_WRITABLE, 0, 5, iov), -EINVAL);
}
END_TEST

/* ---- as it should not be -------------------------------------------------------------------------- */

/* Each spoils the queue in one way. */
static void head_beyond_the_table(void)
{
	offer(SIZE);
}

static void index_too_far(void)
{
	driver.queues[0].avail[1] = SIZE + 1;
}

static void index_backwards(void)
{
	driver.queues[0].avail[1] = UINT16_MAX;
}

static void next_beyond_the_table(void)
{
	desc(0, DATA, 1, NEXT, SIZE);
	offer(0);
}

static void loop_of_one(void)
{
	desc(0, DATA, 1, NEXT, 0);
	offer(0);
}

static void loop_of_two(void)
{
	desc(0, DATA, 1, NEXT, 1);
	desc(1, DATA, 1, NEXT, 0);
	offer(0);
}

static void loop_of_nothing(void)
{
	desc(0, DATA, 0, NEXT, 0);
	offer(0);
}

static void readable_after_writable(void)
{
	desc(0, DATA, 1, NEXT | WRITE, 1);
	desc(1, DATA, 1, 0, 0);
	offer(0);
}

static void one(gpa_t gpa, uint32_t len, unsigned flags)
{
	desc(0, gpa, len, flags, 0);
	offer(0);
}

static void buffer_in_the_hole(void)
{
	one(HOLE_BASE, 1, WRITE);
}

static void buffer_into_the_hole(void)
{
	one(HOLE_BASE - 1, 2, WRITE);
}

static void buffer_past_the_end(void)
{
	one(TOP - 1, 2, 0);
}

static void buffer_that_wraps(void)
{
	one(UINT64_MAX - 1, 16, 0);
}

static void buffer_of_four_gigabytes(void)
{
	one(DATA, UINT32_MAX, WRITE);
}

static void table_of_no_entries(void)
{
	one(DATA, 0, TABLE);
}

static void table_of_half_an_entry(void)
{
	one(DATA, 24, TABLE);
}

static void table_too_large(void)
{
	one(DATA, (VIRTQ_SIZE_MAX + 1) * 16, TABLE);
}

static void table_outside_of_ram(void)
{
	one(HOLE_BASE - 16, 32, TABLE);
}

static void table_with_next(void)
{
	one(DATA, 16, TABLE | NEXT);
}

static void table_in_a_table(void)
{
	entry(DATA, 0, DATA, 16, TABLE, 0);
	one(DATA, 16, TABLE);
}

static void loop_in_a_table(void)
{
	entry(DATA, 0, DATA, 16, NEXT, 1);
	entry(DATA, 1, DATA, 16, NEXT, 0);
	one(DATA, 32, TABLE);
}

static void next_beyond_an_indirect_table(void)
{
	entry(DATA, 0, DATA, 16, NEXT, 1);
	one(DATA, 16, TABLE);
}

static void table_not_negotiated(void)
{
	open_queue(0);
	entry(DATA, 0, DATA, 16, 0, 0);
	one(DATA, 16, TABLE);
}

static void more_buffers_than_a_chain_may_have(void)
{
	for (uint16_t i = 0; i < VIRTQ_SIZE_MAX; i++)
		entry(DATA, i, DATA, 1, i + 1u < VIRTQ_SIZE_MAX ? NEXT : 0, (uint16_t)(i + 1));
	desc(0, DATA, 1, NEXT, 1);
	desc(1, DATA, VIRTQ_SIZE_MAX * 16, TABLE, 0);
	offer(0);
}

static const struct {
	void (*spoil)(void);
	const char *why;
} lies[] = {
	{head_beyond_the_table, "does not exist"},
	{index_too_far, "more available chains"},
	{index_backwards, "more available chains"},
	{next_beyond_the_table, "does not exist"},
	{loop_of_one, "bites its tail"},
	{loop_of_two, "bites its tail"},
	{loop_of_nothing, "bites its tail"},
	{readable_after_writable, "readable buffer after"},
	{buffer_in_the_hole, "outside of RAM"},
	{buffer_into_the_hole, "outside of RAM"},
	{buffer_past_the_end, "outside of RAM"},
	{buffer_that_wraps, "outside of RAM"},
	{buffer_of_four_gigabytes, "outside of RAM"},
	{table_of_no_entries, "length that is not allowed"},
	{table_of_half_an_entry, "length that is not allowed"},
	{table_too_large, "length that is not allowed"},
	{table_outside_of_ram, "table outside of RAM"},
	{table_with_next, "with a next one"},
	{table_in_a_table, "in an indirect table"},
	{loop_in_a_table, "bites its tail"},
	{next_beyond_an_indirect_table, "not in its table"},
	{table_not_negotiated, "not negotiated"},
	{more_buffers_than_a_chain_may_have, "too many buffers"},
};

START_TEST(a_lie_breaks_the_queue_until_it_is_opened_again)
{
	lies[_i].spoil();
	ck_assert_int_eq(virtq_take(&vq, &chain), -EPROTO);
	ck_assert_msg(vq.broken && strstr(vq.broken, lies[_i].why), "'%s' is not in: %s", lies[_i].why,
		vq.broken ? vq.broken : "");
	desc(0, DATA, 1, WRITE, 0);
	ck_assert_int_eq(virtq_take(&vq, &chain), -EPROTO);
	ck_assert(!virtq_want_notify(&vq));
	open_queue(INDIRECT);
	desc(0, DATA, 1, WRITE, 0);
	offer(0);
	ck_assert_int_eq(virtq_take(&vq, &chain), 1);
}
END_TEST

START_TEST(a_table_of_the_largest_size_is_taken_whole)
{
	for (uint16_t i = 0; i < VIRTQ_SIZE_MAX; i++)
		entry(DATA, i, DATA + i, 1, i + 1u < VIRTQ_SIZE_MAX ? NEXT : 0, (uint16_t)(i + 1));
	one(DATA, VIRTQ_SIZE_MAX * 16, TABLE);
	ck_assert_int_eq(virtq_take(&vq, &chain), 1);
	ck_assert_uint_eq(chain.nr_readable, VIRTQ_SIZE_MAX);
}
END_TEST

/* ---- places -------------------------------------------------------------------------------------- */

START_TEST(places_that_the_rules_forbid_are_refused)
{
	static const struct {
		struct virtq_place place;
		int err;
	} bad[] = {
		{{0, 0x10000, 0x14000, 0x18000}, -EINVAL},
		{{3, 0x10000, 0x14000, 0x18000}, -EINVAL},
		{{512, 0x10000, 0x14000, 0x18000}, -EINVAL},
		{{UINT32_MAX, 0x10000, 0x14000, 0x18000}, -EINVAL},
		{{8, 0x10008, 0x14000, 0x18000}, -EINVAL},
		{{8, 0x10000, 0x14001, 0x18000}, -EINVAL},
		{{8, 0x10000, 0x14000, 0x18002}, -EINVAL},
		{{8, HOLE_BASE, 0x14000, 0x18000}, -EFAULT},
		{{8, HOLE_BASE - 16, 0x14000, 0x18000}, -EFAULT},
		{{8, 0x10000, TOP - 2, 0x18000}, -EFAULT},
		{{8, 0x10000, 0x14000, UINT64_MAX - 3}, -EFAULT},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_int_eq(virtq_open(&vq, &driver.region, &bad[i].place, 0), bad[i].err);
		ck_assert_uint_eq(vq.size, 0);
	}
	ck_assert_int_eq(virtq_open(&vq, &driver.region,
				 &(struct virtq_place){1, HOLE_BASE - 16, 0x14000, HOLE_END}, 0),
		0);
}
END_TEST

static int populating_fails(enum io_call call, size_t *len)
{
	(void)len;
	return call == IO_POPULATE ? EFAULT : 0;
}

START_TEST(rings_without_memory_behind_them_are_an_error_and_no_signal)
{
	struct virtq_place place = driver_place(1);

	io_test_hook = populating_fails;
	ck_assert_int_eq(virtq_open(&vq, &driver.region, &place, 0), -EFAULT);
	io_test_hook = NULL;
	ck_assert_uint_eq(vq.size, 0);
}
END_TEST

Suite *suite_virtio_queue(void)
{
	Suite *suite = suite_create("virtio queue");
	TCase *tc = tcase_create("virtio queue");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_chain_comes_with_its_buffers_in_order_readable_ones_first);
	tcase_add_test(tc, an_indirect_table_may_follow_direct_descriptors_and_has_its_own_order);
	tcase_add_test(tc, indexes_wrap_and_every_chain_comes_once);
	tcase_add_test(tc, what_was_taken_back_comes_again);
	tcase_add_test(tc, several_chains_are_shown_to_the_driver_at_once);
	tcase_add_test(tc, without_event_indexes_the_drivers_flag_decides_about_interrupts);
	tcase_add_test(tc, with_event_indexes_an_interrupt_comes_when_the_drivers_index_is_passed);
	tcase_add_test(tc, the_device_asks_for_a_notification_of_the_next_chain_unless_it_is_there);
	tcase_add_test(tc, an_empty_buffer_is_left_out);
	tcase_add_test(tc, contents_are_found_across_buffers_and_never_beyond_their_side);
	tcase_add_loop_test(tc, a_lie_breaks_the_queue_until_it_is_opened_again, 0, (int)ARRAY_LEN(lies));
	tcase_add_test(tc, a_table_of_the_largest_size_is_taken_whole);
	tcase_add_test(tc, places_that_the_rules_forbid_are_refused);
	tcase_add_test(tc, rings_without_memory_behind_them_are_an_error_and_no_signal);
	suite_add_tcase(suite, tc);
	return suite;
}
