/* SPDX-License-Identifier: Apache-2.0 */
/* dump/base/pacer.c - see pacer.h; settings as text are in pacer_settings.c. */
#include "dump/base/pacer.h"

/* our choice: the size of a piece before there was one */
#define FIRST_PIECE ((double)KIB(256))
/* our choice: credit that is not used is kept for so long, and for so many bytes in any case */
#define KEEP_NS (20 * NSEC_PER_MSEC)
#define KEEP_BYTES ((double)MIB(1))
/* our choices, latency: where it begins; how often it is judged, by how many requests, by fewer after so long */
#define RATE_FIRST ((double)MIB(8))
#define JUDGE_NS (100 * NSEC_PER_MSEC)
#define JUDGE_REQUESTS 100u
#define JUDGE_LATEST_NS NSEC_PER_SEC
/* our choices: down fast, since the guest suffers; up slowly, since nobody does */
#define RATE_DOWN 0.5
#define RATE_UP 1.25

static double seconds(uint64_t ns)
{
	return (double)ns / (double)NSEC_PER_SEC;
}

static uint64_t since(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

static uint64_t load_get(const _Atomic uint64_t *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

/* ---- what the guest does ---------------------------------------------------------------------------------- */

/* The guest has requests, or may be about to have one. */
static bool is_beside(const struct pacer *pacer, uint64_t now_ns)
{
	uint64_t moved_ns, quiet_ns;

	if (!pacer->load)
		return false;
	moved_ns = load_get(&pacer->load->moved_ns);
	if (since(moved_ns, now_ns) > PACER_QUIET_NS)
		return false; /* not of this clock, and not to be believed */
	quiet_ns = since(now_ns, moved_ns);
	return quiet_ns < PACER_QUIET_NS || (disk_load_in_flight(pacer->load) && quiet_ns < PACER_STALE_NS);
}

/* When it may be seen at the earliest that it has none: one that is in flight may end now. */
static uint64_t quiet_at(const struct pacer *pacer, uint64_t now_ns)
{
	uint64_t moved_ns = u64_min(load_get(&pacer->load->moved_ns), now_ns);

	return u64_max((disk_load_in_flight(pacer->load) ? now_ns : moved_ns) + PACER_QUIET_NS, now_ns + 1);
}

static void count_requests(const struct pacer *pacer, uint64_t *ret_all, uint64_t *ret_slow)
{
	*ret_all = *ret_slow = 0;
	for (unsigned i = 0; i < DISK_LOAD_BUCKETS; i++) {
		uint64_t n = load_get(&pacer->load->latencies[i]);

		*ret_all += n;
		if (disk_load_bucket_end_ns(i) > pacer->settings.value)
			*ret_slow += n;
	}
}

/* ---- how fast --------------------------------------------------------------------------------------------- */

static double trickle(const struct pacer *pacer)
{
	return (double)PACER_TRICKLE * 100 / (100 - (double)(pacer->urgency < 100 ? pacer->urgency : 99));
}

/* Bytes of ours for each of the guest's. */
static double share(const struct pacer *pacer)
{
	uint64_t weight = pacer->settings.policy == PACER_BALANCED ? 50 : pacer->settings.value;

	weight = u64_min(weight + (100 - weight) * pacer->urgency / 100, PACER_WEIGHT_MAX);
	return (double)weight / (double)(100 - weight);
}

static bool is_weighed(const struct pacer *pacer)
{
	return pacer->settings.policy == PACER_WEIGHT || pacer->settings.policy == PACER_BALANCED;
}

/* Bytes a second beside the guest, as it looks now. */
static double speed(const struct pacer *pacer)
{
	double least = trickle(pacer), wanted = 0;

	if (pacer->settings.policy == PACER_RATE)
		return (double)pacer->settings.value;
	if (pacer->settings.policy == PACER_LATENCY)
		wanted = pacer->rate;
	else if (is_weighed(pacer))
		wanted = pacer->guest_rate * share(pacer);
	return wanted > least ? wanted : least;
}

static void start_judging(struct pacer *pacer, uint64_t now_ns)
{
	count_requests(pacer, &pacer->requests, &pacer->slow_requests);
	pacer->judged_ns = now_ns;
	pacer->written = 0;
}

/* latency: faster or slower than before, by the requests that ended since that was last asked. */
static void judge(struct pacer *pacer, uint64_t now_ns)
{
	uint64_t all, slow, passed = since(now_ns, pacer->judged_ns);

	if (passed < JUDGE_NS)
		return;
	count_requests(pacer, &all, &slow);
	if (all - pacer->requests < JUDGE_REQUESTS && passed < JUDGE_LATEST_NS)
		return;
	/* none that ended: those that are in flight take longer than anybody wants */
	if (all == pacer->requests || (slow - pacer->slow_requests) * 100 > all - pacer->requests)
		pacer->rate *= RATE_DOWN;
	/* one that the disk did not keep up with says nothing of a higher one */
	else if (pacer->written > pacer->rate * seconds(passed) / 2)
		pacer->rate *= RATE_UP;
	if (pacer->rate < trickle(pacer))
		pacer->rate = trickle(pacer);
	if (pacer->rate > (double)PACER_RATE_MAX)
		pacer->rate = (double)PACER_RATE_MAX;
	start_judging(pacer, now_ns);
}

/* ---- credit ----------------------------------------------------------------------------------------------- */

/* The guest's first request after it had none: nothing has been earned beside it, and a piece has to be. */
static void begin_beside(struct pacer *pacer, uint64_t now_ns)
{
	pacer->filled_ns = now_ns;
	pacer->credit = -pacer->last;
	pacer->seen_cost = load_get(&pacer->load->cost);
	pacer->guest_rate = 0;
	if (pacer->settings.policy == PACER_LATENCY)
		start_judging(pacer, now_ns);
}

/* What the guest's requests have earned us since then. */
static double earned_beside(struct pacer *pacer, uint64_t passed)
{
	uint64_t cost = load_get(&pacer->load->cost);
	double more = (double)(cost - pacer->seen_cost);

	pacer->guest_rate = (pacer->guest_rate * seconds(KEEP_NS) + more) / seconds(KEEP_NS + passed);
	pacer->seen_cost = cost;
	return more * share(pacer);
}

static void fill(struct pacer *pacer, uint64_t now_ns)
{
	uint64_t passed = since(now_ns, pacer->filled_ns);
	double more, most;

	if (!passed)
		return;
	if (is_weighed(pacer)) {
		double least = trickle(pacer) * seconds(passed);

		more = earned_beside(pacer, passed);
		more = more > least ? more : least;
	} else {
		more = speed(pacer) * seconds(passed);
	}
	most = speed(pacer) * seconds(KEEP_NS);
	if (pacer->settings.policy != PACER_RATE && most < KEEP_BYTES)
		most = KEEP_BYTES;
	pacer->filled_ns = now_ns;
	pacer->credit += more;
	if (pacer->credit > most)
		pacer->credit = most;
}

/* When the credit will be there, if all goes on as it does. */
static uint64_t paid_at(const struct pacer *pacer, uint64_t now_ns)
{
	double ns = -pacer->credit / speed(pacer) * (double)NSEC_PER_SEC;

	return now_ns + (uint64_t)ns + 1;
}

static bool never_waits(const struct pacer *pacer)
{
	switch (pacer->settings.policy) {
	case PACER_OFF:
	case PACER_MEMORY_FIRST:
		return true;
	case PACER_RATE:
		return false;
	default:
		return pacer->urgency >= 100;
	}
}

uint64_t pacer_ask(struct pacer *pacer, uint64_t now_ns)
{
	bool capped = pacer->settings.policy == PACER_RATE;

	if (never_waits(pacer))
		return 0;
	if (!capped && !is_beside(pacer, now_ns)) {
		pacer->beside = false;
		return 0;
	}
	if (!capped && !pacer->beside) {
		pacer->beside = true;
		begin_beside(pacer, now_ns);
	}
	if (pacer->settings.policy == PACER_LATENCY)
		judge(pacer, now_ns);
	fill(pacer, now_ns);
	if (pacer->credit > -1) /* not a byte: what rounding leaves */
		return 0;
	return capped ? paid_at(pacer, now_ns) : u64_min(paid_at(pacer, now_ns), quiet_at(pacer, now_ns));
}

void pacer_took(struct pacer *pacer, uint64_t now_ns, uint64_t bytes)
{
	if (bytes)
		pacer->last = (double)bytes;
	if (pacer->settings.policy != PACER_RATE && !pacer->beside)
		return; /* beside nobody nothing is owed */
	fill(pacer, now_ns);
	pacer->credit -= (double)bytes;
	pacer->written += (double)bytes;
}

void pacer_init(struct pacer *pacer, const struct pacer_settings *settings, const struct disk_load *load,
	uint64_t now_ns)
{
	*pacer = (struct pacer){.load = load, .last = FIRST_PIECE};
	pacer_change(pacer, settings, now_ns);
}

void pacer_change(struct pacer *pacer, const struct pacer_settings *settings, uint64_t now_ns)
{
	pacer->settings = *settings;
	pacer->filled_ns = now_ns;
	pacer->credit = 0;
	pacer->beside = false;
	pacer->rate = RATE_FIRST;
}

void pacer_set_urgency(struct pacer *pacer, unsigned percent)
{
	pacer->urgency = percent < 100 ? percent : 100;
}
