/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/memory/budget.c - see budget.h */
#include "vmm/memory/budget.h"

#include "dump/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* our choice: what is given back at a time; some milliseconds with 4 KiB pages */
#define SLICE MIB(32)

struct budget_item {
	struct budget_item *next;
	uint32_t generation;
	int region_fd; /* owned; -1 once nothing else of the process holds the region */
	dev_t region_dev;
	ino_t region_ino;
	bool has_dump;
	struct publish_names names; /* if has_dump */
	bool fills, dump_over, reaped;
	bool written_off; /* counts until its dump is over, then no more */
	uint64_t in_flight, expected;
};

void budget_init(struct budget *budget, uint64_t memory, uint64_t reserve, uint64_t in_flight,
	int memory_dir_fd, int dump_dir_fd)
{
	struct statfs fs;

	*budget = (struct budget){.limit = memory + reserve,
		.reserve = reserve,
		.in_flight = in_flight,
		.memory_dir_fd = memory_dir_fd,
		.dump_dir_fd = dump_dir_fd};
	budget->dumps_in_ram = fstatfs(dump_dir_fd, &fs) < 0 || fs.f_type == TMPFS_MAGIC ||
			       fs.f_type == RAMFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC;
	pthread_mutex_init(&budget->lock, NULL);
}

static void free_item(struct budget_item *item)
{
	if (item->region_fd >= 0)
		close(item->region_fd);
	free(item);
}

void budget_fini(struct budget *budget)
{
	while (budget->items) {
		struct budget_item *next = budget->items->next;

		free_item(budget->items);
		budget->items = next;
	}
	pthread_mutex_destroy(&budget->lock);
}

static struct budget_item *find(struct budget *budget, uint32_t generation)
{
	for (struct budget_item *item = budget->items; item; item = item->next)
		if (item->generation == generation)
			return item;
	return NULL;
}

int budget_add(struct budget *budget, const struct budget_claim *claim)
{
	struct budget_item *item = calloc(1, sizeof(*item));
	struct stat st;
	int err;

	if (!item)
		return -ENOMEM;
	*item = (struct budget_item){
		.generation = claim->generation,
		.region_fd = fcntl(claim->region_fd, F_DUPFD_CLOEXEC, 0),
		.has_dump = claim->names,
		.dump_over = !claim->names,
		.fills = claim->names && claim->fills && budget->dumps_in_ram,
		.in_flight = claim->in_flight,
		.expected = budget->dumps_in_ram ? claim->expected : 0,
	};
	if (item->region_fd < 0 || fstat(item->region_fd, &st) < 0) {
		err = -errno;
		free_item(item);
		return err;
	}
	item->region_dev = st.st_dev;
	item->region_ino = st.st_ino;
	if (claim->names)
		item->names = *claim->names;
	pthread_mutex_lock(&budget->lock);
	item->next = budget->items;
	budget->items = item;
	pthread_mutex_unlock(&budget->lock);
	return 0;
}

bool budget_has(struct budget *budget, uint32_t generation)
{
	bool has;

	pthread_mutex_lock(&budget->lock);
	has = find(budget, generation);
	pthread_mutex_unlock(&budget->lock);
	return has;
}

/* The last reference of the process to the memory of a VM that is gone. */
static void let_go(struct budget_item *item)
{
	if (!item->reaped || !item->dump_over || item->region_fd < 0)
		return;
	close(item->region_fd);
	item->region_fd = -1;
}

void budget_dump_over(struct budget *budget, uint32_t generation)
{
	struct budget_item *item;

	pthread_mutex_lock(&budget->lock);
	item = find(budget, generation);
	if (item) {
		item->dump_over = true;
		let_go(item);
	}
	pthread_mutex_unlock(&budget->lock);
}

