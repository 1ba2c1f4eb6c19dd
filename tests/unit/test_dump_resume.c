/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_dump_resume.c - an engine is killed at its nth call that changes something, whichever that is, and another
 * one goes on: the dump is the same as if nobody had been killed.  For each way x selector x virtual addresses or none,
 * on the memory of a Linux kernel that also has page descriptors and a list, announced as the VMM does it.
 *
 * UNIT_TESTS_LONG=1: each call of each case; without it so many that are chosen by chance.
 */
#include "tests/unit/chance.h"
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"
#include "tests/vmcores/mini.h"

#include "dump/base/bitmap.h"
#include "dump/base/io.h"
#include "dump/engine/engine.h"
#include "dump/lz4/lz4_reader.h"
#include "dump/region/pagewalk.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	uint32_t strategy, sink;
	const char *mount; /* options of a tmpfs; NULL = /dev/shm */
} ways[] = {
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_ELF, NULL}, {DUMP_STRATEGY_VMAPP, DUMP_SINK_LZ4, NULL},
	{DUMP_STRATEGY_REMAP, DUMP_SINK_ELF, NULL}, {DUMP_STRATEGY_HYBRID, DUMP_SINK_ELF, NULL},
	{DUMP_STRATEGY_HYBRID, DUMP_SINK_ELF, "huge=always,size=256m"}, /* where it moves pages */
};
static const char *const selects[] = {"all", "zero", "list", "pages", "linux:31"};
#define CASES (int)(ARRAY_LEN(ways) * ARRAY_LEN(selects) * 2)

/* our choice: kills in a case that is not to take long */
#define KILLS 10

static struct dump_fixture f;
static struct mini mini;

static struct {
	unsigned way;
	const char *select;
	bool virtual;
} now;

/* ---- the guest ------------------------------------------------------------------------------------------ */

#define DESCS_PHYS (MINI_HOLE_END + 0x40000ull)
#define LIST_PHYS (MINI_HOLE_END + 0x50000ull)
#define NR_DESCS (MINI_HIGH_PFN + MINI_SEGMENT_PAGES)

/* Frames that are the kernel's in mini.h, and the tables below. */
static bool is_in_use(uint64_t pfn)
{
	return (pfn >= 0x20 && pfn < 0xc0) || (pfn >= DESCS_PHYS >> 12 && pfn <= LIST_PHYS >> 12);
}

static uint64_t pfn_of(uint64_t page)
{
	return page < MINI_SEGMENT_PAGES ? page : page - MINI_SEGMENT_PAGES + MINI_HIGH_PFN;
}

/* In huge pages a hole may have memory behind it, or not, so that nobody can say how many pages are zeros. */
static bool is_hole(uint64_t page)
{
	return !ways[now.way].mount && !is_in_use(pfn_of(page)) && page % 11 == 3;
}

static void fill_guest(void)
{
	struct fw_select list[] = {{MINI_DIRECT + 0x1000, 9}, {MINI_DIRECT + 0xc3000, 40}, {MINI_IMAGE, 3}};
	struct fw_page_desc *descs;

	mini_init(&mini, MINI_6_12, false);
	mini_free(&mini, 0xd0, 4);
	mini_cache(&mini, MINI_HIGH_PFN + 0x80, 5, false);
	for (uint64_t page = 0; page < MINI_PAGES; page++)
		if (!is_in_use(pfn_of(page)) && !is_hole(page) && page % 5)
			fixture_page(page, 99, mini.ram + page * PAGE_SIZE_4K);
	descs = mini_phys(&mini, DESCS_PHYS);
	for (uint64_t pfn = 0; pfn < NR_DESCS; pfn++)
		descs[pfn].refcount = is_in_use(pfn) || pfn % 3;
	memcpy(mini_phys(&mini, LIST_PHYS), list, sizeof(list));
	f.record->panic.page_desc = DESCS_PHYS;
	f.record->panic.nr_page_desc = NR_DESCS;
	f.record->panic.select = LIST_PHYS;
	f.record->panic.nr_select = ARRAY_LEN(list);
	f.record->panic.page_table = MINI_IMAGE_PHYS;
}

