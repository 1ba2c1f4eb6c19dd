/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/read/reader.h - reads a crash dump: complete, partial, or another program's; the one module for all.
 *
 *      reader.h     guest-physical address -> bytes, page states, companion files
 *      metadata.h   notes -> what happened, registers, timeline
 *      elfcore.h    ELF headers -> segments and notes
 *      image.h      file -> bytes of the ELF image (plain, compressed)
 *
 * A partial dump is two files (docs/vmcore.md, "Names, and partial dumps"): pages of chunks that are done
 * come from the dump, the others from the region.  That stays right while a dumper works on them.
 *
 * The files are hostile.  They are read with pread and never mapped; no number in them is used before
 * it was checked.  Locks: none; a reader belongs to one thread at a time.
 */
#ifndef DUMP_READ_READER_H
#define DUMP_READ_READER_H

#include "dump/format/metadata.h"

#include <stddef.h>
#include <stdint.h>

enum reader_kind {
	READER_FOREIGN,  /* a core file without minivmm's trailer */
	READER_COMPLETE, /* a dump of minivmm's, and it is whole */
	READER_PARTIAL,  /* a dump that is not (yet) whole, with or without its region */
	READER_REGION,   /* a crashed VM's memory alone: no dump had been begun */
	READER_KINDS
};
/* "foreign", "complete", "partial", "region" */
const char *reader_kind_name(enum reader_kind kind);

enum reader_page {
	READER_PAGE_DUMPED,   /* its bytes are in the dump */
	READER_PAGE_EXCLUDED, /* not selected: reads as zeros, or as what the region still has */
	READER_PAGE_PENDING,  /* not dumped yet: its bytes are in the region */
	READER_PAGE_MISSING,  /* not dumped, and the region or the end of the file is gone */
	READER_PAGE_OUTSIDE,  /* no such memory */
};

struct reader_counts {  /* pages of 4 KiB */
	uint64_t total; /* the sum of all below but @zero */
	uint64_t dumped;
	uint64_t zero; /* of @dumped: nothing but zeros there, and no memory behind them; 0 if unknown */
	uint64_t excluded;
	uint64_t pending;
	uint64_t missing;
};

struct reader {
	/* For everybody to read; none of it changes once the reader is open. */
	char *path; /* owned: of the file that is read; NULL if it was opened by descriptor */
	enum reader_kind kind;
	bool has_region;  /* the region of a partial dump is there */
	bool compressed;  /* a partial dump whose tables are in its region: what is done is in @packed */
	bool has_trailer; /* @trailer is there and consistent */
	char damage[128]; /* what was found wrong and worked around; "" = nothing */
	struct elfcore core;
	struct metadata metadata;
	/* a copy; segments, places and sizes agree with each other and with the file */
	struct vmcore_trailer trailer;

	/* The reader's own. */
	struct image image;
	struct image region;    /* the companion; fd -1 = none */
	struct image packed;    /* if compressed: the LZ4 file, while @image is the region; fd -1 = none */
	unsigned char *scratch; /* owned: READER_SCRATCH bytes of tables on their way */
};

/*
 * reader_open - open the dump @path, and its companion: the NAME.region.partial beside the
 * NAME.vmcore.partial that is named, or the other way round.  @region_path: the region of a partial dump
 * when it lies elsewhere, else NULL.
 * Errors: -EINVAL: no dump that can be read; -EBADMSG: one that is damaged where everything begins; else -errno.  @why tells in words, without the path.
 */
int warn_unused reader_open(
	const char *path, const char *region_path, struct reader **ret, char *why, size_t why_size);

/*
 * reader_open_fds - the same for open files; @region_fd is -1 or the region that belongs to @fd.
 * Both are owned by the reader, also on failure.
 */
int warn_unused reader_open_fds(int fd, int region_fd, struct reader **ret, char *why, size_t why_size);

void reader_close(struct reader *reader); /* NULL is fine */

/*
 * reader_read - @len bytes of memory at guest-physical @gpa, all or nothing (@buf is undefined then).
 * Errors: -EFAULT if not all of it is memory of the guest; -ENODATA if some of it is MISSING; else -errno.
 */
int warn_unused reader_read(struct reader *reader, uint64_t gpa, void *buf, size_t len);

/*
 * reader_read_image - @len bytes at @off of the ELF image as a complete dump would have them, RAM of
 * pending chunks from the region.  For reader->has_trailer alone: the head and tail are the dump's.
 * Errors: as reader_read; -ENODATA also beyond the end of the image.
 */
int warn_unused reader_read_image(struct reader *reader, uint64_t off, void *buf, size_t len);

/* Bytes of guest memory in one piece at @gpa; 0 if there are none. */
uint64_t reader_contiguous(const struct reader *reader, uint64_t gpa);

/*
 * reader_gap - bytes from @gpa on that need not be looked at: holes of the file, what the headers call zeros, what is
 * beyond the file's end.  They read as zeros if they can be read at all (reader_page tells).
 * Result: 0 if there is something, or nobody can tell.  What follows a gap may be another one.
 */
uint64_t reader_gap(struct reader *reader, uint64_t gpa);

/*
 * reader_data_bytes - bytes of memory, tables and headers that the dump's files hold, without their holes.  A bound for
 * who follows the guest's own structures: they cannot be larger.  Costs a call for each run of the files.
 */
uint64_t reader_data_bytes(struct reader *reader);

/* What is known of the page that @gpa lies in, or -errno. */
int warn_unused reader_page(struct reader *reader, uint64_t gpa, enum reader_page *ret);

/* Counts all pages, as they are now.  0 or -errno. */
int warn_unused reader_count(struct reader *reader, struct reader_counts *ret);

/* [@gpa, @gpa + @bytes) cannot be read: the file is damaged there. */
typedef void reader_damage_fn(void *arg, uint64_t gpa, uint64_t bytes);

/*
 * reader_check - compares all of the guest's memory that is in compressed files with the checksums there; of files
 * without compression nothing is known.  Reads these files once.  @fn: called for each damaged run; may be NULL.
 * Result: pages of 4 KiB that are damaged in *ret_pages; 0 or -errno.
 */
int warn_unused reader_check(struct reader *reader, reader_damage_fn *fn, void *arg, uint64_t *ret_pages);

/*
 * reader_count_excluded - pages that [@gpa, @gpa + @len), which is memory of the guest, touches and that were not
 * selected.  0 or -errno.
 */
int warn_unused reader_count_excluded(struct reader *reader, uint64_t gpa, uint64_t len, uint64_t *ret);

/* "elf", "lz4", ... */
static inline const char *reader_format_name(const struct reader *reader)
{
	return reader->compressed ? "lz4" : reader->image.format->name;
}

#endif /* DUMP_READ_READER_H */
