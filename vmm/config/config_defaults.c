/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/config/config_defaults.c - values that nobody has given: see config_impl.h */
#include "vmm/config/config_impl.h"

#include "dump/base/cleanup.h"
#include "dump/base/log.h"
#include "vmm/base/places.h"
#include "vmm/config/config_named.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

static int set_default(char **field, const char *value)
{
	if (*field)
		return 0;
	*field = strdup(value);
	return *field ? 0 : -ENOMEM;
}

/* The file's name without directory and ".cfg"; characters that a name cannot have become '-'. */
static int default_name(struct config *config)
{
	autofree char *copy = strdup(config->path);
	char name[49];
	size_t len;

	if (!copy)
		return -ENOMEM;
	snprintf(name, sizeof(name), "%s", basename(copy));
	len = strlen(name);
	if (len > 4 && !strcmp(name + len - 4, ".cfg"))
		name[len - 4] = '\0';
	for (char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			*c = '-';
	if (name[0] == '.' || name[0] == '-' || !name[0])
		name[0] = 'g';
	return set_default(&config->vm.name, name);
}

/* Makes a relative path relative to the directory of the configuration file. */
static int resolve_path(const struct config *config, char **field)
{
	autofree char *copy = strdup(config->path);
	char *joined;

	if (!copy)
		return -ENOMEM;
	if (!*field || (*field)[0] == '/')
		return 0;
	if (asprintf(&joined, "%s/%s", dirname(copy), *field) < 0)
		return -ENOMEM;
	free(*field);
	*field = joined;
	return 0;
}

static int resolve_option(const struct config *config, const struct config_option *option, void *fields)
{
	char **field = option_string(option, fields);
	bool sink = option->type == OPTION_SINK, socket = option->type == OPTION_SOCKET;
	bool word = field && *field &&
		    ((sink && !strcmp(*field, "stdio")) || ((sink || socket) && !strcmp(*field, "none")));

	if ((option->type != OPTION_PATH && !sink && !socket) || word)
		return 0;
	return resolve_path(config, field);
}

static int resolve_paths(struct config *config)
{
	int err = 0;

	for (size_t i = 0; i < nr_options && !err; i++)
		err = resolve_option(config, &options[i], config);
	for (size_t k = 0; k < NAMED_KINDS; k++) {
		const struct config_kind *kind = &config_kinds[k];
		void *named;

		for (size_t i = 0; (named = config_named(config, kind, i)); i++)
			for (size_t o = 0; o < kind->nr_options && !err; o++)
				err = resolve_option(config, &kind->options[o], named);
	}
	return err;
}

int config_set_fallbacks(struct config *config)
{
	char why[320];

	for (size_t i = 0; i < nr_options; i++) {
		int err = options[i].fallback
				  ? option_set(&options[i], config, options[i].fallback, why, sizeof(why))
				  : 0;

		if (err)
			return err;
	}
	return 0;
}

/* In vm.memory_dir; none where that makes a path that no socket can have. */
static int default_control(struct config *config)
{
	autofree char *path = NULL;

	if (config->vm.control)
		return 0;
	if (asprintf(&path, "%s/control", config->vm.memory_dir) < 0)
		return -ENOMEM;
	if (strlen(path) > CONTROL_PATH_MAX) {
		log_warn("%s: no control socket: %s is longer than %d bytes; [vm] control names another "
			 "place",
			config->path, path, CONTROL_PATH_MAX);
		return set_default(&config->vm.control, "none");
	}
	return set_default(&config->vm.control, path);
}

int config_set_computed(struct config *config)
{
	char place[PLACES_PATH_MAX];
	autofree char *dir = NULL;
	int err;

	err = default_name(config);
	if (!err)
		err = resolve_paths(config);
	if (!err)
		err = set_default(&config->vm.kernel, "");
	if (!err)
		err = set_default(&config->vm.initrd, "");
	if (!err) /* an initrd belongs to its kernel: before the kernel's default hides whether one is given */
		err = set_default(
			&config->recovery.initrd, config->recovery.kernel ? "" : config->vm.initrd);
	if (!err)
		err = set_default(&config->recovery.kernel, config->vm.kernel);
	if (!err)
		err = set_default(&config->recovery.cmdline, config->vm.cmdline);
	places_own(place);
	if (!err && asprintf(&dir, "%s/%s", place, config->vm.name) < 0)
		err = -ENOMEM;
	if (!err)
		err = set_default(&config->vm.memory_dir, dir);
	if (!err)
		err = set_default(&config->dump.dir, config->vm.memory_dir);
	if (!err)
		err = set_default(&config->dump.fallback_dir, "");
	if (!err)
		err = default_control(config);
	return err;
}
