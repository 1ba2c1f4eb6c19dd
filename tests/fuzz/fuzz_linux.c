/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_linux.c - intent: no VMCOREINFO, page table, section, struct page, log or symbol table of a Linux
 * guest makes the dumper or the tools read outside what they may, mark pages that do not exist, or work for long.
 *
 * Input: u8 kernel and levels of page tables, u8 level, then records {u8 kind, u24 place, u64 value} that change the
 * small kernel of tests/vmcores/mini.h: kind 0 to 5: the word at RAM offset place * 8; 6 and 7: the last byte of
 * value at place of VMCOREINFO's text. Bits 3 and 4 of kind: places near the page tables, the struct pages, the log.
 */
#include "tests/fuzz/guest.h"

#include "dump/bitmap.h"
#include "dump/linux_find.h"
#include "dump/linux_log.h"
#include "dump/linux_pages.h"
#include "dump/linux_report.h"
#include "dump/linux_stack.h"
#include "tests/vmcores/mini.h"

#include <stdlib.h>
#include <string.h>

#define WORDS (MINI_PAGES / 64)
#define RECORDS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct undo {
	uint64_t off, value;
};

static struct mini *kernels[2 * MINI_KERNELS];
static struct undo undone[RECORDS_MAX];
static size_t nr_undone;

static int read_ram(void *arg, uint64_t gpa, void *buf, size_t len)
{
	const struct mini *mini = arg;
	uint64_t off;

	if (dump_layout_offset(&mini->layout, gpa, len, &off))
		return -14; /* EFAULT */
	memcpy(buf, mini->ram + off, len);
	return 0;
}

/* The unchanged kernel, with pages of every kind. */
static struct mini *kernel_of(uint8_t choice)
{
	unsigned nr = choice % (2 * MINI_KERNELS);
	struct mini *mini = kernels[nr];

	if (mini)
		return mini;
	mini = malloc(sizeof(*mini));
	must(mini, "memory");
	mini_init(mini, (enum mini_kernel)(nr / 2), nr % 2);
	mini_free(mini, 8, 3);
	mini_cache(mini, 16, 0, false);
	mini_cache(mini, 17, 0, true);
	mini_swapcache(mini, 18);
	mini_anon(mini, 19, 0);
	mini_offline(mini, 20);
	mini_hwpoison(mini, 21);
	mini_slab(mini, 24, 2);
	mini_anon(mini, MINI_HIGH_PFN + 64, 5);
	mini_hugetlb(mini, MINI_HIGH_PFN + 128, 6);
	kernels[nr] = mini;
	return mini;
}

/* Where a record's place begins to count: what is worth changing lies together. */
static uint64_t place_of(uint8_t kind, uint32_t place)
{
	static const uint64_t starts[] = {0, 0xa0000, 0x80000, 0x22000};
	uint64_t start = starts[kind >> 3 & 3];

	return (start + (uint64_t)place * 8) % (MINI_RAM - 8) & ~7ull;
}

static void change(struct mini *mini, const uint8_t *data, size_t size)
{
	for (nr_undone = 0; size && nr_undone < RECORDS_MAX; nr_undone++) {
		struct undo *undo = &undone[nr_undone];
		uint32_t place = 0;
		uint64_t value;
		uint8_t kind;

		fuzz_take(&data, &size, &kind, 1);
		fuzz_take(&data, &size, &place, 3);
		fuzz_take(&data, &size, &value, 8);
		undo->off = place_of(kind, place);
		if ((kind & 7) >= 6) {
			undo->off = MINI_NOTE_PHYS + place % 4096 / 8 * 8;
			memcpy(&undo->value, mini->ram + undo->off, 8);
			mini->ram[undo->off + place % 8] = (uint8_t)value;
			continue;
		}
		memcpy(&undo->value, mini->ram + undo->off, 8);
		memcpy(mini->ram + undo->off, &value, 8);
	}
}

static void change_back(struct mini *mini)
{
	while (nr_undone--)
		memcpy(mini->ram + undone[nr_undone].off, &undone[nr_undone].value, 8);
}

static void check_pages(struct linux_kernel *kernel, uint32_t level)
{
	uint64_t drop[WORDS + 2] = {0}, counts[LINUX_REASONS] = {0}, sum = 0;
	const char *why = linux_pages_mark(kernel, level, 1, drop + 1, counts);

	must(!drop[0] && !drop[WORDS + 1], "no bits of pages that do not exist");
	for (size_t i = 0; i < LINUX_REASONS; i++)
		sum += counts[i];
	must(sum == bitmap_count(drop + 1, MINI_PAGES), "each page counts once");
	must(!why || !sum, "who is not believed drops nothing");
	must(level > 1 || !sum, "levels 0 and 1 drop nothing here");
}

static void check_log(struct linux_kernel *kernel)
{
	static struct linux_log_record record;
	static struct linux_report report;
	struct linux_log log;
	char line[256];

	linux_report_make(&report, kernel);
	must(report.nr_lines <= LINUX_REPORT_LINES, "a bounded report");
	for (uint32_t i = 0; i < report.nr_lines; i++)
		for (const char *c = report.lines[i]; *c; c++)
			must(*c >= ' ' && *c <= '~', "a printable report");
	if (linux_log_open(&log, kernel))
		return;
	must(log.end - log.first <= 1ull << LINUX_LOG_COUNT_BITS_MAX, "a bounded log");
	for (uint64_t id = log.first; id < log.end && id < log.first + 64; id++)
		if (linux_log_read(&log, id, &record))
			must(linux_log_format(&record, line, sizeof(line)) < sizeof(line),
				"a line that ends");
}

static void count_frame(void *arg, const struct linux_frame *frame)
{
	must(!frame->named || strlen(frame->symbol.name) < LINUX_SYMBOL_NAME_MAX, "a name that ends");
	(*(unsigned *)arg)++;
}

static void check_symbols(struct linux_kernel *kernel)
{
	struct linux_symbols *symbols;
	unsigned nr = 0;

	if (linux_symbols_load(kernel, &symbols))
		return;
	must(linux_stack_walk(kernel, symbols, MINI_IMAGE + 0x180, MINI_STACK, count_frame, &nr) == nr,
		"frames");
	must(nr <= LINUX_STACK_BYTES / 8 + 1, "no more frames than words");
	linux_symbols_free(symbols);
}

static void check_pointer(const struct mini *mini, const struct guest_view *view)
{
	struct vmcoreinfo info;

	if (linux_find_info(view, MINI_IMAGE_PHYS, mini->levels5 ? PAGEWALK_CR4_LA57 : 0, &info) == 1)
		must(info.len >= VMCOREINFO_TEXT_MIN, "what is found is a text");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct linux_kernel kernel;
	struct vmcoreinfo info;
	struct guest_view view;
	struct mini *mini;
	uint8_t choice, level;

	fuzz_take(&data, &size, &choice, 1);
	fuzz_take(&data, &size, &level, 1);
	mini = kernel_of(choice);
	change(mini, data, size);
	view = (struct guest_view){.fd = -1, .layout = &mini->layout, .read = read_ram, .arg = mini};
	if (vmcoreinfo_at(&view, MINI_NOTE_PHYS, &info) && !linux_kernel_init(&kernel, &view, &info)) {
		check_pages(&kernel, level & LINUX_LEVEL_MAX);
		check_log(&kernel);
		if (level & 0x80)
			check_symbols(&kernel);
	}
	if ((level & 0x60) == 0x60) /* up to 128 MiB of image: not every time */
		check_pointer(mini, &view);
	change_back(mini);
	return 0;
}
