/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine_publish.c - everything is dumped: what a file still needs before it gets its final name.
 */
#include "dump/engine/engine_publish.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "dump/engine/engine_files.h"
#include "dump/select/select.h"
#include "dump/engine/sink.h"
#include "dump/files/commit.h"
#include "dump/files/dumpfile.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* The tables of a hybrid dump go into the region; the file beside it is not needed any more. */
static int seal_region(struct dump_engine *engine)
{
	int r;

	engine_save_selection(engine);
	r = dumpfile_take_tables(&engine->seal, &engine->tail);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot fill in the tables of %s", engine->names.region_partial);
	r = io_unlink(engine->out_dir_fd, engine->names.dump_partial);
	if (r && r != -ENOENT)
		log_warn("cannot remove %s: %s", engine->names.dump_partial, strerror(-r));
	engine->dump_linked = false;
	dump_select_fini(&engine->selection); /* its bits may be in what goes now */
	dump_tail_fini(&engine->tail);
	engine->tail = engine->seal;
	engine->seal = (struct dump_tail){.fd = -1};
	return engine_take_region(engine);
}

/* Into the head or tail room of a file that has its tail. */
static int write_image(struct dump_engine *engine, uint64_t off, const void *data, size_t len)
{
	return engine->sink_state ? engine->ops->write(engine->sink_state, off, data, len)
				  : io_pwrite_full(engine->dump_fd, data, len, off);
}

/* Bitmap and progress, as they are in the region while a compressed dump is made. */
static int write_tables(struct dump_engine *engine)
{
	const struct dump_tail *tail = &engine->tail;
	const struct vmcore_places *places = &tail->trailer->places;
	autofree unsigned char *progress = malloc(places->progress_bytes);
	int r;

	if (!progress)
		return -ENOMEM;
	memset(progress, VMCORE_CHUNK_DONE, places->progress_bytes);
	r = write_image(engine, places->bitmap_off, tail->selected, places->bitmap_bytes);
	return r ? r : write_image(engine, places->progress_off, progress, places->progress_bytes);
}

static int write_complete_trailer(struct dump_engine *engine)
{
	struct vmcore_trailer trailer = *engine->tail.trailer;

	trailer.role = VMCORE_ROLE_DUMP;
	trailer.state = VMCORE_STATE_COMPLETE;
	trailer.error = 0;
	return write_image(engine, trailer.places.trailer_off, &trailer, sizeof(trailer));
}

/* What a reader finds under the final name, but for the word that it is complete. */
static int fill_in(struct dump_engine *engine)
{
	char text[VMCORE_TIMELINE_BYTES];
	int r;

	vmcore_timeline(engine->record, text);
	r = write_image(engine, engine->timeline_off, text, sizeof(text));
	if (r)
		return dump_engine_fail(
			engine, r, "cannot write the timeline of %s", engine->names.dump_partial);
	if (plan_moves(engine->plan))
		engine_save_selection(engine);
	r = engine->sink->compressed ? write_tables(engine) : 0;
	return r ? dump_engine_fail(engine, r, "cannot write the tables of %s", engine->names.dump_partial)
		 : 0;
}

/* COMMIT_SEAL: everything is on the disk. */
static int seal(void *arg)
{
	struct dump_engine *engine = arg;

	if (engine->sink->compressed)
		return write_complete_trailer(engine);
	return dumpfile_complete(&engine->tail, engine->nr_chunks);
}

static void tell_progress(void *arg)
{
	engine_notify(arg, DUMP_NOTICE_PROGRESS);
}

static void tell_named(void *arg)
{
	engine_mark(arg, DUMP_MOMENT_PUBLISHED);
}

/* For an engine that finds the final name: it means the file that this one has made, and nothing else. */
static int note_final(struct dump_engine *engine)
{
	struct stat st;

	if (fstat(engine->dump_fd, &st) < 0)
		return dump_engine_fail(engine, -errno, "cannot ask for the file of the dump");
	engine->record->final_dev = st.st_dev;
	engine->record->final_ino = st.st_ino;
	return 0;
}

static int fail_step(struct dump_engine *engine, enum commit_step step, int error)
{
	const char *partial = engine->names.dump_partial, *final = engine->names.final;

	switch (step) {
	case COMMIT_DATA:
		return dump_engine_fail(engine, error, "cannot bring %s to the disk", partial);
	case COMMIT_SEAL:
		return dump_engine_fail(engine, error, "cannot finish the tables of %s", partial);
	case COMMIT_NAME:
		return dump_engine_fail(engine, error, "cannot link %s (the dump is complete)", final);
	case COMMIT_DIRECTORY:
		return dump_engine_fail(engine, error,
			"cannot bring the name %s to the disk (the dump is complete)", final);
	case COMMIT_REMOVAL:
	case COMMIT_DONE:
		break;
	}
	/* the dump is whole and safe: whoever looks after the directory removes what is left of it */
	log_warn("%s is complete; what it replaces cannot be removed: %s", final, strerror(-error));
	return 0;
}

/*
 * What the dump replaces, in the order of commit.h: the file with the tables last, and that is the dump itself if one of the
 * names is its own.  Result: how many.
 */
static size_t list_removals(const struct dump_engine *engine, struct commit_removal removals[static 2])
{
	bool old = engine->plan == PLAN_REWRITE || engine->plan == PLAN_REMOVE_ONLY ||
		   engine->strategy->scratch;
	struct commit_removal region = {
		engine->region_dir_fd, engine->names.region_partial, engine->region_fd};
	struct commit_removal dump = {engine->out_dir_fd, engine->names.dump_partial,
		old ? engine->given_dump_fd : engine->dump_fd};

	if (dump.fd < 0) {
		removals[0] = region;
		return 1;
	}
	removals[0] = engine->region_tables && old ? dump : region;
	removals[1] = engine->region_tables && old ? region : dump;
	return 2;
}

int engine_publish(struct dump_engine *engine)
{
	bool whole = !plan_moves(engine->plan) && engine->plan != PLAN_FINISH;
	struct commit_removal removals[2];
	struct commit end = {.proc_fd = engine->proc_fd,
		.dir_fd = engine->out_dir_fd,
		.name = engine->names.final,
		.seal = whole ? NULL : seal,
		.progress = tell_progress,
		.named = tell_named,
		.arg = engine,
		.removals = removals};
	enum commit_step step = COMMIT_DATA;
	int r = engine->seal.map ? seal_region(engine) : 0;

	end.fd = engine->dump_fd;
	end.nr_removals = list_removals(engine, removals);
	if (!r && !whole)
		r = fill_in(engine);
	if (!r && engine->plan != PLAN_REMOVE_ONLY)
		r = note_final(engine);
	if (r)
		return r;
	r = engine->plan == PLAN_REMOVE_ONLY ? commit_rest(&end, &step) : commit(&end, &step);
	return r ? fail_step(engine, step, r) : 0;
}
