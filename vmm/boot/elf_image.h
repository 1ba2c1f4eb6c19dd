/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/boot/elf_image.h - reads an ELF64 kernel image: which bytes go where, and its PVH entry point.
 *
 * The image is untrusted input (tests/fuzz/fuzz_elf_image.c): every offset, size and count is
 * checked against the file and bounded.  Nothing is loaded here; loader.c does that.
 */
#ifndef VMM_BOOT_ELF_IMAGE_H
#define VMM_BOOT_ELF_IMAGE_H

#include "dump/base/num.h"

#include <stdint.h>

/* our choice: a Linux vmlinux has 5, a unikernel fewer */
#define ELF_IMAGE_SEGMENTS_MAX 32

struct elf_segment {
	uint64_t file_off;  /* bytes */
	uint64_t file_size; /* bytes to copy */
	uint64_t gpa;       /* where to; p_paddr */
	uint64_t mem_size;  /* bytes it occupies; what is over file_size is zero */
};

struct elf_image {
	uint32_t nr_segments;
	uint32_t pvh_entry; /* guest-physical address of the 32-bit entry point */
	struct elf_segment segments[ELF_IMAGE_SEGMENTS_MAX];
};

/*
 * elf_image_read - parse the image open as @fd.
 * Errors: -EINVAL with what is wrong in @why; -errno if reading fails.
 */
int warn_unused elf_image_read(int fd, struct elf_image *ret, char *why, size_t why_size);

#endif /* VMM_BOOT_ELF_IMAGE_H */
