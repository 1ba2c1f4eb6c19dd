/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_linux_log.c - intent: no VMCOREINFO, page table, log, symbol table or stack of a Linux guest makes
 * the tools read outside what they may, print what is no text, or work for long.
 *
 * Input: as tests/fuzz/linux_guest.h; the first byte's top bit: symbols and stack too.
 */
#include "tests/fuzz/guest.h"
#include "tests/fuzz/linux_guest.h"

#include "dump/linux/linux_log.h"
#include "dump/linux/linux_report.h"
#include "dump/linux/linux_stack.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_log(struct linux_kernel *kernel)
{
	static struct linux_log_record record;
	static struct linux_report report;
	struct linux_log log;
	char line[256];

	linux_report_make(&report, kernel);
	must(report.nr_lines <= LINUX_REPORT_LINES, "a bounded report");
	must(strlen(report.signature.title) < SIGNATURE_TITLE_MAX &&
			strlen(report.signature.text) < SIGNATURE_TEXT_MAX,
		"a title that ends");
	for (uint32_t i = 0; i < report.nr_lines; i++)
		for (const char *c = report.lines[i]; *c; c++)
			must(*c >= ' ' && *c <= '~', "a printable report");
	if (linux_log_open(&log, kernel))
		return;
	log.callers = true;
	must(log.end - log.first <= 1ull << LINUX_LOG_COUNT_BITS_MAX, "a bounded log");
	for (uint64_t id = log.first; id < log.end && id < log.first + 64; id++)
		if (linux_log_read(&log, id, &record))
			must(linux_log_format(&record, line, sizeof(line)) < sizeof(line),
				"a line that ends");
}

static void count_frame(void *arg, const struct linux_frame *frame)
{
	must(!frame->named || strlen(frame->symbol.name) < LINUX_SYMBOL_NAME_MAX, "a name that ends");
	(*(unsigned *)arg)++;
}

static void check_symbols(struct linux_kernel *kernel)
{
	struct linux_symbols *symbols;
	unsigned nr = 0;

	if (linux_symbols_load(kernel, &symbols))
		return;
	must(linux_stack_walk(kernel, symbols, MINI_IMAGE + 0x180, MINI_STACK, count_frame, &nr) == nr,
		"frames");
	must(nr <= LINUX_STACK_BYTES / 8 + 1, "no more frames than words");
	linux_symbols_free(symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct linux_kernel *kernel;
	struct linux_guest *guest;
	uint8_t choice;

	fuzz_take(&data, &size, &choice, 1);
	guest = linux_guest_init(choice & 0x7f, data, size);
	kernel = linux_guest_kernel(guest);
	if (kernel) {
		check_log(kernel);
		if (choice & 0x80)
			check_symbols(kernel);
	}
	linux_guest_done(guest);
	return 0;
}
