/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/debian/main.c - runs the tests with stock Debian kernels: tests/linux/test-debian.
 *
 * The harness is that of tests/kvm: minivmm is judged from outside.  LINUX_DIR names the directory with the
 * guests, debian/6.1 and debian/6.12, each with vmlinuz and initrd.img.
 */
#include "tests/kvm/run.h"
#include "tests/debian/guests.h"

#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	SRunner *runner;
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0); /* a forked test must not inherit unwritten lines */
	if (harness_init())
		return EXIT_FAILURE;
	runner = srunner_create(suite_boot());
	srunner_add_suite(runner, suite_crash());
	srunner_set_fork_status(runner, CK_FORK);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	harness_fini();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
