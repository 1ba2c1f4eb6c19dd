/* SPDX-License-Identifier: Apache-2.0 */
/* dump/base/pacer_settings.c - policies as text: see pacer.h */
#include "dump/base/pacer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* Largest first: what is written takes the first that divides. */
static const struct unit sizes[] = {
	{"T", GIB(1024)}, {"G", GIB(1)}, {"M", MIB(1)}, {"K", KIB(1)}, {"", 1}, {NULL, 0}};
static const struct unit times[] = {
	{"s", NSEC_PER_SEC}, {"ms", NSEC_PER_MSEC}, {"us", NSEC_PER_USEC}, {"ns", 1}, {NULL, 0}};
static const struct unit none[] = {{"", 1}, {NULL, 0}};

static const struct {
	const char *name;
	const struct unit *units; /* NULL: it takes no value */
	uint64_t min, max;
	bool wants_load;
} policies[PACER_POLICIES] = {
	[PACER_OFF] = {"off", NULL, 0, 0, false},
	[PACER_RATE] = {"rate", sizes, PACER_RATE_MIN, PACER_RATE_MAX, false},
	[PACER_WEIGHT] = {"weight", none, 1, PACER_WEIGHT_MAX, true},
	[PACER_LATENCY] = {"latency", times, PACER_LATENCY_MIN_NS, PACER_LATENCY_MAX_NS, true},
	[PACER_GUEST_FIRST] = {"guest-first", NULL, 0, 0, true},
	[PACER_BALANCED] = {"balanced", NULL, 0, 0, true},
	[PACER_MEMORY_FIRST] = {"memory-first", NULL, 0, 0, false},
};

static int parse_value(const char *text, const struct unit *units, uint64_t *ret)
{
	unsigned long long number;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	for (; units->suffix; units++)
		if (!strcasecmp(end, units->suffix))
			return u64_mul_overflows(number, units->factor, ret) ? -ERANGE : 0;
	return -EINVAL;
}

int pacer_parse(const char *text, struct pacer_settings *ret)
{
	size_t len = strcspn(text, "=");

	for (unsigned i = 0; i < PACER_POLICIES; i++) {
		uint64_t value = 0;
		int r = 0;

		if (strlen(policies[i].name) != len || strncmp(text, policies[i].name, len))
			continue;
		if (!policies[i].units != !text[len])
			return -EINVAL;
		if (policies[i].units)
			r = parse_value(text + len + 1, policies[i].units, &value);
		if (r)
			return r;
		if (value < policies[i].min || value > policies[i].max)
			return -ERANGE;
		*ret = (struct pacer_settings){(enum pacer_policy)i, value};
		return 0;
	}
	return -EINVAL;
}

void pacer_format(const struct pacer_settings *settings, char *buf, size_t size)
{
	const struct unit *unit = policies[settings->policy].units;

	if (!unit) {
		snprintf(buf, size, "%s", policies[settings->policy].name);
		return;
	}
	while (settings->value % unit->factor)
		unit++;
	snprintf(buf, size, "%s=%" PRIu64 "%s", policies[settings->policy].name,
		settings->value / unit->factor, unit->suffix);
}

bool pacer_wants_load(const struct pacer_settings *settings)
{
	return policies[settings->policy].wants_load;
}
