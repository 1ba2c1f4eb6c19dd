/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/jobs/jobs.c - the list of dumps under way: see jobs.h */
#include "vmm/jobs/jobs.h"

#include "dump/base/log.h"
#include "dump/engine/engine.h"
#include "dump/record/choices.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void jobs_init(struct jobs *jobs)
{
	*jobs = (struct jobs){
		.setup = {.epoll_fd = -1, .dir_fd = -1, .dump_dir_fd = -1, .fallback_dir_fd = -1}};
	dumper_init(&jobs->dumper);
}

void jobs_open(struct jobs *jobs, const struct jobs_setup *setup)
{
	jobs->setup = *setup;
}

void jobs_tell(struct jobs *jobs, enum jobs_news news, const struct dump_job *job)
{
	jobs->setup.tell(jobs->setup.opaque, news, job);
}

static void append(struct jobs *jobs, struct dump_job *job)
{
	struct dump_job **at = &jobs->list;

	while (*at)
		at = &(*at)->next;
	*at = job;
}

struct dump_job *jobs_add(struct jobs *jobs, struct vm *vm, const struct vm_end *end)
{
	struct dump_job *job;
	int err = job_create(&job, jobs->setup.config, vm, end);

	if (err) {
		log_error("generation %u: no dump: %s", vm->generation, strerror(-err));
		jobs->failed = true;
		return NULL;
	}
	/* whatever the last one died of: it may not be in this VM */
	if (jobs->dumper.socket < 0 && jobs->dumper_failures == DUMPER_FAILURES_MAX)
		jobs->dumper_failures--;
	append(jobs, job);
	return job;
}

void jobs_announce(struct jobs *jobs, struct dump_job *job, int dump_fd)
{
	int err = dump_engine_announce(
		job->record, job->region_fd, jobs->setup.dir_fd, dump_fd, jobs->setup.dump_dir_fd);

	job->announced = !err;
	if (err)
		log_warn("generation %u: its memory cannot be named, a kill of all processes would lose "
			 "it: %s",
			job->generation, strerror(-err));
}

struct dump_job *jobs_find_active(const struct jobs *jobs, uint32_t generation)
{
	for (struct dump_job *job = jobs->list; job; job = job->next)
		if (job->generation == generation && !job->finished)
			return job;
	return NULL;
}

bool jobs_busy(const struct jobs *jobs)
{
	for (const struct dump_job *job = jobs->list; job; job = job->next)
		if (!job->finished)
			return true;
	return false;
}

void jobs_unlock(const struct dump_job *job)
{
	if (job->region_fd >= 0)
		publish_unlock(job->region_fd);
	if (job->dump_fd >= 0)
		publish_unlock(job->dump_fd);
}

void jobs_finish(struct jobs *jobs, struct dump_job *job, bool failed)
{
	job_report_progress_end(jobs);
	jobs_unlock(job);
	job->finished = true;
	job->failed = failed;
	if (failed)
		jobs->failed = true;
	/* the memory is in the dump or under its .partial name; this reference is not needed any more */
	close(job->region_fd);
	job->region_fd = -1;
	close(job->record_fd);
	job->record_fd = -1;
	if (job->dump_fd >= 0)
		close(job->dump_fd);
	job->dump_fd = -1;
	jobs_tell(jobs, failed ? JOBS_FAILED : JOBS_FINISHED, job);
}

void jobs_give_up(struct jobs *jobs, struct dump_job *job, const char *why)
{
	bool in_place = dump_strategies[job->options.strategy].in_place &&
			!dump_strategies[job->options.strategy].scratch;
	struct publish_names names;

	jobs_unlock(job);
	job_names(job, &names);
	log_error("generation %u: dump failed: %s", job->generation, why);
	if (job->linked || job->announced)
		log_error("generation %u: what there is of it is kept (minivmm dump salvage): %s/%s%s%s",
			job->generation, jobs->setup.config->vm.memory_dir, names.region_partial,
			in_place || !job->linked ? "" : " and ",
			in_place || !job->linked ? "" : names.dump_partial);
	EVENT(jobs->setup.events, "dump-failed", job->generation, EV_STR("why", why),
		EV_STR("dir", job->dir), EV_STR("name", job->name),
		EV_BOOL("partial", job->linked || job->announced));
	jobs_finish(jobs, job, true);
}

void jobs_settle(struct jobs *jobs, uint32_t successor, uint64_t ready_ns)
{
	for (struct dump_job *job = jobs->list; job; job = job->next) {
		if (!job->awaits_recovery || job->successor != successor)
			continue;
		job->awaits_recovery = false;
		if (ready_ns)
			dump_record_mark(job->record, DUMP_MOMENT_READY, ready_ns);
	}
}

struct dump_job *jobs_running(const struct jobs *jobs)
{
	for (struct dump_job *job = jobs->list; job; job = job->next)
		if (job->sent && !job->finished)
			return job;
	return NULL;
}

void jobs_expect(struct dump_job *job, uint32_t successor)
{
	job->awaits_recovery = true;
	job->successor = successor;
}

const struct dump_job *jobs_awaiting(const struct jobs *jobs, uint32_t generation, uint32_t successor)
{
	for (const struct dump_job *job = jobs->list; job; job = job->next)
		if (job->generation == generation && job->awaits_recovery && job->successor == successor)
			return job;
	return NULL;
}

bool jobs_await(const struct jobs *jobs, uint32_t successor)
{
	for (const struct dump_job *job = jobs->list; job; job = job->next)
		if (job->awaits_recovery && job->successor == successor)
			return true;
	return false;
}

void jobs_retire(struct jobs *jobs)
{
	struct dump_job **at = &jobs->list;

	while (*at) {
		struct dump_job *job = *at;

		if (!job->finished || job->awaits_recovery) {
			at = &job->next;
			continue;
		}
		job_report_timeline(jobs, job);
		*at = job->next;
		jobs_tell(jobs, JOBS_RETIRED, job);
		job_destroy(job);
	}
}

void jobs_fini(struct jobs *jobs)
{
	struct dump_job *job = jobs->list, *next;

	for (; job; job = next) {
		next = job->next;
		job_report_timeline(jobs, job);
		job_destroy(job);
	}
	jobs->list = NULL;
	if (jobs->dumper.socket >= 0)
		dumper_fini(&jobs->dumper);
}
