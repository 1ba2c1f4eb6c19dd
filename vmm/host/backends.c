/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/host/backends.c - see backends.h */
#include "vmm/host/backends.h"

#include "dump/base/log.h"

#define WHY_MAX 512

int backends_open(struct backends *backends, const struct config *config)
{
	char why[WHY_MAX];

	*backends = (struct backends){0};
	for (uint32_t i = 0; i < config->nr_disks; i++) {
		const struct config_disk *disk = &config->disks[i];
		int err = disk_open(&backends->disks[i], disk->name, disk->path, disk->readonly,
			disk->direct, why, sizeof(why));

		if (err) {
			log_error("[disk %s] path: %s", disk->name, why);
			return err;
		}
		backends->nr_disks++;
	}
	for (uint32_t i = 0; i < config->nr_nets; i++) {
		const struct config_net *net = &config->nets[i];
		int err = tap_open(&backends->taps[i], config->vm.name, net->name, net->tap,
			net->fd ? (int)net->fd : -1, net->mac, why, sizeof(why));

		if (err) {
			log_error("[net %s] %s: %s", net->name, net->fd ? "fd" : "tap", why);
			return err;
		}
		backends->nr_taps++;
	}
	return 0;
}

void backends_close(struct backends *backends)
{
	for (uint32_t i = 0; i < backends->nr_disks; i++)
		disk_close(&backends->disks[i]);
	for (uint32_t i = 0; i < backends->nr_taps; i++)
		tap_close(&backends->taps[i]);
	backends->nr_disks = backends->nr_taps = 0;
}
