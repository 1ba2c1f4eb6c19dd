/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_dump_save.c - "minivmm dump save": a copy of a dump on disk. */
#include "vmm/cli/cmd_dump.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/save/save.h"
#include "vmm/base/exit_codes.h"
#include "vmm/base/text.h"
#include "vmm/base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* our choice: how often a terminal's line changes */
#define INTERVAL_NS (100 * NSEC_PER_MSEC)

struct display {
	bool terminal; /* standard error is one */
	uint64_t last_ns;
};

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct display *display = arg;
	uint64_t now = clock_mono_ns();

	if (!display->terminal || (done < total && now - display->last_ns < INTERVAL_NS))
		return;
	display->last_ns = now;
	fprintf(stderr, "\r\033[Ksaving: %3.0f %%", total ? (double)done * 100 / (double)total : 100.0);
	if (done >= total)
		fprintf(stderr, "\r\033[K");
}

static int save_exit_code(int error)
{
	switch (error) {
	case -EINVAL:
	case -EEXIST:
	case -EBADMSG:
		return EXIT_DUMP;
	case -ENOENT:
	case -ENOTDIR:
	case -ENAMETOOLONG:
		return EXIT_CONFIG;
	default:
		return EXIT_HOST;
	}
}

static void tell_damage(void *arg, uint64_t gpa, uint64_t bytes)
{
	log_error("%s: damaged: guest-physical %#" PRIx64 " to %#" PRIx64, (const char *)arg, gpa,
		gpa + bytes);
}

static void report_saved(const struct dump_arguments *args, const char *path, const char *format)
{
	struct stat st = {0};
	char bytes[24];

	(void)!stat(path, &st); /* for the report alone */
	if (args->json) {
		struct json json = {.out = stdout};

		json_object(&json, NULL);
		json_text(&json, "path", path);
		json_text(&json, "format", format);
		json_u64(&json, "bytes", io_stat_bytes(&st));
		json_u64(&json, "apparent_bytes", (uint64_t)st.st_size);
		json_end(&json);
		return;
	}
	report_bytes(io_stat_bytes(&st), bytes, sizeof(bytes));
	printf("%s is complete (%s)\n", path, bytes);
}

int dump_command_save(const struct dump_arguments *args)
{
	const struct save_format *format = save_find_format(args->format ? args->format : "elf");
	struct display display = {.terminal = isatty(STDERR_FILENO)};
	const struct kdump_progress progress = {on_progress, &display};
	char path[PATH_MAX], why[PATH_MAX + 512];
	struct reader *reader;
	int code, r;

	if (!format) {
		log_error("dump save: no format '%s': elf, lz4, kdump, virtual", args->format);
		return EXIT_USAGE;
	}
	code = dump_command_open(args->files[0], NULL, &reader);
	if (code)
		return code;
	r = dump_save(reader, args->files[1], format, &progress, path, why, sizeof(why));
	if (display.last_ns)
		fprintf(stderr, "\r\033[K");
	if (r) {
		uint64_t pages;

		log_error("%s: %s", args->files[0], why);
		if (r == -EBADMSG)
			(void)!reader_check(reader, tell_damage, reader->path, &pages);
		code = r == -EOPNOTSUPP ? dump_command_not_found(reader) : save_exit_code(r);
	} else {
		report_saved(args, path, format->name);
	}
	reader_close(reader);
	return code;
}
