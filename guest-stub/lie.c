/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/lie.c - see lie.h: lies in the metadata of the panic call.
 *
 * Each function sets up the memory it lies about, and the fields of crash_plan.claims that replace the truth.
 */
#include "guest-stub/config.h"
#include "guest-stub/crash.h"
#include "guest-stub/lie.h"
#include "guest-stub/machine.h"
#include "guest-stub/paging.h"

/* Entries of the top-level table that nothing else uses, and the address range below each */
#define LOOP_ENTRY 100
#define RANGE_ENTRY 101
#define TOP_SHIFT 39 /* Intel SDM vol. 3A 4.5.4: bits below an entry of the top-level table */
#define UNDER(entry) ((uint64_t)(entry) << TOP_SHIFT)

extern uint64_t boot_pml4[PTES];

static uint64_t loop_table[PTES] __attribute__((aligned(PAGE_BYTES)));
static uint64_t far_table[PTES] __attribute__((aligned(PAGE_BYTES)));
static struct fw_select list[16];

/* A 2 MiB boundary that is far above all RAM. */
static uint64_t beyond_ram(void)
{
	return (start.ram[start.nr_ram - 1].end << PAGE_SHIFT) + (1ull << 40);
}

static uint64_t top_of_ram(void)
{
	return start.ram[start.nr_ram - 1].end << PAGE_SHIFT;
}

static _Noreturn void lie(const char *name, const char *what)
{
	con_printf("stub: lie %s: %s\nstub: lie %s done\n", name, what, name);
	con_flush();
	panic("lie");
}

static void claim_list(const struct fw_select *tuples, uint64_t count)
{
	crash_plan.claims.select = (fw_gpa_t)tuples;
	crash_plan.claims.nr_select = count;
}

/* All 512 entries lead back to the table itself, at every level: 2^36 different ways to one page. */
void lie_list_loop(const struct config *config)
{
	(void)config;
	for (uint32_t i = 0; i < PTES; i++)
		loop_table[i] = (uint64_t)loop_table | PTE_USER;
	boot_pml4[LOOP_ENTRY] = (uint64_t)loop_table | PTE_USER;
	list[0] = (struct fw_select){UNDER(LOOP_ENTRY), 1ull << 27};
	list[1] = (struct fw_select){UNDER(LOOP_ENTRY) + 0x123456000, 1ull << 36};
	claim_list(list, 2);
	lie("list-loop", "tuples under a page table whose entries all point to itself");
}

void lie_list_range(const struct config *config)
{
	(void)config;
	far_table[0] = beyond_ram() | PTE_USER;             /* a table outside RAM */
	far_table[1] = (uint64_t)far_table | PTE_USER;      /* far_table[2] as a directory: */
	far_table[2] = beyond_ram() | PTE_LARGE | PTE_USER; /* a page outside RAM, 1 GiB or 2 MiB */
	far_table[3] = (0xffffffffff000 & ~0x3fffffffull) | PTE_LARGE |
		       PTE_USER; /* highest of all addresses */
	far_table[4] = LAPIC_BASE | PTE_USER;
	far_table[5] = top_of_ram() | PTE_USER;
	boot_pml4[RANGE_ENTRY] = (uint64_t)far_table | PTE_USER;
	boot_pml4[RANGE_ENTRY + 1] = beyond_ram() | PTE_USER;
	for (uint64_t i = 0; i < 6; i++)
		list[i] = (struct fw_select){UNDER(RANGE_ENTRY) + (i << 30), 1ull << 18};
	list[6] = (struct fw_select){UNDER(RANGE_ENTRY + 1), 1000};
	list[7] = (struct fw_select){UNDER(RANGE_ENTRY + 2), 1000};  /* not mapped */
	list[8] = (struct fw_select){0x0000800000000000, 16};        /* not canonical */
	list[9] = (struct fw_select){top_of_ram() - PAGE_BYTES, 16}; /* begins in RAM, leaves it */
	list[10] = (struct fw_select){UINT64_MAX, 16};               /* not aligned, wraps */
	list[11] = (struct fw_select){0, 0};
	claim_list(list, 12);
	lie("list-range", "tuples and page tables outside RAM");
}

/* As many tuples as are allowed, each of which is all of RAM. */
void lie_list_overlap(const struct config *config)
{
	uint64_t frames = (FW_SELECT_MAX * sizeof(struct fw_select)) >> PAGE_SHIFT;
	struct run run = pages_alloc_untouched(frames);
	struct fw_select *tuples = (struct fw_select *)(run.first << PAGE_SHIFT);
	uint64_t count = (run.count << PAGE_SHIFT) / sizeof(*tuples);

	(void)config;
	for (uint64_t i = 0; i < count; i++)
		tuples[i] = (struct fw_select){(i % 7) << PAGE_SHIFT, top_of_ram() >> PAGE_SHIFT};
	claim_list(tuples, count);
	lie("list-overlap", "the largest list there may be, every tuple all of RAM");
}

void lie_list_huge(const struct config *config)
{
	(void)config;
	list[0] = (struct fw_select){0, 1ull << 63};
	list[1] = (struct fw_select){PAGE_BYTES, UINT64_MAX};
	list[2] = (struct fw_select){0xfffffffffffff000, 1ull << 63};
	list[3] = (struct fw_select){0xffff800000000000, 1ull << 52};
	claim_list(list, 4);
	lie("list-huge", "tuples of 2^52 to 2^64 pages");
}

void lie_list_count(const struct config *config)
{
	(void)config;
	list[0] = (struct fw_select){PAGE_BYTES, 1};
	claim_list(list, (1ull << 60) + 1); /* times 16 bytes: 16 modulo 2^64 */
	lie("list-count", "2^60 + 1 tuples");
}

void lie_pages_range(const struct config *config)
{
	(void)config;
	crash_plan.claims.page_desc = top_of_ram() - PAGE_BYTES;
	lie("pages-range", "page descriptors from the last page of RAM on");
}

void lie_pages_count(const struct config *config)
{
	(void)config;
	crash_plan.claims.nr_page_desc = 1ull << 60;
	lie("pages-count", "2^60 page descriptors");
}

void lie_pages_garbage(const struct config *config)
{
	uint64_t frames = (mem.nr_desc * sizeof(struct fw_page_desc) + PAGE_BYTES - 1) >> PAGE_SHIFT;
	struct run run = pages_alloc_untouched(frames);
	uint64_t *words = (uint64_t *)(run.first << PAGE_SHIFT);
	uint64_t count = (run.count << PAGE_SHIFT) / sizeof(*words);

	for (uint64_t i = 0; i < count; i++)
		words[i] = splitmix64(config->seed + i);
	crash_plan.claims.page_desc = (fw_gpa_t)words;
	crash_plan.claims.nr_page_desc = count;
	lie("pages-garbage", "page descriptors of random numbers");
}

void lie_string(const struct config *config)
{
	(void)config;
	crash_plan.claims.string = beyond_ram();
	crash_plan.claims.string_len = UINT32_MAX;
	lie("string", "message outside RAM, 2^32 - 1 bytes");
}

void lie_regs(const struct config *config)
{
	(void)config;
	crash_plan.claims.regs = UINT64_MAX - 255;
	crash_plan.claims.nr_regs = UINT32_MAX;
	lie("regs", "2^32 - 1 register areas that begin 256 bytes below 2^64");
}
