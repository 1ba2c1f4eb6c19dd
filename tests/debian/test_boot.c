/* SPDX-License-Identifier: Apache-2.0 */
/* tests/debian/test_boot.c - a stock kernel boots, works, powers off, reboots, and hears the power button */
#include "tests/debian/guests.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* The console has @count times @text with a number of @digits digits behind it, counting from 1. */
static void said_all(struct run *run, const char *text, int digits, unsigned count)
{
	static char console[1 << 20];
	const char *at = console;
	char line[128];

	read_file(run->console, console, sizeof(console));
	for (unsigned i = 1; i <= count; i++) {
		snprintf(line, sizeof(line), "%s%0*u", text, digits, i);
		at = strstr(at, line); /* in order */
		run_assert(run, at, "the console has no '%s', or not in its place", line);
	}
}

START_TEST(both_kernels_boot_with_2_vcpus_and_power_off)
{
	struct guest guest;
	struct run run;

	NEEDS_KVM();
	if (!linux_guest(__func__, kernels[_i], "poweroff", &guest))
		return;
	run_start(&run, &guest);
	run_ends(&run, CODE_OK);
	run_said(&run, "-amd64 2 CPUs");
	run_count(&run, "power-off", 1);
	run_count(&run, "crash", 0);
	run_finish(&run);
}
END_TEST

START_TEST(four_vcpus_and_memory_above_the_hole_are_used)
{
	struct guest guest;
	struct run run;

	NEEDS_KVM();
	if (!linux_guest(__func__, kernels[_i], "poweroff", &guest))
		return;
	guest.cmdline = "console=ttyS0 pci=off panic=-1 do=poweroff"; /* not quiet */
	guest.vcpus = 4;
	guest.memory = 4096;
	guest.more =
		"[vm]\nmemory_overcommit = yes"; /* it uses little of that, and the nested machine has less */
	run_start(&run, &guest);
	run_ends(&run, CODE_OK);
	run_said(&run, "-amd64 4 CPUs 4"); /* over 4,000,000 KiB of the 4,194,304 */
	run_said(&run, "[mem 0x0000000100000000-0x000000013fffffff] usable");
	run_finish(&run);
}
END_TEST

START_TEST(a_vmlinux_boots_by_pvh_with_its_initrd)
{
	struct guest guest;
	struct run run;

	NEEDS_KVM();
	if (!linux_guest_pvh(__func__, "6.1", "poweroff", &guest))
		return;
	run_start(&run, &guest);
	run_ends(&run, CODE_OK);
	run_said(&run, "-amd64 2 CPUs");
	run_said(&run, "clocksource kvm-clock");
	run_count(&run, "power-off", 1);
	run_finish(&run);
}
END_TEST

START_TEST(time_passes_at_the_right_pace_and_a_burst_on_the_console_is_complete)
{
	struct guest guest;
	struct run run;

	NEEDS_KVM();
	if (!linux_guest(__func__, kernels[_i], "burst", &guest))
		return;
	run_start(&run, &guest);
	run_ends(&run, CODE_OK);
	run_said(&run, "test: the end");
	said_all(&run, "kernel line ", 0, 100);
	said_all(&run, "user line ", 5, 400);
	run_said(&run, "test: slept well");
	run_finish(&run);
}
END_TEST

START_TEST(a_reboot_starts_a_new_vm_and_is_no_crash)
{
	struct guest guest;
	struct run run;

	NEEDS_KVM();
	if (!linux_guest(__func__, kernels[_i], "reboot", &guest))
		return;
	run_start(&run, &guest);
	run_await(&run, "reboot", 0);
	run_await(&run, "run", 1);
	run_signal(&run, SIGTERM); /* its ACPI driver does not listen yet: stopped at once */
	run_ends(&run, CODE_OK);
	run_count(&run, "crash", 0);
	run_finish(&run);
}
END_TEST

/* Both ways, one for each kernel. */
START_TEST(sigterm_and_ctl_stop_press_the_power_button_and_the_guest_powers_off)
{
	struct output output;
	struct guest guest;
	struct run run;

	NEEDS_KVM();
	if (!linux_guest(__func__, kernels[_i], "wait", &guest))
		return;
	run_start(&run, &guest);
	run_await_said(&run, "test: waits for the power button");
	if (_i) {
		run_signal(&run, SIGTERM);
	} else {
		run_minivmm(&run, &output, arg("ctl"), arg("--json"), run.dump_dir, arg("stop"), NULL);
		run_assert(&run, !output.code && strstr(output.out, "\"button\":true"), "ctl stop: %d %s%s",
			output.code, output.out, output.err);
	}
	run_ends(&run, CODE_OK);
	run_count(&run, "power-button", 1);
	run_count(&run, "power-off", 1);
	run_count(&run, "stop", 0);
	run_said(&run, "reboot: Power down");
	run_finish(&run);
}
END_TEST

Suite *suite_boot(void)
{
	Suite *suite = suite_create("boot");
	TCase *tcase = tcase_create("boot");

	tcase_set_timeout(tcase, TEST_TIMEOUT);
	tcase_add_loop_test(tcase, both_kernels_boot_with_2_vcpus_and_power_off, 0, NR_KERNELS);
	tcase_add_loop_test(tcase, four_vcpus_and_memory_above_the_hole_are_used, 0, nr_kernels());
	tcase_add_test(tcase, a_vmlinux_boots_by_pvh_with_its_initrd);
	tcase_add_loop_test(
		tcase, time_passes_at_the_right_pace_and_a_burst_on_the_console_is_complete, 0, 1);
	tcase_add_loop_test(tcase, a_reboot_starts_a_new_vm_and_is_no_crash, 0, nr_kernels());
	tcase_add_loop_test(
		tcase, sigterm_and_ctl_stop_press_the_power_button_and_the_guest_powers_off, 0, NR_KERNELS);
	suite_add_tcase(suite, tcase);
	return suite;
}
