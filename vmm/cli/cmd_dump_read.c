/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_dump_read.c - "minivmm dump read": guest memory, byte for byte. */
#include "vmm/cli/cmd_dump.h"

#include "dump/base/cleanup.h"
#include "dump/base/log.h"
#include "vmm/base/exit_codes.h"
#include "vmm/base/json.h"
#include "vmm/cli/cmd_dump_output.h"

#include <errno.h>
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

/* Only of a whole dump: of others a hole may be what is missing. */
static uint64_t zeros_at(struct reader *reader, uint64_t gpa, uint64_t len)
{
	enum reader_page page;
	uint64_t gap;

	if (reader->kind != READER_COMPLETE && reader->kind != READER_FOREIGN)
		return 0;
	gap = u64_min(reader_gap(reader, gpa), len);
	/* it may go beyond the end of a file that was cut off */
	return gap && !reader_page(reader, gpa + gap - 1, &page) && page != READER_PAGE_MISSING ? gap : 0;
}

static int copy(struct reader *reader, uint64_t gpa, uint64_t len, struct dump_output *out)
{
	autofree unsigned char *buf = malloc(PIECE_BYTES);
	uint64_t step = PIECE_BYTES;
	int r;

	if (!buf) {
		log_error("out of memory");
		return EXIT_HOST;
	}
	while (len) {
		uint64_t zeros = zeros_at(reader, gpa, len);
		uint64_t piece = zeros ? zeros : u64_min(len, step - gpa % PAGE_SIZE_4K);

		r = zeros ? 0 : reader_read(reader, gpa, buf, piece);
		if (r && step > PAGE_SIZE_4K) {
			step = PAGE_SIZE_4K; /* up to the page that is the cause */
			continue;
		}
		if (r) {
			log_error("%s: the page at %#" PRIx64 " cannot be read: %s", reader->path,
				u64_align_down(gpa, PAGE_SIZE_4K), dump_read_error(r));
			return EXIT_DUMP;
		}
		r = dump_output_write(out, zeros ? NULL : buf, piece);
		if (r) {
			log_error("%s: %s", out->path, strerror(-r));
			return EXIT_HOST;
		}
		gpa += piece;
		len -= piece;
	}
	return EXIT_OK;
}

static int write_out(struct reader *reader, const struct dump_arguments *args)
{
	struct dump_output out;
	int code = dump_output_open(&out, args->output, args->force, reader);

	if (!code)
		code = copy(reader, args->phys, args->len, &out);
	if (!code)
		code = dump_output_finish(&out);
	dump_output_close(&out);
	return code;
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
		r = reader_count_excluded(reader, args->phys, args->len, &excluded);
		if (r)
			log_warn("%s: which of the pages were dumped cannot be read: %s", reader->path,
				dump_read_error(r));
		else if (excluded)
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
