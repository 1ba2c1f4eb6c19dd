/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_bus.c - vmm/devices/bus.c: who gets an access, and what nobody claims */
#include "dump/base/cleanup.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "vmm/devices/bus.h"

#include <errno.h>
#include <string.h>

/* A device that remembers the last access. */
struct probe {
	unsigned reads, writes;
	struct bus_access last;
	uint64_t value; /* last written; what reads give */
	enum bus_verdict verdict;
};

static void probe_read(void *device, const struct bus_access *access, uint64_t *ret_value)
{
	struct probe *p = device;

	ck_assert_uint_eq(*ret_value, UINT64_MAX);
	p->reads++;
	p->last = *access;
	*ret_value = p->value;
}

static enum bus_verdict probe_write(void *device, const struct bus_access *access, uint64_t value)
{
	struct probe *p = device;

	p->writes++;
	p->last = *access;
	p->value = value;
	return p->verdict;
}

static const struct bus_device_ops probe_ops = {.read = probe_read, .write = probe_write};

static struct bus bus;

static void setup(void)
{
	bus_init(&bus, "test");
}

static int add(const char *name, uint64_t base, uint64_t len, struct probe *probe)
{
	return bus_add(
		&bus, &(struct bus_device){
			      .name = name, .base = base, .len = len, .ops = &probe_ops, .opaque = probe});
}

START_TEST(an_access_reaches_the_device_with_its_offset_length_and_vcpu)
{
	struct probe a = {.value = 0x1122334455667788}, b = {0};
	uint32_t value = 0;

	ck_assert_int_eq(add("b", 0x200, 0x10, &b), 0);
	ck_assert_int_eq(add("a", 0x100, 0x10, &a), 0);
	bus_read(&bus, 3, 0x104, &value, 4);
	ck_assert_uint_eq(value, 0x55667788);
	ck_assert_uint_eq(a.last.cpu, 3);
	ck_assert_uint_eq(a.last.offset, 4);
	ck_assert_uint_eq(a.last.len, 4);
	ck_assert_int_eq(bus_write(&bus, 1, 0x20e, &(uint16_t){0xbeef}, 2), BUS_CONTINUE);
	ck_assert_uint_eq(b.value, 0xbeef); /* nothing above the two bytes */
	ck_assert_uint_eq(b.last.offset, 0xe);
	ck_assert_uint_eq(a.writes + b.reads, 0);
}
END_TEST

START_TEST(a_range_ends_with_its_last_byte)
{
	struct probe p = {.value = 0};
	uint8_t value;

	ck_assert_int_eq(add("p", 0x100, 8, &p), 0);
	bus_read(&bus, 0, 0xff, &value, 1);
	ck_assert_uint_eq(value, 0xff);
	bus_read(&bus, 0, 0x108, &value, 1);
	ck_assert_uint_eq(value, 0xff);
	ck_assert_uint_eq(p.reads, 0);
	bus_read(&bus, 0, 0x100, &value, 1);
	ck_assert_uint_eq(value, 0);
	bus_read(&bus, 0, 0x107, &value, 1);
	ck_assert_uint_eq(value, 0);
	ck_assert_uint_eq(p.reads, 2);
}
END_TEST

START_TEST(an_access_that_straddles_an_end_reaches_nobody)
{
	struct probe a = {0}, b = {0};
	uint64_t value = 0;

	ck_assert_int_eq(add("a", 0x100, 8, &a), 0);
	ck_assert_int_eq(add("b", 0x108, 8, &b), 0);
	bus_read(&bus, 0, 0x104, &value, 8); /* from a into b */
	ck_assert_uint_eq(value, UINT64_MAX);
	value = 0;
	bus_read(&bus, 0, 0xfc, &value, 8); /* into a */
	ck_assert_uint_eq(value, UINT64_MAX);
	ck_assert_int_eq(bus_write(&bus, 0, 0x10f, &(uint16_t){1}, 2), BUS_CONTINUE); /* out of b */
	ck_assert_uint_eq(a.reads + b.reads + a.writes + b.writes, 0);
}
END_TEST

START_TEST(an_unclaimed_read_gives_all_ones_in_its_own_bytes_alone)
{
	for (uint32_t len = 1; len <= 8; len *= 2) {
		uint8_t data[16] = {0};

		bus_read(&bus, 0, 0x5000, data, len);
		for (uint32_t i = 0; i < sizeof(data); i++)
			ck_assert_uint_eq(data[i], i < len ? 0xff : 0);
	}
}
END_TEST

START_TEST(a_device_without_a_handler_reads_as_all_ones_and_drops_writes)
{
	static const struct bus_device_ops none = {0};
	uint16_t value = 0;

	ck_assert_int_eq(
		bus_add(&bus, &(struct bus_device){.name = "x", .base = 0, .len = 4, .ops = &none}), 0);
	bus_read(&bus, 0, 0, &value, 2);
	ck_assert_uint_eq(value, 0xffff);
	ck_assert_int_eq(bus_write(&bus, 0, 0, &value, 2), BUS_CONTINUE);
}
END_TEST

