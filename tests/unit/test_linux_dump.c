/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_linux_dump.c - the selector `linux` in the engine: what is in the dump, in its notes, and who says why. */
#include "tests/vmcores/mini.h"
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"

#include "dump/base/io.h"
#include "dump/base/bitmap.h"
#include "dump/dumper/dumper.h"
#include "dump/read/linux_dump.h"
#include "dump/region/pagewalk.h"
#include "dump/save/save.h"
#include "dump/record/choices.h"

#include <check.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINUX 4
#define FREE_PFN 64ull
#define FREE_ORDER 6
#define CACHE_PFN MINI_HIGH_PFN
#define CACHE_PAGE MINI_SEGMENT_PAGES /* of RAM offset */
#define CACHE_ORDER 7

static struct dump_fixture f;
static struct dump_engine engine;
static struct mini mini;

/* The guest of the fixture has @mini's memory. */
static void use_mini(void)
{
	f.layout = mini.layout;
	f.record->layout = mini.layout;
	ck_assert_int_eq(ftruncate(f.region_fd, 0), 0);
	ck_assert_int_eq(ftruncate(f.region_fd, (off_t)dump_layout_file_size(&f.layout)), 0);
	ck_assert_int_eq(io_pwrite_full(f.region_fd, mini.ram, MINI_RAM, f.layout.head), 0);
	f.record->cpus[0].saved = 1;
	f.record->cpus[0].cr[0] = PAGEWALK_CR0_PG;
	f.record->cpus[0].cr[3] = MINI_IMAGE_PHYS;
	f.record->cpus[0].cr[4] = PAGEWALK_CR4_PAE | (mini.levels5 ? PAGEWALK_CR4_LA57 : 0);
	f.record->cpus[0].idt.base = 0xfffffe0000000000;
	f.record->options.chunk = KIB(64);
}

/* The fixture with the small Linux as its guest; frames that are free or cache have contents, too. */
static void setup(void)
{
	fixture_init(&f, GIB(1), GIB(3), 1);
	mini_init(&mini, MINI_6_12, true);
	mini_free(&mini, FREE_PFN, FREE_ORDER);
	mini_cache(&mini, CACHE_PFN, CACHE_ORDER, false);
	memset(mini_phys(&mini, (FREE_PFN + 1) * PAGE_SIZE_4K), 0xaa, PAGE_SIZE_4K);
	memset(mini_phys(&mini, CACHE_PFN * PAGE_SIZE_4K), 0xbb, PAGE_SIZE_4K << CACHE_ORDER);
	use_mini();
}

static void teardown(void)
{
	fixture_fini(&f);
}

static void use_strategy(const char *name)
{
	for (uint32_t i = 0; i < dump_nr_strategies; i++)
		if (!strcmp(dump_strategies[i].name, name))
			f.record->options.strategy = i;
}

static int run(const char *select)
{
	ck_assert_int_eq(dump_select_parse(select, &f.record->options.selectors), 0);
	engine = fixture_engine(&f);
	ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
	return fixture_open(&f, "guest-test-g0.vmcore");
}

static struct vmcore_trailer trailer_of(int fd)
{
	struct vmcore_trailer trailer;

	ck_assert_int_eq(
		pread(fd, &trailer, sizeof(trailer), (off_t)dump_layout_file_size(&f.layout) - 4096),
		sizeof(trailer));
	return trailer;
}

static bool is_excluded(uint64_t page)
{
	return (page >= FREE_PFN && page < FREE_PFN + (1 << FREE_ORDER)) ||
	       (page >= CACHE_PAGE && page < CACHE_PAGE + (1 << CACHE_ORDER));
}

static void check_pages(int fd)
{
	uint64_t bitmap[MINI_PAGES / 64];
	uint8_t page[PAGE_SIZE_4K];

	ck_assert_int_eq(io_pread_full(fd, bitmap, sizeof(bitmap), f.layout.head + f.layout.ram), 0);
	for (uint64_t i = 0; i < MINI_PAGES; i++) {
		uint64_t off = f.layout.head + i * PAGE_SIZE_4K;

		ck_assert_msg(bitmap_test(bitmap, i) == !is_excluded(i), "page %d", (int)i);
		if (is_excluded(i)) {
			ck_assert_uint_eq(fixture_populated(fd, off, PAGE_SIZE_4K), 0);
			continue;
		}
		ck_assert_int_eq(io_pread_full(fd, page, sizeof(page), off), 0);
		ck_assert_int_eq(memcmp(page, mini.ram + i * PAGE_SIZE_4K, sizeof(page)), 0);
	}
}

