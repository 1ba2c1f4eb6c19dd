/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_elf_image.c - vmm/boot/elf_image.c: a valid image, and each way to break one with its
 * message.  Arbitrary bytes are the fuzz target's: tests/fuzz/fuzz_elf_image.c.
 */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/elf_builder.h"
#include "tests/unit/suites.h"
#include "vmm/boot/elf_image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

static struct elf_builder b;
static char why[160];

static void setup(void)
{
	elf_builder_init(&b);
	why[0] = '\0';
}

static void accepts(struct elf_image *image)
{
	autoclose int fd = elf_builder_file(&b);
	int err = elf_image_read(fd, image, why, sizeof(why));

	ck_assert_msg(!err, "%d: %s", err, why);
}

/* The image in b is refused with @reason, and the next test begins with a good one. */
static void refuses(const char *reason)
{
	struct elf_image image, before;
	autoclose int fd = elf_builder_file(&b);

	memset(&image, 0x5a, sizeof(image));
	before = image;
	ck_assert_int_eq(elf_image_read(fd, &image, why, sizeof(why)), -EINVAL);
	ck_assert_str_eq(why, reason);
	ck_assert_mem_eq(&image, &before, sizeof(image));
	setup();
}

/* The same for a file with @len bytes at @bytes in it. */
static void refuses_bytes(const void *bytes, size_t len, const char *reason)
{
	autoclose int fd = memfd_create("bytes", MFD_CLOEXEC);
	struct elf_image image;

	ck_assert_int_eq(io_pwrite_full(fd, bytes, len, 0), 0);
	ck_assert_int_eq(elf_image_read(fd, &image, why, sizeof(why)), -EINVAL);
	ck_assert_str_eq(why, reason);
}

START_TEST(a_valid_image_gives_its_segments_in_order_and_its_entry)
{
	struct elf_image image;

	accepts(&image);
	ck_assert_uint_eq(image.pvh_entry, ELF_BUILDER_ENTRY);
	ck_assert_uint_eq(image.nr_segments, 2);
	ck_assert_uint_eq(image.segments[0].gpa, ELF_BUILDER_CODE_GPA);
	ck_assert_uint_eq(image.segments[0].file_off, b.ph[ELF_BUILDER_CODE].p_offset);
	ck_assert_uint_eq(image.segments[0].file_size, ELF_BUILDER_CODE_BYTES);
	ck_assert_uint_eq(image.segments[0].mem_size, ELF_BUILDER_CODE_BYTES);
	ck_assert_uint_eq(image.segments[1].gpa, ELF_BUILDER_DATA_GPA);
	ck_assert_uint_eq(image.segments[1].file_size, ELF_BUILDER_DATA_BYTES);
	ck_assert_uint_eq(image.segments[1].mem_size, ELF_BUILDER_DATA_MEMORY);
}
END_TEST

START_TEST(position_independent_images_and_other_headers_are_fine)
{
	struct elf_image image;

	b.eh.e_type = ET_DYN;
	accepts(&image);
	b.ph[ELF_BUILDER_DATA].p_type = PT_GNU_STACK; /* with nonsense in the rest of it */
	b.ph[ELF_BUILDER_DATA].p_offset = UINT64_MAX;
	accepts(&image);
	ck_assert_uint_eq(image.nr_segments, 1);
	b.ph[ELF_BUILDER_DATA].p_type = PT_LOAD; /* takes no memory: not looked at */
	b.ph[ELF_BUILDER_DATA].p_memsz = 0;
	accepts(&image);
	ck_assert_uint_eq(image.nr_segments, 1);
}
END_TEST

START_TEST(a_segment_may_have_no_bytes_in_the_file)
{
	struct elf_image image;

	b.ph[ELF_BUILDER_DATA].p_filesz = 0;
	accepts(&image);
	ck_assert_uint_eq(image.segments[1].file_size, 0);
	ck_assert_uint_eq(image.segments[1].mem_size, ELF_BUILDER_DATA_MEMORY);
}
END_TEST

START_TEST(an_entry_of_8_bytes_is_fine_below_4_gib)
{
	struct {
		Elf64_Nhdr head;
		char name[4];
		uint32_t entry[2];
	} note = {{4, 8, 18}, "Xen", {0x12345678, 0}};
	autoclose int fd = elf_builder_file(&b);
	struct elf_image image;

	b.ph[ELF_BUILDER_NOTE].p_filesz = sizeof(note);
	ck_assert_int_eq(io_pwrite_full(fd, b.ph, sizeof(b.ph), sizeof(b.eh)), 0);
	ck_assert_int_eq(io_pwrite_full(fd, &note, sizeof(note), b.ph[ELF_BUILDER_NOTE].p_offset), 0);
	ck_assert_int_eq(elf_image_read(fd, &image, why, sizeof(why)), 0);
	ck_assert_uint_eq(image.pvh_entry, 0x12345678);
	note.entry[1] = 1;
	ck_assert_int_eq(io_pwrite_full(fd, &note, sizeof(note), b.ph[ELF_BUILDER_NOTE].p_offset), 0);
	ck_assert_int_eq(elf_image_read(fd, &image, why, sizeof(why)), -EINVAL);
	ck_assert_str_eq(why, "PVH entry 0x112345678 is above 4 GiB");
}
END_TEST

