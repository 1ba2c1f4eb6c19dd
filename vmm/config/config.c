/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/config/config.c - see config.h */
#include "vmm/config/config.h"

#include "dump/base/log.h"
#include "dump/lz4/lz4_frame.h"
#include "dump/record/record.h"
#include "dump/record/choices.h"
#include "vmm/config/config_named.h"
#include "vmm/config/config_impl.h"
#include "vmm/config/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char *path, bool wrong, const char *why)
{
	if (wrong)
		log_error("%s: %s", path, why);
	return wrong ? 1 : 0;
}

/* Returns the number of mistakes. */
static int check_together(const struct config *config, const char *path)
{
	const struct dump_strategy *strategy = &dump_strategies[config->dump.strategy];
	bool compressed = dump_sinks[config->dump.compress].compressed;
	int mistakes = 0;

	mistakes += refuse(path, strlen(config->vm.control) > CONTROL_PATH_MAX,
		"[vm] control: longer than 107 bytes, the most that the path of a Unix socket can have");
	mistakes += refuse(path, compressed && !strategy->sinks,
		"[dump] compress = lz4 needs [dump] strategy = vmapp: with the others the dump is memory "
		"in "
		"place");
	mistakes += refuse(path, compressed && config->dump.chunk > LZ4_BLOCK_MAX,
		"[dump] compress = lz4 needs [dump] chunk = 4M or less: the largest block of the format");
	mistakes += refuse(path, compressed && config->dump.order != DUMP_ORDER_ASCENDING,
		"[dump] compress = lz4 needs [dump] order = ascending: the blocks of a frame are in order");
	mistakes += refuse(path,
		strategy->guest_mode != FW_DUMP_MODE_VMM && config->dump.select != DUMP_SELECT_ALL,
		"[dump] select must be all with [dump] strategy = hypercall or addmem: the guest selects");
	mistakes += refuse(path,
		config->recovery.handover == HANDOVER_EXPLICIT &&
			config->recovery.initial > config->vm.memory,
		"[recovery] initial must not be more than [vm] memory");
	return mistakes;
}

int config_load(struct config *ret, const char *path, const char *const *sets, size_t nr_sets)
{
	struct config config = {0};
	int mistakes, err;

	config.path = strdup(path);
	err = config.path ? config_set_fallbacks(&config) : -ENOMEM;
	if (err)
		goto fail;
	mistakes = config_read_file(&config, path);
	if (mistakes < 0) {
		err = mistakes;
		goto fail;
	}
	for (size_t i = 0; i < nr_sets; i++)
		mistakes += config_apply_set(&config, sets[i]);
	err = config_set_computed(&config);
	if (err)
		goto fail;
	if (!mistakes && !config.vm.kernel[0]) {
		log_error("%s: [vm] kernel: missing; it names the kernel image to boot", path);
		mistakes++;
	}
	mistakes += check_together(&config, path);
	mistakes += config_named_check(&config, path);
	err = mistakes ? -EINVAL : 0;
	if (err)
		goto fail;
	*ret = config;
	return 0;
fail:
	if (err == -ENOMEM)
		log_error("%s: %s", path, strerror(ENOMEM));
	config_fini(&config);
	return err;
}

void config_fini(struct config *config)
{
	for (size_t i = 0; i < nr_options; i++) {
		char **field = option_string(&options[i], config);

		if (field) {
			free(*field);
			*field = NULL;
		}
	}
	config_named_fini(config);
	free(config->path);
	config->path = NULL;
}
