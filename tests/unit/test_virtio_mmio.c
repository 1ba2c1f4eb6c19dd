/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_virtio_mmio.c - vmm/devices/virtio_mmio.c and virtio_dev.c: registers, start, reset and end, requests in flight */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "tests/unit/virtio_driver.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <poll.h>
#include <semaphore.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WRITE VRING_DESC_F_WRITE
#define LIVE (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define OWN_FEATURE 5

/* A device whose requests take as long as the test wants. */
struct slow {
	struct virtio_dev dev;
	sem_t begun, may_end;
	_Atomic unsigned idle, stopping;
};

static struct driver driver;
static struct slow slow;

static struct slow *to_slow(struct virtio_dev *dev)
{
	return (struct slow *)((char *)dev - offsetof(struct slow, dev));
}

static void slow_thread(struct virtio_dev *dev, uint32_t index)
{
	struct virtq_chain chain;

	while (virtio_dev_take(dev, index / 2, &chain)) {
		sem_post(&to_slow(dev)->begun);
		sem_wait(&to_slow(dev)->may_end);
		virtio_dev_give(dev, index / 2, &chain, 42);
	}
}

static void slow_config(const struct virtio_dev *dev, uint64_t off, void *buf, uint32_t len)
{
	static const char text[] = "configuration";

	(void)dev;
	if (off < sizeof(text))
		memcpy(buf, text + off, u64_min(len, sizeof(text) - off));
}

static void slow_stopping(struct virtio_dev *dev)
{
	atomic_fetch_add(&to_slow(dev)->stopping, 1);
}

static void slow_idle(struct virtio_dev *dev)
{
	ck_assert_uint_eq(dev->in_flight, 0);
	atomic_fetch_add(&to_slow(dev)->idle, 1);
}

static const struct virtio_dev_ops slow_ops = {.name = "slow",
	.device_id = 42,
	.nr_queues = 2,
	.nr_threads = 4, /* two a queue */
	.thread = slow_thread,
	.read_config = slow_config,
	.stopping = slow_stopping,
	.idle = slow_idle};

static void setup(void)
{
	memset(&slow, 0, sizeof(slow));
	sem_init(&slow.begun, 0, 0);
	sem_init(&slow.may_end, 0, 0);
	driver_init(&driver);
	ck_assert_int_eq(
		virtio_dev_init(&slow.dev, &slow_ops, &driver.region, "test", 1ull << OWN_FEATURE), 0);
	driver_plug(&driver, &slow.dev);
}

static void teardown(void)
{
	for (int i = 0; i < 100; i++)
		sem_post(&slow.may_end);
	driver_fini(&driver);
}

static void offer_one(uint32_t queue, uint16_t at)
{
	driver_desc(&driver, queue, at, DRIVER_DATA, 64, WRITE, 0);
	driver_offer(&driver, queue, at);
}

/* ---- registers ------------------------------------------------------------------------------------ */

START_TEST(a_driver_finds_a_modern_device_with_its_features_queues_and_configuration)
{
	uint64_t features;
	uint16_t word;

	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_VERSION), 2);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_DEVICE_ID), 42);
	features = driver_read(&driver, VIRTIO_MMIO_DEVICE_FEATURES);
	driver_write(&driver, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	features |= (uint64_t)driver_read(&driver, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	ck_assert_uint_eq(features, 1ull << OWN_FEATURE | 1ull << VIRTIO_F_VERSION_1 |
					    1ull << VIRTIO_RING_F_INDIRECT_DESC |
					    1ull << VIRTIO_RING_F_EVENT_IDX);
	driver_write(&driver, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	driver_write(&driver, VIRTIO_MMIO_QUEUE_SEL, 1);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_QUEUE_NUM_MAX), VIRTQ_SIZE_MAX);
	driver_write(&driver, VIRTIO_MMIO_QUEUE_SEL, 2);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	driver_write(&driver, VIRTIO_MMIO_QUEUE_READY, 1); /* there is no such queue */
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_QUEUE_READY), 0);
	bus_read(&driver.bus, 0, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + 3, &word, 2);
	ck_assert_mem_eq(&word, "fi", 2);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_CONFIG + 0xefc), 0);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
}
END_TEST

START_TEST(accesses_of_other_widths_and_unknown_registers_do_nothing)
{
	uint16_t half = 1;

	bus_write(&driver.bus, 0, DRIVER_MMIO + VIRTIO_MMIO_STATUS, &half, 2);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_STATUS), 0);
	bus_read(&driver.bus, 0, DRIVER_MMIO + VIRTIO_MMIO_MAGIC_VALUE, &half, 2);
	ck_assert_uint_eq(half, 0);
	for (uint32_t reg = 0; reg < VIRTIO_MMIO_SIZE; reg += 4) {
		if (reg != VIRTIO_MMIO_STATUS)
			driver_write(&driver, reg, 0xffffffff);
		(void)driver_read(&driver, reg);
	}
	driver_start(&driver, 0);
}
END_TEST

