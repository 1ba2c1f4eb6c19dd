/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_dump_files.c - "minivmm dump salvage" and "minivmm dump rm". */
#include "vmm/cli/cmd_dump.h"

#include "dump/base/cleanup.h"
#include "dump/base/log.h"
#include "dump/files/catalog.h"
#include "dump/save/salvage.h"
#include "vmm/base/exit_codes.h"
#include "vmm/base/text.h"
#include "vmm/base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int salvage_exit_code(int error)
{
	if (dump_is_no_file(error))
		return EXIT_CONFIG;
	switch (error) {
	case -EINVAL:
		return EXIT_CONFIG;
	case -EBUSY:
	case -ENODATA:
	case -EEXIST:
		return EXIT_DUMP;
	default:
		return EXIT_HOST;
	}
}

int dump_command_salvage(const struct dump_arguments *args)
{
	const struct salvage_request request = {
		.path = args->files[0],
		.region_path = args->region,
		.output = args->output,
		.keep = args->keep,
	};
	struct salvage_result result;
	char why[512], moved[24], missing[24];
	int r;

	r = dump_salvage(&request, &result, why, sizeof(why));
	if (r) {
		log_error("%s: %s", args->files[0], why);
		return salvage_exit_code(r);
	}
	report_bytes(result.moved, moved, sizeof(moved));
	if (args->json) {
		struct json json = {.out = stdout};

		json_object(&json, NULL);
		json_text(&json, "path", result.path);
		json_u64(&json, "moved_bytes", result.moved);
		json_u64(&json, "missing_bytes", result.missing);
		json_u64(&json, "unreadable_bytes", result.unreadable);
		json_bool(&json, "in_place", result.in_place);
		json_end(&json);
	} else if (!result.missing) {
		printf("%s is complete (%s %s)\n", result.path, moved,
			result.in_place ? "moved into it" : "copied");
	}
	if (result.missing) {
		report_bytes(result.missing, missing, sizeof(missing));
		log_warn("%s: not complete: up to %s of it are in none of the files; copied %s",
			result.path, missing, moved);
	}
	if (result.unreadable) {
		report_bytes(result.unreadable, missing, sizeof(missing));
		log_warn("%s: %s could not be read from the host's memory and are left out", result.path,
			missing);
	}
	free(result.path);
	return result.missing ? EXIT_DUMP : EXIT_OK;
}

/* ---- rm -------------------------------------------------------------------------------------------------- */

/* A file of a dump: the directory open, the base name. */
struct target {
	int dir_fd; /* owned */
	char name[DUMP_NAME_MAX];
	enum publish_file file;
	bool lz4; /* its name says so; a region's name says nothing */
};

static int find_target(const char *path, struct target *ret)
{
	const char *slash = strrchr(path, '/');
	size_t dir_len = slash ? (size_t)(slash - path) + 1 : 0, base = 0;
	autofree char *dir = dir_len ? strndup(path, dir_len) : strdup(".");

	ret->file = publish_parse(path, &base);
	if (ret->file == PUBLISH_NONE || base - dir_len >= sizeof(ret->name)) {
		log_error("%s: not removed: not the name of a dump (.vmcore, .vmcore.partial, "
			  ".region.partial)",
			path);
		return EXIT_CONFIG;
	}
	snprintf(ret->name, sizeof(ret->name), "%.*s", (int)(base - dir_len), path + dir_len);
	ret->lz4 = !strncmp(path + base, ".vmcore.lz4", strlen(".vmcore.lz4"));
	ret->dir_fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (ret->dir_fd >= 0)
		return EXIT_OK;
	log_error("%s: %s", path, strerror(errno));
	return errno == ENOENT || errno == ENOTDIR ? EXIT_CONFIG : EXIT_HOST;
}

static bool is_target(const struct catalog_dump *dump, const struct target *target)
{
	return !strcmp(dump->name, target->name) && (dump->files & 1u << target->file) &&
	       (target->file == PUBLISH_REGION_PARTIAL || target->lz4 == !!(dump->files & CATALOG_LZ4));
}

