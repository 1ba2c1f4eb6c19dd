/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_budget.c - vmm/memory/budget.c: what crashed VMs and their dumps leave to the next VM */
#include "dump/base/io.h"
#include "tests/unit/suites.h"
#include "vmm/memory/budget.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LIMIT MIB(80)
#define RAM MIB(64)

static char shm_path[] = "/dev/shm/minivmm-test-XXXXXX";
static char disk_path[] = "/var/tmp/minivmm-test-XXXXXX";
static int shm, disk, proc;
static struct budget budget;
static struct publish_names names;
static struct budget_state state;

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(shm_path));
	ck_assert_ptr_nonnull(mkdtemp(disk_path));
	shm = open(shm_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	disk = open(disk_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	proc = publish_proc_open();
	ck_assert(shm >= 0 && disk >= 0 && proc >= 0);
	budget_init(&budget, LIMIT, 0, 0, shm, shm);
	publish_names_init(&names, "g-20260101T000000.000Z-g0");
}

static void remove_files(int dir)
{
	unlinkat(dir, names.region_partial, 0);
	unlinkat(dir, names.dump_partial, 0);
	unlinkat(dir, names.final, 0);
	close(dir);
}

static void teardown(void)
{
	budget_fini(&budget);
	remove_files(shm);
	remove_files(disk);
	close(proc);
	rmdir(shm_path);
	rmdir(disk_path);
}

/* A file of RAM's size with @bytes of memory behind it. */
static int file_of(int dir, uint64_t bytes)
{
	int fd;

	ck_assert_int_eq(publish_tmpfile(dir, RAM, &fd), 0);
	if (bytes)
		ck_assert_int_eq(io_fallocate(fd, 0, 0, bytes), 0);
	return fd;
}

static void punch(int fd, uint64_t off, uint64_t len)
{
	ck_assert_int_eq(io_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len), 0);
}

static void claim(int region_fd, bool dumped, bool fills)
{
	ck_assert_int_eq(budget_add(&budget, &(struct budget_claim){.region_fd = region_fd,
						     .names = dumped ? &names : NULL,
						     .fills = fills}),
		0);
}

static void count_call(void *arg)
{
	++*(unsigned *)arg;
}

static void reap(void)
{
	unsigned calls = 0;

	budget_reaped(&budget, 0, count_call, &calls);
	ck_assert_uint_ge(calls, 1);
}

static uint64_t left(void)
{
	budget_look(&budget, &state);
	return budget_left(&state, 0);
}

START_TEST(without_dead_vms_everything_is_left_and_nothing_grows)
{
	ck_assert_uint_eq(left(), LIMIT);
	ck_assert(!state.growing);
	ck_assert_uint_eq(budget_left(&state, MIB(30)), LIMIT - MIB(30));
	ck_assert_uint_eq(budget_left(&state, LIMIT + 1), 0);
	budget_set_standby(&budget, MIB(2));
	ck_assert_uint_eq(left(), LIMIT - MIB(2));
}
END_TEST

START_TEST(memory_of_a_dead_vm_counts_until_it_is_given_back)
{
	int region = file_of(shm, MIB(48));

	claim(region, true, false);
	ck_assert_uint_eq(left(), LIMIT - MIB(48));
	ck_assert(state.growing);
	ck_assert(budget_has(&budget, 0));
	punch(region, MIB(16), MIB(16));
	ck_assert_uint_eq(left(), LIMIT - MIB(32));
	close(region);
	ck_assert_uint_eq(left(), LIMIT - MIB(32)); /* the budget's own reference keeps it */
}
END_TEST

START_TEST(what_moves_to_a_dump_in_memory_counts_as_dump)
{
	int region = file_of(shm, MIB(48)), dump = file_of(shm, MIB(8));

	claim(region, true, false);
	ck_assert_int_eq(publish_link(proc, region, shm, names.region_partial), 0);
	ck_assert_int_eq(publish_link(proc, dump, shm, names.dump_partial), 0);
	punch(region, 0, MIB(8));
	ck_assert_uint_eq(left(), LIMIT - MIB(48));
	ck_assert_uint_eq(state.dumps, MIB(8));
	ck_assert_uint_eq(state.crashed, MIB(40));
	close(region);
	close(dump);
}
END_TEST

START_TEST(a_complete_dump_counts_until_it_is_removed_and_does_not_grow)
{
	int region = file_of(shm, 0), dump = file_of(shm, MIB(8));

	claim(region, true, false);
	close(region);
	ck_assert_int_eq(publish_link(proc, dump, shm, names.final), 0);
	close(dump);
	budget_dump_over(&budget, 0);
	ck_assert_uint_eq(left(), LIMIT - MIB(8));
	ck_assert(state.growing); /* not reaped yet */
	reap();
	ck_assert_uint_eq(left(), LIMIT - MIB(8));
	ck_assert(!state.growing && !state.under_way);
	ck_assert_int_eq(unlinkat(shm, names.final, 0), 0);
	ck_assert_uint_eq(left(), LIMIT);
	ck_assert(!budget_has(&budget, 0));
}
END_TEST

START_TEST(a_region_that_has_become_the_dump_counts_once)
{
	int region = file_of(shm, MIB(40));

	claim(region, true, true);
	ck_assert_int_eq(publish_link(proc, region, shm, names.final), 0);
	ck_assert_uint_eq(left(), LIMIT - MIB(40));
	close(region);
	budget_dump_over(&budget, 0);
	reap();
	ck_assert_uint_eq(left(), LIMIT - MIB(40));
	ck_assert_uint_eq(state.dumps, MIB(40));
}
END_TEST

