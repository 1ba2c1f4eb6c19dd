/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/select.c - see select.h.
 *
 * The addresses in the list are not the physical ones and need all four levels of tables, with the sign extended,
 * so that whoever takes them for physical, or believes a range to be contiguous, selects something else.
 */
#include "guest-stub/crash.h"
#include "guest-stub/machine.h"
#include "guest-stub/paging.h"
#include "guest-stub/select.h"
#include "guest-stub/smp.h"

/* our choice: ranges of fills and own ones; a list that is too short is reported */
#define MAX_SELECT 256
#define BLOCK_BYTES (PAGES_PER_BLOCK * PAGE_BYTES)

static struct fw_select list[MAX_SELECT];
static uint32_t nr_list;

static void select_run(uint64_t va, struct run run)
{
	if (nr_list == MAX_SELECT) {
		con_printf("stub: error: more than %u ranges to select\n", MAX_SELECT);
		return;
	}
	list[nr_list++] = (struct fw_select){va, run.count};
	con_printf("stub: select pfn=%lu-%lu\n", run.first, run.first + run.count - 1);
}

/* What is at its physical address, too. */
static void select_own(struct run run)
{
	select_run(run.first << PAGE_SHIFT, run);
}

static uint64_t word_at(uint64_t va)
{
	return *(const uint64_t *)va;
}

/* The alias of @run at @va shows what it should. */
static bool alias_is_right(uint64_t va, struct run run, bool backwards)
{
	uint64_t first = run.first << PAGE_SHIFT, last = (run.first + run.count - 1) << PAGE_SHIFT;

	return word_at(va) == word_at(backwards ? last : first) &&
	       word_at(va + (last - first)) == word_at(backwards ? first : last);
}

static bool is_selected(const struct config *config, const struct fill_kind *kind)
{
	for (uint32_t i = 0; i < config->nr_select; i++)
		if (config->select[i] == kind)
			return true;
	return false;
}

void select_prepare(const struct config *config)
{
	struct table_pool pool = {0};
	struct run run, tables;
	uint64_t va = SELECT_ALIAS, nr_tables = 0;
	const struct fill_kind *kind;

	if (!config->nr_select)
		return;
	for (uint32_t i = 0; (kind = fill_range(i, &run)); i++)
		if (is_selected(config, kind))
			nr_tables += paging_alias_tables(run, !nr_tables);
	tables = pages_alloc_untouched(nr_tables);
	if (tables.count < nr_tables) {
		con_printf("stub: error: no memory for the tables of select=\n");
		return;
	}
	pool = (struct table_pool){(uint64_t *)(tables.first << PAGE_SHIFT), tables.count};
	for (uint32_t i = 0; (kind = fill_range(i, &run)); i++) {
		if (!is_selected(config, kind))
			continue;
		paging_alias(&pool, va, run, !nr_list);
		if (!alias_is_right(va, run, !nr_list))
			con_printf("stub: error: wrong alias at 0x%lx\n", va);
		select_run(va, run);
		/* a block that is not mapped separates two ranges */
		va += ((run.count << PAGE_SHIFT) / BLOCK_BYTES + 2) * BLOCK_BYTES;
	}
	select_own(mem.image);
	select_own(mem.own);
	if (tables.count)
		select_own(tables);
	for (uint32_t id = 1; id < MAX_CPUS; id++)
		if (cpu_table[id])
			select_own((struct run){
				(uint64_t)cpu_table[id] >> PAGE_SHIFT, CPU_BYTES / PAGE_BYTES});
	crash_plan.claims.select = (fw_gpa_t)list;
	crash_plan.claims.nr_select = nr_list;
}
