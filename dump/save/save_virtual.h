/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/save/save_virtual.h - copies a dump of a Linux guest as an ELF file whose program headers have the kernel's
 * virtual addresses too, for tools that walk no page tables: gdb.
 *
 *      as in the dump     ELF header, notes, memory, whatever follows
 *      appended           program headers: the notes; a PT_LOAD for each run of kernel-virtual memory, as
 *                         dump/format/virtual.h makes them; those of the dump itself
 *
 * The page tables are hostile: how much of them is read, and how many runs they make, is bounded, and what
 * is beyond that is left out.  Locks: none.
 */
#ifndef DUMP_SAVE_SAVE_VIRTUAL_H
#define DUMP_SAVE_SAVE_VIRTUAL_H

#include "dump/read/reader.h"

/* Why @reader cannot be saved so (static text), or NULL. */
const char *save_virtual_check(struct reader *reader);

/*
 * save_virtual_add - append the program headers to @fd, which holds @reader's image.
 * Errors: -EINVAL: save_virtual_check() would tell why; -ENOMEM; -errno.
 */
int warn_unused save_virtual_add(struct reader *reader, int fd);

#endif /* DUMP_SAVE_SAVE_VIRTUAL_H */
