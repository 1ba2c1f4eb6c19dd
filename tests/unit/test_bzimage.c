/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_bzimage.c - vmm/boot/bzimage.c: a valid image, and each way to break one with its message.
 * Arbitrary bytes are the fuzz target's: tests/fuzz/fuzz_bzimage.c.
 */
#include "dump/base/cleanup.h"
#include "tests/unit/bzimage_builder.h"
#include "tests/unit/suites.h"
#include "vmm/boot/bzimage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static struct bzimage_builder b;
static char why[160];

static void setup(void)
{
	bzimage_builder_init(&b);
	why[0] = '\0';
}

static void accepts(struct bzimage *image)
{
	autoclose int fd = bzimage_builder_file(&b);
	int err = bzimage_read(fd, image, why, sizeof(why));

	ck_assert_msg(!err, "%d: %s", err, why);
}

/* An image with @value in @len bytes at @off is refused with @reason; the next test begins with a good one. */
static void refuses(uint32_t off, uint64_t value, size_t len, const char *reason)
{
	struct bzimage image, before;
	autoclose int fd = -1;

	bzimage_builder_put(&b, off, value, len);
	fd = bzimage_builder_file(&b);
	memset(&image, 0x5a, sizeof(image));
	before = image;
	ck_assert_int_eq(bzimage_read(fd, &image, why, sizeof(why)), -EINVAL);
	ck_assert_str_eq(why, reason);
	ck_assert_mem_eq(&image, &before, sizeof(image));
	setup();
}

START_TEST(a_valid_image_gives_its_extent_its_place_and_its_header)
{
	struct bzimage image;

	accepts(&image);
	ck_assert_uint_eq(image.file_off, BZIMAGE_BUILDER_SETUP);
	ck_assert_uint_eq(image.file_size, BZIMAGE_BUILDER_KERNEL);
	ck_assert_uint_eq(image.init_size, BZIMAGE_BUILDER_INIT_SIZE);
	ck_assert_uint_eq(image.pref_address, BZIMAGE_BUILDER_PREF);
	ck_assert_uint_eq(image.alignment, 0x200000);
	ck_assert(image.relocatable);
	ck_assert_uint_eq(image.initrd_max, 0x7fffffff);
	ck_assert_uint_eq(image.cmdline_max, 2047);
	ck_assert_uint_eq(image.header_len, 0x26c - 0x1f1);
	ck_assert_mem_eq(image.header, b.bytes + 0x1f1, image.header_len);
	for (size_t i = image.header_len; i < sizeof(image.header); i++)
		ck_assert_uint_eq(image.header[i], 0);
}
END_TEST

START_TEST(no_sectors_of_setup_mean_four)
{
	struct bzimage image;

	bzimage_builder_put(&b, 0x1f1, 0, 1);
	bzimage_builder_put(&b, 0x1f4, (BZIMAGE_BUILDER_KERNEL - 512) / 16, 4);
	accepts(&image);
	ck_assert_uint_eq(image.file_off, 5 * 512);
}
END_TEST

START_TEST(memory_is_at_least_what_the_file_fills)
{
	struct bzimage image;

	bzimage_builder_put(&b, 0x260, 1, 4);
	accepts(&image);
	ck_assert_uint_eq(image.init_size, BZIMAGE_BUILDER_KERNEL);
}
END_TEST

START_TEST(a_header_longer_than_its_room_is_cut)
{
	struct bzimage image;

	bzimage_builder_put(&b, 0x201, 0xff, 1);
	accepts(&image);
	ck_assert_uint_eq(image.header_len, 0x290 - 0x1f1);
}
END_TEST

START_TEST(what_is_no_bzimage_is_refused)
{
	refuses(0x202, 0, 4, "not a bzImage");
	refuses(0x1fe, 0x55aa, 2, "not a bzImage");
	b.len = 0x28f;
	refuses(0, 0, 1, "not a bzImage: only 655 bytes");
}
END_TEST

START_TEST(a_kernel_that_cannot_be_entered_in_long_mode_is_refused)
{
	refuses(0x206, 0x020b, 2, "boot protocol 2.11, need 2.12 or later");
	refuses(0x211, 0, 1, "a zImage, to be loaded below 1 MiB; need a bzImage");
	refuses(0x236, 0x7e, 2, "the kernel has no 64-bit entry point");
	refuses(0x201, 0x61, 1, "setup header of 114 bytes, too short for protocol 2.12");
}
END_TEST

START_TEST(a_file_that_is_cut_is_refused)
{
	b.len -= 16;
	refuses(0, 0, 1, "the file has 7032 bytes, its header tells of 7056");
	b.len = BZIMAGE_BUILDER_SETUP;
	refuses(0, 0, 1, "the file has 2048 bytes, its header tells of 7056");
	refuses(0x1f4, UINT32_MAX, 4, "the file has 7048 bytes, its header tells of 68719478768");
	refuses(0x1f4, 0, 4, "the file has 7048 bytes, its header tells of 2048");
	refuses(0x1f1, 0xff, 1, "the file has 7048 bytes, its header tells of 136080");
}
END_TEST

START_TEST(a_place_that_is_not_aligned_or_too_high_is_refused)
{
	refuses(0x230, 0, 4, "kernel alignment 0x0 is no power of two from 4 KiB to 1 GiB");
	refuses(0x230, 0x300000, 4, "kernel alignment 0x300000 is no power of two from 4 KiB to 1 GiB");
	refuses(0x230, 0x80000000, 4, "kernel alignment 0x80000000 is no power of two from 4 KiB to 1 GiB");
	refuses(0x258, 0x1001000, 8,
		"load address 0x1001000 (0x300000 bytes) is not aligned or not below 4 GiB");
	refuses(0x258, 0x100000000, 8,
		"load address 0x100000000 (0x300000 bytes) is not aligned or not below 4 GiB");
	refuses(0x258, UINT64_MAX & ~0x1fffffull, 8,
		"load address 0xffffffffffe00000 (0x300000 bytes) is not aligned or not below 4 GiB");
	refuses(0x260, UINT32_MAX, 4,
		"load address 0x1000000 (0xffffffff bytes) is not aligned or not below 4 GiB");
}
END_TEST

START_TEST(only_a_regular_file_is_read)
{
	autoclose int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct bzimage image;

	ck_assert_int_eq(bzimage_read(fd, &image, why, sizeof(why)), -EINVAL);
	ck_assert_str_eq(why, "not a regular file");
}
END_TEST

Suite *suite_bzimage(void)
{
	Suite *suite = suite_create("bzimage");
	TCase *tc = tcase_create("bzimage");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_valid_image_gives_its_extent_its_place_and_its_header);
	tcase_add_test(tc, no_sectors_of_setup_mean_four);
	tcase_add_test(tc, memory_is_at_least_what_the_file_fills);
	tcase_add_test(tc, a_header_longer_than_its_room_is_cut);
	tcase_add_test(tc, what_is_no_bzimage_is_refused);
	tcase_add_test(tc, a_kernel_that_cannot_be_entered_in_long_mode_is_refused);
	tcase_add_test(tc, a_file_that_is_cut_is_refused);
	tcase_add_test(tc, a_place_that_is_not_aligned_or_too_high_is_refused);
	tcase_add_test(tc, only_a_regular_file_is_read);
	suite_add_tcase(suite, tc);
	return suite;
}
