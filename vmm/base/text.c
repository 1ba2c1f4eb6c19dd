/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/base/text.c - see text.h */
#include "vmm/base/text.h"

#include "dump/base/num.h"

#include <inttypes.h>
#include <stdio.h>

void report_bytes(uint64_t bytes, char *buf, size_t size)
{
	if (bytes >= GIB(10))
		snprintf(buf, size, "%.1f GiB", (double)bytes / (double)GIB(1));
	else if (bytes >= MIB(1))
		snprintf(buf, size, "%" PRIu64 " MiB", bytes >> 20);
	else
		snprintf(buf, size, "%" PRIu64 " KiB", bytes >> 10);
}
