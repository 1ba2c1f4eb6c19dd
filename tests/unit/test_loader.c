/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_loader.c - vmm/boot/loader.c: what lies in guest memory when a VM starts.
 *
 * Boot data is read as the PVH boot protocol defines it (Xen public headers, hvm/start_info.h), by
 * offset, with nothing of the loader's own structures.
 */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/boot_fixture.h"
#include "tests/unit/elf_builder.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "vmm/memory/gmem.h"
#include "vmm/boot/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct region region;
static struct elf_builder b;
static struct boot_entry entry;
static char why[256];
static const char *initrd;

static void setup(void)
{
	memset(&region, 0, sizeof(region));
	region.fd = -1;
	boot_region(&region, MIB(16));
	elf_builder_init(&b);
	entry = (struct boot_entry){.rip = 0xdead, .rbx = 0xbeef};
	why[0] = '\0';
	initrd = "";
}

static void teardown(void)
{
	region_destroy(&region);
}

static int load_path(const char *path, const char *cmdline)
{
	const struct boot_source source = {.kernel = path, .initrd = initrd, .cmdline = cmdline};

	return loader_load(&region, &source, &entry, why, sizeof(why));
}

static int load(const char *cmdline)
{
	autoclose int fd = elf_builder_file(&b);

	return boot_load(&region, fd, initrd, cmdline, &entry, why, sizeof(why));
}

static void accepts(const char *cmdline)
{
	int err = load(cmdline);

	ck_assert_msg(!err, "%d: %s", err, why);
}

/* Refused with a reason that names the file; where to start is not touched.  Next comes a good image. */
static void refuses(const char *reason)
{
	ck_assert_int_eq(load("x"), -EINVAL);
	ck_assert_msg(strstr(why, "/proc/self/fd/") == why && strstr(why, reason), "%s", why);
	ck_assert(entry.rip == 0xdead && entry.rbx == 0xbeef);
	elf_builder_init(&b);
}

/* ---- segments ----------------------------------------------------------------------------------- */

START_TEST(every_byte_of_an_image_is_where_it_belongs_and_the_rest_of_its_memory_is_zero)
{
	static unsigned char memory[ELF_BUILDER_DATA_MEMORY];

	accepts("");
	ck_assert_uint_eq(entry.rip, ELF_BUILDER_ENTRY);
	ck_assert_int_eq(gmem_copy_in(&region, ELF_BUILDER_CODE_GPA, memory, sizeof(b.code)), 0);
	ck_assert_mem_eq(memory, b.code, sizeof(b.code));
	ck_assert_int_eq(gmem_copy_in(&region, ELF_BUILDER_DATA_GPA, memory, sizeof(memory)), 0);
	ck_assert_mem_eq(memory, b.data, sizeof(b.data));
	for (size_t i = sizeof(b.data); i < sizeof(memory); i++)
		ck_assert_uint_eq(memory[i], 0);
}
END_TEST

