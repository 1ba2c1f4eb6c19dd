/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/jobs/jobs.h - dumps under way, and the dumper process that makes them, seen from the VMM.
 *
 *      job.[ch]       one dump: its files, options and names
 *      job_report.c   lines, progress bar and timeline for the operator
 *      jobs.c         the list: dumps that are added, over, settled, retired
 *      job_quota.c    room for one more dump
 *      job_cancel.c   what becomes of a dump that the operator does not want any more
 *      job_dumper.c   the dumper process: started, fed, heard, replaced
 *
 * Until the .partial names exist (announced, linked) the VMM's descriptors are all that keeps the dead VM's memory alive.
 *
 * Nothing here decides about VMs.  What happens to a job is told to the owner by one callback, which must not call
 * back.  A job is freed by jobs_retire() and jobs_fini() alone: who has found one in the list may rely on it until then.
 *
 * Threads: everything belongs to the main thread.
 */
#ifndef VMM_JOBS_JOBS_H
#define VMM_JOBS_JOBS_H

#include "vmm/base/events.h"
#include "vmm/jobs/job.h"

/* our choice: a dumper that dies this often without finishing anything is not started again before the next crash */
#define DUMPER_FAILURES_MAX 3

enum jobs_news {
	JOBS_LINKED,   /* a kill loses nothing from here on */
	JOBS_RELEASED, /* memory of the dead VM has been given back */
	JOBS_FINISHED, /* the dump is complete under its final name */
	JOBS_FAILED,   /* it will not become one, or not a complete one */
	JOBS_RETIRED,  /* its timeline is printed; it is gone after this call */
};
typedef void jobs_callback(void *opaque, enum jobs_news news, const struct dump_job *job);

/* Everything borrowed. */
struct jobs_setup {
	const struct config *config;
	struct events *events;
	int epoll_fd;        /* watches the dumper's socket */
	int dir_fd;          /* vm.memory_dir */
	int dump_dir_fd;     /* dump.dir */
	int fallback_dir_fd; /* dump.fallback_dir, -1 = none */
	int released_fd;     /* eventfd that the dumper rings when it has given memory back, -1 = none */
	jobs_callback *tell;
	void *opaque;
};

struct jobs {
	struct jobs_setup setup;
	struct dump_job *list; /* owned, oldest first */
	bool failed;           /* some dump has failed */
	bool abandon;          /* no dumper is started any more */

	struct dumper dumper;
	uint32_t dumper_failures; /* deaths without a finished dump in between */
	bool dumper_cancelled;    /* it was killed because of a job that was cancelled */
	uint64_t dumper_heard_ns; /* when it last said something, or was given something to do */

	bool progress_shown;  /* a progress bar stands in the terminal's last line */
	uint64_t progress_ns; /* when progress was last shown */
};

/* No jobs, no dumper, nobody to tell. */
void jobs_init(struct jobs *jobs);
void jobs_open(struct jobs *jobs, const struct jobs_setup *setup);

/* Prints what is left to print, ends the dumper (a busy one finishes by itself) and frees all. */
void jobs_fini(struct jobs *jobs);

/* Starts the first dumper, before there is anything for it to do. */
void jobs_begin(struct jobs *jobs);

/*
 * jobs_add - a dump of @vm, which crashed as @end says.  The job gets its own references to record and region.
 * Result: the job (owned by the list), or NULL when there is no memory or descriptor left (reported).
 */
struct dump_job *jobs_add(struct jobs *jobs, struct vm *vm, const struct vm_end *end);

/*
 * jobs_announce - give the dead VM's memory its .partial name, and the file @dump_fd that its guest dumps into,
 * if it is not -1: from here on a kill of every process loses nothing.
 */
void jobs_announce(struct jobs *jobs, struct dump_job *job, int dump_fd);

/*
 * Makes room for @job by dump.max_count, dump.max_bytes and what the file system has (job_quota.c), or has it wait for
 * some (awaits_room).  False: there is none, the job has been given up.
 */
