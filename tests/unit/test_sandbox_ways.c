/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_sandbox_ways.c - every way of dumping stays within what the dumper's filter allows: each runs in a
 * dumper process of its own, which a system call that was not foreseen kills by SIGSYS.
 *
 * The guest is the small Linux with more of everything than fits into a kilobyte, since libraries choose other ways
 * for what is large: page tables of many runs, a long list, a descriptor of each page.
 */
#include "tests/unit/dump_fixture.h"
#include "tests/unit/suites.h"
#include "tests/vmcores/mini.h"

#include "dump/base/io.h"
#include "dump/dumper/dumper.h"
#include "dump/dumper/sandbox.h"
#include "dump/record/choices.h"
#include "dump/region/pagewalk.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 20000
#define DESC_PHYS 0xc0000ull
#define LIST_PHYS 0xd0000ull
#define LIST_ENTRIES 200

static const char *const selects[] = {"all", "zero", "list", "pages", "zero,pages", "linux:31", "linux:1"};

static struct mini mini;

/* The entry of 4 KiB that maps @gva, which is mapped so. */
static uint64_t *entry_of(uint64_t gva)
{
	uint64_t table = MINI_IMAGE_PHYS;

	for (int shift = 48; shift > 12; shift -= 9)
		table = ((uint64_t *)mini_phys(&mini, table))[gva >> shift & 511] & ~0xfffull;
	return (uint64_t *)mini_phys(&mini, table) + (gva >> 12 & 511);
}

/* Takes every second page out of the direct map where nobody looks by it: about 70 runs are left. */
static void cut_direct_map(void)
{
	for (uint64_t pfn = 0x20; pfn < MINI_SEGMENT_PAGES; pfn += pfn == 0x5e ? 0xb2 - 0x5e : 2)
		*entry_of(MINI_DIRECT + pfn * PAGE_SIZE_4K) = 0;
}

static void make_guest(void)
{
	struct fw_select *list;
	struct fw_page_desc *descs;

	mini_init(&mini, MINI_6_12, true);
	mini_free(&mini, 8, 3);
	mini_cache(&mini, MINI_HIGH_PFN, 7, false);
	cut_direct_map();
	descs = mini_phys(&mini, DESC_PHYS);
	for (size_t i = 0; i < MINI_SEGMENT_PAGES; i++)
		descs[i].refcount = 1;
	list = mini_phys(&mini, LIST_PHYS);
	for (size_t i = 0; i < LIST_ENTRIES; i++)
		list[i] = (struct fw_select){MINI_IMAGE + (i * 7 & 63) * PAGE_SIZE_4K, 1};
}

/* A fixture whose guest has @mini's memory. */
static void use_mini(struct dump_fixture *f)
{
	struct dump_cpu *cpu = &f->record->cpus[0];

	f->layout = mini.layout;
	f->record->layout = mini.layout;
	ck_assert_int_eq(ftruncate(f->region_fd, 0), 0);
	ck_assert_int_eq(ftruncate(f->region_fd, (off_t)dump_layout_file_size(&f->layout)), 0);
	ck_assert_int_eq(io_pwrite_full(f->region_fd, mini.ram, MINI_RAM, f->layout.head), 0);
	cpu->saved = 1;
	cpu->cr[0] = PAGEWALK_CR0_PG;
	cpu->cr[3] = MINI_IMAGE_PHYS;
	cpu->cr[4] = PAGEWALK_CR4_PAE | PAGEWALK_CR4_LA57;
	cpu->idt.base = 0xfffffe0000000000;
	f->record->panic.page_table = MINI_IMAGE_PHYS;
	f->record->panic.select = LIST_PHYS;
	f->record->panic.nr_select = LIST_ENTRIES;
	f->record->panic.page_desc = DESC_PHYS;
	f->record->panic.nr_page_desc = MINI_SEGMENT_PAGES;
	f->record->options.chunk = KIB(64);
	f->record->options.workers = 3;
}

/* Headers of memory in the file that has been published; 0 for one that is compressed. */
static size_t count_loads(const struct dump_fixture *f)
{
	struct elf_view view;
	size_t nr = 0;
	int fd;

	if (!fixture_exists(f, "guest-test-g0.vmcore"))
		return 0;
	fd = fixture_open(f, "guest-test-g0.vmcore");
	elf_open(&view, fd);
	for (size_t i = 0; i < view.ehdr->e_phnum; i++)
		nr += view.phdrs[i].p_type == PT_LOAD;
	elf_close(&view);
	close(fd);
	return nr;
}

