/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/save/drain.h - brings a finished dump from memory to a disk, and only then gives up the memory.
 *
 *      DRAIN_SOURCE    it is whole; from here on it is in use, and nobody removes or changes it
 *      DRAIN_COPY      a file without a name gets what it holds, in pieces, each at the pace of @pacer
 *      DRAIN_DURABLE   that is on the disk
 *      DRAIN_VERIFY    it is read back from the disk, past the cache, and compared with the source
 *      DRAIN_NAME      it has its name, and the name is on the disk
 *      DRAIN_REMOVAL   unless it is to be kept, the source goes, if its name still means the file that was copied
 *
 * Whatever is killed and whatever call fails, the dump is whole in one of the two places, and no file has a dump's name
 * that is not whole.  A disk that has failed to take something is not asked a second time whether it has it: the copy
 * is given up.  A copy that is there already under the name, and is the same, is one that an earlier drain made before
 * it was killed: it is brought to the disk, compared, and counts.
 *
 * Not more than a piece is ever on its way to the disk, by O_DIRECT or, where that does not fit, sync_file_range():
 * no pile of dirty pages keeps others from it.
 *
 * Locks: none; publish_lock_read() on the source.
 */
#ifndef DUMP_SAVE_DRAIN_H
#define DUMP_SAVE_DRAIN_H

#include "dump/base/pacer.h"
#include "dump/save/save.h"

enum drain_step {
	DRAIN_SOURCE,
	DRAIN_COPY,
	DRAIN_DURABLE,
	DRAIN_VERIFY,
	DRAIN_NAME,
	DRAIN_REMOVAL,
	DRAIN_DONE
};

/* "copy", "verify", ... */
const char *drain_step_name(enum drain_step step);

/* All of it is borrowed. */
struct drain {
	struct reader *reader;            /* the source: a complete dump, or another program's core file */
	const struct save_format *format; /* one that can be compared */
	int dir_fd;                       /* where the copy goes; not O_PATH */
	const char *name;                 /* its name there */
	int proc_fd;                      /* publish_proc_open() */
	bool keep;                        /* the source stays */
	int source_dir_fd;                /* unless @keep: where the source is, */
	const char *source_name;          /* and under which name */
	struct pacer *pacer;              /* NULL: as fast as it goes */
	/* Told after each piece.  NULL: nobody wants to know. */
	void (*tell)(void *arg, enum drain_step step, uint64_t done, uint64_t total);
	void *arg;
};

/*
 * drain_run - as above.
 * Result: 0, and *ret_step is DRAIN_DONE.
 * Errors: *ret_step is the step that failed, @why tells in words.  -EBUSY: somebody works on the source; -EINVAL: it is not
 * whole; -EOPNOTSUPP: the format is not for it, or cannot be compared; -EEXIST: the name is another file's; -EBADMSG:
 * what the disk gave back is not what was written; else -errno.  In DRAIN_REMOVAL the copy is whole and safe all the same.
 */
int warn_unused drain_run(const struct drain *drain, enum drain_step *ret_step, char *why, size_t why_size);

/* How much the memory behind a dump is wanted: in per cent, by how full the file system is that it lies on. */
unsigned drain_urgency(uint64_t free_bytes, uint64_t total_bytes);

#endif /* DUMP_SAVE_DRAIN_H */
