/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/main.c - runs every suite; docs/testing.md tells how to run one.
 *
 * Each test is a process of its own (CK_FORK), so a crash is that test's failure.  The program is
 * also the dumper that a test spawns, because dumper_spawn executes /proc/self/exe.
 */
#include "dump/base/num.h"
#include "dump/dumper/dumper.h"
#include "tests/unit/chance.h"
#include "tests/unit/suites.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static Suite *(*const suites[])(void) = {
	suite_base,
	suite_dump_layout,
	suite_dump_record,
	suite_dump_engine,
	suite_dump_dumper,
	suite_dumper_lies,
	suite_sandbox,
	suite_sandbox_ways,
	suite_guest_dump,
	suite_dump_places,
	suite_dump_ways,
	suite_dump_faults,
	suite_campaign,
	suite_dump_vmcore,
	suite_reader,
	suite_hostile_dumps,
	suite_dump_output,
	suite_dump_locks,
	suite_catalog,
	suite_salvage,
	suite_quota,
	suite_commit,
	suite_salvage_kills,
	suite_salvage_names,
	suite_lz4_writer,
	suite_lz4_reader,
	suite_lz4_sums,
	suite_pagewalk,
	suite_select,
	suite_dump_resume,
	suite_dump_select,
	suite_vmcoreinfo,
	suite_linux_pages,
	suite_linux_dump,
	suite_linux_log,
	suite_signature,
	suite_save,
	suite_pacer,
	suite_drain,
	suite_drain_faults,
	suite_options,
	suite_config,
	suite_bus,
	suite_memmap,
	suite_bzimage,
	suite_loader_linux,
	suite_acpi,
	suite_power,
	suite_watchdog,
	suite_serial,
	suite_console,
	suite_terminal,
	suite_control,
	suite_events,
	suite_outlet,
	suite_region,
	suite_gate,
	suite_budget,
	suite_gmem,
	suite_virtio_queue,
	suite_virtio_mmio,
	suite_virtio_blk,
	suite_virtio_net,
	suite_dump_dir,
	suite_elf_image,
	suite_loader,
	suite_cpuid,
	suite_dispatch,
	suite_dispatch_block,
	suite_event_queue,
	suite_grants,
	suite_guest_state,
	suite_vm_command,
	suite_jobs,
	suite_config_values,
};

/* A dumper that takes what it is given and does nothing, until the other end is closed. */
static int sleep_as_dumper(void)
{
	char message[256];

	while (read(DUMPER_SOCKET_FD, message, sizeof(message)) > 0)
		;
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	SRunner *runner;
	int failed;

	if (argc > 1 && !strcmp(argv[1], DUMPER_COMMAND))
		return getenv("UNIT_TESTS_DUMPER") ? sleep_as_dumper() : dumper_main(DUMPER_SOCKET_FD);

	chance_init();
	runner = srunner_create(NULL);
	for (size_t i = 0; i < ARRAY_LEN(suites); i++)
		srunner_add_suite(runner, suites[i]());
	srunner_set_fork_status(runner, CK_FORK);
	srunner_run_all(runner, CK_ENV); /* CK_VERBOSITY; CK_RUN_SUITE and CK_RUN_CASE choose */
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
