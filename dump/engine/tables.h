/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/tables.h - what the strategies and sinks of dump/record/choices.h do.  Adding a strategy is one file and one
 * line here and there.
 */
#ifndef DUMP_ENGINE_TABLES_H
#define DUMP_ENGINE_TABLES_H

#include "dump/record/choices.h"

struct dump_engine;
struct sink_ops;

/* Runs to the end; called once, on the dumper's main thread.  0 or -errno. */
typedef int strategy_run_fn(struct dump_engine *engine);

extern strategy_run_fn *const strategy_runs[DUMP_STRATEGY_NR];
extern const struct sink_ops *const sink_ops[DUMP_SINK_NR];

strategy_run_fn strategy_vmapp;
strategy_run_fn strategy_guest;
strategy_run_fn strategy_remap;
strategy_run_fn strategy_hybrid;

#endif /* DUMP_ENGINE_TABLES_H */
