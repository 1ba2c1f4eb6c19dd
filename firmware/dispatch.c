/* SPDX-License-Identifier: Apache-2.0 */
/* firmware/dispatch.c - see dispatch.h.  The firmware-call table is calls[] below. */
#include "firmware/dispatch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The copy of a block: everything the VMM ever looks at. */
union fw_block {
	struct fw_header h;
	struct fw_query query;
	struct fw_console_write console_write;
	struct fw_panic panic;
	struct fw_dump_open dump_open;
	struct fw_dump_write dump_write;
	struct fw_dump_close dump_close;
	struct fw_mem_add mem_add;
	struct fw_mem_remove mem_remove;
	struct fw_events_poll events_poll;
	struct fw_events_ack events_ack;
	struct fw_ready ready;
	struct fw_heartbeat heartbeat;
	struct fw_power power;
};

struct fw_context {
	const struct fw_machine_ops *ops;
	void *machine;
	uint32_t cpu;
	bool in_ram;             /* there is a place for the status */
	enum fw_verdict verdict; /* CONTINUE unless a handler says otherwise */
};

struct fw_call {
	const char *name;
	uint32_t min;  /* bytes that a block must have: the call's struct as it first was */
	uint32_t size; /* bytes of the struct today; a longer block is fine, its rest is ignored */
	uint32_t out;  /* offset of its OUT fields, which go on to the struct's end; 0 = only the status */
	int32_t (*handle)(struct fw_context *context, union fw_block *block); /* NULL: not supported */
};

static bool is_answered(const struct fw_machine_ops *ops, uint32_t call);

static int32_t call_query(struct fw_context *c, union fw_block *b)
{
	struct fw_query *query = &b->query;

	query->version_min = FW_VERSION;
	query->version_max = FW_VERSION;
	query->calls = 0;
	for (uint32_t i = 0; i < FW_NR_CALLS; i++)
		if (is_answered(c->ops, i))
			query->calls |= 1ull << i;
	c->ops->query(c->machine, query);
	return FW_OK;
}

static int32_t call_console_write(struct fw_context *c, union fw_block *b)
{
	struct fw_console_write *call = &b->console_write;
	uint32_t len = call->len;
	int32_t status;
	char *text;

	call->written = 0;
	if (len > FW_CONSOLE_MAX)
		return FW_EINVAL;
	text = malloc(len ? len : 1);
	if (!text)
		return FW_ENOSPC;
	status = c->ops->copy_in(c->machine, call->buf, text, len)
			 ? FW_EFAULT
			 : c->ops->console_write(c->machine, text, len);
	if (status == FW_OK)
		call->written = len;
	free(text);
	return status;
}

/* Everything bounded here, so that the machine gets copies of known size. */
struct panic_args {
	char string[FW_PANIC_STRING_MAX];
	struct fw_regs regs[FW_PANIC_REGS_MAX];
};

static int32_t call_panic(struct fw_context *c, union fw_block *b)
{
	struct fw_panic *call = &b->panic;
	uint32_t string_len = call->string_len < FW_PANIC_STRING_MAX ? call->string_len
								     : FW_PANIC_STRING_MAX;
	uint32_t nr_regs = call->nr_regs < FW_PANIC_REGS_MAX ? call->nr_regs : FW_PANIC_REGS_MAX;
	struct panic_args *args = calloc(1, sizeof(*args));
	int32_t status;

	if (!args)
		return FW_ENOSPC;
	/*
	 * A guest that panics is believed to be dead even if what it says of itself is wrong: a part
	 * that cannot be read is left out, the panic still counts.
	 */
	if (!call->string || c->ops->copy_in(c->machine, call->string, args->string, string_len))
		string_len = 0;
	if (!call->regs ||
		c->ops->copy_in(c->machine, call->regs, args->regs, nr_regs * sizeof(args->regs[0])))
		nr_regs = 0;
	call->string_len = string_len;
	call->nr_regs = nr_regs;
	if (call->nr_select > FW_SELECT_MAX)
		call->nr_select = 0;
	status = c->ops->panic(c->machine, c->cpu, call, args->string, string_len, args->regs, nr_regs);
	/* one that begins a dump of its own, or may not, has more to do; every other one is over */
	c->verdict = call->flags & FW_PANIC_BEGIN ? FW_VERDICT_CONTINUE : FW_VERDICT_STOP;
	free(args);
	return status;
}

