/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/memory/gate_serve.c - see gate.h: who may touch which memory.  The thread is gate_thread(), the decision serve(). */
#include "vmm/memory/gate_impl.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/base/bitmap.h"
#include "vmm/memory/uffd.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

/*
 * What one touch opens at most.  Measured (docs/performance.md, "Gate"): a fault costs about 0.1 ms, with
 * this much memory at a time that is below a thousandth of what touching the memory takes.
 */
#define WINDOW_MAX MIB(64)
/* our choice: one touch takes no more than this share of what is left, so that others find something */
#define WINDOW_SHARE 8

/* ---- opening; the lock is held -------------------------------------------------------------------- */

static uint64_t closed_bytes(const struct gate *gate)
{
	return gate->region->layout.ram - gate->granted;
}

static void end_wait(struct gate *gate, uint32_t index, uint64_t now)
{
	uint64_t ns = now - gate->waits[index].since_ns;

	gate->report.waited_ns += ns;
	gate->report.longest_ns = u64_max(gate->report.longest_ns, ns);
	gate->last_wait_ns = now;
	gate->waits[index] = gate->waits[--gate->nr_waits];
}

void gate_forget(struct gate *gate)
{
	uint64_t now = clock_mono_ns();

	while (gate->nr_waits)
		end_wait(gate, gate->nr_waits - 1, now);
	atomic_store(&gate->region->gate, NULL);
	gate->region = NULL;
	gate->granted = 0;
	gate->blocked = false;
	free(gate->open);
	gate->open = NULL;
	pthread_cond_broadcast(&gate->opened);
}

void gate_open_everything(struct gate *gate)
{
	struct region *region = gate->region;
	int err = uffd_unregister(gate->uffd, region_hva(region, 0), region->layout.ram);

	if (err)
		log_error("gate: cannot open the recovery VM's memory: %s", strerror(-err));
	gate_forget(gate);
}

/* The handover of @gate->region is over: @uncovered bytes were not there to be granted. */
static void finish(struct gate *gate, uint64_t uncovered)
{
	gate->report.generation = gate->generation;
	gate->report.uncovered = uncovered;
	gate_open_everything(gate);
	gate->report.over_ns = clock_mono_ns();
	gate->news = GATE_OVER;
	io_ring(gate->options.notify_fd);
}

/* The closed blocks around @first to open with it: [*ret_first, *ret_end), @bytes at most. */
static void choose_run(
	const struct gate *gate, uint64_t first, uint64_t bytes, uint64_t *ret_first, uint64_t *ret_end)
{
	uint64_t most = u64_max(bytes / gate->options.block, 1), end;

	end = bitmap_next(gate->open, first, u64_min(first + most, gate->nr_blocks), true);
	/* a guest that comes from above goes on downwards */
	if (end == first + 1)
		while (first && end - first < most && !bitmap_test(gate->open, first - 1))
			first--;
	*ret_first = first;
	*ret_end = end;
}

/* Opens [@first, @end) of blocks; if the kernel cannot, all of them. */
static void open_run(struct gate *gate, uint64_t first, uint64_t end)
{
	uint64_t ram = gate->region->layout.ram, off = first * gate->options.block;
	uint64_t len = u64_min(end * gate->options.block, ram) - off;
	int err = uffd_unregister(gate->uffd, region_hva(gate->region, off), len);

	if (err) {
		/* -ENOMEM: each border between open and closed is one of vm.max_map_count mappings */
		log_warn("gate: cannot open %" PRIu64 " KiB: %s; everything is opened", len >> 10,
			strerror(-err));
		finish(gate, closed_bytes(gate));
		return;
	}
	bitmap_set_range(gate->open, first, end);
	gate->granted += len;
	gate->report.opened++;
	pthread_cond_broadcast(&gate->opened);
}

/* ---- deciding; the lock is held -------------------------------------------------------------------- */

/*
 * What the file system of the regions can still give for closed blocks, whatever the budget says: what is free, but for
 * what the dumps under way need for a while, and for what has been granted and not been touched yet.
 */
static uint64_t host_room(const struct gate *gate, const struct budget_state *state)
{
	uint64_t room, spoken_for = state->other;
	struct statfs fs;

	if (fstatfs(gate->options.memory_dir_fd, &fs))
		return 0;
	if (!fs.f_blocks) /* a tmpfs without a limit */
		return UINT64_MAX;
	spoken_for += gate->granted - u64_min(io_bytes_behind(gate->region->fd), gate->granted);
	room = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	return room - u64_min(room, spoken_for);
}

