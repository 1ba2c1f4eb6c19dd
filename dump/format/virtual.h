/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/format/virtual.h - program headers with the virtual addresses of a Linux kernel, for tools that walk no page
 * tables (gdb): one for each run of kernel-virtual memory that is one run of the file, the kernel's image (and its
 * modules) first, then upwards, and the direct map last: makedumpfile takes the last header below the image for it.
 *
 * The page tables are hostile: how much of them is read, and how many runs they make, is bounded, and what
 * is beyond that is left out.  Locks: none.
 */
#ifndef DUMP_FORMAT_VIRTUAL_H
#define DUMP_FORMAT_VIRTUAL_H

#include "dump/format/elfcore.h"
#include "dump/linux/linux_kernel.h"

#include <elf.h>

/*
 * virtual_headers - fill @phdrs, room for @max, looking at no more than @steps entries of page tables.
 * @modules: those too; libkdumpfile takes them for part of the image, and then reads them at wrong places.
 * @core: where in the file each guest-physical address is; its notes are not looked at.
 * Result: how many were made.  20 KiB of stack.
 */
size_t virtual_headers(const struct linux_kernel *kernel, const struct elfcore *core, bool modules,
	uint64_t steps, Elf64_Phdr *phdrs, size_t max);

#endif /* DUMP_FORMAT_VIRTUAL_H */
