/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/crew.h - work for parked CPUs: how all CPUs of a crashed guest help with its dump.
 *
 * For the CPU that crashed, after the others have parked (crash.c).  A CPU that did not park is left alone.
 */
#ifndef GUEST_STUB_CREW_H
#define GUEST_STUB_CREW_H

#include "guest-stub/cpu.h"

/* crew_run - @job once on every parked CPU and on @self; returns when they are parked again. */
void crew_run(struct cpu *self, void (*job)(struct cpu *cpu));

/* crew_send - @job on one parked CPU, and no waiting for its end.  False: no CPU is parked. */
bool crew_send(void (*job)(struct cpu *cpu));

/* crew_size - number of CPUs that crew_run() would use, the caller included. */
uint32_t crew_size(void);

/* On a parked CPU, from crash_work (park.S). */
void crew_work(struct cpu *cpu);

#endif /* GUEST_STUB_CREW_H */
