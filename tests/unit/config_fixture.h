/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/config_fixture.h - a configuration file in a directory of its own, and what loading it says */
#ifndef TESTS_UNIT_CONFIG_FIXTURE_H
#define TESTS_UNIT_CONFIG_FIXTURE_H

#include "tests/unit/scratch.h"
#include "vmm/config/config.h"

#include <check.h>

#define MINIMAL "[vm]\nkernel = k\n"

extern struct scratch scratch;
extern struct config config; /* as loaded last; freed at the end of the test */
extern char path[128];       /* of the file loaded last */

void config_setup(void);
void config_teardown(void);

/* Loads @text as guest.cfg. */
int load(const char *text, const char *const *sets, size_t nr_sets);

void accepts(const char *text);

/* @text is refused, in one line a mistake: each of @nr expected parts in a line of its own, in order. */
void refuses_lines(const char *text, const char *const *parts, size_t nr);

/* One mistake; the line names the file and @line, and has @part in it. */
void refuses(const char *text, unsigned line, const char *part);

#endif /* TESTS_UNIT_CONFIG_FIXTURE_H */
