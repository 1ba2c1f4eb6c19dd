/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/host/backends.h - what is behind a guest's virtio devices, on the host: opened once, used by one VM after the other.
 *
 * Locks: none; the arrays are fixed once opened.
 */
#ifndef VMM_HOST_BACKENDS_H
#define VMM_HOST_BACKENDS_H

#include "vmm/config/config.h"
#include "vmm/host/disk.h"
#include "vmm/host/tap.h"

struct backends {
	struct disk disks[CONFIG_DISKS_MAX];
	struct tap taps[CONFIG_NETS_MAX];
	uint32_t nr_disks, nr_taps;
	struct disk_load *
		load; /* owned: what the guest asks of all its disks; NULL = it has none, or there was no memory */
	int load_fd; /* owned: the same, for other processes; -1 = none */
};

/*
 * backends_open - the disks and network interfaces of @config.
 * Errors: -errno, reported.  Owner: backends_close(), also after a failure.
 */
int warn_unused backends_open(struct backends *backends, const struct config *config);
void backends_close(struct backends *backends);

#endif /* VMM_HOST_BACKENDS_H */
