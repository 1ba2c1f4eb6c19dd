/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_dump_save.c - "minivmm dump save": a copy of a dump on disk. */
#include "vmm/cli/cmd_dump.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/files/publish.h"
#include "dump/save/drain.h"
#include "vmm/cli/cmd_ctl.h"
#include "vmm/base/exit_codes.h"
#include "vmm/base/text.h"
#include "vmm/base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* our choice: how often a terminal's line changes */
#define INTERVAL_NS (100 * NSEC_PER_MSEC)

struct display {
	bool terminal; /* standard error is one */
	const char *what;
	uint64_t last_ns;
};

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct display *display = arg;
	uint64_t now = clock_mono_ns();

	if (!display->terminal || (done < total && now - display->last_ns < INTERVAL_NS))
		return;
	display->last_ns = now;
	fprintf(stderr, "\r\033[K%s: %3.0f %%", display->what,
		total ? (double)done * 100 / (double)total : 100.0);
	if (done >= total)
		fprintf(stderr, "\r\033[K");
}

static int save_exit_code(int error)
{
	switch (error) {
	case -EINVAL:
	case -EEXIST:
	case -EBUSY:
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

/* ---- a copy that is read back: dump/save/drain.h ----------------------------------------------------------- */

/* A pace, and what it minds. */
struct pace {
	struct pacer pacer;
	const struct disk_load *load; /* owned; NULL = nobody's */
};

static int map_load(const char *guest, const struct disk_load **ret)
{
	char path[64];
	autoclose int fd = -1;
	int code = ctl_status_text(guest, "disk_load", path, sizeof(path)), r;

	if (code)
		return code;
	if (!path[0]) {
		log_error("--beside %s: this guest has no disks", guest);
		return EXIT_USAGE;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : disk_load_map(fd, ret);
	if (r)
		log_error("--beside %s: %s: %s", guest, path, strerror(-r));
	return r ? EXIT_HOST : EXIT_OK;
}

static int open_pace(const struct dump_arguments *args, struct pace *pace)
{
	struct pacer_settings settings = {PACER_OFF, 0};
	int r = args->pace ? pacer_parse(args->pace, &settings) : 0, code = EXIT_OK;

	*pace = (struct pace){0};
	if (r) {
		log_error("--pace %s: %s", args->pace,
			r == -ERANGE
				? "out of range: rate from 1M, weight 1 to 99, latency 10us to 60s"
				: "expected off, rate=BYTES, weight=PERCENT, latency=TIME, guest-first, "
				  "balanced or memory-first");
		return EXIT_USAGE;
	}
	if (pacer_wants_load(&settings) != !!args->beside) {
		log_error(args->beside ? "--beside is for --pace weight, latency, guest-first and balanced"
				       : "--pace %s: which guest it is to mind, --beside GUEST tells",
			args->pace);
		return EXIT_USAGE;
	}
	if (args->beside)
		code = map_load(args->beside, &pace->load);
	if (!code)
		pacer_init(&pace->pacer, &settings, pace->load, clock_mono_ns());
	return code;
}

static void on_drained(void *arg, enum drain_step step, uint64_t done, uint64_t total)
{
	struct display *display = arg;

	display->what = step == DRAIN_VERIFY ? "comparing" : "saving";
	on_progress(display, done, total);
}

/* The directory that @path lies in. */
static int open_parent(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX] = ".";
	int fd;

	if (slash && snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path + 1), path) >= PATH_MAX)
		return -ENAMETOOLONG;
	*ret_name = slash ? slash + 1 : path;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* As dump_save(). */
static int save_by_drain(struct reader *reader, const struct dump_arguments *args,
	const struct save_format *format, struct pace *pace, struct display *display, char path[PATH_MAX],
	char *why, size_t why_size)
{
	autoclose int dir_fd = open(args->files[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int source_dir_fd = -1, proc_fd = -1;
	enum drain_step step;
	char name[NAME_MAX];
	struct drain drain = {
		.reader = reader,
		.format = format,
		.name = name,
		.keep = !args->move,
		.pacer = &pace->pacer,
		.tell = on_drained,
		.arg = display,
	};
	int r = dir_fd < 0 ? -errno : 0;

	drain.dir_fd = dir_fd;
	if (!r)
		r = drain.source_dir_fd = source_dir_fd = open_parent(args->files[0], &drain.source_name);
	if (r >= 0)
		r = drain.proc_fd = proc_fd = publish_proc_open();
	if (r >= 0)
		r = save_name(args->files[0], format, name);
	if (!r && snprintf(path, PATH_MAX, "%s/%s", args->files[1], name) >= PATH_MAX)
		r = -ENAMETOOLONG;
	if (r < 0) {
		snprintf(why, why_size, "not saved in %s: %s", args->files[1], strerror(-r));
		return r;
	}
	return drain_run(&drain, &step, why, why_size);
}

static int save(struct reader *reader, const struct dump_arguments *args, const struct save_format *format,
	struct pace *pace, struct display *display, char path[PATH_MAX], char *why, size_t why_size)
{
	const struct kdump_progress progress = {on_progress, display};

	if (args->verify || args->move || args->pace)
		return save_by_drain(reader, args, format, pace, display, path, why, why_size);
	return dump_save(reader, args->files[1], format, &progress, path, why, why_size);
}

/* ---- the command ------------------------------------------------------------------------------------------- */

int dump_command_save(const struct dump_arguments *args)
{
	const struct save_format *format = save_find_format(args->format ? args->format : "elf");
	struct display display = {.terminal = isatty(STDERR_FILENO), .what = "saving"};
	char path[PATH_MAX], why[PATH_MAX + 512];
	struct reader *reader;
	struct pace pace;
	int code, r;

	if (!format) {
		log_error("dump save: no format '%s': elf, lz4, kdump, virtual", args->format);
		return EXIT_USAGE;
	}
	code = open_pace(args, &pace);
	if (code)
		return code;
	code = dump_command_open(args->files[0], NULL, &reader);
	if (code) {
		disk_load_unmap(pace.load);
		return code;
	}
	r = save(reader, args, format, &pace, &display, path, why, sizeof(why));
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
	disk_load_unmap(pace.load);
	return code;
}
