/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/lie_calls.c - see lie.h: calls that make no sense.
 */
#include "guest-stub/config.h"
#include "guest-stub/crash.h"
#include "guest-stub/lie.h"
#include "guest-stub/machine.h"

/* No machine has RAM there (start.c: 256 GiB is the limit of this kernel). */
#define FAR (1ull << 50)
/* Some page that is surely RAM: the first one of the kernel's image. */
#define NEAR 0x200000ull
/* our choice: calls with random contents */
#define RANDOM_CALLS 2000

/* A call block, and what it is looked at as. */
union block {
	struct fw_header h;
	struct {
		struct fw_header h;
		uint64_t w[(FW_BLOCK_MAX - sizeof(struct fw_header)) / 8]; /* the fields as words */
	} any;
	struct {
		uint8_t before[FW_BLOCK_ALIGN / 2];
		struct fw_header h;
	} misaligned;
	struct fw_query query;
	struct fw_panic panic;
	struct fw_dump_write write;
};

static union block block __attribute__((aligned(FW_BLOCK_ALIGN)));

static void expect(const char *what, int32_t status, int32_t promised)
{
	if (status != promised)
		con_printf("stub: error: %s: status %d instead of %d\n", what, status, promised);
}

static void told(const char *name)
{
	con_printf("stub: lie %s done\n", name);
	con_flush();
}

/* One of the statuses that firmware/abi.h knows. */
static bool is_status(int32_t status)
{
	return status <= FW_OK && status >= FW_ENOSPC;
}

/* ---- the block ---------------------------------------------------------------------------------- */

static const struct bad_header {
	const char *what;
	uint32_t magic;
	uint16_t version;
	uint16_t call;
	uint32_t size;
	int32_t status;
} bad_headers[] = {
	{"no magic", 0, FW_VERSION, FW_HEARTBEAT, 24, FW_EBLOCK},
	{"magic backwards", 0x46574342, FW_VERSION, FW_HEARTBEAT, 24, FW_EBLOCK},
	{"version 0", FW_MAGIC, 0, FW_HEARTBEAT, 24, FW_EBLOCK},
	{"version 2", FW_MAGIC, FW_VERSION + 1, FW_HEARTBEAT, 24, FW_EBLOCK},
	{"size 0", FW_MAGIC, FW_VERSION, FW_HEARTBEAT, 0, FW_EBLOCK},
	{"size 15", FW_MAGIC, FW_VERSION, FW_HEARTBEAT, 15, FW_EBLOCK},
	{"heartbeat of 23 bytes", FW_MAGIC, FW_VERSION, FW_HEARTBEAT, 23, FW_EBLOCK},
	{"query of 63 bytes", FW_MAGIC, FW_VERSION, FW_QUERY, 63, FW_EBLOCK},
	{"panic of 103 bytes", FW_MAGIC, FW_VERSION, FW_PANIC, 103, FW_EBLOCK},
	{"reboot of 16 bytes", FW_MAGIC, FW_VERSION, FW_REBOOT, 16, FW_EBLOCK},
	{"power off of 23 bytes", FW_MAGIC, FW_VERSION, FW_POWER_OFF, 23, FW_EBLOCK},
	{"size 4097", FW_MAGIC, FW_VERSION, FW_HEARTBEAT, FW_BLOCK_MAX + 1, FW_EBLOCK},
	{"size 2^32 - 1", FW_MAGIC, FW_VERSION, FW_HEARTBEAT, UINT32_MAX, FW_EBLOCK},
	{"call 14", FW_MAGIC, FW_VERSION, FW_NR_CALLS, 64, FW_ENOTSUP},
	{"call 65535", FW_MAGIC, FW_VERSION, UINT16_MAX, 64, FW_ENOTSUP},
};

static uint32_t port_value(const void *at)
{
	return (uint32_t)((uint64_t)at >> FW_BLOCK_SHIFT);
}

static void try_headers(void)
{
	for (uint32_t i = 0; i < ARRAY_LEN(bad_headers); i++) {
		const struct bad_header *bad = &bad_headers[i];

		block.h = (struct fw_header){bad->magic, bad->version, bad->call, bad->size, FW_PENDING};
		out32(FW_PORT, port_value(&block));
		expect(bad->what, block.h.status, bad->status);
	}
}

