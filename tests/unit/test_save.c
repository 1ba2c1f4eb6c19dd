/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_save.c - copies of a dump: every page of every format, and nothing left of one that fails. */
#include "tests/unit/dump_fixture.h"
#include "tests/unit/io_recorder.h"
#include "tests/unit/place.h"
#include "tests/unit/suites.h"

#include "dump/base/io.h"
#include "dump/format/tail.h"
#include "dump/save/save.h"
#include "dump/record/choices.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

#define SOURCE "guest-test-g0.vmcore"
#define SEED 11
/* RAM: 0 .. 4 MiB and 4 GiB .. 4 GiB + 4 MiB; pages of RAM offset that have contents */
#define HOLE MIB(4)
#define NR_PAGES 2048ull
#define FIRST 101ull
#define COUNT 1500ull
/* in between, zeros that take memory */
#define IS_ZERO(page) ((page) == 700 || (page) == 703 || (page) == 704)

static struct dump_fixture f;
static struct reader *reader;
static char path[PATH_MAX], why[512];

static void open_path(const char *name)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", f.dir, name);
	ck_assert_msg(!reader_open(full, NULL, &reader, why, sizeof(why)), "%s", why);
}

static void setup(void)
{
	static const unsigned char zeros[PAGE_SIZE_4K];
	struct dump_engine engine;

	fixture_init(&f, NR_PAGES * PAGE_SIZE_4K, HOLE, 2);
	fixture_fill(&f, FIRST, COUNT, SEED);
	for (uint64_t page = 0; page < NR_PAGES; page++)
		if (IS_ZERO(page))
			ck_assert_int_eq(io_pwrite_full(f.region_fd, zeros, sizeof(zeros),
						 f.layout.head + page * PAGE_SIZE_4K),
				0);
	ck_assert_int_eq(dump_select_parse("all", &f.record->options.selectors), 0);
	engine = fixture_engine(&f);
	ck_assert_int_eq(dump_engine_run(&engine), 0);
	ck_assert_int_eq(mkdirat(f.dir_fd, "out", 0700), 0);
	open_path(SOURCE);
}

static void teardown(void)
{
	static const char *const names[] = {
		"out/guest-test-g0.vmcore", "out/guest-test-g0.vmcore.lz4", "out/guest-test-g0.kdump"};

	reader_close(reader);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unlinkat(f.dir_fd, names[i], 0);
	unlinkat(f.dir_fd, "out", AT_REMOVEDIR);
	fixture_fini(&f);
}

static int save(const char *format)
{
	char dir[80];

	snprintf(dir, sizeof(dir), "%s/out", f.dir);
	return dump_save(reader, dir, save_find_format(format), NULL, path, why, sizeof(why));
}

static uint64_t gpa_of(uint64_t page)
{
	uint64_t off = page * PAGE_SIZE_4K;

	return off < HOLE ? off : GIB(4) + off - HOLE;
}

static void want_page(uint64_t page, unsigned char *want)
{
	memset(want, 0, PAGE_SIZE_4K);
	if (page >= FIRST && page < FIRST + COUNT && !IS_ZERO(page))
		fixture_page(page, SEED, want);
}

START_TEST(a_copy_reads_as_the_dump)
{
	unsigned char want[PAGE_SIZE_4K], got[PAGE_SIZE_4K];
	struct reader *copy;

	ck_assert_msg(!save(_i ? "lz4" : "elf"), "%s", why);
	ck_assert_msg(!reader_open(path, NULL, &copy, why, sizeof(why)), "%s", why);
	ck_assert_int_eq(copy->kind, READER_COMPLETE);
	ck_assert_str_eq(reader_format_name(copy), _i ? "lz4" : "elf");
	for (uint64_t page = 0; page < NR_PAGES; page++) {
		want_page(page, want);
		ck_assert_int_eq(reader_read(copy, gpa_of(page), got, sizeof(got)), 0);
		ck_assert_msg(!memcmp(want, got, sizeof(got)), "page %d", (int)page);
	}
	ck_assert_uint_eq(copy->core.notes_bytes, reader->core.notes_bytes);
	ck_assert_int_eq(memcmp(copy->core.notes, reader->core.notes, reader->core.notes_bytes), 0);
	reader_close(copy);
}
END_TEST

