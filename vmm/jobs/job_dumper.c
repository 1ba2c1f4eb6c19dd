/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/jobs/job_dumper.c - the dumper process: started, given jobs, heard, replaced; see jobs.h
 *
 * It works one job after the other; jobs that wait are already in its socket.  A dumper that dies or hangs is replaced,
 * and the next one goes on where it was: once for each job.
 */
#include "vmm/jobs/jobs.h"

#include "dump/base/io.h"
#include "dump/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* our choice: messages that are taken before the loop looks at other things again; a dumper sends 20 a second */
#define MESSAGES_MAX 64

/* ---- starting and feeding it ----------------------------------------------------------------------- */

static int start_dumper(struct jobs *jobs)
{
	struct epoll_event watch = {.events = EPOLLIN};
	int err;

	err = dumper_spawn(&jobs->dumper);
	if (!err) {
		watch.data.fd = jobs->dumper.socket;
		if (epoll_ctl(jobs->setup.epoll_fd, EPOLL_CTL_ADD, jobs->dumper.socket, &watch) < 0) {
			err = -errno;
			dumper_fini(&jobs->dumper);
		}
	}
	if (err)
		log_error("cannot start the dumper process: %s", strerror(-err));
	return err;
}

void jobs_begin(struct jobs *jobs)
{
	if (start_dumper(jobs))
		jobs->failed = true;
}

/* A dumper for the jobs that wait, if there are any: the one that runs, or a new one. */
static bool have_dumper(struct jobs *jobs)
{
	const struct dump_job *job = jobs->list;

	while (job && !job_is_waiting(job))
		job = job->next;
	return !job || jobs->dumper.socket >= 0 ||
	       (jobs->dumper_failures < DUMPER_FAILURES_MAX && !start_dumper(jobs));
}

void jobs_submit(struct jobs *jobs)
{
	bool dumper = have_dumper(jobs);
	struct dump_job *job;

	for (job = jobs->list; job; job = job->next) {
		int err;

		if (!job_is_waiting(job))
			continue;
		if (!dumper) {
			jobs_give_up(jobs, job, "there is no dumper process");
			continue;
		}
		if (job->awaits_room && (!jobs_check_quota(jobs, job) || job->awaits_room))
			continue;
		err = dumper_start(&jobs->dumper, &(struct dumper_files){.record = job->record_fd,
							  .region = job->region_fd,
							  .region_dir = jobs->setup.dir_fd,
							  .dir = jobs->setup.dump_dir_fd,
							  .fallback_dir = jobs->setup.fallback_dir_fd,
							  .dump = job->dump_fd,
							  .released = jobs->setup.released_fd,
							  .resume = job->retried});
		if (err) {
			/* dead: its socket says so to the event loop; busy: tried again after its next dump */
			log_debug("dumper_start: %s", strerror(-err));
			return;
		}
		job->sent = true;
		jobs->dumper_heard_ns = clock_mono_ns();
		jobs->progress_ns = clock_mono_ns();
	}
}

/* ---- what it says ------------------------------------------------------------------------- */

static struct dump_job *find_job(struct jobs *jobs, uint32_t generation)
{
	for (struct dump_job *job = jobs->list; job; job = job->next)
		if (job->generation == generation && job->sent && !job->finished)
			return job;
	return NULL;
}

/* The dump goes to dump.fallback_dir, because of @why. */
static void report_detour(struct jobs *jobs, struct dump_job *job, const char *why)
{
	job->dir = jobs->setup.config->dump.fallback_dir;
	job_report_progress_end(jobs);
	log_warn("generation %u: %s; dumping to %s (dump.fallback_dir)", job->generation, why, job->dir);
	EVENT(jobs->setup.events, "dump-fallback", job->generation, EV_STR("why", why),
		EV_STR("dir", job->dir), EV_STR("name", job->name));
}

/* Names exist.  Each dumper says so once for each job, and so does the operator's log, whatever a dumper repeats. */
static void handle_linked(struct jobs *jobs, struct dump_job *job, const struct dumper_event *event)
{
	if (job->told_linked)
		return;
	job->told_linked = true;
	job->linked = true;
	if (event->fallback && jobs->setup.fallback_dir_fd >= 0)
		report_detour(jobs, job, event->text);
	EVENT(jobs->setup.events, "dump-linked", job->generation, EV_STR("name", job->name));
	jobs_tell(jobs, JOBS_LINKED, job);
}

/* Newer numbers of a dump: none is beyond the VM's memory, and none goes back. */
static void take_numbers(struct dump_job *job, const struct dumper_event *event)
{
	struct dumper_event next = *event;

	next.total = u64_min(next.total, job->ram);
	next.done = u64_min(u64_max(next.done, job->last.done), next.total);
	next.dumped = u64_min(u64_max(next.dumped, job->last.dumped), next.total);
	next.released = u64_min(u64_max(next.released, job->last.released), next.total);
	job->last = next;
}

