/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/config/options.c - see options.h.  Adding a key: one line in options[], one field in struct config. */
#include "vmm/config/options.h"

#include "dump/record/record.h"
#include "dump/select/select.h"
#include "dump/engine/sink.h"
#include "dump/engine/tables.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* our choice: what fits in file names with time and suffix (DUMP_NAME_MAX), and in sun_path later */
#define NAME_LEN_MAX 48
/* our choice: far above any sensible time-out, small enough to add to a clock without overflow */
#define DURATION_MAX (24 * 3600 * NSEC_PER_SEC)

static const char *strategy_name(size_t index)
{
	return index < dump_nr_strategies ? dump_strategies[index].name : NULL;
}

static const char *selector_name(size_t index)
{
	return index < dump_nr_selectors ? dump_selectors[index].name : NULL;
}

static const char *sink_name(size_t index)
{
	return index < dump_nr_sinks ? dump_sinks[index]->name : NULL;
}

static const char *huge_pages_name(size_t index)
{
	static const char *const names[] = {[HUGE_PAGES_AUTO] = "auto", [HUGE_PAGES_OFF] = "off"};

	return index < ARRAY_LEN(names) ? names[index] : NULL;
}

static const char *handover_name(size_t index)
{
	static const char *const names[] = {
		[HANDOVER_GATED] = "gated", [HANDOVER_EXPLICIT] = "explicit", [HANDOVER_NONE] = "none"};

	return index < ARRAY_LEN(names) ? names[index] : NULL;
}

static const char *overcommit_name(size_t index)
{
	static const char *const names[] = {[OVERCOMMIT_ALLOW] = "allow", [OVERCOMMIT_WAIT] = "wait"};

	return index < ARRAY_LEN(names) ? names[index] : NULL;
}

#define FIELD(s, f) .section = #s, .key = #f, .offset = offsetof(struct config, s.f)

