/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine_files.c - the two files of a dump and their names: when each gets one, and what is in the
 * file by then.  docs/vmcore.md, "Names, and partial dumps", is the specification in words.
 */
#include "dump/engine/engine_files.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/engine/engine.h"
#include "dump/base/log.h"
#include "dump/engine/sink.h"
#include "dump/files/dumpfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int lock_file(struct dump_engine *engine, int fd, const char *name)
{
	int r = publish_lock(fd);

	if (r == -EWOULDBLOCK)
		return dump_engine_fail(engine, -EBUSY, "another process works on %s", name);
	if (r)
		log_debug("%s is not locked: %s", name, strerror(-r)); /* some file systems cannot */
	return 0;
}

/* ---- the region --------------------------------------------------------------------------------------- */

static bool has_name(int fd, int dir_fd, const char *name)
{
	struct stat file, named;

	return dir_fd >= 0 && !fstat(fd, &file) && !fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) &&
	       file.st_dev == named.st_dev && file.st_ino == named.st_ino;
}

/* ---- the plan ------------------------------------------------------------------------------------------- */

/* True if the final name in @dir_fd means the file that an earlier engine was about to give it to. */
static bool is_final(const struct dump_engine *engine, int dir_fd)
{
	const struct dump_record *record = engine->record;
	struct stat named;

	return dir_fd >= 0 && record->final_ino &&
	       !fstatat(dir_fd, engine->names.final, &named, AT_SYMLINK_NOFOLLOW) &&
	       named.st_dev == record->final_dev && named.st_ino == record->final_ino;
}

/* True if some chunk is marked in the region's own tables, or if that cannot be told. */
static bool is_begun(const struct dump_engine *engine)
{
	struct vmcore_places places = vmcore_places(&engine->layout, engine->chunk);
	autofree uint8_t *progress = malloc(places.progress_bytes);

	return !progress ||
	       io_pread_full(engine->region_fd, progress, places.progress_bytes, places.progress_off) ||
	       memchr(progress, VMCORE_CHUNK_DONE, places.progress_bytes);
}

int engine_make_plan(struct dump_engine *engine)
{
	struct plan_facts facts = {.strategy = engine->strategy,
		.compressed = engine->sink->compressed,
		.resume = engine->resume,
		.named = is_final(engine, engine->dir_fd) || is_final(engine, engine->fallback_dir_fd),
		.given = engine->given_dump_fd >= 0,
		.region = dumpfile_look(engine->region_fd, engine->record)};
	int r;

	facts.released = engine->record->released || facts.region.flags & VMCORE_FLAG_RELEASED;
	facts.begun = engine->region_tables && is_begun(engine);
	if (!facts.compressed)
		facts.dump = dumpfile_look(engine->given_dump_fd, engine->record);
	r = plan_make(&facts, &engine->plan);
	if (r)
		return dump_engine_fail(engine, r,
			"memory of the crashed VM was given back, and the tables of %s do not tell which",
			engine->region_tables ? engine->names.region_partial : engine->names.dump_partial);
	if (engine->plan == PLAN_REWRITE)
		engine->old_fd = engine->given_dump_fd;
	return 0;
}

/* ---- the region --------------------------------------------------------------------------------------- */

/* Where the dump's tables are in the region itself. */
static int open_region_tables(struct dump_engine *engine)
{
	bool later = engine->strategy->scratch && plan_moves(engine->plan);

	if (later || !plan_adopts(engine->plan))
		return dump_tail_init(later ? &engine->seal : &engine->tail, engine->region_fd,
			engine->record, VMCORE_ROLE_REGION);
	return dump_tail_adopt(&engine->tail, engine->region_fd, engine->record);
}

int engine_mark_released(struct dump_engine *engine)
{
	int r = 0;

	atomic_store(&engine->record->released, 1);
	if (engine->seal.map)
		r = dump_tail_set_flags(&engine->seal, VMCORE_FLAG_RELEASED);
	else if (!engine->region_tables)
		r = dumpfile_mark_released(engine->region_fd, engine->record);
	return r ? dump_engine_fail(engine, r, "cannot mark %s", engine->names.region_partial) : 0;
}

/*
 * The region gets the head too, so that it is a vmcore by itself from the moment it has a name; the VMM has given it one
 * that knows nothing of the guest's kernel (dump_engine_announce).  If there is no room for that, a region without it is
 * still better than none; but no dump.
 */
