/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_dump_list.c - "minivmm dump list". */
#include "vmm/cli/cmd_dump.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/files/catalog.h"
#include "vmm/base/exit_codes.h"
#include "vmm/cli/cmd_dump_facts.h"
#include "vmm/base/places.h"
#include "vmm/base/text.h"
#include "vmm/base/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* our choice: more stands in the output of --json and of info */
#define TITLE_COLUMN_MAX 56

/* One line of the list. */
struct row {
	char *path; /* owned: the file to name to the other commands */
	struct catalog_dump files;
	bool readable; /* what follows is known */
	char state[16], guest[64], reason[16];
	uint32_t generation;
	uint64_t time_ns; /* of the crash; of the files if that is not known */
	struct signature signature;
};

struct rows {
	struct row *rows; /* owned */
	size_t nr;
};

/* What is to be known of a dump at a glance: what the file says, what names there are, whether somebody works on it. */
static const char *state_of(const struct catalog_dump *files, const struct reader *reader)
{
	uint32_t state = atomic_load_explicit(&reader->trailer.state, memory_order_relaxed);
	bool final = files->files & CATALOG_FINAL;
	bool partial = files->files & (CATALOG_DUMP_PARTIAL | CATALOG_REGION_PARTIAL);

	if (reader->kind == READER_COMPLETE && !files->in_use)
		return !final ? "unnamed" : partial ? "two names" : "complete";
	/* announced and no more: nothing is made of it yet */
	if (files->in_use && reader->kind == READER_REGION && !reader->compressed &&
		(!reader->has_trailer || state == VMCORE_STATE_PREPARING))
		return "waiting";
	if (!files->in_use && reader->has_trailer &&
		(state == VMCORE_STATE_FAILED ||
			(reader->trailer.error && reader->kind != READER_COMPLETE)))
		return "failed";
	return dump_state_name(reader, files->in_use);
}

static void find_title(struct row *row, struct reader *reader)
{
	struct linux_report report;

	if (dump_info_linux(reader, &report))
		row->signature = report.signature;
}

/* What the dump itself says, if it can be read. */
static void describe(struct row *row)
{
	struct reader *reader;
	char why[256];
	int r;

	row->time_ns = row->files.time_ns;
	r = reader_open(row->path, NULL, &reader, why, sizeof(why));
	snprintf(row->state, sizeof(row->state), "%s", r == -EACCES ? "no access" : "damaged");
	if (r) {
		log_debug("%s: %s", row->path, why);
		return;
	}
	snprintf(row->state, sizeof(row->state), "%s", state_of(&row->files, reader));
	if (reader->metadata.has_meta) {
		const struct vmcore_meta *meta = &reader->metadata.meta;

		row->readable = true;
		row->generation = meta->generation;
		row->time_ns = meta->wall_ns;
		dump_clean_text(row->guest, sizeof(row->guest), meta->guest, sizeof(meta->guest));
		dump_clean_text(
			row->reason, sizeof(row->reason), meta->reason_name, sizeof(meta->reason_name));
	}
	find_title(row, reader);
	reader_close(reader);
}

static int add_row(struct rows *rows, const char *dir, const struct catalog_dump *files)
{
	struct row *grown = reallocarray(rows->rows, rows->nr + 1, sizeof(*grown));
	char name[PUBLISH_NAME_MAX];
	struct row *row;

	if (!grown)
		return -ENOMEM;
	rows->rows = grown;
	row = &grown[rows->nr];
	*row = (struct row){.files = *files};
	catalog_file_name(files, name, sizeof(name));
	if (asprintf(&row->path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	rows->nr++;
	describe(row);
	return 0;
}

static int add_directory(struct rows *rows, const char *dir)
{
	autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct catalog catalog;
	int r;

	if (fd < 0)
		return -errno;
	r = catalog_read(fd, &catalog);
	if (r)
		return r;
	for (size_t i = 0; i < catalog.nr && !r; i++)
		r = add_row(rows, dir, &catalog.dumps[i]);
	catalog_fini(&catalog);
	return r;
}

/* Every guest's directory in @place.  Those of other users, which may not be read, are left out. */
static int add_place(struct rows *rows, const char *place)
{
	DIR *root = opendir(place);
	struct dirent *entry;
	int r = 0;

	if (!root)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;
	while (!r && (entry = readdir(root))) {
		autofree char *dir = NULL;

		if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
			continue;
		if (asprintf(&dir, "%s/%s", place, entry->d_name) < 0) {
			dir = NULL;
			r = -ENOMEM;
			break;
		}
		r = add_directory(rows, dir);
		if (r == -EACCES || r == -ENOENT || r == -ENOTDIR) {
			log_debug("%s: %s", dir, strerror(-r));
			r = 0;
		}
	}
	closedir(root);
	return r;
}

/* The places of all users: those that may be read. */
static int add_all_guests(struct rows *rows)
{
	static const char *const patterns[] = {
		PLACES_ROOT, PLACES_ROOT "/uid-[0-9]*", PLACES_ROOT "-[0-9]*"};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(patterns) && !r; i++) {
		glob_t found = {0};

		if (!glob(patterns[i], GLOB_ONLYDIR, NULL, &found))
			for (size_t k = 0; k < found.gl_pathc && !r; k++)
				r = add_place(rows, found.gl_pathv[k]);
		globfree(&found);
	}
	return r;
}

/* A name without a slash is a guest's, unless there is only a directory of that name. */
static int add_named(struct rows *rows, const char *name)
{
	char dir[PATH_MAX];

	if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") ||
		!places_find(name, dir, sizeof(dir)))
		return add_directory(rows, name);
	return add_directory(rows, dir);
}

