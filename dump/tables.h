/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/tables.h - the registries of the dump engine: plain const tables, terminated by their count.
 * Configuration, --help and the engine all read these; adding a strategy is one file and one line.
 */
#ifndef DUMP_TABLES_H
#define DUMP_TABLES_H

#include <stddef.h>
#include <stdint.h>

struct dump_engine;

/* A strategy moves the selected bytes from the crashed region into the dump. */
struct dump_strategy {
	const char *name;    /* as in [dump] strategy = */
	const char *help;    /* one line for --help */
	uint32_t guest_mode; /* FW_DUMP_MODE_*: what a guest is told by the query call */
	/* Runs to the end; called once, on the dumper's main thread.  0 or -errno. */
	int (*run)(struct dump_engine *engine);
};

/* A selector decides which pages belong in the dump, by clearing bits of engine->selected. */
struct dump_selector {
	const char *name; /* as in [dump] select = */
	const char *help;
	int (*select)(struct dump_engine *engine);
};

extern const struct dump_strategy dump_strategies[];
extern const size_t dump_nr_strategies;
extern const struct dump_selector dump_selectors[];
extern const size_t dump_nr_selectors;

#endif /* DUMP_TABLES_H */