static void handle_event(struct jobs *jobs, const struct dumper_event *event)
{
	struct dump_job *job = find_job(jobs, event->generation);

	if (!job) {
		log_debug("dumper: event %u for generation %u, which is not being dumped", event->type,
			event->generation);
		return;
	}
	switch (event->type) {
	case DUMPER_LINKED:
		handle_linked(jobs, job, event);
		break;
	case DUMPER_PROGRESS:
		take_numbers(job, event);
		job_report_progress(jobs, job);
		jobs_tell(jobs, JOBS_RELEASED, job);
		break;
	case DUMPER_DONE:
		take_numbers(job, event);
		jobs->dumper_failures = 0;
		jobs_unlock(job);
		job_report_done(jobs, job);
		jobs_finish(jobs, job, false);
		jobs_trim(jobs, job);
		jobs_submit(jobs);
		break;
	case DUMPER_FAILED:
		jobs_give_up(jobs, job, event->text);
		jobs_submit(jobs);
		break;
	default:
		break; /* dumper_receive lets no other type through */
	}
}

/*
 * What a dead dumper left of a dump, by name: the file that it was filling in, or had just finished.
 * -1 if it had not come that far, or if the region itself is all there is.
 */
static int reopen_dump(const struct jobs *jobs, const struct dump_job *job)
{
	const int dirs[] = {jobs->setup.dump_dir_fd, jobs->setup.fallback_dir_fd};
	struct publish_names names;
	int r;

	job_names(job, &names);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		const char *const files[] = {names.dump_partial, names.final};

		for (size_t k = 0; k < ARRAY_LEN(files) && dirs[i] >= 0; k++) {
			int fd = openat(dirs[i], files[k], O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

			if (fd >= 0) {
				/* the dead one's lock is gone; all the rest of the job holds is on the region */
				r = publish_lock(fd);
				if (r)
					log_debug("%s is not locked: %s", files[k], strerror(-r));
				return fd;
			}
		}
	}
	return -1;
}

/* The dumper died of this job: the next one goes on with it.  False if it was the second time. */
static bool resume_job(struct jobs *jobs, struct dump_job *job)
{
	if (job->retried)
		return false;
	job->retried = true;
	job->told_linked = false;
	job->last = (struct dumper_event){0}; /* the next one counts for itself */
	if (job->dump_fd < 0)
		job->dump_fd = reopen_dump(jobs, job);
	job_report_progress_end(jobs);
	log_warn("generation %u: another dumper process goes on with the dump", job->generation);
	EVENT(jobs->setup.events, "dump-resumed", job->generation, EV_STR("name", job->name));
	return true;
}

/* The process is gone.  It was at work on the oldest job; the others had not begun. */
static void handle_death(struct jobs *jobs)
{
	struct dump_job *job;
	bool oldest = true;

	epoll_ctl(jobs->setup.epoll_fd, EPOLL_CTL_DEL, jobs->dumper.socket, NULL);
	dumper_kill(
		&jobs->dumper); /* one that has only closed its socket, or talks nonsense, is not to go on */
	if (!jobs->dumper_cancelled) {
		jobs->dumper_failures++;
		log_warn("the dumper process ended unexpectedly");
	}
	jobs->dumper_cancelled = false;
	for (job = jobs->list; job; job = job->next) {
		if (!job->sent || job->finished)
			continue;
		job->sent = false;
		if (job->cancelled)
			jobs_cancelled(jobs, job);
		else if (oldest && !resume_job(jobs, job))
			jobs_give_up(jobs, job, "the dumper process ended in the middle of it");
		oldest = false;
	}
	if (!jobs->abandon && jobs->dumper_failures < DUMPER_FAILURES_MAX && !start_dumper(jobs)) {
		jobs_submit(jobs);
		return;
	}
	log_error("no dumper process any more: the next crash gets a new one");
	for (job = jobs->list; job; job = job->next)
		if (job_is_waiting(job))
			jobs_give_up(jobs, job, "there is no dumper process");
}

uint64_t jobs_stall_deadline(const struct jobs *jobs)
{
	if (!jobs->setup.config->dump.stall_timeout || jobs->dumper.socket < 0)
		return UINT64_MAX;
	for (const struct dump_job *job = jobs->list; job; job = job->next)
		if (job->sent && !job->finished)
			return jobs->dumper_heard_ns + jobs->setup.config->dump.stall_timeout;
	return UINT64_MAX;
}

void jobs_check_stall(struct jobs *jobs, uint64_t now)
{
	if (now < jobs_stall_deadline(jobs))
		return;
	log_error("the dumper process has said nothing for dump.stall_timeout; it is killed");
	/* it is our child and not waited for, so the number is still its own; its socket tells the rest */
	if (kill(jobs->dumper.pid, SIGKILL) < 0)
		log_debug("kill: %s", strerror(errno));
	jobs->dumper_heard_ns = now;
}

void jobs_receive(struct jobs *jobs)
{
	struct dumper_event event;
	int got = 1;

	for (int i = 0; i < MESSAGES_MAX && (got = dumper_receive(&jobs->dumper, &event)) == 1; i++) {
		jobs->dumper_heard_ns = clock_mono_ns();
		handle_event(jobs, &event);
	}
	if (got == -EPROTO)
		log_error("the dumper process sent something that is no event");
	if (got < 0)
		handle_death(jobs);
}

void jobs_cancel(struct jobs *jobs, struct dump_job *job)
{
	job->cancelled = true;
	if (job->sent) {
		jobs->dumper_cancelled = true;
		/* our child and not waited for, so the number is still its own; jobs_receive() hears of its end */
		if (kill(jobs->dumper.pid, SIGKILL) < 0)
			log_debug("kill: %s", strerror(errno));
		return;
	}
	jobs_cancelled(jobs, job);
	jobs_submit(jobs); /* one may have waited for the room of this one */
}
