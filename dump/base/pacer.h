/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/base/pacer.h - when the next piece of a long copy may go to a disk that a guest uses as well.
 *
 *      pacer_ask(now)  -> 0: go     -> when: ask again then, nothing will have changed before
 *      pacer_took(now, bytes)  after each piece
 *
 *      off            never waits
 *      rate=BYTES     so many bytes a second, whatever the guest does
 *      weight=N       N per cent of what the disk does, as long as the guest has requests
 *      latency=TIME   as fast as 99 of 100 requests of the guest still take less than TIME
 *      guest-first    nothing but a trickle, as long as the guest has requests
 *      balanced       weight=50
 *      memory-first   never waits: whoever waits for the memory behind the dump matters more than the disk
 *
 * All but rate are work-conserving: a guest without requests slows nothing down.  All but rate leave at least a
 * trickle, whatever the guest does: the copy comes to its end.  The trickle grows with the urgency, which is how much
 * the memory behind the copy is wanted; at 100 % only a rate holds the copy up.
 *
 * A struct is told the time and never asks for it, never sleeps and never spins: the caller waits.  What has been
 * written is paid for afterwards, so a piece of any size passes, and the next one waits the longer.
 *
 * Locks: none; the copier's alone.  The load is written by others meanwhile (disk_load.h).
 */
#ifndef DUMP_BASE_PACER_H
#define DUMP_BASE_PACER_H

#include "dump/base/disk_load.h"
#include "dump/base/num.h"

enum pacer_policy {
	PACER_OFF,
	PACER_RATE,
	PACER_WEIGHT,
	PACER_LATENCY,
	PACER_GUEST_FIRST,
	PACER_BALANCED,
	PACER_MEMORY_FIRST,
	PACER_POLICIES
};

/* our choice: what is left in any case, bytes a second.  A piece of 256 KiB each eighth of a second */
#define PACER_TRICKLE MIB(2)
/* our choice: so long after its last request a guest may be about to send the next one */
#define PACER_QUIET_NS (5 * NSEC_PER_MSEC)
/* our choice: requests of which none ends in this time are not believed: the VMM that counted them may be dead */
#define PACER_STALE_NS (10 * NSEC_PER_SEC)
/* our choices: bounds of values */
#define PACER_RATE_MIN MIB(1)
#define PACER_RATE_MAX GIB(1024)
#define PACER_WEIGHT_MAX 99u
#define PACER_LATENCY_MIN_NS (10 * NSEC_PER_USEC)
#define PACER_LATENCY_MAX_NS (60 * NSEC_PER_SEC)

struct pacer_settings {
	enum pacer_policy policy;
	uint64_t value; /* rate: bytes a second; weight: per cent; latency: ns; else 0 */
};

struct pacer {
	struct pacer_settings settings;
	const struct disk_load *load; /* borrowed; NULL = no guest uses this disk */
	unsigned urgency;             /* per cent */

	/* Its own. */
	uint64_t filled_ns; /* until when @credit has been filled */
	double credit;      /* bytes that may go; below 0: how many have gone too early */
	double last;        /* bytes of the last piece: about as many as the next one will have */
	bool beside;        /* the guest had requests when it was last looked at */
	uint64_t seen_cost; /* of the guest's requests, as far as they are in @credit */
	double guest_rate;  /* their cost in a second, of late */

	/* latency: what is right as far as is known, and what had been counted when that was last judged */
	double rate; /* bytes a second */
	uint64_t judged_ns, requests, slow_requests;
	double written; /* bytes since then */
};

/*
 * pacer_parse - "guest-first", "rate=100M", "weight=10", "latency=5ms" (units K M G T; ns us ms s).
 * Errors: -EINVAL if it is no policy; -ERANGE if its value is out of bounds.
 */
int warn_unused pacer_parse(const char *text, struct pacer_settings *ret);

/* Writes it so that pacer_parse() reads it. */
void pacer_format(const struct pacer_settings *settings, char *buf, size_t size);

/* True if the policy looks at what the guest does. */
bool pacer_wants_load(const struct pacer_settings *settings);

void pacer_init(struct pacer *pacer, const struct pacer_settings *settings, const struct disk_load *load,
	uint64_t now_ns);

/* Goes on under other settings, from now on. */
void pacer_change(struct pacer *pacer, const struct pacer_settings *settings, uint64_t now_ns);

/* How much the memory behind the copy is wanted, in per cent; above 100 counts as 100. */
void pacer_set_urgency(struct pacer *pacer, unsigned percent);

/* pacer_ask - 0: the next piece may go; else when to ask again, later than @now_ns. */
uint64_t pacer_ask(struct pacer *pacer, uint64_t now_ns);

/* A piece of @bytes has gone to the disk, and is there by @now_ns. */
void pacer_took(struct pacer *pacer, uint64_t now_ns, uint64_t bytes);

#endif /* DUMP_BASE_PACER_H */
