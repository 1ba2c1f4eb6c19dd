/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_rows.c - crashes that come while the last one is not over yet: each generation gets its own
 * dump, in order, and none is lost; and which crashes make a row.
 */
#include "tests/kvm/run.h"
#include "tests/kvm/suites.h"

#include <elf.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Dumps of generations 0 to @nr - 1 became complete one after the other. */
static void dumps_came_in_order(struct run *run, int nr)
{
	uint64_t last = 0;

	run_count(run, "dump-done", (unsigned)nr);
	run_count(run, "timeline", (unsigned)nr);
	for (int generation = 0; generation < nr; generation++) {
		uint64_t done = event_ns(run_event(run, "dump-done", generation));

		run_assert(run, done > last, "dump %d was done before the one before it", generation);
		last = done;
	}
}

START_TEST(a_recovery_vm_that_crashes_while_the_first_dump_is_running_is_dumped_after_it)
{
	struct process dumper;
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_start(&run,
		&(struct guest){.cmdline = "scenario=idle fill=pattern:30 on-recovery=idle generations=2",
			.more = "[dump]\nstall_timeout = 0"});
	run_await(&run, "ready", 0);
	run_find_dumper(&run, &dumper);
	ck_assert_int_eq(process_signal(&dumper, SIGSTOP), 0);
	run_signal(&run, SIGUSR1);
	run_await(&run, "ready", 1);
	run_signal(&run, SIGUSR1);
	run_await(&run, "crash", 1);
	/* nothing has been dumped, both VMs' memory has its name */
	run_count(&run, "dump-done", 0);
	run_await(&run, "dump-start", 1);
	run_assert(&run, run_files(&run, ".region.partial", NULL, 0) == 2, "not two regions");
	ck_assert_int_eq(process_signal(&dumper, SIGCONT), 0);
	process_close(&dumper);
	run_ends(&run, CODE_OK);
	dumps_came_in_order(&run, 2);
	for (int generation = 0; generation < 2; generation++) {
		run_dump_path(&run, generation, path, sizeof(path));
		run_judge(&run, path, generation, JUDGE_NO_REGISTERS, NULL);
	}
	run_assert(&run, !run_files(&run, ".partial", NULL, 0), "something partial is left");
	run_event(&run, "power-off", 2);
	run_finish(&run);
}
END_TEST

/* A kernel whose first instruction is none, and which has no table of handlers: the CPU shuts down. */
static void write_stillborn_kernel(const char *path)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr load, note_header;
		struct {
			Elf64_Nhdr header;
			char name[4];
			uint32_t entry, pad;
		} note;
		unsigned char code[16];
	} kernel = {
		.header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				   EV_CURRENT},
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2},
		.note = {.header = {.n_namesz = 4,
				 .n_descsz = 4,
				 .n_type = 18 /* XEN_ELFNOTE_PHYS32_ENTRY */},
			.name = "Xen",
			.entry = 0x100000},
		.code = {0x0f, 0x0b /* ud2 */},
	};
	size_t code = (size_t)((char *)kernel.code - (char *)&kernel);
	size_t note = (size_t)((char *)&kernel.note - (char *)&kernel);
	FILE *file = fopen(path, "we");

	kernel.load = (Elf64_Phdr){.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_offset = code,
		.p_vaddr = 0x100000,
		.p_paddr = 0x100000,
		.p_filesz = sizeof(kernel.code),
		.p_memsz = sizeof(kernel.code)};
	kernel.note_header = (Elf64_Phdr){.p_type = PT_NOTE,
		.p_offset = note,
		.p_filesz = sizeof(Elf64_Nhdr) + 8,
		.p_memsz = sizeof(Elf64_Nhdr) + 8,
		.p_align = 4};
	ck_assert(file && fwrite(&kernel, sizeof(kernel), 1, file) == 1 && !fclose(file));
}

