/* SPDX-License-Identifier: Apache-2.0 */
/* tests/debian/test_crash.c - a stock kernel panics or hangs, is dumped, and comes back */
#include "tests/debian/guests.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Panics; the recovery VM powers off. */
static bool panics(const char *test, int kernel, const char *more, struct run *run)
{
	static char recovery[256];
	struct guest guest;

	if (!linux_guest(test, kernels[kernel], "panic", &guest))
		return false;
	snprintf(recovery, sizeof(recovery), "console=ttyS0 quiet pci=off panic=-1 do=poweroff");
	guest.recovery = recovery;
	guest.more = more;
	run_start(run, &guest);
	run_ends(run, CODE_OK);
	return true;
}

START_TEST(a_panic_is_seen_through_pvpanic_dumped_and_recovered_from)
{
	struct run run;
	char path[512];
	struct output output;
	const char *crash;

	NEEDS_KVM();
	if (!panics(__func__, _i, "[dump]\nstrategy = vmapp", &run))
		return;
	crash = run_event(&run, "crash", 0);
	run_assert(&run, strstr(crash, "\"reason\":\"pvpanic\""), "%s", crash);
	run_said(&run,
		"sysrq: Trigger a crash"); /* the panic's own line may not be flushed yet: it is in the dump */
	run_said(&run, "do=poweroff");
	run_event(&run, "run", 1);
	run_count(&run, "dump-done", 1);
	run_count(&run, "power-off", 1);
	run_dump_path(&run, 0, path, sizeof(path));
	run_program(
		&run, &output, (char *[]){arg("/usr/bin/env"), arg("readelf"), arg("-hln"), path, NULL});
	run_assert(&run, !output.code && strstr(output.out, "CORE") && strstr(output.out, "QEMU"),
		"readelf: %d\n%.600s%.300s", output.code, output.out, output.err);
	run_finish(&run);
}
END_TEST

START_TEST(a_dump_in_place_holds_the_kernels_log)
{
	struct run run;
	char path[512];
	struct output output;

	NEEDS_KVM();
	if (!panics(__func__, _i, "[dump]\nstrategy = remap", &run))
		return;
	run_dump_path(&run, 0, path, sizeof(path));
	run_program(&run, &output,
		(char *[]){arg("/usr/bin/env"), arg("grep"), arg("-c"), arg("-a"),
			arg("Kernel panic - not syncing: sysrq triggered crash"), path, NULL});
	run_assert(&run, !output.code, "no panic message in %s", path);
	run_program(&run, &output,
		(char *[]){arg("/usr/bin/env"), arg("grep"), arg("-c"), arg("-a"), arg("^OSRELEASE="), path,
			NULL});
	run_finish(&run);
}
END_TEST

/* ---- kernels of a few bytes: crash-loaded, hangs --------------------------------------------------- */

/* A kernel of a few bytes: ELF64, PVH entry at 1 MiB. */
static void write_kernel(const char *path, const unsigned char *code, size_t len)
{
	static const unsigned char head[] = {/* ELF header: EXEC, x86-64, 2 program headers at 64 */
		0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0, 1, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 56, 0, 2,
		0, 0, 0, 0, 0, 0, 0,
		/* PT_LOAD: offset 256, 64 bytes to 1 MiB */
		1, 0, 0, 0, 7, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0,
		0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0,
		/* PT_NOTE: offset 192, 20 bytes */
		4, 0, 0, 0, 4, 0, 0, 0, 192, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0};
	static const unsigned char note[] = {
		4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0, 'X', 'e', 'n', 0, 0, 0, 16, 0};
	unsigned char file[256 + 64] = {0};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memcpy(file, head, sizeof(head));
	memcpy(file + 192, note, sizeof(note));
	memcpy(file + 256, code, len);
	ck_assert(fd >= 0 && write(fd, file, sizeof(file)) == (ssize_t)sizeof(file) && !close(fd));
}

