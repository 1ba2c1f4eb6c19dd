/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/fake_machine.c - see fake_machine.h */
#include "tests/unit/fake_machine.h"

#include <string.h>

struct machine m;
uint32_t ret_call;
int32_t ret_status;

static bool in_ram(fw_gpa_t gpa, size_t len)
{
	return gpa < RAM && len <= RAM - gpa;
}

static int machine_copy_in(void *machine, fw_gpa_t gpa, void *dst, size_t len)
{
	ck_assert_ptr_eq(machine, &m);
	if (!in_ram(gpa, len))
		return -1;
	ck_assert_uint_lt(m.nr_in, RANGES_MAX);
	m.in[m.nr_in++] = (struct range){gpa, len};
	memcpy(dst, m.ram + gpa, len);
	if (m.garble)
		memset(m.ram + gpa, 0xee, len);
	return 0;
}

static int machine_copy_out(void *machine, fw_gpa_t gpa, const void *src, size_t len)
{
	ck_assert_ptr_eq(machine, &m);
	if (!in_ram(gpa, len))
		return -1;
	ck_assert_uint_lt(m.nr_out, RANGES_MAX);
	m.out[m.nr_out++] = (struct range){gpa, len};
	memcpy(m.ram + gpa, src, len);
	return 0;
}

static void machine_query(void *machine, struct fw_query *query)
{
	ck_assert_ptr_eq(machine, &m);
	m.calls++;
	query->memory = 0x1122334455667788;
	query->vcpus = 3;
	query->generation = 7;
	query->recovery = 1;
	query->tsc_khz = 2400000;
	query->events_gsi = 13;
	query->memory_max = 0x2233445566778899;
	query->features = FW_FEATURE_MEMORY_GROWS;
	query->memory_end = 0x33445566778899aa;
}

static int32_t machine_console_write(void *machine, const char *text, uint32_t len)
{
	ck_assert_ptr_eq(machine, &m);
	m.calls++;
	m.text_len = len;
	ck_assert_uint_le(len, sizeof(m.text));
	memcpy(m.text, text, len);
	return m.status;
}

static int32_t machine_panic(void *machine, uint32_t cpu, const struct fw_panic *call, const char *string,
	uint32_t string_len, const struct fw_regs *regs, uint32_t nr_regs)
{
	ck_assert_ptr_eq(machine, &m);
	m.calls++;
	m.cpu = cpu;
	m.panic = *call;
	ck_assert_uint_le(string_len, FW_PANIC_STRING_MAX);
	ck_assert_uint_le(nr_regs, FW_PANIC_REGS_MAX);
	memcpy(m.string, string, string_len);
	memcpy(m.regs, regs, nr_regs * sizeof(regs[0]));
	m.string_len = string_len;
	m.nr_regs = nr_regs;
	return m.status;
}

static int32_t machine_ready(void *machine, uint32_t cpu)
{
	ck_assert_ptr_eq(machine, &m);
	m.calls++;
	m.cpu = cpu;
	return m.status;
}

static int32_t machine_heartbeat(void *machine, uint32_t cpu, uint64_t progress)
{
	m.progress = progress;
	return machine_ready(machine, cpu);
}

static int32_t machine_power(void *machine, uint32_t cpu, uint32_t code)
{
	m.code = code;
	return machine_ready(machine, cpu);
}

static int32_t machine_dump_open(void *machine, fw_gpa_t start, uint64_t len, uint32_t *ret_stream)
{
	ck_assert_ptr_eq(machine, &m);
	m.calls++;
	m.start = start;
	m.len = len;
	if (m.status == FW_OK)
		*ret_stream = 9;
	return m.status;
}

static int32_t machine_dump_write(void *machine, uint32_t stream, fw_gpa_t buf, uint64_t len, bool release)
{
	ck_assert_ptr_eq(machine, &m);
	m.calls++;
	m.stream = stream;
	m.buf = buf;
	m.len = len;
	m.release = release;
	return m.status;
}

static int32_t machine_dump_close(void *machine, uint32_t stream)
{
	ck_assert_ptr_eq(machine, &m);
	m.calls++;
	m.stream = stream;
	return m.status;
}

static int32_t machine_mem_add(void *machine, fw_gpa_t start, uint64_t len, fw_gpa_t *ret_added)
{
	uint32_t stream = 0;
	int32_t status = machine_dump_open(machine, start, len, &stream);

	if (status == FW_OK)
		*ret_added = 0x123456000;
	return status;
}