START_TEST(the_verdict_of_a_write_is_the_devices)
{
	struct probe p = {.verdict = BUS_STOP};

	ck_assert_int_eq(add("p", 0x100, 4, &p), 0);
	ck_assert_int_eq(bus_write(&bus, 0, 0x100, &(uint8_t){1}, 1), BUS_STOP);
	ck_assert_int_eq(bus_write(&bus, 0, 0x104, &(uint8_t){1}, 1), BUS_CONTINUE);
}
END_TEST

START_TEST(an_overlap_is_refused_and_names_both_devices_and_their_ranges)
{
	static const struct {
		uint64_t base, len;
	} overlaps[] = {{0x100, 8}, {0x107, 1}, {0x100, 1}, {0xf9, 8}, {0x80, 0x100}, {0x103, 2}};
	struct probe p = {0};

	ck_assert_int_eq(add("old", 0x100, 8, &p), 0);
	for (size_t i = 0; i < ARRAY_LEN(overlaps); i++) {
		autofree char *log = NULL;
		char expected[128];
		int err;

		stderr_capture();
		err = add("new", overlaps[i].base, overlaps[i].len, &p);
		log = stderr_text();
		ck_assert_int_eq(err, -EEXIST);
		snprintf(expected, sizeof(expected),
			"test bus: new at 0x%llx-0x%llx overlaps old at 0x100-0x107\n",
			(unsigned long long)overlaps[i].base,
			(unsigned long long)(overlaps[i].base + overlaps[i].len - 1));
		ck_assert_msg(strstr(log, expected), "not '%s' but %s", expected, log);
	}
	ck_assert_uint_eq(bus.nr_devices, 1);
	ck_assert_int_eq(add("before", 0xf8, 8, &p), 0);
	ck_assert_int_eq(add("after", 0x108, 8, &p), 0);
}
END_TEST

START_TEST(an_empty_range_and_one_that_wraps_are_refused)
{
	struct probe p = {.value = 1};
	uint8_t value;

	ck_assert_int_eq(add("empty", 0x100, 0, &p), -EINVAL);
	ck_assert_int_eq(add("wraps", UINT64_MAX, 2, &p), -EINVAL);
	ck_assert_int_eq(add("wraps", 1, UINT64_MAX, &p), -EINVAL);
	ck_assert_int_eq(add("last", UINT64_MAX - 8, 8, &p), 0);
	bus_read(&bus, 0, UINT64_MAX - 1, &value, 1);
	ck_assert_uint_eq(value, 1);
	bus_read(&bus, 0, UINT64_MAX, &value, 1);
	ck_assert_uint_eq(value, 0xff);
}
END_TEST

START_TEST(a_full_bus_takes_no_more_and_finds_each_of_its_devices)
{
	struct probe probes[BUS_DEVICES_MAX];
	uint8_t value;

	for (uint32_t i = 0; i < BUS_DEVICES_MAX; i++) { /* in an order that is neither up nor down */
		uint32_t at = (i * 7) % BUS_DEVICES_MAX;

		probes[at] = (struct probe){.value = at};
		ck_assert_int_eq(add("device", 0x100 + at * 0x20, 0x10, &probes[at]), 0);
	}
	ck_assert_int_eq(add("one more", 0x8000, 1, &probes[0]), -ENOSPC);
	for (uint32_t i = 0; i < BUS_DEVICES_MAX; i++) {
		bus_read(&bus, 0, 0x100 + i * 0x20 + 0xf, &value, 1);
		ck_assert_uint_eq(value, i);
		ck_assert_uint_eq(probes[i].last.offset, 0xf);
		bus_read(&bus, 0, 0x100 + i * 0x20 + 0x10, &value, 1); /* the gap behind it */
		ck_assert_uint_eq(value, 0xff);
	}
}
END_TEST

Suite *suite_bus(void)
{
	Suite *suite = suite_create("bus");
	TCase *tc = tcase_create("bus");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, an_access_reaches_the_device_with_its_offset_length_and_vcpu);
	tcase_add_test(tc, a_range_ends_with_its_last_byte);
	tcase_add_test(tc, an_access_that_straddles_an_end_reaches_nobody);
	tcase_add_test(tc, an_unclaimed_read_gives_all_ones_in_its_own_bytes_alone);
	tcase_add_test(tc, a_device_without_a_handler_reads_as_all_ones_and_drops_writes);
	tcase_add_test(tc, the_verdict_of_a_write_is_the_devices);
	tcase_add_test(tc, an_overlap_is_refused_and_names_both_devices_and_their_ranges);
	tcase_add_test(tc, an_empty_range_and_one_that_wraps_are_refused);
	tcase_add_test(tc, a_full_bus_takes_no_more_and_finds_each_of_its_devices);
	suite_add_tcase(suite, tc);
	return suite;
}
