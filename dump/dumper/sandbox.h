/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/dumper/sandbox.h - what the dumper process may still do, once it is set up.
 *
 * After sandbox_enter(): no capability, none to be gained, no executable memory, no new process, no
 * file opened by name (only unnamed temporary files), no network, no core file.  Threads may be made.
 *
 * After sandbox_confine() as well: files are made, linked and unlinked below the given directories alone.
 */
#ifndef DUMP_DUMPER_SANDBOX_H
#define DUMP_DUMPER_SANDBOX_H

#include "dump/base/num.h"

#include <stddef.h>

/*
 * sandbox_enter - for good, for the calling process, which has one thread.
 * Errors: -errno of the first step that failed; the steps after it are still tried.  -ENOSYS or
 * -EINVAL come from kernels without seccomp filters.
 */
int warn_unused sandbox_enter(void);

/*
 * sandbox_confine - for good, for the calling thread and those that it makes from then on.  May follow
 * sandbox_enter, and needs it or CAP_SYS_ADMIN.  @dir_fds: @nr directories, -1 = none.  What they hold, their
 * directories included, stays within reach; descriptors that are open stay what they were.  Calling it again
 * can only take away.
 * Errors: -EOPNOTSUPP if the kernel does not have Landlock, or not enough of it; else -errno.
 */
int warn_unused sandbox_confine(const int *dir_fds, size_t nr);

/* The version of Landlock that sandbox_confine() would use; 0 = it cannot.  ABI 2 is Linux 5.19. */
int sandbox_paths_abi(void);

#endif /* DUMP_DUMPER_SANDBOX_H */
