/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_gmem.c - vmm/memory/gmem.c: copies by guest-physical address, all or nothing */
#include "tests/unit/suites.h"
#include "vmm/memory/gmem.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define RAM GIB(4) /* 3 GiB below the hole, 1 GiB above; nothing of it is touched but a few pages */
#define TOP (HOLE_END + RAM - HOLE_BASE)

static struct region region;

static void setup(void)
{
	int shm = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(shm, 0);
	ck_assert_int_eq(region_create(&region, shm, RAM), 0);
	close(shm);
}

static void teardown(void)
{
	region_destroy(&region);
}

static void check_round_trip(gpa_t gpa, size_t len)
{
	char out[64], in[64];

	memset(in, 0, sizeof(in));
	for (size_t i = 0; i < len; i++)
		out[i] = (char)(gpa + i * 7 + 1);
	ck_assert_int_eq(gmem_copy_out(&region, gpa, out, len), 0);
	ck_assert_int_eq(gmem_copy_in(&region, gpa, in, len), 0);
	ck_assert_mem_eq(in, out, len);
}

START_TEST(what_is_copied_out_is_read_back_everywhere_in_ram)
{
	check_round_trip(0, 64);
	check_round_trip(PAGE_SIZE_4K - 5, 64);
	check_round_trip(HOLE_BASE - 64, 64); /* up to the last byte below the hole */
	check_round_trip(HOLE_END, 64);
	check_round_trip(TOP - 64, 64);
	check_round_trip(TOP - 1, 1);
}
END_TEST

START_TEST(memory_that_the_vm_does_not_have_yet_is_no_memory)
{
	char bytes[4] = "abc";
	struct stat st;

	region_set_usable(&region, MIB(2));
	ck_assert_int_eq(gmem_copy_out(&region, MIB(2), bytes, 1), -EFAULT);
	ck_assert_int_eq(gmem_copy_out(&region, MIB(2) - 3, bytes, 4), -EFAULT);
	ck_assert_int_eq(gmem_copy_in(&region, HOLE_END, bytes, 1), -EFAULT);
	ck_assert_int_eq(fstat(region.fd, &st), 0);
	ck_assert_int_eq(st.st_blocks, 0);
	check_round_trip(MIB(2) - 64, 64);
	region_set_usable(&region, HOLE_BASE);
	check_round_trip(HOLE_BASE - 64, 64);
	ck_assert_int_eq(gmem_copy_out(&region, HOLE_END, bytes, 1), -EFAULT);
	region_set_usable(&region, HOLE_BASE + MIB(2));
	check_round_trip(HOLE_END + MIB(2) - 64, 64);
	ck_assert_int_eq(gmem_copy_out(&region, HOLE_END + MIB(2), bytes, 1), -EFAULT);
}
END_TEST

START_TEST(the_vcpu_sees_it_at_its_place)
{
	ck_assert_int_eq(gmem_copy_out(&region, HOLE_BASE - 2, "ab", 2), 0);
	ck_assert_int_eq(gmem_copy_out(&region, HOLE_END, "cd", 2), 0);
	ck_assert_mem_eq(region.map + HOLE_BASE - 2, "abcd", 4); /* the hole takes no room */
}
END_TEST

START_TEST(memory_that_was_never_touched_reads_as_zeros)
{
	char in[64];
	struct stat st;

	memset(in, 'x', sizeof(in));
	ck_assert_int_eq(gmem_copy_in(&region, GIB(1), in, sizeof(in)), 0);
	for (size_t i = 0; i < sizeof(in); i++)
		ck_assert_int_eq(in[i], 0);
	ck_assert_int_eq(fstat(region.fd, &st), 0);
	ck_assert_int_eq(st.st_blocks, 0); /* and is not allocated by that */
}
END_TEST

/* Both directions must refuse, and neither may have copied a byte. */
static void check_refused(gpa_t gpa, size_t len)
{
	static char out[64], in[64];
	char edge[128];

	memset(out, 'o', sizeof(out));
	memset(in, 'i', sizeof(in));
	ck_assert_int_eq(gmem_copy_out(&region, gpa, out, len), -EFAULT);
	ck_assert_int_eq(gmem_copy_in(&region, gpa, in, len), -EFAULT);
	for (size_t i = 0; i < sizeof(in); i++)
		ck_assert_int_eq(in[i], 'i');
	ck_assert_int_eq(gmem_copy_in(&region, HOLE_BASE - sizeof(edge), edge, sizeof(edge)), 0);
	ck_assert_ptr_null(memchr(edge, 'o', sizeof(edge)));
	ck_assert_int_eq(gmem_copy_in(&region, HOLE_END, edge, sizeof(edge)), 0);
	ck_assert_ptr_null(memchr(edge, 'o', sizeof(edge)));
	ck_assert_int_eq(gmem_copy_in(&region, TOP - sizeof(edge), edge, sizeof(edge)), 0);
	ck_assert_ptr_null(memchr(edge, 'o', sizeof(edge)));
}

START_TEST(the_hole_is_no_ram)
{
	check_refused(HOLE_BASE, 1);
	check_refused(HOLE_END - 1, 1);
	check_refused(LAPIC_BASE, 64);
}
END_TEST

START_TEST(a_copy_over_an_edge_of_ram_is_refused_whole)
{
	check_refused(HOLE_BASE - 1, 2);
	check_refused(HOLE_BASE - 32, 64);
	check_refused(HOLE_END - 32, 64);
	check_refused(TOP - 63, 64);
}
END_TEST