static int32_t machine_mem_remove(void *machine, fw_gpa_t added)
{
	m.added = added;
	return machine_dump_close(machine, 0);
}

static int32_t machine_events_poll(
	void *machine, struct fw_event *events, uint32_t max, uint32_t *ret_count, uint32_t *ret_waiting)
{
	ck_assert_ptr_eq(machine, &m);
	m.calls++;
	ck_assert_uint_le(max, FW_EVENTS_MAX);
	m.max = max;
	*ret_waiting = m.waiting;
	*ret_count = m.waiting < max ? m.waiting : max;
	for (uint32_t i = 0; i < *ret_count; i++)
		events[i] = (struct fw_event){
			.seq = i + 1, .type = FW_EVENT_MEMORY_ADDED, .data = {i * 0x200000ull, 0x200000}};
	return m.status;
}

static int32_t machine_events_ack(void *machine, uint64_t seq)
{
	ck_assert_ptr_eq(machine, &m);
	m.calls++;
	m.seq = seq;
	return m.status;
}

const struct fw_machine_ops machine_ops = {
	.copy_in = machine_copy_in,
	.copy_out = machine_copy_out,
	.query = machine_query,
	.console_write = machine_console_write,
	.panic = machine_panic,
	.dump_open = machine_dump_open,
	.dump_write = machine_dump_write,
	.dump_close = machine_dump_close,
	.mem_add = machine_mem_add,
	.mem_remove = machine_mem_remove,
	.events_poll = machine_events_poll,
	.events_ack = machine_events_ack,
	.ready = machine_ready,
	.heartbeat = machine_heartbeat,
	.reboot = machine_power,
	.power_off = machine_power,
};

#define ALL(type) sizeof(struct type), sizeof(struct type)

const struct answered_call answered[] = {
	{FW_QUERY, 64, sizeof(struct fw_query), false, 16},
	{FW_CONSOLE_WRITE, ALL(fw_console_write), false, 28},
	{FW_PANIC, ALL(fw_panic), true, 0},
	{FW_DUMP_OPEN, ALL(fw_dump_open), false, 32},
	{FW_DUMP_WRITE, ALL(fw_dump_write), false, 40},
	{FW_DUMP_CLOSE, ALL(fw_dump_close), false, 0},
	{FW_MEM_ADD, ALL(fw_mem_add), false, 32},
	{FW_MEM_REMOVE, ALL(fw_mem_remove), false, 0},
	{FW_EVENTS_POLL, ALL(fw_events_poll), false, 32},
	{FW_EVENTS_ACK, ALL(fw_events_ack), false, 0},
	{FW_READY, ALL(fw_ready), false, 0},
	{FW_HEARTBEAT, ALL(fw_heartbeat), false, 0},
	{FW_REBOOT, ALL(fw_power), true, 0},
	{FW_POWER_OFF, ALL(fw_power), true, 0},
};
const size_t nr_answered = ARRAY_LEN(answered);

void machine_reset(void)
{
	memset(&m, 0, sizeof(m));
	memset(m.ram, 0xa5, sizeof(m.ram));
}

struct fw_header header(uint32_t call, uint32_t size)
{
	return (struct fw_header){.magic = FW_MAGIC,
		.version = FW_VERSION,
		.call = (uint16_t)call,
		.size = size,
		.status = FW_PENDING};
}

struct fw_panic a_panic(void)
{
	return (struct fw_panic){.h = header(FW_PANIC, sizeof(struct fw_panic)),
		.time_ns = 11,
		.tsc = 12,
		.cpu = 1,
		.string = 0x3000,
		.string_len = 9,
		.nr_regs = 2,
		.regs = 0x3100,
		.page_table = 0x5000,
		.page_desc = 0x6000,
		.nr_page_desc = 1ull << 40,
		.select = 0x7000,
		.nr_select = 3};
}

enum fw_verdict dispatch(fw_gpa_t gpa)
{
	ret_call = 0xdead;
	ret_status = 0xdead;
	return fw_dispatch(&machine_ops, &m, 5, gpa, &ret_call, &ret_status);
}

enum fw_verdict call_at(fw_gpa_t gpa, const void *block, size_t len)
{
	memcpy(m.ram + gpa, block, len);
	return dispatch(gpa);
}

enum fw_verdict call(const void *block, size_t len)
{
	return call_at(BLOCK, block, len);
}

int32_t status_at(fw_gpa_t gpa)
{
	int32_t status;

	memcpy(&status, m.ram + gpa + offsetof(struct fw_header, status), sizeof(status));
	return status;
}
