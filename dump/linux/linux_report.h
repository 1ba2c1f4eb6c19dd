/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/linux/linux_report.h - a Linux guest's crash in a few lines: release, uptime, panic message, end of its log.
 *
 * Made from hostile memory, and passed from the dumper to the VMM in the crash record: fixed sizes, every
 * text ends, and none holds anything but printable ASCII.  Locks: none.
 */
#ifndef DUMP_LINUX_LINUX_REPORT_H
#define DUMP_LINUX_LINUX_REPORT_H

#include "dump/linux/signature.h"

#include <stdint.h>

struct linux_kernel;

/* our choices: what a person reads before opening the dump */
#define LINUX_REPORT_LINES 20
#define LINUX_REPORT_LINE_MAX 192
/* our choice: records looked through for the panic message, newest first; a long stack trace is 100 */
#define LINUX_REPORT_RECORDS 2048

struct linux_report {
	uint32_t valid;     /* 1: the fields below mean something */
	uint32_t nr_lines;  /* of @lines, oldest first */
	uint64_t uptime_ns; /* of the last line of its log; 0 = not known */
	int32_t cpu;        /* that the log says panicked; -1 = not known */
	uint32_t pad;
	uint64_t offset;   /* by which the kernel's addresses are above those it was linked for (KASLR) */
	char release[72];  /* "" = not known, as the next two */
	char panic[256];   /* what follows "Kernel panic - not syncing: " in its last such line */
	char trouble[128]; /* why there is no log */
	struct signature signature;
	char lines[LINUX_REPORT_LINES][LINUX_REPORT_LINE_MAX];
};

void linux_report_make(struct linux_report *report, struct linux_kernel *kernel);

/* Makes one that comes from another process obey the rules above. */
void linux_report_clean(struct linux_report *report);

#endif /* DUMP_LINUX_LINUX_REPORT_H */
