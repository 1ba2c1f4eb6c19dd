/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/save/kdump.h - writes a dump as a kdump file ("diskdump", version 6) with zlib pages: the one compressed
 * format that crash, makedumpfile, drgn and libkdumpfile all read.
 *
 *      block 0        header: signature, sizes, number of CPUs
 *      blocks 1 ..    sub header; the notes of the vmcore, unchanged; VMCOREINFO is one of them
 *      bitmap 1       a bit for each page frame that is memory
 *      bitmap 2       a bit for each one that is in the file, pages of zeros too
 *      descriptors    24 bytes for each bit of bitmap 2: offset, size, flags
 *      data           a page of zeros that all of them share, then the others, as zlib streams or as they are
 *
 * The format is described by makedumpfile's IMPLEMENTATION file and in its diskdump_mod.h.
 * Locks: none; the file's writer alone.
 */
#ifndef DUMP_SAVE_KDUMP_H
#define DUMP_SAVE_KDUMP_H

#include "dump/read/reader.h"

struct kdump_progress {
	void (*tell)(void *arg, uint64_t done, uint64_t total); /* pages; NULL = nobody wants to know */
	void *arg;
};

/* Why @reader cannot be saved so (static text), or NULL. */
const char *kdump_check(struct reader *reader);

/*
 * kdump_write - @reader, a complete or foreign dump, into the empty file @fd.
 * Memory that the file has no bytes for (p_memsz beyond p_filesz) is not in it.
 * Errors: -EFBIG for memory beyond 16 TiB; -ENOSPC before anything is written if its tables alone do not fit;
 * -ENOMEM; -errno.
 */
int warn_unused kdump_write(struct reader *reader, int fd, const struct kdump_progress *progress);

/*
 * kdump_compare - whether @fd is, byte for byte, what kdump_write() would make of @reader.
 * Errors: -EBADMSG if it is not; -errno.
 */
int warn_unused kdump_compare(struct reader *reader, int fd, const struct kdump_progress *progress);

#endif /* DUMP_SAVE_KDUMP_H */
