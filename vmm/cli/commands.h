/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/cli/commands.h - the command line: one table (main.c), one file a command.
 */
#ifndef VMM_CLI_COMMANDS_H
#define VMM_CLI_COMMANDS_H

#include <stdio.h>

struct command {
	const char *name;
	const char *usage; /* arguments, for --help */
	const char *help;  /* one line */
	/* @argv[0] is the command's name.  Result: exit code (exit_codes.h). */
	int (*run)(int argc, char **argv);
};

int command_run(int argc, char **argv);
int command_check(int argc, char **argv);
int command_info(int argc, char **argv);
int command_ctl(int argc, char **argv);
int command_dump(int argc, char **argv);

#endif /* VMM_CLI_COMMANDS_H */
