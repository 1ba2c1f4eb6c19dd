/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/surroundings.h - all that is open as long as the guest runs, whatever becomes of its VMs: KVM, console,
 * event log, disks and network interfaces, directories, the event loop's descriptors.
 *
 * Locks: none; opened and closed by the main thread, used as each thing allows.
 */
#ifndef VMM_SUPERVISOR_SURROUNDINGS_H
#define VMM_SUPERVISOR_SURROUNDINGS_H

#include "vmm/base/events.h"
#include "vmm/config/config.h"
#include "vmm/host/backends.h"
#include "vmm/host/console.h"
#include "vmm/host/kvm.h"
#include "vmm/machine/vm.h"

struct surroundings {
	const struct config *config; /* borrowed */
	struct kvm kvm;
	struct console console;
	struct events events;
	struct backends backends;
	struct vm_shared shared; /* what VMs need of it */
	int dir_fd, lock_fd;     /* owned: vm.memory_dir, and its lock against a second minivmm */
	bool huge_pages;         /* vm.memory_dir gives them */
	int dump_dir_fd;         /* owned: dump.dir */
	int fallback_dir_fd;     /* owned: dump.fallback_dir, -1 = none */
	int epoll_fd, signal_fd,
		notify_fd; /* owned; threads ring notify_fd when there is something to look at */
};

/* Nothing is open. */
void surroundings_init(struct surroundings *around, const struct config *config);

/*
 * Opens everything.  Result: 0 or the process's exit code (reported).  The caller closes in both cases: first what uses
 * the backends, then backends_close(), then surroundings_close().
 */
int warn_unused surroundings_open(struct surroundings *around, const char *events_path);
void surroundings_close(struct surroundings *around);

/* Has the event loop wake up when @fd is readable.  Errors: -errno. */
int warn_unused surroundings_watch(const struct surroundings *around, int fd);

#endif /* VMM_SUPERVISOR_SURROUNDINGS_H */