START_TEST(other_notes_before_the_entry_are_skipped)
{
	static const uint32_t notes[] = {
		4, 5, 3, 0x00554e47, 0x11223344, 0x55,       /* GNU, 5 bytes padded to 8 */
		0, 0, 18,                                    /* the right type without a name */
		4, 4, 17, 0x006e6558, 0xbad,                 /* Xen, another type */
		4, 4, 18, 0x006e6559, 0xbad,                 /* the right type, another name */
		4, 4, 18, 0x006e6558, ELF_BUILDER_ENTRY + 1, /* this one */
		4, 4, 18, 0x006e6558, 0xbad,                 /* the first one counts */
	};
	autoclose int fd = elf_builder_file(&b);
	struct elf_image image;

	b.ph[ELF_BUILDER_NOTE].p_filesz = sizeof(notes);
	ck_assert_int_eq(io_pwrite_full(fd, b.ph, sizeof(b.ph), sizeof(b.eh)), 0);
	ck_assert_int_eq(io_pwrite_full(fd, notes, sizeof(notes), b.ph[ELF_BUILDER_NOTE].p_offset), 0);
	ck_assert_msg(!elf_image_read(fd, &image, why, sizeof(why)), "%s", why);
	ck_assert_uint_eq(image.pvh_entry, ELF_BUILDER_ENTRY + 1);
}
END_TEST

START_TEST(what_is_no_elf_file_is_refused)
{
	static const char text[128] = "#!/bin/sh\n";

	refuses_bytes("", 0, "ELF header reaches beyond the end of the file (0 bytes)");
	refuses_bytes(text, 63, "ELF header reaches beyond the end of the file (63 bytes)");
	refuses_bytes(text, sizeof(text), "not an ELF file");
}
END_TEST

START_TEST(an_elf_file_of_another_kind_is_refused)
{
	b.eh.e_ident[EI_CLASS] = ELFCLASS32;
	refuses("not a 64-bit little-endian ELF file");
	b.eh.e_ident[EI_DATA] = ELFDATA2MSB;
	refuses("not a 64-bit little-endian ELF file");
	b.eh.e_machine = EM_AARCH64;
	refuses("ELF machine 183, need 62 (x86-64)");
	b.eh.e_type = ET_CORE;
	refuses("ELF type 4 is no executable");
	b.eh.e_type = ET_REL;
	refuses("ELF type 1 is no executable");
}
END_TEST

START_TEST(a_bad_program_header_table_is_refused)
{
	b.eh.e_phentsize = 32;
	refuses("program headers of 32 bytes, need 56");
	b.eh.e_phnum = 0;
	refuses("0 program headers; allowed: 1 to 128");
	b.eh.e_phnum = 129;
	refuses("129 program headers; allowed: 1 to 128");
	b.eh.e_phnum = UINT16_MAX; /* PN_XNUM is no exception */
	refuses("65535 program headers; allowed: 1 to 128");
	b.eh.e_phnum = 128;
	refuses("program header table reaches beyond the end of the file (1088 bytes)");
	b.eh.e_phoff = UINT64_MAX - 8;
	refuses("program header table reaches beyond the end of the file (1088 bytes)");
}
END_TEST

START_TEST(a_bad_segment_is_refused_and_named_by_its_address)
{
	Elf64_Phdr *data = &b.ph[ELF_BUILDER_DATA];

	data->p_filesz = data->p_memsz + 1;
	refuses("segment at 0x200ff0 has more bytes in the file than in memory");
	data->p_filesz++;
	refuses("segment at 0x200ff0 reaches beyond the end of the file");
	data->p_offset = UINT64_MAX;
	refuses("segment at 0x200ff0 reaches beyond the end of the file");
	data->p_offset = 1 << 30;
	refuses("segment at 0x200ff0 reaches beyond the end of the file");
	data->p_paddr = UINT64_MAX - 100;
	refuses("segment at 0xffffffffffffff9b wraps around");
	data->p_memsz = UINT64_MAX;
	refuses("segment at 0x200ff0 wraps around");
}
END_TEST

START_TEST(an_image_without_segments_or_without_an_entry_is_refused)
{
	b.ph[ELF_BUILDER_CODE].p_type = b.ph[ELF_BUILDER_DATA].p_type = PT_NULL;
	refuses("no loadable segment");
	b.ph[ELF_BUILDER_NOTE].p_type = PT_NULL;
	refuses("no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY)");
	b.note.head.n_type = 17;
	refuses("no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY)");
	b.note.name[0] = 'x';
	refuses("no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY)");
	b.ph[ELF_BUILDER_NOTE].p_filesz = sizeof(Elf64_Nhdr) - 1;
	refuses("no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY)");
}
END_TEST