bool warn_unused jobs_check_quota(struct jobs *jobs, struct dump_job *job);

/*
 * jobs_free_memory - a VM waits for memory that dumps hold: the oldest that may go by dump.rotate does so.
 * Result: one has gone (logged).
 */
bool jobs_free_memory(struct jobs *jobs);

/* Gives every waiting job to the dumper, starting one if there is none.  A job that no dumper can take is given up. */
void jobs_submit(struct jobs *jobs);

/* Reads what the dumper says; called when its socket is readable. */
void jobs_receive(struct jobs *jobs);

/* When a dumper that says nothing counts as hung; UINT64_MAX = never.  jobs_check_stall() then ends it. */
uint64_t jobs_stall_deadline(const struct jobs *jobs);
void jobs_check_stall(struct jobs *jobs, uint64_t now);

/*
 * jobs_cancel - end the dump @job, which is not queued behind another one: now, or when its dumper has ended.
 * The VM of one that is @held has been told to stop before.
 */
void jobs_cancel(struct jobs *jobs, struct dump_job *job);

/* The owner leaves: a dumper that dies is not replaced. */
static inline void jobs_abandon(struct jobs *jobs)
{
	jobs->abandon = true;
}

/*
 * Generation @successor is ready (at @ready_ns), or it is over or will not tell (@ready_ns = 0): timelines that
 * wait for it.
 */
void jobs_settle(struct jobs *jobs, uint32_t successor, uint64_t ready_ns);

/* The timeline of @job waits for generation @successor to be ready. */
void jobs_expect(struct dump_job *job, uint32_t successor);

/* The job of generation @generation whose timeline waits for @successor, or NULL. */
const struct dump_job *jobs_awaiting(const struct jobs *jobs, uint32_t generation, uint32_t successor);

/* True if a timeline waits for generation @successor. */
bool jobs_await(const struct jobs *jobs, uint32_t successor);

/* Prints the timelines of jobs of which nothing more is to come, and frees them.  Once a turn of the owner's loop. */
void jobs_retire(struct jobs *jobs);

/* The job of generation @generation that is neither published nor given up, or NULL. */
struct dump_job *jobs_find_active(const struct jobs *jobs, uint32_t generation);

/* The job that the dumper is at work on, or NULL. */
struct dump_job *jobs_running(const struct jobs *jobs);

/* True if a dump is queued or running. */
bool jobs_busy(const struct jobs *jobs);

/* ---- for the other files of the wing ------------------------------------------------------------------ */

/* Tells the owner. */
void jobs_tell(struct jobs *jobs, enum jobs_news news, const struct dump_job *job);

/*
 * Nobody works on the job's files any more.  Said before the operator hears of its end: what follows may be "dump rm".
 * Closing would not do, since the dead VM's region is open elsewhere as well.
 */
void jobs_unlock(const struct dump_job *job);

/* @job is over and has been reported. */
void jobs_finish(struct jobs *jobs, struct dump_job *job, bool failed);

/* @job will not become a complete dump: says so, and where its remains are; it is over. */
void jobs_give_up(struct jobs *jobs, struct dump_job *job, const char *why);

/* Nobody works on @job any more: its memory is given back, what it is to leave stays; it is over (job_cancel.c). */
void jobs_cancelled(struct jobs *jobs, struct dump_job *job);

/* The dump of @job is there: older ones go, if the limits say so (job_quota.c). */
void jobs_trim(struct jobs *jobs, const struct dump_job *job);

/* job_report.c */
void job_report_progress(struct jobs *jobs, const struct dump_job *job);
void job_report_progress_end(struct jobs *jobs);
void job_report_done(struct jobs *jobs, const struct dump_job *job);

/* The moments of one crash, as lines and as an event. */
void job_report_timeline(struct jobs *jobs, const struct dump_job *job);

#endif /* VMM_JOBS_JOBS_H */
