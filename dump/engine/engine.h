/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine.h - one dump from the crashed region to its published file.
 *
 *      link region -> make dump, link it -> select -> release what is excluded
 *      -> strategy: { select, copy, mark, release } chunk by chunk -> publish
 *
 * Owns the order of these steps, the dump file and the mapping of the region's RAM.  A strategy owns
 * how bytes move.  What makes a kill at any moment harmless is the order that the helpers below keep:
 * a page's bytes are in the dump before its chunk is marked, and the chunk is marked before any of
 * its memory is released (docs/vmcore.md, "Partial dumps").
 *
 * Locks: from the announcement on, or else from its beginning, region and dump are locked (publish_lock) until the last
 * duplicate of the region's descriptor is closed or whoever began the job calls publish_unlock(): the job is over
 * when that one says so, and not when an engine ends, since another one may go on.
 *
 * Knows nothing of sockets, processes and KVM.  Any number of engines may run in one process.
 */
#ifndef DUMP_ENGINE_ENGINE_H
#define DUMP_ENGINE_ENGINE_H

#include "dump/linux/linux_pages.h"
#include "dump/files/publish.h"
#include "dump/record/record.h"
#include "dump/format/tail.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum dump_notice {
	DUMP_NOTICE_LINKED,   /* the .partial names exist */
	DUMP_NOTICE_PROGRESS, /* a counter has changed; comes often and from any thread */
	DUMP_NOTICE_COPIED,   /* the last PROGRESS: everything is dumped and released */
};

struct dump_engine {
	/* Set by the caller; borrowed until dump_engine_run() returns. */
	struct dump_record *record; /* from dump_record_map; only its moments change */
	int region_fd;              /* the crashed region, read-write, of the layout's size */
	int region_dir_fd;          /* where the region's name appears: on its file system */
	int dir_fd;                 /* where the dump's names appear */
	int fallback_dir_fd;        /* on disk, for a dump that has no room in dir_fd; -1 = none */
	int given_dump_fd;          /* file that the guest or an earlier engine has begun; -1 = make one */
	bool resume;                /* an earlier engine with this record died in the middle of it */
	int proc_fd;                /* from publish_proc_open */
	void (*notify)(struct dump_engine *engine, enum dump_notice notice); /* NULL = none */
	void *notify_arg;

	/* Set before the selector runs; frozen from then on. */
	struct dump_layout layout; /* the record's, copied */
	uint64_t chunk;            /* bytes */
	uint64_t nr_chunks;
	uint32_t workers; /* 1 or more */
	const struct dump_strategy *strategy;
	const struct dump_sink *sink;    /* of strategies that move bytes */
	void *sink_state;                /* what sink->open made; NULL = not open */
	int dump_fd;                     /* what is published; the region itself where nothing moves */
	int out_dir_fd;                  /* borrowed: where the dump goes, dir_fd or fallback_dir_fd */
	bool on_disk;                    /* that is no tmpfs */
	bool region_tables;              /* the dump's tables are in the region */
	int old_fd;                      /* borrowed: what of a compressed dump is to be read again; -1 */
	char detour[160];                /* why it is not dir_fd; "" = it is */
	uint32_t found;                  /* VMCORE_STATE_* of what an earlier engine left; 0 = nothing */
	bool region_linked, dump_linked; /* under their .partial names */
	unsigned char *head;             /* owned: the used part of a head room, the same in all files */
	size_t head_len;
	uint64_t timeline_off; /* file offset of the timeline text */
	unsigned char *ram;    /* the region's RAM, mapped shared: reading a hole here would allocate it */
	struct publish_names names;
	struct vmcoreinfo vmcoreinfo; /* of the guest's Linux; empty = none */

	/* Selectors clear bits of tail.selected, before the strategy runs: what belongs in the dump. */
	struct dump_tail tail;
	struct dump_tail seal; /* hybrid: the tables in the region, for when it becomes the dump */
	/*
	 * What of it a strategy has to move: the same bits, less the pages of zeros that dump_select_chunk()
	 * finds.  Either tail.selected itself or memory of its own.  bitmap_next() while threads run.
	 */
	uint64_t *copy;
	uint32_t selectors; /* the record's; a selector that cannot do its work may add another one */
	_Atomic uint64_t excluded[VMCORE_SELECTORS_MAX]; /* pages, by the first selector to exclude them */
	uint32_t distrusted;                             /* selectors that kept everything: a mask */
	char distrust[128];                              /* why; "" = all could be believed */
	uint64_t reasons[LINUX_REASONS];                 /* pages that `linux` excluded, by reason */
	uint64_t list_ignored;                           /* tuples of the list that named no page of RAM */

	/* The last run that dump_engine_extent found; empty at first. */
	pthread_mutex_t extent_lock; /* guards the two fields below */
	uint64_t extent_start, extent_end;

