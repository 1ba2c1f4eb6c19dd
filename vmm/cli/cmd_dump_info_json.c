/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_dump_info_json.c - "minivmm dump info --json": see docs/dumps.md for the fields. */
#include "vmm/cli/cmd_dump_facts.h"

#include "dump/linux/linux_pages.h"
#include "vmm/base/json.h"

static void put_meta(struct json *json, const struct vmcore_meta *meta)
{
	json_text(json, "guest", meta->guest);
	json_text(json, "name", meta->name);
	json_u64(json, "generation", meta->generation);
	json_text(json, "reason", meta->reason_name);
	json_u64(json, "detail", meta->detail);
	json_u64(json, "crash_cpu", meta->crash_cpu);
	json_u64(json, "nr_cpus", meta->nr_cpus);
	json_u64(json, "wall_ns", meta->wall_ns);
	json_text(json, "strategy", meta->strategy);
	json_text(json, "selector", meta->selector);
	json_text(json, "vmm_version", meta->vmm_version);
	json_u64(json, "chunk_bytes", meta->chunk);
	json_object(json, "panic");
	json_bytes(json, "message", meta->panic_string, meta->panic_string_len);
	json_u64(json, "cpu", meta->panic_cpu);
	json_u64(json, "time_ns", meta->panic_time_ns);
	json_u64(json, "tsc", meta->panic_tsc);
	json_u64(json, "page_table", meta->page_table);
	json_u64(json, "page_desc", meta->page_desc);
	json_u64(json, "nr_page_desc", meta->nr_page_desc);
	json_u64(json, "select", meta->select);
	json_u64(json, "nr_select", meta->nr_select);
	json_end(json);
}

static void put_excluded(struct json *json, const struct vmcore_trailer *trailer)
{
	json_object(json, "excluded_by");
	for (size_t i = 0; i < VMCORE_SELECTORS_MAX; i++)
		if (trailer->selectors >> i & 1)
			json_u64(json, dump_selector_name(i), trailer->excluded[i]);
	json_end(json);
	if (trailer->linux_level) {
		json_object(json, "linux");
		json_u64(json, "level", trailer->linux_level);
		for (size_t i = 0; i < LINUX_REASONS; i++)
			json_u64(json, linux_reason_name(i), trailer->reasons[i]);
		json_end(json);
	}
	json_text(json, "distrust", trailer->distrust);
}

static void put_counts(struct json *json, const struct reader *reader, const struct reader_counts *counts)
{
	json_object(json, "pages");
	json_u64(json, "total", counts->total);
	json_u64(json, "dumped", counts->dumped);
	json_u64(json, "zero", counts->zero);
	json_u64(json, "excluded", counts->excluded);
	json_u64(json, "pending", counts->pending);
	json_u64(json, "missing", counts->missing);
	if (reader->has_trailer)
		put_excluded(json, &reader->trailer);
	json_end(json);
}

static void put_linux(struct json *json, struct reader *reader)
{
	struct linux_report report;

	if (!dump_info_linux(reader, &report))
		return;
	json_object(json, "linux");
	json_text(json, "release", report.release);
	json_u64(json, "offset", report.offset);
	json_u64(json, "uptime_ns", report.uptime_ns);
	json_text(json, "title", report.signature.title);
	json_text(json, "signature", report.signature.text);
	json_text(json, "panic", report.panic);
	json_i64(json, "cpu", report.cpu);
	json_text(json, "trouble", report.trouble);
	json_array(json, "log");
	for (uint32_t i = 0; i < report.nr_lines; i++)
		json_text(json, NULL, report.lines[i]);
	json_end(json);
	json_end(json);
}

static void put_segments(struct json *json, const struct elfcore *core)
{
	json_array(json, "segments");
	for (size_t i = 0; i < core->nr_segments; i++) {
		json_object(json, NULL);
		json_u64(json, "gpa", core->segments[i].gpa);
		json_u64(json, "bytes", core->segments[i].size);
		json_u64(json, "offset", core->segments[i].off);
		json_end(json);
	}
	json_end(json);
}

static void put_cpu(struct json *json, uint32_t nr, const struct core_cpu *cpu)
{
	static const char *const cr_names[] = {"cr0", "cr1", "cr2", "cr3", "cr4"};

	json_object(json, NULL);
	json_u64(json, "cpu", nr);
	for (size_t i = 0; cpu->has_general && i < dump_nr_reg_names; i++)
		json_u64(json, dump_reg_names[i].name, dump_reg(&cpu->regs, i));
	for (size_t i = 0; cpu->has_system && i < ARRAY_LEN(cr_names); i++)
		json_u64(json, cr_names[i], cpu->regs.cr[i]);
	for (size_t i = 0; cpu->has_system && i < dump_nr_segment_names; i++) {
		const struct dump_cpu_segment *segment = dump_segment(&cpu->regs, i);

		json_object(json, dump_segment_names[i].name);
		json_u64(json, "selector", segment->selector);
		json_u64(json, "base", segment->base);
		json_u64(json, "limit", segment->limit);
		json_u64(json, "flags", segment->flags);
		json_end(json);
	}
	json_u64(json, "raw_bytes", cpu->raw_bytes);
	json_end(json);
}

static void put_timeline(struct json *json, const uint64_t moments[DUMP_MOMENT_NR])
{
	json_object(json, "timeline_ns");
	for (int i = 0; i < DUMP_MOMENT_NR; i++) {
		const char *name = dump_moment_name((enum dump_moment)i);

		if (moments[i])
			json_u64(json, name, moments[i]);
		else
			json_null(json, name);
	}
	json_end(json);
}

void dump_info_json(struct reader *reader, const struct dump_file_facts *facts,
	const struct reader_counts *counts, uint64_t damaged)
{
	const struct metadata *metadata = &reader->metadata;
	struct json json = {.out = stdout};

	json_object(&json, NULL);
	json_text(&json, "path", reader->path);
	json_text(&json, "state", dump_state_name(reader, facts->in_use));
	json_text(&json, "format", reader_format_name(reader));
	json_bool(&json, "has_region", reader->has_region);
	json_i64(&json, "error", reader->has_trailer ? reader->trailer.error : 0);
	json_text(&json, "damage", reader->damage);
	json_u64(&json, "bytes", facts->bytes);
	json_u64(&json, "apparent_bytes", facts->apparent);
	if (metadata->has_meta)
		put_meta(&json, &metadata->meta);
	put_linux(&json, reader);
	put_timeline(&json, metadata->moments);
	put_counts(&json, reader, counts);
	json_u64(&json, "damaged_pages", damaged);
	put_segments(&json, &reader->core);
	json_array(&json, "cpus");
	for (uint32_t i = 0; i < metadata->nr_cpus; i++)
		put_cpu(&json, i, &metadata->cpus[i]);
	json_end(&json);
	json_end(&json);
}