/* Nobody reads it any more: given back in slices, so that who waits for memory need not wait for all of it. */
static void give_back(int region_fd, void (*given_back)(void *), void *arg)
{
	struct stat st;

	if (fstat(region_fd, &st) < 0)
		return;
	for (uint64_t off = 0; off < (uint64_t)st.st_size; off += SLICE) {
		if (io_fallocate(region_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, SLICE))
			return; /* closing gives it back as well */
		given_back(arg);
	}
}

void budget_reaped(struct budget *budget, uint32_t generation, void (*given_back)(void *), void *arg)
{
	struct budget_item *item;
	int discard_fd = -1;

	pthread_mutex_lock(&budget->lock);
	item = find(budget, generation);
	if (item && !item->has_dump)
		discard_fd = fcntl(item->region_fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&budget->lock);
	if (discard_fd >= 0) {
		give_back(discard_fd, given_back, arg);
		close(discard_fd);
	}
	pthread_mutex_lock(&budget->lock);
	item = find(budget, generation);
	if (item) {
		item->reaped = true;
		let_go(item);
	}
	pthread_mutex_unlock(&budget->lock);
	given_back(arg);
}

void budget_set_standby(struct budget *budget, uint64_t bytes)
{
	pthread_mutex_lock(&budget->lock);
	budget->standby = bytes;
	budget->image = u64_max(budget->image, bytes);
	pthread_mutex_unlock(&budget->lock);
}

/* Bytes behind a file by name, unless it is @item's region, which is counted already. */
static uint64_t bytes_of(int dir_fd, const char *name, const struct budget_item *item, bool *ret_found)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	*ret_found = true;
	if (item->region_fd >= 0 && st.st_ino == item->region_ino && st.st_dev == item->region_dev)
		return 0;
	return io_stat_bytes(&st);
}

/*
 * Adds @item's share.  The region is asked first: what moves from there to the dump between the two
 * questions is counted twice, never not at all.  False if nothing is left of it.
 */
static bool look_at(const struct budget *budget, const struct budget_item *item, struct budget_state *state)
{
	bool partial = false, found = item->region_fd >= 0;
	bool over = item->dump_over && item->reaped;
	uint64_t dump = 0;

	if (over && item->written_off)
		return false;
	if (item->region_fd >= 0)
		state->crashed += io_bytes_behind(item->region_fd);
	else if (item->has_dump)
		state->crashed += bytes_of(budget->memory_dir_fd, item->names.region_partial, item, &found);
	if (item->has_dump && budget->dumps_in_ram) {
		dump = bytes_of(budget->dump_dir_fd, item->names.dump_partial, item, &partial);
		if (!partial) /* only after the final name exists is the other one removed */
			dump = bytes_of(budget->dump_dir_fd, item->names.final, item, &found);
	}
	if (!item->dump_over) {
		dump = u64_max(dump, item->expected);
		state->other += item->in_flight;
	}
	state->dumps += dump;
	state->under_way |= !over;
	if (!item->fills && !over)
		state->growing = true;
	return found || partial || !over;
}

void budget_look(struct budget *budget, struct budget_state *ret)
{
	struct budget_state state = {.limit = budget->limit};
	struct budget_item **at = &budget->items;

	pthread_mutex_lock(&budget->lock);
	state.other = budget->standby;
	while (*at) {
		struct budget_item *item = *at;

		if (look_at(budget, item, &state)) {
			at = &item->next;
			continue;
		}
		*at = item->next;
		free_item(item);
	}
	if (budget->items) /* else its memory is all the VM's, and the whole reserve is there for its crash */
		state.other += u64_min(budget->in_flight + budget->image, budget->reserve);
	pthread_mutex_unlock(&budget->lock);
	*ret = state;
}

void budget_write_off(struct budget *budget)
{
	pthread_mutex_lock(&budget->lock);
	for (struct budget_item *item = budget->items; item; item = item->next)
		item->written_off = true;
	pthread_mutex_unlock(&budget->lock);
}

int budget_watch_dumps(int dump_dir_fd)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[32];

	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dump_dir_fd);
	if (inotify_add_watch(fd, path, IN_DELETE | IN_MOVED_FROM) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}
