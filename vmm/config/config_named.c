/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/config/config_named.c - see config_named.h.  Adding a key: one line in a table, one field in its struct. */
#include "vmm/config/config_named.h"

#include "dump/base/log.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

static bool valid_interface(const char *value)
{
	for (const char *c = value; *c; c++)
		if (isspace((unsigned char)*c) || *c == '/' || *c == ':')
			return false;
	return strlen(value) < IFNAMSIZ;
}

int tap_parse_mac(const char *text, uint8_t ret[TAP_MAC_LEN])
{
	static const char shape[] = "xx:xx:xx:xx:xx:xx";
	uint8_t mac[TAP_MAC_LEN];

	if (strlen(text) != strlen(shape))
		return -EINVAL;
	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != ':')
			return -EINVAL;
	for (size_t i = 0; i < TAP_MAC_LEN; i++)
		mac[i] = (uint8_t)strtoul(text + 3 * i, NULL, 16);
	if (mac[0] & TAP_MAC_MULTICAST)
		return -EINVAL;
	memcpy(ret, mac, sizeof(mac));
	return 0;
}

static bool valid_mac(const char *value)
{
	uint8_t mac[TAP_MAC_LEN];

	return !value[0] || !tap_parse_mac(value, mac);
}

#define FIELD(k, f) .section = #k, .key = #f, .offset = offsetof(struct config_##k, f)

static const struct config_option disk_options[] = {
	{FIELD(disk, path), .type = OPTION_PATH, .help = "image file or block device (required)"},
	{FIELD(disk, readonly), .type = OPTION_BOOL, .fallback = "no", .help = "the guest cannot write it"},
	{FIELD(disk, direct), .type = OPTION_BOOL, .fallback = "no",
		.help = "past the host's page cache (O_DIRECT)"},
};

static const struct config_option net_options[] = {
	{FIELD(net, tap), .type = OPTION_STRING, .fallback = "", .valid = valid_interface,
		.allowed = "name of a tap interface, 1 to 15 characters",
		.help = "tap interface on the host, made before"},
	{FIELD(net, fd), .type = OPTION_UINT, .fallback = "0", .max = 1 << 20,
		.help = "inherited descriptor of a tap interface, instead of a name; 0 = none"},
	{FIELD(net, mac), .type = OPTION_STRING, .fallback = "", .valid = valid_mac,
		.allowed = "xx:xx:xx:xx:xx:xx, not a multicast address",
		.help = "address of the guest's card (default: derived from the names)"},
};

const struct config_kind config_kinds[NAMED_KINDS] = {
	{"disk", disk_options, ARRAY_LEN(disk_options), offsetof(struct config, disks),
		sizeof(struct config_disk), CONFIG_DISKS_MAX, offsetof(struct config, nr_disks)},
	{"net", net_options, ARRAY_LEN(net_options), offsetof(struct config, nets),
		sizeof(struct config_net), CONFIG_NETS_MAX, offsetof(struct config, nr_nets)},
};
static_assert(
	ARRAY_LEN(disk_options) <= NAMED_KEYS_MAX && ARRAY_LEN(net_options) <= NAMED_KEYS_MAX, "keys");
static_assert(CONFIG_DISKS_MAX <= NAMED_SECTIONS_MAX && CONFIG_NETS_MAX <= NAMED_SECTIONS_MAX, "sections");
static_assert(!offsetof(struct config_disk, name) && !offsetof(struct config_net, name), "name first");

const struct config_kind *config_kind_find(const char *section, const char **ret_name)
{
	for (size_t i = 0; i < NAMED_KINDS; i++) {
		size_t len = strlen(config_kinds[i].section);

		if (strncmp(section, config_kinds[i].section, len) ||
			(section[len] && !isspace((unsigned char)section[len])))
			continue;
		*ret_name = section + len + strspn(section + len, " \t");
		return &config_kinds[i];
	}
	return NULL;
}

static uint32_t *count_of(const struct config *config, const struct config_kind *kind)
{
	return (uint32_t *)((uintptr_t)config + kind->nr_offset);
}

static void *named_at(const struct config *config, const struct config_kind *kind, size_t index)
{
	return (void *)((uintptr_t)config + kind->offset + index * kind->size);
}

void *config_named(const struct config *config, const struct config_kind *kind, size_t index)
{
	return index < *count_of(config, kind) ? named_at(config, kind, index) : NULL;
}

static bool name_is_valid(const char *name)
{
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_-", *c))
			return false;
	return name[0] && strlen(name) <= SECTION_NAME_MAX;
}

/* Number @index becomes a section called @name with the defaults of its keys. */
static int make(struct config *config, const struct config_kind *kind, const char *name, size_t index)
{
	void *named = named_at(config, kind, index);
	char why[320];
	int err = 0;

	*(char **)named = strdup(name);
	if (!*(char **)named)
		return -ENOMEM;
	++*count_of(config, kind);
	for (size_t i = 0; i < kind->nr_options && !err; i++)
		if (kind->options[i].fallback)
			err = option_set(
				&kind->options[i], named, kind->options[i].fallback, why, sizeof(why));
	return err;
}

int config_named_get(struct config *config, const struct config_kind *kind, const char *name,
	size_t *ret_index, char *why, size_t why_size)
{
	size_t index = 0;
	const void *named;

	if (!name_is_valid(name)) {
		snprintf(why, why_size, "%s needs a name of 1 to %d letters, digits, '_' or '-': [%s NAME]",
			kind->section, SECTION_NAME_MAX, kind->section);
		return -EINVAL;
	}
	for (; (named = config_named(config, kind, index)); index++) {
		if (!strcmp(config_named_name(named), name)) {
			*ret_index = index;
			return 0;
		}
	}
	if (index == kind->max) {
		snprintf(why, why_size, "there may be %zu sections [%s NAME] and no more", kind->max,
			kind->section);
		return -EINVAL;
	}
	*ret_index = index;
	return make(config, kind, name, index);
}

int config_named_check(const struct config *config, const char *path)
{
	int mistakes = 0;

	for (uint32_t i = 0; i < config->nr_disks; i++) {
		if (config->disks[i].path)
			continue;
		log_error("%s: [disk %s] path: missing; it names the image or block device", path,
			config->disks[i].name);
		mistakes++;
	}
	for (uint32_t i = 0; i < config->nr_nets; i++) {
		const struct config_net *net = &config->nets[i];

		if (!!net->tap[0] + !!net->fd == 1)
			continue;
		log_error("%s: [net %s] needs either tap or fd", path, net->name);
		mistakes++;
	}
	return mistakes;
}

void config_named_fini(struct config *config)
{
	for (size_t k = 0; k < NAMED_KINDS; k++) {
		const struct config_kind *kind = &config_kinds[k];
		void *named;

		for (size_t i = 0; (named = config_named(config, kind, i)); i++) {
			free(*(char **)named);
			for (size_t o = 0; o < kind->nr_options; o++) {
				char **string = option_string(&kind->options[o], named);

				if (string)
					free(*string);
			}
			memset(named, 0, kind->size);
		}
		*count_of(config, kind) = 0;
	}
}
