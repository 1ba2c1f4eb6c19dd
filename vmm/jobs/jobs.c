/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/jobs/jobs.c - dumps under way, seen from the VMM: see guest.h
 *
 * The dumper works one job after the other; jobs that wait are already in its socket.  Until the
 * .partial names exist (linked) the VMM's descriptors are all that keeps the dead VM's memory alive.
 * A dumper that dies or hangs is replaced, and the next one goes on where it was: once for each job.
 */
#include "vmm/supervisor/guest.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/base/text.h"
#include "dump/engine/engine.h"
#include "dump/files/publish.h"
#include "dump/record/choices.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* our choice: a dumper that dies this often without finishing anything is not started again before the next crash */
#define DUMPER_FAILURES_MAX 3

static void free_job(struct dump_job *job)
{
	if (!job)
		return;
	if (job->record)
		munmap(job->record, job->record_bytes);
	if (job->record_fd >= 0)
		close(job->record_fd);
	if (job->region_fd >= 0)
		close(job->region_fd);
	if (job->dump_fd >= 0)
		close(job->dump_fd);
	free(job);
}

static void append(struct guest *guest, struct dump_job *job)
{
	struct dump_job **at = &guest->jobs;

	while (*at)
		at = &(*at)->next;
	*at = job;
}

/* <guest>-<UTC time with milliseconds>-g<generation>: sorts by time, unique for one guest */
static void name_dump(struct dump_record *record, uint64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / NSEC_PER_SEC);
	char stamp[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm);
	snprintf(record->name, sizeof(record->name), "%.48s-%s.%03uZ-g%u", record->guest, stamp,
		(unsigned int)(wall_ns / NSEC_PER_MSEC % 1000), record->generation);
}

struct dump_options jobs_options(const struct config *config)
{
	return (struct dump_options){
		.strategy = (uint32_t)config->dump.strategy,
		.selectors = (uint32_t)config->dump.select,
		.workers = (uint32_t)config->dump.workers,
		.sink = (uint32_t)config->dump.compress,
		.level = (uint32_t)config->dump.compress_level,
		.order = (uint32_t)config->dump.order,
		.virtual_headers = config->dump.virtual,
		.chunk = config->dump.chunk,
	};
}

static void fill_record(struct guest *guest, const struct vm *vm, const struct vm_end *end)
{
	const struct config *config = guest->config;
	struct dump_record *record = vm->record;

	record->generation = vm->generation;
	record->reason = end->reason;
	record->crash_cpu = end->cpu;
	record->detail = end->detail;
	record->wall_ns = clock_wall_ns() - (clock_mono_ns() - end->ns);
	record->options = jobs_options(config);
	snprintf(record->guest, sizeof(record->guest), "%s", config->vm.name);
	snprintf(record->vmm_version, sizeof(record->vmm_version), "%s", MINIVMM_VERSION);
	name_dump(record, record->wall_ns);
	dump_record_mark(record, DUMP_MOMENT_CRASH, end->ns);
}

struct dump_job *jobs_add(struct guest *guest, struct vm *vm, const struct vm_end *end)
{
	struct dump_job *job = calloc(1, sizeof(*job));
	int err = job ? 0 : -ENOMEM;

	if (job) {
		job->generation = vm->generation;
		job->dump_fd = -1;
		job->dir = guest->config->dump.dir;
		job->record_fd = fcntl(vm->record_fd, F_DUPFD_CLOEXEC, 0);
		job->region_fd = fcntl(vm->region.fd, F_DUPFD_CLOEXEC, 0);
		if (job->record_fd < 0 || job->region_fd < 0)
			err = -errno;
	}
	fill_record(guest, vm, end);
	if (!err)
		err = dump_record_map(job->record_fd, &job->record);
	if (err) {
		log_error("generation %u: no dump: %s", vm->generation, strerror(-err));
		guest->dump_failed = true;
		free_job(job);
		return NULL;
	}
	job->record_bytes = job->record->size; /* before any dumper could change it */
	job->options = job->record->options;
	memcpy(job->name, job->record->name, sizeof(job->name));
	job->populated = io_bytes_behind(job->region_fd);
	/* whatever the last one died of: it may not be in this VM */
	if (guest->dumper.socket < 0 && guest->dumper_failures == DUMPER_FAILURES_MAX)
		guest->dumper_failures--;
	append(guest, job);
	return job;
}