const struct config_option options[] = {
	{FIELD(vm, name), .type = OPTION_NAME,
		.help = "name of the guest (default: the file's name without .cfg)"},
	{FIELD(vm, kernel), .type = OPTION_PATH,
		.help = "kernel image: bzImage, or ELF with a PVH entry note (required)"},
	{FIELD(vm, initrd), .type = OPTION_PATH, .help = "initial RAM disk (default: none)"},
	{FIELD(vm, cmdline), .type = OPTION_STRING, .fallback = "", .help = "kernel command line"},
	/* 16M: less does not hold a kernel; 128G: FW_BLOCK_SHIFT reaches 256 GiB of addresses */
	{FIELD(vm, memory), .type = OPTION_SIZE, .fallback = "512M", .min = MIB(16), .max = GIB(128),
		.multiple = PAGE_SIZE_2M, .help = "guest RAM"},
	{FIELD(vm, memory_dir), .type = OPTION_PATH,
		.help = "directory on tmpfs for guest RAM (default: /dev/shm/minivmm/<vm.name>)"},
	{FIELD(vm, vcpus), .type = OPTION_UINT, .fallback = "1", .min = 1, .max = DUMP_VCPUS_MAX,
		.help = "number of vCPUs"},
	{FIELD(vm, watchdog), .type = OPTION_DURATION, .fallback = "0", .min = 0, .max = DURATION_MAX,
		.help = "time without a sign of life that counts as a hang; 0 = never"},
	{FIELD(vm, stop_timeout), .type = OPTION_DURATION, .fallback = "1m", .min = 0, .max = DURATION_MAX,
		.help = "time that a guest may take to power off when it is asked to; 0 = any"},
	{FIELD(vm, control), .type = OPTION_SOCKET,
		.help = "Unix socket for minivmm ctl, or none (default: control in vm.memory_dir)"},

	{FIELD(dump, enabled), .type = OPTION_BOOL, .fallback = "yes", .help = "dump a crashed VM"},
	{FIELD(dump, dir), .type = OPTION_PATH, .help = "directory for dumps (default: vm.memory_dir)"},
	{FIELD(dump, huge_pages), .type = OPTION_CHOICE, .fallback = "auto", .choice = huge_pages_name,
		.help = "auto: as root, mount a tmpfs with huge pages on /dev/shm/minivmm; off: take what "
			"is there"},
	{FIELD(dump, strategy), .type = OPTION_CHOICE, .fallback = "vmapp", .choice = strategy_name,
		.help = "who moves the bytes into the dump"},
	{FIELD(dump, select), .type = OPTION_SELECT, .fallback = "all", .choice = selector_name,
		.help = "which pages belong in the dump: all, or some of the others, separated by commas"},
	{FIELD(dump, chunk), .type = OPTION_SIZE, .fallback = "2M", .min = KIB(64), .max = GIB(1),
		.power_of_two = true, .help = "unit of dumping and of giving memory back"},
	{FIELD(dump, max_count), .type = OPTION_UINT, .fallback = "0", .min = 0, .max = 1000000,
		.help = "complete dumps that dump.dir may hold; 0 = any number"},
	{FIELD(dump, max_bytes), .type = OPTION_SIZE, .fallback = "0", .min = 0, .max = GIB(1024) * 1024,
		.help = "memory or disk that complete dumps in dump.dir may occupy; 0 = any"},
	{FIELD(dump, rotate), .type = OPTION_BOOL, .fallback = "no",
		.help = "remove the oldest dumps when a new one has no room by max_count or max_bytes"},
	{FIELD(dump, guest_timeout), .type = OPTION_DURATION, .fallback = "30s", .min = NSEC_PER_MSEC,
		.max = DURATION_MAX,
		.help = "time that a guest may take to dump by itself (hypercall, addmem)"},
	{FIELD(dump, workers), .type = OPTION_UINT, .fallback = "0", .min = 0, .max = 64,
		.help = "threads that dump; 0 = chosen by the dumper"},
	{FIELD(dump, order), .type = OPTION_CHOICE, .fallback = "ascending", .choice = dump_order_name,
		.help = "order in which memory is dumped and given back"},
	{FIELD(dump, virtual), .type = OPTION_BOOL, .fallback = "no",
		.help = "program headers with a Linux kernel's virtual addresses besides, for gdb"},
	{FIELD(dump, compress), .type = OPTION_CHOICE, .fallback = "none", .choice = sink_name,
		.help = "none: an ELF file; lz4: an LZ4 file of it (strategy vmapp)"},
	{FIELD(dump, compress_level), .type = OPTION_UINT, .fallback = "1", .min = 1, .max = DUMP_LEVEL_MAX,
		.help = "acceleration of LZ4: 1 compresses best, more is faster"},
	{FIELD(dump, fallback_dir), .type = OPTION_PATH,
		.help = "directory for a dump that has no room in dump.dir (default: none)"},
	{FIELD(dump, stall_timeout), .type = OPTION_DURATION, .fallback = "10s", .min = 0,
		.max = DURATION_MAX,
		.help = "time without progress after which the dumper is replaced; 0 = never"},

	{FIELD(recovery, enabled), .type = OPTION_BOOL, .fallback = "yes",
		.help = "start a recovery VM when the guest crashes"},
	{FIELD(recovery, kernel), .type = OPTION_PATH, .help = "its kernel image (default: vm.kernel)"},
	{FIELD(recovery, initrd), .type = OPTION_PATH,
		.help = "its initial RAM disk (default: vm.initrd; none if recovery.kernel is given)"},
	{FIELD(recovery, cmdline), .type = OPTION_STRING, .help = "its command line (default: vm.cmdline)"},
	{FIELD(recovery, max), .type = OPTION_UINT, .fallback = "5", .min = 0, .max = 1000000,
		.help = "recoveries in a row; a VM that was stable ends the row"},
	{FIELD(recovery, backoff), .type = OPTION_DURATION, .fallback = "1s", .min = 0, .max = DURATION_MAX,
		.help = "pause before the recovery of a recovery VM that was never ready; doubles, 60 s at "
			"most"},
	{FIELD(recovery, stable), .type = OPTION_DURATION, .fallback = "1m", .min = NSEC_PER_MSEC,
		.max = DURATION_MAX,
		.help = "a VM is stable when it has run for so long after it was ready, or at all if no VM "
			"of "
			"this guest was ever ready"},
	{FIELD(recovery, concurrent), .type = OPTION_BOOL, .fallback = "yes",
		.help = "start the recovery VM beside the dump; no: after it"},
	{FIELD(recovery, handover), .type = OPTION_CHOICE, .fallback = "gated", .choice = handover_name,
		.help = "how the recovery VM gets the memory that the crashed one gives back"},
	{FIELD(recovery, reserve), .type = OPTION_SIZE, .fallback = "64M", .min = 0, .max = GIB(128),
		.help = "host memory that crashed VM, dump and recovery VM may take together beside "
			"vm.memory"},
	{FIELD(recovery, overcommit), .type = OPTION_CHOICE, .fallback = "allow", .choice = overcommit_name,
		.help = "when the dump itself keeps memory: allow the recovery VM more, or let it wait"},
	{FIELD(recovery, initial), .type = OPTION_SIZE, .fallback = "64M", .min = MIB(16), .max = GIB(128),
		.multiple = PAGE_SIZE_2M,
		.help = "memory that a recovery VM boots with (handover = explicit)"},

	{FIELD(console, output), .type = OPTION_SINK, .fallback = "stdio",
		.help = "console: stdio, none, or a file to append to"},
};
const size_t nr_options = ARRAY_LEN(options);

const struct config_option *option_find(const char *section, const char *key)
{
	for (size_t i = 0; i < nr_options; i++)
		if (!strcmp(options[i].section, section) && !strcmp(options[i].key, key))
			return &options[i];
	return NULL;
}

char **option_string(const struct config_option *option, void *fields)
{
	switch (option->type) {
	case OPTION_NAME:
	case OPTION_STRING:
	case OPTION_PATH:
	case OPTION_SINK:
	case OPTION_SOCKET:
		return (char **)((char *)fields + option->offset);
	default:
		return NULL;
	}
}

static uint64_t *option_number(const struct config_option *option, void *fields)
{
	return (uint64_t *)(void *)((char *)fields + option->offset);
}

static bool *option_bool(const struct config_option *option, void *fields)
{
	return (bool *)((char *)fields + option->offset);
}

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
