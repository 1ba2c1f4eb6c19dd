/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/read/linux_dump.h - the Linux kernel in a dump that is open: any file that dump/read/reader.h reads, complete or
 * partial, selective or not, ours or QEMU's.
 */
#ifndef DUMP_READ_LINUX_DUMP_H
#define DUMP_READ_LINUX_DUMP_H

#include "dump/linux/linux_kernel.h"
#include "dump/read/reader.h"

struct linux_dump {
	struct guest_view view; /* reads @reader */
	struct linux_kernel kernel;
};

/*
 * linux_dump_open - the kernel that the dump's note VMCOREINFO tells of; with @search, a dump without the
 * note, or with one of another kernel, is searched for it, page by page, which takes a second or so for each GiB.
 * @reader outlives the result.  Result: NULL and *ret (linux_dump_close); or why there is none (static text).
 */
const char *warn_unused linux_dump_open(struct reader *reader, bool search, struct linux_dump **ret);

void linux_dump_close(struct linux_dump *dump); /* NULL is fine */

#endif /* DUMP_READ_LINUX_DUMP_H */
