/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/main.c - the command table, --help, --version. */
#include "vmm/cli/commands.h"

#include "dump/dumper/dumper.h"
#include "dump/record/choices.h"
#include "firmware/dispatch.h"
#include "vmm/config/config.h"
#include "vmm/base/exit_codes.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const struct command commands[] = {
	{"run", "CFG [--set section.key=value]... [--events FILE] [--console FILE|stdio|none] [-v]",
		"boot a guest; dump and recover it when it crashes", command_run},
	{"check", "CFG [--set section.key=value]... | --keys",
		"validate a configuration and print what is in effect; --keys: list all keys",
		command_check},
	{"ctl", "[--json] GUEST status|events|crash|pause|resume|stop|dump-cancel [GENERATION]",
		"talk to a running guest; GUEST: its name, its guest.cfg or its control socket",
		command_ctl},
	{"info", "[DIR]", "what this host offers: KVM, huge pages, shared memory, limits", command_info},
	{"dump", "list|info|read|dmesg|bt|save|salvage|rm ...", "work with dumps; see minivmm dump --help",
		command_dump},
};

static void print_help(void)
{
	printf("minivmm %s: a KVM hypervisor that dumps a crashed guest and recovers it at the same "
	       "time\n\n"
	       "Usage:\n",
		MINIVMM_VERSION);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		printf("  minivmm %s %s\n      %s\n", commands[i].name, commands[i].usage,
			commands[i].help);
	printf("  minivmm --help | --version\n\n"
	       "While it runs: SIGTERM asks the guest to power off, a second one or Ctrl-A x on the "
	       "console "
	       "stops\nit; SIGUSR1 makes the guest crash.\n"
	       "\nConfiguration (docs/guest.cfg.md; --set takes the same names):\n");
	config_print_help(stdout);
	printf("\nDump strategies:\n");
	for (size_t i = 0; i < dump_nr_strategies; i++)
		printf("  %-12s %s\n", dump_strategies[i].name, dump_strategies[i].help);
	printf("\nPage selectors:\n");
	for (size_t i = 0; i < dump_nr_selectors; i++)
		printf("  %-12s %s\n", dump_selectors[i].name, dump_selectors[i].help);
	printf("\nFirmware calls (docs/firmware-calls.md):\n ");
	for (uint32_t i = 0; fw_call_name(i); i++)
		if (fw_call_supported(i))
			printf(" %s", fw_call_name(i));
	printf("\n\nExit codes:\n");
#define EXIT_CODE_HELP(name, value, text) printf("  %d  %s\n", value, text);
	EXIT_CODES(EXIT_CODE_HELP)
#undef EXIT_CODE_HELP
}

/*
 * A standard descriptor that is closed would be the next file that is opened: what is meant for the terminal would go
 * into a dump, or to KVM.
 */
static bool open_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0 && open("/", O_PATH) < 0)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!open_standard_fds())
		return EXIT_HOST;
	/* not for people: what dumper_spawn executes */
	if (name && argc == 2 && !strcmp(name, DUMPER_COMMAND))
		return dumper_main(DUMPER_SOCKET_FD);
	if (name && (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help"))) {
		print_help();
		return EXIT_OK;
	}
	if (name && !strcmp(name, "--version")) {
		printf("minivmm %s\n", MINIVMM_VERSION);
		return EXIT_OK;
	}
	for (size_t i = 0; name && i < ARRAY_LEN(commands); i++)
		if (!strcmp(name, commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	if (name)
		fprintf(stderr, "minivmm: no command '%s'; see minivmm --help\n", name);
	else
		fprintf(stderr, "Usage: minivmm run|ctl|check|info|dump ...; see minivmm --help\n");
	return EXIT_USAGE;
}