void jobs_announce(struct guest *guest, struct dump_job *job, int dump_fd)
{
	int err = dump_engine_announce(
		job->record, job->region_fd, guest->dir_fd, dump_fd, guest->dump_dir_fd);

	job->announced = !err;
	if (err)
		log_warn("generation %u: its memory cannot be named, a kill of all processes would lose "
			 "it: %s",
			job->generation, strerror(-err));
}

void jobs_names(const struct dump_job *job, struct publish_names *ret)
{
	const struct dump_options *options = &job->options;

	if (dump_strategies[options->strategy].sinks && dump_sinks[options->sink].compressed)
		publish_names_init_lz4(ret, job->name);
	else
		publish_names_init(ret, job->name);
}

void jobs_set_strategy(struct dump_job *job, uint32_t strategy)
{
	job->options.strategy = strategy;
	job->record->options.strategy = strategy;
}

struct dump_job *jobs_find_active(struct guest *guest, uint32_t generation)
{
	for (struct dump_job *job = guest->jobs; job; job = job->next)
		if (job->generation == generation && !job->finished)
			return job;
	return NULL;
}

bool jobs_busy(const struct guest *guest)
{
	for (const struct dump_job *job = guest->jobs; job; job = job->next)
		if (!job->finished)
			return true;
	return false;
}

/* Frees the jobs of which nothing more is to come, after printing their timelines. */
static void retire_jobs(struct guest *guest)
{
	struct dump_job **at = &guest->jobs;

	while (*at) {
		struct dump_job *job = *at;

		if (!job->finished || job->awaits_recovery) {
			at = &job->next;
			continue;
		}
		report_timeline(guest, job);
		*at = job->next;
		if (guest->recover_job == job)
			guest->recover_job = NULL;
		free_job(job);
	}
}

/*
 * Nobody works on the job's files any more.  Said before the operator hears of its end: what follows may be "dump rm".
 * Closing would not do, since the dead VM's region is open elsewhere as well.
 */
static void unlock_files(const struct dump_job *job)
{
	if (job->region_fd >= 0)
		publish_unlock(job->region_fd);
	if (job->dump_fd >= 0)
		publish_unlock(job->dump_fd);
}

void jobs_finish(struct guest *guest, struct dump_job *job, bool failed)
{
	report_progress_end(guest);
	unlock_files(job);
	job->finished = true;
	job->failed = failed;
	handover_dump_over(guest, job->generation);
	if (failed)
		guest->dump_failed = true;
	/* the memory is in the dump or under its .partial name; this reference is not needed any more */
	close(job->region_fd);
	job->region_fd = -1;
	close(job->record_fd);
	job->record_fd = -1;
	if (job->dump_fd >= 0)
		close(job->dump_fd);
	job->dump_fd = -1;
	handover_grant(guest);
	retire_jobs(guest);
}

void jobs_give_up(struct guest *guest, struct dump_job *job, const char *why)
{
	bool in_place = dump_strategies[job->options.strategy].in_place &&
			!dump_strategies[job->options.strategy].scratch;
	struct publish_names names;

	unlock_files(job);
	jobs_names(job, &names);
	log_error("generation %u: dump failed: %s", job->generation, why);
	if (job->linked || job->announced)
		log_error("generation %u: what there is of it is kept (minivmm dump salvage): %s/%s%s%s",
			job->generation, guest->config->vm.memory_dir, names.region_partial,
			in_place || !job->linked ? "" : " and ",
			in_place || !job->linked ? "" : names.dump_partial);
	EVENT(&guest->events, "dump-failed", job->generation, EV_STR("why", why), EV_STR("dir", job->dir),
		EV_STR("name", job->name), EV_BOOL("partial", job->linked || job->announced));
	jobs_finish(guest, job, true);
}