/* The block in the last 64 bytes of RAM: enough for a query, too short for a panic call. */
static void try_end_of_ram(void)
{
	union block *last = (union block *)((start.ram[start.nr_ram - 1].end << PAGE_SHIFT) -
					    FW_BLOCK_ALIGN);
	uint8_t saved[FW_BLOCK_ALIGN];

	__builtin_memcpy(saved, last, sizeof(saved));
	expect("query at the end of RAM", fw_call(last, FW_QUERY, FW_QUERY_MIN), FW_OK);
	expect("query over the end of RAM", fw_call(last, FW_QUERY, sizeof(struct fw_query)), FW_EFAULT);
	expect("panic over the end of RAM", fw_call(last, FW_PANIC, sizeof(struct fw_panic)), FW_EFAULT);
	__builtin_memcpy(last, saved, sizeof(saved));
}

void lie_block(const struct config *config)
{
	const uint64_t outside[] = {UINT32_MAX, FAR >> FW_BLOCK_SHIFT, LAPIC_BASE >> FW_BLOCK_SHIFT,
		start.ram[start.nr_ram - 1].end << (PAGE_SHIFT - FW_BLOCK_SHIFT)};

	(void)config;
	con_printf("stub: lie block: call blocks outside RAM, misaligned, with a wrong header\n");
	for (uint32_t i = 0; i < ARRAY_LEN(outside); i++)
		out32(FW_PORT, (uint32_t)outside[i]);
	fw_prepare(&block, FW_HEARTBEAT, sizeof(struct fw_heartbeat));
	out16(FW_PORT, (uint16_t)port_value(&block));
	out8(FW_PORT, (uint8_t)port_value(&block));
	expect("16 and 8 bits to the port", block.h.status, FW_PENDING);
	block.h.magic = 0;
	fw_prepare(&block.misaligned.h, FW_HEARTBEAT, sizeof(struct fw_heartbeat));
	out32(FW_PORT, port_value(&block.misaligned));
	expect("misaligned block", block.misaligned.h.status, FW_PENDING);
	expect("what is before a misaligned block", block.h.status, FW_EBLOCK);
	try_headers();
	try_end_of_ram();
	told("block");
	panic("lie");
}

/* ---- calls -------------------------------------------------------------------------------------- */

/* Before FW_PANIC_BEGIN. */
static const struct bad_call {
	const char *what;
	uint16_t call;
	uint32_t size;
	uint64_t w[4]; /* fields from offset 16 on; what fits in size */
	int32_t status;
} bad_calls[] = {
	{"console from outside RAM", FW_CONSOLE_WRITE, 32, {FAR, 16}, FW_EFAULT},
	{"console over 2^64", FW_CONSOLE_WRITE, 32, {UINT64_MAX - 3, 16}, FW_EFAULT},
	{"console of 65537 bytes", FW_CONSOLE_WRITE, 32, {NEAR, FW_CONSOLE_MAX + 1}, FW_EINVAL},
	{"console of 2^32 - 1 bytes", FW_CONSOLE_WRITE, 32, {NEAR, UINT32_MAX}, FW_EINVAL},
	{"open before begin", FW_DUMP_OPEN, 40, {NEAR, PAGE_BYTES}, FW_ENOTSUP},
	{"open of garbage before begin", FW_DUMP_OPEN, 40, {UINT64_MAX, UINT64_MAX}, FW_ENOTSUP},
	{"write before begin", FW_DUMP_WRITE, 48, {1, NEAR, PAGE_BYTES}, FW_ENOTSUP},
	{"write of garbage before begin", FW_DUMP_WRITE, 48, {UINT32_MAX, FAR, UINT64_MAX}, FW_ENOTSUP},
	{"close before begin", FW_DUMP_CLOSE, 24, {1}, FW_ENOTSUP},
	{"add before begin", FW_MEM_ADD, 40, {NEAR, PAGE_BYTES}, FW_ENOTSUP},
	{"add of garbage before begin", FW_MEM_ADD, 40, {UINT64_MAX, UINT64_MAX}, FW_ENOTSUP},
	{"remove before begin", FW_MEM_REMOVE, 24, {NEAR}, FW_ENOTSUP},
	{"heartbeat", FW_HEARTBEAT, 24, {UINT64_MAX}, FW_OK},
	{"heartbeat of 4096 bytes", FW_HEARTBEAT, FW_BLOCK_MAX, {UINT64_MAX}, FW_OK},
	{"query of 4096 bytes", FW_QUERY, FW_BLOCK_MAX, {UINT64_MAX, 1, 2, 3}, FW_OK},
};

static bool ends_the_vm(uint32_t call)
{
	return call == FW_PANIC || call == FW_REBOOT || call == FW_POWER_OFF;
}

