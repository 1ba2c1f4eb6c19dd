/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/memory/gate.c - see gate.h: life, attaching, reports */
#include "vmm/memory/gate_impl.h"

#include "dump/base/io.h"
#include "dump/base/bitmap.h"
#include "vmm/memory/uffd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void gate_wake(struct gate *gate)
{
	if (gate->wake_fd >= 0)
		io_ring(gate->wake_fd);
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
	if (gate_finish_if_over(gate, &state)) {
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
		gate_forget(gate);
	pthread_mutex_unlock(&gate->lock);
	return err ? err : gated;
}

void gate_detach(struct gate *gate, const struct region *region)
{
	if (gate->uffd < 0)
		return;
	pthread_mutex_lock(&gate->lock);
	if (gate->region == region)
		gate_open_everything(gate);
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
		if (!err)
			pthread_setname_np(gate->thread, "gate");
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
			gate_open_everything(gate);
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
