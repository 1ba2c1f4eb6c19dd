/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/scenario.c - see scenario.h.
 */
#include "guest-stub/calls.h"
#include "guest-stub/config.h"
#include "guest-stub/crash.h"
#include "guest-stub/events.h"
#include "guest-stub/lie.h"
#include "guest-stub/machine.h"
#include "guest-stub/service.h"
#include "guest-stub/smp.h"

static void null_deref(const struct config *config)
{
	uint64_t *nowhere = NULL;

	(void)config;
	__asm__("" : "+r"(nowhere)); /* the compiler must not know that it is null */
	*nowhere = 1;
}

static void null_deref_unless_boot_cpu(struct cpu *cpu, void *arg)
{
	(void)arg;
	if (cpu != &bsp_cpu)
		null_deref(NULL);
}

/* The boot CPU computes meanwhile; with one CPU there is nobody to crash. */
static void null_deref_ap(const struct config *config)
{
	(void)config;
	smp_run(null_deref_unless_boot_cpu, NULL);
}

static void panic_call(const struct config *config)
{
	(void)config;
	panic("requested by scenario=panic-call");
}

static void div_zero(const struct config *config)
{
	(void)config;
	__asm__ volatile("xorl %%ecx, %%ecx; movl $1, %%eax; cltd; idivl %%ecx" : : : "eax", "ecx", "edx");
}

static void triple_fault(const struct config *config)
{
	(void)config;
	gate(GATE_NO_IDT, 0, 0);
	__asm__ volatile("ud2");
}

static void hang(const struct config *config)
{
	if (config->heartbeat_ms)
		heartbeat(0); /* a watchdog that waits for the first one before it watches */
	for (;;)
		cpu_relax();
}

static void do_reboot(const struct config *config)
{
	(void)config;
	reboot();
}

static void ready_poweroff(const struct config *config)
{
	(void)config;
	report_ready();
}

static void panic_early(const struct config *config)
{
	(void)config;
	crash_early("requested by scenario=panic-early");
}

static void ready_panic(const struct config *config)
{
	(void)config;
	report_ready();
	panic("requested by scenario=ready-panic");
}

static void idle(const struct config *config)
{
	report_ready();
	idle_forever(config->heartbeat_ms);
}

static const struct scenario scenarios[] = {
	{"null-deref", "write through a null pointer", null_deref, false},
	{"null-deref-ap", "the same on all CPUs but the boot CPU, at once", null_deref_ap, false},
	{"panic-call", "panic without a fault", panic_call, false},
	{"div-zero", "divide by zero", div_zero, false},
	{"triple-fault", "fault without an IDT", triple_fault, false},
	{"hang", "spin for ever, without heartbeats", hang, false},
	{"reboot", "ask for a reboot", do_reboot, false},
	{"ready-poweroff", "report ready, power off", ready_poweroff, false},
	{"panic-early", "panic before memory is set up", panic_early, true},
	{"ready-panic", "report ready, then panic", ready_panic, false},
	{"lie-list-loop", "selection list under a page table that loops", lie_list_loop, false},
	{"lie-list-range", "selection list and tables outside RAM", lie_list_range, false},
	{"lie-list-overlap", "65536 tuples that are all of RAM", lie_list_overlap, false},
	{"lie-list-huge", "tuples of 2^52 to 2^64 pages", lie_list_huge, false},
	{"lie-list-count", "2^60 + 1 tuples", lie_list_count, false},
	{"lie-pages-range", "page descriptors that leave RAM", lie_pages_range, false},
	{"lie-pages-count", "2^60 page descriptors", lie_pages_count, false},
	{"lie-pages-garbage", "random page descriptors", lie_pages_garbage, false},
	{"lie-string", "message outside RAM", lie_string, false},
	{"lie-regs", "2^32 - 1 register areas", lie_regs, false},
	{"lie-block", "call blocks that are wrong in every way", lie_block, false},
	{"lie-calls", "calls that make no sense", lie_calls, false},
	{"lie-streams", "streams that are not allowed, then a proper dump", lie_streams, false},
	{"lie-areas", "added memory that is not allowed, then a proper dump", lie_areas, false},
	{"lie-events", "polls and acknowledgements that make no sense, memory that is not there yet",
		lie_events, false},
	{"lie-race", "what is passed changes during the call", lie_race, false},
	{"service", "touch memory (touch=), report ready, go on (then=) or idle", service_run, false},
	{"calls", "time a port read and a firmware call, report ready", calls_run, false},
	{"idle", "report ready, then halt; heartbeats if heartbeat= is given", idle, false},
};

const struct scenario *scenario_find(const char *name)
{
	for (uint32_t i = 0; i < ARRAY_LEN(scenarios); i++)
		if (str_equal(scenarios[i].name, name))
			return &scenarios[i];
	return NULL;
}

void scenario_print_all(void)
{
	for (uint32_t i = 0; i < ARRAY_LEN(scenarios); i++)
		con_printf("stub:   scenario %s: %s\n", scenarios[i].name, scenarios[i].help);
}
