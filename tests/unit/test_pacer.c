/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_pacer.c - policies of the pacer, on a disk and by a clock that are simulated. */
#include "tests/unit/disk_sim.h"
#include "tests/unit/suites.h"

#include "dump/base/pacer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct sim sim;
static const struct sim_guest no_guest;
static const struct sim_guest sync_writer = {.depth = 1, .bytes = KIB(4)};

/* ---- rate ------------------------------------------------------------------------------------------------- */

static const struct {
	const char *policy;
	uint64_t rate;
	struct sim_guest guest;
} rates[] = {
	{"rate=2M", MIB(2), {0}},
	{"rate=10M", MIB(10), {0}},
	{"rate=100M", MIB(100), {0}},
	{"rate=300M", MIB(300), {0}},
	{"rate=2M", MIB(2), {.depth = 1, .bytes = KIB(4)}},
	{"rate=100M", MIB(100), {.depth = 1, .bytes = KIB(4), .think_ns = NSEC_PER_MSEC}},
	{"rate=50M", MIB(50), {.depth = 4, .bytes = KIB(64)}},
};

START_TEST(a_rate_is_kept_within_5_per_cent_over_5_seconds)
{
	double wanted = (double)rates[_i].rate * 5;

	sim_init(&sim, rates[_i].policy, &rates[_i].guest);
	sim_run(&sim, 5 * NSEC_PER_SEC);
	ck_assert_double_ge((double)sim.copied, wanted * 0.95);
	ck_assert_double_le((double)sim.copied, wanted * 1.05);
	ck_assert_uint_le(sim.asked, 2 * sim.pieces + 2); /* one time to wake up each */
}
END_TEST

START_TEST(a_rate_is_not_caught_up_after_a_stall)
{
	sim_init(&sim, "rate=100M", &no_guest);
	sim_run(&sim, NSEC_PER_SEC);
	sim.copier.next_ns += 10 * NSEC_PER_SEC;
	sim_run(&sim, 10 * NSEC_PER_SEC);
	sim_settle(&sim);
	sim_run(&sim, NSEC_PER_SEC);
	ck_assert_uint_le(sim.copied, MIB(105));
}
END_TEST

/* ---- weight ----------------------------------------------------------------------------------------------- */

static const struct {
	const char *policy;
	unsigned percent;
	struct sim_guest guest;
	uint64_t piece;
} weights[] = {
	{"weight=10", 10, {.depth = 1, .bytes = KIB(4)}, KIB(256)},
	{"weight=25", 25, {.depth = 1, .bytes = KIB(4)}, KIB(256)},
	{"weight=50", 50, {.depth = 1, .bytes = KIB(4)}, KIB(256)},
	{"balanced", 50, {.depth = 1, .bytes = KIB(4)}, KIB(256)},
	{"balanced", 50, {.depth = 1, .bytes = MIB(1)}, MIB(4)},
	{"weight=10", 10, {.depth = 4, .bytes = KIB(64)}, KIB(256)},
	{"weight=30", 30, {.depth = 4, .bytes = KIB(64)}, KIB(256)},
	{"weight=10", 10, {.depth = 16, .bytes = KIB(256)}, MIB(2)},
	{"weight=75", 75, {.depth = 1, .bytes = KIB(64)}, MIB(1)},
	{"weight=90", 90, {.depth = 1, .bytes = KIB(64)}, MIB(1)},
};

START_TEST(a_weight_is_kept_within_10_points_under_saturation)
{
	double percent;

	sim_init(&sim, weights[_i].policy, &weights[_i].guest);
	sim.piece = weights[_i].piece;
	sim_run(&sim, 5 * NSEC_PER_SEC);
	percent = 100.0 * (double)sim.copied / (double)(sim.copied + sim.guest_cost);
	ck_assert_double_ge(percent, weights[_i].percent - 10);
	ck_assert_double_le(percent, weights[_i].percent + 10);
}
END_TEST

/* ---- the guest's latency ---------------------------------------------------------------------------------- */

static uint64_t p99_alone(const struct sim_guest *guest)
{
	sim_init(&sim, "off", guest);
	sim.copier.next_ns = SIM_NEVER;
	sim_run(&sim, 5 * NSEC_PER_SEC);
	return sim_p99_ns(&sim);
}

START_TEST(guest_first_leaves_the_latency_as_it_is_and_off_does_not)
{
	uint64_t alone = p99_alone(&sync_writer);

	sim_init(&sim, "guest-first", &sync_writer);
	sim_run(&sim, 5 * NSEC_PER_SEC);
	ck_assert_uint_le(sim_p99_ns(&sim), alone * 12 / 10);
	ck_assert_uint_ge(sim.copied, 5 * PACER_TRICKLE * 9 / 10);
	sim_init(&sim, "off", &sync_writer);
	sim_run(&sim, 5 * NSEC_PER_SEC);
	ck_assert_uint_gt(sim_p99_ns(&sim), alone * 2);
}
END_TEST