/* ---- the dumper's events ------------------------------------------------------------------------- */

static bool is_waiting(const struct dump_job *job)
{
	return !job->sent && !job->finished && !job->held;
}

static struct dump_job *find_job(struct guest *guest, uint32_t generation)
{
	for (struct dump_job *job = guest->jobs; job; job = job->next)
		if (job->generation == generation && job->sent && !job->finished)
			return job;
	return NULL;
}

/* How many pages each selector kept out of the dump, and which selectors were not believed. */
static void report_excluded(const struct dump_job *job)
{
	const struct dumper_event *event = &job->last;

	for (size_t i = 0; i < dump_nr_selectors && i < ARRAY_LEN(event->excluded); i++)
		if (event->excluded[i])
			log_info("generation %u: %" PRIu64 " pages excluded by selector %s",
				job->generation, event->excluded[i], dump_selectors[i].name);
	for (size_t i = 0; i < LINUX_REASONS; i++)
		if (event->reasons[i])
			log_info("generation %u: of them, %" PRIu64 " %s pages", job->generation,
				event->reasons[i], linux_reason_name(i));
	if (event->text[0])
		log_warn("generation %u: %s", job->generation, event->text);
}

/* What the dumper has read in a Linux guest's memory: nothing that can be relied on, made printable here. */
static void report_linux(const struct dump_job *job)
{
	struct linux_report report = job->record->linux_report;

	if (!report.valid)
		return;
	linux_report_clean(&report);
	log_info("generation %u: Linux %s, up %.1f s: %s", job->generation, report.release,
		(double)report.uptime_ns / (double)NSEC_PER_SEC,
		report.panic[0]     ? report.panic
		: report.trouble[0] ? report.trouble
				    : "its log tells of no panic");
	for (uint32_t i = 0; i < report.nr_lines; i++)
		log_info("generation %u: | %s", job->generation, report.lines[i]);
}

static void report_done(struct guest *guest, struct dump_job *job)
{
	uint64_t crash = atomic_load(&job->record->moments[DUMP_MOMENT_CRASH]);
	uint64_t end = atomic_load(&job->record->moments[DUMP_MOMENT_PUBLISHED]);
	struct publish_names names;
	char dumped[24], file[24];

	unlock_files(job);
	jobs_names(job, &names);
	report_bytes(job->last.dumped, dumped, sizeof(dumped));
	report_bytes(job->last.file_bytes, file, sizeof(file));
	report_progress_end(guest);
	log_info("generation %u: dump complete %.1f ms after the crash: %s/%s (%s of guest memory in %s)",
		job->generation, end > crash ? (double)(end - crash) / (double)NSEC_PER_MSEC : 0.0,
		job->dir, names.final, dumped, file);
	EVENT(&guest->events, "dump-done", job->generation, EV_STR("dir", job->dir),
		EV_STR("name", job->name), EV_STR("file", names.final), EV_U64("dumped", job->last.dumped),
		EV_U64("released", job->given_back + job->last.released),
		EV_U64("file_bytes", job->last.file_bytes));
	report_excluded(job);
	report_linux(job);
	jobs_finish(guest, job, false);
}

/* The dump goes to dump.fallback_dir, because of @why. */
static void report_detour(struct guest *guest, struct dump_job *job, const char *why)
{
	job->dir = guest->config->dump.fallback_dir;
	report_progress_end(guest);
	log_warn("generation %u: %s; dumping to %s (dump.fallback_dir)", job->generation, why, job->dir);
	EVENT(&guest->events, "dump-fallback", job->generation, EV_STR("why", why), EV_STR("dir", job->dir),
		EV_STR("name", job->name));
}

