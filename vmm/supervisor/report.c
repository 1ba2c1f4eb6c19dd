/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/report.c - see report.h */
#include "vmm/supervisor/report.h"

#include "dump/base/io.h"
#include "dump/base/log.h"

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

void report_waiting(const struct recovery *recovery, struct events *events)
{
	static const struct {
		const char *line, *event;
	} words[GUEST_STATES] = {
		[GUEST_WAITS_DUMP] = {"the dump (recovery.concurrent = no)", "dump"},
		[GUEST_WAITS_MEMORY] = {"memory that a dump under way holds", "memory"},
		[GUEST_WAITS_STANDBY] = {"its VM, which is being made", "standby"},
	};
	uint64_t now = clock_mono_ns();

	if (recovery->state == GUEST_WAITS_BACKOFF)
		log_info("recovery in %" PRIu64 " ms (recovery.backoff)",
			(recovery->due_ns - u64_min(now, recovery->due_ns)) / NSEC_PER_MSEC);
	if (!words[recovery->state].line)
		return;
	log_info("recovery waits for %s", words[recovery->state].line);
	EVENT(events, "recovery-waits", recovery->next_generation,
		EV_STR("for", words[recovery->state].event));
}

void report_no_recovery(const struct recovery *recovery, const struct config *config)
{
	if (!config->recovery.enabled)
		log_info("no recovery: recovery.enabled = no");
	else if (!recovery->stopping)
		log_error("no recovery: %" PRIu64 " in a row already (recovery.max)",
			recovery->loop.recoveries);
}
