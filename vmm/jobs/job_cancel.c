/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/jobs/job_cancel.c - a dump that the operator does not want any more: see guest.h
 *
 * What has been dumped stays as NAME.vmcore.partial, which every tool opens; the memory that has not is given
 * back, by taking its name away.  There is no way to ask a dumper in the middle of its work, which may stand
 * still besides: it is killed, and the next one takes the jobs that wait.
 */
#include "vmm/supervisor/guest.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/record/choices.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct dump_job *jobs_running(const struct guest *guest)
{
	for (struct dump_job *job = guest->jobs; job; job = job->next)
		if (job->sent && !job->finished)
			return job;
	return NULL;
}

void jobs_cancel(struct guest *guest, struct dump_job *job)
{
	job->cancelled = true;
	if (job->sent) {
		guest->dumper_cancelled = true;
		/* our child and not waited for, so the number is still its own; jobs.c hears of its end */
		if (kill(guest->dumper.pid, SIGKILL) < 0)
			log_debug("kill: %s", strerror(errno));
		return;
	}
	for (struct vm *vm = guest->dying; vm; vm = vm->next_dying)
		if (vm->generation == job->generation)
			vm->dying_deadline_ns = 0; /* it dumps by itself: no more */
	jobs_cancelled(guest, job);
	jobs_submit(guest); /* one may have waited for the room of this one */
}

static void remove_name(int dir_fd, const char *name)
{
	if (dir_fd >= 0 && unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		log_warn("%s: %s", name, strerror(errno));
}

/* The name under which something of the dump is left, or NULL. */
static const char *find_rest(const struct guest *guest, const struct publish_names *names)
{
	const int dirs[] = {guest->dump_dir_fd, guest->fallback_dir_fd};
	const char *const files[] = {names->final, names->dump_partial};
	struct stat st;

	for (size_t k = 0; k < ARRAY_LEN(files); k++)
		for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
			if (dirs[i] >= 0 && !fstatat(dirs[i], files[k], &st, AT_SYMLINK_NOFOLLOW))
				return files[k];
	return NULL;
}

void jobs_cancelled(struct guest *guest, struct dump_job *job)
{
	/* in place the memory is the dump; a guest's own file is none before the dumper has completed it */
	bool keep = job->linked && !dump_strategies[job->options.strategy].in_place;
	struct publish_names names;
	const char *rest;

	jobs_names(job, &names);
	remove_name(guest->dir_fd, names.region_partial);
	if (!keep) {
		remove_name(guest->dump_dir_fd, names.dump_partial);
		remove_name(guest->fallback_dir_fd, names.dump_partial);
	}
	rest = find_rest(guest, &names);
	report_progress_end(guest);
	if (rest)
		log_warn("generation %u: dump cancelled; what there is of it is kept: %s/%s",
			job->generation, job->dir, rest);
	else
		log_warn("generation %u: dump cancelled; nothing of it is kept", job->generation);
	EVENT(&guest->events, "dump-cancelled", job->generation, EV_STR("dir", job->dir),
		EV_STR("name", job->name), EV_STR("file", rest ? rest : ""));
	jobs_finish(guest, job, true);
}