START_TEST(a_segment_larger_than_one_copy_is_loaded_whole)
{
	enum { BYTES = 5 << 19 }; /* 2.5 MiB */
	autofree unsigned char *out = malloc(BYTES), *in = malloc(BYTES);
	autoclose int fd = elf_builder_file(&b);
	char path[64];

	for (size_t i = 0; i < BYTES; i++)
		out[i] = (unsigned char)(i * 2654435761u >> 13);
	b.ph[ELF_BUILDER_CODE].p_offset = 12345;
	b.ph[ELF_BUILDER_CODE].p_filesz = b.ph[ELF_BUILDER_CODE].p_memsz = BYTES;
	b.ph[ELF_BUILDER_CODE].p_paddr = MIB(4) + 1;
	ck_assert_int_eq(io_pwrite_full(fd, b.ph, sizeof(b.ph), sizeof(b.eh)), 0);
	ck_assert_int_eq(io_pwrite_full(fd, out, BYTES, 12345), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_assert_int_eq(load_path(path, ""), 0);
	ck_assert_int_eq(gmem_copy_in(&region, MIB(4) + 1, in, BYTES), 0);
	ck_assert_mem_eq(in, out, BYTES);
}
END_TEST

START_TEST(memory_that_the_image_does_not_fill_takes_no_room_on_the_host)
{
	struct stat st;

	b.ph[ELF_BUILDER_DATA].p_memsz = MIB(10);
	accepts("");
	ck_assert_int_eq(fstat(region.fd, &st), 0);
	ck_assert_int_lt(
		st.st_blocks * 512, (off_t)MIB(8)); /* even in huge pages: the first 6 MiB at most */
}
END_TEST

START_TEST(a_segment_over_boot_data_is_refused)
{
	static const struct {
		uint64_t gpa, size;
	} bad[] = {{0x6000, 1}, {0x5fff, 2}, {0x7fff, 1}, {0, MIB(1)}, {0x6800, 0x10}};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		b.ph[ELF_BUILDER_CODE].p_paddr = bad[i].gpa;
		b.ph[ELF_BUILDER_CODE].p_memsz = bad[i].size;
		b.ph[ELF_BUILDER_CODE].p_filesz = 1;
		refuses("lies where boot data goes");
	}
	b.ph[ELF_BUILDER_CODE].p_paddr = 0x8000; /* right behind it */
	b.ph[ELF_BUILDER_DATA].p_paddr = 0x6000 - ELF_BUILDER_DATA_MEMORY;
	accepts("");
}
END_TEST

START_TEST(a_segment_over_the_firmwares_tables_is_refused)
{
	b.ph[ELF_BUILDER_CODE].p_paddr = 0xe0000;
	refuses("lies where firmware tables go");
	b.ph[ELF_BUILDER_CODE].p_paddr = 0xfffff;
	refuses("lies where firmware tables go");
}
END_TEST

START_TEST(a_file_that_is_neither_kind_of_kernel_is_refused)
{
	b.eh.e_ident[0] = 'X';
	refuses(": neither a bzImage nor an ELF file");
}
END_TEST

START_TEST(a_segment_outside_ram_is_refused_with_its_range)
{
	b.ph[ELF_BUILDER_DATA].p_memsz = MIB(64);
	refuses("segment 0x200ff0-0x4200ff0 does not fit in the guest's RAM");
	b.ph[ELF_BUILDER_CODE].p_paddr = MIB(16);
	refuses("segment 0x1000000-0x1000100 does not fit in the guest's RAM");
	b.ph[ELF_BUILDER_CODE].p_paddr = MIB(16) - ELF_BUILDER_CODE_BYTES + 1;
	refuses("does not fit in the guest's RAM");
	b.ph[ELF_BUILDER_CODE].p_paddr = UINT64_MAX - ELF_BUILDER_CODE_BYTES;
	refuses("does not fit in the guest's RAM");
	b.ph[ELF_BUILDER_CODE].p_paddr = MIB(16) - ELF_BUILDER_CODE_BYTES; /* to the last byte */
	accepts("");
}
END_TEST

START_TEST(a_segment_in_the_hole_or_over_its_edge_is_refused)
{
	boot_region(&region, GIB(4));
	b.ph[ELF_BUILDER_CODE].p_paddr = HOLE_BASE;
	refuses("segment 0xc0000000-0xc0000100 does not fit in the guest's RAM");
	b.ph[ELF_BUILDER_CODE].p_paddr = HOLE_BASE - 1;
	refuses("does not fit in the guest's RAM");
	b.ph[ELF_BUILDER_CODE].p_paddr = HOLE_END - 1;
	refuses("does not fit in the guest's RAM");
	b.ph[ELF_BUILDER_CODE].p_paddr = 0x1000;
	b.ph[ELF_BUILDER_CODE].p_memsz = HOLE_END + 0x1000;
	refuses("does not fit in the guest's RAM");
	b.ph[ELF_BUILDER_CODE].p_paddr = HOLE_END;
	accepts("");
}
END_TEST

