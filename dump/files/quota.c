/* SPDX-License-Identifier: Apache-2.0 */
/* dump/files/quota.c - see quota.h */
#include "dump/files/quota.h"

#include "dump/base/log.h"
#include "dump/files/owner.h"
#include "dump/format/vmcore.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

static bool fits(const struct quota_limits *limits, uint64_t count, uint64_t bytes, uint64_t need)
{
	if (limits->max_count && count >= limits->max_count)
		return false;
	return !limits->max_bytes || (bytes <= limits->max_bytes && need <= limits->max_bytes - bytes);
}

/* The newest dump that is complete, or that is not: its index; catalog->nr if there is none. */
static size_t newest(const struct catalog *catalog, bool complete)
{
	for (size_t i = catalog->nr; i; i--)
		if (!catalog->dumps[i - 1].in_use &&
			catalog_is_complete(&catalog->dumps[i - 1]) == complete)
			return i - 1;
	return catalog->nr;
}

static bool may_go(const struct catalog *catalog, size_t index, enum quota_rotate rotate)
{
	const struct catalog_dump *dump = &catalog->dumps[index];

	if (dump->in_use || rotate == QUOTA_ROTATE_NONE)
		return false;
	if (catalog_is_complete(dump))
		return true;
	return rotate == QUOTA_ROTATE_ALL && index != newest(catalog, false);
}

struct quota_plan quota_decide(
	const struct catalog *catalog, const struct quota_limits *limits, uint64_t need)
{
	struct quota_plan plan = {.verdict = QUOTA_FITS}, some;

	for (size_t i = 0; i < catalog->nr; i++) {
		if (catalog->dumps[i].in_use)
			continue;
		plan.count++;
		plan.unfinished += !catalog_is_complete(&catalog->dumps[i]);
		plan.bytes += catalog->dumps[i].bytes;
	}
	if (fits(limits, plan.count, plan.bytes, need))
		return plan;
	plan.verdict = fits(limits, 0, 0, need) ? QUOTA_FULL : QUOTA_TOO_BIG;
	if (plan.verdict == QUOTA_TOO_BIG)
		return plan;
	some = plan;
	for (size_t i = 0; i < catalog->nr; i++) {
		if (!may_go(catalog, i, limits->rotate))
			continue;
		some.nr_remove++;
		some.freed += catalog->dumps[i].bytes;
		if (!fits(limits, plan.count - some.nr_remove, plan.bytes - some.freed, need))
			continue;
		some.verdict = QUOTA_ROTATE;
		return some;
	}
	return plan; /* nothing goes in vain */
}

static int remove_dump(int dir_fd, const struct catalog_dump *dump, char *why, size_t why_size)
{
	int r = catalog_remove(dir_fd, dump, ~0u);

	if (r)
		snprintf(why, why_size, "cannot remove the dump %s: %s", dump->name, strerror(-r));
	else
		log_info("removed the old dump %s (%" PRIu64 " MiB)", dump->name, dump->bytes >> 20);
	return r;
}

/* Removes the first @nr that may go. */
static int remove_oldest(const struct quota_request *request, const struct catalog *catalog, size_t nr,
	char *why, size_t why_size)
{
	int r = 0;

	for (size_t i = 0; i < catalog->nr && nr && !r; i++) {
		if (!may_go(catalog, i, request->limits.rotate))
			continue;
		r = remove_dump(request->dir_fd, &catalog->dumps[i], why, why_size);
		nr--;
	}
	return r;
}

/* What is no dump of @guest by what the file says that stands for it; an unfinished one may have no trailer yet. */
static bool is_of(int dir_fd, const struct catalog_dump *dump, const char *guest)
{
	char file[PUBLISH_NAME_MAX];
	struct dump_owner owner;
	int r;

	if (!dump_name_is_of(dump->name, guest))
		return false;
	catalog_file_name(dump, file, sizeof(file));
	r = dump_owner_read(dir_fd, file, &owner);
	if (r || strcmp(owner.name, dump->name))
		return !r ? false : !(dump->files & CATALOG_FINAL);
	return !(dump->files & CATALOG_FINAL) ||
	       (owner.role == VMCORE_ROLE_DUMP && owner.state == VMCORE_STATE_COMPLETE);
}