static int describe_region(struct dump_engine *engine)
{
	/* a guest that dumps by itself may have released some; a file that a failed engine left says nothing of that */
	bool begun = engine->plan != PLAN_FRESH ||
		     (engine->strategy->guest_mode != FW_DUMP_MODE_VMM && engine->given_dump_fd >= 0);
	int r = dumpfile_write_head(engine->region_fd, &engine->head, &engine->timeline_off);

	if (!r && engine->region_tables)
		r = open_region_tables(engine);
	else if (!r)
		r = dumpfile_write_trailer(
			engine->region_fd, engine->record, begun ? VMCORE_FLAG_RELEASED : 0);
	if (!r || !engine->region_tables) {
		if (r)
			log_debug("%s has no metadata: %s", engine->names.region_partial, strerror(-r));
		return 0;
	}
	return dump_engine_fail(engine, r, "cannot make the tables of %s", engine->names.region_partial);
}

int engine_link_region(struct dump_engine *engine)
{
	int described = 0, r;

	if (engine->plan == PLAN_REMOVE_ONLY)
		return 0;
	r = lock_file(engine, engine->region_fd, engine->names.region_partial);
	if (r)
		return r;
	if (engine->head.notes.buf && engine->plan != PLAN_NAME_ONLY)
		described = describe_region(engine);
	r = publish_link(
		engine->proc_fd, engine->region_fd, engine->region_dir_fd, engine->names.region_partial);
	if (r == -EXDEV) {
		log_warn("%s: the guest's memory is on another file system; a kill during the dump loses "
			 "what is not dumped yet",
			engine->names.region_partial);
		return described;
	}
	if (r == -ENOENT && engine->resume)
		return described; /* published, and then unlinked: what is left is the end of it */
	if (r)
		return dump_engine_fail(engine, r, "cannot link %s", engine->names.region_partial);
	engine->region_linked = true;
	return described;
}

/* ---- the dump ----------------------------------------------------------------------------------------- */

/* A file that was begun elsewhere stays where it is. */
static void find_out_dir(struct dump_engine *engine)
{
	if (has_name(engine->given_dump_fd, engine->fallback_dir_fd, engine->names.dump_partial) ||
		has_name(engine->given_dump_fd, engine->fallback_dir_fd, engine->names.final))
		engine->out_dir_fd = engine->fallback_dir_fd;
}

static int duplicate(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -errno : copy;
}

/* What the given file is not good for any more: all of it is in the region still. */
static void drop_given(struct dump_engine *engine)
{
	if (has_name(engine->given_dump_fd, engine->out_dir_fd, engine->names.dump_partial))
		(void)!io_unlink(engine->out_dir_fd, engine->names.dump_partial);
}

static int open_dump(struct dump_engine *engine)
{
	bool compressed = engine->sink->compressed;
	int r = 0;

	if (engine->given_dump_fd >= 0)
		find_out_dir(engine);
	if (engine->given_dump_fd >= 0 && !compressed) {
		engine->dump_fd = duplicate(engine->given_dump_fd);
		r = engine->dump_fd < 0 ? engine->dump_fd : 0;
	} else {
		if (engine->given_dump_fd >= 0 && engine->plan != PLAN_REWRITE)
			drop_given(engine);
		r = publish_tmpfile(engine->out_dir_fd,
			compressed ? 0 : dump_layout_file_size(&engine->layout), &engine->dump_fd);
		if (r == -EOPNOTSUPP || r == -EISDIR)
			return dump_engine_fail(engine, r,
				"the dump directory's file system has no files without a name (O_TMPFILE)");
	}
	if (r)
		return dump_engine_fail(engine, r, "cannot create the dump file");
	engine->on_disk = !dump_tail_is_shm(engine->dump_fd);
	return 0;
}

/* Head and tables, new ones or what was there. */
static int fill_dump(struct dump_engine *engine)
{
	int r;

	if (engine->sink->compressed)
		return 0; /* the tables are the region's, the head comes with the sink */
	r = engine->plan == PLAN_CONTINUE
		    ? dump_tail_adopt(&engine->tail, engine->dump_fd, engine->record)
		    : dump_tail_init(&engine->tail, engine->dump_fd, engine->record, VMCORE_ROLE_DUMP);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot make the tables of %s", engine->names.dump_partial);
	r = dumpfile_write_head(engine->dump_fd, &engine->head,
		engine->strategy->in_place ? &(uint64_t){0} : &engine->timeline_off);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot write the head of %s", engine->names.dump_partial);
	return 0;
}

/* The marks of a dump on a disk are to be believed (dump/engine/durable.h). */
static int promise_durable(struct dump_engine *engine)
{
	struct dump_tail *tail = &engine->tail;
	int r = dump_tail_set_flags(tail, tail->trailer->flags | VMCORE_FLAG_DURABLE);

	return r ? dump_engine_fail(engine, r, "cannot mark %s", engine->names.dump_partial) : 0;
}

