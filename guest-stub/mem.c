/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/mem.c - see mem.h.
 */
#include "guest-stub/machine.h"
#include "guest-stub/mem.h"
#include "guest-stub/paging.h"

/* our choice: runs that a list holds; a free that would need more is refused and its pages stay used */
#define MAX_RUNS 256

/* our choice: conventional memory is left alone, the AP entry page and the VMM's tables are there */
#define LOW_PAGES 256

extern char _start[], _end[];

struct mem mem;

/* Runs of frames, ascending, never adjacent. */
struct run_list {
	uint32_t nr;
	struct run runs[MAX_RUNS];
};

static struct run_list free_runs; /* what can be allocated */
static struct run_list untouched; /* the part of it that was never allocated */

static uint64_t align_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

static bool run_insert(struct run_list *list, uint32_t at, struct run run)
{
	if (list->nr == MAX_RUNS)
		return false;
	for (uint32_t i = list->nr; i > at; i--)
		list->runs[i] = list->runs[i - 1];
	list->runs[at] = run;
	list->nr++;
	return true;
}

static void run_remove(struct run_list *list, uint32_t at)
{
	list->nr--;
	for (uint32_t i = at; i < list->nr; i++)
		list->runs[i] = list->runs[i + 1];
}

/* Takes @count frames at @first out of run number @at, which contains them.  False: no room for what remains. */
static bool run_take(struct run_list *list, uint32_t at, uint64_t first, uint64_t count)
{
	struct run *run = &list->runs[at];
	struct run above = {first + count, run->first + run->count - first - count};

	if (above.count && first > run->first && !run_insert(list, at + 1, above))
		return false;
	if (first > run->first)
		run->count = first - run->first;
	else if (above.count)
		*run = above;
	else
		run_remove(list, at);
	return true;
}

/* Takes the frames of @taken out of every run of @list.  False: no room for what remains of one. */
static bool list_cut(struct run_list *list, struct run taken)
{
	for (uint32_t i = list->nr; i-- > 0;) {
		const struct run *run = &list->runs[i];
		uint64_t first = run->first > taken.first ? run->first : taken.first;
		uint64_t end = run->first + run->count;

		if (end > taken.first + taken.count)
			end = taken.first + taken.count;
		if (first < end && !run_take(list, i, first, end - first))
			return false;
	}
	return true;
}

/* Finds in @list, which is free, and takes; the descriptors are not touched. */
static struct run take(const struct run_list *list, uint64_t want, uint64_t align)
{
	struct run best = {0, 0};

	for (uint32_t i = 0; i < list->nr && best.count < want; i++) {
		const struct run *run = &list->runs[i];
		uint64_t first = align_up(run->first, align), end = run->first + run->count;
		uint64_t count = first < end ? end - first : 0;

		if (count > want)
			count = want;
		if (count > best.count)
			best = (struct run){first, count};
	}
	if (best.count && !list_cut(&free_runs, best))
		best.count = 0;
	if (!list_cut(&untouched, best))
		untouched.nr = 0; /* everything counts as used: that costs time, no page */
	return best;
}

static void set_desc(struct run run, uint32_t refcount, uint32_t flags)
{
	for (uint64_t i = 0; i < run.count; i++)
		mem.desc[run.first + i] = (struct fw_page_desc){refcount, flags};
}

struct run pages_alloc(uint64_t want, uint64_t align, uint32_t flags)
{
	struct run run = take(&free_runs, want, align);

	set_desc(run, 1, flags);
	return run;
}

struct run pages_alloc_untouched(uint64_t want)
{
	struct run run = take(&untouched, want, 1);

	set_desc(run, 1, FW_PAGE_RESERVED);
	return run;
}

/* Adds a run that overlaps none of @list.  False: no room for one more. */
static bool list_join(struct run_list *list, struct run run)
{
	struct run *runs = list->runs;
	uint32_t at = 0;
	bool joins_below, joins_above;

	while (at < list->nr && runs[at].first < run.first)
		at++;
	joins_below = at > 0 && runs[at - 1].first + runs[at - 1].count == run.first;
	joins_above = at < list->nr && run.first + run.count == runs[at].first;
	if (joins_below) {
		runs[at - 1].count += run.count;
		if (joins_above) {
			runs[at - 1].count += runs[at].count;
			run_remove(list, at);
		}
	} else if (joins_above) {
		runs[at].first = run.first;
		runs[at].count += run.count;
	} else {
		return run_insert(list, at, run);
	}
	return true;
}

