/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/files/quota.h - how many dumps a directory keeps: what has to go so that one more fits.
 *
 * Only complete dumps count, and only they are ever removed, the oldest first: a partial one may be all that
 * is left of a crash.  Locks: none; who makes dumps in a directory asks one at a time.
 */
#ifndef DUMP_FILES_QUOTA_H
#define DUMP_FILES_QUOTA_H

#include "dump/files/catalog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quota_limits {
	uint64_t max_count; /* complete dumps; 0 = any number */
	uint64_t max_bytes; /* of memory or disk behind them; 0 = any */
	bool rotate;        /* the oldest make room for the new one */
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
	uint64_t count, bytes; /* of the complete dumps that are there, in @count also those under way */
	size_t nr_remove; /* the first so many complete dumps of the catalog go; 0 unless QUOTA_ROTATE */
	uint64_t freed;   /* bytes that they occupy */
};

/*
 * quota_decide - may one more dump of about @need bytes be made?  Pure.
 * @catalog is in the order of catalog_read, oldest first.
 */
struct quota_plan quota_decide(
	const struct catalog *catalog, const struct quota_limits *limits, uint64_t need);

/*
 * quota_make_room - decide for @dir_fd as it is now and the dumps under way, and remove what has to go.  What was
 * removed is logged at info.  @ret: the plan; its verdict tells whether the dump may be made.
 * Errors: -errno of reading the directory or of a removal; @why then has a sentence.
 */
int warn_unused quota_make_room(int dir_fd, const struct quota_limits *limits,
	const struct quota_pending *pending, size_t nr_pending, uint64_t need, struct quota_plan *ret,
	char *why, size_t why_size);

/* Writes what an operator must know of a plan that refuses, e.g. "3 dumps, dump.max_count is 3". */
void quota_explain(const struct quota_plan *plan, const struct quota_limits *limits, uint64_t need,
	char *buf, size_t size);

#endif /* DUMP_FILES_QUOTA_H */
