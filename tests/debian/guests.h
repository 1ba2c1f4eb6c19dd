/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/debian/guests.h - the guests of these tests, and their suites.
 */
#ifndef TESTS_DEBIAN_GUESTS_H
#define TESTS_DEBIAN_GUESTS_H

#include "tests/kvm/run.h"

/* The kernels, by the name of their directory; tests loop over them. */
extern const char *const kernels[];
#define NR_KERNELS 2

/* With how many of them tests run that one kernel is enough for: all if LINUX_KERNELS has the last one, else the first. */
int nr_kernels(void);

/*
 * linux_guest - the guest with kernel @kernel, that does @word (tests/debian/guest/etc/rc.local), in *@ret.
 * Its kernel is quiet: on an emulated serial port its log takes as long as the rest of the boot.
 * Result: false if there is none; SKIP has been printed for @test then.  Strings live until the next call.
 */
bool linux_guest(const char *test, const char *kernel, const char *word, struct guest *ret);

/* The same with the vmlinux in the bzImage, which is entered by PVH. */
bool linux_guest_pvh(const char *test, const char *kernel, const char *word, struct guest *ret);

/* Waits until the console has @text (RUN_LIMIT_MS). */
void run_await_said(struct run *run, const char *text);

Suite *suite_boot(void);
Suite *suite_crash(void);

#endif /* TESTS_DEBIAN_GUESTS_H */
