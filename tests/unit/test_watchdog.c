/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_watchdog.c - vmm/machine/watchdog.c: who hangs and who is idle.
 *
 * The statistics file is made here, as api.rst 4.133 of Linux describes it; the vCPU thread is the test's own.
 */
#include "dump/base/io.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "vmm/machine/vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define NAME_SIZE 48
#define LIMIT (50 * NSEC_PER_MSEC)

static struct vm *vm;
static struct vcpu vcpu;
static uint64_t now;

static void put_desc(int fd, uint32_t at, const char *name, uint32_t offset)
{
	struct kvm_stats_desc desc = {.size = 1, .offset = offset};
	char text[NAME_SIZE] = "";

	snprintf(text, sizeof(text), "%s", name);
	ck_assert_int_eq(io_pwrite_full(fd, &desc, sizeof(desc), at), 0);
	ck_assert_int_eq(io_pwrite_full(fd, text, sizeof(text), at + sizeof(desc)), 0);
}

/* A file with counters "other", "exits", "irq_exits"; these two at offsets 8 and 24 of the data. */
static int stats_file(const char *second)
{
	const uint32_t size = sizeof(struct kvm_stats_desc) + NAME_SIZE, descs = 100, data = 1000;
	struct kvm_stats_header header = {
		.name_size = NAME_SIZE, .num_desc = 3, .desc_offset = descs, .data_offset = data};
	int fd = memfd_create("stats", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 2000), 0);
	ck_assert_int_eq(io_pwrite_full(fd, &header, sizeof(header), 0), 0);
	put_desc(fd, descs, "other", 0);
	put_desc(fd, descs + size, second, 8);
	put_desc(fd, descs + 2 * size, "irq_exits", 24);
	return fd;
}

static void counts(uint64_t exits, uint64_t irq_exits)
{
	ck_assert_int_eq(io_pwrite_full(vcpu.stats_fd, &exits, sizeof(exits), 1008), 0);
	ck_assert_int_eq(io_pwrite_full(vcpu.stats_fd, &irq_exits, sizeof(irq_exits), 1024), 0);
}

/* Lets this thread, which plays the vCPU, burn @ns of CPU time. */
static void burn(uint64_t ns)
{
	struct timespec time;
	uint64_t end = 0;

	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
		if (!end)
			end = (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_nsec + ns;
	} while ((uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_nsec < end);
}

static bool look(void)
{
	now += LIMIT;
	ck_assert_uint_ge(now, vm->watchdog.look_at_ns);
	return watchdog_look(&vm->watchdog, vm->vcpus, vm->nr_vcpus_created, 0, LIMIT, now);
}

static void setup(void)
{
	vm = calloc(1, sizeof(*vm));
	ck_assert_ptr_nonnull(vm);
	vcpu = (struct vcpu){.thread = pthread_self(), .stats_fd = stats_file("exits")};
	vm->vcpus = &vcpu;
	vm->nr_vcpus_created = 1;
	now = NSEC_PER_SEC;
	counts(1000, 900);
	ck_assert(!look()); /* takes its first note */
}

static void teardown(void)
{
	close(vcpu.stats_fd);
	free(vm);
}

START_TEST(a_vcpu_that_burns_its_time_without_exits_hangs)
{
	burn(LIMIT / 2);
	ck_assert(!look());
	burn(LIMIT / 2);
	ck_assert(look());
}
END_TEST

START_TEST(exits_for_the_hosts_interrupts_are_no_sign_of_life)
{
	burn(LIMIT);
	counts(1500, 1400);
	ck_assert(look());
}
END_TEST

START_TEST(exits_of_the_guests_own_are)
{
	burn(LIMIT);
	counts(1500, 1390);
	ck_assert(!look());
	burn(LIMIT / 2);
	ck_assert(!look()); /* the clock started again */
}
END_TEST

START_TEST(a_stray_exit_is_not)
{
	burn(LIMIT);
	counts(1001, 900);
	ck_assert(look());
}
END_TEST

START_TEST(an_idle_guest_may_be_idle_for_ever)
{
	for (int i = 0; i < 100; i++)
		ck_assert(!look());
}
END_TEST

START_TEST(without_the_counters_nobody_is_blamed)
{
	char *log;

	close(vcpu.stats_fd);
	vcpu.stats_fd = stats_file("entries");
	memset(&vm->watchdog, 0, sizeof(vm->watchdog));
	stderr_capture();
	ck_assert(!look());
	log = stderr_text();
	ck_assert_ptr_nonnull(strstr(log, "hears heartbeat calls only"));
	free(log);
	ck_assert_uint_eq(vm->watchdog.look_at_ns, UINT64_MAX);
}
END_TEST

START_TEST(the_slowest_tick_is_enough_and_the_hosts_lockup_detector_is_not)
{
	for (uint64_t s = 1; s <= 3600; s += 7) {
		ck_assert(!watchdog_alive(s / 10, s * NSEC_PER_SEC, 1));
		ck_assert(s < 3 || watchdog_alive(s, s * NSEC_PER_SEC, 1));
	}
	ck_assert(!watchdog_alive(8, 5 * NSEC_PER_SEC, 4));
	ck_assert(watchdog_alive(9, 5 * NSEC_PER_SEC, 4));
}
END_TEST

Suite *suite_watchdog(void)
{
	Suite *suite = suite_create("watchdog");
	TCase *tc = tcase_create("watchdog");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_vcpu_that_burns_its_time_without_exits_hangs);
	tcase_add_test(tc, exits_for_the_hosts_interrupts_are_no_sign_of_life);
	tcase_add_test(tc, exits_of_the_guests_own_are);
	tcase_add_test(tc, a_stray_exit_is_not);
	tcase_add_test(tc, an_idle_guest_may_be_idle_for_ever);
	tcase_add_test(tc, without_the_counters_nobody_is_blamed);
	tcase_add_test(tc, the_slowest_tick_is_enough_and_the_hosts_lockup_detector_is_not);
	suite_add_tcase(suite, tc);
	return suite;
}
