/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/cli/cmd_ctl.h - answers and events of the control socket, for people.  @answer and @event are lines of JSON
 * that may come from anywhere: what is missing in them is left out.
 */
#ifndef VMM_CLI_CMD_CTL_H
#define VMM_CLI_CMD_CTL_H

#include "dump/base/num.h"
#include "vmm/base/json_read.h"

#include <stdio.h>

/*
 * ctl_status_text - the member @name, a text, of what the guest @guest (as in "minivmm ctl GUEST") answers to "status"; "" if
 * it has none.  Result: an exit code, reported unless EXIT_OK.
 */
int warn_unused ctl_status_text(const char *guest, const char *name, char *buf, size_t size);

/* What an accepted @command did, or found out. */
void ctl_print_answer(const char *command, struct json_slice answer, FILE *out);

/* "08:07:28.592 generation 1: crash reason=panic cpu=0" */
void ctl_print_event(struct json_slice event, FILE *out);

#endif /* VMM_CLI_CMD_CTL_H */
