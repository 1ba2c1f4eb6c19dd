/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/scenario.h - what the guest does once it is up.  Adding one: a function and a line in scenario.c.
 */
#ifndef GUEST_STUB_SCENARIO_H
#define GUEST_STUB_SCENARIO_H

#include <stdbool.h>

struct config;

struct scenario {
	const char *name;
	const char *help;
	/* on the boot CPU, in ring 3; power off follows if it returns */
	void (*run)(const struct config *config);
	bool early; /* before memory, CPUs, fill and delay */
};

/* scenario_find - the scenario called @name, or null. */
const struct scenario *scenario_find(const char *name);

/* scenario_print_all - one console line for each. */
void scenario_print_all(void);

#endif /* GUEST_STUB_SCENARIO_H */