	/* Counters in bytes; any thread adds. */
	_Atomic uint64_t done;     /* guest memory handled: dumped, excluded or empty */
	_Atomic uint64_t released; /* host memory given back */
	_Atomic uint32_t repeated; /* punches that were made again (dump/engine/release.c) */
	_Atomic uint64_t dumped;   /* guest memory written into the dump */

	atomic_flag release_warned; /* the operator knows that memory could not be released */

	/* The first failure. */
	pthread_mutex_t lock; /* guards @error and @why */
	int error;            /* -errno, 0 = none */
	char why[512];        /* which object, what and why; what is kept under which name */
};

/*
 * dump_engine_run - dump, release and publish, from the beginning to the end.  Zeroes every field
 * but those "set by the caller", so that the counters and @why stay readable afterwards.
 * Result: 0: complete under its final name, no .partial names left.  -errno: @engine->why tells the
 * object and what is left; nothing is under the final name, no memory without its copy is released.
 */
int warn_unused dump_engine_run(struct dump_engine *engine);

/*
 * What dump_engine_run() does with @resume: continues from the tables in the files.  Chunks that are
 * marked there stay as they are; given_dump_fd is the <name>.vmcore.partial, or the <name>.vmcore that
 * was linked last, or -1 if there is neither.
 */

/*
 * dump_engine_announce - give a crashed region its .partial name, with what is needed to make sense of it
 * after a kill, before anything else happens to it; and the file that its guest dumps into, if there is
 * one (@dump_fd -1: none).  dump_engine_run() does the same, if that has not been done.  Errors: -errno.
 * Locks: both files, before they have names, so that nobody takes a dump that waits for one that was left.
 */
int warn_unused dump_engine_announce(
	const struct dump_record *record, int region_fd, int region_dir_fd, int dump_fd, int dir_fd);

/*
 * dump_engine_in_flight - bytes of memory that a dump in memory takes at most, for a while, before it gives back
 * any for them.  @options: of a valid record; @ram: bytes.
 */
uint64_t dump_engine_in_flight(const struct dump_options *options, uint64_t ram);

/*
 * For strategies and selectors.
 */

/* Chunk @index is RAM offsets [*ret_off, *ret_off + *ret_len). */
static inline void dump_engine_chunk(
	const struct dump_engine *engine, uint64_t index, uint64_t *ret_off, uint64_t *ret_len)
{
	*ret_off = index * engine->chunk;
	*ret_len = u64_min(engine->chunk, engine->layout.ram - *ret_off);
}

/*
 * dump_engine_extent - next run of RAM that has memory behind it, as it was before any chunk was done.
 * Result: 1 and *ret_start, *ret_end within [@from, @end); 0 when all the rest is hole; or -errno.
 * Locks: any thread.  Asking in ascending order is cheap: the kernel walks each run once, to its end.
 */
int warn_unused dump_engine_extent(
	struct dump_engine *engine, uint64_t from, uint64_t end, uint64_t *ret_start, uint64_t *ret_end);

/*
 * dump_engine_chunk_done - all selected pages of the chunk are in the dump: mark it, then give all its
 * memory back.  @populated: bytes that had memory behind them.  A release that fails is logged, once.
 * Errors: -errno (recorded) if the mark cannot be written; nothing is released then.
 */
int warn_unused dump_engine_chunk_done(struct dump_engine *engine, uint64_t index, uint64_t populated);

/* Much of a chunk has been written, and more of it is to come: a sign of life. */
void dump_engine_alive(struct dump_engine *engine);

/* Chunk @index stays where it is, less what the strategy has punched out of it: counts it. */
void dump_engine_chunk_kept(struct dump_engine *engine, uint64_t index);

/* True if an earlier engine has dumped chunk @index. */
static inline bool dump_engine_is_done(const struct dump_engine *engine, uint64_t index)
{
	return engine->found && dump_tail_is_done(&engine->tail, index);
}

/* For dump/engine/release.c: @bytes went back to the host; the runs that dump_engine_extent() knows changed. */
void dump_engine_released(struct dump_engine *engine, uint64_t bytes);
void dump_engine_forget_extents(struct dump_engine *engine);

/* Records the first failure: @error is -errno; the text names object and action.  Returns @error. */
int dump_engine_fail(struct dump_engine *engine, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The strategies and selectors of dump/engine/tables.c, each in its own file. */
int strategy_vmapp(struct dump_engine *engine);
int strategy_guest(struct dump_engine *engine);
int strategy_remap(struct dump_engine *engine);
int strategy_hybrid(struct dump_engine *engine);
int select_zero(struct dump_engine *engine, uint64_t index, uint64_t *ret_excluded);
int select_list(struct dump_engine *engine);
int select_pages(struct dump_engine *engine);
int select_linux(struct dump_engine *engine);

#endif /* DUMP_ENGINE_ENGINE_H */