START_TEST(an_elf_copy_is_the_same_file_with_its_holes)
{
	unsigned char a[PAGE_SIZE_4K], b[PAGE_SIZE_4K];
	struct stat from, to;
	int fd, copy;

	ck_assert_int_eq(save("elf"), 0);
	fd = fixture_open(&f, SOURCE);
	copy = open(path, O_RDONLY);
	ck_assert(!fstat(fd, &from) && !fstat(copy, &to));
	ck_assert_int_eq(from.st_size, to.st_size);
	ck_assert_int_lt(to.st_blocks, from.st_blocks);
	ck_assert_int_eq(to.st_mode & 0777, 0600);
	for (off_t at = 0; at < from.st_size; at += 4096) {
		ck_assert_int_eq(pread(fd, a, 4096, at), 4096);
		ck_assert_int_eq(pread(copy, b, 4096, at), 4096);
		ck_assert(!memcmp(a, b, 4096));
	}
	close(fd);
	close(copy);
}
END_TEST

static uint64_t get(int fd, uint64_t off, unsigned bytes)
{
	uint64_t value = 0;

	ck_assert_int_eq(pread(fd, &value, bytes, (off_t)off), bytes);
	return value;
}

/* A descriptor's page. */
static void unpack(int fd, uint64_t desc, unsigned char *page)
{
	unsigned char bytes[PAGE_SIZE_4K];
	uint64_t off = get(fd, desc, 8), len = get(fd, desc + 8, 4), flags = get(fd, desc + 12, 4);
	uLongf room = PAGE_SIZE_4K;

	ck_assert_uint_le(len, sizeof(bytes));
	ck_assert_int_eq(pread(fd, bytes, len, (off_t)off), (ssize_t)len);
	if (flags == 1) {
		ck_assert_int_eq(uncompress(page, &room, bytes, len), Z_OK);
	} else {
		ck_assert_uint_eq(flags, 0);
		ck_assert_uint_eq(len, PAGE_SIZE_4K);
		memcpy(page, bytes, len);
	}
	ck_assert_uint_eq(room, PAGE_SIZE_4K);
}

/* Places by makedumpfile's diskdump_mod.h, not by dump/save/kdump.c. */
START_TEST(a_kdump_file_has_every_page)
{
	unsigned char want[PAGE_SIZE_4K], got[PAGE_SIZE_4K], byte;
	uint64_t bitmap, descs, half;
	int fd;

	ck_assert_msg(!save("kdump"), "%s", why);
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(pread(fd, got, 8, 0), 8);
	ck_assert_int_eq(memcmp(got, "KDUMP   ", 8), 0);
	ck_assert_uint_eq(get(fd, 8, 4), 6);
	ck_assert_uint_eq(get(fd, 424, 4), 1); /* zlib */
	ck_assert_uint_eq(get(fd, 428, 4), 4096);
	ck_assert_uint_eq(get(fd, 444, 4), NR_PAGES);
	ck_assert_uint_eq(get(fd, 460, 4), 2);
	ck_assert_uint_eq(get(fd, 4096 + 96, 8), (GIB(4) + HOLE) / 4096);
	bitmap = (1 + get(fd, 432, 4)) * 4096;
	half = get(fd, 436, 4) / 2 * 4096;
	descs = bitmap + 2 * half;
	for (uint64_t page = 0; page < NR_PAGES; page++) {
		uint64_t pfn = gpa_of(page) / 4096;

		ck_assert_int_eq(pread(fd, &byte, 1, (off_t)(bitmap + pfn / 8)), 1);
		ck_assert(byte >> pfn % 8 & 1);
		ck_assert_int_eq(pread(fd, &byte, 1, (off_t)(bitmap + half + pfn / 8)), 1);
		ck_assert(byte >> pfn % 8 & 1);
		unpack(fd, descs + page * 24, got);
		want_page(page, want);
		ck_assert_msg(!memcmp(want, got, sizeof(got)), "page %d", (int)page);
		if (page < FIRST || IS_ZERO(page)) /* pages of zeros share their bytes */
			ck_assert_uint_eq(get(fd, descs + page * 24, 8), descs + NR_PAGES * 24);
	}
	/* the notes are where the sub header says */
	ck_assert_uint_eq(get(fd, 4096 + 56, 8), reader->core.notes_bytes);
	ck_assert_uint_eq(get(fd, get(fd, 4096 + 48, 8), 4), 5); /* "CORE" */
	close(fd);
}
END_TEST

