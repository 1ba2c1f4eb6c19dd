/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/boot_fixture.h - guest memory that a kernel is loaded into, and a look at what lies there.  Every
 * helper ends the test when the host refuses.
 */
#ifndef TESTS_UNIT_BOOT_FIXTURE_H
#define TESTS_UNIT_BOOT_FIXTURE_H

#include "vmm/memory/gmem.h"
#include "vmm/boot/loader.h"

/* Makes *region, which is destroyed first, @ram bytes of empty RAM; its fd is -1 before the first time. */
void boot_region(struct region *region, uint64_t ram);

/* loader_load() of the kernel in @fd by a path that begins with "/proc/self/fd/". */
int boot_load(struct region *region, int fd, const char *initrd, const char *cmdline,
	struct boot_entry *ret, char *why, size_t why_size);

/* The little-endian number of @len bytes, 8 at most, at @gpa. */
uint64_t boot_number(const struct region *region, gpa_t gpa, size_t len);

#endif /* TESTS_UNIT_BOOT_FIXTURE_H */
