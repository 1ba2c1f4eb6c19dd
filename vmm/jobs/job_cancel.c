/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/jobs/job_cancel.c - a dump that the operator does not want any more: see jobs.h
 *
 * What has been dumped stays as NAME.vmcore.partial, which every tool opens; the memory that has not is given
 * back, by taking its name away.  There is no way to ask a dumper in the middle of its work, which may stand
 * still besides: it is killed, and the next one takes the jobs that wait.
 */
#include "vmm/jobs/jobs.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/record/choices.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void remove_name(int dir_fd, const char *name)
{
	if (dir_fd >= 0 && unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		log_warn("%s: %s", name, strerror(errno));
}

/* The name under which something of the dump is left, or NULL. */
static const char *find_rest(const struct jobs *jobs, const struct publish_names *names)
{
	const int dirs[] = {jobs->setup.dump_dir_fd, jobs->setup.fallback_dir_fd};
	const char *const files[] = {names->final, names->dump_partial};
	struct stat st;

	for (size_t k = 0; k < ARRAY_LEN(files); k++)
		for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
			if (dirs[i] >= 0 && !fstatat(dirs[i], files[k], &st, AT_SYMLINK_NOFOLLOW))
				return files[k];
	return NULL;
}

void jobs_cancelled(struct jobs *jobs, struct dump_job *job)
{
	/* in place the memory is the dump; a guest's own file is none before the dumper has completed it */
	bool keep = job->linked && !dump_strategies[job->options.strategy].in_place;
	struct publish_names names;
	const char *rest;

	job_names(job, &names);
	remove_name(jobs->setup.dir_fd, names.region_partial);
	if (!keep) {
		remove_name(jobs->setup.dump_dir_fd, names.dump_partial);
		remove_name(jobs->setup.fallback_dir_fd, names.dump_partial);
	}
	rest = find_rest(jobs, &names);
	job_report_progress_end(jobs);
	if (rest)
		log_warn("generation %u: dump cancelled; what there is of it is kept: %s/%s",
			job->generation, job->dir, rest);
	else
		log_warn("generation %u: dump cancelled; nothing of it is kept", job->generation);
	EVENT(jobs->setup.events, "dump-cancelled", job->generation, EV_STR("dir", job->dir),
		EV_STR("name", job->name), EV_STR("file", rest ? rest : ""));
	jobs_finish(jobs, job, true);
}