START_TEST(a_dump_that_takes_all_that_is_given_back_does_not_grow)
{
	int region = file_of(shm, MIB(40));

	claim(region, true, true);
	left();
	ck_assert(!state.growing);
	ck_assert(state.under_way);
	close(region);
}
END_TEST

START_TEST(a_failed_dump_counts_as_long_as_its_remains_have_names)
{
	int region = file_of(shm, MIB(40));

	claim(region, true, false);
	ck_assert_int_eq(publish_link(proc, region, shm, names.region_partial), 0);
	close(region);
	budget_dump_over(&budget, 0);
	reap();
	ck_assert_uint_eq(left(), LIMIT - MIB(40));
	ck_assert_int_eq(unlinkat(shm, names.region_partial, 0), 0);
	ck_assert_uint_eq(left(), LIMIT);
}
END_TEST

START_TEST(a_vm_that_is_not_dumped_gives_everything_back_when_it_is_reaped)
{
	int region = file_of(shm, MIB(64));

	claim(region, false, false);
	ck_assert_uint_eq(left(), LIMIT - MIB(64));
	ck_assert(state.growing);
	reap();
	ck_assert_uint_eq(left(), LIMIT);
	close(region);
}
END_TEST

START_TEST(what_a_dump_takes_for_a_while_counts_until_it_is_over)
{
	struct budget_claim claim_of = {.names = &names, .in_flight = MIB(4), .expected = MIB(20)};

	claim_of.region_fd = file_of(shm, MIB(10));
	ck_assert_int_eq(budget_add(&budget, &claim_of), 0);
	ck_assert_uint_eq(left(), LIMIT - MIB(34));
	budget_dump_over(&budget, 0);
	ck_assert_uint_eq(left(), LIMIT - MIB(10));
	close(claim_of.region_fd);
}
END_TEST

START_TEST(a_dump_on_a_disk_does_not_count)
{
	int region = file_of(shm, MIB(8)), dump;
	struct statfs fs;

	ck_assert_int_eq(fstatfs(disk, &fs), 0);
	if (fs.f_type == TMPFS_MAGIC) {
		printf("SKIP budget: /var/tmp is no disk here\n");
		close(region);
		return;
	}
	budget_fini(&budget);
	budget_init(&budget, LIMIT, 0, 0, shm, disk);
	dump = file_of(disk, MIB(8));
	claim(region, true, true);
	ck_assert_int_eq(publish_link(proc, dump, disk, names.dump_partial), 0);
	ck_assert_uint_eq(left(), LIMIT - MIB(8));
	ck_assert(state.growing); /* it does not fill memory */
	close(region);
	close(dump);
}
END_TEST

START_TEST(what_is_written_off_counts_no_more_once_its_dump_is_over)
{
	int region = file_of(shm, MIB(40));

	claim(region, true, true);
	ck_assert_int_eq(publish_link(proc, region, shm, names.final), 0);
	close(region);
	budget_write_off(&budget);
	ck_assert_uint_eq(left(), LIMIT - MIB(40));
	budget_dump_over(&budget, 0);
	reap();
	ck_assert_uint_eq(left(), LIMIT);
}
END_TEST

START_TEST(beside_a_dump_some_of_the_reserve_is_kept_for_the_next_crash)
{
	int region = file_of(shm, MIB(8));

	budget_fini(&budget);
	budget_init(&budget, RAM, MIB(16), MIB(4), shm, shm);
	budget_set_standby(&budget, MIB(2));
	budget_set_standby(&budget, 0); /* it runs; the next one will take as much */
	ck_assert_uint_eq(left(), RAM + MIB(16));
	claim(region, true, false);
	ck_assert_uint_eq(left(), RAM + MIB(16) - MIB(8) - MIB(4) - MIB(2));
	budget_set_standby(&budget, MIB(30));
	budget_set_standby(&budget, 0);
	ck_assert_uint_eq(left(), RAM - MIB(8)); /* not more than there is of it */
	close(region);
}
END_TEST

Suite *suite_budget(void)
{
	Suite *suite = suite_create("budget");
	TCase *tc = tcase_create("budget");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, without_dead_vms_everything_is_left_and_nothing_grows);
	tcase_add_test(tc, memory_of_a_dead_vm_counts_until_it_is_given_back);
	tcase_add_test(tc, what_moves_to_a_dump_in_memory_counts_as_dump);
	tcase_add_test(tc, a_complete_dump_counts_until_it_is_removed_and_does_not_grow);
	tcase_add_test(tc, a_region_that_has_become_the_dump_counts_once);
	tcase_add_test(tc, a_dump_that_takes_all_that_is_given_back_does_not_grow);
	tcase_add_test(tc, a_failed_dump_counts_as_long_as_its_remains_have_names);
	tcase_add_test(tc, a_vm_that_is_not_dumped_gives_everything_back_when_it_is_reaped);
	tcase_add_test(tc, what_a_dump_takes_for_a_while_counts_until_it_is_over);
	tcase_add_test(tc, a_dump_on_a_disk_does_not_count);
	tcase_add_test(tc, what_is_written_off_counts_no_more_once_its_dump_is_over);
	tcase_add_test(tc, beside_a_dump_some_of_the_reserve_is_kept_for_the_next_crash);
	suite_add_tcase(suite, tc);
	return suite;
}