static uint32_t offer_features(uint64_t features)
{
	driver_write(&driver, VIRTIO_MMIO_STATUS, 0);
	driver_write(&driver, VIRTIO_MMIO_STATUS, 3);
	for (uint32_t half = 0; half < 2; half++) {
		driver_write(&driver, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		driver_write(&driver, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * half));
	}
	driver_write(&driver, VIRTIO_MMIO_STATUS, LIVE);
	return driver_read(&driver, VIRTIO_MMIO_STATUS);
}

START_TEST(features_that_are_not_offered_and_old_drivers_are_refused)
{
	ck_assert_uint_eq(offer_features(1ull << VIRTIO_F_VERSION_1), LIVE);
	ck_assert_uint_eq(offer_features(1ull << VIRTIO_F_VERSION_1 | 1ull << 6), 3);
	ck_assert_uint_eq(offer_features(1ull << VIRTIO_F_VERSION_1 | 1ull << 63), 3);
	ck_assert_uint_eq(offer_features(0), 3);
	driver_write(&driver, VIRTIO_MMIO_STATUS, 3 | VIRTIO_CONFIG_S_DRIVER_OK);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_STATUS), 3);
	ck_assert(!virtio_dev_runs(&slow.dev));
}
END_TEST

/* ---- requests ------------------------------------------------------------------------------------- */

START_TEST(a_request_is_answered_with_an_interrupt_that_can_be_acknowledged)
{
	uint16_t head;

	driver_start(&driver, 0);
	offer_one(1, 7);
	sem_post(&slow.may_end);
	ck_assert_uint_eq(driver_await(&driver, 1, &head), 42);
	ck_assert_uint_eq(head, 7);
	while (!driver_read(&driver, VIRTIO_MMIO_INTERRUPT_STATUS))
		usleep(100);
	driver_write(&driver, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	ck_assert_uint_eq(slow.dev.requests, 1);
}
END_TEST

START_TEST(as_many_requests_are_carried_out_at_once_as_there_are_threads_and_none_is_lost)
{
	driver_start(&driver, 1ull << VIRTIO_RING_F_EVENT_IDX);
	for (uint16_t i = 0; i < 100; i++)
		offer_one(0, i);
	sem_wait(&slow.begun);
	sem_wait(&slow.begun); /* the second, while the first is not done */
	for (int i = 0; i < 100; i++)
		sem_post(&slow.may_end);
	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(driver_await(&driver, 0, NULL), 42);
	ck_assert(!driver_sees_used(&driver, 0, 0));
}
END_TEST

START_TEST(what_was_available_before_the_driver_was_ready_is_seen)
{
	driver_start(&driver, 0);
	driver_write(&driver, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_eq(
		offer_features(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX), LIVE);
	for (uint32_t i = 0; i < 2; i++) {
		struct virtq_place place = driver_place(i);

		driver_set_up_queue(&driver, i, &place);
	}
	driver_desc(&driver, 0, 0, DRIVER_DATA, 64, WRITE, 0);
	driver.queues[0].avail[2] = 0;
	driver.queues[0].avail[1] = 1; /* and no notification */
	driver_write(&driver, VIRTIO_MMIO_STATUS, LIVE | VIRTIO_CONFIG_S_DRIVER_OK);
	sem_post(&slow.may_end);
	ck_assert_uint_eq(driver_await(&driver, 0, NULL), 42);
}
END_TEST

/* ---- the end of it -------------------------------------------------------------------------------- */

static void *let_one_end(void *after_ms)
{
	usleep((useconds_t)(uintptr_t)after_ms * 1000);
	sem_post(&slow.may_end);
	return NULL;
}

START_TEST(a_reset_returns_when_what_is_in_flight_has_ended_and_nothing_is_told_any_more)
{
	pthread_t thread;

	driver_start(&driver, 0);
	offer_one(0, 0);
	sem_wait(&slow.begun);
	pthread_create(&thread, NULL, let_one_end, (void *)(uintptr_t)50);
	driver_write(&driver, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_eq(slow.dev.in_flight, 0);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(slow.idle, 1);
	ck_assert_uint_ge(slow.stopping, 1);
	ck_assert(!driver_sees_used(&driver, 0, 20));
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_STATUS), 0);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	driver_write(&driver, VIRTIO_MMIO_QUEUE_SEL, 0);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_QUEUE_READY), 0);
}
END_TEST

static void *reset(void *unused)
{
	driver_write(&driver, VIRTIO_MMIO_STATUS, 0);
	return unused;
}

