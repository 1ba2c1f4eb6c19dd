/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_loader_linux.c - vmm/boot/loader_linux.c: what lies in guest memory when a bzImage starts.
 *
 * boot_params are read as zero-page.rst of Linux defines them, by offset; page tables as the SDM does.
 */
#include "dump/base/cleanup.h"
#include "tests/unit/boot_fixture.h"
#include "tests/unit/bzimage_builder.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "vmm/memory/gmem.h"
#include "vmm/boot/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct region region;
static struct bzimage_builder b;
static struct boot_entry entry;
static char why[512];
static struct scratch scratch;
static char initrd[128];

static void setup(void)
{
	memset(&region, 0, sizeof(region));
	region.fd = -1;
	boot_region(&region, MIB(64));
	bzimage_builder_init(&b);
	entry = (struct boot_entry){.rip = 0xdead};
	initrd[0] = '\0';
	scratch_init(&scratch);
}

static void teardown(void)
{
	scratch_fini(&scratch);
	region_destroy(&region);
}

static int load(const char *cmdline)
{
	autoclose int fd = bzimage_builder_file(&b);

	return boot_load(&region, fd, initrd, cmdline, &entry, why, sizeof(why));
}

static void accepts(const char *cmdline)
{
	int err = load(cmdline);

	ck_assert_msg(!err, "%d: %s", err, why);
}

static uint64_t guest(gpa_t gpa, size_t len)
{
	return boot_number(&region, gpa, len);
}

START_TEST(the_kernel_is_where_it_likes_to_be_and_entered_512_bytes_later)
{
	uint8_t memory[BZIMAGE_BUILDER_KERNEL];

	accepts("");
	ck_assert(entry.long_mode);
	ck_assert_uint_eq(entry.rip, BZIMAGE_BUILDER_PREF + 0x200);
	ck_assert_int_eq(gmem_copy_in(&region, BZIMAGE_BUILDER_PREF, memory, sizeof(memory)), 0);
	ck_assert_mem_eq(memory, b.bytes + BZIMAGE_BUILDER_SETUP, sizeof(memory));
}
END_TEST

START_TEST(boot_params_hold_the_setup_header_and_what_a_loader_fills_in)
{
	gpa_t zp;

	accepts("a=b c");
	zp = entry.rsi;
	ck_assert_uint_eq(zp % 4096, 0);
	ck_assert_uint_eq(guest(zp + 0x202, 4), 0x53726448);
	ck_assert_uint_eq(guest(zp + 0x206, 2), 0x020f);
	ck_assert_uint_eq(guest(zp + 0x268, 4), 0x12345678); /* to the header's end */
	ck_assert_uint_eq(guest(zp + 0x210, 1), 0xff);
	ck_assert_uint_eq(guest(zp + 0x1fa, 2), 0xffff);
	ck_assert_uint_eq(guest(zp + 0x218, 8), 0); /* no initrd */
	ck_assert_uint_eq(guest(zp + 0x070, 8), ACPI_BASE);
	ck_assert_uint_eq(guest(guest(zp + 0x228, 4), 6), 0x6320623d61 /* the text */);
	ck_assert_uint_eq(guest(zp, 8), 0); /* the rest is zero: Linux checks a sentinel */
	ck_assert_uint_eq(guest(zp + 0x1ef, 1), 0);
}
END_TEST

START_TEST(the_memory_map_of_a_large_guest_leaves_out_the_hole_and_the_end_of_the_first_megabyte)
{
	static const uint64_t expected[][3] = {{0, LOW_RAM_END, 1}, {LOW_RAM_END, MIB(1) - LOW_RAM_END, 2},
		{MIB(1), HOLE_BASE - MIB(1), 1}, {HOLE_END, GIB(1), 1}};

	boot_region(&region, GIB(4));
	accepts("");
	ck_assert_uint_eq(guest(entry.rsi + 0x1e8, 1), ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		gpa_t e820 = entry.rsi + 0x2d0 + i * 20;

		ck_assert_uint_eq(guest(e820, 8), expected[i][0]);
		ck_assert_uint_eq(guest(e820 + 8, 8), expected[i][1]);
		ck_assert_uint_eq(guest(e820 + 16, 4), expected[i][2]);
	}
}
END_TEST

START_TEST(an_initrd_lies_as_high_as_the_kernel_allows)
{
	scratch_file(&scratch, "initrd", "0123456", 8, initrd, sizeof(initrd));
	accepts("");
	ck_assert_uint_eq(guest(entry.rsi + 0x218, 4), MIB(64) - PAGE_SIZE_4K);
	ck_assert_uint_eq(guest(entry.rsi + 0x21c, 4), 8);
	ck_assert_uint_eq(guest(MIB(64) - PAGE_SIZE_4K, 8), 0x36353433323130);
	boot_region(&region, GIB(4));
	accepts("");
	ck_assert_uint_eq(guest(entry.rsi + 0x218, 4), GIB(2) - PAGE_SIZE_4K);
	bzimage_builder_put(&b, 0x22c, UINT32_MAX, 4);
	accepts("");
	ck_assert_uint_eq(guest(entry.rsi + 0x218, 4), HOLE_BASE - PAGE_SIZE_4K);
}
END_TEST

