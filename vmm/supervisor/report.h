/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/report.h - the end of a VM, and what follows on it, in words. */
#ifndef VMM_SUPERVISOR_REPORT_H
#define VMM_SUPERVISOR_REPORT_H

#include "vmm/machine/vm.h"
#include "vmm/supervisor/recovery.h"

/* "panic on vCPU 0: <string>", "triple-fault on vCPU 1", "hang": printable, for one line.  @record: may be NULL. */
void report_reason(const struct vm_end *end, const struct dump_record *record, char *buf, size_t size);

/* What the recovery VM waits for; nothing if it does not. */
void report_waiting(const struct recovery *recovery, struct events *events);

/* Why there will be no recovery VM. */
void report_no_recovery(const struct recovery *recovery, const struct config *config);

#endif /* VMM_SUPERVISOR_REPORT_H */
