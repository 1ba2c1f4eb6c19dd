/* SPDX-License-Identifier: Apache-2.0 */
/* dump/linux/linux_stack.c - see linux_stack.h */
#include "dump/linux/linux_stack.h"

#include <string.h>

/* Intel SDM vol. 2A: call rel32; call r/m64, which is ff with 2 in the reg field of ModRM */
#define CALL_RELATIVE 0xe8
#define CALL_RELATIVE_BYTES 5
#define CALL_INDIRECT 0xff
#define CALL_BYTES_MAX 7
#define REG_OF(modrm) ((modrm) >> 3 & 7)
#define REG_CALL 2
/* the lowest address of the upper half: a stack below it is a process's */
#define UPPER_HALF 0xff00000000000000ull
/* our choice: guesses that a later frame may still confirm */
#define GUESSES_MAX 64

struct walk {
	struct linux_kernel *kernel;
	const struct linux_symbols *symbols;
	linux_frame_fn *fn;
	void *arg;
	unsigned nr_frames;
	/* First addresses of the functions that the next sure frame may have called. */
	uint64_t callees[GUESSES_MAX];
	unsigned nr_callees;
};

/*
 * Is there a call right before @address?  *ret_target: where it goes, 0 = the instruction does not tell.
 */
static bool follows_call(struct walk *walk, uint64_t address, uint64_t *ret_target)
{
	unsigned char code[CALL_BYTES_MAX];
	int32_t relative;

	if (linux_kernel_read(walk->kernel, address - sizeof(code), code, sizeof(code)))
		return false;
	*ret_target = 0;
	if (code[CALL_BYTES_MAX - CALL_RELATIVE_BYTES] == CALL_RELATIVE) {
		memcpy(&relative, code + CALL_BYTES_MAX - 4, sizeof(relative));
		*ret_target = address + (uint64_t)(int64_t)relative;
		return linux_symbols_is_text(walk->symbols, *ret_target);
	}
	for (unsigned len = 2; len <= CALL_BYTES_MAX; len++) {
		const unsigned char *at = code + CALL_BYTES_MAX - len;

		if (at[0] == CALL_INDIRECT && REG_OF(at[1]) == REG_CALL)
			return true;
	}
	return false;
}

static bool is_callee(const struct walk *walk, uint64_t target)
{
	for (unsigned i = 0; target && i < walk->nr_callees; i++)
		if (walk->callees[i] == target)
			return true;
	return false;
}

static void tell(struct walk *walk, uint64_t address, uint64_t of, bool guess)
{
	struct linux_frame frame = {.address = address, .guess = guess};

	/* the function that made the call: its last instruction may be the call */
	frame.named = linux_symbols_is_text(walk->symbols, of) &&
		      linux_symbols_find(walk->symbols, of, &frame.symbol);
	if (!guess)
		walk->nr_callees = 0;
	if (frame.named && walk->nr_callees < GUESSES_MAX)
		walk->callees[walk->nr_callees++] = frame.symbol.address;
	walk->fn(walk->arg, &frame);
	walk->nr_frames++;
}

unsigned linux_stack_walk(struct linux_kernel *kernel, const struct linux_symbols *symbols, uint64_t rip,
	uint64_t rsp, linux_frame_fn *fn, void *arg)
{
	struct walk walk = {.kernel = kernel, .symbols = symbols, .fn = fn, .arg = arg};
	uint64_t end = u64_align_down(rsp, LINUX_STACK_BYTES) + LINUX_STACK_BYTES;

	tell(&walk, rip, rip, false);
	if (rsp < UPPER_HALF || rsp % 8 || rsp > end)
		return walk.nr_frames;
	for (uint64_t at = rsp; at < end; at += 8) {
		uint64_t word, target;

		if (linux_kernel_read(kernel, at, &word, sizeof(word)))
			break;
		if (linux_symbols_is_text(symbols, word) && follows_call(&walk, word, &target))
			tell(&walk, word, word - 1, !is_callee(&walk, target));
	}
	return walk.nr_frames;
}
