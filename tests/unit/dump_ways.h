/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/dump_ways.h - the ways of dumping there are, a guest to dump, and the judge of the result,
 * which shares no code with the writers.
 *
 * The guest: runs of pages with contents, pages of zeros with memory behind them, holes, and a descriptor
 * array that calls some of them free.
 */
#ifndef TESTS_UNIT_DUMP_WAYS_H
#define TESTS_UNIT_DUMP_WAYS_H

#include "tests/unit/dump_fixture.h"

struct way {
	const char *strategy, *sink, *select;
	uint32_t workers, order;
	bool huge; /* on a tmpfs with huge pages, if this process may mount one */
};

extern const struct way ways[];
extern const int nr_ways;

/* Those that make sense on a disk too, where nothing is remapped and no page is huge: @nth from 0. */
int nr_ways_for_disks(void);
const struct way *way_for_disks(int nth);

/* A fixture with the guest, for one way.  False (and no fixture) if the host cannot do it: a reason is printed. */
bool way_setup(struct dump_fixture *f, const struct way *way);

/* The same on a tmpfs of its own, mounted with @mount_options; NULL = in /dev/shm. */
bool way_setup_on(struct dump_fixture *f, const struct way *way, const char *mount_options);

/* Ends the test unless the published dump in @dir_fd is what the way promises, and nothing else is left. */
void way_check(const struct dump_fixture *f, const struct way *way, int dir_fd);

/*
 * The same of the file @name alone, whatever else is there.  @select: what the way's selectors were, or "all" where
 * nothing was left out; @holes: what is not selected must take no memory.
 */
void way_check_file(const struct dump_fixture *f, const struct way *way, int dir_fd, const char *name,
	const char *select, bool holes);

/* The names of its files. */
void way_names(const struct way *way, struct publish_names *ret);

#endif /* TESTS_UNIT_DUMP_WAYS_H */
