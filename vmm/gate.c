/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/gate.c - see gate.h.  The thread is gate_thread(), the decision serve(). */
#include "vmm/gate.h"

#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/bitmap.h"
#include "vmm/uffd.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/*
 * What one touch opens at most.  Measured (docs/performance.md, "Gate"): a fault costs about 0.1 ms, with
 * this much memory at a time that is below a thousandth of what touching the memory takes.
 */
#define WINDOW_MAX MIB(64)
/* our choice: one touch takes no more than this share of what is left, so that others find something */
#define WINDOW_SHARE 8

void gate_wake(struct gate *gate)
{
	if (gate->wake_fd >= 0)
		io_ring(gate->wake_fd);
}

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

/* Forgets the gated VM; nothing of it is registered any more. */
static void forget(struct gate *gate)
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

static void open_everything(struct gate *gate)
{
	struct region *region = gate->region;
	int err = uffd_unregister(gate->uffd, region_hva(region, 0), region->layout.ram);

	if (err)
		log_error("gate: cannot open the recovery VM's memory: %s", strerror(-err));
	forget(gate);
}

/* The handover of @gate->region is over: @uncovered bytes were not there to be granted. */
static void finish(struct gate *gate, uint64_t uncovered)
{
	gate->report.generation = gate->generation;
	gate->report.uncovered = uncovered;
	open_everything(gate);
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
	struct stat st;

	if (fstatfs(gate->options.memory_dir_fd, &fs))
		return 0;
	if (!fs.f_blocks) /* a tmpfs without a limit */
		return UINT64_MAX;
	if (!fstat(gate->region->fd, &st))
		spoken_for += gate->granted -
			      u64_min((uint64_t)st.st_blocks * 512 /* its unit */, gate->granted);
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

/* Ends the handover if the budget covers everything, or never will and need not. */
static bool finish_if_over(struct gate *gate, struct budget_state *ret_state)
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

	if (!gate->region || finish_if_over(gate, &state))
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

static void *gate_thread(void *opaque)
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

/* ---- attaching ------------------------------------------------------------------------------------- */

/* Marks what is populated already, the kernel image for one, as open. */
static int note_populated(struct gate *gate)
{
	const struct dump_layout *layout = &gate->region->layout;
	off_t end = (off_t)layout->head, start;

	while ((start = lseek(gate->region->fd, end, SEEK_DATA)) >= 0 &&
		(uint64_t)start < layout->head + layout->ram) {
		uint64_t from = ((uint64_t)start - layout->head) / gate->options.block;

		end = lseek(gate->region->fd, start, SEEK_HOLE);
		if (end < 0)
			return -errno;
		bitmap_set_range(gate->open, from,
			u64_min(((uint64_t)end - layout->head + gate->options.block - 1) /
					gate->options.block,
				gate->nr_blocks));
	}
	return start < 0 && errno != ENXIO ? -errno : 0;
}

/* Bytes of the open blocks; the last block of RAM may be a short one. */
static uint64_t count_open(const struct gate *gate)
{
	return u64_min(
		bitmap_count(gate->open, gate->nr_blocks) * gate->options.block, gate->region->layout.ram);
}

static int prepare(struct gate *gate, struct region *region, uint32_t generation)
{
	gate->region = region;
	gate->generation = generation;
	gate->report = (struct gate_report){.generation = generation};
	gate->news = GATE_NO_NEWS;
	gate->last_wait_ns = 0;
	gate->nr_blocks = (region->layout.ram + gate->options.block - 1) / gate->options.block;
	gate->open = calloc((gate->nr_blocks + 63) / 64, sizeof(*gate->open));
	return gate->open ? note_populated(gate) : -ENOMEM;
}

int gate_attach(struct gate *gate, struct region *region, uint32_t generation)
{
	struct budget_state state;
	bool gated;
	int err;

	if (gate->uffd < 0)
		return 0;
	pthread_mutex_lock(&gate->lock);
	assert(!gate->region);
	err = prepare(gate, region, generation);
	if (err)
		goto out;
	gate->granted = count_open(gate);
	if (finish_if_over(gate, &state)) {
		if (!gate->report.uncovered)
			gate->news = GATE_NO_NEWS;
		goto out;
	}
	err = uffd_register(gate->uffd, region_hva(region, 0), region->layout.ram);
out:
	gated = !err && gate->region;
	if (gated)
		atomic_store(&region->gate, gate);
	else if (gate->region)
		forget(gate);
	pthread_mutex_unlock(&gate->lock);
	return err ? err : gated;
}

void gate_detach(struct gate *gate, const struct region *region)
{
	if (gate->uffd < 0)
		return;
	pthread_mutex_lock(&gate->lock);
	if (gate->region == region)
		open_everything(gate);
	gate->news = GATE_NO_NEWS;
	pthread_mutex_unlock(&gate->lock);
}

/* ---- reports --------------------------------------------------------------------------------------- */

enum gate_news gate_take_news(struct gate *gate, struct gate_report *ret_report)
{
	enum gate_news news;

	if (gate->uffd < 0)
		return GATE_NO_NEWS;
	pthread_mutex_lock(&gate->lock);
	news = gate->news;
	gate->news = GATE_NO_NEWS;
	*ret_report = gate->report;
	ret_report->generation = gate->report.generation;
	pthread_mutex_unlock(&gate->lock);
	return news;
}

uint64_t gate_stalled_until(struct gate *gate)
{
	uint64_t until;

	if (gate->uffd < 0)
		return 0;
	pthread_mutex_lock(&gate->lock);
	until = gate->nr_waits ? UINT64_MAX : gate->last_wait_ns;
	pthread_mutex_unlock(&gate->lock);
	return until;
}

uint64_t gate_granted(struct gate *gate)
{
	uint64_t granted;

	if (gate->uffd < 0)
		return 0;
	pthread_mutex_lock(&gate->lock);
	granted = gate->granted;
	pthread_mutex_unlock(&gate->lock);
	return granted;
}

/* ---- life ------------------------------------------------------------------------------------------ */

void gate_none(struct gate *gate)
{
	*gate = (struct gate){.uffd = -1, .wake_fd = -1, .watch_fd = -1};
}

int gate_probe(void)
{
	int fd = uffd_open();

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int open_files(struct gate *gate)
{
	int dump_dir_fd = gate->options.dump_dir_fd;

	gate->uffd = uffd_open();
	if (gate->uffd < 0)
		return gate->uffd;
	gate->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (gate->wake_fd < 0)
		return -errno;
	gate->watch_fd = dump_dir_fd >= 0 ? budget_watch_dumps(dump_dir_fd) : -1;
	return dump_dir_fd >= 0 && gate->watch_fd < 0 ? gate->watch_fd : 0;
}

int gate_init(struct gate *gate, const struct gate_options *options)
{
	int err;

	gate_none(gate);
	gate->options = *options;
	err = open_files(gate);
	if (!err) {
		pthread_mutex_init(&gate->lock, NULL);
		pthread_cond_init(&gate->opened, NULL);
		err = -pthread_create(&gate->thread, NULL, gate_thread, gate);
		gate->started = !err;
	}
	if (err)
		gate_fini(gate);
	return err;
}

void gate_fini(struct gate *gate)
{
	if (gate->started) {
		atomic_store(&gate->quit, true);
		gate_wake(gate);
		pthread_join(gate->thread, NULL);
		if (gate->region)
			open_everything(gate);
		pthread_cond_destroy(&gate->opened);
		pthread_mutex_destroy(&gate->lock);
	}
	if (gate->uffd >= 0)
		close(gate->uffd);
	if (gate->wake_fd >= 0)
		close(gate->wake_fd);
	if (gate->watch_fd >= 0)
		close(gate->watch_fd);
	gate_none(gate);
}
