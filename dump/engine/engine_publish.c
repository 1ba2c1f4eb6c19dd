/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/engine/engine_publish.c - everything is dumped: what a file still needs before it gets its final name.
 */
#include "dump/engine/engine_publish.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "dump/engine/engine_files.h"
#include "dump/select/select.h"
#include "dump/engine/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* our choice: what one call sends to the disk, so that somebody who waits sees progress */
#define SYNC_SLICE MIB(32)

/* Copies the tables of a hybrid dump into the region; the file beside it is not needed any more. */
static int seal_region(struct dump_engine *engine)
{
	struct dump_tail *seal = &engine->seal;
	const struct vmcore_trailer *from = engine->tail.trailer;
	int r;

	memcpy(seal->selected, engine->tail.selected, seal->trailer->places.bitmap_bytes);
	seal->trailer->flags = 0; /* all that is wanted has come back */
	seal->trailer->distrusted = from->distrusted;
	memcpy(seal->trailer->excluded, from->excluded, sizeof(from->excluded));
	memcpy(seal->trailer->distrust, from->distrust, sizeof(from->distrust));
	memcpy(seal->trailer->reasons, from->reasons, sizeof(from->reasons));
	r = dump_tail_set_state(seal, VMCORE_STATE_DUMPING);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot fill in the tables of %s", engine->names.region_partial);
	unlinkat(engine->out_dir_fd, engine->names.dump_partial, 0);
	engine->dump_linked = false;
	dump_select_fini(&engine->selection); /* its bits may be in what goes now */
	dump_tail_fini(&engine->tail);
	engine->tail = *seal;
	*seal = (struct dump_tail){.fd = -1};
	return engine_take_region(engine);
}

/* Into the head or tail room of a file that has its tail. */
static int write_image(struct dump_engine *engine, uint64_t off, const void *data, size_t len)
{
	return engine->sink_state ? engine->ops->write(engine->sink_state, off, data, len)
				  : io_pwrite_full(engine->dump_fd, data, len, off);
}

/* Bitmap, progress and trailer, as they are in the region while a compressed dump is made. */
static int write_tables(struct dump_engine *engine)
{
	const struct dump_tail *tail = &engine->tail;
	struct vmcore_trailer trailer = *tail->trailer;
	const struct vmcore_places *places = &trailer.places;
	autofree unsigned char *progress = malloc(places->progress_bytes);
	int r;

	if (!progress)
		return -ENOMEM;
	memset(progress, VMCORE_CHUNK_DONE, places->progress_bytes);
	trailer.role = VMCORE_ROLE_DUMP;
	trailer.state = VMCORE_STATE_COMPLETE;
	trailer.error = 0;
	r = write_image(engine, places->bitmap_off, tail->selected, places->bitmap_bytes);
	if (!r)
		r = write_image(engine, places->progress_off, progress, places->progress_bytes);
	return r ? r : write_image(engine, places->trailer_off, &trailer, sizeof(trailer));
}

/* Sends the file to the disk in slices, and waits for it. */
static int sync_dump(struct dump_engine *engine)
{
	struct stat st;
	uint64_t size;

	if (!engine->on_disk)
		return 0;
	size = fstat(engine->dump_fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
	for (uint64_t off = 0; off < size; off += SYNC_SLICE) {
		(void)sync_file_range(engine->dump_fd, (off_t)off, (off_t)u64_min(SYNC_SLICE, size - off),
			SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
		engine_notify(engine, DUMP_NOTICE_PROGRESS);
	}
	if ((io_test_fails(IO_SYNC, NULL) || fsync(engine->dump_fd) < 0))
		return dump_engine_fail(
			engine, -errno, "cannot bring %s to the disk", engine->names.dump_partial);
	return 0;
}

/* Timeline, then state: what a reader finds under the final name. */
static int complete(struct dump_engine *engine)
{
	char text[VMCORE_TIMELINE_BYTES];
	int r;

	vmcore_timeline(engine->record, text);
	r = write_image(engine, engine->timeline_off, text, sizeof(text));
	if (r)
		return dump_engine_fail(
			engine, r, "cannot write the timeline of %s", engine->names.dump_partial);
	engine_save_selection(engine);
	if (engine->sink->compressed) {
		r = write_tables(engine);
		if (r)
			return dump_engine_fail(
				engine, r, "cannot write the tables of %s", engine->names.dump_partial);
	}
	r = sync_dump(engine);
	if (r || engine->sink->compressed)
		return r;
	if (engine->strategy->in_place)
		r = dump_tail_mark_all(&engine->tail, engine->nr_chunks, VMCORE_CHUNK_DONE);
	engine->tail.trailer->error = 0;
	if (!r)
		r = dump_tail_set_state(&engine->tail, VMCORE_STATE_COMPLETE);
	if (!r && engine->strategy->in_place)
		r = dump_tail_set_role(&engine->tail, VMCORE_ROLE_DUMP);
	if (!r && engine->on_disk && (io_test_fails(IO_SYNC, NULL) || fsync(engine->dump_fd) < 0))
		r = -errno;
	return r ? dump_engine_fail(engine, r, "cannot finish the tables of %s", engine->names.dump_partial)
		 : 0;
}

int engine_publish(struct dump_engine *engine)
{
	int r = 0;

	if (engine->seal.map)
		r = seal_region(engine);
	if (!r && !(engine->sink->compressed && engine->found == VMCORE_STATE_COMPLETE))
		r = complete(engine);
	if (r)
		return r;
	r = publish_link(engine->proc_fd, engine->dump_fd, engine->out_dir_fd, engine->names.final);
	if (r)
		return dump_engine_fail(
			engine, r, "cannot link %s (the dump is complete)", engine->names.final);
	if (engine->on_disk)
		(void)fsync(engine->out_dir_fd);
	engine_mark(engine, DUMP_MOMENT_PUBLISHED);
	unlinkat(engine->out_dir_fd, engine->names.dump_partial, 0);
	unlinkat(engine->region_dir_fd, engine->names.region_partial, 0);
	return 0;
}