static int32_t call_dump_open(struct fw_context *c, union fw_block *b)
{
	b->dump_open.stream = 0;
	return c->ops->dump_open(c->machine, b->dump_open.start, b->dump_open.len, &b->dump_open.stream);
}

static int32_t call_dump_write(struct fw_context *c, union fw_block *b)
{
	struct fw_dump_write *call = &b->dump_write;
	int32_t status;

	call->written = 0;
	if (call->flags & ~FW_DUMP_RELEASE)
		return FW_EINVAL;
	status = c->ops->dump_write(
		c->machine, call->stream, call->buf, call->len, call->flags & FW_DUMP_RELEASE);
	if (status == FW_OK)
		call->written = call->len;
	return status;
}

static int32_t call_dump_close(struct fw_context *c, union fw_block *b)
{
	return c->ops->dump_close(c->machine, b->dump_close.stream);
}

static int32_t call_mem_add(struct fw_context *c, union fw_block *b)
{
	b->mem_add.added = 0;
	return c->ops->mem_add(c->machine, b->mem_add.start, b->mem_add.len, &b->mem_add.added);
}

static int32_t call_mem_remove(struct fw_context *c, union fw_block *b)
{
	return c->ops->mem_remove(c->machine, b->mem_remove.added);
}

static int32_t call_events_poll(struct fw_context *c, union fw_block *b)
{
	struct fw_events_poll *call = &b->events_poll;
	struct fw_event events[FW_EVENTS_MAX];
	uint32_t count = 0, waiting = 0;
	int32_t status;

	call->count = 0;
	call->waiting = 0;
	if (call->max > FW_EVENTS_MAX)
		return FW_EINVAL;
	status = c->ops->events_poll(c->machine, events, call->max, &count, &waiting);
	if (status != FW_OK)
		return status;
	if (count && c->ops->copy_out(c->machine, call->buf, events, count * sizeof(events[0])))
		return FW_EFAULT;
	call->count = count;
	call->waiting = waiting;
	return FW_OK;
}

static int32_t call_events_ack(struct fw_context *c, union fw_block *b)
{
	return c->ops->events_ack(c->machine, b->events_ack.seq);
}

static int32_t call_ready(struct fw_context *c, union fw_block *b)
{
	(void)b;
	return c->ops->ready(c->machine, c->cpu);
}

static int32_t call_heartbeat(struct fw_context *c, union fw_block *b)
{
	return c->ops->heartbeat(c->machine, c->cpu, b->heartbeat.progress);
}

static int32_t call_reboot(struct fw_context *c, union fw_block *b)
{
	c->verdict = FW_VERDICT_STOP;
	return c->ops->reboot(c->machine, c->cpu, b->power.code);
}

static int32_t call_power_off(struct fw_context *c, union fw_block *b)
{
	c->verdict = FW_VERDICT_STOP;
	return c->ops->power_off(c->machine, c->cpu, b->power.code);
}

#define NO_OUT 0
#define ALL(type) sizeof(struct type), sizeof(struct type)
/* The firmware-call table: number, name, sizes of the struct, OUT fields, handler. */
static const struct fw_call calls[FW_NR_CALLS] = {
	[FW_QUERY] = {"query", FW_QUERY_MIN, sizeof(struct fw_query),
		offsetof(struct fw_query, version_min), call_query},
	[FW_CONSOLE_WRITE] = {"console-write", ALL(fw_console_write),
		offsetof(struct fw_console_write, written), call_console_write},
	[FW_PANIC] = {"panic", ALL(fw_panic), NO_OUT, call_panic},
	[FW_DUMP_OPEN] = {"dump-open", ALL(fw_dump_open), offsetof(struct fw_dump_open, stream),
		call_dump_open},
	[FW_DUMP_WRITE] = {"dump-write", ALL(fw_dump_write), offsetof(struct fw_dump_write, written),
		call_dump_write},
	[FW_DUMP_CLOSE] = {"dump-close", ALL(fw_dump_close), NO_OUT, call_dump_close},
	[FW_MEM_ADD] = {"mem-add", ALL(fw_mem_add), offsetof(struct fw_mem_add, added), call_mem_add},
	[FW_MEM_REMOVE] = {"mem-remove", ALL(fw_mem_remove), NO_OUT, call_mem_remove},
	[FW_EVENTS_POLL] = {"events-poll", ALL(fw_events_poll), offsetof(struct fw_events_poll, count),
		call_events_poll},
	[FW_EVENTS_ACK] = {"events-ack", ALL(fw_events_ack), NO_OUT, call_events_ack},
	[FW_READY] = {"ready", ALL(fw_ready), NO_OUT, call_ready},
	[FW_HEARTBEAT] = {"heartbeat", ALL(fw_heartbeat), NO_OUT, call_heartbeat},
	[FW_REBOOT] = {"reboot", ALL(fw_power), NO_OUT, call_reboot},
	[FW_POWER_OFF] = {"power-off", ALL(fw_power), NO_OUT, call_power_off},
};