/* The files of the target's dump, as the directory says now. */
static int find_files(const char *path, const struct target *target, struct catalog_dump *ret)
{
	struct catalog catalog;
	struct stat st;
	int code = EXIT_CONFIG;
	int r = catalog_read(target->dir_fd, &catalog);

	if (r) {
		log_error("%s: %s", path, strerror(-r));
		return EXIT_HOST;
	}
	for (size_t i = 0; i < catalog.nr; i++)
		if (is_target(&catalog.dumps[i], target)) {
			*ret = catalog.dumps[i];
			code = EXIT_OK;
		}
	catalog_fini(&catalog);
	if (code && !lstat(path, &st) && !S_ISREG(st.st_mode))
		log_error("%s: not removed: not a regular file", path);
	else if (code)
		log_error("%s: %s", path, strerror(ENOENT));
	return code;
}

/* Removing what somebody else has put there under such a name is not our business. */
static int check_is_ours(const char *path)
{
	struct reader *reader;
	char why[256];
	bool ours;

	if (reader_open(path, NULL, &reader, why, sizeof(why))) {
		log_error("%s: not removed: %s", path, why);
		return EXIT_CONFIG;
	}
	ours = reader->metadata.has_meta;
	reader_close(reader);
	if (ours)
		return EXIT_OK;
	log_error("%s: not removed: no dump of minivmm's", path);
	return EXIT_CONFIG;
}

/*
 * What goes with the file that was named: with a complete dump the names left beside it, with an unfinished one its
 * companion.  What is left beside a complete dump goes alone.
 */
static int choose_files(const char *path, const struct target *target, const struct catalog_dump *dump,
	bool force, unsigned *ret)
{
	unsigned partial = CATALOG_DUMP_PARTIAL | CATALOG_REGION_PARTIAL;

	if (dump->in_use) {
		log_error("%s: not removed: a dumper is at work on it", path);
		return EXIT_DUMP;
	}
	*ret = target->file == PUBLISH_FINAL ? CATALOG_FINAL | partial : partial;
	if (target->file == PUBLISH_FINAL)
		return EXIT_OK;
	if (catalog_is_leftover(target->dir_fd, dump, target->file)) {
		*ret = 1u << target->file;
		return EXIT_OK;
	}
	if (force)
		return EXIT_OK;
	log_error("%s: not removed: it is not complete, \"minivmm dump salvage\" completes it; --force "
		  "removes it",
		path);
	return EXIT_DUMP;
}

static int remove_files(
	const char *path, const struct target *target, const struct catalog_dump *dump, unsigned files)
{
	int r = catalog_remove(target->dir_fd, dump, files);

	if (!r)
		return EXIT_OK;
	log_error("%s: not removed: %s", path, r == -EBUSY ? "a dumper is at work on it" : strerror(-r));
	return r == -EBUSY ? EXIT_DUMP : EXIT_HOST;
}

static int remove_one(const char *path, bool force, struct json *json)
{
	struct target target = {.dir_fd = -1};
	struct catalog_dump dump = {0};
	unsigned files = 0;
	int code;

	code = find_target(path, &target);
	if (!code)
		code = find_files(path, &target, &dump);
	if (!code)
		code = choose_files(path, &target, &dump, force, &files);
	if (!code)
		code = check_is_ours(path);
	if (!code)
		code = remove_files(path, &target, &dump, files);
	if (!code && json) {
		json_object(json, NULL);
		json_text(json, "path", path);
		json_u64(json, "bytes", dump.bytes);
		json_end(json);
	}
	cleanup_close(&target.dir_fd);
	return code;
}

/* Every file gets its chance; the exit code is the first failure's. */
int dump_command_rm(const struct dump_arguments *args)
{
	struct json json = {.out = stdout};
	int first = EXIT_OK;

	if (args->json)
		json_array(&json, NULL);
	for (size_t i = 0; i < args->nr_files; i++) {
		int code = remove_one(args->files[i], args->force, args->json ? &json : NULL);

		first = first ? first : code;
	}
	if (args->json)
		json_end(&json);
	return first;
}
