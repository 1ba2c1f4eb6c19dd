/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/events.h - what the VMM tells while the guest runs: firmware calls 8 and 9, and their interrupt.
 *
 * Boot CPU only.  Nothing happens in a VM whose memory does not grow (fw_query.features).
 */
#ifndef GUEST_STUB_EVENTS_H
#define GUEST_STUB_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

/* events_init - lets the interrupt in, and takes what waits already.  After mem_init(). */
void events_init(void);

/* events_take - takes all memory into use that the VMM has announced, and acknowledges it.  False: there was none. */
bool events_take(void);

/*
 * events_await_memory - halts until the VMM has added memory, with a heartbeat every @heartbeat_ms milliseconds unless
 * that is 0.  False: all has come that there will ever be.
 */
bool events_await_memory(uint64_t heartbeat_ms);

/* events_await_total - the same until the guest has @mib MiB, or all that there will be. */
void events_await_total(uint64_t mib, uint64_t heartbeat_ms);

/*
 * idle_forever - halts the boot CPU, with a heartbeat every @heartbeat_ms milliseconds unless that is 0; takes memory
 * that comes.
 */
_Noreturn void idle_forever(uint64_t heartbeat_ms);

/* How often the interrupt of events came: struct cpu counts it (trap.c). */
uint32_t events_interrupts(void);

#endif /* GUEST_STUB_EVENTS_H */
