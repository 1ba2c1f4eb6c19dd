/* SPDX-License-Identifier: Apache-2.0 */
/* dump/linux/linux_pages.c - walks the page descriptors of all sections on several threads: see linux_pages.h */
#include "dump/linux/linux_pages.h"

#include "dump/base/cleanup.h"
#include "dump/base/bitmap.h"
#include "dump/linux/linux_page.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* include/linux/mmzone.h: the low bits of section_mem_map are flags; the array itself is page-aligned */
#define SECTION_PRESENT 1u
#define SECTION_HAS_MEM_MAP 2u
#define SECTION_FLAGS (PAGE_SIZE_4K - 1)
/* x86-64 has 27 bits; our choice of what else is believable */
#define SECTION_BITS_MIN 24
#define SECTION_BITS_MAX 34
/* our choice: what is tried when not all descriptors of a block can be read; divides a block */
#define SMALL_BLOCK_PAGES 64

/* Where the sections' descriptors are (SPARSEMEM). */
struct sections {
	uint64_t roots;    /* gva of an array of pointers to roots */
	uint64_t nr_roots; /* entries of it */
	uint64_t per_root; /* sections of one root */
	uint64_t size;     /* bytes of struct mem_section */
	uint64_t map;      /* offset of section_mem_map in it */
	unsigned bits;     /* log2 of the bytes of RAM of one section */
};

struct job {
	struct linux_kernel *kernel;
	struct linux_page_format format;
	struct sections sections;
	const struct dump_layout *layout;
	uint32_t level;
	uint64_t *drop; /* bits are only ever set, by atomic operations */
	_Atomic uint64_t counts[LINUX_REASONS];
	_Atomic uint64_t next; /* section that nobody has taken yet */
	uint64_t end;
	uint64_t block_pages; /* divides the pages of a section */
};

/* What one thread has of its own. */
struct worker {
	struct job *job;
	struct pagewalk walk;
	unsigned char *block; /* job->block_pages descriptors */
	uint64_t skip_to;     /* frames below belong to a run that has been decided about */
	/* A run of pages that are left out for the same reason, not in the bitmap yet. */
	enum linux_reason reason;
	uint64_t first, end;
};

/* ---- the bitmap ----------------------------------------------------------------------------------------- */

/* Sets bits [@first, @end); result: how many were clear. */
static uint64_t set_range(uint64_t *map, uint64_t first, uint64_t end)
{
	uint64_t sum = 0;

	while (first < end) {
		uint64_t stop = u64_min((first / 64 + 1) * 64, end);
		uint64_t mask = bitmap_word_mask(first % 64, (stop - 1) % 64);
		uint64_t old = __atomic_fetch_or(&map[first / 64], mask, __ATOMIC_RELAXED);

		sum += (uint64_t)__builtin_popcountll(mask & ~old);
		first = stop;
	}
	return sum;
}

static void flush(struct worker *worker)
{
	const struct dump_layout *layout = worker->job->layout;

	for (uint32_t i = 0; worker->first < worker->end && i < layout->nr_segments; i++) {
		const struct dump_segment *seg = &layout->segments[i];
		uint64_t start = seg->gpa / PAGE_SIZE_4K;
		uint64_t first = u64_max(worker->first, start);
		uint64_t end = u64_min(worker->end, start + seg->size / PAGE_SIZE_4K);
		uint64_t page = seg->off / PAGE_SIZE_4K - start; /* modulo 2^64 */

		if (first < end)
			worker->job->counts[worker->reason] += set_range(
				worker->job->drop, first + page, end + page);
	}
	worker->first = 0;
	worker->end = 0;
}

static void leave_out(struct worker *worker, enum linux_reason reason, uint64_t pfn, uint64_t nr)
{
	if (worker->end != pfn || worker->reason != reason) {
		flush(worker);
		worker->first = pfn;
		worker->reason = reason;
	}
	worker->end = pfn + nr;
}

/* ---- descriptors ---------------------------------------------------------------------------------------- */

/* @count descriptors in worker->block, of frames from @pfn on; the first one was read from @gva. */
static void decide_block(struct worker *worker, uint64_t pfn, uint64_t count, uint64_t gva)
{
	const struct job *job = worker->job;
	uint64_t size = job->format.size;

	for (uint64_t i = worker->skip_to > pfn ? worker->skip_to - pfn : 0; i < count;) {
		const unsigned char *page = worker->block + i * size;
		uint64_t nr = 1;
		enum linux_reason reason = linux_page_decide(&job->format, job->level, pfn + i,
			gva + i * size, page, i + 1 < count ? page + size : NULL, &nr);

		if (reason == LINUX_REASONS) {
			i++;
			continue;
		}
		leave_out(worker, reason, pfn + i, nr);
		i += nr;
		worker->skip_to = pfn + i;
	}
}

/* Frames [@pfn, @pfn + job->block_pages), whose descriptors are at @gva; what cannot be read is kept. */
static void do_block(struct worker *worker, uint64_t pfn, uint64_t gva)
{
	uint64_t size = worker->job->format.size, pages = worker->job->block_pages;

	if (!linux_walk_read(&worker->walk, gva, worker->block, pages * size)) {
		decide_block(worker, pfn, pages, gva);
		return;
	}
	for (uint64_t i = 0; i < pages; i += SMALL_BLOCK_PAGES)
		if (!linux_walk_read(
			    &worker->walk, gva + i * size, worker->block, SMALL_BLOCK_PAGES * size))
			decide_block(worker, pfn + i, SMALL_BLOCK_PAGES, gva + i * size);
}