START_TEST(a_guest_that_runs_a_crash_kernel_of_its_own_is_left_alone_and_not_dumped)
{
	static const unsigned char code[] = {
		0x66, 0xba, 0x05, 0x05,                   /* mov dx, 0x505: pvpanic */
		0xec,                                     /* in al, dx: what it understands */
		0x24, 0x02,                               /* and al, 2 */
		0x74, 0xfe,                               /* jz .: never mind, then */
		0xee, 0xee,                               /* out dx, al, twice: crash-loaded */
		0xb9, 0x00, 0x00, 0x00, 0x01, 0xe2, 0xfe, /* what it dumps: mov ecx, 1 << 24; loop . */
		0x66, 0xba, 0x00, 0x06, 0xb0, 0x34, 0xee, /* mov dx, 0x600; mov al, S5 and enable; out */
		0xf4                                      /* hlt */
	};
	struct run run, prepared;
	char kernel[400];

	NEEDS_KVM();
	run_prepare(&prepared);
	snprintf(kernel, sizeof(kernel), "%s/kernel", prepared.dir);
	write_kernel(kernel, code, sizeof(code));
	run_start(&run, &(struct guest){.kernel = kernel, .cmdline = "", .memory = 16});
	run_ends(&run, CODE_OK);
	run_count(&run, "crash-loaded", 1);
	run_count(&run, "power-off", 1);
	run_count(&run, "crash", 0);
	run_count(&run, "dump-start", 0);
	run_count(&run, "run", 1);
	run_finish(&run);
	run_finish(&prepared);
}
END_TEST

START_TEST(a_kernel_that_spins_with_interrupts_off_hangs)
{
	static const unsigned char code[] = {0xfa, 0xeb, 0xfe}; /* cli; jmp . */
	static const char more[] = "[vm]\nwatchdog = 2s\n[recovery]\nenabled = no";
	struct run run, prepared;
	char kernel[400];
	const char *crash;

	NEEDS_KVM();
	run_prepare(&prepared);
	snprintf(kernel, sizeof(kernel), "%s/kernel", prepared.dir);
	write_kernel(kernel, code, sizeof(code));
	run_start(&run, &(struct guest){.kernel = kernel, .cmdline = "", .memory = 16, .more = more});
	run_ends(&run, CODE_CRASHED);
	crash = run_event(&run, "crash", 0);
	run_assert(&run, strstr(crash, "\"reason\":\"hang\""), "%s", crash);
	run_finish(&run);
	run_finish(&prepared);
}
END_TEST

START_TEST(a_kernel_that_halts_is_idle_and_one_that_makes_exits_lives)
{
	static const unsigned char halt[] = {0xf4, 0xeb, 0xfd};       /* hlt; jmp */
	static const unsigned char busy[] = {0xe4, 0x80, 0xeb, 0xfc}; /* in al, 0x80; jmp */
	static const char more[] = "[vm]\nwatchdog = 1s\n[recovery]\nenabled = no";
	struct run run, prepared;
	char kernel[400];

	NEEDS_KVM();
	run_prepare(&prepared);
	snprintf(kernel, sizeof(kernel), "%s/kernel", prepared.dir);
	write_kernel(kernel, _i ? busy : halt, _i ? sizeof(busy) : sizeof(halt));
	run_start(&run, &(struct guest){.kernel = kernel, .cmdline = "", .memory = 16, .more = more});
	run_await(&run, "run", 0);
	sleep_until(now_ns() + 4000000000ull); /* nothing is to happen */
	run_signal(&run, SIGTERM);
	run_ends(&run, CODE_OK);
	run_count(&run, "crash", 0);
	run_finish(&run);
	run_finish(&prepared);
}
END_TEST

Suite *suite_crash(void)
{
	Suite *suite = suite_create("crash");
	TCase *panic = tcase_create("panic"), *hang = tcase_create("hang");

	tcase_set_timeout(panic, TEST_TIMEOUT);
	tcase_add_loop_test(
		panic, a_panic_is_seen_through_pvpanic_dumped_and_recovered_from, 0, NR_KERNELS);
	tcase_add_loop_test(panic, a_dump_in_place_holds_the_kernels_log, 0, nr_kernels());
	suite_add_tcase(suite, panic);

	tcase_set_timeout(hang, TEST_TIMEOUT);
	tcase_add_test(hang, a_guest_that_runs_a_crash_kernel_of_its_own_is_left_alone_and_not_dumped);
	tcase_add_test(hang, a_kernel_that_spins_with_interrupts_off_hangs);
	tcase_add_loop_test(hang, a_kernel_that_halts_is_idle_and_one_that_makes_exits_lives, 0, 2);
	suite_add_tcase(suite, hang);
	return suite;
}
