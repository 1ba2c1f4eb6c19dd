/* SPDX-License-Identifier: Apache-2.0 */
/* dump/linux/linux_report.c - see linux_report.h */
#include "dump/linux/linux_report.h"

#include "dump/base/cleanup.h"
#include "dump/linux/linux_log.h"

#include <stdio.h>
#include <string.h>

/* kernel/panic.c, lib/dump_stack.c; of a panic's last line "---[ end Kernel panic" only what is before it counts */
static const char panic_mark[] = "Kernel panic - not syncing: ";
static const char end_mark[] = "---[ end ";
static const char cpu_mark[] = "CPU: ";
static const char pid_mark[] = " PID: ";

static void make_printable(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = ' ';
}

void linux_report_clean(struct linux_report *report)
{
	report->nr_lines = (uint32_t)u64_min(report->nr_lines, LINUX_REPORT_LINES);
	make_printable(report->release, sizeof(report->release));
	make_printable(report->panic, sizeof(report->panic));
	make_printable(report->trouble, sizeof(report->trouble));
	make_printable(report->signature.title, sizeof(report->signature.title));
	make_printable(report->signature.text, sizeof(report->signature.text));
	for (size_t i = 0; i < LINUX_REPORT_LINES; i++)
		make_printable(report->lines[i], sizeof(report->lines[i]));
}

/* The first line of a record's text. */
static void first_line(const struct linux_log_record *record, char *buf, size_t size)
{
	const char *text = (const char *)record->text;
	const char *end = memchr(text, '\n', record->len);

	snprintf(buf, size, "%.*s", (int)(end ? (size_t)(end - text) : record->len), text);
}

static void take_facts(struct linux_report *report, const char *line)
{
	const char *at = strstr(line, panic_mark);
	int cpu;

	if (at && !report->panic[0] && !strstr(line, end_mark))
		snprintf(report->panic, sizeof(report->panic), "%s", at + strlen(panic_mark));
	if (report->cpu < 0 && !strncmp(line, cpu_mark, strlen(cpu_mark)) && strstr(line, pid_mark) &&
		sscanf(line + strlen(cpu_mark), "%4d", &cpu) == 1 && cpu >= 0)
		report->cpu = cpu;
}

/* Lines are found newest first, and wanted oldest first. */
static void turn_lines(struct linux_report *report)
{
	for (uint32_t i = 0; i < report->nr_lines / 2; i++) {
		char line[LINUX_REPORT_LINE_MAX];
		char *a = report->lines[i], *b = report->lines[report->nr_lines - 1 - i];

		memcpy(line, a, sizeof(line));
		memcpy(a, b, sizeof(line));
		memcpy(b, line, sizeof(line));
	}
}

static void read_log(struct linux_report *report, struct linux_log *log, struct linux_log_record *record)
{
	uint64_t id = log->end;
	uint64_t left = LINUX_REPORT_RECORDS;
	char line[512];

	for (; id > log->first && left; left--) {
		id--;
		if (!linux_log_read(log, id, record))
			continue;
		if (!report->uptime_ns)
			report->uptime_ns = record->ns;
		first_line(record, line, sizeof(line));
		take_facts(report, line);
		if (report->nr_lines < LINUX_REPORT_LINES)
			linux_log_format(record, report->lines[report->nr_lines++], LINUX_REPORT_LINE_MAX);
		else if (report->panic[0] && report->cpu >= 0)
			break;
	}
	turn_lines(report);
}

/* The newest records of a log as lines for dump/linux/signature.h. */
struct lines {
	struct linux_log *log;
	struct linux_log_record *record;
	uint64_t first; /* id of line 0 */
};

static bool get_line(void *arg, uint64_t index, char line[SIGNATURE_LINE_MAX])
{
	struct lines *lines = arg;

	if (!linux_log_read(lines->log, lines->first + index, lines->record))
		return false;
	first_line(lines->record, line, SIGNATURE_LINE_MAX);
	return true;
}

static void find_signature(
	struct linux_report *report, struct linux_log *log, struct linux_log_record *record)
{
	uint64_t nr = u64_min(log->end - log->first, LINUX_REPORT_RECORDS);
	struct lines lines = {.log = log, .record = record, .first = log->end - nr};

	signature_make(&report->signature, nr, get_line, &lines);
}

/* A line of the report is one line. */
static void cut_lines(struct linux_report *report)
{
	for (uint32_t i = 0; i < report->nr_lines; i++)
		report->lines[i][strcspn(report->lines[i], "\n")] = '\0';
}

void linux_report_make(struct linux_report *report, struct linux_kernel *kernel)
{
	autofree struct linux_log_record *record = malloc(sizeof(*record));
	struct linux_log log;
	const char *why = "no memory";

	memset(report, 0, sizeof(*report));
	report->cpu = -1;
	vmcoreinfo_string(&kernel->info, "OSRELEASE", report->release, sizeof(report->release));
	(void)vmcoreinfo_hex(&kernel->info, NULL, "KERNELOFFSET", &report->offset);
	if (record)
		why = linux_log_open(&log, kernel);
	if (why) {
		snprintf(report->trouble, sizeof(report->trouble), "%s", why);
	} else {
		read_log(report, &log, record);
		find_signature(report, &log, record);
	}
	cut_lines(report);
	linux_report_clean(report);
	report->valid = 1;
}
