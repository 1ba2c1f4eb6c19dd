/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_dump_linux.c - "minivmm dump dmesg" and "dump bt": what a Linux guest's own memory tells. */
#include "vmm/cli/cmd_dump.h"

#include "dump/base/log.h"
#include "dump/read/linux_dump.h"
#include "dump/linux/linux_log.h"
#include "dump/linux/linux_report.h"
#include "dump/linux/linux_stack.h"
#include "vmm/base/exit_codes.h"
#include "vmm/base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Opens the dump and its kernel, or says why not. */
static int open_kernel(
	const struct dump_arguments *args, struct reader **ret_reader, struct linux_dump **ret)
{
	int code = dump_command_open(args->files[0], args->region, ret_reader);
	const char *why;

	if (code)
		return code;
	why = linux_dump_open(*ret_reader, true, ret);
	if (!why)
		return EXIT_OK;
	log_error("%s: %s", args->files[0], why);
	code = dump_command_not_found(*ret_reader);
	reader_close(*ret_reader);
	return code;
}

/* Something of a kernel that is there: @why it is not shown. */
static int say_not_found(struct reader *reader, const char *why)
{
	log_error("%s: %s", reader->path, why);
	return dump_command_not_found(reader);
}

/* @bytes: of memory in the dump. */
static uint64_t print_log(
	struct linux_log *log, struct linux_log_record *record, char *line, uint64_t bytes)
{
	/* records that share their text could go on for days */
	uint64_t nr = 0, left = u64_min(1ull << log->size_bits, bytes);

	for (uint64_t id = log->first; id < log->end; id++) {
		if (!linux_log_read(log, id, record))
			continue;
		if (record->len > left)
			break;
		left -= record->len;
		fwrite(line, 1, linux_log_format(record, line, LINUX_LOG_LINE_MAX + 64), stdout);
		nr++;
	}
	return nr;
}

/* Records whose memory the dump has not got. */
static int say_unreadable(struct reader *reader, uint64_t nr)
{
	log_warn("%s: %" PRIu64 " records of the log are left out: their memory cannot be read",
		reader->path, nr);
	return dump_command_not_found(reader) == EXIT_DUMP ? EXIT_DUMP : EXIT_OK;
}

int dump_command_dmesg(const struct dump_arguments *args)
{
	struct linux_dump *dump = NULL;
	struct linux_log_record *record;
	struct linux_log log;
	struct reader *reader;
	const char *why;
	char *line;
	int code;

	code = open_kernel(args, &reader, &dump);
	if (code)
		return code;
	record = malloc(sizeof(*record));
	line = malloc(LINUX_LOG_LINE_MAX + 64);
	why = record && line ? linux_log_open(&log, &dump->kernel) : "no memory";
	if (!why) {
		log.callers = args->caller;
		linux_log_bound(&log, reader_data_bytes(reader));
	}
	if (!why && !print_log(&log, record, line, reader_data_bytes(reader)))
		why = "the log has no records that can be read";
	if (why)
		code = say_not_found(reader, why);
	else if (log.unreadable)
		code = say_unreadable(reader, log.unreadable);
	free(line);
	free(record);
	linux_dump_close(dump);
	reader_close(reader);
	return code;
}

/* ---- bt ------------------------------------------------------------------------------------------------ */

static void print_frame(void *arg, const struct linux_frame *frame)
{
	unsigned *nr = arg;

	printf(" #%-3u %s %016" PRIx64 "  ", (*nr)++, frame->guess ? "?" : " ", frame->address);
	if (frame->named)
		printf("%s+%#" PRIx64 "/%#" PRIx64 "\n", frame->symbol.name,
			frame->address - frame->symbol.address, frame->symbol.size);
	else
		printf("(not in the kernel's text)\n");
}

/* False if the dump has not got its stack. */
static bool print_cpu(struct linux_dump *dump, const struct linux_symbols *symbols, uint32_t nr,
	const struct core_cpu *cpu)
{
	unsigned frame = 0;
	uint64_t word;

	printf("vCPU %" PRIu32 "\n", nr);
	if (!cpu->has_general) {
		printf("  its registers could not be read\n");
		return true;
	}
	linux_stack_walk(&dump->kernel, symbols, cpu->regs.rip, cpu->regs.rsp, print_frame, &frame);
	if (!linux_kernel_read(&dump->kernel, cpu->regs.rsp, &word, sizeof(word)))
		return true;
	printf("  its stack could not be read\n");
	return false;
}

/* The vCPU that the log says panicked; else the one that minivmm saw crash. */
static uint32_t choose_cpu(struct linux_dump *dump, const struct metadata *metadata)
{
	struct linux_report report;

	linux_report_make(&report, &dump->kernel);
	if (report.cpu >= 0 && (uint32_t)report.cpu < metadata->nr_cpus)
		return (uint32_t)report.cpu;
	return metadata->has_meta ? metadata->meta.crash_cpu : 0;
}

int dump_command_bt(const struct dump_arguments *args)
{
	const struct metadata *metadata;
	struct linux_symbols *symbols;
	struct linux_dump *dump = NULL;
	struct reader *reader;
	const char *why;
	int code;

	code = open_kernel(args, &reader, &dump);
	if (code)
		return code;
	metadata = &reader->metadata;
	why = linux_symbols_load(&dump->kernel, &symbols);
	if (why) {
		code = say_not_found(reader, why);
	} else {
		uint32_t chosen = choose_cpu(dump, metadata);

		for (uint32_t i = 0; i < metadata->nr_cpus; i++)
			if ((args->all || i == chosen) &&
				!print_cpu(dump, symbols, i, &metadata->cpus[i]) &&
				dump_command_not_found(reader) == EXIT_DUMP)
				code = EXIT_DUMP;
		puts("found by scanning the stack; a frame marked ? does not call a function of the frames "
		     "before it, and may be old");
		linux_symbols_free(symbols);
	}
	linux_dump_close(dump);
	reader_close(reader);
	return code;
}
