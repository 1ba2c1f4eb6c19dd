/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_dispatch.c - intent: whatever a guest has in memory when it makes firmware calls, the
 * machine gets only bounded copies, guest memory changes only in the block's OUT part and where a poll
 * wants its events, only panic, reboot and power off stop a vCPU, and every answer is a status of the ABI.
 *
 * Input: byte 0: bit 0 = the machine takes guests' dumps, bits 1-3 = status that its handlers answer,
 * bits 4-5 = 0, 1, 8 or 64 events wait, bit 6 = it has no events; byte 1: number of calls; then 2 bytes a call: block address / 64; the rest is RAM from address 0 on.
 */
#include "dump/base/num.h"
#include "firmware/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): a fuzzer's build must not lose it to NDEBUG. */
static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_dispatch: broken promise: %s\n", what);
		abort();
	}
}

struct machine {
	unsigned char ram[RAM];
	fw_gpa_t block; /* of the call under way */
	int32_t status;
	uint32_t waiting;  /* events */
	fw_gpa_t poll_buf; /* what a poll call in this block would say */
	uint32_t given;    /* events that the handler gave and that were not copied out yet */
	unsigned handled;  /* handlers run in this call */
	volatile unsigned char sink;
};

static bool in_ram(fw_gpa_t gpa, size_t len)
{
	return gpa < RAM && len <= RAM - gpa;
}

/* Reads every byte, for the sanitizer. */
static void touch(struct machine *m, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		m->sink ^= ((const unsigned char *)bytes)[i];
}

static int32_t handled(struct machine *m)
{
	must(!m->handled++, "one handler a call");
	return m->status;
}

static int copy_in(void *machine, fw_gpa_t gpa, void *dst, size_t len)
{
	struct machine *m = machine;

	must(len <= FW_CONSOLE_MAX, "no copy is larger than the largest argument");
	if (!in_ram(gpa, len))
		return -1;
	memcpy(dst, m->ram + gpa, len);
	return 0;
}

static int copy_out(void *machine, fw_gpa_t gpa, const void *src, size_t len)
{
	struct machine *m = machine;

	must(in_ram(m->block, FW_BLOCK_ALIGN), "a block that is not in RAM gets nothing");
	if (m->given) {
		must(gpa == m->poll_buf && len == m->given * sizeof(struct fw_event),
			"all events that the machine gives go where the guest wants them");
		m->given = 0;
	} else {
		must(gpa >= m->block + offsetof(struct fw_header, status), "IN fields are not written");
		must(gpa + len <= m->block + sizeof(struct fw_panic),
			"nothing behind the largest call is written");
	}
	if (!in_ram(gpa, len))
		return -1;
	memcpy(m->ram + gpa, src, len);
	return 0;
}

static void query(void *machine, struct fw_query *q)
{
	(void)handled(machine);
	q->memory = RAM;
}

static int32_t console_write(void *machine, const char *text, uint32_t len)
{
	must(len <= FW_CONSOLE_MAX, "console writes are bounded");
	touch(machine, text, len);
	return handled(machine);
}

static int32_t panic(void *machine, uint32_t cpu, const struct fw_panic *call, const char *string,
	uint32_t string_len, const struct fw_regs *regs, uint32_t nr_regs)
{
	(void)cpu;
	must(string_len <= FW_PANIC_STRING_MAX && nr_regs <= FW_PANIC_REGS_MAX, "panics are bounded");
	must(call->nr_select <= FW_SELECT_MAX, "the selection list is bounded");
	touch(machine, string, string_len);
	touch(machine, regs, nr_regs * sizeof(regs[0]));
	return handled(machine);
}

static int32_t dump_open(void *machine, fw_gpa_t start, uint64_t len, uint32_t *ret_stream)
{
	*ret_stream = (uint32_t)(start ^ len);
	return handled(machine);
}

static int32_t dump_write(void *machine, uint32_t stream, fw_gpa_t buf, uint64_t len, bool release)
{
	(void)stream, (void)buf, (void)len, (void)release;
	return handled(machine);
}

static int32_t dump_close(void *machine, uint32_t stream)
{
	(void)stream;
	return handled(machine);
}