START_TEST(a_vcpu_that_waits_for_a_reset_is_let_go_when_its_vm_dies_and_the_end_of_requests_is_rung)
{
	struct pollfd quiet = {.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .events = POLLIN};
	pthread_t vcpu;

	slow.dev.quiet_fd = quiet.fd;
	driver_start(&driver, 0);
	offer_one(0, 0);
	sem_wait(&slow.begun);
	pthread_create(&vcpu, NULL, reset, NULL);
	usleep(20000); /* it waits by now, or will not have to */
	virtio_dev_kill(&slow.dev);
	pthread_join(vcpu, NULL); /* the request is in flight still: it will not end before */
	ck_assert(!virtio_dev_is_quiet(&slow.dev));
	ck_assert_int_eq(poll(&quiet, 1, 20), 0);
	sem_post(&slow.may_end);
	ck_assert_int_eq(poll(&quiet, 1, 20000), 1);
	ck_assert(virtio_dev_is_quiet(&slow.dev));
	ck_assert_uint_eq(slow.idle, 1);
	close(quiet.fd);
}
END_TEST

START_TEST(a_device_can_be_reset_and_started_any_number_of_times_also_with_requests_waiting)
{
	for (int round = 0; round < 50; round++) {
		driver_start(&driver, round % 2 ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0);
		for (uint16_t i = 0; i < 8; i++)
			offer_one(round % 2, i);
		for (int i = 0; i < round % 5; i++) {
			sem_post(&slow.may_end);
			ck_assert_uint_eq(driver_await(&driver, round % 2, NULL), 42);
		}
		for (int i = 0; i < 8; i++) /* as many as can be in flight until the reset comes */
			sem_post(&slow.may_end);
		driver_write(&driver, VIRTIO_MMIO_STATUS, 0);
		while (!sem_trywait(&slow.may_end))
			;
	}
}
END_TEST

START_TEST(a_dead_device_finishes_what_is_in_flight_and_does_nothing_ever_after)
{
	driver_start(&driver, 0);
	offer_one(0, 0);
	offer_one(0, 1);
	offer_one(0, 2);
	sem_wait(&slow.begun);
	sem_wait(&slow.begun);
	virtio_dev_kill(&slow.dev);
	ck_assert_int_eq(
		virtio_dev_wait_quiet(&slow.dev, clock_mono_ns() + 20 * NSEC_PER_MSEC), -ETIMEDOUT);
	ck_assert_uint_eq(slow.idle, 0); /* it has not let go of its backend */
	sem_post(&slow.may_end);
	sem_post(&slow.may_end);
	ck_assert_int_eq(virtio_dev_wait_quiet(&slow.dev, clock_mono_ns() + 5 * NSEC_PER_SEC), 0);
	ck_assert_uint_eq(slow.idle, 1);
	offer_one(0, 3);
	ck_assert(!driver_sees_used(&driver, 0, 20));
	ck_assert_int_eq(sem_trywait(&slow.begun), -1); /* the third request never began */
	driver_write(&driver, VIRTIO_MMIO_STATUS, 0);
	driver_start(&driver, 0); /* as far as the driver can tell */
	ck_assert(!virtio_dev_runs(&slow.dev));
	offer_one(0, 0);
	ck_assert(!driver_sees_used(&driver, 0, 20));
}
END_TEST

START_TEST(a_standby_has_no_threads_until_its_driver_is_ready)
{
	ck_assert_uint_eq(slow.dev.nr_threads, 0);
	driver_start(&driver, 0);
	ck_assert_uint_eq(slow.dev.nr_threads, 4);
}
END_TEST

START_TEST(a_queue_that_is_taken_away_ends_and_the_others_go_on)
{
	driver_start(&driver, 0);
	driver_write(&driver, VIRTIO_MMIO_QUEUE_SEL, 0);
	driver_write(&driver, VIRTIO_MMIO_QUEUE_READY, 0);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_QUEUE_READY), 0);
	offer_one(0, 0);
	ck_assert(!driver_sees_used(&driver, 0, 20));
	offer_one(1, 0);
	sem_post(&slow.may_end);
	ck_assert_uint_eq(driver_await(&driver, 1, NULL), 42);
}
END_TEST

/* ---- drivers that break the rules ----------------------------------------------------------------- */

