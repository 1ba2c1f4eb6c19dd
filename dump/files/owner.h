/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/files/owner.h - whose dump a file is, by what the file itself says and not by its name alone.
 *
 * Before a file is removed without anybody having named it, it has to say that it is ours: its trailer, where there is
 * one, tells the name that it was made under, and that name tells the guest.  The file is hostile: it is read with
 * pread, and nothing in it is believed but these few fields.  Locks: none.
 */
#ifndef DUMP_FILES_OWNER_H
#define DUMP_FILES_OWNER_H

#include "dump/record/record.h"

#include <stdbool.h>
#include <stdint.h>

struct dump_owner {
	uint32_t role, state;     /* VMCORE_ROLE_*, VMCORE_STATE_* */
	char name[DUMP_NAME_MAX]; /* base name under which it was made */
};

/*
 * dump_owner_read - what the trailer of @file in @dir_fd says; plain files and complete LZ4 files have one.
 * Errors: -EINVAL if it is no file of minivmm's, else -errno.
 */
int warn_unused dump_owner_read(int dir_fd, const char *file, struct dump_owner *ret);

/* True if @name is a base name that minivmm gives to dumps of @guest: GUEST-YYYYMMDDTHHMMSS.mmmZ-gN. */
bool dump_name_is_of(const char *name, const char *guest);

#endif /* DUMP_FILES_OWNER_H */