static int32_t mem_add(void *machine, fw_gpa_t start, uint64_t len, fw_gpa_t *ret_added)
{
	*ret_added = start + len;
	return handled(machine);
}

static int32_t mem_remove(void *machine, fw_gpa_t added)
{
	(void)added;
	return handled(machine);
}

static int32_t events_poll(
	void *machine, struct fw_event *events, uint32_t max, uint32_t *ret_count, uint32_t *ret_waiting)
{
	struct machine *m = machine;

	must(max <= FW_EVENTS_MAX, "polls are bounded");
	*ret_count = (uint32_t)u64_min(max, m->waiting);
	*ret_waiting = m->waiting;
	memset(events, 0x5a, *ret_count * sizeof(events[0]));
	m->given = m->status == FW_OK ? *ret_count : 0;
	return handled(machine);
}

static int32_t events_ack(void *machine, uint64_t seq)
{
	(void)seq;
	return handled(machine);
}

static int32_t ready(void *machine, uint32_t cpu)
{
	(void)cpu;
	return handled(machine);
}

static int32_t heartbeat(void *machine, uint32_t cpu, uint64_t progress)
{
	(void)cpu, (void)progress;
	return handled(machine);
}

static int32_t power(void *machine, uint32_t cpu, uint32_t code)
{
	(void)cpu, (void)code;
	return handled(machine);
}

static void make_call(const struct fw_machine_ops *ops, struct machine *m)
{
	uint32_t call = UINT32_MAX;
	int32_t status = INT32_MAX, told;
	enum fw_verdict verdict;

	m->handled = 0;
	m->given = 0;
	if (in_ram(m->block, FW_BLOCK_ALIGN))
		memcpy(&m->poll_buf, m->ram + m->block + offsetof(struct fw_events_poll, buf),
			sizeof(m->poll_buf));
	verdict = fw_dispatch(ops, m, 0, m->block, &call, &status);
	must(call <= FW_NR_CALLS, "the call is known or none");
	must(status <= FW_OK && status >= FW_ENOSPC, "the answer is a status of the ABI");
	must(call < FW_NR_CALLS || !m->handled, "no handler runs without a valid block");
	must(call != FW_NR_CALLS || status != FW_OK, "without a valid block nothing is fine");
	must(verdict == FW_VERDICT_CONTINUE ||
			(m->handled && (call == FW_PANIC || call == FW_REBOOT || call == FW_POWER_OFF)),
		"only the calls that end the VM stop its vCPU");
	if (!in_ram(m->block, FW_BLOCK_ALIGN))
		return;
	memcpy(&told, m->ram + m->block + offsetof(struct fw_header, status), sizeof(told));
	must(told == status, "the guest is told the status");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_machine_ops ops = {.copy_in = copy_in,
		.copy_out = copy_out,
		.query = query,
		.console_write = console_write,
		.panic = panic,
		.ready = ready,
		.heartbeat = heartbeat,
		.reboot = power,
		.power_off = power};
	static struct machine m;
	unsigned calls;

	if (size < 2 || size < 2 + 2u * (calls = data[1] % 16))
		return 0;
	memset(&m, 0, sizeof(m));
	memcpy(m.ram, data + 2 + 2 * calls, u64_min(size - 2 - 2 * calls, RAM));
	m.status = -(int32_t)((data[0] >> 1 & 7) % 7);
	m.waiting = data[0] >> 4 & 3 ? 1u << 3 * ((data[0] >> 4 & 3) - 1) : 0;
	if (!(data[0] & 0x40)) {
		ops.events_poll = events_poll;
		ops.events_ack = events_ack;
	}
	if (data[0] & 1) {
		ops.dump_open = dump_open;
		ops.dump_write = dump_write;
		ops.dump_close = dump_close;
		ops.mem_add = mem_add;
		ops.mem_remove = mem_remove;
	}
	for (unsigned i = 0; i < calls; i++) {
		m.block = ((fw_gpa_t)data[2 + 2 * i] | (fw_gpa_t)data[3 + 2 * i] << 8) << FW_BLOCK_SHIFT;
		make_call(&ops, &m);
	}
	return 0;
}