START_TEST(nothing_goes_in_the_first_milliseconds_after_a_request)
{
	static const struct sim_guest guest = {.depth = 1, .bytes = KIB(4), .think_ns = 3 * NSEC_PER_MSEC};
	uint64_t now_ns = SIM_START_NS + NSEC_PER_SEC;

	sim_init(&sim, "guest-first", &guest);
	sim_run(&sim, 5 * NSEC_PER_SEC);
	ck_assert_uint_le(sim.copied, 5 * PACER_TRICKLE * 11 / 10);
	/* also not the one piece that might have been saved up */
	sim_init(&sim, "guest-first", &no_guest);
	ck_assert_uint_eq(pacer_ask(&sim.pacer, now_ns), 0);
	pacer_took(&sim.pacer, now_ns, sim.piece);
	disk_load_begin(&sim.load, now_ns);
	disk_load_end(&sim.load, now_ns, now_ns + 1000, 4096);
	now_ns += 1000;
	ck_assert_uint_eq(pacer_ask(&sim.pacer, now_ns), now_ns + PACER_QUIET_NS);
	ck_assert_uint_eq(pacer_ask(&sim.pacer, now_ns + PACER_QUIET_NS), 0);
}
END_TEST

static const struct {
	const char *policy;
	uint64_t ns;
	struct sim_guest guest;
	uint64_t at_least; /* bytes in 5 s */
} latencies[] = {
	/* a piece takes 0.57 ms: 99 of 100 requests must meet none */
	{"latency=300us", 300000, {.depth = 1, .bytes = KIB(4)}, MIB(50)},
	/* each may meet one */
	{"latency=5ms", 5000000, {.depth = 1, .bytes = KIB(4)}, MIB(1000)},
	/* below what the disk can do: nothing but the trickle is left */
	{"latency=50us", 50000, {.depth = 1, .bytes = KIB(64)}, 5 * PACER_TRICKLE * 9 / 10},
};

START_TEST(a_latency_is_kept_and_the_disk_is_used_all_the_same)
{
	uint64_t alone = p99_alone(&latencies[_i].guest);

	sim_init(&sim, latencies[_i].policy, &latencies[_i].guest);
	sim_run(&sim, 5 * NSEC_PER_SEC); /* finds the rate */
	sim_settle(&sim);
	sim_run(&sim, 5 * NSEC_PER_SEC);
	ck_assert_uint_ge(sim.copied, latencies[_i].at_least);
	/* what is judged is what came before: now and then it is tried whether more goes */
	ck_assert_uint_le(sim_p99_ns(&sim), u64_max(latencies[_i].ns, alone) * 12 / 10);
}
END_TEST

/* ---- never still, and never idle ----------------------------------------------------------------------------- */

static const char *const beside[] = {"weight=1", "latency=10us", "guest-first", "balanced"};

START_TEST(no_guest_brings_the_copy_to_a_stand)
{
	static const struct sim_guest guests[] = {
		{.depth = 1, .bytes = KIB(4)},
		{.depth = 4, .bytes = KIB(4), .think_ns = 100000},
		{.depth = 1, .bytes = 512, .think_ns = 4 * NSEC_PER_MSEC},
		{.depth = 8, .bytes = MIB(1)},
	};

	for (size_t i = 0; i < ARRAY_LEN(guests); i++) {
		sim_init(&sim, beside[_i], &guests[i]);
		sim_run(&sim, 5 * NSEC_PER_SEC);
		ck_assert_uint_ge(sim.copied, 5 * PACER_TRICKLE * 9 / 10);
		ck_assert_uint_le(sim.longest_gap, NSEC_PER_SEC / 4);
	}
}
END_TEST

/* A VMM that was killed in the middle of it, or a disk that hangs. */
START_TEST(a_request_that_never_ends_is_not_believed_for_ever)
{
	sim_init(&sim, beside[_i], &no_guest);
	disk_load_begin(&sim.load, SIM_START_NS);
	sim_run(&sim, 4 * NSEC_PER_SEC);
	sim_settle(&sim);
	sim_run(&sim, 5 * NSEC_PER_SEC);
	ck_assert_uint_le(sim.copied, 5 * PACER_TRICKLE * 11 / 10);
	ck_assert_uint_ge(sim.copied, 5 * PACER_TRICKLE * 9 / 10);
	sim_run(&sim, 2 * NSEC_PER_SEC);
	sim_settle(&sim);
	sim_run(&sim, NSEC_PER_SEC);
	ck_assert_uint_ge(sim.copied, MIB(400));
}
END_TEST

