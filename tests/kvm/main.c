/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/main.c - runs every suite; docs/testing.md tells how to run one.
 *
 * These tests know minivmm as its user does: the program, its files, its exit codes.  They judge what
 * it did without any of its code, so nothing here includes a header of vmm/, dump/ or firmware/.
 */
#include "tests/kvm/run.h"
#include "tests/kvm/suites.h"

#include <stdio.h>
#include <stdlib.h>

static Suite *(*const suites[])(void) = {
	suite_cli,
	suite_scenarios,
	suite_stdio,
	suite_dump,
	suite_dump_cli,
	suite_dump_states,
	suite_ctl,
	suite_recovery,
	suite_rows,
	suite_handover,
	suite_handover_explicit,
	suite_budget_explicit,
	suite_budget,
	suite_kill,
	suite_conformance,
	suite_lies,
	suite_salvage,
	suite_room,
};

int main(void)
{
	SRunner *runner;
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0); /* a forked test must not inherit unwritten lines */
	if (harness_init())
		return EXIT_FAILURE;
	runner = srunner_create(NULL);
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		srunner_add_suite(runner, suites[i]());
	srunner_set_fork_status(runner, CK_FORK);
	srunner_run_all(runner, CK_ENV); /* CK_VERBOSITY; CK_RUN_SUITE and CK_RUN_CASE choose */
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	harness_fini();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