static void make_region(void)
{
	f.layout = mini.layout;
	f.record->layout = mini.layout;
	ck_assert_int_eq(ftruncate(f.region_fd, 0), 0);
	ck_assert_int_eq(ftruncate(f.region_fd, (off_t)dump_layout_file_size(&f.layout)), 0);
	ck_assert_int_eq(io_pwrite_full(f.region_fd, mini.ram, MINI_RAM, f.layout.head), 0);
	for (uint64_t page = 0; page < MINI_PAGES; page++)
		if (is_hole(page) && io_fallocate(f.region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					     f.layout.head + page * PAGE_SIZE_4K, PAGE_SIZE_4K))
			ck_abort_msg("cannot make a hole");
}

static void fill_record(void)
{
	for (uint32_t i = 0; i < 2; i++) {
		fixture_set_cpu(&f.record->cpus[i], i);
		f.record->cpus[i].saved = 1;
		f.record->cpus[i].cr[0] = PAGEWALK_CR0_PG;
		f.record->cpus[i].cr[3] = MINI_IMAGE_PHYS; /* of the kernel that runs */
		f.record->cpus[i].cr[4] = PAGEWALK_CR4_PAE;
		f.record->cpus[i].idt.base = 0xfffffe0000000000;
	}
	f.record->nr_regs = 1;
	f.record->regs[0].cpu = 1;
	memset(f.record->id, 7, sizeof(f.record->id)); /* so that two dumps are the same */
	f.record->options.chunk = KIB(64);
	f.record->options.strategy = ways[now.way].strategy;
	f.record->options.sink = ways[now.way].sink;
	f.record->options.virtual_headers = now.virtual;
	ck_assert_int_eq(dump_select_parse(now.select, &f.record->options.selectors), 0);
	dump_record_mark(f.record, DUMP_MOMENT_CRASH, 1);
}

/* False if this process may not mount what the way needs. */
static bool setup(void)
{
	fixture_init(&f, GIB(1), GIB(3), 2);
	if (ways[now.way].mount && !fixture_mount(&f, ways[now.way].mount)) {
		printf("SKIP hybrid on huge pages: cannot mount a tmpfs: %s\n", strerror(errno));
		fixture_fini(&f);
		return false;
	}
	fill_guest();
	make_region();
	fill_record();
	ck_assert_int_eq(dump_engine_announce(f.record, f.region_fd, f.dir_fd, -1, f.dir_fd), 0);
	return true;
}

/* ---- the judge ------------------------------------------------------------------------------------------ */

/* A dump as anybody reads it. */
struct image {
	unsigned char *bytes;
	const Elf64_Ehdr *ehdr;
	const Elf64_Phdr *phdrs;
	const uint64_t *bitmap;
	const struct vmcore_trailer *trailer;
};

static bool is_lz4(void)
{
	return ways[now.way].sink == DUMP_SINK_LZ4;
}

static void image_load(struct image *image)
{
	size_t size = dump_layout_file_size(&f.layout);
	int fd = fixture_open(&f, is_lz4() ? "guest-test-g0.vmcore.lz4" : "guest-test-g0.vmcore");
	struct vmcore_places places = vmcore_places(&f.layout, KIB(64));
	struct lz4_reader *reader = NULL;

	image->bytes = malloc(size);
	ck_assert_ptr_nonnull(image->bytes);
	if (is_lz4()) {
		ck_assert_int_eq(lz4_reader_open(fd, 0, &reader), 0);
		ck_assert_int_eq(lz4_reader_read(reader, 0, image->bytes, size), 0);
		lz4_reader_close(reader);
	} else {
		ck_assert_int_eq(io_pread_full(fd, image->bytes, size, 0), 0);
	}
	close(fd);
	image->ehdr = (const void *)image->bytes;
	image->phdrs = (const void *)(image->bytes + sizeof(Elf64_Ehdr));
	image->bitmap = (const void *)(image->bytes + places.bitmap_off);
	image->trailer = (const void *)(image->bytes + places.trailer_off);
}

