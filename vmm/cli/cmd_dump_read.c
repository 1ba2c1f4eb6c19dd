/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_dump_read.c - "minivmm dump read": guest memory, byte for byte. */
#include "vmm/cli/cmd_dump.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/base/exit_codes.h"
#include "vmm/base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* our choice: what one system call moves */
#define PIECE_BYTES MIB(1)

/* Whether the request makes sense, before anything is written. */
static int check(const struct dump_arguments *args, const struct reader *reader)
{
	uint64_t there;

	if (!args->has_phys || !args->has_len) {
		log_error("dump read: --phys and --len are needed");
		return EXIT_USAGE;
	}
	there = reader_contiguous(reader, args->phys);
	if (args->len > there) {
		if (there)
			log_error("%s: the guest's memory from %#" PRIx64 " on ends after %" PRIu64
				  " bytes",
				reader->path, args->phys, there);
		else
			log_error("%s: the guest has no memory at %#" PRIx64, reader->path, args->phys);
		return EXIT_USAGE;
	}
	if (args->json && !args->output) {
		log_error("dump read: --json describes what was written to a file: it needs --output");
		return EXIT_USAGE;
	}
	if (!args->output && !args->force && isatty(STDOUT_FILENO)) {
		log_error("dump read: not writing raw bytes to a terminal without --force");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

/* Pages of the range that are not in the dump, of which the operator should know. */
static int count_excluded(struct reader *reader, uint64_t gpa, uint64_t len, uint64_t *ret)
{
	uint64_t end = gpa + len;
	enum reader_page page;
	int r = 0;

	for (*ret = 0; gpa < end && !r; gpa = u64_align_down(gpa, PAGE_SIZE_4K) + PAGE_SIZE_4K) {
		r = reader_page(reader, gpa, &page);
		*ret += !r && page == READER_PAGE_EXCLUDED;
	}
	return r;
}

static int copy(struct reader *reader, uint64_t gpa, uint64_t len, int fd, const char *to)
{
	autofree unsigned char *buf = malloc(PIECE_BYTES);
	int r;

	if (!buf) {
		log_error("out of memory");
		return EXIT_HOST;
	}
	while (len) {
		size_t piece = u64_min(len, PIECE_BYTES);

		r = reader_read(reader, gpa, buf, piece);
		if (r) {
			log_error("%s: reading %zu bytes at %#" PRIx64 ": %s", reader->path, piece, gpa,
				r == -ENODATA ? "they were not dumped, and the crashed VM's memory is gone"
					      : strerror(-r));
			return EXIT_DUMP;
		}
		r = io_write_full(fd, buf, piece);
		if (r) {
			log_error("%s: %s", to, strerror(-r));
			return EXIT_HOST;
		}
		gpa += piece;
		len -= piece;
	}
	return EXIT_OK;
}

static int write_out(struct reader *reader, const struct dump_arguments *args)
{
	autoclose int fd = -1;

	if (!args->output)
		return copy(reader, args->phys, args->len, STDOUT_FILENO, "standard output");
	/* what is in a guest's memory is for its owner alone */
	fd = open(args->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		log_error("%s: %s", args->output, strerror(errno));
		return EXIT_HOST;
	}
	return copy(reader, args->phys, args->len, fd, args->output);
}

static void print_json(const struct dump_arguments *args, uint64_t excluded)
{
	struct json json = {.out = stdout};

	json_object(&json, NULL);
	json_text(&json, "output", args->output);
	json_u64(&json, "phys", args->phys);
	json_u64(&json, "bytes", args->len);
	json_u64(&json, "excluded_pages", excluded);
	json_end(&json);
}

int dump_command_read(const struct dump_arguments *args)
{
	struct reader *reader;
	uint64_t excluded = 0;
	int code, r;

	code = dump_command_open(args->files[0], args->region, &reader);
	if (code)
		return code;
	code = check(args, reader);
	if (!code) {
		r = count_excluded(reader, args->phys, args->len, &excluded);
		if (r || excluded)
			log_warn("%s: %" PRIu64
				 " of the pages were excluded from the dump and read as zeros",
				reader->path, excluded);
		code = write_out(reader, args);
	}
	if (!code && args->json)
		print_json(args, excluded);
	reader_close(reader);
	return code;
}
