/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_dump_info.c - "minivmm dump info" for people; cmd_dump_info_json.c is for programs. */
#include "vmm/cli/cmd_dump_facts.h"

#include "dump/record/choices.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/linux/linux_pages.h"
#include "vmm/base/exit_codes.h"
#include "vmm/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static void field(const char *label, const char *text)
{
	printf("%-18s %s\n", label, text);
}

/* A text of the dump's, which may hold anything. */
static void clean_field(const char *label, const char *text, size_t len)
{
	char clean[FW_PANIC_STRING_MAX + 1];

	dump_clean_text(clean, sizeof(clean), text, len);
	if (clean[0])
		field(label, clean);
}

static void print_time(const char *label, uint64_t ns)
{
	time_t seconds = (time_t)(ns / NSEC_PER_SEC);
	char stamp[64], age[24];
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm))
		return;
	dump_age(clock_wall_ns(), ns, age, sizeof(age));
	printf("%-18s %s.%03u UTC, %s ago\n", label, stamp, (unsigned)(ns / NSEC_PER_MSEC % 1000), age);
}

static void print_file(const struct reader *reader, const struct dump_file_facts *facts)
{
	char bytes[24], apparent[24];

	report_bytes(facts->bytes, bytes, sizeof(bytes));
	report_bytes(facts->apparent, apparent, sizeof(apparent));
	field("file", reader->path);
	printf("%-18s %s, format %s%s\n", "state", dump_state_name(reader, facts->in_use),
		reader_format_name(reader), reader->has_region ? ", with its region" : "");
	if (reader->has_trailer && reader->trailer.error)
		printf("%-18s %s\n", "given up because", strerror(-reader->trailer.error));
	if (reader->damage[0])
		field("damage", reader->damage);
	printf("%-18s %s of %s\n", "size", bytes, apparent);
}

static void print_meta(const struct vmcore_meta *meta)
{
	clean_field("guest", meta->guest, sizeof(meta->guest));
	printf("%-18s %" PRIu32 "\n", "generation", meta->generation);
	print_time("crashed", meta->wall_ns);
	clean_field("reason", meta->reason_name, sizeof(meta->reason_name));
	if (meta->detail)
		printf("%-18s %#" PRIx64 "\n", "detail", meta->detail);
	printf("%-18s %" PRIu32 " of %" PRIu32 "\n", "crashed vCPU", meta->crash_cpu, meta->nr_cpus);
	clean_field("panic message", meta->panic_string, meta->panic_string_len);
	if (meta->panic_time_ns)
		print_time("guest's clock", meta->panic_time_ns);
	if (meta->page_table)
		printf("%-18s %#" PRIx64 "\n", "page tables", meta->page_table);
	if (meta->nr_page_desc)
		printf("%-18s %" PRIu64 " at %#" PRIx64 "\n", "page descriptors", meta->nr_page_desc,
			meta->page_desc);
	if (meta->nr_select)
		printf("%-18s %" PRIu64 " entries at %#" PRIx64 "\n", "selection list", meta->nr_select,
			meta->select);
	clean_field("strategy", meta->strategy, sizeof(meta->strategy));
	clean_field("selector", meta->selector, sizeof(meta->selector));
	clean_field("made by minivmm", meta->vmm_version, sizeof(meta->vmm_version));
}

/* The moment that comes next after (@ns, @index) in time; DUMP_MOMENT_NR when none does. */
static int next_moment(const uint64_t moments[DUMP_MOMENT_NR], uint64_t ns, int index)
{
	int next = DUMP_MOMENT_NR;

	for (int i = 0; i < DUMP_MOMENT_NR; i++)
		if ((moments[i] > ns || (moments[i] == ns && i > index)) &&
			(next == DUMP_MOMENT_NR || moments[i] < moments[next]))
			next = i;
	return next;
}