/* True if some frame of [@first, @end) is RAM. */
static bool is_ram(const struct dump_layout *layout, uint64_t first, uint64_t end)
{
	for (uint32_t i = 0; i < layout->nr_segments; i++) {
		const struct dump_segment *seg = &layout->segments[i];

		if (first < (seg->gpa + seg->size) / PAGE_SIZE_4K && end > seg->gpa / PAGE_SIZE_4K)
			return true;
	}
	return false;
}

/*
 * The kernel stores where the descriptor of frame 0 would be.  Result: that, modulo 2^64; 0: the section has
 * no descriptors, or they cannot be found.
 */
static uint64_t find_map(struct worker *worker, uint64_t section)
{
	const struct sections *sections = &worker->job->sections;
	uint64_t nr = section / sections->per_root;
	uint64_t root, map;

	if (nr >= sections->nr_roots ||
		linux_walk_read(&worker->walk, sections->roots + nr * sizeof(root), &root, sizeof(root)) ||
		!root)
		return 0;
	root += section % sections->per_root * sections->size;
	if (linux_walk_read(&worker->walk, root + sections->map, &map, sizeof(map)))
		return 0;
	if ((map & (SECTION_PRESENT | SECTION_HAS_MEM_MAP)) != (SECTION_PRESENT | SECTION_HAS_MEM_MAP))
		return 0;
	return map & ~(uint64_t)SECTION_FLAGS;
}

static void do_section(struct worker *worker, uint64_t section)
{
	const struct job *job = worker->job;
	uint64_t pages = (1ull << job->sections.bits) / PAGE_SIZE_4K;
	uint64_t first = section * pages;
	uint64_t map;

	if (!is_ram(job->layout, first, first + pages))
		return;
	map = find_map(worker, section);
	if (!map)
		return;
	worker->skip_to = 0;
	for (uint64_t pfn = first; pfn < first + pages; pfn += job->block_pages)
		if (is_ram(job->layout, pfn, pfn + job->block_pages))
			do_block(worker, pfn, map + pfn * job->format.size);
	flush(worker);
}

/* ---- the job -------------------------------------------------------------------------------------------- */

static void *work(void *arg)
{
	struct job *job = arg;
	autofree struct worker *worker = calloc(1, sizeof(*worker));
	autofree unsigned char *block = aligned_alloc(PAGE_SIZE_4K, job->block_pages * job->format.size);
	uint64_t section;

	if (!worker || !block)
		return NULL; /* the others do it, or all is kept */
	worker->job = job;
	worker->block = block;
	linux_kernel_walk(job->kernel, &worker->walk);
	while ((section = atomic_fetch_add(&job->next, 1)) < job->end)
		do_section(worker, section);
	return NULL;
}

static void run_threads(struct job *job, uint32_t workers)
{
	pthread_t threads[63];
	uint32_t nr = 0;

	while (nr + 1 < workers && nr < ARRAY_LEN(threads) &&
		!pthread_create(&threads[nr], NULL, work, job))
		nr++;
	work(job);
	while (nr)
		pthread_join(threads[--nr], NULL);
}

static const char *find_sections(struct linux_kernel *kernel, struct sections *ret)
{
	const struct vmcoreinfo *info = &kernel->info;
	uint64_t bits;

	if (!vmcoreinfo_symbol(info, "mem_section", &ret->roots) ||
		!vmcoreinfo_measure(info, "LENGTH", "mem_section", UINT32_MAX, &ret->nr_roots) ||
		!vmcoreinfo_measure(info, "SIZE", "mem_section", PAGE_SIZE_4K, &ret->size) || !ret->size ||
		!vmcoreinfo_measure(info, "OFFSET", "mem_section.section_mem_map", ret->size, &ret->map))
		return "VMCOREINFO does not tell where its page descriptors are";
	if (!vmcoreinfo_measure(info, "NUMBER", "SECTION_SIZE_BITS", SECTION_BITS_MAX, &bits) ||
		bits < SECTION_BITS_MIN)
		return "VMCOREINFO does not tell the size of a section";
	ret->bits = (unsigned)bits;
	ret->per_root = PAGE_SIZE_4K / ret->size; /* SPARSEMEM_EXTREME: a root is a page */
	return NULL;
}

/* A block that is larger than a piece of RAM would ask for descriptors that a small guest does not have. */
static uint64_t block_pages_of(const struct dump_layout *layout)
{
	uint64_t pages = LINUX_BLOCK_PAGES;

	for (uint32_t i = 0; i < layout->nr_segments; i++)
		while (pages > SMALL_BLOCK_PAGES && pages > layout->segments[i].size / PAGE_SIZE_4K)
			pages /= 2;
	return pages;
}

const char *linux_pages_mark(struct linux_kernel *kernel, uint32_t level, uint32_t workers, uint64_t *drop,
	uint64_t counts[LINUX_REASONS], const char **ret_lack)
{
	const struct dump_layout *layout = kernel->view->layout;
	const struct dump_segment *last = &layout->segments[layout->nr_segments - 1];
	struct job job = {.kernel = kernel, .layout = layout, .level = level, .drop = drop};
	uint64_t probe;
	const char *why;

	why = linux_page_format_init(&job.format, kernel);
	if (!why)
		why = find_sections(kernel, &job.sections);
	if (!why && linux_kernel_read(kernel, job.sections.roots, &probe, sizeof(probe)))
		why = "the kernel's page descriptors are not where VMCOREINFO says";
	*ret_lack = why ? NULL : linux_page_format_lack(&job.format, level);
	if (why)
		return why;
	job.block_pages = block_pages_of(layout);
	job.end = ((last->gpa + last->size - 1) >> job.sections.bits) + 1;
	/* levels 0 and 1 need no descriptors */
	if (level & ~LINUX_LEVEL_ZERO)
		run_threads(&job, workers);
	for (size_t i = 0; i < LINUX_REASONS; i++)
		counts[i] = job.counts[i];
	return NULL;
}
