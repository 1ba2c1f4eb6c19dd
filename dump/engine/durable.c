/* SPDX-License-Identifier: Apache-2.0 */
/* dump/engine/durable.c - see durable.h */
#include "dump/engine/durable.h"

#include "dump/base/io.h"
#include "dump/engine/engine_state.h"

#include <fcntl.h>

void durable_init(struct durable *durable)
{
	durable->waiting.nr = 0;
	durable->waiting.bytes = 0;
	pthread_mutex_init(&durable->lock, NULL);
	pthread_mutex_init(&durable->sync_lock, NULL);
}

void durable_fini(struct durable *durable)
{
	pthread_mutex_destroy(&durable->sync_lock);
	pthread_mutex_destroy(&durable->lock);
}

/* Only asks the disk to begin.  It tells of no error but its own, and leaves those of the disk for who waits for it. */
static void send_on_its_way(const struct dump_engine *engine, uint64_t off, uint64_t len)
{
	if (engine->sink->compressed) /* its block is where the file ends by now */
		off = len = 0;
	else
		off += engine->layout.head;
	(void)sync_file_range(engine->dump_fd, (off_t)off, (off_t)len, SYNC_FILE_RANGE_WRITE);
}

/* Everything that was written before the call is on the disk; if that failed once, it is not tried again. */
static int bring_to_disk(struct dump_engine *engine)
{
	int r;

	pthread_mutex_lock(&engine->durable.sync_lock);
	r = dump_engine_error(engine);
	if (!r) {
		r = io_sync(engine->dump_fd);
		if (r)
			dump_engine_fail(
				engine, r, "cannot bring %s to the disk", engine->names.dump_partial);
	}
	pthread_mutex_unlock(&engine->durable.sync_lock);
	return r;
}

static int release_batch(struct dump_engine *engine, const struct durable_batch *batch)
{
	int r = bring_to_disk(engine);

	for (size_t i = 0; i < batch->nr && !r; i++)
		r = engine_release_chunk(engine, batch->chunks[i].index, batch->chunks[i].populated);
	return r;
}

static void take_batch(struct durable *durable, struct durable_batch *ret)
{
	*ret = durable->waiting;
	durable->waiting.nr = 0;
	durable->waiting.bytes = 0;
}

int durable_add(struct dump_engine *engine, uint64_t index, uint64_t populated)
{
	struct durable *durable = &engine->durable;
	struct durable_batch *waiting = &durable->waiting, batch;
	uint64_t off, len;
	bool full;

	dump_engine_chunk(engine, index, &off, &len);
	send_on_its_way(engine, off, len);
	pthread_mutex_lock(&durable->lock);
	waiting->chunks[waiting->nr].index = index;
	waiting->chunks[waiting->nr].populated = populated;
	waiting->nr++;
	waiting->bytes += len;
	full = waiting->bytes >= DURABLE_STEP || waiting->nr == ARRAY_LEN(waiting->chunks);
	if (full)
		take_batch(durable, &batch);
	pthread_mutex_unlock(&durable->lock);
	return full ? release_batch(engine, &batch) : 0;
}

int durable_settle(struct dump_engine *engine)
{
	struct durable_batch batch;

	take_batch(&engine->durable, &batch);
	return batch.nr ? release_batch(engine, &batch) : 0;
}
