/* SPDX-License-Identifier: Apache-2.0 */
/* tests/kvm/verdict.c - what tests ask of a run: events, dumps, the console.  See run.h. */
#include "tests/kvm/run.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Check refuses a message over 4 KiB */
#define STORY_TEXT 1400
#define STORY_ERR 2000

const char *run_story(const struct run *run, const char *fmt, ...)
{
	static char story[STORY_TEXT + STORY_ERR + 64], err[65536];
	size_t len, used;
	va_list args;

	va_start(args, fmt);
	vsnprintf(story, STORY_TEXT, fmt, args);
	va_end(args);
	len = read_file(run->err, err, sizeof(err));
	used = strlen(story);
	snprintf(story + used, sizeof(story) - used, "\n--- standard error of minivmm%s:\n%.*s",
		len > STORY_ERR ? " (the end of it)" : "", STORY_ERR,
		len > STORY_ERR ? err + len - STORY_ERR : err);
	return story;
}

const char *run_event(struct run *run, const char *name, int generation)
{
	const char *event;

	event_log_update(&run->log);
	event = event_find(&run->log, name, generation, NULL);
	run_assert(run, event, "there is no event '%s' of generation %d", name, generation);
	return event;
}

uint64_t run_u64(struct run *run, const char *event, const char *field)
{
	uint64_t value;

	run_assert(run, event_u64(event, field, &value), "no number '%s' in %s", field, event);
	return value;
}

unsigned run_files(const struct run *run, const char *suffix, char *path, size_t size)
{
	DIR *dir = opendir(run->dump_dir);
	struct dirent *entry;
	unsigned count = 0;

	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name), tail = strlen(suffix);

		if (entry->d_name[0] == '.' || entry->d_type == DT_SOCK || len < tail ||
			strcmp(entry->d_name + len - tail, suffix))
			continue;
		count++;
		if (path)
			snprintf(path, size, "%s/%s", run->dump_dir, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return count;
}

void run_dump_path(struct run *run, int generation, char *path, size_t size)
{
	char suffix[32];
	unsigned count;

	snprintf(suffix, sizeof(suffix), "-g%d.vmcore", generation);
	count = run_files(run, suffix, path, size);
	run_assert(run, count == 1, "%u dumps of generation %d", count, generation);
}

uint64_t run_added_memory(struct run *run, int generation)
{
	uint64_t bytes = 0;

	event_log_update(&run->log);
	for (const char *event = NULL;
		(event = event_find(&run->log, "memory-added", generation, event)) != NULL;)
		bytes = run_u64(run, event, "memory");
	return bytes / MIB;
}

void run_said(struct run *run, const char *text)
{
	static char console[1 << 20];

	read_file(run->console, console, sizeof(console));
	run_assert(run, strstr(console, text), "the console has no '%s'; it has:\n%.1000s", text, console);
}
