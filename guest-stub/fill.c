/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/fill.c - see fill.h.
 */
#include "guest-stub/fill.h"
#include "guest-stub/machine.h"
#include "guest-stub/mem.h"
#include "guest-stub/smp.h"

#define WORDS_PER_PAGE 512
#define TEXT_WORDS 256
/* our choice: ranges that are remembered, of all fills together */
#define MAX_RANGES 128

struct fill_kind {
	const char *name;
	const char *help;
	void (*fill)(uint64_t *words, uint64_t count, uint64_t x); /* x: seed + index of the first word */
	bool freed;     /* goes back to the allocator afterwards */
	uint32_t flags; /* FW_PAGE_* while it is allocated */
};

/* One contiguous range, filled by all CPUs in blocks of 2 MiB. */
struct fill_job {
	const struct fill_kind *kind;
	struct run run;
	uint64_t seed;
	uint64_t next;           /* frames of @run handed out; advanced atomically by every CPU */
	uint64_t heartbeat_tsc;  /* TSC of the next heartbeat (boot CPU only), 0 = none */
	uint64_t heartbeat_step; /* TSC ticks between two */
};

/* What was filled, in this order. */
static struct range {
	const struct fill_kind *kind;
	struct run run;
} ranges[MAX_RANGES];
static uint32_t nr_ranges;

static uint64_t text_words[TEXT_WORDS];

static void fill_pattern(uint64_t *words, uint64_t count, uint64_t x)
{
	for (uint64_t i = 0; i < count; i++)
		words[i] = splitmix64(x + i);
}

static void fill_zero(uint64_t *words, uint64_t count, uint64_t x)
{
	(void)x;
	for (uint64_t i = 0; i < count; i++)
		words[i] = 0;
}

static void fill_text(uint64_t *words, uint64_t count, uint64_t x)
{
	for (uint64_t i = 0; i < count; i++)
		words[i] = text_words[splitmix64(x + i) % TEXT_WORDS];
}

/* Word n: seven letters made of the bytes of splitmix64(n), and a space. */
static void make_text_words(void)
{
	for (uint64_t n = 0; n < TEXT_WORDS; n++) {
		uint64_t random = splitmix64(n), word = (uint64_t)' ' << 56;

		for (int byte = 0; byte < 7; byte++)
			word |= ('a' + (random >> 8 * byte & 0xff) % 26) << 8 * byte;
		text_words[n] = word;
	}
}

static const struct fill_kind kinds[] = {
	{"pattern", "incompressible: splitmix64 of seed and position", fill_pattern, false, 0},
	{"zero", "zeros that were really written", fill_zero, false, 0},
	{"text", "compressible: words of seven letters and a space", fill_text, false, FW_PAGE_USER},
	{"freed", "pattern, then given back to the allocator", fill_pattern, true, 0},
};

const struct fill_kind *fill_kind_find(const char *name)
{
	for (uint32_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_equal(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

void fill_print_kinds(void)
{
	for (uint32_t i = 0; i < ARRAY_LEN(kinds); i++)
		con_printf("stub:   fill %s: %s\n", kinds[i].name, kinds[i].help);
}

/* On every CPU: take blocks until there is none left. */
static void fill_blocks(struct cpu *cpu, void *arg)
{
	struct fill_job *job = arg;

	for (;;) {
		uint64_t at = __atomic_fetch_add(&job->next, PAGES_PER_BLOCK, __ATOMIC_RELAXED);
		uint64_t pfn = job->run.first + at, count = PAGES_PER_BLOCK;

		if (at >= job->run.count)
			return;
		if (count > job->run.count - at)
			count = job->run.count - at;
		job->kind->fill((uint64_t *)(pfn << PAGE_SHIFT), count * WORDS_PER_PAGE,
			job->seed + pfn * WORDS_PER_PAGE);
		if (cpu == &bsp_cpu && job->heartbeat_tsc && read_tsc() >= job->heartbeat_tsc) {
			heartbeat(pfn);
			job->heartbeat_tsc = read_tsc() + job->heartbeat_step;
		}
	}
}

/* Frames that @percent of RAM are; whole 2 MiB blocks if it is at least one. */
static uint64_t frames_wanted(uint32_t percent)
{
	uint64_t frames = start.ram_pages * percent / 100;

	return frames >= PAGES_PER_BLOCK ? frames / PAGES_PER_BLOCK * PAGES_PER_BLOCK : frames;
}

/* Fills @want frames, as far as there is memory. */
static void fill_one(struct fill_job *job, uint64_t want)
{
	while (want) {
		struct run run = pages_alloc(want, PAGES_PER_BLOCK, job->kind->flags);

		if (!run.count) {
			con_printf("stub: fill kind=%s: %lu pages do not fit\n", job->kind->name, want);
			break;
		}
		job->run = run;
		job->next = 0;
		smp_run(fill_blocks, job);
		con_printf("stub: fill kind=%s pfn=%lu-%lu seed=0x%lx\n", job->kind->name, run.first,
			run.first + run.count - 1, job->seed);
		if (nr_ranges < MAX_RANGES)
			ranges[nr_ranges++] = (struct range){job->kind, run};
		want -= run.count;
	}
}

const struct fill_kind *fill_range(uint32_t index, struct run *ret_run)
{
	if (index >= nr_ranges)
		return NULL;
	*ret_run = ranges[index].run;
	return ranges[index].kind;
}

void fill_run(const struct fill *fills, uint32_t nr_fills, uint64_t seed, uint64_t heartbeat_ms)
{
	struct fill_job job = {.seed = seed};

	if (!nr_fills)
		return;
	if (heartbeat_ms) {
		job.heartbeat_step = tsc_after_ms(heartbeat_ms) - read_tsc();
		job.heartbeat_tsc = read_tsc() + job.heartbeat_step;
	}
	make_text_words();
	for (uint32_t i = 0; i < nr_fills; i++) {
		job.kind = fills[i].kind;
		fill_one(&job, frames_wanted(fills[i].percent));
	}
	for (uint32_t i = 0; i < nr_ranges; i++) /* last, so that no other kind reuses them */
		if (ranges[i].kind->freed)
			pages_free(ranges[i].run);
}