START_TEST(a_malformed_image_is_refused_with_the_parsers_reason)
{
	b.eh.e_machine = EM_AARCH64;
	refuses(": ELF machine 183, need 62 (x86-64)");
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_gives_its_errno)
{
	ck_assert_int_eq(load_path("/nowhere/kernel", ""), -ENOENT);
	ck_assert_str_eq(why, "/nowhere/kernel: No such file or directory");
	ck_assert_int_eq(load_path("/dev/null", ""), -EINVAL);
	ck_assert_str_eq(why, "/dev/null: not a regular file");
}
END_TEST

START_TEST(a_region_that_takes_no_more_gives_an_error_and_no_signal)
{
	const struct rlimit limit = {region.layout.head + ELF_BUILDER_DATA_GPA, RLIM_INFINITY};
	autoclose int fd = elf_builder_file(&b);
	char path[64];

	signal(SIGXFSZ, SIG_IGN);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(load_path(path, ""), -EFBIG);
	ck_assert_ptr_nonnull(strstr(why, ": File too large"));
	ck_assert_uint_eq(entry.rip, 0xdead);
}
END_TEST

/* ---- boot data ---------------------------------------------------------------------------------- */

START_TEST(start_info_is_what_the_protocol_says)
{
	gpa_t info;

	accepts("console=ttyS0 quiet");
	info = entry.rbx;
	ck_assert_uint_eq(info % 4, 0);
	ck_assert_uint_eq(
		boot_number(&region, info, 4), 0x336ec578); /* "xEn3" with bit 7 of the first byte set */
	ck_assert_uint_eq(boot_number(&region, info + 4, 4), 1);  /* version */
	ck_assert_uint_eq(boot_number(&region, info + 8, 4), 0);  /* flags */
	ck_assert_uint_eq(boot_number(&region, info + 12, 4), 0); /* modules */
	ck_assert_uint_eq(boot_number(&region, info + 16, 8), 0);
	ck_assert_uint_eq(boot_number(&region, info + 24, 8), BOOT_CMDLINE_BASE);
	ck_assert_uint_eq(boot_number(&region, info + 32, 8), ACPI_BASE); /* RSDP */
	ck_assert_uint_eq(boot_number(&region, info + 52, 4), 0);         /* reserved */
}
END_TEST

/* Ends the test unless the memory map is the one of @expected: address, size, type of each range. */
static void check_memmap(const uint64_t (*expected)[3], uint32_t nr)
{
	gpa_t map = boot_number(&region, entry.rbx + 40, 8);

	ck_assert_uint_eq(boot_number(&region, entry.rbx + 48, 4), nr);
	for (uint32_t i = 0; i < nr; i++, map += 24) {
		ck_assert_uint_eq(boot_number(&region, map, 8), expected[i][0]);
		ck_assert_uint_eq(boot_number(&region, map + 8, 8), expected[i][1]);
		ck_assert_uint_eq(boot_number(&region, map + 16, 4), expected[i][2]);
		ck_assert_uint_eq(boot_number(&region, map + 20, 4), 0);
	}
}

START_TEST(the_memory_map_of_a_small_guest_has_ram_below_and_above_the_first_megabytes_end)
{
	static const uint64_t expected[][3] = {
		{0, LOW_RAM_END, 1}, {LOW_RAM_END, MIB(1) - LOW_RAM_END, 2}, {MIB(1), MIB(15), 1}};

	accepts("");
	check_memmap(expected, ARRAY_LEN(expected));
}
END_TEST

START_TEST(the_memory_map_of_a_large_guest_leaves_out_the_hole)
{
	static const uint64_t expected[][3] = {{0, LOW_RAM_END, 1}, {LOW_RAM_END, MIB(1) - LOW_RAM_END, 2},
		{MIB(1), HOLE_BASE - MIB(1), 1}, {HOLE_END, GIB(7), 1}};

	boot_region(&region, GIB(10));
	accepts("");
	check_memmap(expected, ARRAY_LEN(expected));
}
END_TEST