const char *fw_call_name(uint32_t call)
{
	return call < FW_NR_CALLS ? calls[call].name : NULL;
}

int fw_call_supported(uint32_t call)
{
	return call < FW_NR_CALLS && calls[call].handle;
}

/* The calls of a guest that dumps by itself, and events, need a machine that has them. */
static bool is_answered(const struct fw_machine_ops *ops, uint32_t call)
{
	if (call >= FW_DUMP_OPEN && call <= FW_MEM_REMOVE)
		return ops->dump_open;
	if (call == FW_EVENTS_POLL || call == FW_EVENTS_ACK)
		return ops->events_poll;
	return fw_call_supported(call);
}

/* Bytes of @block that are the call's. */
static uint32_t used_size(const struct fw_call *call, const union fw_block *block)
{
	return block->h.size < call->size ? block->h.size : call->size;
}

/*
 * Copies the block in, each byte once: first FW_BLOCK_ALIGN bytes, which hold the header and lie in RAM
 * if the first one does, then what the call's struct has beyond them.
 */
static int32_t fetch_block(struct fw_context *c, fw_gpa_t gpa, union fw_block *block, uint32_t *ret_call)
{
	unsigned char first[FW_BLOCK_ALIGN];
	const struct fw_call *call;
	size_t head, size;

	if (c->ops->copy_in(c->machine, gpa, first, sizeof(first)))
		return FW_EFAULT;
	c->in_ram = true;
	memset(block, 0, sizeof(*block));
	memcpy(&block->h, first, sizeof(block->h));
	if (block->h.magic != FW_MAGIC || block->h.version != FW_VERSION)
		return FW_EBLOCK;
	if (block->h.size < sizeof(block->h) || block->h.size > FW_BLOCK_MAX)
		return FW_EBLOCK;
	if (!is_answered(c->ops, block->h.call))
		return FW_ENOTSUP;
	call = &calls[block->h.call];
	if (block->h.size < call->min)
		return FW_EBLOCK;
	size = used_size(call, block);
	head = size < sizeof(first) ? size : sizeof(first);
	memcpy(block, first, head);
	if (size > head && c->ops->copy_in(c->machine, gpa + head, (char *)block + head, size - head))
		return FW_EFAULT;
	*ret_call = block->h.call;
	return FW_OK;
}

/* Copies bytes [@from, @end) of the block to the guest.  If that fails, it lost only its own answer. */
static void put_back(
	struct fw_context *c, fw_gpa_t gpa, const union fw_block *block, uint32_t from, uint32_t end)
{
	(void)!c->ops->copy_out(c->machine, gpa + from, (const char *)block + from, end - from);
}

enum fw_verdict fw_dispatch(const struct fw_machine_ops *ops, void *machine, uint32_t cpu, fw_gpa_t gpa,
	uint32_t *ret_call, int32_t *ret_status)
{
	struct fw_context context = {
		.ops = ops, .machine = machine, .cpu = cpu, .verdict = FW_VERDICT_CONTINUE};
	union fw_block block;

	*ret_call = FW_NR_CALLS;
	*ret_status = fetch_block(&context, gpa, &block, ret_call);
	if (*ret_status == FW_OK) {
		const struct fw_call *call = &calls[*ret_call];

		*ret_status = call->handle(&context, &block);
		if (call->out)
			put_back(&context, gpa, &block, call->out, used_size(call, &block));
	}
	block.h.status = *ret_status;
	if (context.in_ram)
		put_back(&context, gpa, &block, offsetof(struct fw_header, status), sizeof(block.h));
	return context.verdict;
}
