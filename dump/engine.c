/* SPDX-License-Identifier: Apache-2.0 */
/* dump/engine.c - see engine.h */
#include "dump/engine.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/filemap.h"
#include "dump/release.h"
#include "dump/select.h"
#include "dump/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/*
 * our choice, for dump.workers = 0: half of the CPUs stay with the recovery VM, and more copy threads
 * than this wait for memory (docs/vmcore.md, "Speed")
 */
#define WORKERS_AUTO_MAX 4

/* The used part of a head room, the same for region and dump. */
struct head {
	unsigned char *bytes;
	size_t len;
	uint64_t timeline_off; /* file offset of the timeline text */
};

static void notify(struct dump_engine *engine, enum dump_notice notice)
{
	if (engine->notify)
		engine->notify(engine, notice);
}

static void mark(struct dump_engine *engine, enum dump_moment moment)
{
	dump_record_mark(engine->record, moment, clock_mono_ns());
}

int dump_engine_fail(struct dump_engine *engine, int error, const char *fmt, ...)
{
	va_list args;
	int len;

	pthread_mutex_lock(&engine->lock);
	if (!engine->error) {
		engine->error = error;
		va_start(args, fmt);
		len = vsnprintf(engine->why, sizeof(engine->why), fmt, args);
		va_end(args);
		if (len >= 0 && (size_t)len < sizeof(engine->why))
			snprintf(engine->why + len, sizeof(engine->why) - (size_t)len, ": %s",
				strerror(-error));
	}
	pthread_mutex_unlock(&engine->lock);
	return error;
}

/* Makes the cached run the one that @from lies in, or the next one; -ENXIO if there is none. */
static int find_extent(struct dump_engine *engine, uint64_t from)
{
	uint64_t head = engine->layout.head;
	off_t start, stop;

	if (from >= engine->extent_start && from < engine->extent_end)
		return 0;
	start = lseek(engine->region_fd, (off_t)(head + from), SEEK_DATA);
	if (start < 0)
		return -errno;
	if ((uint64_t)start - head >= engine->extent_start && (uint64_t)start - head < engine->extent_end)
		return 0;
	stop = lseek(engine->region_fd, start, SEEK_HOLE);
	if (stop < 0)
		return -errno;
	engine->extent_start = (uint64_t)start - head;
	engine->extent_end = (uint64_t)stop - head;
	return 0;
}

int dump_engine_extent(
	struct dump_engine *engine, uint64_t from, uint64_t end, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t start, stop;
	int r;

	if (from >= end)
		return 0;
	pthread_mutex_lock(&engine->extent_lock);
	r = find_extent(engine, from);
	start = u64_max(engine->extent_start, from);
	stop = u64_min(engine->extent_end, end);
	pthread_mutex_unlock(&engine->extent_lock);
	if (r)
		return r == -ENXIO ? 0 : r;
	if (start >= end)
		return 0;
	*ret_start = start;
	*ret_end = stop;
	return 1;
}

void dump_engine_forget_extents(struct dump_engine *engine)
{
	pthread_mutex_lock(&engine->extent_lock);
	engine->extent_start = 0;
	engine->extent_end = 0;
	pthread_mutex_unlock(&engine->extent_lock);
}

void dump_engine_released(struct dump_engine *engine, uint64_t bytes)
{
	if (!bytes)
		return;
	atomic_fetch_add(&engine->released, bytes);
	if (!atomic_load(&engine->record->moments[DUMP_MOMENT_FIRST_RELEASE]))
		mark(engine, DUMP_MOMENT_FIRST_RELEASE);
	notify(engine, DUMP_NOTICE_PROGRESS);
}

void dump_engine_chunk_done(struct dump_engine *engine, uint64_t index, uint64_t populated)
{
	uint64_t off, len;
	int r;

	dump_engine_chunk(engine, index, &off, &len);
	dump_tail_chunk_done(&engine->tail, index);
	atomic_fetch_add(&engine->done, len);
	r = populated ? dump_release(engine, off, len) : 0;
	if (!r && populated)
		dump_engine_released(engine, populated); /* notifies */
	else
		notify(engine, DUMP_NOTICE_PROGRESS);
	if (r && !atomic_flag_test_and_set(&engine->release_warned))
		log_warn("cannot release memory of the crashed VM: %s", strerror(-r));
}

/*
 * The region gets the head too, so that it is a vmcore by itself from the moment it has a name.  If
 * there is no room for that, a region without it is still better than none.
 */
static void describe_region(struct dump_engine *engine, const struct head *head)
{
	struct vmcore_trailer trailer;
	uint64_t trailer_off = dump_layout_file_size(&engine->layout) - PAGE_SIZE_4K;
	int r;

	vmcore_trailer_init(&trailer, engine->record, VMCORE_ROLE_REGION);
	r = filemap_write(engine->region_fd, 0, head->bytes, head->len);
	if (!r)
		r = filemap_write(engine->region_fd, trailer_off, &trailer, sizeof(trailer));
	if (r)
		log_debug("%s has no metadata: %s", engine->names.region_partial, strerror(-r));
}