static const char *const strategies[] = {"vmapp", "remap", "hybrid"};

START_TEST(a_linux_guest_is_dumped_without_its_help)
{
	struct vmcore_trailer trailer;
	int fd;

	use_strategy(strategies[_i]);
	fd = run("linux:31");
	check_pages(fd);
	trailer = trailer_of(fd);
	ck_assert_uint_eq(trailer.selectors, 1u << 1 | 1u << LINUX);
	ck_assert_uint_eq(trailer.linux_level, 31);
	ck_assert_uint_eq(trailer.distrusted, 0);
	ck_assert_uint_eq(trailer.excluded[LINUX], (1 << FREE_ORDER) + (1 << CACHE_ORDER));
	ck_assert_uint_eq(trailer.reasons[LINUX_PAGE_FREE], 1 << FREE_ORDER);
	ck_assert_uint_eq(trailer.reasons[LINUX_PAGE_CACHE], 1 << CACHE_ORDER);
	close(fd);
}
END_TEST

START_TEST(vmcoreinfo_stands_after_the_notes_of_qemu_unchanged)
{
	int fd = run(_i ? "all" : "linux:31");
	struct elf_view view;
	size_t at = 0;

	elf_open(&view, fd);
	while (at < view.nr_notes && strcmp(view.notes[at].name, "VMCOREINFO") != 0)
		at++;
	ck_assert_uint_lt(at, view.nr_notes - 1);
	ck_assert_str_eq(view.notes[at - 1].name, "QEMU");
	ck_assert_str_eq(view.notes[at + 1].name, "MINIVMM");
	ck_assert_uint_eq(view.notes[at].type, 0);
	ck_assert_uint_eq(view.notes[at].len, strlen(mini.info));
	ck_assert_int_eq(memcmp(view.notes[at].desc, mini.info, view.notes[at].len), 0);
	elf_close(&view);
	close(fd);
}
END_TEST

/* No VMCOREINFO; none since nobody looked for it; one that leads nowhere. */
START_TEST(who_is_no_linux_is_dumped_but_for_zeros_and_the_reason_is_told)
{
	struct vmcore_trailer trailer;
	static const char zeros[64];
	int fd;

	if (_i == 0)
		ck_assert_int_eq(io_pwrite_full(f.region_fd, zeros, 64, f.layout.head + MINI_NOTE_PHYS), 0);
	else if (_i == 1)
		f.record->cpus[0].idt.base = f.record->cpus[0].rip = 0x1000;
	else
		ck_assert_int_eq(
			io_pwrite_full(f.region_fd, zeros, 64, f.layout.head + MINI_IMAGE_PHYS + 0x1080),
			0);
	fd = run("linux:30");
	trailer = trailer_of(fd);
	ck_assert_uint_eq(trailer.distrusted, 1u << LINUX);
	ck_assert_uint_eq(trailer.excluded[LINUX], 0);
	ck_assert_str_eq(trailer.distrust,
		_i == 2 ? "linux: the kernel in memory is not the one that VMCOREINFO describes"
			: "linux: there is no VMCOREINFO in its memory");
	ck_assert_uint_gt(trailer.excluded[1], 300); /* zeros: most of this guest */
	ck_assert_uint_eq(fixture_populated(fd, f.layout.head + 200 * PAGE_SIZE_4K, PAGE_SIZE_4K), 0);
	close(fd);
}
END_TEST

START_TEST(level_0_is_all_and_a_level_without_zeros_keeps_them)
{
	int fd = run("linux:16");

	ck_assert_uint_eq(trailer_of(fd).selectors, 1u << LINUX);
	ck_assert_uint_eq(trailer_of(fd).excluded[1], 0);
	ck_assert_uint_eq(trailer_of(fd).excluded[LINUX], 1 << FREE_ORDER);
	close(fd);
}
END_TEST