static void check_pages(const struct image *image, const struct image *whole)
{
	static const unsigned char zeros[PAGE_SIZE_4K];

	for (uint64_t page = 0; page < MINI_PAGES; page++) {
		bool selected = bitmap_test(image->bitmap, page);
		const unsigned char *want = selected ? mini.ram + page * PAGE_SIZE_4K : zeros;

		if (selected != bitmap_test(whole->bitmap, page))
			ck_abort_msg("page %d: its bit", (int)page);
		if (memcmp(image->bytes + f.layout.head + page * PAGE_SIZE_4K, want, PAGE_SIZE_4K))
			ck_abort_msg("page %d: its contents", (int)page);
	}
}

static void check_trailer(const struct vmcore_trailer *trailer, const struct vmcore_trailer *whole)
{
	ck_assert_uint_eq(trailer->state, VMCORE_STATE_COMPLETE);
	ck_assert_uint_eq(trailer->role, VMCORE_ROLE_DUMP);
	ck_assert_uint_eq(trailer->flags, whole->flags);
	ck_assert_int_eq(trailer->error, 0);
	ck_assert_uint_eq(trailer->distrusted, 0);
	ck_assert_uint_eq(trailer->unreadable, 0);
	ck_assert_mem_eq(trailer->reasons, whole->reasons, sizeof(whole->reasons));
	for (int i = 0; i < DUMP_SELECTOR_NR; i++)
		ck_assert_msg(trailer->excluded[i] == whole->excluded[i],
			"%s excluded %llu pages, %llu without a kill", dump_selectors[i].name,
			(unsigned long long)trailer->excluded[i], (unsigned long long)whole->excluded[i]);
}

static bool is_note(const unsigned char *at, const char *name, uint32_t type)
{
	const Elf64_Nhdr *note = (const void *)at;

	return note->n_type == type && !strcmp((const char *)(note + 1), name);
}

static size_t note_bytes(const unsigned char *at)
{
	const Elf64_Nhdr *note = (const void *)at;

	return sizeof(*note) + u64_align_up(note->n_namesz, 4) + u64_align_up(note->n_descsz, 4);
}

/* Whatever the moments are: one object, blanks to the end of the line. */
static void check_timeline(const unsigned char *at, size_t bytes)
{
	const char *text = (const char *)at + bytes - VMCORE_TIMELINE_BYTES;
	const char *end = memmem(text, VMCORE_TIMELINE_BYTES, "}}", 2);

	ck_assert(!memcmp(text, "{\"clock\": ", 10));
	ck_assert_ptr_nonnull(memmem(text, VMCORE_TIMELINE_BYTES, "\"crash\": 1,", 11));
	ck_assert_ptr_nonnull(end);
	ck_assert_uint_eq(strspn(end + 2, " "), VMCORE_TIMELINE_BYTES - 3 - (size_t)(end - text));
	ck_assert_int_eq(text[VMCORE_TIMELINE_BYTES - 1], '\n');
}

/* All notes of @whole, in their order, and what is in them; program headers the same but for where the notes are. */
static void check_head(const struct image *image, const struct image *whole)
{
	const unsigned char *at = image->bytes + image->phdrs[0].p_offset;
	const unsigned char *want = whole->bytes + whole->phdrs[0].p_offset;
	unsigned infos = 0;

	ck_assert_mem_eq(image->ehdr, whole->ehdr, sizeof(*whole->ehdr));
	ck_assert_mem_eq(
		image->phdrs + 1, whole->phdrs + 1, (whole->ehdr->e_phnum - 1u) * sizeof(whole->phdrs[0]));
	ck_assert_uint_eq(image->phdrs[0].p_filesz, whole->phdrs[0].p_filesz);
	for (size_t off = 0, bytes; off < whole->phdrs[0].p_filesz; off += bytes) {
		bytes = note_bytes(want + off);
		infos += is_note(at + off, "VMCOREINFO", 0);
		if (is_note(want + off, "MINIVMM", VMCORE_NOTE_TIMELINE)) {
			ck_assert_uint_eq(note_bytes(at + off), bytes);
			check_timeline(at + off, bytes);
		} else {
			ck_assert_mem_eq(at + off, want + off, bytes);
		}
	}
	ck_assert_uint_eq(infos, 1);
}