/* Opens for those who wait, first come first served, as far as the budget goes. */
static void serve_waits(struct gate *gate, const struct budget_state *state)
{
	uint32_t i = 0;

	while (gate->region && i < gate->nr_waits) {
		uint64_t block = gate->waits[i].block, first, end;
		uint64_t left = u64_min(budget_left(state, gate->granted), host_room(gate, state));

		if (bitmap_test(gate->open, block)) {
			end_wait(gate, i, clock_mono_ns());
			continue;
		}
		if (left < gate->options.block) {
			gate->report.waits += !gate->waits[i].counted;
			gate->waits[i++].counted = true;
			continue;
		}
		choose_run(gate, block, u64_min(left / WINDOW_SHARE, WINDOW_MAX), &first, &end);
		open_run(gate, first, end);
	}
}

bool gate_finish_if_over(struct gate *gate, struct budget_state *ret_state)
{
	uint64_t left;

	budget_look(gate->options.budget, ret_state);
	left = budget_left(ret_state, gate->granted);
	if (left >= closed_bytes(gate)) {
		finish(gate, 0);
		return true;
	}
	if (ret_state->growing || !gate->options.allow || host_room(gate, ret_state) < closed_bytes(gate))
		return false;
	budget_write_off(gate->options.budget);
	finish(gate, closed_bytes(gate) - left);
	return true;
}

/* What memory there is goes to who waits. */
static void serve(struct gate *gate)
{
	struct budget_state state;

	if (!gate->region || gate_finish_if_over(gate, &state))
		return;
	serve_waits(gate, &state);
	if (!gate->region || !gate->nr_waits || state.under_way) {
		gate->blocked = false;
	} else if (!gate->blocked) {
		gate->blocked = true;
		gate->news = GATE_BLOCKED;
		io_ring(gate->options.notify_fd);
	}
}

/* Notes that somebody waits for @block.  False if nobody need wait. */
static bool add_wait(struct gate *gate, uint64_t block)
{
	for (uint32_t i = 0; i < gate->nr_waits; i++)
		if (gate->waits[i].block == block)
			return true;
	if (gate->nr_waits == GATE_WAITERS_MAX) {
		log_debug("gate: too many threads wait; one of them does not");
		open_run(gate, block, block + 1);
		return false;
	}
	gate->waits[gate->nr_waits++] = (struct gate_wait){.block = block, .since_ns = clock_mono_ns()};
	return true;
}

/* ---- the thread ------------------------------------------------------------------------------------ */

static void handle_fault(struct gate *gate, uint64_t address)
{
	uint64_t start, block;

	if (gate->region && address >= region_hva(gate->region, 0) &&
		address - region_hva(gate->region, 0) < gate->region->layout.ram) {
		start = region_hva(gate->region, 0);
		block = (address - start) / gate->options.block;
		if (bitmap_test(gate->open, block))
			open_run(gate, block, block + 1); /* populated in part when it was attached */
		else
			add_wait(gate, block);
	} else {
		/* of a VM that is not gated any more: woken by the end of its registration */
		uffd_wake(gate->uffd, u64_align_down(address, PAGE_SIZE_4K), PAGE_SIZE_4K);
	}
}

static void drain(int fd)
{
	char bytes[4096] __attribute__((aligned(8)));

	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
}

void *gate_thread(void *opaque)
{
	struct gate *gate = opaque;
	struct pollfd fds[] = {{.fd = gate->uffd, .events = POLLIN},
		{.fd = gate->wake_fd, .events = POLLIN}, {.fd = gate->watch_fd, .events = POLLIN}};

	while (!atomic_load(&gate->quit)) {
		uint64_t address;

		if (poll(fds, ARRAY_LEN(fds), -1) < 0)
			continue; /* EINTR */
		if (fds[1].revents)
			drain(gate->wake_fd);
		if (fds[2].revents)
			drain(gate->watch_fd);
		pthread_mutex_lock(&gate->lock);
		if (fds[2].revents)
			gate->blocked = false; /* if it still is, that is news: another dump may go */
		while (uffd_next_fault(gate->uffd, &address) == 1)
			handle_fault(gate, address);
		serve(gate);
		pthread_mutex_unlock(&gate->lock);
	}
	return NULL;
}

void gate_touch(struct gate *gate, const struct region *region, uint64_t off, uint64_t len)
{
	uint64_t block, end;

	pthread_mutex_lock(&gate->lock);
	while (gate->region == region && len) {
		end = (off + len - 1) / gate->options.block + 1;
		block = bitmap_next(gate->open, off / gate->options.block, end, false);
		if (block == end)
			break;
		if (!add_wait(gate, block))
			continue;
		io_ring(gate->wake_fd);
		pthread_cond_wait(&gate->opened, &gate->lock);
	}
	pthread_mutex_unlock(&gate->lock);
}
