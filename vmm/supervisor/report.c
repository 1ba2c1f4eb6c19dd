/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/report.c - see report.h */
#include "vmm/supervisor/report.h"

#include <inttypes.h>
#include <stdio.h>

void report_reason(const struct vm_end *end, const struct dump_record *record, char *buf, size_t size)
{
	const char *name = dump_reason_name(end->reason);
	size_t len = 0, string_len = 0;

	if (end->reason == DUMP_REASON_HANG || end->reason == DUMP_REASON_OPERATOR)
		len = (size_t)snprintf(buf, size, "%s", name);
	else
		len = (size_t)snprintf(buf, size, "%s on vCPU %u", name, end->cpu);
	if (end->detail && len < size)
		len += (size_t)snprintf(buf + len, size - len, " (code 0x%" PRIx64 ")", end->detail);
	if (record)
		string_len = u64_min(record->panic_string_len, FW_PANIC_STRING_MAX);
	if (!string_len || len + 3 >= size)
		return;
	buf[len++] = ':';
	buf[len++] = ' ';
	for (size_t i = 0; i < string_len && len + 1 < size; i++) {
		char c = record->panic_string[i];

		if (!c)
			break;
		buf[len++] = c >= ' ' && c <= '~' ? c : ' ';
	}
	buf[len] = '\0';
}