static int link_dump(struct dump_engine *engine)
{
	int r;

	if (engine->plan == PLAN_REWRITE)
		return 0; /* the old file keeps the name until the new one has all of it */
	r = publish_link(engine->proc_fd, engine->dump_fd, engine->out_dir_fd, engine->names.dump_partial);
	if (r)
		return dump_engine_fail(engine, r, "cannot link %s", engine->names.dump_partial);
	engine->dump_linked = true;
	return 0;
}

int engine_take_region(struct dump_engine *engine)
{
	cleanup_close(&engine->dump_fd);
	engine->dump_fd = duplicate(engine->region_fd);
	return engine->dump_fd < 0 ? dump_engine_fail(engine, engine->dump_fd, "cannot use the region") : 0;
}

/* What is left of the dump of an earlier engine is its end: its file is as it is to be, or nearly. */
static int take_whole(struct dump_engine *engine)
{
	if (engine->plan == PLAN_REMOVE_ONLY) {
		if (is_final(engine, engine->fallback_dir_fd))
			engine->out_dir_fd = engine->fallback_dir_fd;
		return 0;
	}
	if (engine->strategy->in_place)
		return engine_take_region(engine);
	find_out_dir(engine);
	engine->dump_fd = duplicate(engine->given_dump_fd);
	if (engine->dump_fd < 0)
		return dump_engine_fail(engine, engine->dump_fd, "cannot use the dump");
	engine->on_disk = !dump_tail_is_shm(engine->dump_fd);
	return lock_file(engine, engine->dump_fd, engine->names.dump_partial);
}

int engine_make_dump(struct dump_engine *engine)
{
	int r;

	if (!plan_moves(engine->plan)) {
		r = take_whole(engine);
	} else if (engine->strategy->in_place && !engine->strategy->scratch) {
		r = engine_take_region(engine);
	} else {
		r = open_dump(engine);
		if (!r)
			r = lock_file(engine, engine->dump_fd, engine->names.dump_partial);
		if (!r)
			r = fill_dump(engine);
		if (!r && engine->on_disk)
			r = promise_durable(engine);
		if (!r)
			r = link_dump(engine);
	}
	if (r)
		return r;
	engine_mark(engine, DUMP_MOMENT_LINKED);
	engine_notify(engine, DUMP_NOTICE_LINKED);
	return 0;
}

void engine_tell_what_is_kept(struct dump_engine *engine)
{
	size_t len = strlen(engine->why);

	snprintf(engine->why + len, sizeof(engine->why) - len, "; kept: %s%s%s%s",
		engine->region_linked ? engine->names.region_partial : "nothing by name",
		engine->dump_linked ? ", " : "", engine->dump_linked ? engine->names.dump_partial : "",
		engine->region_linked ? " (minivmm dump salvage FILE makes a dump of it)" : "");
}

void engine_close_files(struct dump_engine *engine)
{
	if (engine->sink_state)
		engine->ops->close(engine->sink_state);
	engine->sink_state = NULL;
	dump_tail_fini(&engine->seal);
	dump_tail_fini(&engine->tail);
	cleanup_close(&engine->dump_fd);
	engine->dump_fd = -1;
}

/* Nobody else can have them: they have no names yet.  What cannot be locked is still better named than lost. */
static void lock_announced(const struct dump_record *record, int region_fd, int dump_fd)
{
	int r = publish_lock(region_fd);

	if (!r && dump_fd >= 0)
		r = publish_lock(dump_fd);
	if (r)
		log_debug("the files of %s are not locked: %s", record->name, strerror(-r));
}

int dump_engine_announce(
	const struct dump_record *record, int region_fd, int region_dir_fd, int dump_fd, int dir_fd)
{
	autoclose int proc_fd = publish_proc_open();
	struct publish_names names;
	struct dump_head head = {0};
	uint64_t timeline_off;
	int r = proc_fd < 0 ? proc_fd : 0;

	publish_names_init(&names, record->name);
	if (!r)
		r = dump_head_create(record, NULL, 0, &head);
	if (!r) {
		lock_announced(record, region_fd, dump_fd);
		/* without room for them, the names alone are still better than nothing */
		(void)(dumpfile_write_head(region_fd, &head, &timeline_off) ||
			dumpfile_write_trailer(region_fd, record, dump_fd >= 0 ? VMCORE_FLAG_RELEASED : 0));
		r = publish_link(proc_fd, region_fd, region_dir_fd, names.region_partial);
	}
	if (!r && dump_fd >= 0)
		r = publish_link(proc_fd, dump_fd, dir_fd, names.dump_partial);
	dump_head_fini(&head);
	return r;
}
