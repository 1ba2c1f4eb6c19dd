/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/config/config_named.h - sections of which there may be several, told apart by names: [disk root], [net lan].
 *
 * The table of kinds and of their keys; config.c reads and prints them like all others.
 */
#ifndef VMM_CONFIG_CONFIG_NAMED_H
#define VMM_CONFIG_CONFIG_NAMED_H

#include "vmm/config/options.h"

/* our choices: bytes of a name without the NUL (libinih takes 50 for a whole section line); keys of a kind */
#define SECTION_NAME_MAX 32
#define NAMED_KEYS_MAX 4
#define NAMED_SECTIONS_MAX 8
#define NAMED_KINDS 2

struct config_kind {
	const char *section;                 /* "disk" */
	const struct config_option *options; /* their section is the kind's, offsets are into its struct */
	size_t nr_options;                   /* up to NAMED_KEYS_MAX */
	size_t offset, size, max; /* of the array in struct config: place, bytes of one, how many */
	size_t nr_offset;         /* of the uint32_t that counts them */
};
extern const struct config_kind config_kinds[NAMED_KINDS];

/* The kind of "disk" or "disk root", and where the name begins; NULL if there is none.  *ret_name: "" = no name. */
const struct config_kind *config_kind_find(const char *section, const char **ret_name);

/* Number @index of a kind's sections, NULL past the last.  Each begins with its name. */
void *config_named(const struct config *config, const struct config_kind *kind, size_t index);
static inline const char *config_named_name(const void *named)
{
	return *(char *const *)named;
}

/*
 * config_named_get - the section of that name, made with the defaults of its keys if there is none yet.
 * Errors: -EINVAL with a sentence in @why for a name that is not allowed, and for one too many; -ENOMEM.
 */
int warn_unused config_named_get(struct config *config, const struct config_kind *kind, const char *name,
	size_t *ret_index, char *why, size_t why_size);

/* Reports what is missing or does not go together, one line each.  Returns the number of mistakes. */
int config_named_check(const struct config *config, const char *path);

void config_named_fini(struct config *config);

#endif /* VMM_CONFIG_CONFIG_NAMED_H */
