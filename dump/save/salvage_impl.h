/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/save/salvage_impl.h - shared by the files of salvage, and private to them:
 *
 *      salvage.c          which way to go, the name of the result
 *      salvage_final.c    what has the final name already
 *      salvage_files.c    opens and locks the files
 *      salvage_move.c     in place: memory moves between region and dump
 *      salvage_copy.c     by copy: everything into a new file
 *      salvage_tables.c   bitmap, progress table, trailer
 */
#ifndef DUMP_SAVE_SALVAGE_IMPL_H
#define DUMP_SAVE_SALVAGE_IMPL_H

#include "dump/files/commit.h"
#include "dump/files/publish.h"
#include "dump/read/reader.h"
#include "dump/save/salvage.h"

#include <errno.h>
#include <sys/stat.h>

/* our choice: what one system call moves */
#define SALVAGE_PIECE_BYTES MIB(2)

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
	uint64_t *
		selected; /* owned: page bitmap; all set where there was none.  NULL before salvage_load_bitmap */
	bool selected_changed; /* since it was written last */
	uint64_t moved;        /* bytes */
	uint64_t missing;      /* bytes: as in struct salvage_result */
	uint64_t unreadable;   /* bytes: likewise */
	char *output; /* owned: the name that the result got if not that of the request; else NULL */
	char *why;    /* borrowed */
	size_t why_size;
};

/* Writes the sentence, returns @error (-errno); strerror is not added. */
int salvage_fail(struct salvage *salvage, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Of a write of @what: says what to do about a full file system. */
int salvage_fail_write(struct salvage *salvage, int error, const char *what);

static inline bool salvage_is_file(const struct stat *st, int fd)
{
	struct stat own;

	return fd >= 0 && !fstat(fd, &own) && own.st_dev == st->st_dev && own.st_ino == st->st_ino;
}

/* An error of memory or of a disk that concerns the one page that was read, not those beside it. */
static inline bool salvage_is_bad_page(int error)
{
	return error == -EIO || error == -EFAULT || error == -EHWPOISON;
}

/* ---- the files */

/* Directory and base name of the request's path. */
int warn_unused salvage_split_path(struct salvage *salvage);

/* Opens and locks the files of the dump: dump_fd, region_fd, one of them at least. */
int warn_unused salvage_open_files(struct salvage *salvage);

/* A reader of what was opened. */
int warn_unused salvage_open_reader(struct salvage *salvage);

/* A reader of an open file, nothing beside it; NULL if it is no dump. */
struct reader *salvage_read_alone(int fd);

/* True if both are trailers of files of one crash: by their ids, or, if they are too old to have one, by name and layout. */
bool salvage_is_same_crash(const struct vmcore_trailer *a, const struct vmcore_trailer *b);

/* ---- names */

/*
 * salvage_commit - @fd gets its name (dump/files/commit.h), then the .partial files go if @remove says so.
 * @seal: as in struct commit, with the salvage as its argument.  @is_copy: likewise.
 */
int warn_unused salvage_commit(struct salvage *salvage, int fd, int dir_fd, const char *name,
	int (*seal)(void *salvage), bool is_copy, bool remove);

/*
 * salvage_settle - looks at the final names.  1: one of them is this dump, complete and safe: names.final, and
 * what it replaced is gone.  0: none of them is in the way any more.  -EEXIST: another dump has it; else -errno.
 */
int warn_unused salvage_settle(struct salvage *salvage);

/* ---- the tables */

/* The page bitmap, into memory. */
int warn_unused salvage_load_bitmap(struct salvage *salvage);
int warn_unused salvage_write_bitmap(struct salvage *salvage, int fd);

/* A page that nobody can read is not selected, from here on.  @lost: the dump had it once. */
void salvage_leave_out(struct salvage *salvage, uint64_t page, bool lost);

/* Marks chunks [@first, @end) with VMCORE_CHUNK_*. */
int warn_unused salvage_mark_chunks(
	struct salvage *salvage, int fd, uint64_t first, uint64_t end, uint8_t mark);

/* The dump's bitmap counts from here on: before, a selector may have been at work. */
int warn_unused salvage_settle_bitmap(struct salvage *salvage);

/* Says in the region that it alone is not all there is, as the engine does too before it releases. */
int warn_unused salvage_mark_region(struct salvage *salvage);

/* Says in the dump that its marks are to be believed. */
int warn_unused salvage_mark_durable(struct salvage *salvage);

/* The trailer of the result, in one piece: before it, the file is what it was; after it, it is complete, or says what is missing. */
int warn_unused salvage_write_trailer(struct salvage *salvage, int fd);

/* All tables of a file that is now a complete dump: for salvage_commit(). */
int salvage_seal_dump(void *salvage);
int salvage_seal_region(void *salvage);

/* ---- memory */

/* Fails if selected pages are in none of the files any more: nothing whole comes of it. */
int warn_unused salvage_check_missing(struct salvage *salvage);

/* The region itself becomes a complete dump, up to its seal. */
int warn_unused salvage_convert_region(struct salvage *salvage);

/* Every pending chunk moves from the region into the dump. */
int warn_unused salvage_finish_dump(struct salvage *salvage);

/* Every chunk of a compressed dump moves back into the region, which then is the whole memory again. */
int warn_unused salvage_unpack(struct salvage *salvage);

/* Every byte of the dump's file is written anew: what a disk lost in silence is there again. */
int warn_unused salvage_rewrite(struct salvage *salvage);

/* Writes the pages of @buf, which is @len bytes at @off of the image, that hold something and are selected. */
int warn_unused salvage_write_pages(
	struct salvage *salvage, int fd, const unsigned char *buf, uint64_t off, uint64_t len);

/* Everything goes into @fd, an empty file, as a complete dump or one that says what is missing. */
int warn_unused salvage_copy_all(struct salvage *salvage, int fd);

#endif /* DUMP_SAVE_SALVAGE_IMPL_H */