static uint64_t copied_by(const char *policy, const struct sim_guest *guest)
{
	sim_init(&sim, policy, guest);
	sim_run(&sim, 5 * NSEC_PER_SEC);
	return sim.copied;
}

START_TEST(a_guest_without_requests_slows_nothing_down)
{
	static const struct sim_guest bursts = {
		.depth = 4, .bytes = KIB(4), .on_ns = 100 * NSEC_PER_MSEC, .period_ns = NSEC_PER_SEC};

	ck_assert_uint_eq(copied_by(beside[_i], &no_guest), copied_by("off", &no_guest));
	ck_assert_uint_ge(copied_by(beside[_i], &bursts), copied_by("off", &no_guest) * 85 / 100);
	/* without a page that tells of it there is no guest */
	sim_init(&sim, beside[_i], &sync_writer);
	sim.pacer.load = NULL;
	ck_assert_uint_eq(pacer_ask(&sim.pacer, SIM_START_NS), 0);
}
END_TEST

START_TEST(off_and_memory_first_never_wait)
{
	const char *policy = _i ? "memory-first" : "off";

	sim_init(&sim, policy, &sync_writer);
	sim_run(&sim, 5 * NSEC_PER_SEC);
	ck_assert_uint_eq(sim.asked, sim.pieces + 1);
}
END_TEST

START_TEST(the_trickle_grows_with_the_urgency)
{
	uint64_t before = 0;

	/* at 100 the disk is shared with the guest's requests as under "off" */
	for (unsigned urgency = 0; urgency <= 100; urgency += 25) {
		sim_init(&sim, beside[_i], &sync_writer);
		pacer_set_urgency(&sim.pacer, urgency);
		sim_run(&sim, 5 * NSEC_PER_SEC);
		ck_assert_uint_ge(sim.copied, before);
		if (urgency == 100)
			ck_assert_uint_gt(sim.copied, copied_by("off", &sync_writer) * 99 / 100);
		before = sim.copied;
	}
	sim_init(&sim, "rate=10M", &no_guest);
	pacer_set_urgency(&sim.pacer, 100);
	sim_run(&sim, 5 * NSEC_PER_SEC);
	ck_assert_uint_le(sim.copied, MIB(52));
}
END_TEST

START_TEST(settings_change_while_it_runs)
{
	struct pacer_settings settings;

	sim_init(&sim, "rate=2M", &no_guest);
	sim_run(&sim, 2 * NSEC_PER_SEC);
	ck_assert_int_eq(pacer_parse("rate=100M", &settings), 0);
	pacer_change(&sim.pacer, &settings, sim.now_ns);
	sim_settle(&sim);
	sim_run(&sim, 5 * NSEC_PER_SEC);
	ck_assert_uint_ge(sim.copied, MIB(475));
	ck_assert_uint_le(sim.copied, MIB(525));
}
END_TEST

/* A page that a hostile or broken writer has filled. */
START_TEST(a_page_of_nonsense_makes_it_neither_wait_for_ever_nor_spin)
{
	sim_init(&sim, beside[_i], &no_guest);
	memset(&sim.load, 0xff, sizeof(sim.load));
	sim_run(&sim, 5 * NSEC_PER_SEC);
	ck_assert_uint_ge(sim.copied, 5 * PACER_TRICKLE * 9 / 10);
	sim_init(&sim, beside[_i], &no_guest);
	for (unsigned i = 0; i < 1000; i++) {
		memset(&sim.load, rand() & 0xff, sizeof(sim.load));
		sim_run(&sim, NSEC_PER_MSEC);
	}
	ck_assert_uint_ge(sim.copied, PACER_TRICKLE * 8 / 10);
	ck_assert_uint_le(sim.asked, sim.pieces * 2 + 1000 * 2);
}
END_TEST

/* ---- text --------------------------------------------------------------------------------------------------- */

static const struct {
	const char *text;
	int error;
	struct pacer_settings settings;
} texts[] = {
	{"off", 0, {PACER_OFF, 0}},
	{"guest-first", 0, {PACER_GUEST_FIRST, 0}},
	{"balanced", 0, {PACER_BALANCED, 0}},
	{"memory-first", 0, {PACER_MEMORY_FIRST, 0}},
	{"rate=100M", 0, {PACER_RATE, MIB(100)}},
	{"rate=1G", 0, {PACER_RATE, GIB(1)}},
	{"weight=10", 0, {PACER_WEIGHT, 10}},
	{"latency=5ms", 0, {PACER_LATENCY, 5000000}},
	{"latency=100us", 0, {PACER_LATENCY, 100000}},
	{"", -EINVAL, {0}},
	{"of", -EINVAL, {0}},
	{"offs", -EINVAL, {0}},
	{"off=1", -EINVAL, {0}},
	{"rate", -EINVAL, {0}},
	{"rate=", -EINVAL, {0}},
	{"rate=-1", -EINVAL, {0}},
	{"rate=1X", -EINVAL, {0}},
	{"rate=1K", -ERANGE, {0}},
	{"rate=99999999999999999999M", -ERANGE, {0}},
	{"rate=18446744073709551615T", -ERANGE, {0}},
	{"weight=0", -ERANGE, {0}},
	{"weight=100", -ERANGE, {0}},
	{"weight=10%", -EINVAL, {0}},
	{"latency=5", -EINVAL, {0}},
	{"latency=1ns", -ERANGE, {0}},
};

