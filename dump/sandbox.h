/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/sandbox.h - what the dumper process may still do, once it is set up.
 *
 * After sandbox_enter(): no capability, none to be gained, no executable memory, no new process, no
 * file opened by name (only unnamed temporary files), no network, no core file.  Threads may be made.
 */
#ifndef DUMP_SANDBOX_H
#define DUMP_SANDBOX_H

#include "dump/base/num.h"

/*
 * sandbox_enter - for good, for the calling process, which has one thread.
 * Errors: -errno of the first step that failed; the steps after it are still tried.  -ENOSYS or
 * -EINVAL come from kernels without seccomp filters.
 */
int warn_unused sandbox_enter(void);

#endif /* DUMP_SANDBOX_H */
