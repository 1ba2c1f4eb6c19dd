/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/base/text.h - numbers as people read them. */
#ifndef VMM_BASE_TEXT_H
#define VMM_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* "512 MiB", "13.2 GiB", "4 KiB": at most 24 bytes with the NUL. */
void report_bytes(uint64_t bytes, char *buf, size_t size);

#endif /* VMM_BASE_TEXT_H */
