/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/suites.h - the suites of the tests that run the real program, one a file.
 *
 * A new file tests/kvm/test_X.c defines one function here; main.c has a table of them.
 */
#ifndef TESTS_KVM_SUITES_H
#define TESTS_KVM_SUITES_H

#include <check.h>

Suite *suite_budget(void);
Suite *suite_budget_explicit(void);
Suite *suite_cli(void);
Suite *suite_conformance(void);
Suite *suite_ctl(void);
Suite *suite_dump(void);
Suite *suite_dump_cli(void);
Suite *suite_dump_states(void);
Suite *suite_handover(void);
Suite *suite_handover_explicit(void);
Suite *suite_kill(void);
Suite *suite_lies(void);
Suite *suite_recovery(void);
Suite *suite_room(void);
Suite *suite_rows(void);
Suite *suite_salvage(void);
Suite *suite_scenarios(void);
Suite *suite_stdio(void);

#endif /* TESTS_KVM_SUITES_H */
