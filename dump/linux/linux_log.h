/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/linux/linux_log.h - the log of a crashed Linux kernel: the records of printk's ring buffer (5.10 and later).
 *
 *      descriptor ring   1 << count_bits of {state and id, place of the text}; infos beside it
 *      text ring         1 << size_bits bytes; a block is 8 bytes of id, then text
 *
 * The rings are hostile: what they count is bounded, each record is copied, and one that is not whole, or
 * whose id is not the one that belongs there, is left out.  Texts may hold any byte.
 * Locks: none; a log belongs to one thread.
 */
#ifndef DUMP_LINUX_LINUX_LOG_H
#define DUMP_LINUX_LINUX_LOG_H

#include "dump/linux/linux_kernel.h"

/* our choices: four million records, and what log_buf_len= can ask for */
#define LINUX_LOG_COUNT_BITS_MAX 22
#define LINUX_LOG_SIZE_BITS_MAX 31
/* text_len is 16 bits */
#define LINUX_LOG_TEXT_MAX 65535
/* bytes that one record's text takes at most as linux_log_format() writes it, without its NUL */
#define LINUX_LOG_LINE_MAX (LINUX_LOG_TEXT_MAX * 40)

struct linux_log {
	struct linux_kernel *kernel; /* borrowed */
	uint64_t descs, infos, data; /* kernel-virtual addresses */
	unsigned count_bits, size_bits;
	uint64_t first, end; /* ids of the oldest record, and behind the newest one */
	uint64_t unreadable; /* records so far whose memory could not be read */
	bool callers;        /* set it after linux_log_open() to have records tell who wrote them */
	struct {
		uint64_t desc_size, desc_state, desc_begin, desc_next;
		uint64_t info_size, info_ns, info_len, info_caller;
		bool has_caller;
	} at;
};

struct linux_log_record {
	uint64_t ns; /* since the kernel's clock started */
	bool has_caller;
	uint32_t caller; /* bit 31: the number of a CPU, in an interrupt; else that of a thread */
	size_t len;
	unsigned char text[LINUX_LOG_TEXT_MAX];
};

/* Result: NULL; or why there is no log (static text). */
const char *warn_unused linux_log_open(struct linux_log *log, struct linux_kernel *kernel);

/*
 * linux_log_bound - forgets the oldest records of a ring that has more places for them than fit into @bytes of memory:
 * the guest can claim millions that are nowhere.
 */
void linux_log_bound(struct linux_log *log, uint64_t bytes);

/* Record @id, first <= @id < end.  False if it is not there any more, not finished, or cannot be read. */
bool linux_log_read(struct linux_log *log, uint64_t id, struct linux_log_record *ret);

/*
 * linux_log_format - "[    1.234567] text" as makedumpfile --dump-dmesg writes it, with a newline: further
 * lines of a text are indented, bytes that are neither printable nor blanks are escaped as \xNN.  With a caller
 * "[    1.234567] [      T1] text", or C and the CPU, as the newest one (1.7.8) does.
 * Cut to @size, always with a NUL.  Result: bytes written without it.
 */
size_t linux_log_format(const struct linux_log_record *record, char *buf, size_t size);

#endif /* DUMP_LINUX_LINUX_LOG_H */
