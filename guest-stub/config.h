/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/config.h - the command line: "key=value key=value ...".
 */
#ifndef GUEST_STUB_CONFIG_H
#define GUEST_STUB_CONFIG_H

#include "guest-stub/dump.h"
#include "guest-stub/fill.h"
#include "guest-stub/scenario.h"

/* Filled by config_parse(), constant afterwards. */
struct config {
	const struct scenario *scenario;    /* what to do */
	const struct scenario *on_recovery; /* instead, in a recovery VM; null = the same */
	uint64_t generations;               /* from this generation on: ready-poweroff; 0 = never */
	uint64_t seed;
	uint64_t cpus;               /* at most so many are used */
	uint64_t heartbeat_ms;       /* 0 = none */
	uint64_t delay_ms;           /* before the scenario */
	uint64_t talk_kib;           /* of text printed before the scenario */
	uint64_t events;             /* 0: none is taken, and no memory that is added */
	uint64_t await_mib;          /* of memory, before anything is filled */
	uint64_t refill;             /* 0: a recovery fills nothing */
	uint64_t touch_mib;          /* scenario service: memory it touches */
	const struct scenario *then; /* scenario service: what it does next; null = idle */
	uint32_t nr_fills;
	struct fill fills[MAX_FILLS];
	uint32_t nr_select;
	const struct fill_kind *select[MAX_FILLS]; /* kinds of which the panic call selects the pages */
	struct dump_options dump;
};

/*
 * config_parse - fill in @config from @cmdline, which is cut up.
 * False: something is wrong; the console then says what, and what is allowed.
 */
bool config_parse(struct config *config, char *cmdline);

#endif /* GUEST_STUB_CONFIG_H */