START_TEST(a_name_that_is_taken_stays_what_it_is)
{
	ck_assert_int_eq(save("kdump"), 0);
	ck_assert_int_eq(save("kdump"), -EEXIST);
	ck_assert_ptr_nonnull(strstr(why, "File exists"));
}
END_TEST

static int fail_at;

static int fail_some_write(enum io_call call, size_t *len)
{
	(void)len;
	return call == IO_PWRITE && fail_at-- == 0 ? ENOSPC : 0;
}

START_TEST(a_full_disk_leaves_nothing)
{
	io_test_hook = fail_some_write;
	fail_at = _i % 4;
	ck_assert_int_eq(save(_i < 4 ? "elf" : _i < 8 ? "lz4" : "kdump"), -ENOSPC);
	io_test_hook = NULL;
	ck_assert_int_eq(unlinkat(f.dir_fd, "out", AT_REMOVEDIR), 0);
}
END_TEST

START_TEST(what_is_not_complete_is_not_saved)
{
	uint32_t state = VMCORE_STATE_DUMPING;
	int fd = openat(f.dir_fd, SOURCE, O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(
		pwrite(fd, &state, sizeof(state), (off_t)dump_layout_file_size(&f.layout) - 4096 + 20),
		sizeof(state));
	close(fd);
	reader_close(reader);
	open_path(SOURCE);
	ck_assert_int_eq(save("elf"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "salvage"));
}
END_TEST

/* What a copy of the dump is called that lacks some bytes at its end. */
static const struct {
	const char *format; /* of the copy that is cut */
	int cut;            /* bytes; 0: half of it */
} cuts[] = {{"elf", 1}, {"elf", 4096}, {"elf", 0}, {"lz4", 1}, {"lz4", 4096}, {"lz4", 0}};

START_TEST(a_dump_that_lacks_a_byte_is_incomplete_in_every_format)
{
	bool lz4 = !strcmp(cuts[_i].format, "lz4");
	const char *name = lz4 ? "out/guest-test-g0.vmcore.lz4" : "out/" SOURCE;
	static const char *const to[] = {"elf", "lz4", "kdump"};
	struct stat st;

	ck_assert_int_eq(save(cuts[_i].format), 0);
	ck_assert_int_eq(fstatat(f.dir_fd, name, &st, 0), 0);
	ck_assert_int_eq(renameat(f.dir_fd, name, f.dir_fd, lz4 ? "cut.vmcore.lz4" : "cut.vmcore"), 0);
	snprintf(path, sizeof(path), "%s/%s", f.dir, lz4 ? "cut.vmcore.lz4" : "cut.vmcore");
	ck_assert_int_eq(truncate(path, cuts[_i].cut ? st.st_size - cuts[_i].cut : st.st_size / 2), 0);
	reader_close(reader);
	open_path(lz4 ? "cut.vmcore.lz4" : "cut.vmcore");
	for (size_t i = 0; i < ARRAY_LEN(to); i++) {
		ck_assert_msg(save(to[i]) == -EINVAL, "%s: %s", to[i], why);
		ck_assert_ptr_nonnull(strstr(why, "incomplete"));
	}
	ck_assert_int_eq(unlinkat(f.dir_fd, "out", AT_REMOVEDIR), 0);
}
END_TEST

/* A core file of one page whose header names so much memory. */
static void write_hostile(uint64_t memory, uint64_t in_file)
{
	const struct {
		Elf64_Ehdr ehdr;
		Elf64_Phdr load;
	} head = {{.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			  .e_type = ET_CORE,
			  .e_machine = EM_X86_64,
			  .e_version = EV_CURRENT,
			  .e_phoff = sizeof(Elf64_Ehdr),
			  .e_ehsize = sizeof(Elf64_Ehdr),
			  .e_phentsize = sizeof(Elf64_Phdr),
			  .e_phnum = 1},
		{.p_type = PT_LOAD, .p_offset = 4096, .p_filesz = in_file, .p_memsz = memory}};
	int fd = openat(f.dir_fd, "hostile.vmcore", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	ck_assert_int_eq(io_pwrite_full(fd, &head, sizeof(head), 0), 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)(4096 + in_file)), 0);
	close(fd);
	reader_close(reader);
	open_path("hostile.vmcore");
}