START_TEST(a_bad_note_is_refused)
{
	b.note.head.n_descsz = 2;
	refuses("PVH entry note of 2 bytes, need 4 or 8");
	b.note.head.n_descsz = 5;
	refuses("a note reaches beyond its segment");
	b.note.head.n_descsz = UINT32_MAX;
	refuses("a note reaches beyond its segment");
	b.note.head.n_namesz = UINT32_MAX;
	refuses("a note reaches beyond its segment");
	b.note.head.n_namesz = 9;
	refuses("a note reaches beyond its segment");
	b.ph[ELF_BUILDER_NOTE].p_filesz--; /* its last byte is outside, as padding could be */
	refuses("a note reaches beyond its segment");
	b.ph[ELF_BUILDER_NOTE].p_filesz = 65537;
	refuses("a note segment of 65537 bytes; at most 65536");
	b.ph[ELF_BUILDER_NOTE].p_offset = 1088 - 19;
	refuses("note segment reaches beyond the end of the file (1088 bytes)");
	b.ph[ELF_BUILDER_NOTE].p_offset = UINT64_MAX;
	refuses("note segment reaches beyond the end of the file (1088 bytes)");
}
END_TEST

START_TEST(more_segments_than_fit_are_refused)
{
	autoclose int fd = elf_builder_file(&b);
	Elf64_Phdr many[ELF_IMAGE_SEGMENTS_MAX + 2];
	struct elf_image image;

	many[0] = b.ph[ELF_BUILDER_NOTE];
	for (size_t i = 1; i < ARRAY_LEN(many); i++)
		many[i] = b.ph[ELF_BUILDER_CODE];
	b.eh.e_phoff = 4096;
	b.eh.e_phnum = ARRAY_LEN(many) - 1;
	ck_assert_int_eq(io_pwrite_full(fd, many, sizeof(many), 4096), 0);
	ck_assert_int_eq(io_pwrite_full(fd, &b.eh, sizeof(b.eh), 0), 0);
	ck_assert_int_eq(elf_image_read(fd, &image, why, sizeof(why)), 0);
	ck_assert_uint_eq(image.nr_segments, ELF_IMAGE_SEGMENTS_MAX);
	b.eh.e_phnum++;
	ck_assert_int_eq(io_pwrite_full(fd, &b.eh, sizeof(b.eh), 0), 0);
	ck_assert_int_eq(elf_image_read(fd, &image, why, sizeof(why)), -EINVAL);
	ck_assert_str_eq(why, "more than 32 loadable segments");
}
END_TEST

START_TEST(only_a_regular_file_that_can_be_read_is_an_image)
{
	autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct elf_image image;
	char link[64];
	int fd;

	ck_assert_int_eq(elf_image_read(null, &image, why, sizeof(why)), -EINVAL);
	ck_assert_str_eq(why, "not a regular file");
	ck_assert_int_eq(elf_image_read(-1, &image, why, sizeof(why)), -EBADF);
	fd = elf_builder_file(&b);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	autoclose int write_only = open(link, O_WRONLY | O_CLOEXEC);

	close(fd);
	ck_assert_int_eq(elf_image_read(write_only, &image, why, sizeof(why)), -EBADF);
	ck_assert_str_eq(why, "cannot read the ELF header: Bad file descriptor");
}
END_TEST

START_TEST(a_reason_that_does_not_fit_is_cut)
{
	autoclose int fd = elf_builder_file(&b);
	struct elf_image image;
	char small[8];

	ck_assert_int_eq(ftruncate(fd, 10), 0);
	ck_assert_int_eq(elf_image_read(fd, &image, small, sizeof(small)), -EINVAL);
	ck_assert_str_eq(small, "ELF hea");
}
END_TEST

Suite *suite_elf_image(void)
{
	Suite *suite = suite_create("elf_image");
	TCase *good = tcase_create("valid"), *bad = tcase_create("malformed");

	tcase_add_checked_fixture(good, setup, NULL);
	tcase_add_test(good, a_valid_image_gives_its_segments_in_order_and_its_entry);
	tcase_add_test(good, position_independent_images_and_other_headers_are_fine);
	tcase_add_test(good, a_segment_may_have_no_bytes_in_the_file);
	tcase_add_test(good, an_entry_of_8_bytes_is_fine_below_4_gib);
	tcase_add_test(good, other_notes_before_the_entry_are_skipped);
	suite_add_tcase(suite, good);

	tcase_add_checked_fixture(bad, setup, NULL);
	tcase_add_test(bad, what_is_no_elf_file_is_refused);
	tcase_add_test(bad, an_elf_file_of_another_kind_is_refused);
	tcase_add_test(bad, a_bad_program_header_table_is_refused);
	tcase_add_test(bad, a_bad_segment_is_refused_and_named_by_its_address);
	tcase_add_test(bad, an_image_without_segments_or_without_an_entry_is_refused);
	tcase_add_test(bad, a_bad_note_is_refused);
	tcase_add_test(bad, more_segments_than_fit_are_refused);
	tcase_add_test(bad, only_a_regular_file_that_can_be_read_is_an_image);
	tcase_add_test(bad, a_reason_that_does_not_fit_is_cut);
	suite_add_tcase(suite, bad);
	return suite;
}
