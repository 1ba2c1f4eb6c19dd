/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/host/backends.c - see backends.h */
#include "vmm/host/backends.h"

#include "dump/base/log.h"

#include <string.h>
#include <unistd.h>

#define WHY_MAX 512

int backends_open(struct backends *backends, const struct config *config)
{
	char why[WHY_MAX];

	*backends = (struct backends){.load_fd = -1};
	if (config->nr_disks) {
		int err = disk_load_create(&backends->load, &backends->load_fd);

		/* the guest does without */
		if (err)
			log_warn("what the guest asks of its disks cannot be counted: %s", strerror(-err));
	}
	for (uint32_t i = 0; i < config->nr_disks; i++) {
		const struct config_disk *disk = &config->disks[i];
		int err = disk_open(&backends->disks[i], disk->name, disk->path, disk->readonly,
			disk->direct, why, sizeof(why));

		if (err) {
			log_error("[disk %s] path: %s", disk->name, why);
			return err;
		}
		backends->disks[i].load = backends->load;
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
	disk_load_unmap(backends->load);
	backends->load = NULL;
	if (backends->load_fd >= 0)
		close(backends->load_fd);
	backends->load_fd = -1;
}