START_TEST(memory_that_a_vm_gets_later_is_not_in_its_memory_map_and_takes_no_image)
{
	static const uint64_t small[][3] = {
		{0, LOW_RAM_END, 1}, {LOW_RAM_END, MIB(1) - LOW_RAM_END, 2}, {MIB(1), MIB(63), 1}};
	static const uint64_t above[][3] = {{0, LOW_RAM_END, 1}, {LOW_RAM_END, MIB(1) - LOW_RAM_END, 2},
		{MIB(1), HOLE_BASE - MIB(1), 1}, {HOLE_END, MIB(2), 1}};
	static const uint64_t below[][3] = {{0, LOW_RAM_END, 1}, {LOW_RAM_END, MIB(1) - LOW_RAM_END, 2},
		{MIB(1), HOLE_BASE - MIB(1), 1}};

	boot_region(&region, GIB(10));
	region_set_usable(&region, MIB(64));
	accepts("");
	check_memmap(small, ARRAY_LEN(small));
	entry = (struct boot_entry){.rip = 0xdead, .rbx = 0xbeef};
	b.ph[ELF_BUILDER_CODE].p_paddr = MIB(64) - 1;
	refuses("does not fit");
	region_set_usable(&region, HOLE_BASE + MIB(2));
	accepts("");
	check_memmap(above, ARRAY_LEN(above));
	region_set_usable(&region, HOLE_BASE);
	accepts("");
	check_memmap(below, ARRAY_LEN(below));
}
END_TEST

START_TEST(the_command_line_is_in_guest_memory_with_its_end)
{
	char text[8];

	accepts("a=b c");
	ck_assert_int_eq(
		gmem_copy_in(&region, boot_number(&region, entry.rbx + 24, 8), text, sizeof(text)), 0);
	ck_assert_str_eq(text, "a=b c");
}
END_TEST

START_TEST(an_initrd_is_a_module_at_the_top_of_low_memory)
{
	char path[128], text[8];
	struct scratch scratch;
	gpa_t module;

	scratch_init(&scratch);
	initrd = scratch_file(&scratch, "initrd", "initrd!", 8, path, sizeof(path));
	accepts("");
	ck_assert_uint_eq(boot_number(&region, entry.rbx + 12, 4), 1);
	module = boot_number(&region, entry.rbx + 16, 8);
	ck_assert_uint_eq(boot_number(&region, module, 8), MIB(16) - PAGE_SIZE_4K);
	ck_assert_uint_eq(boot_number(&region, module + 8, 8), 8);
	ck_assert_uint_eq(boot_number(&region, module + 16, 8), 0);
	ck_assert_int_eq(gmem_copy_in(&region, boot_number(&region, module, 8), text, sizeof(text)), 0);
	ck_assert_str_eq(text, "initrd!");
	boot_region(&region, GIB(4)); /* Linux takes a 32-bit address, and maps the lowest 2 GiB early */
	accepts("");
	ck_assert_uint_eq(
		boot_number(&region, boot_number(&region, entry.rbx + 16, 8), 8), GIB(2) - PAGE_SIZE_4K);
	scratch_fini(&scratch);
}
END_TEST

START_TEST(an_initrd_that_is_missing_empty_or_too_large_is_refused)
{
	char path[128], expected[256];
	struct scratch scratch;

	scratch_init(&scratch);
	initrd = "/nowhere/initrd";
	ck_assert_int_eq(load(""), -ENOENT);
	ck_assert_str_eq(why, "/nowhere/initrd: No such file or directory");
	initrd = scratch.dir;
	ck_assert_int_eq(load(""), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, ": not a regular file"));
	initrd = scratch_file(&scratch, "initrd", "", 0, path, sizeof(path));
	ck_assert_int_eq(load(""), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, ": the file is empty"));
	ck_assert_int_eq(truncate(path, MIB(14)), 0); /* the image ends at 0x203ff0 */
	ck_assert_int_eq(load(""), -EINVAL);
	snprintf(expected, sizeof(expected),
		"%s: initrd of 14336 KiB does not fit between the kernel's end (0x204000) and 0x1000000: "
		"the "
		"guest needs more memory",
		path);
	ck_assert_str_eq(why, expected);
	ck_assert_uint_eq(entry.rip, 0xdead);
	ck_assert_int_eq(truncate(path, MIB(16) - 0x204000), 0); /* to the last byte */
	accepts("");
	scratch_fini(&scratch);
}
END_TEST

