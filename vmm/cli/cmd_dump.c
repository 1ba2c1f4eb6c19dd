/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_dump.c - "minivmm dump": the table of its subcommands and their options. */
#include "vmm/cli/cmd_dump.h"

#include "dump/base/log.h"
#include "vmm/cli/commands.h"
#include "vmm/base/exit_codes.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPT_JSON = 'j',
	OPT_ALL = 'a',
	OPT_FORCE = 'f',
	OPT_KEEP = 'k',
	OPT_PHYS = 'p',
	OPT_LEN = 'n',
	OPT_OUTPUT = 'o',
	OPT_REGION = 'r',
	OPT_FORMAT = 'F',
	OPT_CALLER = 'c',
	OPT_VERIFY = 'v',
	OPT_MOVE = 'm',
	OPT_PACE = 'P',
	OPT_BESIDE = 'b'
};

static const struct option known_options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"all", no_argument, NULL, OPT_ALL},
	{"force", no_argument, NULL, OPT_FORCE},
	{"keep", no_argument, NULL, OPT_KEEP},
	{"phys", required_argument, NULL, OPT_PHYS},
	{"len", required_argument, NULL, OPT_LEN},
	{"output", required_argument, NULL, OPT_OUTPUT},
	{"region", required_argument, NULL, OPT_REGION},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"caller", no_argument, NULL, OPT_CALLER},
	{"verify", no_argument, NULL, OPT_VERIFY},
	{"move", no_argument, NULL, OPT_MOVE},
	{"pace", required_argument, NULL, OPT_PACE},
	{"beside", required_argument, NULL, OPT_BESIDE},
	{0},
};

struct subcommand {
	const char *name;
	const char *usage;
	const char *help;
	const char *options; /* the OPT_* it takes */
	size_t files_min, files_max;
	int (*run)(const struct dump_arguments *args);
};

static const struct subcommand subcommands[] = {
	{"list", "[DIR|GUEST]... [--json]",
		"the dumps of these directories or guests; of all guests if none is named", "j", 0,
		DUMP_FILES_MAX, dump_command_list},
	{"info", "FILE [--all] [--region FILE] [--json]",
		"what happened, registers, pages; --all: the registers of every vCPU", "jar", 1, 1,
		dump_command_info},
	{"read", "FILE --phys ADDRESS --len BYTES [--output FILE] [--force] [--region FILE] [--json]",
		"write guest memory to standard output or a file; --force: to a terminal or over a file, "
		"too",
		"jpnofr", 1, 1, dump_command_read},
	{"salvage", "FILE [--output FILE] [--keep] [--region FILE] [--json]",
		"make a whole dump of the .partial files that a killed dumper has left", "jokr", 1, 1,
		dump_command_salvage},
	{"dmesg", "FILE [--caller] [--region FILE]",
		"the log of the Linux kernel in the dump; --caller: with the thread or CPU of each line",
		"cr", 1, 1, dump_command_dmesg},
	{"bt", "FILE [--all] [--region FILE]",
		"where the Linux kernel in the dump was: the vCPU that panicked, or --all", "ar", 1, 1,
		dump_command_bt},
	{"save",
		"FILE DIR [--format elf|lz4|kdump|virtual] [--verify] [--move] [--pace POLICY [--beside "
		"GUEST]] "
		"[--json]",
		"copy a complete dump to a directory, e.g. from memory to a disk; --verify: read it back "
		"and "
		"compare;\n      --move: then remove the dump; --pace: off, rate=BYTES, weight=PERCENT, "
		"latency=TIME, "
		"guest-first,\n      balanced, memory-first; --beside: the running guest whose requests it "
		"is to mind",
		"jFvmPb", 2, 2, dump_command_save},
	{"rm", "FILE... [--force] [--json]", "remove dumps; --force: also unfinished ones", "jf", 1,
		DUMP_FILES_MAX, dump_command_rm},
};

static void print_help(FILE *out)
{
	fprintf(out, "Usage:\n");
	for (size_t i = 0; i < ARRAY_LEN(subcommands); i++)
		fprintf(out, "  minivmm dump %s %s\n      %s\n", subcommands[i].name, subcommands[i].usage,
			subcommands[i].help);
}

/* Decimal or 0x; no sign, nothing behind it. */
static int parse_number(const char *option, const char *text, uint64_t *ret)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (text[0] < '0' || text[0] > '9' || *end || errno ||
		(text[0] == '0' && text[1] && text[1] != 'x' && text[1] != 'X')) {
		log_error("--%s %s: expected a decimal number or 0x and hexadecimal digits, below 2^64",
			option, text);
		return EXIT_USAGE;
	}
	*ret = value;
	return EXIT_OK;
}

static int take_option(struct dump_arguments *args, int option)
{
	switch (option) {
	case OPT_JSON:
		args->json = true;
		return EXIT_OK;
	case OPT_ALL:
		args->all = true;
		return EXIT_OK;
	case OPT_FORCE:
		args->force = true;
		return EXIT_OK;
	case OPT_KEEP:
		args->keep = true;
		return EXIT_OK;
	case OPT_PHYS:
		args->has_phys = true;
		return parse_number("phys", optarg, &args->phys);
	case OPT_LEN:
		args->has_len = true;
		return parse_number("len", optarg, &args->len);
	case OPT_OUTPUT:
		args->output = optarg;
		return EXIT_OK;
	case OPT_REGION:
		args->region = optarg;
		return EXIT_OK;
	case OPT_FORMAT:
		args->format = optarg;
		return EXIT_OK;
	case OPT_CALLER:
		args->caller = true;
		return EXIT_OK;
	case OPT_VERIFY:
		args->verify = true;
		return EXIT_OK;
	case OPT_MOVE:
		args->move = true;
		return EXIT_OK;
	case OPT_PACE:
		args->pace = optarg;
		return EXIT_OK;
	case OPT_BESIDE:
		args->beside = optarg;
		return EXIT_OK;
	default:
		return EXIT_USAGE; /* getopt has said what is wrong */
	}
}

static int parse(const struct subcommand *command, int argc, char **argv, struct dump_arguments *args)
{
	int option;

	memset(args, 0, sizeof(*args));
	optind = 1;
	while ((option = getopt_long(argc, argv, "", known_options, NULL)) != -1) {
		int code = EXIT_USAGE;

		if (option != '?' && !strchr(command->options, option))
			log_error("dump %s: not an option of this command: %s", command->name,
				argv[optind - 1]);
		else
			code = take_option(args, option);
		if (code)
			return code;
	}
	args->nr_files = (size_t)(argc - optind);
	if (args->nr_files < command->files_min || args->nr_files > command->files_max) {
		log_error("usage: minivmm dump %s %s", command->name, command->usage);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < args->nr_files; i++)
		args->files[i] = argv[optind + (int)i];
	return EXIT_OK;
}

int command_dump(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	struct dump_arguments args;
	int code;

	if (!name || !strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		print_help(name ? stdout : stderr);
		return name ? EXIT_OK : EXIT_USAGE;
	}
	for (size_t i = 0; i < ARRAY_LEN(subcommands); i++) {
		if (strcmp(name, subcommands[i].name))
			continue;
		code = parse(&subcommands[i], argc - 1, argv + 1, &args);
		if (!code)
			code = subcommands[i].run(&args);
		if (fflush(stdout) && !code) {
			log_error("standard output: %s", strerror(errno));
			code = EXIT_HOST;
		}
		return code;
	}
	log_error("dump: no command '%s'; see minivmm dump --help", name);
	return EXIT_USAGE;
}
