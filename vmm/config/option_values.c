/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/config/option_values.c - one value: what is allowed, set from text, as text; see options.h */
#include "vmm/config/options.h"

#include "dump/record/choices.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* our choice: what fits in file names with time and suffix (DUMP_NAME_MAX), and in sun_path later */
#define NAME_LEN_MAX 48
/* ---- units ------------------------------------------------------------------------------------ */

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* Largest first: format_units() takes the first that divides. */
static const struct unit size_units[] = {
	{"T", GIB(1024)},
	{"G", GIB(1)},
	{"M", MIB(1)},
	{"K", KIB(1)},
	{"", 1},
	{NULL, 0},
};
static const struct unit duration_units[] = {
	{"m", 60 * NSEC_PER_SEC},
	{"s", NSEC_PER_SEC},
	{"ms", NSEC_PER_MSEC},
	{"us", NSEC_PER_USEC},
	{"ns", 1},
	{NULL, 0},
};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(enum option_type type)
{
	return type == OPTION_SIZE ? size_units : type == OPTION_DURATION ? duration_units : no_units;
}

static int parse_units(const char *value, const struct unit *units, uint64_t bare, uint64_t *ret)
{
	unsigned long long number;
	char *end;

	if (!isdigit((unsigned char)value[0]))
		return -EINVAL;
	errno = 0;
	number = strtoull(value, &end, 10);
	if (errno)
		return -ERANGE;
	if (!*end)
		return u64_mul_overflows(number, bare, ret) ? -ERANGE : 0;
	for (; units->suffix; units++)
		if (units->suffix[0] && !strcasecmp(end, units->suffix))
			return u64_mul_overflows(number, units->factor, ret) ? -ERANGE : 0;
	return -EINVAL;
}

static void format_units(uint64_t value, const struct unit *units, char *buf, size_t size)
{
	if (!value) {
		snprintf(buf, size, "0");
		return;
	}
	while (value % units->factor)
		units++;
	snprintf(buf, size, "%" PRIu64 "%s", value / units->factor, units->suffix);
}

/* ---- one value ---------------------------------------------------------------------------------- */

void option_allowed(const struct config_option *option, char *buf, size_t size)
{
	char min[24], max[24], multiple[24];
	size_t len = 0;

	switch (option->type) {
	case OPTION_NAME:
		snprintf(buf, size,
			"1 to %d letters, digits, '.', '_' or '-', not starting with '.' or '-'",
			NAME_LEN_MAX);
		break;
	case OPTION_STRING:
		if (option->allowed)
			snprintf(buf, size, "%s", option->allowed);
		else
			snprintf(buf, size, "up to %d bytes of text, no control characters",
				OPTION_TEXT_MAX);
		break;
	case OPTION_PATH:
		snprintf(buf, size, "a path");
		break;
	case OPTION_SINK:
		snprintf(buf, size, "stdio, none or a path");
		break;
	case OPTION_SOCKET:
		snprintf(buf, size, "none or a path");
		break;
	case OPTION_BOOL:
		snprintf(buf, size, "yes or no");
		break;
	case OPTION_CHOICE:
	case OPTION_SELECT:
		buf[0] = '\0';
		for (size_t i = 0; option->choice(i) && len < size; i++)
			len += (size_t)snprintf(
				buf + len, size - len, "%s%s", i ? ", " : "", option->choice(i));
		break;
	case OPTION_UINT:
	case OPTION_SIZE:
	case OPTION_DURATION:
		format_units(option->min, units_of(option->type), min, sizeof(min));
		format_units(option->max, units_of(option->type), max, sizeof(max));
		format_units(option->multiple, units_of(option->type), multiple, sizeof(multiple));
		snprintf(buf, size, "%s to %s%s%s%s", min, max, option->multiple ? ", a multiple of " : "",
			option->multiple ? multiple : "", option->power_of_two ? ", a power of two" : "");
		break;
	}
}

static bool name_is_valid(const char *value)
{
	size_t len = strlen(value);

	if (!len || len > NAME_LEN_MAX || value[0] == '.' || value[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)value[i]) && !strchr("._-", value[i]))
			return false;
	return true;
}