static int link_region(struct dump_engine *engine)
{
	int r = publish_link(
		engine->proc_fd, engine->region_fd, engine->region_dir_fd, engine->names.region_partial);

	if (r == -EXDEV) {
		log_warn("%s: the guest's memory is on another file system; a kill during the dump loses "
			 "what is not dumped yet",
			engine->names.region_partial);
		return 0;
	}
	if (r)
		return dump_engine_fail(engine, r, "cannot link %s", engine->names.region_partial);
	engine->region_linked = true;
	return 0;
}

static int make_dump(struct dump_engine *engine, const struct head *head)
{
	int r;

	if (engine->given_dump_fd >= 0)
		r = (engine->dump_fd = fcntl(engine->given_dump_fd, F_DUPFD_CLOEXEC, 0)) < 0 ? -errno : 0;
	else
		r = publish_tmpfile(
			engine->dir_fd, dump_layout_file_size(&engine->layout), &engine->dump_fd);
	if (r)
		return dump_engine_fail(engine, r, "cannot create the dump file");
	r = filemap_write(engine->dump_fd, 0, head->bytes, head->len);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot write the head of %s", engine->names.dump_partial);
	r = dump_tail_init(&engine->tail, engine->dump_fd, engine->record);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot make the tables of %s", engine->names.dump_partial);
	r = publish_link(engine->proc_fd, engine->dump_fd, engine->dir_fd, engine->names.dump_partial);
	if (r)
		return dump_engine_fail(engine, r, "cannot link %s", engine->names.dump_partial);
	engine->dump_linked = true;
	mark(engine, DUMP_MOMENT_LINKED);
	notify(engine, DUMP_NOTICE_LINKED);
	return 0;
}

/*
 * Bytes that the dump needs at most before releasing gives them back: a chunk for each worker, or all
 * of the region when its memory is not the directory's.
 */
static uint64_t space_needed(const struct dump_engine *engine)
{
	uint64_t in_flight = engine->workers * engine->chunk;
	struct stat region, dir;

	if (fstat(engine->region_fd, &region) || fstat(engine->dir_fd, &dir))
		return in_flight;
	if (region.st_dev == dir.st_dev)
		return u64_min(in_flight, engine->layout.ram);
	return u64_min((uint64_t)region.st_blocks * 512, engine->layout.ram);
}

static int check_space(struct dump_engine *engine)
{
	uint64_t need = space_needed(engine);
	struct statfs fs;
	uint64_t have;

	if (fstatfs(engine->dump_fd, &fs) < 0)
		return dump_engine_fail(
			engine, -errno, "cannot ask for the free space of the dump directory");
	have = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	if (!fs.f_blocks || have >= need) /* no blocks: a tmpfs without a limit */
		return 0;
	return dump_engine_fail(engine, -ENOSPC,
		"the dump directory has %llu MiB free, the dump needs %llu MiB",
		(unsigned long long)(have >> 20), (unsigned long long)((need + MIB(1) - 1) >> 20));
}

static int map_ram(struct dump_engine *engine)
{
	void *at = mmap(NULL, engine->layout.ram, PROT_READ, MAP_SHARED | MAP_NORESERVE, engine->region_fd,
		(off_t)engine->layout.head);

	if (at == MAP_FAILED)
		return dump_engine_fail(engine, -errno, "cannot map the crashed VM's memory");
	engine->ram = at;
	return 0;
}

/* What the selectors did, into the file; the state that is set next makes it valid. */
static void save_selection(struct dump_engine *engine)
{
	struct vmcore_trailer *trailer = engine->tail.trailer;

	trailer->distrusted = engine->distrusted;
	for (size_t i = 0; i < VMCORE_SELECTORS_MAX; i++)
		trailer->excluded[i] = atomic_load(&engine->excluded[i]);
	memcpy(trailer->distrust, engine->distrust, sizeof(trailer->distrust));
}

/* Decides which pages belong in the dump.  A guest that dumps by itself has decided already. */
static int select_pages_of(struct dump_engine *engine, const struct dump_strategy *strategy)
{
	int r;

	if (strategy->guest_mode != FW_DUMP_MODE_VMM) {
		dump_tail_set_state(&engine->tail, VMCORE_STATE_DUMPING);
		return 0;
	}
	r = dump_select_prepare(engine);
	if (r)
		return dump_engine_fail(engine, r, "cannot select pages");
	save_selection(engine);
	dump_tail_set_state(&engine->tail, VMCORE_STATE_DUMPING);
	dump_release_excluded(engine);
	return 0;
}

static int move_bytes(struct dump_engine *engine)
{
	const struct dump_strategy *strategy = &dump_strategies[engine->record->options.strategy];
	int r;

	r = check_space(engine);
	if (!r)
		r = map_ram(engine);
	if (!r)
		r = select_pages_of(engine, strategy);
	if (r)
		return r;
	r = strategy->run(engine);
	if (r)
		return dump_engine_fail(engine, r, "strategy %s", strategy->name);
	assert(atomic_load(&engine->done) == engine->layout.ram);
	mark(engine, DUMP_MOMENT_COPIED);
	notify(engine, DUMP_NOTICE_COPIED);
	return 0;
}

