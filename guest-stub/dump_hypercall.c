/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/dump_hypercall.c - crash driver: the VMM writes, asked by FW_DUMP_WRITE.
 *
 * A window is a stream.  Streams have a position and no seek, so pages that are left out end a stream, and only
 * one CPU at a time writes to it.
 */
#include "guest-stub/dump.h"
#include "guest-stub/machine.h"

/* One call block for each CPU. */
static union block {
	struct fw_dump_open open;
	struct fw_dump_write write;
	struct fw_dump_close close;
} __attribute__((aligned(FW_BLOCK_ALIGN))) blocks[MAX_CPUS];

static enum mem_pages cut_streams(void)
{
	return dump_options.used ? MEM_USED : MEM_ALL;
}

static int32_t open_stream(struct cpu *cpu, struct window *window)
{
	struct fw_dump_open *block = &blocks[cpu->id].open;
	int32_t status;

	*block = (struct fw_dump_open){.start = window->start, .len = window->end - window->start};
	status = fw_call(block, FW_DUMP_OPEN, sizeof(*block));
	window->handle = block->stream;
	return status;
}

static int32_t write_piece(struct cpu *cpu, const struct window *window, uint64_t from, uint64_t len)
{
	struct fw_dump_write *block = &blocks[cpu->id].write;
	uint64_t first = from >> PAGE_SHIFT, end = (from + len + PAGE_BYTES - 1) >> PAGE_SHIFT;
	bool release = dump_options.release && !mem_is_reserved(first, end - first);

	*block = (struct fw_dump_write){.stream = (uint32_t)window->handle,
		.flags = release ? FW_DUMP_RELEASE : 0,
		.buf = from,
		.len = len};
	return fw_call(block, FW_DUMP_WRITE, sizeof(*block));
}

static int32_t close_stream(struct cpu *cpu, const struct window *window)
{
	struct fw_dump_close *block = &blocks[cpu->id].close;

	*block = (struct fw_dump_close){.stream = (uint32_t)window->handle};
	return fw_call(block, FW_DUMP_CLOSE, sizeof(*block));
}

const struct dump_driver dump_hypercall = {
	.name = "hypercall",
	.windows = "streams",
	.cut = cut_streams,
	.in_order = true,
	.open = open_stream,
	.move = write_piece,
	.close = close_stream,
};