/* Every call number there can be, again and again, with random sizes and fields. */
static void try_random_calls(uint64_t seed)
{
	for (uint64_t n = 0; n < RANDOM_CALLS; n++) {
		uint64_t random = splitmix64(seed + 64 * n);
		uint16_t call = (uint16_t)(n % 2 ? random : random % FW_NR_CALLS);

		for (uint64_t i = 0; i < 12; i++)
			block.any.w[i] = splitmix64(seed + 64 * n + 1 + i) >> (random >> 16) % 64;
		if (ends_the_vm(call) || call == FW_CONSOLE_WRITE) /* it could find text */
			continue;
		if (call == FW_EVENTS_POLL && machine.features & FW_FEATURE_MEMORY_GROWS) /* and events */
			continue;
		if (!is_status(fw_call(&block, call, sizeof(struct fw_header) + (random >> 32) % 200)))
			con_printf("stub: error: call %u: status %d\n", call, block.h.status);
	}
}

void lie_calls(const struct config *config)
{
	con_printf("stub: lie calls: every call with arguments that make no sense, or too early\n");
	for (uint32_t i = 0; i < ARRAY_LEN(bad_calls); i++) {
		const struct bad_call *bad = &bad_calls[i];

		__builtin_memcpy(block.any.w, bad->w, sizeof(bad->w));
		expect(bad->what, fw_call(&block, bad->call, bad->size), bad->status);
	}
	try_random_calls(config->seed);
	if (machine.dump_mode == FW_DUMP_MODE_VMM) {
		__builtin_memset(&block, 0, sizeof(block));
		block.panic.flags = FW_PANIC_BEGIN;
		expect("begin where the VMM dumps", fw_call(&block, FW_PANIC, sizeof(struct fw_panic)),
			FW_ENOTSUP);
	}
	told("calls");
	panic("lie");
}

/* ---- streams and areas: after FW_PANIC_BEGIN ---------------------------------------------------- */

/* FW_DUMP_OPEN and FW_MEM_ADD refuse the same ranges; nothing is open. */
static const struct bad_range {
	const char *what;
	uint64_t start, len;
	int32_t status;
} bad_ranges[] = {
	{"nothing", NEAR, 0, FW_EINVAL},
	{"start inside a page", NEAR + 512, PAGE_BYTES, FW_EINVAL},
	{"length that is no page", NEAR, PAGE_BYTES + 1, FW_EINVAL},
	{"outside RAM", FAR, PAGE_BYTES, FW_EFAULT},
	{"local APIC", LAPIC_BASE, PAGE_BYTES, FW_EFAULT},
	{"over the end of RAM", NEAR, 1ull << 48, FW_EFAULT},
	{"2^64 - 4096 bytes", NEAR, 0 - (uint64_t)PAGE_BYTES, FW_EFAULT},
	{"last page of 2^64", 0 - (uint64_t)PAGE_BYTES, PAGE_BYTES, FW_EFAULT},
	{"over 2^64", 0 - (uint64_t)PAGE_BYTES, 3 * PAGE_BYTES, FW_EFAULT},
};

/* The call @call (FW_DUMP_OPEN or FW_MEM_ADD); the number or address that it gives. */
static int32_t open_range(uint16_t call, uint64_t start_gpa, uint64_t len, uint64_t *ret_handle)
{
	int32_t status;

	block.any.w[0] = start_gpa;
	block.any.w[1] = len;
	block.any.w[2] = 0;
	status = fw_call(&block, call, sizeof(struct fw_dump_open));
	*ret_handle = call == FW_DUMP_OPEN ? (uint32_t)block.any.w[2] : block.any.w[2];
	return status;
}

static int32_t close_range(uint16_t call, uint64_t handle)
{
	block.any.w[0] = handle;
	return fw_call(
		&block, call == FW_DUMP_OPEN ? FW_DUMP_CLOSE : FW_MEM_REMOVE, sizeof(struct fw_dump_close));
}

/* What streams and areas have in common.  Leaves the one at NEAR open, of one page, and returns it. */
static uint64_t try_ranges(uint16_t call)
{
	uint64_t handles[FW_STREAMS_MAX], unused;

	for (uint32_t i = 0; i < ARRAY_LEN(bad_ranges); i++)
		expect(bad_ranges[i].what,
			open_range(call, bad_ranges[i].start, bad_ranges[i].len, &unused),
			bad_ranges[i].status);
	for (uint64_t i = 0; i < FW_STREAMS_MAX; i++)
		expect("one of 64", open_range(call, NEAR + i * PAGE_BYTES, PAGE_BYTES, &handles[i]),
			FW_OK);
	expect("one more than 64",
		open_range(call, NEAR + FW_STREAMS_MAX * PAGE_BYTES, PAGE_BYTES, &unused), FW_ENOSPC);
	for (uint64_t i = 1; i < FW_STREAMS_MAX; i++)
		expect("close", close_range(call, handles[i]), FW_OK);
	expect("the same range again", open_range(call, NEAR, PAGE_BYTES, &unused), FW_EINVAL);
	expect("overlap from below", open_range(call, NEAR - PAGE_BYTES, 2 * PAGE_BYTES, &unused),
		FW_EINVAL);
	expect("overlap from above", open_range(call, NEAR, 2 * PAGE_BYTES, &unused), FW_EINVAL);
	expect("close twice", close_range(call, handles[1]), FW_EINVAL);
	expect("close 0", close_range(call, 0), FW_EINVAL);
	expect("close 2^32 - 1", close_range(call, UINT32_MAX), FW_EINVAL);
	return handles[0];
}