/* Why the dumper has ended, in words. */
static const char *end_of(struct dumper *dumper)
{
	int status;

	if (waitpid(dumper->pid, &status, 0) != dumper->pid)
		return "nobody knows why";
	dumper->pid = 0;
	return WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it exited";
}

static void dump(struct dump_fixture *f, const char *what)
{
	const struct dumper_files files = {.record = f->record_fd,
		.region = f->region_fd,
		.region_dir = f->dir_fd,
		.dir = f->dir_fd,
		.fallback_dir = -1,
		.dump = -1,
		.released = -1};
	struct dumper_event event = {0};
	struct dumper dumper;
	struct pollfd ready = {.events = POLLIN};
	int r;

	ck_assert_int_eq(dumper_spawn(&dumper), 0);
	ck_assert_int_eq(dumper_start(&dumper, &files), 0);
	ready.fd = dumper.socket;
	do {
		ck_assert_int_eq(poll(&ready, 1, WAIT_MS), 1);
		r = dumper_receive(&dumper, &event);
	} while (r == 1 && event.type != DUMPER_DONE && event.type != DUMPER_FAILED);
	ck_assert_msg(r == 1, "%s: the dumper has ended: %s", what, end_of(&dumper));
	ck_assert_msg(event.type == DUMPER_DONE, "%s: %s", what, event.text);
	ck_assert_msg(!event.distrusted, "%s: %s", what, event.text); /* then it would have seen little */
	dumper_fini(&dumper);
}

static void dump_one_way(uint32_t strategy, uint32_t sink, const char *select, bool virtual)
{
	struct dump_fixture f;
	char what[96];

	snprintf(what, sizeof(what), "%s, %s, %s%s", dump_strategies[strategy].name, dump_sinks[sink].name,
		select, virtual ? ", virtual headers" : "");
	fixture_init(&f, GIB(1), GIB(3), 1);
	use_mini(&f);
	f.record->options.strategy = strategy;
	f.record->options.sink = sink;
	f.record->options.virtual_headers = virtual;
	ck_assert_int_eq(dump_select_parse(select, &f.record->options.selectors), 0);
	dump(&f, what);
	/* the size of what was sorted is what this test is about */
	if (virtual && !strcmp(dump_sinks[sink].name, "none") &&
		!strcmp(dump_strategies[strategy].name, "vmapp"))
		ck_assert_msg(count_loads(&f) > 64, "%s: %zu headers", what, count_loads(&f));
	fixture_fini(&f);
}

/* Number of the @nth strategy that the dumper carries out: what a guest does itself ends in one of them. */
static uint32_t find_strategy(int nth)
{
	uint32_t i = 0;

	while (dump_strategies[i].guest_mode != FW_DUMP_MODE_VMM || nth--)
		i++;
	return i;
}

static int count_strategies(void)
{
	int nr = 0;

	for (size_t i = 0; i < dump_nr_strategies; i++)
		nr += dump_strategies[i].guest_mode == FW_DUMP_MODE_VMM;
	return nr;
}

START_TEST(every_way_of_dumping_stays_within_the_filter)
{
	uint32_t strategy = find_strategy(_i);

	make_guest();
	for (uint32_t sink = 0; sink < (dump_strategies[strategy].sinks ? dump_nr_sinks : 1); sink++)
		for (size_t i = 0; i < ARRAY_LEN(selects); i++)
			for (int virtual = 0; virtual < 2; virtual ++)
				dump_one_way(strategy, sink, selects[i], virtual);
}
END_TEST

/* What glibc says of a damaged heap on its way to abort() goes by calls of its own. */
START_TEST(a_damaged_heap_ends_the_dumper_by_abort_and_not_by_the_filter)
{
	pid_t child = fork();
	int status;

	if (!child) {
		char *volatile block = malloc(64);
		char *volatile inside = block + 16; /* the compiler is not to see it */

		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		if (sandbox_enter())
			_exit(101);
		free(inside);
		_exit(102);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) < 101); /* a sanitizer exits */
	ck_assert(!WIFSIGNALED(status) || WTERMSIG(status) == SIGABRT);
}
END_TEST

Suite *suite_sandbox_ways(void)
{
	Suite *s = suite_create("sandbox ways");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, every_way_of_dumping_stays_within_the_filter, 0, count_strategies());
	tcase_add_test(tc, a_damaged_heap_ends_the_dumper_by_abort_and_not_by_the_filter);
	suite_add_tcase(s, tc);
	return s;
}
