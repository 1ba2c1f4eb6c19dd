/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/linux_guest.h - a small crashed Linux (tests/vmcores/mini.h) with some words of its memory changed
 * by a fuzzer's input, for the targets fuzz_linux_*.c.
 *
 * Input: u8 kernel and levels of page tables, then records {u8 kind, u24 place, u64 value}, little-endian.
 * kind 0 to 5: the word at RAM offset place * 8; 6 and 7: the last byte of value at place of VMCOREINFO's text.
 * Bits 3 and 4 of kind: places near the page tables, the struct pages, the log.
 *
 * Kernels are made once and changed back after each input: making one costs more than what is tested.
 */
#ifndef TESTS_FUZZ_LINUX_GUEST_H
#define TESTS_FUZZ_LINUX_GUEST_H

#include "dump/linux/linux_kernel.h"
#include "tests/vmcores/mini.h"

#include <stdint.h>

struct linux_guest {
	struct mini *mini;
	struct guest_view view;
};

/* Result: the guest until linux_guest_done(); one at a time. */
struct linux_guest *linux_guest_init(uint8_t choice, const uint8_t *records, size_t size);
void linux_guest_done(struct linux_guest *guest);

/* The kernel as VMCOREINFO tells of it; NULL if it is not believed.  Valid until the next call. */
struct linux_kernel *linux_guest_kernel(struct linux_guest *guest);

#endif /* TESTS_FUZZ_LINUX_GUEST_H */