static void handle_event(struct guest *guest, const struct dumper_event *event)
{
	struct dump_job *job = find_job(guest, event->generation);

	if (!job) {
		log_debug("dumper: event %u for generation %u, which is not being dumped", event->type,
			event->generation);
		return;
	}
	switch (event->type) {
	case DUMPER_LINKED:
		job->linked = true;
		if (event->fallback && guest->fallback_dir_fd >= 0)
			report_detour(guest, job, event->text);
		EVENT(&guest->events, "dump-linked", job->generation, EV_STR("name", job->name));
		break;
	case DUMPER_PROGRESS:
		job->last = *event;
		report_progress(guest, job);
		handover_grant(guest);
		break;
	case DUMPER_DONE:
		job->last = *event;
		guest->dumper_failures = 0;
		report_done(guest, job);
		jobs_submit(guest);
		break;
	case DUMPER_FAILED:
		jobs_give_up(guest, job, event->text);
		jobs_submit(guest);
		break;
	default:
		break; /* dumper_receive lets no other type through */
	}
}

/*
 * What a dead dumper left of a dump, by name: the file that it was filling in, or had just finished.
 * -1 if it had not come that far, or if the region itself is all there is.
 */
static int reopen_dump(const struct guest *guest, const struct dump_job *job)
{
	const int dirs[] = {guest->dump_dir_fd, guest->fallback_dir_fd};
	struct publish_names names;
	int r;

	jobs_names(job, &names);
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
static bool resume_job(struct guest *guest, struct dump_job *job)
{
	if (job->retried)
		return false;
	job->retried = true;
	if (job->dump_fd < 0)
		job->dump_fd = reopen_dump(guest, job);
	report_progress_end(guest);
	log_warn("generation %u: another dumper process goes on with the dump", job->generation);
	EVENT(&guest->events, "dump-resumed", job->generation, EV_STR("name", job->name));
	return true;
}

/* The process is gone.  It was at work on the oldest job; the others had not begun. */
static void handle_death(struct guest *guest)
{
	struct dump_job *job, *next;
	bool oldest = true;

	epoll_ctl(guest->epoll_fd, EPOLL_CTL_DEL, guest->dumper.socket, NULL);
	dumper_fini(&guest->dumper);
	if (!guest->dumper_cancelled) {
		guest->dumper_failures++;
		log_warn("the dumper process ended unexpectedly");
	}
	guest->dumper_cancelled = false;
	for (job = guest->jobs; job; job = next) {
		next = job->next;
		if (!job->sent || job->finished)
			continue;
		job->sent = false;
		if (job->cancelled)
			jobs_cancelled(guest, job);
		else if (oldest && !resume_job(guest, job))
			jobs_give_up(guest, job, "the dumper process ended in the middle of it");
		oldest = false;
	}
	if (!guest->abandon && guest->dumper_failures < DUMPER_FAILURES_MAX && !jobs_start_dumper(guest)) {
		jobs_submit(guest);
		return;
	}
	log_error("no dumper process any more: the next crash gets a new one");
	for (job = guest->jobs; job; job = next) {
		next = job->next;
		if (is_waiting(job))
			jobs_give_up(guest, job, "there is no dumper process");
	}
}

uint64_t jobs_stall_deadline(const struct guest *guest)
{
	if (!guest->config->dump.stall_timeout || guest->dumper.socket < 0)
		return UINT64_MAX;
	for (const struct dump_job *job = guest->jobs; job; job = job->next)
		if (job->sent && !job->finished)
			return guest->dumper_heard_ns + guest->config->dump.stall_timeout;
	return UINT64_MAX;
}

void jobs_check_stall(struct guest *guest, uint64_t now)
{
	if (now < jobs_stall_deadline(guest))
		return;
	log_error("the dumper process has said nothing for dump.stall_timeout; it is killed");
	/* it is our child and not waited for, so the number is still its own; its socket tells the rest */
	if (kill(guest->dumper.pid, SIGKILL) < 0)
		log_debug("kill: %s", strerror(errno));
	guest->dumper_heard_ns = now;
}

void jobs_receive(struct guest *guest)
{
	struct dumper_event event;
	int got;

	while ((got = dumper_receive(&guest->dumper, &event)) == 1) {
		guest->dumper_heard_ns = clock_mono_ns();
		handle_event(guest, &event);
	}
	if (got == -EPROTO) {
		log_error("the dumper process sent something that is no event");
		kill(guest->dumper.pid, SIGKILL); /* it must not go on beside its successor */
	}
	if (got < 0)
		handle_death(guest);
}

/* ---- starting and feeding it ----------------------------------------------------------------------- */

int jobs_start_dumper(struct guest *guest)
{
	struct epoll_event watch = {.events = EPOLLIN};
	int err;

	err = dumper_spawn(&guest->dumper);
	if (!err) {
		watch.data.fd = guest->dumper.socket;
		if (epoll_ctl(guest->epoll_fd, EPOLL_CTL_ADD, guest->dumper.socket, &watch) < 0) {
			err = -errno;
			dumper_fini(&guest->dumper);
		}
	}
	if (err)
		log_error("cannot start the dumper process: %s", strerror(-err));
	return err;
}

/* A dumper for the jobs that wait, if there are any: the one that runs, or a new one. */
static bool have_dumper(struct guest *guest)
{
	const struct dump_job *job = guest->jobs;

	while (job && !is_waiting(job))
		job = job->next;
	return !job || guest->dumper.socket >= 0 ||
	       (guest->dumper_failures < DUMPER_FAILURES_MAX && !jobs_start_dumper(guest));
}

void jobs_submit(struct guest *guest)
{
	bool dumper = have_dumper(guest);
	struct dump_job *job, *next;

	for (job = guest->jobs; job; job = next) {
		int err;

		next = job->next;
		if (!is_waiting(job))
			continue;
		if (!dumper) {
			jobs_give_up(guest, job, "there is no dumper process");
			continue;
		}
		if (job->awaits_room && (!jobs_check_quota(guest, job) || job->awaits_room))
			continue;
		err = dumper_start(&guest->dumper, &(struct dumper_files){.record = job->record_fd,
							   .region = job->region_fd,
							   .region_dir = guest->dir_fd,
							   .dir = guest->dump_dir_fd,
							   .fallback_dir = guest->fallback_dir_fd,
							   .dump = job->dump_fd,
							   .released = guest->released_fd,
							   .resume = job->retried});
		if (err) {
			/* dead: its socket says so to the event loop; busy: tried again after its next dump */
			log_debug("dumper_start: %s", strerror(-err));
			return;
		}
		job->sent = true;
		guest->dumper_heard_ns = clock_mono_ns();
		guest->progress_ns = clock_mono_ns();
	}
}

void jobs_settle(struct guest *guest, uint32_t successor, uint64_t ready_ns)
{
	for (struct dump_job *job = guest->jobs; job; job = job->next) {
		if (!job->awaits_recovery || job->successor != successor)
			continue;
		job->awaits_recovery = false;
		if (ready_ns)
			dump_record_mark(job->record, DUMP_MOMENT_READY, ready_ns);
	}
	retire_jobs(guest);
}

bool jobs_await(const struct guest *guest, uint32_t successor)
{
	for (const struct dump_job *job = guest->jobs; job; job = job->next)
		if (job->awaits_recovery && job->successor == successor)
			return true;
	return false;
}

void jobs_fini(struct guest *guest)
{
	struct dump_job *job = guest->jobs, *next;

	for (; job; job = next) {
		next = job->next;
		report_timeline(guest, job);
		free_job(job);
	}
	guest->jobs = NULL;
}
