/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/jobs/job_quota.c - how many dumps a guest may keep: dump.max_count, dump.max_bytes, dump.rotate.
 *
 * Asked for each dump before the dumper gets it.  Dumps under way count as if they were complete
 * already; how large the new one will be is not known yet, so all memory of the dead VM is assumed.  With
 * rotation a dump for which only those under way leave no room waits until they are complete and can go.
 */
#include "vmm/jobs/jobs.h"

#include "dump/base/log.h"
#include "dump/files/quota.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

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

bool jobs_check_quota(struct jobs *jobs, struct dump_job *job)
{
	const struct config *config = jobs->setup.config;
	struct quota_limits limits = {.max_count = config->dump.max_count,
		.max_bytes = config->dump.max_bytes,
		.rotate = config->dump.rotate};
	struct quota_pending *pending = NULL;
	bool waited = job->awaits_room;
	struct quota_plan plan;
	char why[256] = "no memory", text[320];
	ssize_t nr;
	int err;

	job->awaits_room = false;
	if (!limits.max_count && !limits.max_bytes)
		return true;
	nr = list_pending(jobs, job, &pending);
	err = nr < 0 ? (int)nr
		     : quota_make_room(jobs->setup.dump_dir_fd, &limits, pending, (size_t)nr,
			       job->populated, &plan, why, sizeof(why));
	free(pending);
	if (err) {
		log_warn("dump.max_count and dump.max_bytes are not observed: %s", why);
		return true;
	}
	if (plan.verdict == QUOTA_FITS || plan.verdict == QUOTA_ROTATE)
		return true;
	if (plan.verdict == QUOTA_BUSY && limits.rotate) {
		job->awaits_room = true;
		if (!waited)
			log_info("generation %u: its dump waits for earlier ones, so that they can be "
				 "removed "
				 "(dump.rotate)",
				job->generation);
		return true;
	}
	quota_explain(&plan, &limits, job->populated, why, sizeof(why));
	snprintf(text, sizeof(text), "no room for it: %s; its memory is given back", why);
	jobs_give_up(jobs, job, text);
	return false;
}