/* The dumps of the guest in the directory. */
static int read_dumps(const struct quota_request *request, struct catalog *ret, char *why, size_t why_size)
{
	size_t kept = 0;
	int r = catalog_read(request->dir_fd, ret);

	if (r) {
		snprintf(why, why_size, "cannot read the directory of the dumps: %s", strerror(-r));
		return r;
	}
	for (size_t i = 0; i < ret->nr; i++)
		if (is_of(request->dir_fd, &ret->dumps[i], request->guest))
			ret->dumps[kept++] = ret->dumps[i];
	ret->nr = kept;
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

static uint64_t free_bytes(int dir_fd)
{
	struct statfs fs;

	if (fstatfs(dir_fd, &fs) < 0)
		return 0;
	return fs.f_blocks ? (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize : UINT64_MAX; /* none: no limit */
}

/* Besides what the limits demand, what goes so that the file system has room; nothing if that does not help. */
static void find_room(
	const struct quota_request *request, const struct catalog *catalog, struct quota_plan *plan)
{
	uint64_t have = free_bytes(request->dir_fd), freed = 0;
	size_t nr = 0;

	for (size_t i = 0; i <= catalog->nr; i++) {
		plan->has_room = have >= request->need_free || freed >= request->need_free - have;
		if (plan->has_room && nr >= plan->nr_remove)
			break;
		if (i == catalog->nr || !may_go(catalog, i, request->limits.rotate))
			continue;
		nr++;
		freed += catalog->dumps[i].bytes;
	}
	plan->nr_remove = plan->has_room ? nr : 0;
	plan->freed = plan->has_room ? freed : 0;
	if (plan->nr_remove)
		plan->verdict = QUOTA_ROTATE;
}

int quota_make_room(const struct quota_request *request, struct quota_plan *ret, char *why, size_t why_size)
{
	struct catalog catalog;
	int r = read_dumps(request, &catalog, why, why_size);

	if (r)
		return r;
	*ret = decide_beside(
		&catalog, request->limits, request->pending, request->nr_pending, request->need);
	if (ret->verdict == QUOTA_FITS || ret->verdict == QUOTA_ROTATE)
		find_room(request, &catalog, ret);
	r = remove_oldest(request, &catalog, ret->nr_remove, why, why_size);
	catalog_fini(&catalog);
	return r;
}

int quota_trim(const struct quota_request *request, char *why, size_t why_size)
{
	const struct quota_limits *limits = &request->limits;
	uint64_t count = 0, bytes = 0;
	struct catalog catalog;
	int r = read_dumps(request, &catalog, why, why_size);

	if (r)
		return r;
	for (size_t i = 0; i < catalog.nr; i++) {
		count += !catalog.dumps[i].in_use;
		bytes += catalog.dumps[i].in_use ? 0 : catalog.dumps[i].bytes;
	}
	for (size_t i = 0; i < catalog.nr && !r; i++) {
		if ((!limits->max_count || count <= limits->max_count) &&
			(!limits->max_bytes || bytes <= limits->max_bytes))
			break;
		if (!may_go(&catalog, i, limits->rotate) || i == newest(&catalog, true))
			continue;
		r = remove_dump(request->dir_fd, &catalog.dumps[i], why, why_size);
		count--;
		bytes -= catalog.dumps[i].bytes;
	}
	catalog_fini(&catalog);
	return r;
}

int quota_remove_one(const struct quota_request *request, char *why, size_t why_size)
{
	struct catalog catalog;
	int r = read_dumps(request, &catalog, why, why_size);
	size_t i = 0;

	if (r)
		return r;
	while (i < catalog.nr && !may_go(&catalog, i, request->limits.rotate))
		i++;
	if (i < catalog.nr) {
		r = remove_dump(request->dir_fd, &catalog.dumps[i], why, why_size);
		r = r ? r : 1;
	}
	catalog_fini(&catalog);
	return r;
}

/* Which other value of dump.rotate would help. */
static void explain_rotate(
	const struct quota_plan *plan, const struct quota_limits *limits, char *buf, size_t size)
{
	if (limits->rotate == QUOTA_ROTATE_NONE)
		snprintf(buf, size, " (dump.rotate = yes would remove the oldest)");
	else if (plan->unfinished)
		snprintf(buf, size, " (%" PRIu64 " of them are not complete: minivmm dump salvage or rm%s)",
			plan->unfinished,
			limits->rotate == QUOTA_ROTATE_ALL
				? ""
				: "; dump.rotate = all would remove the oldest but one");
}

void quota_explain(const struct quota_plan *plan, const struct quota_limits *limits, uint64_t need,
	char *buf, size_t size)
{
	int len;

	switch (plan->verdict) {
	case QUOTA_TOO_BIG:
		snprintf(buf, size, "the dump needs %" PRIu64 " MiB, dump.max_bytes is %" PRIu64 " MiB",
			need >> 20, limits->max_bytes >> 20);
		break;
	case QUOTA_FULL:
		len = limits->max_count && plan->count >= limits->max_count
			      ? snprintf(buf, size,
					"there are %" PRIu64 " dumps, dump.max_count is %" PRIu64,
					plan->count, limits->max_count)
			      : snprintf(buf, size,
					"the dumps there take %" PRIu64 " MiB, this one %" PRIu64
					" MiB, dump.max_bytes is %" PRIu64 " MiB",
					plan->bytes >> 20, need >> 20, limits->max_bytes >> 20);
		explain_rotate(plan, limits, buf + len, size - (size_t)len);
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
