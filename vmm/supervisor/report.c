/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/report.c - what the operator sees of a crash: see guest.h */
#include "vmm/supervisor/guest.h"

#include "dump/base/io.h"
#include "dump/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* our choices: a bar that fits any terminal; how often a line appears where there is no terminal */
#define BAR_CELLS 24
#define PROGRESS_LINE_NS (2 * NSEC_PER_SEC)

static double ms(uint64_t ns)
{
	return (double)ns / (double)NSEC_PER_MSEC;
}

void report_reason(const struct vm_end *end, const struct dump_record *record, char *buf, size_t size)
{
	const char *name = dump_reason_name(end->reason);
	size_t len = 0, string_len = 0;

	if (end->reason == DUMP_REASON_HANG || end->reason == DUMP_REASON_OPERATOR)
		len = (size_t)snprintf(buf, size, "%s", name);
	else
		len = (size_t)snprintf(buf, size, "%s on vCPU %u", name, end->cpu);
	if (end->detail && len < size)
		len += (size_t)snprintf(buf + len, size - len, " (code 0x%" PRIx64 ")", end->detail);
	if (record)
		string_len = u64_min(record->panic_string_len, FW_PANIC_STRING_MAX);
	if (!string_len || len + 3 >= size)
		return;
	buf[len++] = ':';
	buf[len++] = ' ';
	for (size_t i = 0; i < string_len && len + 1 < size; i++) {
		char c = record->panic_string[i];

		if (!c)
			break;
		buf[len++] = c >= ' ' && c <= '~' ? c : ' ';
	}
	buf[len] = '\0';
}

void report_progress(struct guest *guest, const struct dump_job *job)
{
	const struct dumper_event *event = &job->last;
	uint64_t percent = event->total ? u64_min(event->done, event->total) * 100 / event->total : 0;
	uint64_t now = clock_mono_ns();
	char bar[BAR_CELLS + 1], line[160];
	int len;

	if (!isatty(STDERR_FILENO)) {
		if (now - guest->progress_ns < PROGRESS_LINE_NS)
			return;
		if (guest->progress_ns)
			log_info("generation %u: dumping: %" PRIu64 " %%", job->generation, percent);
		guest->progress_ns = now;
		return;
	}
	for (uint64_t i = 0; i < BAR_CELLS; i++)
		bar[i] = i * 100 < percent * BAR_CELLS ? '#' : '.';
	bar[BAR_CELLS] = '\0';
	len = snprintf(line, sizeof(line),
		"\r\033[Kminivmm: generation %u: dumping [%s] %3" PRIu64 " %%  %" PRIu64 " MiB released",
		job->generation, bar, percent, event->released >> 20);
	if (len > 0 && log_can_write() && write(STDERR_FILENO, line, (size_t)len) > 0)
		guest->progress_shown = true;
}

void report_progress_end(struct guest *guest)
{
	static const char clear[] = "\r\033[K";

	if (guest->progress_shown && log_can_write() && write(STDERR_FILENO, clear, sizeof(clear) - 1) > 0)
		guest->progress_shown = false;
	guest->progress_ns = 0;
}

void report_timeline(struct guest *guest, const struct dump_job *job)
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
	events_emit_at(&guest->events, "timeline", clock_mono_ns(), job->generation, fields, nr_fields);
}
