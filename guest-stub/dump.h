/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/dump.h - crash drivers: how a guest dumps its own memory when the VMM asks it to.
 *
 *      RAM     |--range--|      |------------------range------------------|
 *      windows |----1----|      |-----2-----|-----3-----|-----4-----|--5--|     cut in order, some open at a time
 *      pieces                   |--|--|--|--|                                   each moved by any CPU
 *
 * dump.c cuts and hands out the work, a driver opens, moves and closes.  Runs after all other CPUs have
 * parked and FW_PANIC_BEGIN has been accepted; allocates nothing, prints on the CPU that crashed only.
 */
#ifndef GUEST_STUB_DUMP_H
#define GUEST_STUB_DUMP_H

#include "guest-stub/cpu.h"
#include "guest-stub/mem.h"

/* From the command line (config.c); constant afterwards. */
struct dump_options {
	uint64_t streams;       /* open at a time; 0: one for each CPU */
	uint64_t areas;         /* of added memory at a time; 0: one for each CPU */
	uint64_t piece_kib;     /* moved at a time */
	uint64_t used;          /* 1: leave out free pages */
	uint64_t release;       /* 1: give memory back as soon as it is written */
	uint64_t crash_in_dump; /* 1: fault after half of the work */
	uint64_t hang_in_dump;  /* 1: spin after half of the work */
};

extern struct dump_options dump_options;

/* A part of RAM that is open for dumping. */
struct window {
	uint32_t lock;   /* guards what follows; moving needs it only if the driver says so */
	uint32_t moving; /* CPUs that are moving a piece */
	bool open;
	uint64_t start, end; /* guest-physical, multiples of 4 KiB, inside one range of RAM */
	uint64_t next;       /* where the next piece begins */
	uint64_t handle;     /* the driver's: number of the stream, address of the added memory */
};

struct dump_driver {
	const char *name;
	const char *windows;         /* what its windows are called */
	enum mem_pages (*cut)(void); /* of which frames windows consist */
	bool in_order;               /* pieces of a window must be moved one after the other */
	/* Each of them: a status of the VMM.  May be called by any CPU, several at once for different windows. */
	int32_t (*open)(struct cpu *cpu, struct window *window); /* fills in window->handle */
	int32_t (*move)(struct cpu *cpu, const struct window *window, uint64_t from, uint64_t len);
	int32_t (*close)(struct cpu *cpu, const struct window *window);
};

extern const struct dump_driver dump_hypercall, dump_addmem;

/* dump_driver_find - the driver for machine.dump_mode, or null: then the VMM dumps. */
const struct dump_driver *dump_driver_find(void);

/* dump_run - dump with all parked CPUs and @self.  False: the VMM refused something; the console says what. */
bool dump_run(const struct dump_driver *driver, struct cpu *self);

#endif /* GUEST_STUB_DUMP_H */
