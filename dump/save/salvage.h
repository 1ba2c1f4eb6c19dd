/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/save/salvage.h - what a killed dumper left behind becomes a whole dump.
 *
 *      what is there                   in place                                     by copy
 *      region alone, nothing released  its tail is filled in: it is the dump        everything read, written
 *      region and dump                 pending chunks move, in the engine's order   into a new file
 *      region alone, some released     refused                                      likewise, and it says so
 *      dump alone, some not dumped     refused                                      likewise, and it says so
 *      region and LZ4 dump             chunks go back into the region, which       likewise, uncompressed
 *                                      becomes the dump, uncompressed
 *      dump in state complete          it gets its final name
 *      final name and .partial names   the .partial names go
 *
 * In place needs no memory but a chunk's: each chunk is copied, on a disk synced, marked, and punched out of the region.
 * A kill at any moment leaves what can be salvaged again.  By copy leaves the .partial files as they are until
 * the new dump has its name, and needs room for all of it.
 *
 * No name is believed: a file is the complete dump if its trailer says so and it belongs to the files beside it.  Nor is
 * a disk: of a dump whose marks are not known to be durable (VMCORE_FLAG_DURABLE) every byte is written anew.
 * Names and removals are commit()'s (dump/files/commit.h).
 *
 * Locks: none.  Who is at work on the files holds publish_lock; somebody else's is respected.
 */
#ifndef DUMP_SAVE_SALVAGE_H
#define DUMP_SAVE_SALVAGE_H

#include "dump/base/num.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct salvage_request {
	const char *path;        /* a .vmcore.partial or .region.partial */
	const char *region_path; /* the region when it lies elsewhere than the dump; else NULL */
	const char *
		output; /* by copy, to this name; NULL = NAME.vmcore beside @path.  If something is missing and
				    it is the name of a complete dump, ".partial" is added */
	bool keep;      /* by copy, and the .partial files stay */
};

struct salvage_result {
	char *path;     /* of the dump; the caller frees it */
	uint64_t moved; /* bytes of guest memory written into it now */
	/*
	 * 0 = it is whole.  Else at most so many bytes are missing, for ever: a region had lost its dump, or the other way
	 * round, or the disk gives some pages of the dump no more.  It says so itself, has no name of a complete
	 * dump (@path), and the files it was made of stay.  Only by copy with @output.
	 */
	uint64_t missing;
	/*
	 * Bytes of selected pages that the host's memory could not give any more (EIO, EFAULT, EHWPOISON): the dump is
	 * complete without them, they count as excluded.
	 */
	uint64_t unreadable;
	bool in_place;
};

/*
 * dump_salvage - as above.
 * Errors, each with a sentence in @why: -EBUSY: somebody works on it; -EINVAL: no partial dump of
 * minivmm's; -ENODATA: memory that was not dumped is gone; -EEXIST: another file has the name of the
 * result; else -errno, -ENOSPC among them.
 */
int warn_unused dump_salvage(
	const struct salvage_request *request, struct salvage_result *ret, char *why, size_t why_size);

#endif /* DUMP_SAVE_SALVAGE_H */