START_TEST(a_kdump_copy_takes_room_for_what_is_there_not_for_what_is_named)
{
	struct stat st;

	write_hostile(GIB(16 * 1024ull), 4096);
	ck_assert_int_eq(save("kdump"), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(why, "far more memory"));
	/* a quarter TiB: the bits for it, and a descriptor for one page */
	write_hostile(GIB(256), 4096);
	ck_assert_msg(!save("kdump"), "%s", why);
	ck_assert_int_eq(fstatat(f.dir_fd, "out/hostile.kdump", &st, 0), 0);
	ck_assert_uint_lt((uint64_t)st.st_blocks * 512, MIB(20));
}
END_TEST

/* Its tables alone do not fit: nothing is written first. */
START_TEST(a_kdump_copy_that_cannot_fit_is_refused_at_once)
{
	struct statvfs fs;

	ck_assert_int_eq(fstatvfs(f.dir_fd, &fs), 0);
	/* 24 bytes a page */
	write_hostile(GIB(15 * 1024ull), GIB(15 * 1024ull));
	if (fs.f_bavail * fs.f_frsize > GIB(90)) {
		printf("SKIP there is room for 90 GiB in /dev/shm\n");
		return;
	}
	io_recorder_start(IO_NR_CALLS, 0, 0);
	ck_assert_int_eq(save("kdump"), -ENOSPC);
	io_recorder_stop();
	ck_assert_uint_eq(io_recorder_calls(IO_PWRITE), 0);
}
END_TEST

static const char *const formats[] = {"elf", "lz4", "kdump"};

/* Into another directory, which is on a disk. */
static int save_to_disk(const char *format, const struct place *disk)
{
	return dump_save(reader, disk->path, save_find_format(format), NULL, path, why, sizeof(why));
}

START_TEST(a_copy_has_a_name_when_it_is_on_the_disk_and_both_are_there_to_stay)
{
	struct place disk;
	const char *order;

	io_recorder_start(IO_NR_CALLS, 0, 0);
	ck_assert_int_eq(save(formats[_i]), 0);
	ck_assert_str_eq(io_recorder_stop(), "data name");
	place_init(&disk, NULL);
	io_recorder_start(IO_NR_CALLS, 0, 0);
	ck_assert_int_eq(save_to_disk(formats[_i], &disk), 0);
	order = io_recorder_stop();
	ck_assert_str_eq(order, dump_tail_is_shm(disk.fd) ? "data name" : "data sync name dir");
	place_fini(&disk);
}
END_TEST

static const enum io_call syncs[] = {IO_SYNC, IO_SYNC_DIR};

START_TEST(a_copy_that_a_disk_does_not_take_has_no_name_and_can_be_made_again)
{
	struct place disk;

	place_init(&disk, NULL);
	for (size_t i = 0; i < ARRAY_LEN(syncs) && !dump_tail_is_shm(disk.fd); i++) {
		io_recorder_start(syncs[i], 1, EIO);
		ck_assert_int_eq(save_to_disk(formats[_i], &disk), -EIO);
		io_recorder_stop();
		ck_assert_uint_eq(place_nr_files(&disk), 0);
	}
	ck_assert_int_eq(save_to_disk(formats[_i], &disk), 0);
	ck_assert_uint_eq(place_nr_files(&disk), 1);
	place_fini(&disk);
}
END_TEST

Suite *suite_save(void)
{
	Suite *suite = suite_create("save");
	TCase *tc = tcase_create("formats");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_copy_reads_as_the_dump, 0, 2);
	tcase_add_test(tc, an_elf_copy_is_the_same_file_with_its_holes);
	tcase_add_test(tc, a_kdump_file_has_every_page);
	tcase_add_test(tc, a_name_that_is_taken_stays_what_it_is);
	tcase_add_loop_test(tc, a_full_disk_leaves_nothing, 0, 12);
	tcase_add_test(tc, what_is_not_complete_is_not_saved);
	tcase_add_loop_test(tc, a_dump_that_lacks_a_byte_is_incomplete_in_every_format, 0, ARRAY_LEN(cuts));
	tcase_add_test(tc, a_kdump_copy_takes_room_for_what_is_there_not_for_what_is_named);
	tcase_add_test(tc, a_kdump_copy_that_cannot_fit_is_refused_at_once);
	tcase_add_loop_test(tc, a_copy_has_a_name_when_it_is_on_the_disk_and_both_are_there_to_stay, 0,
		ARRAY_LEN(formats));
	tcase_add_loop_test(tc, a_copy_that_a_disk_does_not_take_has_no_name_and_can_be_made_again, 0,
		ARRAY_LEN(formats));
	suite_add_tcase(suite, tc);
	return suite;
}
