/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/linux/signature.h - what a Linux guest died of, in one line, and what tells one such death from another.
 *
 *      title       BUG: kernel NULL pointer dereference in sysrq_handle_crash
 *      signature   BUG: kernel NULL pointer dereference|sysrq_handle_crash|__handle_sysrq|write_sysrq_trigger
 *
 * Made of the log's lines alone, by the rule in docs/analysis.md: nothing in them but the kind and names of functions
 * and files, no address, number, offset or suffix of a compiler.  The lines are hostile: their number and their length are
 * bounded, and so is the work.  Pure.
 */
#ifndef DUMP_LINUX_SIGNATURE_H
#define DUMP_LINUX_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* our choices: a line of dump list; four names of the usual length */
#define SIGNATURE_TITLE_MAX 160
#define SIGNATURE_TEXT_MAX 256
/* our choice: of a line of the log; what identifies it is at its start */
#define SIGNATURE_LINE_MAX 512

struct signature {
	char title[SIGNATURE_TITLE_MAX]; /* "" = the log tells of no crash; printable ASCII */
	char text[SIGNATURE_TEXT_MAX];   /* "" with it */
};

/* Line @index of the log, as printk was given it, without time.  False if it cannot be read: it counts as empty. */
typedef bool signature_line_fn(void *arg, uint64_t index, char line[SIGNATURE_LINE_MAX]);

/* signature_make - of lines 0 to @nr - 1, the oldest first.  Each is asked for a few times at most. */
void signature_make(struct signature *ret, uint64_t nr, signature_line_fn *line, void *arg);

#endif /* DUMP_LINUX_SIGNATURE_H */
