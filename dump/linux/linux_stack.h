/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/linux/linux_stack.h - the calls on a kernel stack, by scanning it: no unwind tables, no debug package.
 *
 * A word on the stack is taken for a return address if it points into the kernel's text, right behind a call
 * instruction.  Old ones that nobody has overwritten look the same.  What speaks for a frame: its call goes to
 * the function of a frame found before it, the innermost first.  The others are guesses: they call through a
 * pointer, or are old.  An old pair can speak for itself, too: this is no proof, and says nothing of modules.
 */
#ifndef DUMP_LINUX_LINUX_STACK_H
#define DUMP_LINUX_LINUX_STACK_H

#include "dump/linux/linux_symbols.h"

/* arch/x86/include/asm/page_64_types.h: THREAD_SIZE; interrupt stacks have the same size and alignment */
#define LINUX_STACK_BYTES 16384

struct linux_frame {
	uint64_t address;
	bool guess;
	bool named; /* @symbol means something: the address is in the kernel's own text */
	struct linux_symbol symbol;
};

typedef void linux_frame_fn(void *arg, const struct linux_frame *frame);

/*
 * linux_stack_walk - give the frames of a vCPU that stopped at @rip with @rsp to @fn, the innermost first.
 * Reads no more than one stack.  Result: number of frames.
 */
unsigned linux_stack_walk(struct linux_kernel *kernel, const struct linux_symbols *symbols, uint64_t rip,
	uint64_t rsp, linux_frame_fn *fn, void *arg);

#endif /* DUMP_LINUX_LINUX_STACK_H */
