/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/lie.h - hostile guests: scenarios that tell the VMM one kind of untruth, then panic.
 *
 * lie.c: false metadata in the panic call.  lie_calls.c: calls that make no sense; their statuses are compared with
 * what docs/firmware-calls.md promises, and a difference is a line "stub: error: ...".
 */
#ifndef GUEST_STUB_LIE_H
#define GUEST_STUB_LIE_H

struct config;

/* Scenarios (scenario.c); none returns. */
void lie_list_loop(const struct config *config);
void lie_list_range(const struct config *config);
void lie_list_overlap(const struct config *config);
void lie_list_huge(const struct config *config);
void lie_list_count(const struct config *config);
void lie_pages_range(const struct config *config);
void lie_pages_count(const struct config *config);
void lie_pages_garbage(const struct config *config);
void lie_string(const struct config *config);
void lie_regs(const struct config *config);
void lie_block(const struct config *config);
void lie_calls(const struct config *config);
void lie_streams(const struct config *config);
void lie_areas(const struct config *config);
void lie_events(const struct config *config);
void lie_race(const struct config *config);

#endif /* GUEST_STUB_LIE_H */
