/* SPDX-License-Identifier: Apache-2.0 */
/* dump/select/select_list.c - see select_list.h; and the selector `list` */
#include "dump/select/select_list.h"

#include "dump/base/bitmap.h"
#include "dump/base/cleanup.h"
#include "dump/region/pagewalk.h"
#include "dump/select/selection.h"

#include <errno.h>

/*
 * our choices: bounds of the work that a list may ask for.  An honest list names a page once or twice;
 * its tables hold at most 1/512 of RAM, plus what lists in no order make the walker read again.
 */
#define WORK_PER_PAGE 8
#define WORK_PER_TUPLE 16
#define TABLES_PER_PAGE 64 /* one table for so many pages of RAM */
#define TABLES_MIN 1024

struct list_job {
	const struct guest_view *view;
	uint64_t *wanted;
	bool paging;        /* false: the addresses of the tuples are guest-physical */
	uint64_t work_left; /* entries looked at and pages marked that are still allowed */
	uint64_t marked;    /* pages of RAM named, again for each time they are named */
	struct pagewalk walk;
};

/* Marks what of guest-physical [@gpa, @gpa + @pages) is RAM; 2^64 is not reached. */
static void mark(struct list_job *job, uint64_t gpa, uint64_t pages)
{
	const struct dump_layout *layout = job->view->layout;
	uint64_t end = gpa + pages * PAGE_SIZE_4K;

	for (uint32_t i = 0; i < layout->nr_segments; i++) {
		const struct dump_segment *seg = &layout->segments[i];
		uint64_t first = u64_max(gpa, seg->gpa), last = u64_min(end, seg->gpa + seg->size);

		if (first >= last)
			continue;
		first = (first - seg->gpa + seg->off) / PAGE_SIZE_4K;
		last = (last - seg->gpa + seg->off) / PAGE_SIZE_4K;
		bitmap_set_range(job->wanted, first, last);
		job->marked += last - first;
	}
}

static void mark_table(void *arg, uint64_t gpa)
{
	struct list_job *job = arg;
	uint64_t off;

	if (!dump_layout_offset(job->view->layout, gpa, PAGE_SIZE_4K, &off))
		bitmap_set(job->wanted, off / PAGE_SIZE_4K);
}

static int charge(struct list_job *job, uint64_t work)
{
	if (job->work_left < work)
		return -E2BIG;
	job->work_left -= work;
	return 0;
}

/* [@at, @at + @pages) does not leave its half of the address space. */
static int mark_virtual(struct list_job *job, uint64_t at, uint64_t pages)
{
	while (pages) {
		struct pagewalk_run run;
		uint64_t n;
		int r;

		r = pagewalk_run(&job->walk, at, &run);
		if (r)
			return r;
		n = u64_min(run.bytes / PAGE_SIZE_4K, pages);
		r = charge(job, run.mapped ? 1 + n : 1);
		if (r)
			return r;
		if (run.mapped)
			mark(job, run.gpa, n);
		at += n * PAGE_SIZE_4K;
		pages -= n;
	}
	return 0;
}

static int mark_tuple(struct list_job *job, const struct fw_select *tuple)
{
	uint64_t at = u64_align_down(tuple->addr, PAGE_SIZE_4K);
	uint64_t pages = tuple->pages;
	int r;

	if (at != tuple->addr && pages && pages < UINT64_MAX)
		pages++; /* that many pages from an address inside one reach into one more */
	if (!job->paging) {
		pages = at < DUMP_RAM_MAX ? u64_min(pages, (DUMP_RAM_MAX - at) / PAGE_SIZE_4K) : 0;
		r = charge(job, 1 + u64_min(pages, job->view->layout->ram / PAGE_SIZE_4K));
		if (!r)
			mark(job, at, pages);
		return r;
	}
	if (!pagewalk_is_canonical(&job->walk, at))
		return 0;
	return mark_virtual(job, at, u64_min(pages, pagewalk_room(&job->walk, at) / PAGE_SIZE_4K));
}

