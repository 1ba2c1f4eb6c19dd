/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/job_quota.c - how many dumps a guest may keep: dump.max_count, dump.max_bytes, dump.rotate.
 *
 * Asked once for each dump, before the dumper gets it.  Dumps under way count as if they were complete
 * already; how large the new one will be is not known yet, so all memory of the dead VM is assumed.
 */
#include "vmm/guest.h"

#include "dump/base/log.h"
#include "dump/quota.h"

#include <stdio.h>
#include <string.h>

bool jobs_check_quota(struct guest *guest, struct dump_job *job)
{
	const struct config *config = guest->config;
	struct quota_limits limits = {.max_count = config->dump.max_count,
		.max_bytes = config->dump.max_bytes,
		.rotate = config->dump.rotate};
	uint64_t need = job->populated, waiting = 0;
	struct quota_plan plan;
	char why[256], text[320];

	if (!limits.max_count && !limits.max_bytes)
		return true;
	for (const struct dump_job *other = guest->jobs; other; other = other->next) {
		if (other == job || other->finished)
			continue;
		waiting++;
		need += other->populated;
	}
	if (limits.max_count && waiting >= limits.max_count) {
		jobs_give_up(guest, job, "dump.max_count dumps are under way already");
		return false;
	}
	if (limits.max_count)
		limits.max_count -= waiting;
	if (quota_make_room(guest->dump_dir_fd, &limits, need, &plan, why, sizeof(why))) {
		log_warn("dump.max_count and dump.max_bytes are not observed: %s", why);
		return true;
	}
	if (plan.verdict != QUOTA_FULL && plan.verdict != QUOTA_TOO_BIG)
		return true;
	quota_explain(&plan, &limits, need, why, sizeof(why));
	snprintf(text, sizeof(text), "no room for it: %s; its memory is given back", why);
	jobs_give_up(guest, job, text);
	return false;
}