/* What one line of a file can say, apart from its length. */
static bool text_is_valid(const char *value)
{
	for (const char *c = value; *c; c++)
		if (iscntrl((unsigned char)*c) && *c != '\t')
			return false;
	return strlen(value) <= OPTION_TEXT_MAX;
}

static int set_number(const struct config_option *option, void *fields, const char *value)
{
	uint64_t bare = option->type == OPTION_DURATION ? NSEC_PER_SEC : 1;
	uint64_t number;
	int err = parse_units(value, units_of(option->type), bare, &number);

	if (err)
		return err;
	if (number < option->min || number > option->max)
		return -ERANGE;
	if (option->multiple && number % option->multiple)
		return -EINVAL;
	if (option->power_of_two && !u64_is_pow2(number))
		return -EINVAL;
	*option_number(option, fields) = number;
	return 0;
}

static int set_choice(const struct config_option *option, void *fields, const char *value)
{
	for (size_t i = 0; option->choice(i); i++) {
		if (!strcmp(option->choice(i), value)) {
			*option_number(option, fields) = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_select(const struct config_option *option, void *fields, const char *value)
{
	uint32_t mask;
	int err = dump_select_parse(value, &mask);

	if (!err)
		*option_number(option, fields) = mask;
	return err;
}

static int set_bool(const struct config_option *option, void *fields, const char *value)
{
	bool yes = !strcasecmp(value, "yes") || !strcasecmp(value, "true") || !strcmp(value, "1");
	bool no = !strcasecmp(value, "no") || !strcasecmp(value, "false") || !strcmp(value, "0");

	if (!yes && !no)
		return -EINVAL;
	*option_bool(option, fields) = yes;
	return 0;
}

static int set_string(const struct config_option *option, void *fields, const char *value)
{
	char **field = option_string(option, fields);
	char *copy;

	if (option->type == OPTION_NAME && !name_is_valid(value))
		return -EINVAL;
	if (option->type != OPTION_STRING && !value[0])
		return -EINVAL;
	if (!text_is_valid(value) || (option->valid && !option->valid(value)))
		return -EINVAL;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

/* Describes a refused value: its beginning, fit for a terminal, and what would be allowed. */
static void explain(const struct config_option *option, const char *value, char *why, size_t why_size)
{
	char found[64], allowed[160];

	snprintf(found, sizeof(found), "%s", value);
	for (char *c = found; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	option_allowed(option, allowed, sizeof(allowed));
	snprintf(why, why_size, "'%s%s' is not allowed; allowed: %s", found,
		strlen(value) >= sizeof(found) ? "..." : "", allowed);
}

int option_set(
	const struct config_option *option, void *fields, const char *value, char *why, size_t why_size)
{
	int err = -EINVAL;

	switch (option->type) {
	case OPTION_NAME:
	case OPTION_STRING:
	case OPTION_PATH:
	case OPTION_SINK:
	case OPTION_SOCKET:
		err = set_string(option, fields, value);
		break;
	case OPTION_BOOL:
		err = set_bool(option, fields, value);
		break;
	case OPTION_CHOICE:
		err = set_choice(option, fields, value);
		break;
	case OPTION_SELECT:
		err = set_select(option, fields, value);
		break;
	case OPTION_UINT:
	case OPTION_SIZE:
	case OPTION_DURATION:
		err = set_number(option, fields, value);
		break;
	}
	if (!err || err == -ENOMEM)
		return err;
	explain(option, value, why, why_size);
	return -EINVAL;
}

void option_format(const struct config_option *option, const void *from, char *buf, size_t size)
{
	void *fields = (void *)(uintptr_t)from; /* only read below */
	char **string = option_string(option, fields);

	if (string)
		snprintf(buf, size, "%s", *string ? *string : "");
	else if (option->type == OPTION_BOOL)
		snprintf(buf, size, "%s", *option_bool(option, fields) ? "yes" : "no");
	else if (option->type == OPTION_SELECT)
		dump_select_format((uint32_t)*option_number(option, fields), buf, size);
	else if (option->type == OPTION_CHOICE)
		snprintf(buf, size, "%s", option->choice(*option_number(option, fields)));
	else
		format_units(*option_number(option, fields), units_of(option->type), buf, size);
}
