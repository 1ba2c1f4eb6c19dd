/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/calls.h - what a firmware call costs the guest: many of the cheapest, timed from within.
 */
#ifndef GUEST_STUB_CALLS_H
#define GUEST_STUB_CALLS_H

struct config;

/*
 * calls_run - scenario calls: prints the mean time of a port read that leaves the guest and of an FW_QUERY, reports
 * ready.  Boot CPU, ring 3.  Without firmware calls there is no line for FW_QUERY, and times are in ticks
 * of the TSC alone.
 */
void calls_run(const struct config *config);

#endif /* GUEST_STUB_CALLS_H */
