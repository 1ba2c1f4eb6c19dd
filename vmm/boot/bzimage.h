/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/boot/bzimage.h - reads the header of a Linux bzImage: what goes where for the 64-bit entry.
 *
 * The image is untrusted input (tests/fuzz/fuzz_bzimage.c): every size and address is checked against the
 * file and bounded.  Nothing is loaded here; loader_linux.c does that.
 *
 * Source: Documentation/arch/x86/boot.rst of Linux, boot protocol 2.12 and later.
 */
#ifndef VMM_BOOT_BZIMAGE_H
#define VMM_BOOT_BZIMAGE_H

#include "dump/base/num.h"

#include <stdint.h>

/* boot.rst: the setup header begins here, in the file and in the zero page */
#define BZIMAGE_HEADER 0x1f1u
/* zero-page.rst: the next field behind the header's room in the zero page (edd_mbr_sig_buffer) */
#define BZIMAGE_HEADER_END 0x290u

struct bzimage {
	uint64_t file_off;     /* bytes: where the kernel proper begins in the file */
	uint64_t file_size;    /* bytes of it, not 0 */
	uint64_t init_size;    /* bytes of memory from the load address on that it needs; >= file_size */
	uint64_t pref_address; /* guest-physical: where it likes to be loaded; multiple of alignment */
	uint64_t alignment;    /* bytes, a power of two, 4 KiB to 1 GiB */
	bool relocatable;      /* any multiple of alignment will do */
	uint64_t initrd_max;   /* guest-physical: the highest address that an initrd may occupy */
	uint32_t cmdline_max;  /* bytes of command line it takes, without the NUL */
	uint32_t header_len;   /* bytes of header[] that the file defines */
	uint8_t header[BZIMAGE_HEADER_END - BZIMAGE_HEADER]; /* as in the file; zeros behind header_len */
};

/* True if @start, @len bytes from the beginning of a file, look like a bzImage rather than anything else. */
bool bzimage_probe(const uint8_t *start, size_t len);

/*
 * bzimage_read - parse the image open as @fd.
 * Errors: -EINVAL with what is wrong in @why; -errno if reading fails.  *ret is unchanged then.
 */
int warn_unused bzimage_read(int fd, struct bzimage *ret, char *why, size_t why_size);

#endif /* VMM_BOOT_BZIMAGE_H */