/* In the order in which they happened.  What claims to be before the crash is left out: it cannot be. */
static void print_timeline(const struct metadata *metadata)
{
	const uint64_t *moments = metadata->moments;
	uint64_t start = moments[DUMP_MOMENT_CRASH];
	int at = DUMP_MOMENT_CRASH;

	if (!start)
		return;
	printf("\ntimeline, ms after the crash\n");
	for (; at < DUMP_MOMENT_NR; at = next_moment(moments, moments[at], at))
		printf("  %10.3f  %s\n", (double)(moments[at] - start) / (double)NSEC_PER_MSEC,
			dump_moment_name((enum dump_moment)at));
}

static void print_count(const char *label, uint64_t pages, uint64_t total)
{
	char bytes[24];

	if (!pages)
		return;
	report_bytes(pages * PAGE_SIZE_4K, bytes, sizeof(bytes));
	printf("  %-20s %12" PRIu64 "  %10s  %5.1f %%\n", label, pages, bytes,
		total ? (double)pages * 100 / (double)total : 0.0);
}

/* Which selector left out how much: one of a later version has no name here. */
static void print_excluded(const struct vmcore_trailer *trailer, uint64_t total)
{
	char label[32];

	for (size_t i = 0; i < VMCORE_SELECTORS_MAX; i++) {
		if (1u << i == DUMP_SELECT_ZERO)
			continue; /* its pages are in the dump, as holes */
		snprintf(label, sizeof(label), "  by %s", dump_selector_name(i));
		print_count(label, u64_min(trailer->excluded[i], total), total);
	}
	for (size_t i = 0; i < LINUX_REASONS; i++) {
		snprintf(label, sizeof(label), "    %s", linux_reason_name(i));
		print_count(label, u64_min(trailer->reasons[i], total), total);
	}
	if (trailer->distrust[0])
		clean_field(trailer->distrusted ? "  all kept because" : "  more kept because",
			trailer->distrust, sizeof(trailer->distrust));
}

static void print_counts(const struct reader *reader, const struct reader_counts *counts)
{
	printf("\npages of 4 KiB\n");
	print_count("all", counts->total, counts->total);
	print_count("in the dump", counts->dumped, counts->total);
	print_count("  of them empty", counts->zero, counts->total);
	if (reader->has_trailer)
		print_count("    by zero",
			u64_min(reader->trailer.excluded[__builtin_ctz(DUMP_SELECT_ZERO)], counts->total),
			counts->total);
	print_count("excluded", counts->excluded, counts->total);
	if (reader->has_trailer)
		print_excluded(&reader->trailer, counts->total);
	print_count("not dumped yet", counts->pending, counts->total);
	print_count("missing", counts->missing, counts->total);
}

static void print_damage(void *arg, uint64_t gpa, uint64_t bytes)
{
	bool *begun = arg;

	if (!*begun)
		printf("\ndamaged, by the checksums in the file\n  %-18s %-18s %12s\n", "guest-physical",
			"end", "KiB");
	*begun = true;
	printf("  %#-18" PRIx64 " %#-18" PRIx64 " %12" PRIu64 "\n", gpa, gpa + bytes, bytes >> 10);
}

static void print_segments(const struct elfcore *core)
{
	printf("\nmemory\n  %-18s %-18s %12s  %s\n", "guest-physical", "end", "KiB", "offset in the image");
	for (size_t i = 0; i < core->nr_segments; i++) {
		const struct core_segment *segment = &core->segments[i];

		printf("  %#-18" PRIx64 " %#-18" PRIx64 " %12" PRIu64 "  %#" PRIx64 "\n", segment->gpa,
			segment->gpa + segment->size, segment->size >> 10, segment->off);
	}
}

/* ---- registers --------------------------------------------------------------------------------------- */

