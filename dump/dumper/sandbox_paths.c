/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/dumper/sandbox_paths.c - which directories the dumper reaches: Landlock, see sandbox.h
 *
 * By plain system calls: glibc has none of them, and a build host's headers may be older than the kernel
 * that the program runs on.
 */
#include "dump/dumper/sandbox_impl.h"

#include "dump/base/cleanup.h"

#include <errno.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/landlock.h, for headers that do not have them yet: ABI 2 and 3 */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ull << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif

/* ABI 1 would forbid to link a region from its own directory into another one */
#define ABI_MIN 2
/* from here on files that are made may be forbidden to get their size */
#define ABI_TRUNCATE 3

/* All rights that there were in ABI 1: EXECUTE (bit 0) to MAKE_SYM (bit 12). */
#define RIGHTS_ABI_1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

/*
 * What a dump needs in each of its directories: to make files without a name (which opens them) and size them,
 * to give them names, from another of the directories too, and to take names away.
 */
#define RIGHTS_NEEDED                                                                                      \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |      \
		LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE)

int sandbox_paths_abi(void)
{
#ifdef HAVE_SANITIZER
	return 0;
#else
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi >= ABI_MIN ? (int)abi : 0;
#endif
}

static int add_directory(int ruleset, int dir_fd, uint64_t handled)
{
	const struct landlock_path_beneath_attr rule = {
		.allowed_access = RIGHTS_NEEDED & handled, .parent_fd = dir_fd};

	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno
												 : 0;
}

int sandbox_confine(const int *dir_fds, size_t nr)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = RIGHTS_ABI_1 | LANDLOCK_ACCESS_FS_REFER};
	int abi = sandbox_paths_abi();
	autoclose int ruleset = -1;
	int r = 0;

	if (!abi)
		return -EOPNOTSUPP;
	if (abi >= ABI_TRUNCATE)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	/* the first field alone: every version of the kernel knows it */
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (ruleset < 0)
		return -errno;
	for (size_t i = 0; i < nr && !r; i++)
		if (dir_fds[i] >= 0)
			r = add_directory(ruleset, dir_fds[i], attr.handled_access_fs);
	if (!r && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = -errno;
	return r;
}
