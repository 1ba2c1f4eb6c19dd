/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/jobs/job_report.c - what the operator sees of a dump: lines, a progress bar, the timeline; see jobs.h */
#include "vmm/jobs/jobs.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/record/choices.h"
#include "vmm/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* our choices: a bar that fits any terminal; how often a line appears where there is no terminal */
#define BAR_CELLS 24
#define PROGRESS_LINE_NS (2 * NSEC_PER_SEC)

static double ms(uint64_t ns)
{
	return (double)ns / (double)NSEC_PER_MSEC;
}

void job_report_progress(struct jobs *jobs, const struct dump_job *job)
{
	const struct dumper_event *event = &job->last;
	uint64_t percent = event->total ? u64_min(event->done, event->total) * 100 / event->total : 0;
	uint64_t now = clock_mono_ns();
	char bar[BAR_CELLS + 1], line[160];
	int len;

	if (!isatty(STDERR_FILENO)) {
		if (now - jobs->progress_ns < PROGRESS_LINE_NS)
			return;
		if (jobs->progress_ns)
			log_info("generation %u: dumping: %" PRIu64 " %%", job->generation, percent);
		jobs->progress_ns = now;
		return;
	}
	for (uint64_t i = 0; i < BAR_CELLS; i++)
		bar[i] = i * 100 < percent * BAR_CELLS ? '#' : '.';
	bar[BAR_CELLS] = '\0';
	len = snprintf(line, sizeof(line),
		"\r\033[Kminivmm: generation %u: dumping [%s] %3" PRIu64 " %%  %" PRIu64 " MiB released",
		job->generation, bar, percent, event->released >> 20);
	if (len > 0 && log_can_write() && log_write_text(line, (size_t)len))
		jobs->progress_shown = true;
}

void job_report_progress_end(struct jobs *jobs)
{
	static const char clear[] = "\r\033[K";

	if (jobs->progress_shown && log_can_write() && log_write_text(clear, sizeof(clear) - 1))
		jobs->progress_shown = false;
	jobs->progress_ns = 0;
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
	if (report.signature.title[0])
		log_info("generation %u: title: %s", job->generation, report.signature.title);
	for (uint32_t i = 0; i < report.nr_lines; i++)
		log_info("generation %u: | %s", job->generation, report.lines[i]);
}

void job_report_done(struct jobs *jobs, const struct dump_job *job)
{
	uint64_t crash = atomic_load(&job->record->moments[DUMP_MOMENT_CRASH]);
	uint64_t end = atomic_load(&job->record->moments[DUMP_MOMENT_PUBLISHED]);
	struct linux_report report;
	struct publish_names names;
	char dumped[24], file[24];

	job_names(job, &names);
	report_bytes(job->last.dumped, dumped, sizeof(dumped));
	report_bytes(job->last.file_bytes, file, sizeof(file));
	job_report_progress_end(jobs);
	log_info("generation %u: dump complete %.1f ms after the crash: %s/%s (%s of guest memory in %s)",
		job->generation, end > crash ? (double)(end - crash) / (double)NSEC_PER_MSEC : 0.0,
		job->dir, names.final, dumped, file);
	report = job->record->linux_report;
	linux_report_clean(&report); /* it is not valid if the guest is no Linux: "" then */
	EVENT(jobs->setup.events, "dump-done", job->generation, EV_STR("dir", job->dir),
		EV_STR("name", job->name), EV_STR("file", names.final), EV_U64("dumped", job->last.dumped),
		EV_U64("released", job->given_back + job->last.released),
		EV_U64("file_bytes", job->last.file_bytes),
		EV_STR("title", report.valid ? report.signature.title : ""),
		EV_STR("signature", report.valid ? report.signature.text : ""));
	report_excluded(job);
	report_linux(job);
}

void job_report_timeline(struct jobs *jobs, const struct dump_job *job)
{
	static const char *const meaning[DUMP_MOMENT_NR] = {
		[DUMP_MOMENT_CRASH] = "minivmm saw the crash",
		[DUMP_MOMENT_PARKED] = "all vCPUs stopped, registers saved",
		[DUMP_MOMENT_RECOVERY_RUN] = "recovery VM entered for the first time",
		[DUMP_MOMENT_DUMP_START] = "dumper took over the dead VM's memory",
		[DUMP_MOMENT_LINKED] = "a kill loses nothing from here on",
		[DUMP_MOMENT_FIRST_RELEASE] = "first memory given back to the host",
		[DUMP_MOMENT_EXCLUDED] = "all excluded memory given back",
		[DUMP_MOMENT_COPIED] = "last memory dumped and given back",
		[DUMP_MOMENT_PUBLISHED] = "dump complete under its final name",
		[DUMP_MOMENT_READY] = "recovery VM's service ready: end of the downtime",
	};
	struct event_field fields[DUMP_MOMENT_NR];
	uint64_t ns[DUMP_MOMENT_NR], start;
	bool printed[DUMP_MOMENT_NR] = {false};
	size_t nr_fields = 0;

	for (int i = 0; i < DUMP_MOMENT_NR; i++)
		ns[i] = atomic_load(&job->record->moments[i]);
	start = ns[DUMP_MOMENT_CRASH];
	log_info("generation %u: timeline of the crash, ms:", job->generation);
	for (int n = 0; n < DUMP_MOMENT_NR; n++) {
		int next = -1;

		for (int i = 0; i < DUMP_MOMENT_NR; i++)
			if (!printed[i] && ns[i] && (next < 0 || ns[i] < ns[next]))
				next = i;
		if (next < 0)
			break;
		printed[next] = true;
		/* a moment before the crash cannot be; the dumper's word is not trusted blindly */
		log_info("  %10.3f  %-14s %s", ns[next] >= start ? ms(ns[next] - start) : 0.0,
			dump_moment_name((enum dump_moment)next), meaning[next]);
		fields[nr_fields++] = EV_U64(dump_moment_name((enum dump_moment)next), ns[next]);
	}
	events_emit_at(jobs->setup.events, "timeline", clock_mono_ns(), job->generation, fields, nr_fields);
}
