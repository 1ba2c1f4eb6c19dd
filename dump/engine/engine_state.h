/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine_state.h - one dump under way: what its steps, strategies and sinks share, and what they all call.
 *
 * Owns the dump file and the mapping of the region's RAM.
 */
#ifndef DUMP_ENGINE_ENGINE_STATE_H
#define DUMP_ENGINE_ENGINE_STATE_H

#include "dump/engine/durable.h"
#include "dump/engine/plan.h"
#include "dump/files/dumpfile.h"
#include "dump/files/publish.h"
#include "dump/format/tail.h"
#include "dump/record/choices.h"
#include "dump/record/record.h"
#include "dump/region/dead_region.h"
#include "dump/select/selection.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct sink_ops;

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
	const struct sink_ops *ops;      /* what it does: dump/engine/sink.h */
	void *sink_state;                /* what ops->open made; NULL = not open */
	int dump_fd;                     /* what is published; the region itself where nothing moves */
	int out_dir_fd;                  /* borrowed: where the dump goes, dir_fd or fallback_dir_fd */
	bool on_disk;                    /* that is no tmpfs */
	bool region_tables;              /* the dump's tables are in the region */
	int old_fd;                      /* borrowed: what of a compressed dump is to be read again; -1 */
	char detour[160];                /* why it is not dir_fd; "" = it is */
	enum plan plan;                  /* what is to be done */
	bool region_linked, dump_linked; /* under their .partial names */
	struct dump_head head;           /* owned: the same in all files */
	uint64_t timeline_off;     /* of the timeline text in what is published: file or image offset */
	struct dead_region region; /* region_fd, for those who read and release it */
	struct publish_names names;
	struct vmcoreinfo vmcoreinfo; /* of the guest's Linux; empty = none */

	/* Selectors clear bits of tail.selected, before the strategy runs: what belongs in the dump. */
	struct dump_tail tail;
	struct dump_tail seal;      /* hybrid: the tables in the region, for when it becomes the dump */
	struct selection selection; /* of tail.selected */
	struct durable durable;     /* of a dump on a disk: chunks that wait for it */

	/* Counters in bytes; any thread adds. */
	_Atomic uint64_t done;     /* guest memory handled: dumped, excluded or empty */
	_Atomic uint64_t released; /* host memory given back */
	_Atomic uint64_t dumped;   /* guest memory written into the dump */

	atomic_flag release_warned; /* the operator knows that memory could not be released */

	/* The first failure. */
	pthread_mutex_t lock; /* guards @error and @why */
	int error;            /* -errno, 0 = none */
	char why[512];        /* which object, what and why; what is kept under which name */
};

/* Chunk @index is RAM offsets [*ret_off, *ret_off + *ret_len). */
static inline void dump_engine_chunk(
	const struct dump_engine *engine, uint64_t index, uint64_t *ret_off, uint64_t *ret_len)
{
	dump_layout_chunk(&engine->layout, engine->chunk, index, ret_off, ret_len);
}

/* True if an earlier engine has dumped chunk @index. */
static inline bool dump_engine_is_done(const struct dump_engine *engine, uint64_t index)
{
	return plan_adopts(engine->plan) && dump_tail_is_done(&engine->tail, index);
}

static inline void engine_notify(struct dump_engine *engine, enum dump_notice notice)
{
	if (engine->notify)
		engine->notify(engine, notice);
}

void engine_mark(struct dump_engine *engine, enum dump_moment moment);

/* Threads that a dump with these options uses: 1 or more. */
uint32_t engine_workers(const struct dump_options *options);

/* What the selectors did, into the trailer; the state that is set next makes it valid. */
void engine_save_selection(struct dump_engine *engine);

/* The other way round, bounded, for an engine that goes on with what another one had selected. */
void engine_load_selection(struct dump_engine *engine);

/*
 * engine_select_chunk - dump_select_chunk(), counted.  The count is in the file before the pages are gone: who goes on finds
 * fewer of them, or none.  0 or -errno.
 */
int warn_unused engine_select_chunk(struct dump_engine *engine, uint64_t index);

/*
 * dump_engine_chunk_done - all selected pages of the chunk are written into the dump: when they are on the disk, if that is
 * where it is, mark it, then give all its memory back.  @populated: bytes that had memory behind them.
 * Errors: -errno (recorded) if the disk fails or the mark cannot be written; nothing is released then.
 */
int warn_unused dump_engine_chunk_done(struct dump_engine *engine, uint64_t index, uint64_t populated);

/* The second half of it: the mark and the release.  A release that fails is logged, once. */
int warn_unused engine_release_chunk(struct dump_engine *engine, uint64_t index, uint64_t populated);

/* Much of a chunk has been written, and more of it is to come: a sign of life. */
void dump_engine_alive(struct dump_engine *engine);

/* Chunk @index stays where it is, less what the strategy has punched out of it: counts it. */
void dump_engine_chunk_kept(struct dump_engine *engine, uint64_t index);

/* @bytes went back to the host. */
void dump_engine_released(struct dump_engine *engine, uint64_t bytes);

/* Records the first failure: @error is -errno; the text names object and action.  Returns @error. */
int dump_engine_fail(struct dump_engine *engine, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The first failure, 0 if there was none yet.  Any thread. */
int dump_engine_error(struct dump_engine *engine);

#endif /* DUMP_ENGINE_ENGINE_STATE_H */