static void check_image(const struct image *image, const struct image *whole)
{
	check_pages(image, whole);
	check_trailer(image->trailer, whole->trailer);
	check_head(image, whole);
	ck_assert_uint_eq(fixture_nr_files(&f), 1);
}

/* ---- killed and gone on with ---------------------------------------------------------------------------- */

static unsigned calls, dies_at;

/*
 * Only calls that change something: two kills between two of them are the same one.  Of a hybrid dump the reads change
 * something too: it reads pages into mappings of its files.
 */
static int count_calls(enum io_call call, size_t *len)
{
	(void)len;
	if ((call == IO_PREAD && ways[now.way].strategy != DUMP_STRATEGY_HYBRID) || call == IO_SEEK)
		return 0;
	if (++calls == dies_at)
		raise(SIGKILL);
	return 0;
}

static int open_what_is_left(void)
{
	int fd = openat(f.dir_fd,
		is_lz4() ? "guest-test-g0.vmcore.lz4.partial" : "guest-test-g0.vmcore.partial",
		O_RDWR | O_CLOEXEC);

	return fd >= 0 ? fd
		       : openat(f.dir_fd, is_lz4() ? "guest-test-g0.vmcore.lz4" : "guest-test-g0.vmcore",
				 O_RDWR | O_CLOEXEC);
}

static void run_to_the_end(bool resume)
{
	struct dump_engine engine = fixture_engine(&f);

	engine.resume = resume;
	engine.given_dump_fd = resume ? open_what_is_left() : -1;
	ck_assert_msg(!dump_engine_run(&engine), "%s", engine.why);
	if (engine.given_dump_fd >= 0)
		close(engine.given_dump_fd);
}

/* An engine in a process of its own, killed at call @nth.  False if it ended before. */
static bool run_to_call(unsigned nth, bool resume)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (!child) {
		struct dump_engine engine = fixture_engine(&f);

		engine.proc_fd = publish_proc_open(); /* the parent's shows the parent's files */
		engine.resume = resume;
		engine.given_dump_fd = resume ? open_what_is_left() : -1;
		calls = 0;
		dies_at = nth;
		io_test_hook = count_calls;
		_exit(dump_engine_run(&engine) ? 1 : 0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : !WEXITSTATUS(status));
	return WIFSIGNALED(status);
}

/* The dump without a kill.  Result: the calls that make it; 0 if it cannot be made here. */
static unsigned make_whole(struct image *whole)
{
	if (!setup())
		return 0;
	calls = dies_at = 0;
	io_test_hook = count_calls;
	run_to_the_end(false);
	io_test_hook = NULL;
	image_load(whole);
	check_image(whole, whole);
	ck_assert_uint_eq(whole->ehdr->e_phnum, now.virtual ? 1 + 2 + 4 : 1 + 2);
	fixture_fini(&f);
	return calls;
}

/* @again: where the second one is killed, 0 = nowhere. */
static void end_and_go_on(unsigned nth, unsigned again, const struct image *whole)
{
	struct image image;

	ck_assert(setup());
	ck_assert_msg(run_to_call(nth, false), "call %u never came", nth);
	if (again)
		run_to_call(again, true);
	run_to_the_end(true);
	image_load(&image);
	check_image(&image, whole);
	free(image.bytes);
	fixture_fini(&f);
}

START_TEST(a_dump_is_the_same_whichever_call_its_dumper_was_killed_at)
{
	unsigned nr, step;
	struct image whole;

	now.way = (unsigned)_i / ARRAY_LEN(selects) / 2;
	now.select = selects[_i / 2 % (int)ARRAY_LEN(selects)];
	now.virtual = _i % 2;
	chance_begin(__func__, _i);
	nr = make_whole(&whole);
	if (!nr)
		return;
	step = getenv("UNIT_TESTS_LONG") ? 1 : nr / KILLS + 1;
	for (unsigned nth = (unsigned)chance_below(step) + 1; nth <= nr; nth += step)
		end_and_go_on(nth, chance_below(3) ? 0 : (unsigned)chance_below(nr) + 1, &whole);
	free(whole.bytes);
}
END_TEST