/* Another dumper goes on: VMCOREINFO's page may be gone, its text is in the record. */
START_TEST(what_was_found_once_is_not_looked_for_again)
{
	static const char zeros[64];
	struct elf_view view;
	int fd = run("linux:31");

	close(fd);
	unlinkat(f.dir_fd, "guest-test-g0.vmcore", 0);
	ck_assert_uint_eq(f.record->vmcoreinfo_len, strlen(mini.info));
	close(f.region_fd); /* it had its names: it cannot be linked again */
	f.region_fd = openat(f.dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_eq(ftruncate(f.region_fd, (off_t)dump_layout_file_size(&f.layout)), 0);
	ck_assert_int_eq(io_pwrite_full(f.region_fd, mini.ram, MINI_RAM, f.layout.head), 0);
	ck_assert_int_eq(io_pwrite_full(f.region_fd, zeros, 64, f.layout.head + MINI_NOTE_PHYS), 0);
	fd = run("linux:31");
	elf_open(&view, fd);
	ck_assert_uint_eq(elf_note(&view, "VMCOREINFO", 0, 0)->len, strlen(mini.info));
	elf_close(&view);
	close(fd);
}
END_TEST

/* The process that parses what a kernel has left may do what that takes, on several threads. */
START_TEST(the_dumper_does_it_in_its_sandbox_and_reports_the_log)
{
	struct dumper_files files = {.record = f.record_fd,
		.region = f.region_fd,
		.region_dir = f.dir_fd,
		.dir = f.dir_fd,
		.fallback_dir = -1,
		.dump = -1};
	struct linux_report report;
	struct dumper_event event;
	struct dumper dumper;
	int r, fd;

	ck_assert_int_eq(dump_select_parse("linux:31", &f.record->options.selectors), 0);
	f.record->options.workers = 3;
	ck_assert_int_eq(dumper_spawn(&dumper), 0);
	ck_assert_int_eq(dumper_start(&dumper, &files), 0);
	do {
		struct pollfd poll_fd = {.fd = dumper.socket, .events = POLLIN};

		ck_assert_int_eq(poll(&poll_fd, 1, 20000), 1);
		r = dumper_receive(&dumper, &event);
	} while (r == 1 && event.type != DUMPER_DONE && event.type != DUMPER_FAILED);
	ck_assert_int_eq(r, 1);
	ck_assert_msg(event.type == DUMPER_DONE, "%s", event.text);
	ck_assert_uint_eq(event.reasons[LINUX_PAGE_FREE], 1 << FREE_ORDER);
	ck_assert_uint_eq(event.reasons[LINUX_PAGE_CACHE], 1 << CACHE_ORDER);
	report = f.record->linux_report;
	ck_assert_uint_eq(report.valid, 1);
	ck_assert_str_eq(report.release, "6.12.0-mini");
	ck_assert_str_eq(report.panic, "a test");
	ck_assert_str_eq(report.signature.title, "Kernel panic: a test");
	ck_assert_str_eq(report.signature.text, "Kernel panic: a test");
	ck_assert_uint_eq(report.nr_lines, 3);
	fd = fixture_open(&f, "guest-test-g0.vmcore");
	check_pages(fd);
	close(fd);
	dumper_fini(&dumper);
}
END_TEST

static Elf64_Phdr *read_headers(int fd, size_t *ret_nr)
{
	Elf64_Phdr *phdrs;
	Elf64_Ehdr ehdr;

	ck_assert_int_eq(io_pread_full(fd, &ehdr, sizeof(ehdr), 0), 0);
	phdrs = calloc(ehdr.e_phnum, sizeof(*phdrs));
	ck_assert_int_eq(io_pread_full(fd, phdrs, ehdr.e_phnum * sizeof(*phdrs), ehdr.e_phoff), 0);
	*ret_nr = ehdr.e_phnum;
	return phdrs;
}

/* Saves the dump in format virtual; the copy's headers. */
static Elf64_Phdr *save_virtual(int *ret_fd, size_t *ret_nr)
{
	char from[PATH_MAX], path[PATH_MAX], why[512];
	struct reader *reader;

	close(run("all"));
	snprintf(from, sizeof(from), "%s/guest-test-g0.vmcore", f.dir);
	ck_assert_msg(!reader_open(from, NULL, &reader, why, sizeof(why)), "%s", why);
	ck_assert_msg(!dump_save(reader, f.dir, save_find_format("virtual"), NULL, path, why, sizeof(why)),
		"%s", why);
	reader_close(reader);
	*ret_fd = open(path, O_RDONLY);
	ck_assert_int_eq(unlink(path), 0);
	return read_headers(*ret_fd, ret_nr);
}

/* What the kernel has mapped, in the order of the headers, and RAM as any dump has it. */
struct place {
	uint64_t gva, gpa, pages;
};
static const struct place virtual[] = {
	{MINI_IMAGE, MINI_IMAGE_PHYS, 0x40},
	{MINI_VMEMMAP, 0x80000, 4},
	{MINI_VMEMMAP + MINI_HIGH_PFN * 64, 0x84000, 4},
	{MINI_DIRECT, 0, MINI_SEGMENT_PAGES},
};
static const struct place physical[] = {
	{0, 0, MINI_SEGMENT_PAGES},
	{MINI_HOLE_END, MINI_HOLE_END, MINI_SEGMENT_PAGES},
};

static void check_places(int fd, const Elf64_Phdr *phdr, const struct place *want, size_t nr)
{
	uint8_t page[PAGE_SIZE_4K];

	for (; nr; nr--, phdr++, want++) {

		ck_assert_uint_eq(phdr->p_vaddr, want->gva);
		ck_assert_uint_eq(phdr->p_paddr, want->gpa);
		ck_assert_uint_eq(phdr->p_memsz, want->pages * PAGE_SIZE_4K);
		ck_assert_uint_eq(phdr->p_filesz, phdr->p_memsz);
		for (uint64_t at = 0; at < phdr->p_filesz; at += sizeof(page)) {
			ck_assert_int_eq(io_pread_full(fd, page, sizeof(page), phdr->p_offset + at), 0);
			ck_assert(!memcmp(page, mini_phys(&mini, phdr->p_paddr + at), sizeof(page)));
		}
	}
}

START_TEST(a_copy_for_gdb_has_the_kernels_addresses)
{
	Elf64_Phdr *phdrs;
	size_t nr;
	int fd;

	phdrs = save_virtual(&fd, &nr);
	ck_assert_uint_eq(nr, 1 + ARRAY_LEN(virtual) + ARRAY_LEN(physical));
	ck_assert_uint_eq(phdrs[0].p_type, PT_NOTE);
	check_places(fd, phdrs + 1, virtual, ARRAY_LEN(virtual));
	check_places(fd, phdrs + 1 + ARRAY_LEN(virtual), physical, ARRAY_LEN(physical));
	free(phdrs);
	close(fd);
}
END_TEST

static const char *const virtual_strategies[] = {"vmapp", "remap", "hybrid"};

START_TEST(a_dump_has_the_kernels_addresses_itself_if_that_is_wanted)
{
	char path[PATH_MAX], why[512];
	struct reader *reader;
	Elf64_Phdr *phdrs;
	size_t nr;
	int fd;

	f.record->options.virtual_headers = 1;
	use_strategy(virtual_strategies[_i]);
	fd = run("all");
	phdrs = read_headers(fd, &nr);
	ck_assert_uint_eq(nr, 1 + ARRAY_LEN(virtual) + ARRAY_LEN(physical));
	ck_assert_uint_eq(phdrs[0].p_type, PT_NOTE);
	check_places(fd, phdrs + 1, physical, ARRAY_LEN(physical));
	check_places(fd, phdrs + 1 + ARRAY_LEN(physical), virtual, ARRAY_LEN(virtual));
	free(phdrs);
	close(fd);
	snprintf(path, sizeof(path), "%s/guest-test-g0.vmcore", f.dir);
	ck_assert_msg(!reader_open(path, NULL, &reader, why, sizeof(why)), "%s", why);
	ck_assert_uint_eq(reader->core.nr_segments, f.layout.nr_segments);
	ck_assert_uint_eq(reader->metadata.nr_cpus, 1);
	reader_close(reader);
}
END_TEST

/* The image's tables once more 1 GiB further up, where modules are. */
START_TEST(modules_have_addresses_in_a_copy_alone)
{
	uint64_t *table = mini_phys(&mini, MINI_IMAGE_PHYS);
	size_t nr;
	int fd;

	for (unsigned level = 5; level > 3; level--)
		table = mini_phys(&mini, table[511] & ~(PAGE_SIZE_4K - 1));
	ck_assert_uint_ne(table[510], 0);
	table[511] = table[510];
	ck_assert_int_eq(io_pwrite_full(f.region_fd, mini.ram, MINI_RAM, f.layout.head), 0);
	f.record->options.virtual_headers = 1;
	fd = run("all");
	free(read_headers(fd, &nr));
	close(fd);
	ck_assert_uint_eq(nr, 1 + ARRAY_LEN(virtual) + ARRAY_LEN(physical));
	fixture_fini(&f);
	fixture_init(&f, GIB(1), GIB(3), 1);
	use_mini();
	free(save_virtual(&fd, &nr));
	close(fd);
	ck_assert_uint_eq(nr, 1 + ARRAY_LEN(virtual) + 1 + ARRAY_LEN(physical));
}
END_TEST

/* The top table is in each of its own entries: memory without end. */
static void make_tables_hostile(void)
{
	uint64_t *top = mini_phys(&mini, MINI_IMAGE_PHYS);

	for (unsigned i = 256; i < 511; i++)
		top[i] = MINI_IMAGE_PHYS | 1;
	ck_assert_int_eq(io_pwrite_full(f.region_fd, mini.ram, MINI_RAM, f.layout.head), 0);
}

START_TEST(hostile_tables_leave_the_dump_as_it_is)
{
	Elf64_Phdr *phdrs;
	size_t nr;
	int fd;

	make_tables_hostile();
	f.record->options.virtual_headers = 1;
	fd = run("all");
	phdrs = read_headers(fd, &nr);
	ck_assert_uint_gt(nr, 1 + ARRAY_LEN(physical));
	ck_assert_uint_le(nr, 1 + ARRAY_LEN(physical) + VMCORE_VIRTUAL_MAX);
	check_places(fd, phdrs + 1, physical, ARRAY_LEN(physical));
	free(phdrs);
	close(fd);
}
END_TEST

START_TEST(hostile_tables_make_no_more_headers_than_there_may_be)
{
	uint64_t start = clock_mono_ns();
	Elf64_Phdr *phdrs;
	size_t nr;
	int fd;

	make_tables_hostile();
	phdrs = save_virtual(&fd, &nr);
	ck_assert_uint_eq(nr, PN_XNUM - 1);
	ck_assert_uint_eq(phdrs[nr - 1].p_vaddr, MINI_HOLE_END);
	ck_assert_uint_lt(clock_mono_ns() - start, 10 * NSEC_PER_SEC);
	free(phdrs);
	close(fd);
}
END_TEST

START_TEST(what_is_no_linux_has_no_such_copy)
{
	char from[PATH_MAX], path[PATH_MAX], why[512];
	struct reader *reader;

	memset(mini_phys(&mini, MINI_NOTE_PHYS), 0, PAGE_SIZE_4K);
	ck_assert_int_eq(io_pwrite_full(f.region_fd, mini.ram, MINI_RAM, f.layout.head), 0);
	close(run("all"));
	snprintf(from, sizeof(from), "%s/guest-test-g0.vmcore", f.dir);
	ck_assert_msg(!reader_open(from, NULL, &reader, why, sizeof(why)), "%s", why);
	ck_assert_int_eq(
		dump_save(reader, f.dir, save_find_format("virtual"), NULL, path, why, sizeof(why)),
		-EOPNOTSUPP);
	ck_assert_msg(strstr(why, "VMCOREINFO"), "%s", why);
	reader_close(reader);
}
END_TEST

/* ---- notes of a kernel that kexec has replaced ----------------------------------------------------------- */

#define STALE_IMAGE MINI_HOLE_END
#define STALE_NOTE (MINI_HOLE_END + KIB(512))

/*
 * Its image and its note lie where a scan looks first, and its release is the same; only that no vCPU has it mapped
 * tells it from the one that runs.
 */
static void leave_another_kernel(char text[4096])
{
	uint32_t header[6] = {11, 0, 0};

	memcpy(mini_phys(&mini, STALE_IMAGE), mini_phys(&mini, MINI_IMAGE_PHYS), KIB(256));
	mini_write_info(&mini, "NUMBER(phys_base)");
	snprintf(text, 4096, "%.4000sNUMBER(phys_base)=%lld\n", mini.info,
		(long long)(STALE_IMAGE - (MINI_IMAGE - 0xffffffff80000000ull)));
	mini_write_info(&mini, NULL);
	header[1] = (uint32_t)strlen(text);
	memcpy(header + 3, "VMCOREINFO", 10);
	memcpy(mini_phys(&mini, STALE_NOTE), header, sizeof(header));
	memcpy((char *)mini_phys(&mini, STALE_NOTE) + sizeof(header), text, header[1]);
}

static void setup_stale(void)
{
	fixture_init(&f, GIB(1), GIB(3), 1);
	mini_init(&mini, MINI_6_12, false);
	mini_free(&mini, FREE_PFN, FREE_ORDER);
}

START_TEST(the_kernel_that_runs_is_told_from_one_of_the_same_release)
{
	char text[4096];
	int fd;

	leave_another_kernel(text);
	if (_i) /* it is the only one that has a note */
		memset(mini_phys(&mini, MINI_NOTE_PHYS), 0, PAGE_SIZE_4K);
	use_mini();
	fd = run("linux:16");
	if (_i) {
		ck_assert_uint_eq(trailer_of(fd).distrusted, 1u << LINUX);
		ck_assert_uint_eq(f.record->vmcoreinfo_len, 0);
	} else {
		ck_assert_uint_eq(f.record->vmcoreinfo_len, strlen(mini.info));
		ck_assert_int_eq(memcmp(f.record->vmcoreinfo, mini.info, strlen(mini.info)), 0);
		ck_assert_uint_eq(trailer_of(fd).excluded[LINUX], 1 << FREE_ORDER);
	}
	close(fd);
}
END_TEST

/* The note of the file, which another program may have written: of another release, or of the other kernel. */
static void make_note_stale(const char *path, const char *instead)
{
	static char head[MIB(1)];
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char *at;

	ck_assert_int_eq(io_pread_full(fd, head, sizeof(head), 0), 0);
	at = memmem(head, sizeof(head), mini.info, strlen(mini.info));
	ck_assert_ptr_nonnull(at);
	ck_assert_uint_le(strlen(instead), strlen(mini.info));
	memset(at, '\n', strlen(mini.info));
	memcpy(at, instead, strlen(instead));
	ck_assert_int_eq(io_pwrite_full(fd, at, strlen(mini.info), (uint64_t)(at - head)), 0);
	close(fd);
}

START_TEST(a_stale_note_of_a_file_leads_to_a_search)
{
	char path[PATH_MAX], why[512], text[4096];
	struct linux_dump *dump;
	struct reader *reader;

	leave_another_kernel(text);
	use_mini();
	close(run("all"));
	if (!_i) {
		memcpy(text, mini.info, strlen(mini.info) + 1);
		memcpy(text, "OSRELEASE=6.11", 14);
	} else {
		/* no longer than the right one: without a line that it can do without */
		char *line = strstr(text, "PAGESIZE=4096\n");

		memmove(line, line + 14, strlen(line + 14) + 1);
	}
	snprintf(path, sizeof(path), "%s/guest-test-g0.vmcore", f.dir);
	make_note_stale(path, text);
	ck_assert_msg(!reader_open(path, NULL, &reader, why, sizeof(why)), "%s", why);
	ck_assert_ptr_nonnull(linux_dump_open(reader, false, &dump));
	ck_assert_ptr_null(linux_dump_open(reader, true, &dump));
	ck_assert_str_eq(dump->kernel.info.text, mini.info);
	linux_dump_close(dump);
	reader_close(reader);
}
END_TEST

Suite *suite_linux_dump(void)
{
	Suite *suite = suite_create("linux-dump");
	TCase *tc = tcase_create("engine");
	TCase *copy = tcase_create("copy");
	TCase *stale = tcase_create("stale notes");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, a_linux_guest_is_dumped_without_its_help, 0, ARRAY_LEN(strategies));
	tcase_add_loop_test(tc, vmcoreinfo_stands_after_the_notes_of_qemu_unchanged, 0, 2);
	tcase_add_loop_test(tc, who_is_no_linux_is_dumped_but_for_zeros_and_the_reason_is_told, 0, 3);
	tcase_add_test(tc, level_0_is_all_and_a_level_without_zeros_keeps_them);
	tcase_add_test(tc, what_was_found_once_is_not_looked_for_again);
	tcase_add_test(tc, the_dumper_does_it_in_its_sandbox_and_reports_the_log);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(stale, setup_stale, teardown);
	tcase_add_loop_test(stale, the_kernel_that_runs_is_told_from_one_of_the_same_release, 0, 2);
	tcase_add_loop_test(stale, a_stale_note_of_a_file_leads_to_a_search, 0, 2);
	suite_add_tcase(suite, stale);
	tcase_add_checked_fixture(copy, setup, teardown);
	tcase_add_test(copy, a_copy_for_gdb_has_the_kernels_addresses);
	tcase_add_loop_test(copy, a_dump_has_the_kernels_addresses_itself_if_that_is_wanted, 0,
		ARRAY_LEN(virtual_strategies));
	tcase_add_test(copy, modules_have_addresses_in_a_copy_alone);
	tcase_add_test(copy, hostile_tables_leave_the_dump_as_it_is);
	tcase_add_test(copy, hostile_tables_make_no_more_headers_than_there_may_be);
	tcase_add_test(copy, what_is_no_linux_has_no_such_copy);
	suite_add_tcase(suite, copy);
	return suite;
}
