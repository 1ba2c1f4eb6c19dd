/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/jobs/job_quota.c - how many dumps a guest may keep, and what goes for others: dump.max_count, dump.max_bytes,
 * dump.rotate, and the same of dump.fallback_dir; see jobs.h
 *
 * Asked for each dump before the dumper gets it.  Dumps under way count as if they were complete
 * already; how large the new one will be is not known yet, so all memory of the dead VM is assumed.  With
 * rotation a dump for which only those under way leave no room waits until they are complete and can go.
 * An old dump goes before a new one is made only if the file system can hold that then; else when it is there.
 */
#include "vmm/jobs/jobs.h"

#include "dump/base/log.h"
#include "dump/engine/engine.h"
#include "dump/files/quota.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

/* guest.cfg's words are quota.h's, in the same order */
_Static_assert((int)ROTATE_NONE == (int)QUOTA_ROTATE_NONE &&
		       (int)ROTATE_COMPLETE == (int)QUOTA_ROTATE_COMPLETE &&
		       (int)ROTATE_ALL == (int)QUOTA_ROTATE_ALL,
	"dump.rotate");

/* The dumps under way of earlier crashes than @job's; the caller frees *ret.  Result: how many, or -ENOMEM. */
static ssize_t list_pending(const struct jobs *jobs, const struct dump_job *job, struct quota_pending **ret)
{
	struct quota_pending *pending;
	ssize_t nr = 0;

	for (const struct dump_job *other = jobs->list; other; other = other->next)
		nr++;
	pending = calloc((size_t)nr + 1, sizeof(*pending));
	if (!pending)
		return -ENOMEM;
	nr = 0;
	for (const struct dump_job *other = jobs->list; other && other != job; other = other->next)
		if (!other->finished)
			pending[nr++] = (struct quota_pending){
				.name = other->name, .bytes = other->populated};
	*ret = pending;
	return nr;
}

/* What counts in dump.dir, or in dump.fallback_dir. */
static struct quota_request request_for(const struct jobs *jobs, bool fallback)
{
	const struct config *config = jobs->setup.config;

	return (struct quota_request){
		.dir_fd = fallback ? jobs->setup.fallback_dir_fd : jobs->setup.dump_dir_fd,
		.guest = config->vm.name,
		.limits.max_count = fallback ? config->dump.fallback_max_count : config->dump.max_count,
		.limits.max_bytes = fallback ? config->dump.fallback_max_bytes : config->dump.max_bytes,
		.limits.rotate = (enum quota_rotate)config->dump.rotate,
	};
}

/* Where @job will go if it can.  *ret: what came of it.  False: nothing is known, which has been said. */
static bool make_room(struct jobs *jobs, const struct dump_job *job, bool fallback, struct quota_plan *ret)
{
	struct quota_request request = request_for(jobs, fallback);
	struct quota_pending *pending = NULL;
	char why[256] = "no memory";
	ssize_t nr = list_pending(jobs, job, &pending);
	int err = nr < 0 ? (int)nr : 0;

	request.pending = pending;
	request.nr_pending = nr < 0 ? 0 : (size_t)nr;
	request.need = job->populated;
	request.need_free = job->dump_fd < 0
				    ? dump_engine_space(job->record, job->region_fd, request.dir_fd)
				    : 0;
	if (!err)
		err = quota_make_room(&request, ret, why, sizeof(why));
	free(pending);
	if (err)
		log_warn("dump.max_count and dump.max_bytes are not observed: %s", why);
	return !err;
}

static void refuse(struct jobs *jobs, struct dump_job *job, const struct quota_plan *plan, bool fallback)
{
	struct quota_request request = request_for(jobs, fallback);
	char why[256], text[400];

	quota_explain(plan, &request.limits, job->populated, why, sizeof(why));
	snprintf(text, sizeof(text), "no room for it%s: %s; its memory is given back",
		fallback ? " but in dump.fallback_dir, where the limits are those of dump.fallback_*" : "",
		why);
	jobs_give_up(jobs, job, text);
}

static bool is_allowed(const struct quota_plan *plan)
{
	return plan->verdict == QUOTA_FITS || plan->verdict == QUOTA_ROTATE;
}

bool jobs_check_quota(struct jobs *jobs, struct dump_job *job)
{
	bool waited = job->awaits_room, fallback = false;
	struct quota_plan plan;

	job->awaits_room = false;
	if (!make_room(jobs, job, false, &plan))
		return true;
	if (is_allowed(&plan) && !plan.has_room && jobs->setup.fallback_dir_fd >= 0) {
		fallback = true;
		if (!make_room(jobs, job, true, &plan))
			return true;
	}
	if (is_allowed(&plan))
		return true;
	if (plan.verdict == QUOTA_BUSY && jobs->setup.config->dump.rotate != ROTATE_NONE) {
		job->awaits_room = true;
		if (!waited)
			log_info("generation %u: its dump waits for earlier ones, so that they can be "
				 "removed (dump.rotate)",
				job->generation);
		return true;
	}
	refuse(jobs, job, &plan, fallback);
	return false;
}

void jobs_trim(struct jobs *jobs, const struct dump_job *job)
{
	struct quota_request request = request_for(jobs,
		jobs->setup.fallback_dir_fd >= 0 && job->dir == jobs->setup.config->dump.fallback_dir);
	char why[256];

	if (quota_trim(&request, why, sizeof(why)))
		log_warn("dump.max_count and dump.max_bytes are not observed: %s", why);
}

bool jobs_free_memory(struct jobs *jobs)
{
	struct quota_request request = request_for(jobs, false);
	struct stat memory, dumps;
	char why[256];
	int r;

	if (fstat(jobs->setup.dir_fd, &memory) || fstat(jobs->setup.dump_dir_fd, &dumps) ||
		memory.st_dev != dumps.st_dev)
		return false; /* it would give no memory */
	r = quota_remove_one(&request, why, sizeof(why));
	if (r < 0)
		log_warn("no memory for the guest: %s", why);
	return r > 0;
}