/* ---- tables that are another's --------------------------------------------------------------------------- */

/* What was fixed when the trailer was made; docs/vmcore.md has the offsets. */
static const size_t fixed[] = {28, 32, 40, 48, 56, 64, 72, 88, 104, 112, 304, 400, 672, 687, 688, 692, 696};

/* The file that has the tables, of a dump that was killed when about half of its memory was released; -1: not such a way. */
static int kill_in_the_middle(unsigned nr)
{
	int fd;

	ck_assert(setup());
	ck_assert(run_to_call(nr / 2, false));
	ck_assert_uint_eq(f.record->released, 1);
	if (ways[now.way].strategy == DUMP_STRATEGY_REMAP || is_lz4())
		return f.region_fd;
	fd = fixture_open(&f, "guest-test-g0.vmcore.partial");
	return fd;
}

static void flip(int fd, size_t at)
{
	uint64_t off = dump_layout_file_size(&f.layout) - PAGE_SIZE_4K + at;
	unsigned char byte;

	ck_assert_int_eq(io_pread_full(fd, &byte, 1, off), 0);
	byte ^= 0x40;
	ck_assert_int_eq(io_pwrite_full(fd, &byte, 1, off), 0);
}

START_TEST(tables_of_another_dump_are_not_believed_and_nothing_is_begun_anew)
{
	struct dump_engine engine;
	unsigned nr, files;
	struct image whole, image;
	int fd;

	now.way = (unsigned)_i;
	now.select = "pages";
	nr = make_whole(&whole);
	if (!nr)
		return;
	fd = kill_in_the_middle(nr);
	files = fixture_nr_files(&f);
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		flip(fd, fixed[i]);
		engine = fixture_engine(&f);
		engine.resume = true;
		engine.given_dump_fd = open_what_is_left();
		ck_assert_msg(dump_engine_run(&engine) == -ESTALE, "byte %zu of the trailer is believed",
			fixed[i]);
		ck_assert_uint_eq(fixture_nr_files(&f), files);
		close(engine.given_dump_fd);
		flip(fd, fixed[i]);
	}
	run_to_the_end(true);
	image_load(&image);
	check_image(&image, &whole);
	free(image.bytes);
	free(whole.bytes);
	fixture_fini(&f);
}
END_TEST

START_TEST(bits_behind_the_last_page_are_nobodys)
{
	struct dump_tail tail;
	uint64_t pages;

	fixture_init(&f, 37 * PAGE_SIZE_4K, GIB(3), 1);
	pages = f.layout.ram / PAGE_SIZE_4K;
	ck_assert_uint_ne(pages % 64, 0);
	ck_assert_int_eq(dump_tail_init(&tail, f.region_fd, f.record, VMCORE_ROLE_REGION), 0);
	tail.selected[pages / 64] = ~0ull;
	dump_tail_fini(&tail);
	ck_assert_int_eq(dump_tail_adopt(&tail, f.region_fd, f.record), 0);
	ck_assert_uint_eq(tail.selected[pages / 64], (1ull << pages % 64) - 1);
	dump_tail_fini(&tail);
	fixture_fini(&f);
}
END_TEST

/* ---- the plan ------------------------------------------------------------------------------------------- */

#define OURS(r, s)                                                                                         \
	{                                                                                                  \
		.ours = true, .role = VMCORE_ROLE_##r, .state = VMCORE_STATE_##s                           \
	}

