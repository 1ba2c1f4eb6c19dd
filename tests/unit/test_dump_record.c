/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_dump_record.c - a record crosses processes; a broken one does not get in. */
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct dump_fixture f;

static void setup(void)
{
	fixture_init(&f, MIB(8), GIB(3), 2);
}

static void teardown(void)
{
	fixture_fini(&f);
}

static void expect_refused(const char *what)
{
	struct dump_record *mapped = NULL;
	int r = dump_record_map(f.record_fd, &mapped);

	ck_assert_msg(r == -EINVAL && !mapped, "accepted (%d): %s", r, what);
}

START_TEST(a_good_record_is_seen_by_both_mappings)
{
	struct dump_record *mapped;

	ck_assert_int_eq(dump_record_map(f.record_fd, &mapped), 0);
	dump_record_mark(f.record, DUMP_MOMENT_CRASH, 5);
	ck_assert_uint_eq(mapped->moments[DUMP_MOMENT_CRASH], 5);
	dump_record_mark(mapped, DUMP_MOMENT_CRASH, 6);
	ck_assert_uint_eq(f.record->moments[DUMP_MOMENT_CRASH], 5);
	ck_assert_str_eq(mapped->name, "guest-test-g0");
	dump_record_unmap(mapped, f.nr_cpus);
	dump_record_unmap(NULL, 1);
}
END_TEST

START_TEST(only_1_to_64_vcpus_can_be_recorded)
{
	struct dump_record *record;
	int fd;

	ck_assert_int_eq(dump_record_create(0, &fd, &record), -EINVAL);
	ck_assert_int_eq(dump_record_create(65, &fd, &record), -EINVAL);
	ck_assert_int_eq(dump_record_create(64, &fd, &record), 0);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	dump_record_unmap(record, 64);
	close(fd);
}
END_TEST

START_TEST(a_record_that_breaks_any_rule_is_refused)
{
	struct dump_record *good = malloc(f.record->size);

	ck_assert_ptr_nonnull(good);
	memcpy(good, f.record, f.record->size);
#define REFUSED(change)                                                                                    \
	do {                                                                                               \
		change;                                                                                    \
		expect_refused(#change);                                                                   \
		memcpy(f.record, good, good->size);                                                        \
	} while (0)
	REFUSED(f.record->magic++);
	REFUSED(f.record->size--);
	REFUSED(f.record->size = UINT32_MAX);
	REFUSED(f.record->nr_cpus = 0);
	REFUSED(f.record->nr_cpus = 1);
	REFUSED(f.record->nr_cpus = 3);
	REFUSED(f.record->nr_cpus = UINT32_MAX);
	REFUSED(f.record->reason = DUMP_REASON_NR);
	REFUSED(f.record->crash_cpu = 2);
	REFUSED(f.record->options.strategy = UINT32_MAX);
	REFUSED(f.record->options.selectors = UINT32_MAX);
	REFUSED(f.record->options.workers = 65);
	REFUSED(f.record->options.chunk = 0);
	REFUSED(f.record->options.chunk = KIB(32));
	REFUSED(f.record->options.chunk = GIB(2));
	REFUSED(f.record->options.chunk = MIB(2) + 4096);
	REFUSED(f.record->layout.ram += 4096);
	REFUSED(f.record->layout.nr_segments = 9);
	REFUSED(memset(f.record->guest, 'a', sizeof(f.record->guest)));
	REFUSED(memset(f.record->name, 'a', sizeof(f.record->name)));
	REFUSED(memset(f.record->vmm_version, 'a', sizeof(f.record->vmm_version)));
	REFUSED(f.record->name[0] = '\0');
	REFUSED(strcpy(f.record->name, "../escape"));
	REFUSED(strcpy(f.record->name, "a/b"));
	REFUSED(strcpy(f.record->name, ".hidden"));
	REFUSED(strcpy(f.record->name, "-rf"));
	REFUSED(strcpy(f.record->name, "new\nline"));
	REFUSED(strcpy(f.record->name, "\xc3\xa9"));
	REFUSED(f.record->panic_string_len = FW_PANIC_STRING_MAX + 1);
	REFUSED(f.record->nr_regs = FW_PANIC_REGS_MAX + 1);
	REFUSED(f.record->cpus[1].raw_len = DUMP_RAW_MAX + 1);
#undef REFUSED
	free(good);
}
END_TEST

START_TEST(a_file_that_is_too_short_too_long_or_not_sealed_is_refused)
{
	const size_t size = f.record->size;
	struct dump_record *mapped;
	int fd;

	fd = memfd_create("short", MFD_ALLOW_SEALING);
	ck_assert_int_eq(write(fd, f.record, size), (ssize_t)size);
	ck_assert_int_eq(dump_record_map(fd, &mapped), -EINVAL); /* not sealed */
	ck_assert_int_eq(ftruncate(fd, (off_t)size - 1), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	ck_assert_int_eq(dump_record_map(fd, &mapped), -EINVAL);
	close(fd);
	fd = memfd_create("long", MFD_ALLOW_SEALING);
	ck_assert_int_eq(write(fd, f.record, size), (ssize_t)size);
	ck_assert_int_eq(ftruncate(fd, (off_t)size + 1), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	ck_assert_int_eq(dump_record_map(fd, &mapped), -EINVAL);
	close(fd);
	fd = memfd_create("empty", MFD_ALLOW_SEALING);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	ck_assert_int_eq(dump_record_map(fd, &mapped), -EINVAL);
	close(fd);
	ck_assert_int_lt(dump_record_map(f.dir_fd, &mapped), 0);
	ck_assert_int_lt(dump_record_map(-1, &mapped), 0);
}
END_TEST

START_TEST(nobody_can_change_the_size_of_a_record)
{
	ck_assert_int_lt(ftruncate(f.record_fd, 0), 0);
	ck_assert_int_lt(ftruncate(f.record_fd, 1 << 24), 0);
}
END_TEST

START_TEST(every_reason_and_moment_has_a_name_of_its_own)
{
	for (unsigned i = 0; i < DUMP_REASON_NR; i++)
		for (unsigned j = 0; j < i; j++)
			ck_assert_str_ne(dump_reason_name(i), dump_reason_name(j));
	for (unsigned i = 0; i < DUMP_MOMENT_NR; i++)
		for (unsigned j = 0; j < i; j++)
			ck_assert_str_ne(dump_moment_name(i), dump_moment_name(j));
	ck_assert_str_eq(dump_reason_name(DUMP_REASON_TRIPLE_FAULT), "triple-fault");
	ck_assert_str_eq(dump_moment_name(DUMP_MOMENT_FIRST_RELEASE), "first-release");
	ck_assert_str_eq(dump_reason_name((enum dump_reason)99), "unknown");
	ck_assert_str_eq(dump_moment_name((enum dump_moment)99), "unknown");
}
END_TEST

Suite *suite_dump_record(void)
{
	Suite *suite = suite_create("dump record");
	TCase *tc = tcase_create("record");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_good_record_is_seen_by_both_mappings);
	tcase_add_test(tc, only_1_to_64_vcpus_can_be_recorded);
	tcase_add_test(tc, a_record_that_breaks_any_rule_is_refused);
	tcase_add_test(tc, a_file_that_is_too_short_too_long_or_not_sealed_is_refused);
	tcase_add_test(tc, nobody_can_change_the_size_of_a_record);
	tcase_add_test(tc, every_reason_and_moment_has_a_name_of_its_own);
	suite_add_tcase(suite, tc);
	return suite;
}