static int32_t write_stream(uint64_t stream, uint32_t flags, uint64_t buf, uint64_t len)
{
	int32_t status;

	block.write = (struct fw_dump_write){
		.stream = (uint32_t)stream, .flags = flags, .buf = buf, .len = len, .written = 1};
	status = fw_call(&block, FW_DUMP_WRITE, sizeof(block.write));
	if (block.write.written != (status == FW_OK ? len : 0))
		con_printf("stub: error: write of %lu bytes, status %d: %lu are written\n", len, status,
			block.write.written);
	return status;
}

static void try_streams(void)
{
	uint64_t stream = try_ranges(FW_DUMP_OPEN);

	expect("write to stream 0", write_stream(0, 0, NEAR, 1), FW_EINVAL);
	expect("write to stream 65", write_stream(FW_STREAMS_MAX + 1, 0, NEAR, 1), FW_EINVAL);
	expect("write to stream 2^32 - 1", write_stream(UINT32_MAX, 0, NEAR, 1), FW_EINVAL);
	expect("write with unknown flags", write_stream(stream, ~FW_DUMP_RELEASE, NEAR, 1), FW_EINVAL);
	expect("write from outside RAM", write_stream(stream, 0, FAR, 1), FW_EFAULT);
	expect("write from over 2^64", write_stream(stream, 0, UINT64_MAX - 7, 16), FW_EFAULT);
	expect("write of 2^64 - 1 bytes", write_stream(stream, 0, NEAR, UINT64_MAX), FW_EFAULT);
	expect("write beyond the end", write_stream(stream, 0, NEAR, PAGE_BYTES + 1), FW_EINVAL);
	expect("write", write_stream(stream, 0, NEAR, PAGE_BYTES), FW_OK);
	expect("write at the end", write_stream(stream, 0, NEAR, 1), FW_EINVAL);
	expect("close", close_range(FW_DUMP_OPEN, stream), FW_OK);
	expect("write to a closed stream", write_stream(stream, 0, NEAR, 1), FW_EINVAL);
	told("streams");
}

static void try_areas(void)
{
	uint64_t added = try_ranges(FW_MEM_ADD);

	if (added >> PAGE_SHIFT < start.ram[start.nr_ram - 1].end ||
		added % (512 * PAGE_BYTES) != NEAR % (512 * PAGE_BYTES))
		con_printf("stub: error: memory added at 0x%lx\n", added);
	block.any.w[0] = added;
	block.any.w[1] = 16;
	expect("console from added memory", fw_call(&block, FW_CONSOLE_WRITE, 32), FW_EFAULT);
	out32(FW_PORT, (uint32_t)(added >> FW_BLOCK_SHIFT)); /* no block in RAM: ignored */
	expect("remove what is not its beginning", close_range(FW_MEM_ADD, added + PAGE_BYTES), FW_EINVAL);
	expect("remove RAM", close_range(FW_MEM_ADD, NEAR), FW_EINVAL);
	expect("remove", close_range(FW_MEM_ADD, added), FW_OK);
	expect("remove twice", close_range(FW_MEM_ADD, added), FW_EINVAL);
	told("areas");
}

/* These lies take place in the crash path. */
static _Noreturn void lie_in_dump(const char *name, void (*try)(void))
{
	con_printf("stub: lie %s: %s of every kind that is not allowed\n", name, name);
	crash_plan.before_dump = try;
	if (machine.dump_mode == FW_DUMP_MODE_VMM) {
		con_printf("stub: lie %s: not here, the VMM dumps\n", name);
		told(name);
	}
	panic("lie");
}

void lie_streams(const struct config *config)
{
	(void)config;
	lie_in_dump("streams", try_streams);
}

void lie_areas(const struct config *config)
{
	(void)config;
	lie_in_dump("areas", try_areas);
}
