/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/config/options.h - the typed table behind guest.cfg: one entry a key.
 *
 * options.c has the table and where the values are, option_values.c parses and prints them.  Both know nothing of files, lines or sections' order.
 */
#ifndef VMM_CONFIG_OPTIONS_H
#define VMM_CONFIG_OPTIONS_H

#include "vmm/config/config.h"

#include <stddef.h>

/* our choice: bytes of the longest text or path; Linux takes command lines of 2047 bytes on x86 */
#define OPTION_TEXT_MAX 4095

enum option_type {
	OPTION_NAME, /* letters, digits, '.', '_', '-' */
	OPTION_STRING,
	OPTION_PATH,   /* relative ones are meant from the directory of the configuration file */
	OPTION_SINK,   /* "stdio", "none" or a path */
	OPTION_SOCKET, /* "none" or a path */
	OPTION_BOOL,   /* yes, no */
	OPTION_UINT,
	OPTION_SIZE,     /* bytes with K, M, G, T */
	OPTION_DURATION, /* ns, us, ms, s, m; a bare number counts seconds */
	OPTION_CHOICE,   /* a name of a table */
	OPTION_SELECT,   /* names of page selectors, separated by commas */
};

struct config_option {
	const char *section;
	const char *key;
	enum option_type type;
	size_t offset;        /* of the field in struct config: char *, bool or uint64_t by type */
	const char *fallback; /* default as one would write it; NULL = computed or required */
	uint64_t min, max;    /* UINT, SIZE, DURATION */
	uint64_t multiple;    /* SIZE: must divide the value; 0 = any */
	bool power_of_two;    /* SIZE */
	const char *(*choice)(size_t index); /* CHOICE: name number @index, NULL past the last */
	bool (*valid)(const char *value);    /* STRING: what is allowed besides, or NULL = any text */
	const char *allowed;                 /* STRING with @valid: says what that is */
	const char *help;                    /* one line */
};

extern const struct config_option options[];
extern const size_t nr_options;

/* NULL if there is no such key. */
const struct config_option *option_find(const char *section, const char *key);

/*
 * option_set - parse @value and store it in the option's field of @fields: a struct config, or for an option of a
 * section with a name (config_named.h) the struct of that section.
 * Errors: -EINVAL with a sentence in @why: what was found and what is allowed; -ENOMEM.
 * Strings in @fields are replaced (the old one is freed).
 */
int warn_unused option_set(
	const struct config_option *option, void *fields, const char *value, char *why, size_t why_size);

/* Writes the field's value as option_set would read it back. */
void option_format(const struct config_option *option, const void *from, char *buf, size_t size);

/* Writes what values are allowed, e.g. "16M to 128G, a multiple of 2M". */
void option_allowed(const struct config_option *option, char *buf, size_t size);

/* The char * field of a NAME, STRING, PATH, SINK or SOCKET option; NULL for other types. */
char **option_string(const struct config_option *option, void *fields);

/* The uint64_t of a UINT, SIZE, DURATION, CHOICE or SELECT option, the bool of a BOOL; the caller knows the type. */
uint64_t *option_number(const struct config_option *option, void *fields);
bool *option_bool(const struct config_option *option, void *fields);

#endif /* VMM_CONFIG_OPTIONS_H */
