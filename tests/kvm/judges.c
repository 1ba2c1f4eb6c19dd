/* SPDX-License-Identifier: Apache-2.0 */
/* tests/kvm/judges.c - see judges.h */
#include "tests/kvm/judges.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONSOLE_MAX (1u << 18) /* bytes; some 60 generations */

void find_final(struct run *run, int generation, char *path, size_t size)
{
	char suffix[40];
	unsigned count;

	snprintf(suffix, sizeof(suffix), "-g%d.vmcore", generation);
	count = run_files(run, suffix, path, size);
	snprintf(suffix, sizeof(suffix), "-g%d.vmcore.lz4", generation);
	count += run_files(run, suffix, path, size);
	run_assert(run, count == 1, "%u dumps of generation %d", count, generation);
}

bool is_lz4(const char *path)
{
	size_t len = strlen(path);

	return len > 4 && !strcmp(path + len - 4, ".lz4");
}

/* selection-check lies beside vmcore-check. */
static void selection_judge(char *path, size_t size)
{
	const char *slash = strrchr(judge_path, '/');

	snprintf(path, size, "%.*s/selection-check", (int)(slash - judge_path), judge_path);
}

/* Keeps the lines of a judge that are not "ok". */
static void keep_complaints(char *text)
{
	char *to = text;

	for (char *line = text, *next; *line; line = next) {
		size_t len = strcspn(line, "\n");

		len += line[len] == '\n';
		next = line + len;
		if (!strncmp(line, "ok ", 3))
			continue;
		memmove(to, line, len);
		to += len;
	}
	*to = '\0';
}

static void must_accept(struct run *run, struct output *output, const char *who, const char *path)
{
	keep_complaints(output->out);
	run_assert(run, !output->code, "%s does not accept %s (exit status %d):\n%.1000s\n%.300s", who,
		path, output->code, output->out, output->err);
}

static void judge_contents(struct run *run, const char *path, const struct claim *claim, bool restored)
{
	static struct output output;
	char number[16], memory[24], *argv[20];
	uint64_t mib = run_added_memory(run, claim->generation);
	size_t nr = 0;

	snprintf(number, sizeof(number), "%d", claim->generation);
	argv[nr++] = arg(judge_path);
	argv[nr++] = arg("--console");
	argv[nr++] = arg(claim->console ? claim->console : run->console);
	argv[nr++] = arg("--generation");
	argv[nr++] = number;
	if (mib) {
		snprintf(memory, sizeof(memory), "%" PRIu64, mib);
		argv[nr++] = arg("--memory");
		argv[nr++] = memory;
	}
	if (claim->absent) {
		argv[nr++] = arg(restored ? "--zeros" : "--holes");
		argv[nr++] = arg(claim->absent);
	}
	if (claim->any) {
		argv[nr++] = arg("--any");
		argv[nr++] = arg(claim->any);
	}
	if (claim->flags & JUDGE_NO_REGISTERS)
		argv[nr++] = arg("--no-registers");
	if (claim->flags & JUDGE_ANY_REGISTERS)
		argv[nr++] = arg("--any-registers");
	if (claim->flags & JUDGE_NO_FILL)
		argv[nr++] = arg("--no-fill");
	argv[nr++] = arg(path);
	argv[nr] = NULL;
	run_program(run, &output, argv);
	must_accept(run, &output, "vmcore-check", path);
}

static void judge_selection(struct run *run, const char *path, const struct claim *claim, bool restored)
{
	static struct output output;
	char judge[300], number[16], *argv[16];
	size_t nr = 0;

	selection_judge(judge, sizeof(judge));
	snprintf(number, sizeof(number), "%d", claim->generation);
	argv[nr++] = judge;
	argv[nr++] = arg("--select");
	argv[nr++] = arg(claim->select);
	argv[nr++] = arg("--console");
	argv[nr++] = arg(claim->console ? claim->console : run->console);
	argv[nr++] = arg("--generation");
	argv[nr++] = number;
	if (claim->distrusted) {
		argv[nr++] = arg("--distrusted");
		argv[nr++] = arg(claim->distrusted);
	}
	if (restored)
		argv[nr++] = arg("--restored");
	argv[nr++] = arg(path);
	argv[nr] = NULL;
	run_program(run, &output, argv);
	must_accept(run, &output, "selection-check", path);
}

void judge_dump(struct run *run, const char *path, const struct claim *claim)
{
	bool restored = is_lz4(path);
	char plain[512];

	if (restored) {
		static struct output output;

		snprintf(plain, sizeof(plain), "%s/restored", run->dir);
		run_program(run, &output,
			(char *[]){arg("/usr/bin/env"), arg("lz4"), arg("-q"), arg("-f"), arg("-d"),
				arg(path), plain, NULL});
		run_assert(run, !output.code, "lz4 -d %s: exit status %d: %.500s", path, output.code,
			output.err);
		path = plain;
	}
	judge_contents(run, path, claim, restored);
	if (claim->select)
		judge_selection(run, path, claim, restored);
	if (restored)
		unlink(plain);
}

void run_judge(struct run *run, const char *path, int generation, unsigned flags, const char *console)
{
	judge_dump(
		run, path, &(struct claim){.generation = generation, .flags = flags, .console = console});
}

bool has_strategy(struct run *run, const char *name)
{
	static struct output output;
	char line[64];

	run_minivmm(run, &output, "--help", NULL);
	snprintf(line, sizeof(line), "\n  %s ", name);
	return strstr(output.out, line);
}

uint64_t frames_said(const struct run *run, const char *line, const char *kind)
{
	static char console[CONSOLE_MAX];
	char start[64], of_kind[64], *end;
	uint64_t frames = 0;

	read_file(run->console, console, sizeof(console));
	end = strstr(console, "generation 1\n"); /* in the banner of the VM that recovers */
	if (end)
		*end = '\0';
	snprintf(start, sizeof(start), "stub: %s ", line);
	snprintf(of_kind, sizeof(of_kind), "kind=%s ", kind ? kind : "");
	for (char *at = console; (at = strstr(at, start)); at++) {
		char *pfn = strstr(at, "pfn="), *newline = strchr(at, '\n');
		char *found = kind ? strstr(at, of_kind) : at;
		unsigned long long first, last;

		if (!newline || !pfn || !found || pfn > newline || found > newline)
			continue;
		if (sscanf(pfn, "pfn=%llu-%llu", &first, &last) == 2)
			frames += last - first + 1;
	}
	return frames;
}

unsigned env_number(const char *name, unsigned fallback)
{
	const char *text = getenv(name);

	return text && *text ? (unsigned)strtoul(text, NULL, 0) : fallback;
}

int check_config(struct run *run, const char *const sets[], char *err, size_t size)
{
	static struct output output;
	char path[300], *argv[2 * SETS_MAX + 4];
	size_t nr = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/check.cfg", run->dir);
	file = fopen(path, "we");
	ck_assert_msg(file, "%s: %s", path, strerror(errno));
	fprintf(file, "[vm]\nname = %s\nkernel = %s\n", run->name, stub_path);
	ck_assert_int_eq(fclose(file), 0);
	argv[nr++] = arg(minivmm_path);
	argv[nr++] = arg("check");
	argv[nr++] = path;
	for (size_t i = 0; i < SETS_MAX && sets[i]; i++) {
		argv[nr++] = arg("--set");
		argv[nr++] = arg(sets[i]);
	}
	argv[nr] = NULL;
	run_program(run, &output, argv);
	snprintf(err, size, "%s", output.err);
	return output.code;
}
