/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/suites.h - the suites of the unit tests, one a file.
 *
 * A new file tests/unit/test_X.c defines one function here; main.c has a table of them.  No suite
 * needs KVM, root or a network.
 */
#ifndef TESTS_UNIT_SUITES_H
#define TESTS_UNIT_SUITES_H

#include <check.h>

Suite *suite_base(void);
Suite *suite_dump_dumper(void);
Suite *suite_dumper_lies(void);
Suite *suite_sandbox(void);
Suite *suite_sandbox_ways(void);
Suite *suite_guest_dump(void);
Suite *suite_dump_engine(void);
Suite *suite_dump_layout(void);
Suite *suite_dump_record(void);
Suite *suite_dump_vmcore(void);
Suite *suite_dump_locks(void);
Suite *suite_catalog(void);
Suite *suite_dump_places(void);
Suite *suite_dump_ways(void);
Suite *suite_dump_faults(void);
Suite *suite_campaign(void);
Suite *suite_reader(void);
Suite *suite_hostile_dumps(void);
Suite *suite_dump_output(void);
Suite *suite_salvage(void);
Suite *suite_quota(void);
Suite *suite_commit(void);
Suite *suite_salvage_kills(void);
Suite *suite_salvage_names(void);
Suite *suite_lz4_writer(void);
Suite *suite_lz4_reader(void);
Suite *suite_lz4_sums(void);
Suite *suite_options(void);
Suite *suite_pagewalk(void);
Suite *suite_select(void);
Suite *suite_dump_resume(void);
Suite *suite_dump_select(void);
Suite *suite_vmcoreinfo(void);
Suite *suite_linux_pages(void);
Suite *suite_linux_dump(void);
Suite *suite_linux_log(void);
Suite *suite_signature(void);
Suite *suite_save(void);
Suite *suite_pacer(void);
Suite *suite_drain(void);
Suite *suite_drain_faults(void);

Suite *suite_config(void);
Suite *suite_bus(void);
Suite *suite_memmap(void);
Suite *suite_bzimage(void);
Suite *suite_loader_linux(void);
Suite *suite_acpi(void);
Suite *suite_power(void);
Suite *suite_watchdog(void);
Suite *suite_serial(void);
Suite *suite_console(void);
Suite *suite_terminal(void);
Suite *suite_control(void);
Suite *suite_events(void);
Suite *suite_outlet(void);
Suite *suite_region(void);
Suite *suite_gate(void);
Suite *suite_budget(void);
Suite *suite_gmem(void);
Suite *suite_virtio_queue(void);
Suite *suite_virtio_mmio(void);
Suite *suite_virtio_blk(void);
Suite *suite_virtio_net(void);
Suite *suite_dump_dir(void);
Suite *suite_elf_image(void);
Suite *suite_loader(void);
Suite *suite_cpuid(void);
Suite *suite_dispatch(void);
Suite *suite_dispatch_block(void);
Suite *suite_event_queue(void);
Suite *suite_grants(void);
Suite *suite_guest_state(void);
Suite *suite_vm_command(void);
Suite *suite_jobs(void);
Suite *suite_config_values(void);
#endif /* TESTS_UNIT_SUITES_H */
