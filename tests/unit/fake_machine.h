/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/fake_machine.h - a machine behind the firmware calls that is only an array and a notebook.
 *
 * There is one of it; its handlers write down what they got and answer what the test says.
 */
#ifndef TESTS_UNIT_FAKE_MACHINE_H
#define TESTS_UNIT_FAKE_MACHINE_H

#include "dump/base/num.h"
#include "firmware/dispatch.h"

#include <check.h>

#define RAM 0x20000u  /* bytes from address 0 on; holds a largest console write */
#define BLOCK 0x1000u /* where tests put their blocks */
#define RANGES_MAX 16

struct range {
	fw_gpa_t gpa;
	size_t len;
};

struct machine {
	unsigned char ram[RAM];
	struct range in[RANGES_MAX], out[RANGES_MAX]; /* successful copies, in order */
	unsigned nr_in, nr_out;
	bool garble;    /* a guest that changes the block as soon as it was read */
	int32_t status; /* what the handlers below answer */

	unsigned calls; /* of the handlers below */
	uint32_t cpu, code;
	uint64_t progress;
	uint32_t text_len;
	char text[FW_CONSOLE_MAX];
	struct fw_panic panic;
	char string[FW_PANIC_STRING_MAX];
	uint32_t string_len, nr_regs;
	struct fw_regs regs[FW_PANIC_REGS_MAX];
	fw_gpa_t start, buf, added; /* of the calls of a guest that dumps by itself */
	uint64_t len;
	uint32_t stream;
	bool release;
	uint32_t max, waiting; /* events: asked for; that this machine has */
	uint64_t seq;
};

extern struct machine m;
extern const struct fw_machine_ops machine_ops;

/* Calls of this machine, with what each needs. */
struct answered_call {
	uint16_t number;
	uint32_t min, size; /* bytes that a block must have; that are used if it has them */
	bool stops;         /* the vCPU must not run on */
	uint32_t out;       /* offset of the OUT fields besides the status, or 0 */
};
extern const struct answered_call answered[];
extern const size_t nr_answered;

/* What fw_dispatch returned last. */
extern uint32_t ret_call;
extern int32_t ret_status;

/* A machine without memory of earlier calls, its RAM full of 0xa5. */
void machine_reset(void);

/* The header of a block as a guest would fill it in. */
struct fw_header header(uint32_t call, uint32_t size);

/* A panic with all that it can carry: string at 0x3000, registers at 0x3100. */
struct fw_panic a_panic(void);

/* Makes the call whose block is at @gpa; from vCPU 5. */
enum fw_verdict dispatch(fw_gpa_t gpa);

/* Puts @len bytes of a block into RAM, by default at BLOCK, and makes the call. */
enum fw_verdict call_at(fw_gpa_t gpa, const void *block, size_t len);
enum fw_verdict call(const void *block, size_t len);

/* The status in the block at @gpa. */
int32_t status_at(fw_gpa_t gpa);

#endif /* TESTS_UNIT_FAKE_MACHINE_H */
