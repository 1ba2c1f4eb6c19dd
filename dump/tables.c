/* SPDX-License-Identifier: Apache-2.0 */
/* dump/tables.c - see tables.h.  One line for each strategy and selector. */
#include "dump/tables.h"

#include "dump/base/num.h"
#include "dump/engine.h"

const struct dump_strategy dump_strategies[] = {
	{"vmapp", "the dumper copies chunk by chunk and releases each chunk when it is copied",
		strategy_vmapp},
};
const size_t dump_nr_strategies = ARRAY_LEN(dump_strategies);

const struct dump_selector dump_selectors[] = {
	{"all", "every page of the guest", select_all},
};
const size_t dump_nr_selectors = ARRAY_LEN(dump_selectors);
