/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/salvage_guest.h - a small guest whose dump, and then the salvage of it, is killed or fails at a chosen call,
 * in memory or with the dump on a disk; and the judge of what comes of it.
 *
 * Every helper ends the test when the host refuses.
 */
#ifndef TESTS_UNIT_SALVAGE_GUEST_H
#define TESTS_UNIT_SALVAGE_GUEST_H

#include "tests/unit/dump_fixture.h"
#include "tests/unit/place.h"

#include "dump/base/io.h"
#include "dump/save/salvage.h"

#define GUEST_REGION "guest-test-g0.region.partial"
#define GUEST_DUMP "guest-test-g0.vmcore.partial"
#define GUEST_FINAL "guest-test-g0.vmcore"
#define GUEST_LZ4 "guest-test-g0.vmcore.lz4.partial"
#define GUEST_LZ4_FINAL "guest-test-g0.vmcore.lz4"

/* A guest of eight chunks; the pages from a quarter to half of it were never touched. */
#define GUEST_SEED 99u
#define GUEST_CHUNK_PAGES 64u
#define GUEST_CHUNKS 8u
#define GUEST_PAGES (GUEST_CHUNKS * GUEST_CHUNK_PAGES)

struct salvage_guest {
	struct dump_fixture f; /* the region's directory */
	struct place disk;     /* fd -1: the dump is in memory */
	int dir_fd;            /* borrowed: the dump's directory */
	const char *dir;
};

/* How it is dumped. */
struct salvage_way {
	const char *strategy, *sink, *select;
	bool on_disk;
};
extern const struct salvage_way salvage_ways[];
extern const int nr_salvage_ways;

/* The guest has crashed and is announced: its region has a name. */
void guest_init(struct salvage_guest *g, const struct salvage_way *way);
void guest_fini(struct salvage_guest *g);

/*
 * Its dump, in a process of its own that dies before the @nth call of dump/base/io.h's kinds, from 1; 0: it does not.
 * Result: false if there were fewer calls.  From then on the VMM counts as dead, too.
 */
bool guest_dump(struct salvage_guest *g, unsigned nth);

/* Likewise its salvage by the region or, with @by_dump, the dump.  @error: how the call fails; 0: the process dies. */
bool guest_salvage_killed(struct salvage_guest *g, bool by_dump, unsigned nth, int error);

/* Salvages it in this process.  Errors: as dump_salvage. */
int guest_salvage(struct salvage_guest *g, bool by_dump, struct salvage_request more,
	struct salvage_result *ret, char why[256]);

bool guest_has(const struct salvage_guest *g, const char *name);

/* Ends the test unless a whole dump has the final name, every page of it is right, and no other file is left. */
void guest_check(struct salvage_guest *g, const char *what);

/* The same for the file @name alone; others may be there. */
void guest_check_file(struct salvage_guest *g, const char *name, const char *what);

#endif /* TESTS_UNIT_SALVAGE_GUEST_H */
