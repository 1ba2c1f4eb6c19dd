/* SPDX-License-Identifier: Apache-2.0 */
/* dump/engine/plan.c - see plan.h */
#include "dump/engine/plan.h"

#include <errno.h>

static bool is_valid_bitmap(const struct dumpfile_facts *tables)
{
	return tables->ours && tables->state >= VMCORE_STATE_DUMPING &&
	       tables->state <= VMCORE_STATE_COMPLETE;
}

/* Files that call themselves dumps when they are complete; a region becomes one as the last thing. */
static enum plan of_tables(const struct dumpfile_facts *tables)
{
	if (tables->state != VMCORE_STATE_COMPLETE)
		return PLAN_CONTINUE;
	return tables->role == VMCORE_ROLE_DUMP ? PLAN_NAME_ONLY : PLAN_FINISH;
}

static int plan_by(const struct dumpfile_facts *tables, bool released, enum plan *ret)
{
	if (!is_valid_bitmap(tables) && released)
		return -ESTALE;
	*ret = is_valid_bitmap(tables) ? of_tables(tables) : PLAN_FRESH;
	return 0;
}

/* The tables are the region's, and stay so until the end: they never say that all is complete. */
static int plan_compressed(const struct plan_facts *facts, enum plan *ret)
{
	int r = plan_by(&facts->region, facts->released, ret);

	if (r || *ret == PLAN_FRESH || !facts->begun)
		return r;
	*ret = PLAN_REWRITE;
	return facts->given ? 0 : -ESTALE;
}

/* What a hybrid region has of tables is filled in when all pages are back in it. */
static int plan_scratch(const struct plan_facts *facts, enum plan *ret)
{
	if (!is_valid_bitmap(&facts->region))
		return plan_by(&facts->dump, facts->released, ret);
	*ret = of_tables(&facts->region);
	if (*ret == PLAN_CONTINUE)
		*ret = PLAN_FINISH;
	return 0;
}

int plan_make(const struct plan_facts *facts, enum plan *ret)
{
	*ret = PLAN_FRESH;
	if (!facts->resume)
		return 0;
	if (facts->named) {
		*ret = PLAN_REMOVE_ONLY;
		return 0;
	}
	if (facts->strategy->guest_mode != FW_DUMP_MODE_VMM)
		return plan_by(
			&facts->dump, false, ret); /* its file has all that is wanted, the region nothing */
	if (facts->compressed)
		return plan_compressed(facts, ret);
	if (facts->strategy->scratch)
		return plan_scratch(facts, ret);
	return plan_by(facts->strategy->in_place ? &facts->region : &facts->dump, facts->released, ret);
}