/* How the tuples' addresses are to be read.  Result: NULL, or why that is not known. */
static const char *init_job(struct list_job *job, const struct guest_view *view,
	const struct dump_record *record, uint64_t *wanted)
{
	const struct dump_cpu *cpu = &record->cpus[record->crash_cpu];
	uint64_t pages = view->layout->ram / PAGE_SIZE_4K;
	uint64_t root = record->panic.page_table ? record->panic.page_table : cpu->cr[3];

	job->view = view;
	job->wanted = wanted;
	job->marked = 0;
	job->work_left = pages * WORK_PER_PAGE + record->panic.nr_select * WORK_PER_TUPLE;
	job->paging = record->panic.page_table || cpu->cr[0] & PAGEWALK_CR0_PG;
	if (!record->panic.page_table && !cpu->saved)
		return "no page-table root: none given, and the registers could not be read";
	if (job->paging && cpu->saved && !(cpu->cr[4] & PAGEWALK_CR4_PAE))
		return "the guest does not use 64-bit page tables";
	pagewalk_init(&job->walk, view, root, cpu->cr[4],
		pages / TABLES_PER_PAGE + TABLES_MIN + record->panic.nr_select * PAGEWALK_LEVELS_MAX);
	job->walk.on_table = mark_table;
	job->walk.arg = job;
	return NULL;
}

static const char *reason_of(int error)
{
	switch (error) {
	case -EFAULT:
		return "a page table is outside RAM";
	case -EINVAL:
		return "a page table has reserved bits set";
	case -E2BIG:
		return "the list asks for more work than memory has pages";
	default:
		return "the crashed VM's memory cannot be read";
	}
}

static const char *mark_all(
	struct list_job *job, const struct fw_select *tuples, uint64_t nr, uint64_t *ret_ignored)
{
	uint64_t ignored = 0;

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t before = job->marked;
		int r = mark_tuple(job, &tuples[i]);

		if (r)
			return reason_of(r);
		ignored += job->marked == before;
	}
	if (!job->marked)
		return "the list names no page of RAM";
	*ret_ignored = ignored;
	return NULL;
}

const char *select_list_mark(const struct guest_view *view, const struct dump_record *record,
	uint64_t *wanted, uint64_t *ret_ignored)
{
	const struct fw_panic *panic = &record->panic;
	size_t bytes = panic->nr_select * sizeof(struct fw_select);
	autofree struct fw_select *tuples = NULL;
	autofree struct list_job *job = NULL;
	const char *why;
	int r;

	if (!panic->select)
		return "the guest gave no list";
	if (!panic->nr_select) /* what the call counted beyond the limit was not taken over */
		return "the guest's list is empty or too long";
	if (panic->nr_select > FW_SELECT_MAX)
		return "the list is too long";
	tuples = malloc(bytes);
	job = malloc(sizeof(*job));
	if (!tuples || !job)
		return "no memory to read the list";
	r = guest_view_read(view, panic->select, tuples, bytes);
	if (r)
		return r == -EFAULT ? "the list is outside RAM" : reason_of(r);
	why = init_job(job, view, record, wanted);
	if (why)
		return why;
	why = mark_all(job, tuples, panic->nr_select, ret_ignored);
	if (!why) /* the list itself: it tells a reader what was asked for */
		mark(job, u64_align_down(panic->select, PAGE_SIZE_4K),
			(panic->select % PAGE_SIZE_4K + bytes + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K);
	return why;
}

int select_list(struct selection *selection)
{
	const struct guest_view view = {.fd = selection->region->fd, .layout = selection->region->layout};
	uint64_t words = bitmap_words(view.layout->ram / PAGE_SIZE_4K);
	autofree uint64_t *wanted = calloc(words, sizeof(*wanted));
	const char *why;

	if (!wanted)
		return -ENOMEM;
	why = select_list_mark(&view, selection->record, wanted, &selection->list_ignored);
	if (why) {
		dump_select_distrust(selection, DUMP_SELECTOR_LIST, why);
		return 0;
	}
	for (uint64_t i = 0; i < words; i++)
		selection->selected[i] &= wanted[i];
	return 0;
}