START_TEST(a_lie_makes_the_device_ask_for_a_reset_which_cures_it)
{
	autofree char *log = NULL;

	driver_start(&driver, 0);
	stderr_capture();
	driver_desc(&driver, 0, 0, UINT64_MAX, 64, WRITE, 0);
	for (int i = 0; i < 10; i++)
		driver_offer(&driver, 0, 0);
	driver_await_needs_reset(&driver);
	for (int i = 0; i < 5000 && !driver_read(&driver, VIRTIO_MMIO_INTERRUPT_STATUS); i++)
		usleep(1000); /* right after the status */
	ck_assert(driver_read(&driver, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
	offer_one(1, 0); /* the other queue is not concerned */
	sem_post(&slow.may_end);
	ck_assert_uint_eq(driver_await(&driver, 1, NULL), 42);
	log = stderr_text();
	ck_assert_ptr_nonnull(strstr(log, "slow test: queue 0: the driver made a buffer outside of RAM"));
	ck_assert_ptr_eq(strchr(log, '\n'), strrchr(log, '\n')); /* one line */
	driver_start(&driver, 0);
	offer_one(0, 0);
	sem_post(&slow.may_end);
	ck_assert_uint_eq(driver_await(&driver, 0, NULL), 42);
}
END_TEST

START_TEST(a_driver_that_resets_and_breaks_its_device_in_turn_fills_no_log)
{
	autofree char *log = NULL;
	unsigned lines = 0;

	stderr_capture();
	for (int i = 0; i < 50; i++) {
		driver_start(&driver, 0);
		driver_desc(&driver, 0, 0, UINT64_MAX, 64, WRITE, 0);
		driver_offer(&driver, 0, 0);
		driver_await_needs_reset(&driver);
		driver_write(&driver, VIRTIO_MMIO_STATUS, 0);
	}
	log = stderr_text();
	for (const char *c = log; (c = strchr(c, '\n')); c++)
		lines++;
	ck_assert_uint_ge(lines, 1);
	ck_assert_uint_le(lines, 8);
	ck_assert_ptr_nonnull(strstr(log, "no more of this is told"));
}
END_TEST

START_TEST(queues_in_places_that_make_no_sense_keep_the_device_from_starting)
{
	static const struct virtq_place bad[] = {{256, 0x10008, 0x14000, 0x18000},
		{7, 0x10000, 0x14000, 0x18000}, {UINT32_MAX, 0x10000, 0x14000, 0x18000},
		{256, UINT64_MAX & ~15ull, 0x14000, 0x18000}, {256, 0x10000, HOLE_BASE - 2, 0x18000}};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_uint_eq(offer_features(1ull << VIRTIO_F_VERSION_1), LIVE);
		driver_set_up_queue(&driver, 0, &bad[i]);
		driver_write(&driver, VIRTIO_MMIO_STATUS, LIVE | VIRTIO_CONFIG_S_DRIVER_OK);
		driver_await_needs_reset(&driver);
		ck_assert(!virtio_dev_runs(&slow.dev));
	}
	driver_start(&driver, 0);
}
END_TEST

START_TEST(a_notification_of_a_queue_that_does_not_exist_is_dropped)
{
	driver_start(&driver, 0);
	driver_notify(&driver, 2);
	driver_notify(&driver, UINT32_MAX);
	offer_one(0, 0);
	sem_post(&slow.may_end);
	ck_assert_uint_eq(driver_await(&driver, 0, NULL), 42);
}
END_TEST

Suite *suite_virtio_mmio(void)
{
	Suite *suite = suite_create("virtio mmio");
	TCase *tc = tcase_create("virtio mmio");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, a_driver_finds_a_modern_device_with_its_features_queues_and_configuration);
	tcase_add_test(tc, accesses_of_other_widths_and_unknown_registers_do_nothing);
	tcase_add_test(tc, features_that_are_not_offered_and_old_drivers_are_refused);
	tcase_add_test(tc, a_request_is_answered_with_an_interrupt_that_can_be_acknowledged);
	tcase_add_test(tc, as_many_requests_are_carried_out_at_once_as_there_are_threads_and_none_is_lost);
	tcase_add_test(tc, what_was_available_before_the_driver_was_ready_is_seen);
	tcase_add_test(tc, a_reset_returns_when_what_is_in_flight_has_ended_and_nothing_is_told_any_more);
	tcase_add_test(tc,
		a_vcpu_that_waits_for_a_reset_is_let_go_when_its_vm_dies_and_the_end_of_requests_is_rung);
	tcase_add_test(
		tc, a_device_can_be_reset_and_started_any_number_of_times_also_with_requests_waiting);
	tcase_add_test(tc, a_dead_device_finishes_what_is_in_flight_and_does_nothing_ever_after);
	tcase_add_test(tc, a_standby_has_no_threads_until_its_driver_is_ready);
	tcase_add_test(tc, a_queue_that_is_taken_away_ends_and_the_others_go_on);
	tcase_add_test(tc, a_lie_makes_the_device_ask_for_a_reset_which_cures_it);
	tcase_add_test(tc, a_driver_that_resets_and_breaks_its_device_in_turn_fills_no_log);
	tcase_add_test(tc, queues_in_places_that_make_no_sense_keep_the_device_from_starting);
	tcase_add_test(tc, a_notification_of_a_queue_that_does_not_exist_is_dropped);
	suite_add_tcase(suite, tc);
	return suite;
}
