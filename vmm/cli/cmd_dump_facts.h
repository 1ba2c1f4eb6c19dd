/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/cli/cmd_dump_facts.h - what both writers of "minivmm dump info" use.  Private to vmm/cli/cmd_dump*.c.
 */
#ifndef VMM_CLI_CMD_DUMP_FACTS_H
#define VMM_CLI_CMD_DUMP_FACTS_H

#include "dump/linux/linux_report.h"
#include "vmm/cli/cmd_dump.h"

#include <string.h>

/* What the file system says of the files of an open dump. */
struct dump_file_facts {
	uint64_t bytes;    /* of memory or disk behind dump and region */
	uint64_t apparent; /* size of the dump's file */
	bool in_use;       /* somebody works on it */
};
void dump_file_facts(const struct reader *reader, struct dump_file_facts *ret);

/* cmd_dump_info_json.c */
void dump_info_json(struct reader *reader, const struct dump_file_facts *facts,
	const struct reader_counts *counts, uint64_t damaged);

/* What the Linux kernel in the dump tells; false if there is none.  Texts are printable. */
bool dump_info_linux(struct reader *reader, struct linux_report *ret);

/* As in the table of selectors; "unknown" for one of a later version. */
const char *dump_selector_name(size_t index);

/* Registers by name, in the order in which they are shown. */
struct dump_reg_name {
	const char *name;
	size_t offset; /* in struct core_regs */
};
extern const struct dump_reg_name dump_reg_names[]; /* of 64 bits */
extern const size_t dump_nr_reg_names;
extern const struct dump_reg_name dump_segment_names[];
extern const size_t dump_nr_segment_names;

static inline uint64_t dump_reg(const struct core_regs *regs, size_t index)
{
	uint64_t value;

	memcpy(&value, (const char *)regs + dump_reg_names[index].offset, sizeof(value));
	return value;
}

static inline const struct dump_cpu_segment *dump_segment(const struct core_regs *regs, size_t index)
{
	return (const void *)((const char *)regs + dump_segment_names[index].offset);
}

#endif /* VMM_CLI_CMD_DUMP_FACTS_H */
