/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/report.h - the end of a VM in words. */
#ifndef VMM_SUPERVISOR_REPORT_H
#define VMM_SUPERVISOR_REPORT_H

#include "vmm/machine/vm.h"

/* "panic on vCPU 0: <string>", "triple-fault on vCPU 1", "hang": printable, for one line.  @record: may be NULL. */
void report_reason(const struct vm_end *end, const struct dump_record *record, char *buf, size_t size);

#endif /* VMM_SUPERVISOR_REPORT_H */
