/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/tables.h - the registries of the dump engine: plain const tables, terminated by their count.
 * Configuration, --help and the engine all read these; adding a strategy is one file and one line.
 */
#ifndef DUMP_ENGINE_TABLES_H
#define DUMP_ENGINE_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dump_engine;

/* A strategy moves the selected bytes from the crashed region into the dump. */
struct dump_strategy {
	const char *name;    /* as in [dump] strategy = */
	const char *help;    /* one line for --help */
	uint32_t guest_mode; /* FW_DUMP_MODE_*: what a guest is told by the query call */
	bool in_place;       /* the region's own file becomes the dump */
	bool sinks;          /* any sink will do; without, it is the first one */
	bool scratch;        /* in_place, with a dump file besides it while it works */
	/* Runs to the end; called once, on the dumper's main thread.  0 or -errno. */
	int (*run)(struct dump_engine *engine);
};

/*
 * A selector decides which pages belong in the dump (dump/select/select.h).  The place in the table is its number
 * in the dump's file, so it never changes; at most VMCORE_SELECTORS_MAX.
 */
struct dump_selector {
	const char *name; /* as in [dump] select = */
	const char *help; /* one line for --help */
	/*
	 * Whole memory, once, before the strategy, on the dumper's main thread: clears bits of
	 * engine->tail.selected.  0 or -errno of the host, which fails the dump: what is wrong with the
	 * guest's data is for dump_select_distrust().  NULL = nothing to do.
	 */
	int (*prepare)(struct dump_engine *engine);
	/*
	 * One chunk, right before it is moved, on any thread: clears bits of engine->copy and adds their
	 * number to *ret_excluded.  0 or -errno.  NULL = nothing to do.
	 */
	int (*chunk)(struct dump_engine *engine, uint64_t index, uint64_t *ret_excluded);
};

extern const struct dump_strategy dump_strategies[];
extern const size_t dump_nr_strategies;
extern const struct dump_sink *const dump_sinks[];
extern const size_t dump_nr_sinks;
extern const struct dump_selector dump_selectors[];
extern const size_t dump_nr_selectors;

#endif /* DUMP_ENGINE_TABLES_H */
