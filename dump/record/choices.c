/* SPDX-License-Identifier: Apache-2.0 */
/* dump/record/choices.c - see choices.h.  One entry for each strategy, sink and selector. */
#include "dump/record/choices.h"

#include "firmware/abi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct dump_strategy dump_strategies[] = {
	[DUMP_STRATEGY_VMAPP] = {.name = "vmapp",
		.help = "the dumper copies chunk by chunk and releases each chunk when it is copied",
		.guest_mode = FW_DUMP_MODE_VMM,
		.sinks = true},
	[DUMP_STRATEGY_HYPERCALL] = {.name = "hypercall",
		.help = "the guest writes its memory to streams (dump firmware calls)",
		.guest_mode = FW_DUMP_MODE_HYPERCALL},
	[DUMP_STRATEGY_ADDMEM] = {.name = "addmem",
		.help = "the guest copies its memory into memory that it is given",
		.guest_mode = FW_DUMP_MODE_ADDMEM},
	[DUMP_STRATEGY_REMAP] = {.name = "remap",
		.help = "nobody: the guest's memory becomes the dump where it is",
		.guest_mode = FW_DUMP_MODE_VMM,
		.in_place = true},
	[DUMP_STRATEGY_HYBRID] = {.name = "hybrid",
		.help = "as remap, but the few wanted pages of a chunk are moved to give it back whole",
		.guest_mode = FW_DUMP_MODE_VMM,
		.in_place = true,
		.scratch = true},
};
const size_t dump_nr_strategies = ARRAY_LEN(dump_strategies);

const struct dump_sink dump_sinks[] = {
	[DUMP_SINK_ELF] = {.name = "none", .help = "an ELF file, every page at its own offset"},
	[DUMP_SINK_LZ4] = {.name = "lz4",
		.help = "a standard LZ4 file of the same, for vmapp",
		.compressed = true},
};
const size_t dump_nr_sinks = ARRAY_LEN(dump_sinks);

const struct dump_selector dump_selectors[] = {
	[DUMP_SELECTOR_ALL] = {"all", "every page of the guest"},
	[DUMP_SELECTOR_ZERO] = {"zero", "drops pages of nothing but zeros"},
	[DUMP_SELECTOR_LIST] = {"list", "only the pages that the guest's panic call lists"},
	[DUMP_SELECTOR_PAGES] = {"pages", "drops pages that are free by the guest's page descriptors"},
	[DUMP_SELECTOR_LINUX] = {"linux",
		"linux:LEVEL drops what makedumpfile's level 1..31 does, of any Linux guest"},
};
const size_t dump_nr_selectors = ARRAY_LEN(dump_selectors);

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Decimal, 0 .. DUMP_SELECT_LEVEL_MAX, one or two digits. */
static bool parse_level(const char *text, size_t len, uint32_t *ret)
{
	uint32_t value = 0;

	if (!len || len > 2)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint32_t)(text[i] - '0');
	}
	*ret = value;
	return value <= DUMP_SELECT_LEVEL_MAX;
}

/* What @level of the selector `linux` is as a set; bit 0 of it is the selector `zero`'s work. */
static uint32_t set_of_level(uint32_t level)
{
	if (!level)
		return DUMP_SELECT_ALL;
	return DUMP_SELECT_LINUX | level << DUMP_SELECT_LEVEL_SHIFT | (level & 1 ? DUMP_SELECT_ZERO : 0);
}

/* The selector named by the @len bytes at @name without blanks around them, as a set; or 0. */
static uint32_t find_selector(const char *name, size_t len)
{
	const char *colon;
	size_t name_len;

	while (len && is_blank(*name)) {
		name++;
		len--;
	}
	while (len && is_blank(name[len - 1]))
		len--;
	colon = memchr(name, ':', len);
	name_len = colon ? (size_t)(colon - name) : len;
	for (size_t i = 0; i < dump_nr_selectors; i++) {
		uint32_t level = DUMP_SELECT_LEVEL_MAX;

		if (strlen(dump_selectors[i].name) != name_len ||
			memcmp(dump_selectors[i].name, name, name_len))
			continue;
		if (colon && (1u << i != DUMP_SELECT_LINUX ||
				     !parse_level(colon + 1, len - name_len - 1, &level)))
			return 0;
		return 1u << i == DUMP_SELECT_LINUX ? set_of_level(level) : 1u << i;
	}
	return 0;
}

int dump_select_parse(const char *text, uint32_t *ret_mask)
{
	uint32_t mask = 0;

	for (;;) {
		size_t len = strcspn(text, ",");
		uint32_t bits = find_selector(text, len);

		if (!bits)
			return -EINVAL;
		if (bits >> DUMP_SELECT_LEVEL_SHIFT)
			mask &= DUMP_SELECT_SET; /* the last level counts */
		mask |= bits;
		if (!text[len])
			break;
		text += len + 1;
	}
	*ret_mask = mask == DUMP_SELECT_ALL ? mask : mask & ~DUMP_SELECT_ALL;
	return 0;
}

void dump_select_format(uint32_t mask, char *buf, size_t size)
{
	size_t len = 0;

	if (size)
		buf[0] = '\0';
	for (size_t i = 0; i < dump_nr_selectors && len < size; i++) {
		if (!(mask & 1u << i))
			continue;
		len += (size_t)snprintf(
			buf + len, size - len, "%s%s", len ? "," : "", dump_selectors[i].name);
		if (1u << i == DUMP_SELECT_LINUX && len < size)
			len += (size_t)snprintf(buf + len, size - len, ":%u", dump_select_level(mask));
	}
}

bool dump_select_is_valid(uint32_t mask)
{
	uint32_t set = mask & DUMP_SELECT_SET;
	uint32_t level = dump_select_level(mask);

	return set && !(set >> dump_nr_selectors) && mask >> DUMP_SELECT_LEVEL_SHIFT == level &&
	       (set == DUMP_SELECT_ALL || !(set & DUMP_SELECT_ALL)) &&
	       !!(set & DUMP_SELECT_LINUX) == !!level && (!(level & 1) || set & DUMP_SELECT_ZERO);
}
