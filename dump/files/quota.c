/* SPDX-License-Identifier: Apache-2.0 */
/* dump/files/quota.c - see quota.h */
#include "dump/files/quota.h"

#include "dump/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool fits(const struct quota_limits *limits, uint64_t count, uint64_t bytes, uint64_t need)
{
	if (limits->max_count && count >= limits->max_count)
		return false;
	return !limits->max_bytes || (bytes <= limits->max_bytes && need <= limits->max_bytes - bytes);
}

struct quota_plan quota_decide(
	const struct catalog *catalog, const struct quota_limits *limits, uint64_t need)
{
	struct quota_plan plan = {.verdict = QUOTA_FITS};

	for (size_t i = 0; i < catalog->nr; i++) {
		if (!catalog_is_complete(&catalog->dumps[i]))
			continue;
		plan.count++;
		plan.bytes += catalog->dumps[i].bytes;
	}
	if (fits(limits, plan.count, plan.bytes, need))
		return plan;
	if (!fits(limits, 0, 0, need))
		plan.verdict = QUOTA_TOO_BIG;
	else
		plan.verdict = limits->rotate ? QUOTA_ROTATE : QUOTA_FULL;
	if (plan.verdict != QUOTA_ROTATE)
		return plan;
	for (size_t i = 0; i < catalog->nr; i++) {
		if (fits(limits, plan.count - plan.nr_remove, plan.bytes - plan.freed, need))
			break;
		if (!catalog_is_complete(&catalog->dumps[i]))
			continue;
		plan.nr_remove++;
		plan.freed += catalog->dumps[i].bytes;
	}
	return plan;
}

/* Removes the first @nr complete dumps. */
static int remove_oldest(int dir_fd, const struct catalog *catalog, size_t nr, char *why, size_t why_size)
{
	for (size_t i = 0; i < catalog->nr && nr; i++) {
		const struct catalog_dump *dump = &catalog->dumps[i];
		int r;

		if (!catalog_is_complete(dump))
			continue;
		r = catalog_remove(dir_fd, dump, ~0u);
		if (r) {
			snprintf(why, why_size, "cannot remove the dump %s: %s", dump->name, strerror(-r));
			return r;
		}
		log_info("removed the old dump %s (%" PRIu64 " MiB)", dump->name, dump->bytes >> 20);
		nr--;
	}
	return 0;
}

static bool is_complete(const struct catalog *catalog, const char *name)
{
	for (size_t i = 0; i < catalog->nr; i++)
		if (!strcmp(catalog->dumps[i].name, name))
			return catalog_is_complete(&catalog->dumps[i]);
	return false;
}

/* quota_decide() with the dumps under way, of which some may be in the catalog by now. */
static struct quota_plan decide_beside(const struct catalog *catalog, struct quota_limits limits,
	const struct quota_pending *pending, size_t nr_pending, uint64_t need)
{
	struct quota_plan plan;
	uint64_t waiting = 0, all = need;

	for (size_t i = 0; i < nr_pending; i++) {
		if (is_complete(catalog, pending[i].name))
			continue;
		waiting++;
		if (u64_add_overflows(all, pending[i].bytes, &all))
			all = UINT64_MAX;
	}
	if (!fits(&limits, 0, 0, need))
		return (struct quota_plan){.verdict = QUOTA_TOO_BIG};
	if (!fits(&limits, waiting, 0, all))
		return (struct quota_plan){.verdict = QUOTA_BUSY};
	if (limits.max_count)
		limits.max_count -= waiting;
	plan = quota_decide(catalog, &limits, all);
	plan.count += waiting;
	return plan;
}

int quota_make_room(int dir_fd, const struct quota_limits *limits, const struct quota_pending *pending,
	size_t nr_pending, uint64_t need, struct quota_plan *ret, char *why, size_t why_size)
{
	struct catalog catalog;
	int r;

	r = catalog_read(dir_fd, &catalog);
	if (r) {
		snprintf(why, why_size, "cannot read the directory of the dumps: %s", strerror(-r));
		return r;
	}
	*ret = decide_beside(&catalog, *limits, pending, nr_pending, need);
	r = remove_oldest(dir_fd, &catalog, ret->nr_remove, why, why_size);
	catalog_fini(&catalog);
	return r;
}

void quota_explain(const struct quota_plan *plan, const struct quota_limits *limits, uint64_t need,
	char *buf, size_t size)
{
	switch (plan->verdict) {
	case QUOTA_TOO_BIG:
		snprintf(buf, size, "the dump needs %" PRIu64 " MiB, dump.max_bytes is %" PRIu64 " MiB",
			need >> 20, limits->max_bytes >> 20);
		break;
	case QUOTA_FULL:
		if (limits->max_count && plan->count >= limits->max_count)
			snprintf(buf, size,
				"there are %" PRIu64 " dumps, dump.max_count is %" PRIu64
				" (dump.rotate = yes would remove the oldest)",
				plan->count, limits->max_count);
		else
			snprintf(buf, size,
				"the dumps there take %" PRIu64 " MiB, this one %" PRIu64
				" MiB, dump.max_bytes is %" PRIu64
				" MiB (dump.rotate = yes would remove the oldest)",
				plan->bytes >> 20, need >> 20, limits->max_bytes >> 20);
		break;
	case QUOTA_BUSY:
		snprintf(buf, size,
			"the dumps under way are all that dump.max_count and dump.max_bytes allow");
		break;
	case QUOTA_ROTATE:
		snprintf(buf, size, "%zu old dumps make room for the new one", plan->nr_remove);
		break;
	case QUOTA_FITS:
		snprintf(buf, size, "there is room for one more dump");
		break;
	}
}
