/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/save/salvage_impl.h - shared by dump/save/salvage.c, which decides, dump/save/salvage_files.c, which opens, and
 * dump/save/salvage_copy.c, which moves bytes.  Private to them.
 */
#ifndef DUMP_SAVE_SALVAGE_IMPL_H
#define DUMP_SAVE_SALVAGE_IMPL_H

#include "dump/files/publish.h"
#include "dump/read/reader.h"
#include "dump/save/salvage.h"

struct salvage {
	const struct salvage_request *request;
	char *dir;  /* owned: directory of the files, with its slash; "" = the current one */
	char *name; /* owned: base name */
	struct publish_names names; /* of what is there: plain or LZ4 */
	bool lz4;                   /* they are those of an LZ4 dump */
	int dir_fd;                 /* owned, as the other descriptors; -1 = none */
	int proc_fd;
	int dump_fd;           /* NAME.vmcore.partial, read-write */
	int region_fd;         /* NAME.region.partial, read-write */
	char *region_path;     /* owned: where that is */
	struct reader *reader; /* of both; owned */
	uint64_t moved;        /* bytes */
	uint64_t missing;      /* bytes: as in struct salvage_result */
	char *why;             /* borrowed */
	size_t why_size;
};

/* Writes the sentence, returns @error (-errno); strerror is not added. */
int salvage_fail(struct salvage *salvage, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Directory and base name of the request's path. */
int warn_unused salvage_split_path(struct salvage *salvage);

/* Opens and locks the files of the dump: dump_fd, region_fd, one of them at least. */
int warn_unused salvage_open_files(struct salvage *salvage);

/* A reader of what was opened. */
int warn_unused salvage_open_reader(struct salvage *salvage);

/* The region itself becomes a complete dump, up to its trailer. */
int warn_unused salvage_convert_region(struct salvage *salvage);

/* Says in @fd that every chunk is done. */
int warn_unused salvage_mark_all(struct salvage *salvage, int fd);

/* Every pending chunk moves from the region into the dump; then the dump's state is COMPLETE. */
int warn_unused salvage_finish_dump(struct salvage *salvage);

/* Every chunk of a compressed dump moves back into the region, which then is the whole memory again. */
int warn_unused salvage_unpack(struct salvage *salvage);

/* Everything goes into @fd, an empty file, as a complete dump. */
int warn_unused salvage_copy_all(struct salvage *salvage, int fd);

#endif /* DUMP_SAVE_SALVAGE_IMPL_H */
