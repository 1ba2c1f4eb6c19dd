/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/files/quota.h - how many dumps of one guest a directory keeps: what has to go so that one more fits.
 *
 * Dumps of other guests and files that are no dumps neither count nor go, whatever their names (owner.h).  All of this
 * guest's count, also unfinished ones: they take room like any other.  The oldest go first; complete ones, and
 * unfinished ones only if the operator says so and never the newest of them, which may be all that is left of a crash.
 * What somebody works on neither counts nor goes.
 *
 * Locks: none; who makes dumps in a directory asks one at a time.
 */
#ifndef DUMP_FILES_QUOTA_H
#define DUMP_FILES_QUOTA_H

#include "dump/files/catalog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What may be removed for a new one. */
enum quota_rotate { QUOTA_ROTATE_NONE, QUOTA_ROTATE_COMPLETE, QUOTA_ROTATE_ALL };

struct quota_limits {
	uint64_t max_count; /* dumps; 0 = any number */
	uint64_t max_bytes; /* of memory or disk behind them; 0 = any */
	enum quota_rotate rotate;
};

enum quota_verdict {
	QUOTA_FITS,    /* nothing has to go */
	QUOTA_ROTATE,  /* it fits once the chosen ones have gone */
	QUOTA_FULL,    /* it would fit if dumps were removed, and rotate is off */
	QUOTA_TOO_BIG, /* it alone is over max_bytes: removing others would not help */
	QUOTA_BUSY, /* dumps under way are all that the limits allow; when they are complete, they can go */
};

/* A dump under way: counts as if it were complete, once, also in the moment when it becomes so. */
struct quota_pending {
	const char *name; /* base name */
	uint64_t bytes;   /* it may take */
};

struct quota_plan {
	enum quota_verdict verdict;
	uint64_t count, bytes; /* of the dumps that are there, in @count also those under way */
	uint64_t unfinished;   /* of @count: neither complete nor under way */
	size_t nr_remove;      /* the first so many of the catalog's that may go; 0 unless QUOTA_ROTATE */
	uint64_t freed;        /* bytes that they occupy */
	bool has_room;         /* the file system can hold it once they have gone; quota_make_room() */
};

/*
 * quota_decide - may one more dump of about @need bytes be made?  Pure.
 * @catalog: dumps of the guest, in the order of catalog_read, oldest first.
 */
struct quota_plan quota_decide(
	const struct catalog *catalog, const struct quota_limits *limits, uint64_t need);

/* Everything borrowed. */
struct quota_request {
	int dir_fd;
	const char *guest; /* whose dumps count and may go */
	struct quota_limits limits;
	const struct quota_pending *pending; /* dumps of it under way */
	size_t nr_pending;
	uint64_t need;      /* bytes that the dump may take in the end */
	uint64_t need_free; /* bytes that must be free on the file system when it begins */
};

/*
 * quota_make_room - decide for the directory as it is now and the dumps under way, and remove what has to go, by the
 * limits or for the room.  Nothing is removed for a dump that the file system cannot hold even then: such a one may
 * be made (somebody else may give the room), and quota_trim() comes afterwards.  What was removed is logged at info.
 * @ret: the plan; its verdict tells whether the dump may be made.
 * Errors: -errno of reading the directory or of a removal; @why then has a sentence.
 */
int warn_unused quota_make_room(
	const struct quota_request *request, struct quota_plan *ret, char *why, size_t why_size);

/*
 * quota_trim - a dump was made: the oldest that may go do so, until the limits hold.  Never the newest complete one.
 * Of @request: dir_fd, guest, limits.  Errors: as above.
 */
int warn_unused quota_trim(const struct quota_request *request, char *why, size_t why_size);

/*
 * quota_remove_one - the oldest dump that may go does so, for want of memory.  Of @request: dir_fd, guest,
 * limits.rotate.  Result: 1 = one has gone, 0 = there is none; or -errno as above.
 */
int warn_unused quota_remove_one(const struct quota_request *request, char *why, size_t why_size);

/* Writes what an operator must know of a plan that refuses, e.g. "3 dumps, dump.max_count is 3". */
void quota_explain(const struct quota_plan *plan, const struct quota_limits *limits, uint64_t need,
	char *buf, size_t size);

#endif /* DUMP_FILES_QUOTA_H */
