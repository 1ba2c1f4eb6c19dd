/* SPDX-License-Identifier: Apache-2.0 */
/* dump/linux/linux_log.c - see linux_log.h */
#include "dump/linux/linux_log.h"

#include <stdio.h>
#include <string.h>

/* kernel/printk/printk_ringbuffer.h: the two top bits of state_var */
#define STATE_SHIFT 62
#define STATE_COMMITTED 1
#define STATE_FINALIZED 2
#define ID_MASK ((1ull << STATE_SHIFT) - 1)
/* a place with this bit is none: the record has no text */
#define NO_PLACE 1u
#define BLOCK_ID_BYTES 8
/* kernel/printk/printk.c: printk_caller_id() */
#define CALLER_IS_CPU 0x80000000u

/* our choice: a ring's struct is smaller */
#define STRUCT_MAX 1024

/* Offset of a field of a structure, which itself lies at @base. */
static bool add_offset(const struct vmcoreinfo *info, const char *name, uint64_t *offset)
{
	uint64_t value;

	if (!vmcoreinfo_measure(info, "OFFSET", name, STRUCT_MAX, &value))
		return false;
	*offset += value;
	return true;
}

static bool find_offset(const struct vmcoreinfo *info, const char *name, uint64_t *ret)
{
	*ret = 0;
	return add_offset(info, name, ret);
}

static const char *find_formats(struct linux_log *log)
{
	const struct vmcoreinfo *info = &log->kernel->info;

	if (!vmcoreinfo_measure(info, "SIZE", "prb_desc", STRUCT_MAX, &log->at.desc_size) ||
		!vmcoreinfo_measure(info, "SIZE", "printk_info", STRUCT_MAX, &log->at.info_size) ||
		!find_offset(info, "prb_desc.state_var", &log->at.desc_state) ||
		!find_offset(info, "prb_desc.text_blk_lpos", &log->at.desc_begin) ||
		!find_offset(info, "printk_info.ts_nsec", &log->at.info_ns) ||
		!find_offset(info, "printk_info.text_len", &log->at.info_len))
		return "VMCOREINFO does not describe the log's records";
	/* every kernel that has these records has it, whether or not it prints it (CONFIG_PRINTK_CALLER) */
	log->at.has_caller = vmcoreinfo_measure(info, "OFFSET", "printk_info.caller_id",
		log->at.info_size - u64_min(log->at.info_size, 4), &log->at.info_caller);
	log->at.desc_next = log->at.desc_begin;
	if (!add_offset(info, "prb_data_blk_lpos.begin", &log->at.desc_begin) ||
		!add_offset(info, "prb_data_blk_lpos.next", &log->at.desc_next) ||
		!add_offset(info, "atomic_long_t.counter", &log->at.desc_state))
		return "VMCOREINFO does not describe the log's records";
	if (log->at.desc_state + 8 > log->at.desc_size || log->at.desc_begin + 8 > log->at.desc_size ||
		log->at.desc_next + 8 > log->at.desc_size || log->at.info_ns + 8 > log->at.info_size ||
		log->at.info_len + 2 > log->at.info_size)
		return "VMCOREINFO contradicts itself about the log's records";
	return NULL;
}

/* A field of the ring buffer at @ring, which is part of its structure @part. */
static bool read_field(
	struct linux_log *log, uint64_t ring, const char *part, const char *field, void *buf, size_t len)
{
	const struct vmcoreinfo *info = &log->kernel->info;
	uint64_t at = ring;

	return add_offset(info, part, &at) && add_offset(info, field, &at) &&
	       !linux_kernel_read(log->kernel, at, buf, len);
}

static const char *find_rings(struct linux_log *log)
{
	static const char descs[] = "printk_ringbuffer.desc_ring",
			  texts[] = "printk_ringbuffer.text_data_ring";
	uint32_t count_bits, size_bits;
	uint64_t ring, head, tail;

	if (linux_kernel_variable(log->kernel, "prb", &ring))
		return "VMCOREINFO does not name the log, or it is not in the dump";
	if (!read_field(log, ring, descs, "prb_desc_ring.count_bits", &count_bits, 4) ||
		!read_field(log, ring, descs, "prb_desc_ring.descs", &log->descs, 8) ||
		!read_field(log, ring, descs, "prb_desc_ring.infos", &log->infos, 8) ||
		!read_field(log, ring, descs, "prb_desc_ring.head_id", &head, 8) ||
		!read_field(log, ring, descs, "prb_desc_ring.tail_id", &tail, 8) ||
		!read_field(log, ring, texts, "prb_data_ring.size_bits", &size_bits, 4) ||
		!read_field(log, ring, texts, "prb_data_ring.data", &log->data, 8))
		return "the log's ring buffer cannot be read";
	if (count_bits > LINUX_LOG_COUNT_BITS_MAX || size_bits > LINUX_LOG_SIZE_BITS_MAX || size_bits < 4)
		return "the log's ring buffer has an impossible size";
	log->count_bits = count_bits;
	log->size_bits = size_bits;
	log->first = tail & ID_MASK;
	log->end = (head & ID_MASK) + 1;
	/* ids wrap, in theory; a ring holds no more than it has places for */
	if (log->end < log->first || log->end - log->first > 1ull << count_bits)
		log->first = log->end > 1ull << count_bits ? log->end - (1ull << count_bits) : 0;
	return NULL;
}