START_TEST(a_policy_is_read_as_it_is_written)
{
	struct pacer_settings settings = {PACER_POLICIES, 7};
	char text[64];

	ck_assert_int_eq(pacer_parse(texts[_i].text, &settings), texts[_i].error);
	if (texts[_i].error) {
		ck_assert_int_eq(settings.policy, PACER_POLICIES); /* untouched */
		return;
	}
	ck_assert_int_eq(settings.policy, texts[_i].settings.policy);
	ck_assert_uint_eq(settings.value, texts[_i].settings.value);
	pacer_format(&settings, text, sizeof(text));
	ck_assert_str_eq(text, texts[_i].text);
}
END_TEST

START_TEST(each_latency_is_below_the_end_of_its_bucket_and_not_below_the_one_before)
{
	for (uint64_t ns = 1; ns < 500 * NSEC_PER_SEC; ns += 1 + ns / 7) {
		unsigned bucket = disk_load_bucket(ns);

		ck_assert_uint_lt(bucket, DISK_LOAD_BUCKETS);
		ck_assert_uint_lt(ns, disk_load_bucket_end_ns(bucket));
		if (bucket)
			ck_assert_uint_ge(ns, disk_load_bucket_end_ns(bucket - 1));
	}
}
END_TEST

START_TEST(only_a_page_that_stays_as_long_as_it_is_is_read)
{
	int fd = memfd_create("test-pacer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const struct disk_load *seen = NULL;

	ck_assert_int_eq(ftruncate(fd, sizeof(struct disk_load)), 0);
	ck_assert_int_eq(disk_load_map(fd, &seen), -EINVAL); /* it may be cut while it is read */
	ck_assert_int_eq(ftruncate(fd, sizeof(struct disk_load) - 1), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	ck_assert_int_eq(disk_load_map(fd, &seen), -EINVAL); /* too short */
	ck_assert_int_eq(disk_load_map(STDIN_FILENO, &seen), -EINVAL);
	ck_assert_ptr_null(seen);
	close(fd);
}
END_TEST

Suite *suite_pacer(void)
{
	Suite *suite = suite_create("pacer");
	TCase *tc = tcase_create("simulated");

	tcase_add_loop_test(tc, a_rate_is_kept_within_5_per_cent_over_5_seconds, 0, ARRAY_LEN(rates));
	tcase_add_test(tc, a_rate_is_not_caught_up_after_a_stall);
	tcase_add_loop_test(tc, a_weight_is_kept_within_10_points_under_saturation, 0, ARRAY_LEN(weights));
	tcase_add_test(tc, guest_first_leaves_the_latency_as_it_is_and_off_does_not);
	tcase_add_test(tc, nothing_goes_in_the_first_milliseconds_after_a_request);
	tcase_add_loop_test(
		tc, a_latency_is_kept_and_the_disk_is_used_all_the_same, 0, ARRAY_LEN(latencies));
	tcase_add_loop_test(tc, no_guest_brings_the_copy_to_a_stand, 0, ARRAY_LEN(beside));
	tcase_add_loop_test(tc, a_request_that_never_ends_is_not_believed_for_ever, 0, ARRAY_LEN(beside));
	tcase_add_loop_test(tc, a_guest_without_requests_slows_nothing_down, 0, ARRAY_LEN(beside));
	tcase_add_loop_test(tc, off_and_memory_first_never_wait, 0, 2);
	tcase_add_loop_test(tc, the_trickle_grows_with_the_urgency, 0, ARRAY_LEN(beside));
	tcase_add_test(tc, settings_change_while_it_runs);
	tcase_add_loop_test(
		tc, a_page_of_nonsense_makes_it_neither_wait_for_ever_nor_spin, 0, ARRAY_LEN(beside));
	tcase_add_loop_test(tc, a_policy_is_read_as_it_is_written, 0, ARRAY_LEN(texts));
	tcase_add_test(tc, each_latency_is_below_the_end_of_its_bucket_and_not_below_the_one_before);
	tcase_add_test(tc, only_a_page_that_stays_as_long_as_it_is_is_read);
	suite_add_tcase(suite, tc);
	return suite;
}
