/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/config.c - see config.h.
 */
#include "guest-stub/config.h"
#include "guest-stub/cpu.h"
#include "guest-stub/machine.h"

/* our choice: 1 TiB, more RAM than there can be */
#define PIECE_MAX_KIB (1ull << 30)
/* our choice: 256 GiB, as far as firmware calls reach */
#define TOUCH_MAX_MIB (1ull << 18)

struct option {
	const char *key;
	const char *help;
	bool (*parse)(void *field, char *value); /* false: the value is not allowed; may say why */
	size_t field;                            /* offset in struct config */
};

static bool parse_u64(void *field, char *value)
{
	return str_to_u64(value, field);
}

static bool parse_scenario(void *field, char *value)
{
	const struct scenario **scenario = field;

	*scenario = scenario_find(value);
	if (!*scenario)
		scenario_print_all();
	return *scenario;
}

/* A scenario that another one can go on to: not one that runs before memory is set up, or that would never end. */
static bool parse_then(void *field, char *value)
{
	const struct scenario **scenario = field;

	return parse_scenario(field, value) && !(*scenario)->early && !str_equal(value, "service");
}

static bool parse_touch(void *field, char *value)
{
	return str_to_u64(value, field) && *(uint64_t *)field <= TOUCH_MAX_MIB;
}

/* KIND:PERCENT[,KIND:PERCENT...]; a bare number is pattern. */
static bool parse_fill(void *field, char *value)
{
	struct config *config = field;
	uint64_t total = 0;

	for (char *item = value, *next; item; item = next) {
		struct fill *fill = &config->fills[config->nr_fills];
		uint64_t percent = 0;
		char *number;

		next = str_cut(item, ',');
		number = str_cut(item, ':');
		fill->kind = fill_kind_find(number ? item : "pattern");
		if (!fill->kind || !str_to_u64(number ? number : item, &percent) || percent > 100 ||
			total + percent > 100 || config->nr_fills == MAX_FILLS - 1) {
			con_printf("stub: fill is KIND:PERCENT[,...], at most 7 kinds and 100 percent\n");
			fill_print_kinds();
			return false;
		}
		total += percent;
		fill->percent = (uint32_t)percent;
		config->nr_fills++;
	}
	return true;
}

/* KIND[,KIND...] */
static bool parse_select(void *field, char *value)
{
	struct config *config = field;

	for (char *item = value, *next; item; item = next) {
		const struct fill_kind *kind;

		next = str_cut(item, ',');
		kind = fill_kind_find(item);
		if (!kind || config->nr_select == MAX_FILLS) {
			fill_print_kinds();
			return false;
		}
		config->select[config->nr_select++] = kind;
	}
	return true;
}

static bool parse_dump(void *field, char *value)
{
	uint64_t *used = field;

	*used = str_equal(value, "used");
	return *used || str_equal(value, "all");
}

static bool parse_flag(void *field, char *value)
{
	return str_to_u64(value, field) && *(uint64_t *)field <= 1;
}

static bool parse_piece(void *field, char *value)
{
	return str_to_u64(value, field) && *(uint64_t *)field >= 1 && *(uint64_t *)field <= PIECE_MAX_KIB;
}

#define FIELD(name) offsetof(struct config, name)

static const struct option options[] = {
	{"scenario", "what to do; ready-poweroff unless given", parse_scenario, FIELD(scenario)},
	{"on-recovery", "scenario in a VM that replaces a crashed one", parse_scenario, FIELD(on_recovery)},
	{"events", "0: take none, nor memory that is added", parse_flag, FIELD(events)},
	{"await", "MiB of memory to wait for before filling, where memory is added", parse_u64,
		FIELD(await_mib)},
	{"touch", "scenario service: MiB of memory it touches", parse_touch, FIELD(touch_mib)},
	{"then", "scenario service: what it does next, unless it idles", parse_then, FIELD(then)},
	{"generations", "from this generation on do ready-poweroff", parse_u64, FIELD(generations)},
	{"fill", "KIND:PERCENT[,...] of all RAM; a bare number is pattern", parse_fill, 0},
	{"refill", "0: a VM that replaces a crashed one fills nothing", parse_flag, FIELD(refill)},
	{"seed", "of the contents, decimal or 0x hexadecimal; 1 unless given", parse_u64, FIELD(seed)},
	{"cpus", "use at most so many CPUs", parse_u64, FIELD(cpus)},
	{"heartbeat", "milliseconds between heartbeats", parse_u64, FIELD(heartbeat_ms)},
	{"select", "KIND[,KIND...]: the panic call names the pages of these fills", parse_select, 0},
	{"streams", "crash driver: streams open at a time; one for each CPU", parse_u64,
		FIELD(dump.streams)},
	{"areas", "crash driver: areas added at a time; one for each CPU", parse_u64, FIELD(dump.areas)},
	{"piece", "crash driver: KiB moved at a time; 2048", parse_piece, FIELD(dump.piece_kib)},
	{"dump", "crash driver: all pages or used ones; all", parse_dump, FIELD(dump.used)},
	{"release", "crash driver, 1: give memory back once written", parse_flag, FIELD(dump.release)},
	{"crash-in-dump", "crash driver, 1: fault after half of it", parse_flag, FIELD(dump.crash_in_dump)},
	{"hang-in-dump", "crash driver, 1: spin after half of it", parse_flag, FIELD(dump.hang_in_dump)},
	{"delay", "milliseconds to wait before the scenario", parse_u64, FIELD(delay_ms)},
	{"talk", "KiB of text to print before the scenario", parse_u64, FIELD(talk_kib)},
};

static const struct option *option_find(const char *key)
{
	for (uint32_t i = 0; i < ARRAY_LEN(options); i++)
		if (str_equal(options[i].key, key))
			return &options[i];
	return NULL;
}

static void print_options(void)
{
	for (uint32_t i = 0; i < ARRAY_LEN(options); i++)
		con_printf("stub:   %s=: %s\n", options[i].key, options[i].help);
}

static bool parse_word(struct config *config, char *key)
{
	char *value = str_cut(key, '=');
	const struct option *option = option_find(key);

	if (!option || !value) {
		con_printf("stub: error: command line: %s \"%s\"; known are\n",
			value ? "unknown key" : "no value for", key);
		print_options();
		return false;
	}
	if (!option->parse((char *)config + option->field, value)) {
		con_printf("stub: error: command line: value of \"%s\" not allowed: \"%s\"\n", key, value);
		return false;
	}
	return true;
}

bool config_parse(struct config *config, char *cmdline)
{
	*config = (struct config){.scenario = scenario_find("ready-poweroff"),
		.refill = 1,
		.seed = 1,
		.events = 1,
		.cpus = MAX_CPUS,
		.dump = {.piece_kib = 2048}};
	for (char *word = cmdline, *next; word; word = next) {
		next = str_cut(word, ' ');
		if (*word && !parse_word(config, word))
			return false;
	}
	return true;
}
