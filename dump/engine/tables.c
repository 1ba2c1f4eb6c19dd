/* SPDX-License-Identifier: Apache-2.0 */
/* dump/engine/tables.c - see tables.h.  One entry for each strategy, sink and selector. */
#include "dump/engine/tables.h"

#include "dump/base/num.h"
#include "dump/engine/engine.h"
#include "dump/engine/sink.h"

const struct dump_strategy dump_strategies[] = {
	{.name = "vmapp",
		.help = "the dumper copies chunk by chunk and releases each chunk when it is copied",
		.guest_mode = FW_DUMP_MODE_VMM,
		.sinks = true,
		.run = strategy_vmapp},
	{.name = "hypercall",
		.help = "the guest writes its memory to streams (dump firmware calls)",
		.guest_mode = FW_DUMP_MODE_HYPERCALL,
		.run = strategy_guest},
	{.name = "addmem",
		.help = "the guest copies its memory into memory that it is given",
		.guest_mode = FW_DUMP_MODE_ADDMEM,
		.run = strategy_guest},
	{.name = "remap",
		.help = "nobody: the guest's memory becomes the dump where it is",
		.guest_mode = FW_DUMP_MODE_VMM,
		.in_place = true,
		.run = strategy_remap},
	{.name = "hybrid",
		.help = "as remap, but the few wanted pages of a chunk are moved to give it back whole",
		.guest_mode = FW_DUMP_MODE_VMM,
		.in_place = true,
		.scratch = true,
		.run = strategy_hybrid},
};
const size_t dump_nr_strategies = ARRAY_LEN(dump_strategies);

const struct dump_sink *const dump_sinks[] = {
	&dump_sink_elf,
	&dump_sink_lz4,
};
const size_t dump_nr_sinks = ARRAY_LEN(dump_sinks);

const struct dump_selector dump_selectors[] = {
	{"all", "every page of the guest", NULL, NULL},
	{"zero", "drops pages of nothing but zeros", NULL, select_zero},
	{"list", "only the pages that the guest's panic call lists", select_list, NULL},
	{"pages", "drops pages that are free by the guest's page descriptors", select_pages, NULL},
	{"linux", "linux:LEVEL drops what makedumpfile's level 1..31 does, of any Linux guest",
		select_linux, NULL},
};
const size_t dump_nr_selectors = ARRAY_LEN(dump_selectors);
_Static_assert(LINUX_REASONS <= VMCORE_REASONS_MAX, "reasons have numbers in the file");
_Static_assert(ARRAY_LEN(dump_selectors) <= VMCORE_SELECTORS_MAX, "selectors have numbers in the file");