START_TEST(addresses_past_the_end_and_those_that_wrap_are_refused)
{
	check_refused(TOP, 1);
	check_refused(UINT64_MAX, 1);
	check_refused(UINT64_MAX, 2);
	check_refused(UINT64_MAX - 31, 64);
	check_refused(1ull << 63, 64);
	check_refused(0, SIZE_MAX);
	check_refused(HOLE_END, SIZE_MAX - HOLE_END + 1); /* the sum is 0 */
}
END_TEST

START_TEST(no_bytes_can_be_copied_in_ram_alone)
{
	ck_assert_int_eq(gmem_copy_in(&region, 0, NULL, 0), 0);
	ck_assert_int_eq(gmem_copy_out(&region, TOP - 1, NULL, 0), 0);
	ck_assert_int_eq(gmem_copy_out(&region, HOLE_BASE, NULL, 0), -EFAULT);
	ck_assert_int_eq(gmem_copy_in(&region, UINT64_MAX, NULL, 0), -EFAULT);
}
END_TEST

START_TEST(pieces_for_system_calls_and_pinned_memory_lie_inside_ram_alone)
{
	struct iovec iov = {0};
	void *pinned = NULL;
	struct stat st;

	ck_assert_int_eq(gmem_iov(&region, HOLE_BASE - 8, 8, &iov), 0);
	ck_assert_ptr_eq(iov.iov_base, region.map + HOLE_BASE - 8);
	ck_assert_int_eq(gmem_iov(&region, HOLE_BASE - 8, 9, &iov), -EFAULT);
	ck_assert_int_eq(gmem_iov(&region, UINT64_MAX, 2, &iov), -EFAULT);
	ck_assert_uint_eq(iov.iov_len, 8);
	ck_assert_int_eq(gmem_pin(&region, TOP - 4, 8, &pinned), -EFAULT);
	ck_assert_int_eq(gmem_pin(&region, HOLE_BASE, 8, &pinned), -EFAULT);
	ck_assert_ptr_null(pinned);
	ck_assert_int_eq(gmem_pin(&region, MIB(1) + PAGE_SIZE_4K - 4, 8, &pinned), 0); /* on two pages */
	ck_assert_ptr_eq(pinned, region.map + MIB(1) + PAGE_SIZE_4K - 4);
	ck_assert_int_eq(fstat(region.fd, &st), 0);
	ck_assert_int_ge(st.st_blocks, 2 * 4096 / 512);
	region_set_usable(&region, MIB(1));
	ck_assert_int_eq(gmem_iov(&region, MIB(1), 8, &iov), -EFAULT);
	ck_assert_int_eq(gmem_pin(&region, MIB(1) - 4, 8, &pinned), -EFAULT);
}
END_TEST

START_TEST(a_copy_beyond_the_file_size_limit_is_an_error)
{
	const struct rlimit limit = {region.layout.head + MIB(1), RLIM_INFINITY};

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(gmem_copy_out(&region, MIB(1) - 4, "fits", 4), 0);
	ck_assert_int_eq(gmem_copy_out(&region, MIB(1), "x", 1), -EFBIG);
}
END_TEST

/* A tmpfs of one MiB, which needs a mount namespace: as root, or as root of a user namespace. */
static int small_tmpfs(void)
{
	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return -1;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("small", "/dev/shm", "tmpfs", 0, "size=1M"))
		return -1;
	return open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

START_TEST(a_full_tmpfs_is_an_error_and_no_signal)
{
	static const char block[KIB(64)];
	int dir = small_tmpfs(), err = 0;
	void *pinned;
	gpa_t at = 0;

	if (dir < 0)
		return; /* this host allows no namespaces; the file size limit above is the same path */
	region_destroy(&region);
	ck_assert_int_eq(region_create(&region, dir, RAM), 0);
	close(dir);
	for (; !err && at < MIB(4); at += sizeof(block))
		err = gmem_copy_out(&region, at, block, sizeof(block));
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_int_eq(gmem_copy_out(&region, HOLE_END, "x", 1), -ENOSPC);
	ck_assert_int_eq(gmem_pin(&region, HOLE_END, 1, &pinned), -EFAULT);
	ck_assert_int_eq(gmem_copy_out(&region, 0, "x", 1), 0); /* what is there can still be written */
}
END_TEST

Suite *suite_gmem(void)
{
	Suite *suite = suite_create("gmem");
	TCase *tc = tcase_create("gmem");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_is_copied_out_is_read_back_everywhere_in_ram);
	tcase_add_test(tc, memory_that_the_vm_does_not_have_yet_is_no_memory);
	tcase_add_test(tc, the_vcpu_sees_it_at_its_place);
	tcase_add_test(tc, memory_that_was_never_touched_reads_as_zeros);
	tcase_add_test(tc, the_hole_is_no_ram);
	tcase_add_test(tc, a_copy_over_an_edge_of_ram_is_refused_whole);
	tcase_add_test(tc, addresses_past_the_end_and_those_that_wrap_are_refused);
	tcase_add_test(tc, no_bytes_can_be_copied_in_ram_alone);
	tcase_add_test(tc, pieces_for_system_calls_and_pinned_memory_lie_inside_ram_alone);
	tcase_add_test(tc, a_copy_beyond_the_file_size_limit_is_an_error);
	tcase_add_test(tc, a_full_tmpfs_is_an_error_and_no_signal);
	suite_add_tcase(suite, tc);
	return suite;
}