void pages_free(struct run run)
{
	if (list_join(&free_runs, run))
		set_desc(run, 0, FW_PAGE_FREE);
}

struct run mem_next(enum mem_pages which, uint64_t from, uint64_t end)
{
	static const struct run_list nothing;
	static const struct run_list *const left_out[] = {
		[MEM_ALL] = &nothing, [MEM_TOUCHED] = &untouched, [MEM_USED] = &free_runs};
	const struct run_list *skip = left_out[which];

	for (uint32_t i = 0; i < skip->nr && from < end; i++) {
		const struct run *run = &skip->runs[i];

		if (run->first + run->count <= from)
			continue;
		if (run->first > from)
			return (struct run){from, (run->first < end ? run->first : end) - from};
		from = run->first + run->count;
	}
	return (struct run){from, from < end ? end - from : 0};
}

bool mem_is_reserved(uint64_t first, uint64_t count)
{
	struct run run = mem_next(MEM_TOUCHED, first, first + count);

	for (; run.count; run = mem_next(MEM_TOUCHED, run.first + run.count, first + count))
		for (uint64_t i = 0; i < run.count; i++)
			if (mem.desc[run.first + i].flags & FW_PAGE_RESERVED)
				return true;
	return false;
}

/* The free list at the start: all RAM above the first MiB but the image. */
static void find_free_memory(void)
{
	struct run image = {(uint64_t)_start >> PAGE_SHIFT, (uint64_t)(_end - _start) >> PAGE_SHIFT};

	for (uint32_t i = 0; i < start.nr_ram; i++) {
		uint64_t first = start.ram[i].first, end = start.ram[i].end;

		if (first < LOW_PAGES)
			first = LOW_PAGES;
		if (first >= end)
			continue;
		run_insert(&free_runs, free_runs.nr, (struct run){first, end - first});
		if (first <= image.first && image.first + image.count <= end)
			run_take(&free_runs, free_runs.nr - 1, image.first, image.count);
	}
	untouched = free_runs;
}

void mem_mark_holes(void)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < start.nr_ram; i++) {
		set_desc((struct run){end, start.ram[i].first - end}, 0, FW_PAGE_RESERVED);
		end = start.ram[i].end;
	}
}

uint64_t mem_top(void)
{
	uint64_t end = start.ram[start.nr_ram - 1].end, later = machine.memory_end >> PAGE_SHIFT;

	return (machine.features & FW_FEATURE_MEMORY_GROWS) && later > end ? later : end;
}

bool mem_add(struct run run)
{
	uint64_t end = mem.nr_desc;

	if (run.first + run.count > mem_top() || run.first + run.count < run.first ||
		!start_add_ram(run.first, run.first + run.count))
		return false;
	if (!paging_map_added(run.first << PAGE_SHIFT, run.count << PAGE_SHIFT))
		return false;
	set_desc((struct run){end, run.first - end}, 0, FW_PAGE_RESERVED); /* a hole, if there is one */
	mem.nr_desc = run.first + run.count;
	if (!list_join(&free_runs, run))
		return false;
	if (!list_join(&untouched, run))
		untouched.nr = 0; /* as in take() */
	return true;
}

const char *mem_init(void)
{
	uint64_t top = mem_top();
	uint64_t tables = paging_tables();
	uint64_t desc_pages = align_up(top * sizeof(struct fw_page_desc), PAGE_BYTES) >> PAGE_SHIFT;
	struct run own, low = {0, LOW_PAGES};
	struct run image = {(uint64_t)_start >> PAGE_SHIFT, (uint64_t)(_end - _start) >> PAGE_SHIFT};

	find_free_memory();
	own = take(&free_runs, tables + desc_pages, 1);
	if (own.count < tables + desc_pages || own.first + tables > 1 << 18)
		return "not enough memory for the page descriptors";
	paging_init((uint64_t *)(own.first << PAGE_SHIFT));
	mem.desc = (struct fw_page_desc *)((own.first + tables) << PAGE_SHIFT);
	mem.nr_desc = start.ram[start.nr_ram - 1].end;
	if (!machine.firmware) /* after a reset by QEMU, memory holds what the last boot left */
		__builtin_memset(mem.desc, 0, top * sizeof(*mem.desc));
	if (top < LOW_PAGES)
		low.count = top;
	set_desc(low, 1, FW_PAGE_RESERVED);
	set_desc(image, 1, FW_PAGE_RESERVED);
	set_desc(own, 1, FW_PAGE_RESERVED);
	mem.image = image;
	mem.own = own;
	return NULL;
}
