/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/kdump_impl.h - a kdump file while it is written, or compared.  Private to dump/save/kdump*.c. */
#ifndef DUMP_SAVE_KDUMP_IMPL_H
#define DUMP_SAVE_KDUMP_IMPL_H

#include "dump/save/kdump.h"

#include <zlib.h>

/* diskdump_mod.h: the unit of the file */
#define KDUMP_BLOCK PAGE_SIZE_4K

struct kdump_page_desc {
	uint64_t off;
	uint32_t bytes, flags;
	uint64_t page_flags;
};
VMCORE_SIZE_ASSERT(kdump_page_desc, 24);

struct kdump_writer {
	struct reader *reader;
	int fd;
	z_stream zlib;
	uint64_t *selected; /* owned: page bitmap of the dump; NULL = it has none */
	uint64_t *memory, *kept;
	uint64_t frames;        /* highest one that is memory, + 1 */
	uint64_t bitmap_blocks; /* of one bitmap */
	uint64_t nr_memory, nr_kept;
	uint64_t descs_off, zero_off;
	struct kdump_page_desc *descs; /* owned: DESCS of them, not written yet */
	size_t nr_descs;
	unsigned char *out; /* owned: OUT_BYTES and a page, not written yet */
	size_t out_bytes;
	uint64_t out_off; /* of @out in the file */
	unsigned char
		*there; /* borrowed: OUT_BYTES of what the file has; NULL = it is written, not compared */
};

/*
 * kdump_select - which pages go into the file: frames, bitmap_blocks, selected, memory, kept and their numbers.
 * Errors: as kdump_write().
 */
int warn_unused kdump_select(struct kdump_writer *w);

#endif /* DUMP_SAVE_KDUMP_IMPL_H */
