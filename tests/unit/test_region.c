/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_region.c - vmm/memory/region.c: the RAM of a VM as a file, and its mapping */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/suites.h"
#include "vmm/memory/memmap.h"
#include "vmm/memory/region.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

static int shm = -1;
static struct region region;

static void setup(void)
{
	shm = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(shm, 0);
	memset(&region, 0, sizeof(region));
	region.fd = -1;
}

static void teardown(void)
{
	region_destroy(&region);
	close(shm);
}

START_TEST(a_region_is_an_unnamed_empty_file_with_room_before_and_after_its_ram)
{
	struct stat st;

	ck_assert_int_eq(region_create(&region, shm, MIB(64)), 0);
	ck_assert_int_eq(fstat(region.fd, &st), 0);
	ck_assert_uint_eq(st.st_nlink, 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_uint_eq((uint64_t)st.st_size, dump_layout_file_size(&region.layout));
	ck_assert_int_eq(st.st_blocks, 0);
	ck_assert_int_eq(dump_layout_check(&region.layout), 0);
	ck_assert_uint_ge(region.layout.head, DUMP_HEAD_ROOM);
	ck_assert_uint_eq(region.layout.ram, MIB(64));
	ck_assert(fcntl(region.fd, F_GETFD) & FD_CLOEXEC);
}
END_TEST

START_TEST(ram_is_aligned_for_huge_pages_in_the_file_and_in_memory)
{
	static const uint64_t sizes[] = {MIB(2), MIB(16), MIB(64) + MIB(2), GIB(4)};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		ck_assert_int_eq(region_create(&region, shm, sizes[i]), 0);
		ck_assert_uint_eq(region.layout.head % PAGE_SIZE_2M, 0);
		ck_assert_uint_eq((uintptr_t)region.map % PAGE_SIZE_2M, 0);
		ck_assert_uint_eq(region_hva(&region, 5), (uintptr_t)region.map + 5);
		region_destroy(&region);
	}
}
END_TEST

START_TEST(the_mapping_shows_the_ram_of_the_file_from_its_first_to_its_last_byte)
{
	char byte = 'z';

	ck_assert_int_eq(region_create(&region, shm, MIB(16)), 0);
	ck_assert_int_eq(io_pwrite_full(region.fd, "first", 5, region.layout.head), 0);
	ck_assert_mem_eq(region.map, "first", 5);
	region.map[MIB(16) - 1] = byte;
	ck_assert_int_eq(io_pread_full(region.fd, &byte, 1, region.layout.head + MIB(16) - 1), 0);
	ck_assert_int_eq(byte, 'z');
}
END_TEST

START_TEST(ram_over_3_gib_goes_on_above_4_gib)
{
	ck_assert_int_eq(region_create(&region, shm, GIB(5)), 0);
	ck_assert_uint_eq(region.layout.nr_segments, 2);
	ck_assert_uint_eq(region.layout.segments[0].gpa, 0);
	ck_assert_uint_eq(region.layout.segments[0].size, HOLE_BASE);
	ck_assert_uint_eq(region.layout.segments[1].gpa, HOLE_END);
	ck_assert_uint_eq(region.layout.segments[1].size, GIB(2));
	ck_assert_uint_eq(region.layout.segments[1].off, HOLE_BASE);
}
END_TEST

START_TEST(ram_up_to_3_gib_is_one_run)
{
	ck_assert_int_eq(region_create(&region, shm, HOLE_BASE), 0);
	ck_assert_uint_eq(region.layout.nr_segments, 1);
	ck_assert_uint_eq(region.layout.segments[0].size, HOLE_BASE);
}
END_TEST

START_TEST(impossible_sizes_are_refused_and_leave_the_result_alone)
{
	static const uint64_t sizes[] = {
		0, 1, 4095, MIB(16) + 1, UINT64_MAX, 1ull << 63, DUMP_RAM_MAX + 4096};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		ck_assert_int_eq(region_create(&region, shm, sizes[i]), -EINVAL);
	ck_assert_int_eq(region.fd, -1);
	ck_assert_ptr_null(region.map);
}
END_TEST

START_TEST(a_directory_that_cannot_hold_the_file_is_an_error)
{
	autoclose int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_lt(region_create(&region, proc, MIB(16)), 0);
	ck_assert_int_eq(region_create(&region, -1, MIB(16)), -EBADF);
	ck_assert_int_eq(region.fd, -1);
}
END_TEST

/* Bytes of address space that this process uses; a sanitizer's shadow is most of it. */
static uint64_t address_space(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	ck_assert(statm && fscanf(statm, "%llu", &pages) == 1);
	fclose(statm);
	return pages * PAGE_SIZE_4K;
}

START_TEST(without_address_space_nothing_is_left_open)
{
	const struct rlimit limit = {address_space() + GIB(1), RLIM_INFINITY};
	int before = dup(0), after;

	close(before);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	ck_assert_int_eq(region_create(&region, shm, GIB(64)), -ENOMEM);
	after = dup(0);
	ck_assert_int_eq(after, before);
	close(after);
}
END_TEST

START_TEST(unmapping_keeps_the_file_and_destroying_twice_does_no_harm)
{
	char byte = 0;

	ck_assert_int_eq(region_create(&region, shm, MIB(16)), 0);
	region.map[100] = 'k';
	region_unmap(&region);
	ck_assert_ptr_null(region.map);
	ck_assert_int_eq(io_pread_full(region.fd, &byte, 1, region.layout.head + 100), 0);
	ck_assert_int_eq(byte, 'k');
	region_unmap(&region);
	region_destroy(&region);
	region_destroy(&region);
	ck_assert_int_eq(region.fd, -1);
}
END_TEST

START_TEST(a_region_can_be_linked_into_its_directory)
{
	char from[64], to[64];
	struct stat st;

	ck_assert_int_eq(region_create(&region, shm, MIB(2)), 0);
	snprintf(from, sizeof(from), "/proc/self/fd/%d", region.fd);
	snprintf(to, sizeof(to), "minivmm-unit-%d", (int)getpid());
	ck_assert_int_eq(linkat(AT_FDCWD, from, shm, to, AT_SYMLINK_FOLLOW), 0);
	ck_assert_int_eq(unlinkat(shm, to, 0), 0);
	ck_assert_int_eq(fstat(region.fd, &st), 0);
}
END_TEST

Suite *suite_region(void)
{
	Suite *suite = suite_create("region");
	TCase *tc = tcase_create("region");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_region_is_an_unnamed_empty_file_with_room_before_and_after_its_ram);
	tcase_add_test(tc, ram_is_aligned_for_huge_pages_in_the_file_and_in_memory);
	tcase_add_test(tc, the_mapping_shows_the_ram_of_the_file_from_its_first_to_its_last_byte);
	tcase_add_test(tc, ram_over_3_gib_goes_on_above_4_gib);
	tcase_add_test(tc, ram_up_to_3_gib_is_one_run);
	tcase_add_test(tc, impossible_sizes_are_refused_and_leave_the_result_alone);
	tcase_add_test(tc, a_directory_that_cannot_hold_the_file_is_an_error);
	tcase_add_test(tc, without_address_space_nothing_is_left_open);
	tcase_add_test(tc, unmapping_keeps_the_file_and_destroying_twice_does_no_harm);
	tcase_add_test(tc, a_region_can_be_linked_into_its_directory);
	suite_add_tcase(suite, tc);
	return suite;
}
