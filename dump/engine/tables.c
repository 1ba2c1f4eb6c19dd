/* SPDX-License-Identifier: Apache-2.0 */
/* dump/engine/tables.c - see tables.h */
#include "dump/engine/tables.h"

#include "dump/engine/sink.h"

strategy_run_fn *const strategy_runs[DUMP_STRATEGY_NR] = {
	[DUMP_STRATEGY_VMAPP] = strategy_vmapp,
	[DUMP_STRATEGY_HYPERCALL] = strategy_guest,
	[DUMP_STRATEGY_ADDMEM] = strategy_guest,
	[DUMP_STRATEGY_REMAP] = strategy_remap,
	[DUMP_STRATEGY_HYBRID] = strategy_hybrid,
};

const struct sink_ops *const sink_ops[DUMP_SINK_NR] = {
	[DUMP_SINK_ELF] = &sink_elf,
	[DUMP_SINK_LZ4] = &sink_lz4,
};