const char *linux_log_open(struct linux_log *log, struct linux_kernel *kernel)
{
	const char *why;

	log->kernel = kernel;
	log->unreadable = 0;
	log->callers = false;
	why = find_formats(log);
	return why ? why : find_rings(log);
}

void linux_log_bound(struct linux_log *log, uint64_t bytes)
{
	uint64_t records = bytes / (log->at.desc_size + log->at.info_size);

	if (log->end - log->first > records)
		log->first = log->end - records;
}

static uint64_t get64(const unsigned char *bytes, uint64_t offset)
{
	uint64_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

/*
 * Where the text of a block at [@begin, @next) lies in the ring.  A block that does not fit before the
 * ring's end is at its start instead.
 */
static bool find_text(
	const struct linux_log *log, uint64_t begin, uint64_t next, uint64_t *ret_at, uint64_t *ret_len)
{
	uint64_t size = 1ull << log->size_bits;
	uint64_t at = begin % size, len = next - begin;

	if (begin >> log->size_bits != next >> log->size_bits && next % size) {
		at = 0;
		len = next % size;
	}
	if (len < BLOCK_ID_BYTES || len > size - at)
		return false;
	*ret_at = log->data + at + BLOCK_ID_BYTES;
	*ret_len = len - BLOCK_ID_BYTES;
	return true;
}

/* As read_record(). */
static int read_text(
	struct linux_log *log, const unsigned char *desc, size_t len, struct linux_log_record *ret)
{
	uint64_t begin = get64(desc, log->at.desc_begin), next = get64(desc, log->at.desc_next);
	uint64_t at, room;

	ret->len = 0;
	if (begin & NO_PLACE || next & NO_PLACE)
		return 1;
	if (!find_text(log, begin, next, &at, &room))
		return 0;
	ret->len = u64_min(len, room);
	return !ret->len || !linux_kernel_read(log->kernel, at, ret->text, ret->len) ? 1 : -1;
}

/* 1, 0 if it is not there any more or not finished, or -1 if its memory cannot be read. */
static int read_record(struct linux_log *log, uint64_t id, struct linux_log_record *ret)
{
	uint64_t slot = id & ((1ull << log->count_bits) - 1), state;
	unsigned char desc[STRUCT_MAX], info[STRUCT_MAX];
	uint16_t len;

	if (linux_kernel_read(
		    log->kernel, log->descs + slot * log->at.desc_size, desc, log->at.desc_size) ||
		linux_kernel_read(
			log->kernel, log->infos + slot * log->at.info_size, info, log->at.info_size))
		return -1;
	state = get64(desc, log->at.desc_state);
	if ((state & ID_MASK) != id ||
		(state >> STATE_SHIFT != STATE_COMMITTED && state >> STATE_SHIFT != STATE_FINALIZED))
		return 0;
	ret->ns = get64(info, log->at.info_ns);
	memcpy(&len, info + log->at.info_len, sizeof(len));
	ret->has_caller = log->callers && log->at.has_caller && log->at.info_size >= sizeof(ret->caller);
	if (ret->has_caller)
		memcpy(&ret->caller, info + log->at.info_caller, sizeof(ret->caller));
	return read_text(log, desc, len, ret);
}

bool linux_log_read(struct linux_log *log, uint64_t id, struct linux_log_record *ret)
{
	int r = read_record(log, id, ret);

	log->unreadable += r < 0;
	return r == 1;
}

static bool is_plain(unsigned char c)
{
	return (c >= ' ' && c <= '~') || (c >= '\t' && c <= '\r');
}

/* "[   1.234567] ", and who wrote it */
static size_t format_head(const struct linux_log_record *record, char *buf, size_t size)
{
	char caller[16] = "", who[12];

	if (record->has_caller) {
		snprintf(who, sizeof(who), "%c%u", record->caller & CALLER_IS_CPU ? 'C' : 'T',
			record->caller & ~CALLER_IS_CPU);
		snprintf(caller, sizeof(caller), "[%8s] ", who);
	}
	return (size_t)snprintf(buf, size, "[%5llu.%06llu] %s",
		(unsigned long long)(record->ns / NSEC_PER_SEC),
		(unsigned long long)(record->ns % NSEC_PER_SEC / NSEC_PER_USEC), caller);
}

size_t linux_log_format(const struct linux_log_record *record, char *buf, size_t size)
{
	size_t len, indent;

	assert(size > 1);
	len = format_head(record, buf, size);
	indent = len;
	for (size_t i = 0; i < record->len && len < size; i++) {
		unsigned char c = record->text[i];

		if (is_plain(c) && c != '\n')
			buf[len++] = (char)c;
		else
			len += (size_t)(c == '\n'
						? snprintf(buf + len, size - len, "\n%*s", (int)indent, "")
						: snprintf(buf + len, size - len, "\\x%02x", c));
	}
	len = u64_min(len, size - 2);
	buf[len++] = '\n';
	buf[len] = '\0';
	return len;
}