static int by_time(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	if (left->time_ns != right->time_ns)
		return left->time_ns < right->time_ns ? -1 : 1;
	return strcmp(left->path, right->path);
}

static void print_json(const struct rows *rows)
{
	struct json json = {.out = stdout};

	json_array(&json, NULL);
	for (size_t i = 0; i < rows->nr; i++) {
		const struct row *row = &rows->rows[i];

		json_object(&json, NULL);
		json_text(&json, "path", row->path);
		json_text(&json, "name", row->files.name);
		json_text(&json, "state", row->state);
		json_u64(&json, "bytes", row->files.bytes);
		json_u64(&json, "apparent_bytes", row->files.apparent);
		json_u64(&json, "time_ns", row->time_ns);
		if (row->readable) {
			json_text(&json, "guest", row->guest);
			json_u64(&json, "generation", row->generation);
			json_text(&json, "reason", row->reason);
		}
		if (row->signature.title[0]) {
			json_text(&json, "title", row->signature.title);
			json_text(&json, "signature", row->signature.text);
		}
		json_end(&json);
	}
	json_end(&json);
}

/* Characters of the column TITLE: those of the longest, within reason. */
static int title_width(const struct rows *rows)
{
	size_t width = strlen("TITLE");

	for (size_t i = 0; i < rows->nr; i++)
		width = u64_max(width, strlen(rows->rows[i].signature.title));
	return (int)u64_min(width, TITLE_COLUMN_MAX);
}

static void print_table(const struct rows *rows)
{
	uint64_t now = clock_wall_ns();
	int width = title_width(rows);

	if (!rows->nr) {
		printf("no dumps\n");
		return;
	}
	printf("%-12s %-14s %3s  %-14s %10s %10s %8s  %-*s  %s\n", "STATE", "GUEST", "GEN", "REASON",
		"MEMORY", "APPARENT", "AGE", width, "TITLE", "FILE");
	for (size_t i = 0; i < rows->nr; i++) {
		const struct row *row = &rows->rows[i];
		char bytes[24], apparent[24], age[24], generation[12] = "?";

		report_bytes(row->files.bytes, bytes, sizeof(bytes));
		report_bytes(row->files.apparent, apparent, sizeof(apparent));
		dump_age(now, row->time_ns, age, sizeof(age));
		if (row->readable)
			snprintf(generation, sizeof(generation), "%" PRIu32, row->generation);
		printf("%-12s %-14s %3s  %-14s %10s %10s %8s  %-*.*s  %s\n", row->state,
			row->readable ? row->guest : "?", generation, row->readable ? row->reason : "?",
			bytes, apparent, age, width, width,
			row->signature.title[0] ? row->signature.title : "-", row->path);
	}
}

int dump_command_list(const struct dump_arguments *args)
{
	struct rows rows = {0};
	int code = EXIT_OK;
	int r = 0;

	if (!args->nr_files) {
		r = add_all_guests(&rows);
		if (r)
			log_error("%s: %s", PLACES_ROOT, strerror(-r));
	}
	for (size_t i = 0; i < args->nr_files && !r; i++) {
		r = add_named(&rows, args->files[i]);
		if (r)
			log_error("%s: %s", args->files[i], strerror(-r));
	}
	if (r)
		code = r == -ENOENT || r == -ENOTDIR ? EXIT_CONFIG : EXIT_HOST;
	if (!r) {
		if (rows.nr)
			qsort(rows.rows, rows.nr, sizeof(rows.rows[0]), by_time);
		if (args->json)
			print_json(&rows);
		else
			print_table(&rows);
	}
	for (size_t i = 0; i < rows.nr; i++)
		free(rows.rows[i].path);
	free(rows.rows);
	return code;
}