static const struct {
	uint32_t strategy, sink;
	struct plan_facts facts;
	int plan; /* or -errno */
} plans[] = {
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_ELF, {.released = true}, PLAN_FRESH},
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_ELF, {.resume = true}, PLAN_FRESH},
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_ELF, {.resume = true, .dump = OURS(DUMP, PREPARING)}, PLAN_FRESH},
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_ELF, {.resume = true, .dump = OURS(DUMP, DUMPING)}, PLAN_CONTINUE},
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_ELF, {.resume = true, .dump = OURS(DUMP, FAILED)}, PLAN_CONTINUE},
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_ELF, {.resume = true, .dump = OURS(DUMP, COMPLETE)},
		PLAN_NAME_ONLY},
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_ELF, {.resume = true, .released = true}, -ESTALE},
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_ELF,
		{.resume = true, .released = true, .dump = OURS(DUMP, PREPARING)}, -ESTALE},
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_ELF, {.resume = true, .released = true, .named = true},
		PLAN_REMOVE_ONLY},
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_LZ4, {.resume = true, .region = OURS(REGION, DUMPING)},
		PLAN_CONTINUE},
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_LZ4,
		{.resume = true, .begun = true, .given = true, .region = OURS(REGION, DUMPING)},
		PLAN_REWRITE},
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_LZ4,
		{.resume = true, .begun = true, .region = OURS(REGION, DUMPING)}, -ESTALE},
	{DUMP_STRATEGY_VMAPP, DUMP_SINK_LZ4, {.resume = true, .released = true, .given = true}, -ESTALE},
	{DUMP_STRATEGY_REMAP, DUMP_SINK_ELF, {.resume = true, .region = OURS(REGION, PREPARING)},
		PLAN_FRESH},
	{DUMP_STRATEGY_REMAP, DUMP_SINK_ELF, {.resume = true, .region = OURS(REGION, DUMPING)},
		PLAN_CONTINUE},
	{DUMP_STRATEGY_REMAP, DUMP_SINK_ELF, {.resume = true, .region = OURS(REGION, COMPLETE)},
		PLAN_FINISH},
	{DUMP_STRATEGY_REMAP, DUMP_SINK_ELF, {.resume = true, .region = OURS(DUMP, COMPLETE)},
		PLAN_NAME_ONLY},
	{DUMP_STRATEGY_REMAP, DUMP_SINK_ELF, {.resume = true, .released = true}, -ESTALE},
	{DUMP_STRATEGY_HYBRID, DUMP_SINK_ELF,
		{.resume = true, .region = OURS(REGION, PREPARING), .dump = OURS(DUMP, DUMPING)},
		PLAN_CONTINUE},
	{DUMP_STRATEGY_HYBRID, DUMP_SINK_ELF,
		{.resume = true, .region = OURS(REGION, DUMPING), .dump = OURS(DUMP, DUMPING)},
		PLAN_FINISH},
	{DUMP_STRATEGY_HYBRID, DUMP_SINK_ELF,
		{.resume = true, .released = true, .region = OURS(REGION, PREPARING)}, -ESTALE},
	{DUMP_STRATEGY_HYPERCALL, DUMP_SINK_ELF, {.resume = true, .released = true}, PLAN_FRESH},
	{DUMP_STRATEGY_ADDMEM, DUMP_SINK_ELF, {.resume = true, .dump = OURS(DUMP, DUMPING)}, PLAN_CONTINUE},
};

START_TEST(the_plan_never_begins_anew_where_memory_is_missing)
{
	struct plan_facts facts = plans[_i].facts;
	enum plan plan = PLAN_FRESH;
	int r;

	facts.strategy = &dump_strategies[plans[_i].strategy];
	facts.compressed = dump_sinks[plans[_i].sink].compressed;
	r = plan_make(&facts, &plan);
	ck_assert_int_eq(r ? r : (int)plan, plans[_i].plan);
}
END_TEST

Suite *suite_dump_resume(void)
{
	Suite *suite = suite_create("dump resume");
	TCase *tc = tcase_create("resume");

	tcase_set_timeout(tc, 600);
	tcase_add_loop_test(tc, a_dump_is_the_same_whichever_call_its_dumper_was_killed_at, 0, CASES);
	tcase_add_loop_test(tc, tables_of_another_dump_are_not_believed_and_nothing_is_begun_anew, 0,
		(int)ARRAY_LEN(ways));
	tcase_add_test(tc, bits_behind_the_last_page_are_nobodys);
	tcase_add_loop_test(
		tc, the_plan_never_begins_anew_where_memory_is_missing, 0, (int)ARRAY_LEN(plans));
	suite_add_tcase(suite, tc);
	return suite;
}
