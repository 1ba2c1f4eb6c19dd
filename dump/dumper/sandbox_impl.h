/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/dumper/sandbox_impl.h - private to dump/sandbox*.c: HAVE_SANITIZER if this build's sanitizer reads /proc and
 * clones at exit, which a sandbox would forbid.
 */
#ifndef DUMP_DUMPER_SANDBOX_IMPL_H
#define DUMP_DUMPER_SANDBOX_IMPL_H

#include "dump/dumper/sandbox.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAVE_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAVE_SANITIZER 1
#endif

#endif /* DUMP_DUMPER_SANDBOX_IMPL_H */
