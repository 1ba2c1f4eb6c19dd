/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/guest_state.c - see guest_state.h */
#include "vmm/supervisor/guest_state.h"

#include <stdint.h>

#define BIT(state) (1u << GUEST_##state)
#define ANY_WAIT (BIT(WAITS_BACKOFF) | BIT(WAITS_DUMP) | BIT(WAITS_MEMORY) | BIT(WAITS_STANDBY))
/* after a crash of the running VM */
#define CRASHED (BIT(RUNS) | ANY_WAIT | BIT(ENDING))

static const struct {
	const char *name;
	uint32_t next; /* BIT() of each that may follow */
} states[GUEST_STATES] = {
	[GUEST_STARTS] = {"starting", BIT(RUNS) | BIT(ENDING)},
	[GUEST_RUNS] = {"running", CRASHED | BIT(READY) | BIT(PAUSED) | BIT(STOPPING) | BIT(WAITS_REBOOT)},
	[GUEST_READY] = {"ready", CRASHED | BIT(PAUSED) | BIT(STOPPING) | BIT(WAITS_REBOOT)},
	[GUEST_PAUSED] = {"paused", CRASHED | BIT(READY) | BIT(STOPPING) | BIT(WAITS_REBOOT)},
	[GUEST_WAITS_BACKOFF] = {"waits-backoff", CRASHED},
	[GUEST_WAITS_DUMP] = {"waits-dump", CRASHED},
	[GUEST_WAITS_MEMORY] = {"waits-memory", CRASHED},
	[GUEST_WAITS_STANDBY] = {"waits-standby", CRASHED},
	[GUEST_WAITS_REBOOT] = {"waits-reboot", BIT(RUNS) | BIT(ENDING)},
	[GUEST_STOPPING] = {"stopping", BIT(PAUSED) | BIT(ENDING)},
	[GUEST_ENDING] = {"ending", 0},
};

const char *guest_state_name(enum guest_state state)
{
	return states[state].name;
}

bool guest_state_may_follow(enum guest_state from, enum guest_state to)
{
	return states[from].next >> to & 1;
}
