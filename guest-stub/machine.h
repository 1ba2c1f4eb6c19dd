/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/machine.h - the machine below: firmware calls, or what QEMU has in their place.
 *
 * Owns struct machine, the console buffer and the ways out (power off, reboot).  Ring 3, one CPU at a time:
 * the boot CPU, or in the crash path the CPU that crashed when all others are parked.
 */
#ifndef GUEST_STUB_MACHINE_H
#define GUEST_STUB_MACHINE_H

#include "guest-stub/cpu.h"
#include "guest-stub/text.h"

/* Codes of power_off(); the VMM reports them */
#define POWER_OFF_OK 0
#define POWER_OFF_USAGE 2  /* the command line or the boot information is wrong */
#define POWER_OFF_BROKEN 3 /* the stub or the VMM is: something that must not happen did */

/* Filled by machine_query(), constant afterwards. */
struct machine {
	bool firmware;       /* there are firmware calls */
	uint64_t calls;      /* bit n: call n is answered */
	uint64_t memory;     /* bytes of RAM, as the VMM says; 0 without firmware calls */
	uint64_t memory_max; /* the same of RAM that this VM can get to; 0: unknown */
	uint64_t memory_end; /* address behind the highest RAM of those; 0: unknown */
	uint64_t features;   /* FW_FEATURE_* */
	uint32_t events_gsi; /* input of the IOAPIC that tells of events; 0: none */
	uint32_t vcpus;      /* CPUs that can be started, at most MAX_CPUS */
	uint32_t generation; /* of this VM */
	uint32_t recovery;   /* 1: this VM replaces one that crashed */
	uint32_t tsc_khz;    /* 0: unknown */
	uint32_t dump_mode;  /* FW_DUMP_MODE_*: who is to dump after a panic call */
};

extern struct machine machine;

/* A panic without firmware calls: the stub that boots after a reset is to know. */
void crash_mark_set(void);

void machine_query(void);

/*
 * fw_call - one firmware call: fills in the header of @block and makes it.
 * @block is 64-byte aligned, @size bytes.  Returns the status; FW_ENOTSUP on a machine without calls.
 */
int32_t fw_call(void *block, uint16_t call, uint32_t size);
/* fw_prepare - the header alone; returns what is to be written to FW_PORT. */
uint32_t fw_prepare(void *block, uint16_t call, uint32_t size);

/* Console: text is collected and leaves the machine in con_flush(), in one call.  A line starts with "stub: ". */
void con_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void con_flush(void);
/* con_new_line - ends the line that a crash may have cut. */
void con_new_line(void);

/* report_ready - the service is up. */
void report_ready(void);
/* heartbeat - tells the VMM's watchdog that @progress was made. */
void heartbeat(uint64_t progress);

_Noreturn void power_off(uint32_t code);
_Noreturn void reboot(void);
/* cpu_halt_forever - interrupts stay on: the stop IPI of another CPU's crash still works. */
_Noreturn void cpu_halt_forever(void);

#endif /* GUEST_STUB_MACHINE_H */
