/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/devices/serial.h - a 16550A serial port: output to the console, input from it, interrupts.
 *
 * Source: National Semiconductor PC16550D data sheet; register names as there.
 * Locks: lock guards all registers; handlers run on vCPU threads, serial_input on the event loop.
 */
#ifndef VMM_DEVICES_SERIAL_H
#define VMM_DEVICES_SERIAL_H

#include "vmm/devices/bus.h"
#include "vmm/host/console.h"

#include <pthread.h>

/* our choice: more than the 16 bytes of the chip, so that a pasted file survives until the guest has read it */
#define SERIAL_FIFO 65536
#define SERIAL_PORTS 8

struct serial {
	struct console *console;                   /* borrowed */
	const _Atomic bool *stop;                  /* borrowed: the VM is to be stopped */
	const uint32_t *generation;                /* borrowed: of the VM, whose output this is */
	void (*set_irq)(void *opaque, bool level); /* called with lock held */
	void *opaque;                              /* borrowed: argument of set_irq */
	pthread_mutex_t lock;
	uint8_t ier, lcr, mcr, scr, fcr, dll, dlm;
	bool thr_empty_pending;    /* transmitter-empty interrupt not yet seen by IIR */
	bool irq_level;            /* as last told to set_irq */
	uint8_t fifo[SERIAL_FIFO]; /* received, not yet read: ring */
	uint32_t fifo_head, fifo_count;
};

void serial_init(struct serial *serial, struct console *console, const uint32_t *generation,
	const _Atomic bool *stop, void (*set_irq)(void *opaque, bool level), void *opaque);
void serial_fini(struct serial *serial);

/* Claims SERIAL_PORTS ports at @base. */
int warn_unused serial_add(struct serial *serial, struct bus *ports, uint64_t base);

/* Input for the guest; what does not fit in the FIFO is dropped, as on a line without flow control. */
void serial_input(struct serial *serial, const char *bytes, size_t len);

#endif /* VMM_DEVICES_SERIAL_H */
