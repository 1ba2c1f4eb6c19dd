/* SPDX-License-Identifier: Apache-2.0 */
/* dump/save/save_compare.h - whether a copy holds the image of the dump that it was made of.  Locks: none. */
#ifndef DUMP_SAVE_SAVE_COMPARE_H
#define DUMP_SAVE_SAVE_COMPARE_H

#include "dump/save/kdump.h"

/*
 * save_compare_image - whether the image in the file @fd, in whatever format that has one, is @reader's, byte for byte;
 * what is a hole in both is not read.  @fd may be O_DIRECT if the image is of whole pages and in the file as it is.
 * Errors: -EBADMSG if it is not; -errno.
 */
int warn_unused save_compare_image(struct reader *reader, int fd, const struct kdump_progress *progress);

#endif /* DUMP_SAVE_SAVE_COMPARE_H */