static int publish(struct dump_engine *engine, const struct head *head)
{
	char text[VMCORE_TIMELINE_BYTES];
	int r;

	vmcore_timeline(engine->record, text);
	r = io_pwrite_full(engine->dump_fd, text, sizeof(text), head->timeline_off);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot write the timeline of %s", engine->names.dump_partial);
	save_selection(engine);
	dump_tail_set_state(&engine->tail, VMCORE_STATE_COMPLETE);
	r = publish_link(engine->proc_fd, engine->dump_fd, engine->dir_fd, engine->names.final);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot link %s (the dump is complete)", engine->names.final);
	mark(engine, DUMP_MOMENT_PUBLISHED);
	unlinkat(engine->dir_fd, engine->names.dump_partial, 0);
	if (engine->region_linked)
		unlinkat(engine->region_dir_fd, engine->names.region_partial, 0);
	return 0;
}

static uint32_t workers_of(const struct dump_options *options)
{
	cpu_set_t cpus;

	if (options->workers)
		return options->workers;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return 1;
	return (uint32_t)u64_min(u64_max((uint64_t)CPU_COUNT(&cpus) / 2, 1), WORKERS_AUTO_MAX);
}

static void engine_init(struct dump_engine *engine)
{
	const struct dump_record *record = engine->record;

	*engine = (struct dump_engine){
		.record = engine->record,
		.region_fd = engine->region_fd,
		.region_dir_fd = engine->region_dir_fd,
		.dir_fd = engine->dir_fd,
		.fallback_dir_fd = engine->fallback_dir_fd,
		.given_dump_fd = engine->given_dump_fd,
		.proc_fd = engine->proc_fd,
		.notify = engine->notify,
		.notify_arg = engine->notify_arg,
		.layout = record->layout,
		.chunk = record->options.chunk,
		.nr_chunks = vmcore_nr_chunks(record->layout.ram, record->options.chunk),
		.workers = workers_of(&record->options),
		.dump_fd = -1,
		.release_warned = ATOMIC_FLAG_INIT,
	};
	pthread_mutex_init(&engine->lock, NULL);
	pthread_mutex_init(&engine->extent_lock, NULL);
	publish_names_init(&engine->names, record->name);
}

/* Tells in @why where the evidence is. */
static void tell_what_is_kept(struct dump_engine *engine)
{
	size_t len = strlen(engine->why);

	snprintf(engine->why + len, sizeof(engine->why) - len, "; kept: %s%s%s",
		engine->region_linked ? engine->names.region_partial : "nothing by name",
		engine->dump_linked ? ", " : "", engine->dump_linked ? engine->names.dump_partial : "");
}

static void engine_fini(struct dump_engine *engine)
{
	if (engine->error)
		tell_what_is_kept(engine);
	if (engine->error && engine->tail.map && engine->tail.trailer->state != VMCORE_STATE_COMPLETE) {
		save_selection(engine);
		engine->tail.trailer->error = engine->error;
		dump_tail_set_state(&engine->tail, VMCORE_STATE_FAILED);
	}
	dump_select_fini(engine);
	dump_tail_fini(&engine->tail);
	if (engine->ram)
		munmap(engine->ram, engine->layout.ram);
	engine->ram = NULL;
	cleanup_close(&engine->dump_fd);
	engine->dump_fd = -1;
	pthread_mutex_destroy(&engine->extent_lock);
	pthread_mutex_destroy(&engine->lock);
}

int dump_engine_run(struct dump_engine *engine)
{
	struct head head = {0};
	int r;

	engine_init(engine);
	mark(engine, DUMP_MOMENT_DUMP_START);
	r = vmcore_head_create(engine->record, &head.bytes, &head.len, &head.timeline_off);
	if (r)
		dump_engine_fail(engine, r, "cannot make the head of the dump");
	else
		describe_region(engine, &head);
	if (!link_region(engine) && !r) {
		r = make_dump(engine, &head);
		if (!r)
			r = move_bytes(engine);
		if (!r)
			r = publish(engine, &head);
	}
	r = engine->error;
	free(head.bytes);
	engine_fini(engine);
	return r;
}

int dump_engine_announce(
	const struct dump_record *record, int region_fd, int region_dir_fd, int dump_fd, int dir_fd)
{
	struct dump_engine engine = {.region_fd = region_fd, .layout = record->layout};
	autoclose int proc_fd = publish_proc_open();
	struct head head = {0};
	int r = proc_fd < 0 ? proc_fd : 0;

	/* describe_region needs no more of an engine than this */
	engine.record = (struct dump_record *)(uintptr_t)record;
	publish_names_init(&engine.names, record->name);
	if (!r)
		r = vmcore_head_create(record, &head.bytes, &head.len, &head.timeline_off);
	if (!r)
		describe_region(&engine, &head);
	if (!r)
		r = publish_link(proc_fd, region_fd, region_dir_fd, engine.names.region_partial);
	if (!r)
		r = publish_link(proc_fd, dump_fd, dir_fd, engine.names.dump_partial);
	free(head.bytes);
	return r;
}