START_TEST(recovery_vms_that_crash_in_their_first_instruction_are_dumped_and_their_row_ends)
{
	char kernel[300], more[512], path[512], reason[32];
	struct run run;

	NEEDS_KVM();
	run_prepare(&run);
	snprintf(kernel, sizeof(kernel), "%s/stillborn", run.dir);
	write_stillborn_kernel(kernel);
	snprintf(more, sizeof(more), "[recovery]\nkernel = %s\nmax = 3\nbackoff = 50ms", kernel);
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:20", .more = more});
	run_ends(&run, CODE_CRASHED);
	run_count(&run, "crash", 4);
	dumps_came_in_order(&run, 4);
	for (int generation = 1; generation < 4; generation++) {
		const char *crash = run_event(&run, "crash", generation);

		event_text(crash, "reason", reason, sizeof(reason));
		run_assert(&run, !strcmp(reason, "triple-fault") || !strcmp(reason, "internal-error"),
			"another crash than planned: %s", crash);
		run_dump_path(&run, generation, path, sizeof(path));
		if (generation > 1)
			run_assert(&run,
				event_ns(run_event(&run, "run", generation)) -
						event_ns(run_event(&run, "crash", generation - 1)) >=
					50 * NSEC_PER_MSEC,
				"no pause before generation %d", generation);
	}
	run_dump_path(&run, 0, path, sizeof(path));
	run_judge(&run, path, 0, 0, NULL);
	run_finish(&run);
}
END_TEST

START_TEST(ten_crashes_in_a_row_have_ten_dumps)
{
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref fill=pattern:30 generations=10",
				.vcpus = 2,
				.more = "[recovery]\nmax = 10\nbackoff = 0"});
	run_ends(&run, CODE_OK);
	run_count(&run, "crash", 10);
	dumps_came_in_order(&run, 10);
	for (int generation = 0; generation < 10; generation++) {
		run_dump_path(&run, generation, path, sizeof(path));
		run_judge(&run, path, generation, 0, NULL);
	}
	run_assert(&run, !run_files(&run, ".partial", NULL, 0), "something partial is left");
	run_finish(&run);
}
END_TEST

START_TEST(ten_crashes_within_a_quota_leave_the_newest_dumps)
{
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_start(&run,
		&(struct guest){.cmdline = "scenario=null-deref fill=pattern:30 generations=10",
			.more = "[dump]\nmax_count = 3\nrotate = yes\n[recovery]\nmax = 10\nbackoff = 0"});
	run_ends(&run, CODE_OK);
	dumps_came_in_order(&run, 10);
	run_assert(&run, run_files(&run, ".vmcore", NULL, 0) <= 3, "more than three dumps are left");
	run_dump_path(&run, 9, path, sizeof(path));
	run_judge(&run, path, 9, 0, NULL);
	run_finish(&run);
}
END_TEST

START_TEST(crashes_that_come_faster_than_their_dumps_wait_for_the_room_of_older_ones)
{
	struct process dumper;
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle fill=pattern:10",
				.recovery = "scenario=null-deref fill=pattern:10 generations=4",
				.more = "[dump]\nstall_timeout = 0\nmax_count = 1\nrotate = yes\n"
					"[recovery]\nhandover = none\nmax = 10\nbackoff = 0"});
	run_await(&run, "ready", 0);
	run_find_dumper(&run, &dumper);
	ck_assert_int_eq(process_signal(&dumper, SIGSTOP), 0);
	run_signal(&run, SIGUSR1);
	run_await(&run, "power-off", 4); /* four have crashed, and no dump has begun */
	run_count(&run, "dump-failed", 0);
	run_assert(
		&run, run_files(&run, ".region.partial", NULL, 0) == 4, "not every VM's memory has a name");
	ck_assert_int_eq(process_signal(&dumper, SIGCONT), 0);
	process_close(&dumper);
	run_ends(&run, CODE_OK);
	dumps_came_in_order(&run, 4);
	run_assert(&run, run_files(&run, ".vmcore", NULL, 0) == 1, "not one dump is left");
	run_assert(&run, !run_files(&run, ".partial", NULL, 0), "something partial is left");
	run_dump_path(&run, 3, path, sizeof(path));
	run_judge(&run, path, 3, 0, NULL);
	run_finish(&run);
}
END_TEST