START_TEST(an_empty_command_line_is_none)
{
	accepts("");
	ck_assert_uint_eq(boot_number(&region, entry.rbx + 24, 8), 0);
}
END_TEST

START_TEST(a_command_line_of_4095_bytes_fits_and_one_more_does_not)
{
	char cmdline[BOOT_CMDLINE_MAX + 1], text[BOOT_CMDLINE_MAX];

	memset(cmdline, 'c', sizeof(cmdline));
	cmdline[BOOT_CMDLINE_MAX] = '\0';
	ck_assert_int_eq(load(cmdline), -E2BIG);
	ck_assert_str_eq(why, "command line of 4096 bytes; at most 4095");
	ck_assert_uint_eq(entry.rip, 0xdead);
	cmdline[BOOT_CMDLINE_MAX - 1] = '\0';
	accepts(cmdline);
	ck_assert_int_eq(gmem_copy_in(&region, BOOT_CMDLINE_BASE, text, sizeof(text)), 0);
	ck_assert_str_eq(text, cmdline);
	ck_assert_uint_eq(boot_number(&region, entry.rbx, 4), 0x336ec578); /* the two do not overlap */
}
END_TEST

Suite *suite_loader(void)
{
	Suite *suite = suite_create("loader");
	TCase *segments = tcase_create("segments"), *boot = tcase_create("boot data");

	tcase_add_checked_fixture(segments, setup, teardown);
	tcase_add_test(
		segments, every_byte_of_an_image_is_where_it_belongs_and_the_rest_of_its_memory_is_zero);
	tcase_add_test(segments, a_segment_larger_than_one_copy_is_loaded_whole);
	tcase_add_test(segments, memory_that_the_image_does_not_fill_takes_no_room_on_the_host);
	tcase_add_test(segments, a_segment_over_boot_data_is_refused);
	tcase_add_test(segments, a_segment_over_the_firmwares_tables_is_refused);
	tcase_add_test(segments, a_file_that_is_neither_kind_of_kernel_is_refused);
	tcase_add_test(segments, a_segment_outside_ram_is_refused_with_its_range);
	tcase_add_test(segments, a_segment_in_the_hole_or_over_its_edge_is_refused);
	tcase_add_test(segments, a_malformed_image_is_refused_with_the_parsers_reason);
	tcase_add_test(segments, a_file_that_cannot_be_opened_gives_its_errno);
	tcase_add_test(segments, a_region_that_takes_no_more_gives_an_error_and_no_signal);
	suite_add_tcase(suite, segments);

	tcase_add_checked_fixture(boot, setup, teardown);
	tcase_add_test(boot, start_info_is_what_the_protocol_says);
	tcase_add_test(
		boot, the_memory_map_of_a_small_guest_has_ram_below_and_above_the_first_megabytes_end);
	tcase_add_test(boot, the_memory_map_of_a_large_guest_leaves_out_the_hole);
	tcase_add_test(boot, memory_that_a_vm_gets_later_is_not_in_its_memory_map_and_takes_no_image);
	tcase_add_test(boot, the_command_line_is_in_guest_memory_with_its_end);
	tcase_add_test(boot, an_initrd_is_a_module_at_the_top_of_low_memory);
	tcase_add_test(boot, an_initrd_that_is_missing_empty_or_too_large_is_refused);
	tcase_add_test(boot, an_empty_command_line_is_none);
	tcase_add_test(boot, a_command_line_of_4095_bytes_fits_and_one_more_does_not);
	suite_add_tcase(suite, boot);
	return suite;
}