static void print_registers(uint32_t nr, const struct core_cpu *cpu)
{
	printf("\nvCPU %" PRIu32 "\n", nr);
	if (!cpu->has_general) {
		printf("  its registers could not be read\n");
		return;
	}
	for (size_t i = 0; i < dump_nr_reg_names; i++)
		printf("%s%-6s %016" PRIx64 "%s", i % 4 ? "  " : "  ", dump_reg_names[i].name,
			dump_reg(&cpu->regs, i), i % 4 == 3 || i + 1 == dump_nr_reg_names ? "\n" : "");
	if (!cpu->has_system)
		return;
	printf("  cr0 %#" PRIx64 "  cr2 %#" PRIx64 "  cr3 %#" PRIx64 "  cr4 %#" PRIx64 "\n",
		cpu->regs.cr[0], cpu->regs.cr[2], cpu->regs.cr[3], cpu->regs.cr[4]);
	for (size_t i = 0; i < dump_nr_segment_names; i++) {
		const struct dump_cpu_segment *segment = dump_segment(&cpu->regs, i);

		printf("  %-4s %04" PRIx32 "  base %016" PRIx64 "  limit %08" PRIx32 "  flags %06" PRIx32
		       "\n",
			dump_segment_names[i].name, segment->selector, segment->base, segment->limit,
			segment->flags);
	}
}

static void print_cpus(const struct metadata *metadata, bool all)
{
	uint32_t crashed = metadata->has_meta ? metadata->meta.crash_cpu : 0;

	for (uint32_t i = 0; i < metadata->nr_cpus; i++)
		if (all || i == crashed)
			print_registers(i, &metadata->cpus[i]);
	if (!all && metadata->nr_cpus > 1)
		printf("  (%" PRIu32 " more vCPUs: --all)\n", metadata->nr_cpus - 1);
}

/* ---- Linux ------------------------------------------------------------------------------------------- */

static void print_linux(struct reader *reader)
{
	struct linux_report report;

	if (!dump_info_linux(reader, &report))
		return;
	printf("\n");
	field("Linux", report.release);
	if (report.offset)
		printf("%-18s 0x%" PRIx64 "\n", "kernel offset", report.offset);
	if (report.uptime_ns)
		printf("%-18s %.1f s, at the last line of its log\n", "uptime",
			(double)report.uptime_ns / (double)NSEC_PER_SEC);
	if (report.signature.title[0])
		field("title", report.signature.title);
	if (report.panic[0])
		field("kernel panic", report.panic);
	if (report.cpu >= 0)
		printf("%-18s %d\n", "on CPU", (int)report.cpu);
	if (report.trouble[0])
		field("no log", report.trouble);
	if (report.nr_lines)
		printf("\nend of its log\n");
	for (uint32_t i = 0; i < report.nr_lines; i++)
		printf("  %s\n", report.lines[i]);
}

/* @error: of looking for damage. */
static int say_what_lacks(
	const struct reader *reader, const struct reader_counts *counts, uint64_t damaged, int error)
{
	if (counts->missing)
		log_warn("%s: %" PRIu64 " of its pages are missing: they are in no file that is there",
			reader->path, counts->missing);
	if (damaged)
		log_warn("%s: %" PRIu64 " of its pages are damaged: their checksums are wrong",
			reader->path, damaged);
	if (error)
		log_warn("%s: cannot be read to its end: %s", reader->path, strerror(-error));
	return counts->missing || damaged || error ? EXIT_DUMP : EXIT_OK;
}

int dump_command_info(const struct dump_arguments *args)
{
	struct dump_file_facts facts;
	struct reader_counts counts;
	struct reader *reader;
	uint64_t damaged = 0;
	bool begun = false;
	int code, r;

	code = dump_command_open(args->files[0], args->region, &reader);
	if (code)
		return code;
	dump_file_facts(reader, &facts);
	r = reader_count(reader, &counts);
	if (r) {
		log_error("%s: counting its pages: %s", reader->path, strerror(-r));
		reader_close(reader);
		return EXIT_DUMP;
	}
	if (args->json) {
		r = reader_check(reader, NULL, NULL, &damaged);
		dump_info_json(reader, &facts, &counts, damaged);
	} else {
		print_file(reader, &facts);
		if (reader->metadata.has_meta)
			print_meta(&reader->metadata.meta);
		print_linux(reader);
		print_timeline(&reader->metadata);
		print_counts(reader, &counts);
		r = reader_check(reader, print_damage, &begun, &damaged);
		print_segments(&reader->core);
		print_cpus(&reader->metadata, args->all);
	}
	code = say_what_lacks(reader, &counts, damaged, r);
	reader_close(reader);
	return code;
}
