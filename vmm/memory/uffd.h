/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/memory/uffd.h - userfaultfd(2) for missing pages of shared memory, as few calls as the gate needs.
 *
 * Locks: none; any thread, as the kernel allows.
 */
#ifndef VMM_MEMORY_UFFD_H
#define VMM_MEMORY_UFFD_H

#include "dump/base/num.h"

/*
 * uffd_open - a descriptor that also catches the accesses of KVM and of system calls.
 * Result: a non-blocking, close-on-exec descriptor; or -EPERM if this user may not have one (it takes
 * CAP_SYS_PTRACE, /dev/userfaultfd, or vm.unprivileged_userfaultfd = 1), -ENOSYS, else -errno.
 */
int warn_unused uffd_open(void);

/* Addresses [@start, @start + @len) of a shared mapping: a touch of a page that is not there waits. */
int warn_unused uffd_register(int uffd, uint64_t start, uint64_t len);

/* No more, and whoever waits goes on.  0 also where nothing is registered. */
int warn_unused uffd_unregister(int uffd, uint64_t start, uint64_t len);

/* Who waits there tries again. */
void uffd_wake(int uffd, uint64_t start, uint64_t len);

/* 1 and the address that somebody waits for; 0 if there is none now; -errno. */
int warn_unused uffd_next_fault(int uffd, uint64_t *ret_address);

#endif /* VMM_MEMORY_UFFD_H */