START_TEST(an_initrd_never_overlaps_the_kernels_memory)
{
	scratch_file(&scratch, "initrd", "x", 1, initrd, sizeof(initrd));
	bzimage_builder_put(&b, 0x22c, BZIMAGE_BUILDER_PREF + BZIMAGE_BUILDER_INIT_SIZE + 4095, 4);
	accepts("");
	ck_assert_uint_eq(guest(entry.rsi + 0x218, 4), BZIMAGE_BUILDER_PREF + BZIMAGE_BUILDER_INIT_SIZE);
	bzimage_builder_put(&b, 0x22c, BZIMAGE_BUILDER_PREF + BZIMAGE_BUILDER_INIT_SIZE - 1, 4);
	ck_assert_int_eq(load(""), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "initrd: initrd of 1 KiB does not fit"));
}
END_TEST

START_TEST(every_address_below_4_gib_is_mapped_to_itself)
{
	static const uint64_t probes[] = {
		0, 0x1234, BZIMAGE_BUILDER_PREF, MIB(64) - 1, GIB(1), GIB(2) + 7, GIB(4) - 1};

	accepts("");
	for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
		uint64_t va = probes[i], pml4e = guest(BOOT_PML4_BASE + (va >> 39) * 8, 8);
		uint64_t pdpte = guest((pml4e & ~0xfffull) + (va >> 30 & 511) * 8, 8);
		uint64_t pde = guest((pdpte & ~0xfffull) + (va >> 21 & 511) * 8, 8);

		ck_assert_uint_eq(pml4e & pdpte & 3, 3);
		ck_assert_uint_eq(pde, (va & ~0x1fffffull) | 0x83);
	}
	ck_assert_uint_eq(guest(BOOT_PML4_BASE + 8, 8), 0);
	ck_assert_uint_eq(guest(BOOT_PDPT_BASE + 4 * 8, 8), 0);
}
END_TEST

START_TEST(the_gdt_has_the_selectors_of_the_protocol)
{
	accepts("");
	ck_assert_uint_eq(guest(BOOT_GDT_BASE + 0x10, 8), 0x00af9b000000ffff); /* 64-bit code */
	ck_assert_uint_eq(guest(BOOT_GDT_BASE + 0x18, 8), 0x00cf93000000ffff); /* data */
}
END_TEST

START_TEST(a_kernel_that_does_not_fit_is_refused_with_what_it_needs)
{
	boot_region(&region, MIB(18)); /* 16 MiB + 3 MiB would be needed */
	ck_assert_int_eq(load(""), -EINVAL);
	ck_assert_msg(
		strstr(why,
			": the kernel needs 0x300000 bytes from 0x1000000 on: the guest needs more memory"),
		"%s", why);
	ck_assert_uint_eq(entry.rip, 0xdead);
	bzimage_builder_put(&b, 0x258, 0, 8); /* one that likes to be nowhere goes to the lowest place */
	accepts("");
	ck_assert_uint_eq(entry.rip, MIB(2) + 0x200);
	bzimage_builder_put(&b, 0x234, 0, 1); /* unless it cannot be moved */
	ck_assert_int_eq(load(""), -EINVAL);
}
END_TEST

START_TEST(a_command_line_longer_than_the_kernel_takes_is_refused)
{
	char cmdline[2049];

	memset(cmdline, 'c', sizeof(cmdline));
	cmdline[2048] = '\0';
	ck_assert_int_eq(load(cmdline), -E2BIG);
	ck_assert_str_eq(why, "command line of 2048 bytes; at most 2047");
	accepts(cmdline + 1);
}
END_TEST

Suite *suite_loader_linux(void)
{
	Suite *suite = suite_create("loader_linux");
	TCase *tc = tcase_create("bzImage");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_kernel_is_where_it_likes_to_be_and_entered_512_bytes_later);
	tcase_add_test(tc, boot_params_hold_the_setup_header_and_what_a_loader_fills_in);
	tcase_add_test(
		tc, the_memory_map_of_a_large_guest_leaves_out_the_hole_and_the_end_of_the_first_megabyte);
	tcase_add_test(tc, an_initrd_lies_as_high_as_the_kernel_allows);
	tcase_add_test(tc, an_initrd_never_overlaps_the_kernels_memory);
	tcase_add_test(tc, every_address_below_4_gib_is_mapped_to_itself);
	tcase_add_test(tc, the_gdt_has_the_selectors_of_the_protocol);
	tcase_add_test(tc, a_kernel_that_does_not_fit_is_refused_with_what_it_needs);
	tcase_add_test(tc, a_command_line_longer_than_the_kernel_takes_is_refused);
	suite_add_tcase(suite, tc);
	return suite;
}
