/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_ctl_print.c - see cmd_ctl.h */
#include "vmm/cli/cmd_ctl.h"

#include "dump/base/io.h"
#include "vmm/base/text.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* "3 d 4 h", "5 min 20 s", "1.250 s" */
static void format_time(uint64_t ns, char *buf, size_t size)
{
	uint64_t s = ns / NSEC_PER_SEC;

	if (s >= 24 * 3600)
		snprintf(buf, size, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(buf, size, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(buf, size, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else
		snprintf(buf, size, "%.3f s", (double)ns / (double)NSEC_PER_SEC);
}

static void print_vm(struct json_slice answer, FILE *out)
{
	char up[48], resident[24], granted[24];
	struct json_slice vm;
	bool part;

	if (!json_find(answer, "vm", &vm))
		return;
	format_time(json_find_u64(vm, "uptime_ns"), up, sizeof(up));
	report_bytes(json_find_u64(vm, "resident"), resident, sizeof(resident));
	report_bytes(json_find_u64(vm, "granted"), granted, sizeof(granted));
	part = json_find_u64(vm, "granted") < json_find_u64(answer, "memory");
	fprintf(out, "VM          generation %" PRIu64 "%s, %s, up %s, %s of memory in use%s%s%s\n",
		json_find_u64(vm, "generation"), json_find_true(vm, "recovery") ? " (recovery VM)" : "",
		json_find_true(vm, "ready") ? "ready" : "not ready yet", up, resident,
		part ? " of the " : "", part ? granted : "", part ? " that it has been given" : "");
	if (json_find_true(vm, "waits_for_memory"))
		fprintf(out, "            waits for memory that dumps or dead VMs keep\n");
}

static void print_dumps(struct json_slice answer, FILE *out)
{
	struct json_slice dumps, name, dump;
	struct json_cursor cursor;

	if (!json_find(answer, "dumps", &dumps) || !json_enter(dumps, &cursor))
		return;
	while (json_next(&cursor, &name, &dump)) {
		char state[32], file[128], done[24], total[24], released[24];

		json_find_text(dump, "state", state, sizeof(state));
		json_find_text(dump, "name", file, sizeof(file));
		report_bytes(json_find_u64(dump, "done"), done, sizeof(done));
		report_bytes(json_find_u64(dump, "total"), total, sizeof(total));
		report_bytes(json_find_u64(dump, "released"), released, sizeof(released));
		fprintf(out,
			"dump        generation %" PRIu64 ": %s, %" PRIu64
			" %%, %s of %s, %s given back: %s\n",
			json_find_u64(dump, "generation"), state, json_find_u64(dump, "percent"), done,
			total, released, file);
	}
}

static void print_status(struct json_slice answer, FILE *out)
{
	char text[64], up[48], memory[24], version[32];
	struct json_slice wait;

	json_find_text(answer, "guest", text, sizeof(text));
	json_find_text(answer, "version", version, sizeof(version));
	format_time(json_find_u64(answer, "uptime_ns"), up, sizeof(up));
	report_bytes(json_find_u64(answer, "memory"), memory, sizeof(memory));
	fprintf(out, "guest       %s: minivmm %s, process %" PRIu64 ", up %s\n", text, version,
		json_find_u64(answer, "pid"), up);
	fprintf(out, "            %s of memory, %" PRIu64 " vCPUs\n", memory,
		json_find_u64(answer, "vcpus"));
	json_find_text(answer, "state", text, sizeof(text));
	/* the other states that come with it say as much */
	fprintf(out, "state       %s%s\n", text,
		!strcmp(text, "paused") && json_find_true(answer, "stopping") ? ", stopping" : "");
	print_vm(answer, out);
	fprintf(out, "recoveries  %" PRIu64 " of %" PRIu64 " in a row\n",
		json_find_u64(answer, "recoveries"), json_find_u64(answer, "recoveries_max"));
	if (json_find(answer, "recovery_in_ns", &wait)) {
		format_time(json_find_u64(answer, "recovery_in_ns"), up, sizeof(up));
		fprintf(out, "            the next one in %s\n", up);
	}
	print_dumps(answer, out);
}

void ctl_print_answer(const char *command, struct json_slice answer, FILE *out)
{
	uint64_t generation = json_find_u64(answer, "generation");
	uint64_t missing = json_find_u64(answer, "not_yet_stopped");
	char name[128];

	if (!strcmp(command, "status")) {
		print_status(answer, out);
	} else if (!strcmp(command, "crash")) {
		fprintf(out, "generation %" PRIu64 " was made to crash\n", generation);
	} else if (!strcmp(command, "pause") && missing) {
		fprintf(out,
			"generation %" PRIu64 ": %" PRIu64 " vCPUs stop as soon as their output is taken\n",
			generation, missing);
	} else if (!strcmp(command, "pause")) {
		fprintf(out, "generation %" PRIu64 " is paused\n", generation);
	} else if (!strcmp(command, "resume")) {
		fprintf(out, "generation %" PRIu64 " goes on\n", generation);
	} else if (!strcmp(command, "dump-cancel")) {
		json_find_text(answer, "name", name, sizeof(name));
		fprintf(out, "generation %" PRIu64 ": dump %s is cancelled\n", generation, name);
	} else if (!strcmp(command, "stop")) {
		fputs(json_find_true(answer, "button")
				? "the guest's power button is pressed; it is stopped when stopped again\n"
			: json_find_true(answer, "waits")
				? "stopped; minivmm ends when the dump is complete, or when stopped again\n"
				: "stopped\n",
			out);
	}
}

/* @ns of CLOCK_MONOTONIC as the time of day. */
static void format_moment(uint64_t ns, char *buf, size_t size)
{
	uint64_t wall = clock_wall_ns() - (clock_mono_ns() - ns);
	time_t seconds = (time_t)(wall / NSEC_PER_SEC);
	char day[32];
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(day, sizeof(day), "%H:%M:%S", &tm);
	snprintf(buf, size, "%s.%03u", day, (unsigned)(wall / NSEC_PER_MSEC % 1000));
}

static bool is_name(struct json_slice name, const char *text)
{
	return name.len == strlen(text) && !memcmp(name.text, text, name.len);
}

/* What is no string may come from anywhere too: nothing that a terminal obeys. */
static void put_bare(struct json_slice text, FILE *out)
{
	for (size_t i = 0; i < text.len; i++)
		fputc(text.text[i] >= ' ' && text.text[i] <= '~' ? text.text[i] : '?', out);
}

void ctl_print_event(struct json_slice event, FILE *out)
{
	char text[2048], moment[48];
	struct json_slice name, value;
	struct json_cursor cursor;

	format_moment(json_find_u64(event, "ns"), moment, sizeof(moment));
	json_find_text(event, "event", text, sizeof(text));
	fprintf(out, "%s ", moment);
	if (json_find(event, "generation", &value))
		fprintf(out, "generation %" PRIu64 ": ", json_find_u64(event, "generation"));
	fputs(text, out);
	if (!json_enter(event, &cursor))
		return;
	while (json_next(&cursor, &name, &value)) {
		if (is_name(name, "event") || is_name(name, "ns") || is_name(name, "generation"))
			continue;
		fputc(' ', out);
		put_bare(name, out);
		fputc('=', out);
		if (json_decode(value, text, sizeof(text)))
			fprintf(out, "\"%s\"", text);
		else
			put_bare(value, out);
	}
	fputc('\n', out);
}
