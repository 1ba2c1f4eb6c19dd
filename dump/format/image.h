/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/format/image.h - the bytes of an ELF vmcore, whatever file they are in: as they are, or compressed.
 *
 * Everything above (dump/format/elfcore.h, dump/read/reader.h) sees offsets of the ELF image only.  A format is one
 * file and one line in the table of image.c.  The file is hostile: a format checks every number in it,
 * reads with pread, and never maps it, since a file that shrinks would then be a SIGBUS.
 *
 * Locks: none; a struct image belongs to one thread at a time.
 */
#ifndef DUMP_FORMAT_IMAGE_H
#define DUMP_FORMAT_IMAGE_H

#include "dump/base/num.h"

#include <stddef.h>
#include <stdint.h>

/* bytes of the file's start that a format gets to see in probe(); our choice: any magic fits */
#define IMAGE_PROBE_BYTES 64

struct image {
	const struct reader_format *format;
	int fd;        /* owned */
	void *state;   /* the format's own, owned; NULL if it has none */
	uint64_t size; /* bytes of the ELF image */
};

/* How the bytes of an ELF image lie in a file. */
struct reader_format {
	const char *name; /* for the operator and for --json */

	/* Does a file that starts with these @len bytes (at most IMAGE_PROBE_BYTES) look like this format? */
	bool (*probe)(const unsigned char *start, size_t len);

	/*
	 * Sets image->state and image->size; @file_size is the file's.  On failure nothing is left to close.
	 * Errors: -EINVAL if the file breaks a rule of the format, else -errno.
	 */
	int (*open)(struct image *image, uint64_t file_size);

	/* Reads exactly @len bytes at @off of the image, which are inside image->size.  0 or -errno. */
	int (*read)(struct image *image, uint64_t off, void *buf, size_t len);

	/*
	 * Optional: the next run at or after @off that may hold anything but zeros, for who wants to skip
	 * holes.  1 and *ret_start, *ret_end; 0 when the rest is hole; or -errno.
	 */
	int (*data)(struct image *image, uint64_t off, uint64_t *ret_start, uint64_t *ret_end);

	/*
	 * Optional: compares what holds @off of the image with its checksum, as lz4_reader_check().  0 or -errno; *ret_end
	 * is set for 0 and -EBADMSG.
	 */
	int (*check)(struct image *image, uint64_t off, uint64_t *ret_end);

	/* Optional: releases image->state. */
	void (*close)(struct image *image);
};

/*
 * image_open - find the format of regular file @fd and open it.  @fd is owned by *ret on success.
 * Errors: -EINVAL if it is of no format that is known, or breaks its rules; else -errno.
 */
int warn_unused image_open(int fd, struct image *ret);

/* The file is the image, whatever it begins with: for a region whose head could not be written. */
int warn_unused image_open_raw(int fd, struct image *ret);

/*
 * An LZ4 file whose writer died, with the writer's block table at @table_off of @table_fd, which outlives the
 * image.  What is not in the file is -ENXIO to read.  @fd is owned by *ret on success.
 * Errors: -EINVAL if there is no such table; else -errno.
 */
int warn_unused image_open_lz4_partial(int fd, int table_fd, uint64_t table_off, struct image *ret);

/* What kind of file @fd is, by its first and last bytes. */
bool image_is_lz4(int fd);
bool image_is_lz4_partial(int fd); /* one that does not end as a finished one of ours does */

/*
 * False if a compressed file ends before its format lets it, although all that can be read of it may be there.  How long a
 * file is that is the image itself, its headers tell.
 */
bool image_is_whole(const struct image *image);

/* False if a compressed file is without the table that finds its blocks: all of it can be read, but not as fast. */
bool image_has_table(const struct image *image);

void image_close(struct image *image); /* harmless on an image of fd -1 */

/* Reads exactly @len bytes at @off.  -ENODATA if they are not all inside the image; else as the format. */
int warn_unused image_read(struct image *image, uint64_t off, void *buf, size_t len);

/* As reader_format.data; the whole image is one run where the format cannot tell. */
int warn_unused image_data(struct image *image, uint64_t off, uint64_t *ret_start, uint64_t *ret_end);

#endif /* DUMP_FORMAT_IMAGE_H */
