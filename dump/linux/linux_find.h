/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/linux/linux_find.h - VMCOREINFO by the kernel's own pointer to it.
 *
 * The kernel's image has a variable with the note's address in the direct map (kernel/crash_core.c, later
 * kernel/vmcore_info.c: vmcoreinfo_note).  Nobody tells where, but an image is some tens of MiB, however much
 * memory the guest has: so this is how to be sure that there is no VMCOREINFO.  Where it usually is,
 * vmcoreinfo_scan() is quicker.
 *
 * Hostile: tables, image and pointers.  What is looked at, and how many pointers are followed, is bounded.
 */
#ifndef DUMP_LINUX_LINUX_FIND_H
#define DUMP_LINUX_LINUX_FIND_H

#include "dump/linux/vmcoreinfo.h"

/*
 * linux_find_info - look in the kernel image that the page tables of a vCPU (@cr3, @cr4) map.
 * Result: 1 and *ret, of a kernel that is there (linux_kernel_init); 0: there is an image, but no such
 * pointer in it; -ENOENT: nothing is mapped where Linux has its image; -ENOMEM.
 */
int warn_unused linux_find_info(
	const struct guest_view *view, uint64_t cr3, uint64_t cr4, struct vmcoreinfo *ret);

#endif /* DUMP_LINUX_LINUX_FIND_H */
