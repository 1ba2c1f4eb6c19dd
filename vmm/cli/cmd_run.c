/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_run.c - "minivmm run" and "minivmm check": both read a configuration with overrides. */
#include "vmm/cli/commands.h"

#include "dump/base/log.h"
#include "vmm/config/config.h"
#include "vmm/base/exit_codes.h"
#include "vmm/supervisor/guest.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

/* our choice: more overrides than keys make no sense */
#define SETS_MAX 64

struct arguments {
	const char *path;
	const char *sets[SETS_MAX];
	size_t nr_sets;
	const char *events;
	bool keys;
	char console[4200]; /* "console.output=<value>" for --console */
};

static int add_set(struct arguments *args, const char *set)
{
	if (args->nr_sets == SETS_MAX) {
		log_error("more than %d times --set", SETS_MAX);
		return EXIT_USAGE;
	}
	args->sets[args->nr_sets++] = set;
	return EXIT_OK;
}

static int take_option(struct arguments *args, int option)
{
	switch (option) {
	case 's':
		return add_set(args, optarg);
	case 'e':
		args->events = optarg;
		return EXIT_OK;
	case 'c':
		if ((size_t)snprintf(args->console, sizeof(args->console), "console.output=%s", optarg) >=
			sizeof(args->console))
			return EXIT_USAGE;
		return add_set(args, args->console);
	case 'k':
		args->keys = true;
		return EXIT_OK;
	case 'v':
		log_set_level(LOG_DEBUG);
		return EXIT_OK;
	default:
		return EXIT_USAGE; /* getopt has said what is wrong */
	}
}

/* Exit code; EXIT_OK when there is something to go on with. */
static int parse(int argc, char **argv, struct arguments *args, bool run)
{
	static const struct option run_options[] = {{"set", required_argument, NULL, 's'},
		{"events", required_argument, NULL, 'e'}, {"console", required_argument, NULL, 'c'},
		{"verbose", no_argument, NULL, 'v'}, {0}};
	static const struct option check_options[] = {{"set", required_argument, NULL, 's'},
		{"keys", no_argument, NULL, 'k'}, {"verbose", no_argument, NULL, 'v'}, {0}};
	int option;

	memset(args, 0, sizeof(*args));
	while ((option = getopt_long(argc, argv, "v", run ? run_options : check_options, NULL)) != -1) {
		int err = take_option(args, option);

		if (err)
			return err;
	}
	if (args->keys)
		return EXIT_OK;
	if (optind != argc - 1) {
		log_error("%s: expected one configuration file; see minivmm --help", argv[0]);
		return EXIT_USAGE;
	}
	args->path = argv[optind];
	return EXIT_OK;
}

int command_run(int argc, char **argv)
{
	struct arguments args;
	struct config config;
	int code = parse(argc, argv, &args, true);

	if (code)
		return code;
	if (config_load(&config, args.path, args.sets, args.nr_sets))
		return EXIT_CONFIG;
	code = guest_run(&config, args.events);
	config_fini(&config);
	return code;
}

int command_check(int argc, char **argv)
{
	struct arguments args;
	struct config config;
	int code = parse(argc, argv, &args, false);

	if (code)
		return code;
	if (args.keys) {
		config_print_keys(stdout);
		return EXIT_OK;
	}
	if (config_load(&config, args.path, args.sets, args.nr_sets))
		return EXIT_CONFIG;
	config_print(&config, stdout);
	config_fini(&config);
	return EXIT_OK;
}
