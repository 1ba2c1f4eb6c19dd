/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/main.c - the body of the kernel, in ring 3, from the first line it prints to its scenario.
 *
 * docs/guest-stub.md is the manual: command line, contents of memory, what is printed.
 */
#include "guest-stub/config.h"
#include "guest-stub/events.h"
#include "guest-stub/machine.h"
#include "guest-stub/mem.h"
#include "guest-stub/select.h"
#include "guest-stub/smp.h"

_Noreturn void stub_main(uint64_t start_info);

static _Noreturn void give_up(const char *error)
{
	if (error)
		con_printf("stub: error: %s\n", error);
	power_off(POWER_OFF_USAGE);
}

static void print_banner(void)
{
	uint64_t bytes = machine.memory ? machine.memory : start.ram_pages << PAGE_SHIFT;

	con_printf("stub: minivmm guest-stub %s, %lu MiB, %u cpus, generation %u\n", MINIVMM_VERSION,
		bytes >> 20, machine.vcpus, machine.generation);
}

/* Which of the configured scenarios is this generation's. */
static const struct scenario *pick_scenario(const struct config *config)
{
	if (config->generations && machine.generation >= config->generations)
		return scenario_find("ready-poweroff");
	if (machine.recovery && config->on_recovery)
		return config->on_recovery;
	return config->scenario;
}

/* sleep_ms() with heartbeats. */
static void delay(const struct config *config)
{
	uint64_t step = config->heartbeat_ms;

	for (uint64_t left = config->delay_ms; left;) {
		uint64_t ms = step && step < left ? step : left;

		con_flush();
		if (step)
			heartbeat(0);
		sleep_ms(ms);
		left -= ms;
	}
}

/* Lines of 64 bytes, for those who want to see where a console's output ends up. */
static void talk(uint64_t kib)
{
	for (uint64_t i = 0; i < kib * 16; i++)
		con_printf("stub: talk .............................................. %u\n",
			(unsigned)(10000 + i % 10000));
}

void stub_main(uint64_t start_info)
{
	static struct config config;
	const struct scenario *scenario;
	const char *error = start_read(start_info);

	machine_query();
	print_banner();
	if (error || !config_parse(&config, start.cmdline))
		give_up(error);
	dump_options = config.dump;
	scenario = pick_scenario(&config);
	if (scenario->early)
		scenario->run(&config);
	error = mem_init();
	if (error)
		give_up(error);
	smp_start(config.cpus < machine.vcpus ? (uint32_t)config.cpus : machine.vcpus);
	if (!cpu_table[1]) /* else it does it */
		mem_mark_holes();
	if (config.events)
		events_init();
	events_await_total(config.await_mib, config.heartbeat_ms);
	if (machine.recovery && !config.refill)
		config.nr_fills = 0;
	fill_run(config.fills, config.nr_fills, config.seed, config.heartbeat_ms);
	select_prepare(&config);
	delay(&config);
	talk(config.talk_kib);
	con_printf("stub: scenario %s\n", scenario->name);
	con_flush();
	scenario->run(&config);
	power_off(POWER_OFF_OK);
}
