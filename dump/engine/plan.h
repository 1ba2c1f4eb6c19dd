/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/plan.h - what an engine has to do, decided once, before it changes anything: by what an earlier engine with
 * the same crash record left.
 *
 * Memory that was released is zeros in the region: whoever began anew then would make a dump that looks complete and is
 * not.  So without tables that can be believed there is no plan, and what is there stays as it is.
 */
#ifndef DUMP_ENGINE_PLAN_H
#define DUMP_ENGINE_PLAN_H

#include "dump/files/dumpfile.h"
#include "dump/record/choices.h"

#include <stdbool.h>

enum plan {
	PLAN_FRESH,    /* the region has everything: from the beginning */
	PLAN_CONTINUE, /* the page bitmap stays; chunks that are marked are done, the others are to be done */
	PLAN_REWRITE, /* so it is, but into a new file: nobody goes on in the middle of a compressed one */
	PLAN_FINISH,  /* everything is where it belongs; the file does not say so yet */
	PLAN_NAME_ONLY,   /* the file says that it is complete; it has no final name */
	PLAN_REMOVE_ONLY, /* it has its final name; other names are left */
};

/* What is found.  Of files that are not there all facts are 0. */
struct plan_facts {
	const struct dump_strategy *strategy;
	bool compressed;
	bool resume;   /* there was an earlier engine */
	bool named;    /* the final name is there and means the file that it was to mean */
	bool released; /* memory of the region may be missing */
	bool begun;    /* some chunk is marked in the region's tables */
	bool given;    /* there is a dump file */
	struct dumpfile_facts region, dump;
};

/* plan_make - Errors: -ESTALE if memory is missing and no tables tell which. */
int warn_unused plan_make(const struct plan_facts *facts, enum plan *ret);

/* True if what an earlier engine learnt of the guest's memory counts, and that memory is not to be asked again. */
static inline bool plan_adopts(enum plan plan)
{
	return plan != PLAN_FRESH;
}

/* True if there are chunks to go through. */
static inline bool plan_moves(enum plan plan)
{
	return plan == PLAN_FRESH || plan == PLAN_CONTINUE || plan == PLAN_REWRITE;
}

#endif /* DUMP_ENGINE_PLAN_H */