/* ---- which crashes make a row (recovery.stable) ------------------------------------------------ */

START_TEST(vms_of_a_guest_that_never_reports_ready_are_stable_after_a_while)
{
	struct run run;

	NEEDS_KVM();
	/* five crashes, where a row may have two; a pause would last longer than a run may */
	run_start(&run, &(struct guest){.cmdline = "scenario=panic-call delay=600 generations=5",
				.more = "[recovery]\nmax = 2\nbackoff = 10m\nstable = 300ms"});
	run_ends(&run, CODE_OK);
	run_count(&run, "crash", 5);
	run_finish(&run);
}
END_TEST

START_TEST(a_vm_that_is_not_ready_is_not_stable_if_the_guest_has_been_ready_before)
{
	struct run run;

	NEEDS_KVM();
	run_start(&run,
		&(struct guest){
			.cmdline = "scenario=ready-panic on-recovery=panic-call delay=600 generations=9",
			.more = "[recovery]\nmax = 2\nbackoff = 0\nstable = 300ms"});
	run_ends(&run, CODE_CRASHED);
	run_count(&run, "crash", 3);
	run_finish(&run);
}
END_TEST

START_TEST(a_vm_that_hangs_at_once_is_not_stable_however_late_that_is_seen)
{
	struct run run;

	NEEDS_KVM();
	run_start(&run,
		&(struct guest){.cmdline = "scenario=hang generations=9",
			.more = "[vm]\nwatchdog = 2s\n[recovery]\nmax = 1\nbackoff = 0\nstable = 1500ms"});
	run_ends(&run, CODE_CRASHED);
	run_count(&run, "crash", 2);
	run_finish(&run);
}
END_TEST

START_TEST(a_timeline_does_not_wait_for_ever_for_a_guest_that_never_reports_ready)
{
	const char *timeline;
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=null-deref on-recovery=hang",
				.more = "[recovery]\nstable = 1s"});
	timeline = run_await(&run, "timeline", 0);
	run_assert(&run,
		event_ns(timeline) >= event_ns(run_event(&run, "run", 1)) + NSEC_PER_SEC &&
			!strstr(timeline, "\"ready\""),
		"too early, or ready: %s", timeline);
	run_count(&run, "crash", 1);
	run_stops(&run);
	run_count(&run, "timeline", 1);
	run_finish(&run);
}
END_TEST

Suite *suite_rows(void)
{
	Suite *suite = suite_create("rows");
	TCase *tcase = run_tcase(suite, "rows");

	tcase_add_test(
		tcase, a_recovery_vm_that_crashes_while_the_first_dump_is_running_is_dumped_after_it);
	tcase_add_test(
		tcase, recovery_vms_that_crash_in_their_first_instruction_are_dumped_and_their_row_ends);
	tcase_add_test(tcase, ten_crashes_in_a_row_have_ten_dumps);
	tcase_add_test(tcase, ten_crashes_within_a_quota_leave_the_newest_dumps);
	tcase_add_test(tcase, crashes_that_come_faster_than_their_dumps_wait_for_the_room_of_older_ones);
	tcase_add_test(tcase, vms_of_a_guest_that_never_reports_ready_are_stable_after_a_while);
	tcase_add_test(tcase, a_vm_that_is_not_ready_is_not_stable_if_the_guest_has_been_ready_before);
	tcase_add_test(tcase, a_vm_that_hangs_at_once_is_not_stable_however_late_that_is_seen);
	tcase_add_test(tcase, a_timeline_does_not_wait_for_ever_for_a_guest_that_never_reports_ready);
	return suite;
}
