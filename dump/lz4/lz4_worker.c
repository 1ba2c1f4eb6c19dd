/* SPDX-License-Identifier: Apache-2.0 */
/* dump/lz4/lz4_worker.c - see lz4_writer.h; compression and order of the chunks */
#include "dump/lz4/lz4_writer_impl.h"

#include "dump/base/io.h"
#include "dump/base/bitmap.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>

int lz4_worker_create(struct lz4_writer *writer, struct lz4_worker **ret_worker)
{
	struct lz4_worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return -ENOMEM;
	worker->state = malloc((size_t)LZ4_sizeofState());
	worker->output = malloc(lz4_buffer_bytes(writer));
	worker->input = malloc(lz4_buffer_bytes(writer));
	if (!worker->state || !worker->output || !worker->input) {
		lz4_worker_destroy(worker);
		return -ENOMEM;
	}
	worker->writer = writer;
	pthread_mutex_lock(&writer->lock);
	worker->next_worker = writer->workers;
	writer->workers = worker;
	pthread_mutex_unlock(&writer->lock);
	*ret_worker = worker;
	return 0;
}

static void leave(struct lz4_worker *worker)
{
	struct lz4_writer *writer = worker->writer;
	struct lz4_worker **at = &writer->workers;

	pthread_mutex_lock(&writer->lock);
	while (*at != worker)
		at = &(*at)->next_worker;
	*at = worker->next_worker;
	pthread_cond_broadcast(&writer->moved); /* who waits may be stuck now */
	pthread_mutex_unlock(&writer->lock);
}

void lz4_worker_destroy(struct lz4_worker *worker)
{
	if (!worker)
		return;
	if (worker->writer)
		leave(worker);
	free(worker->state);
	free(worker->output);
	free(worker->input);
	free(worker);
}

static const struct lz4_zero *zero_of(const struct lz4_writer *writer, uint64_t chunk)
{
	return chunk < writer->nr_full ? &writer->zero : &writer->short_zero;
}

static void encode_zero(const struct lz4_zero *zero, struct lz4_item *item)
{
	item->kind = LZ4_KIND_ZERO;
	item->size = zero->size;
	item->data = zero->data;
}

/*
 * Into the file.
 */

static int write_zeros(struct lz4_writer *writer, const struct lz4_item *item)
{
	uint64_t block = LZ4_BLOCK_AROUND + item->size;
	uint64_t done = 0;
	int r;

	while (done < item->count) {
		uint64_t n = item->count == 1 ? 1 : u64_min(item->count - done, writer->zero.copies);

		r = io_pwrite_full(writer->fd, item->data, n * block, item->file_off + done * block);
		if (r)
			return r;
		done += n;
	}
	return 0;
}

static int write_stored(struct lz4_writer *writer, const struct lz4_item *item)
{
	unsigned char field[LZ4_BLOCK_HEADER];
	int r;

	lz4_put32(field, item->size | LZ4_BLOCK_STORED);
	r = io_pwrite_full(writer->fd, field, sizeof(field), item->file_off);
	if (!r)
		r = io_pwrite_full(writer->fd, item->data, item->size, item->file_off + sizeof(field));
	lz4_put32(field, item->sum);
	return r ? r
		 : io_pwrite_full(writer->fd, field, sizeof(field),
			   item->file_off + LZ4_BLOCK_HEADER + item->size);
}

static int write_item(struct lz4_writer *writer, const struct lz4_item *item)
{
	uint64_t block = LZ4_BLOCK_AROUND + item->size;
	int r = atomic_load(&writer->error);

	if (r)
		return r;
	r = item->kind == LZ4_KIND_STORED ? write_stored(writer, item) : write_zeros(writer, item);
	if (r)
		return lz4_writer_fail(writer, r);
	for (uint64_t i = 0; i < item->count; i++)
		lz4_publish(&writer->entries[item->chunk + i], item->file_off + i * block, item->size,
			item->kind);
	if (writer->options.written)
		writer->options.written(writer->options.written_arg, item->chunk, item->count, item->tag);
	return 0;
}

/*
 * Order.  All but drain() under the lock.
 */

static struct lz4_item *parking_place(struct lz4_writer *writer, uint64_t chunk)
{
	return &writer->parked[chunk % LZ4_PARKED_MAX];
}

/* The run of declared holes at @next, which is one of them. */
static struct lz4_item next_zeros(const struct lz4_writer *writer)
{
	struct lz4_item item = {.chunk = writer->next, .count = 1};

	encode_zero(zero_of(writer, item.chunk), &item);
	if (item.chunk < writer->nr_full)
		item.count = bitmap_next(writer->zeros, item.chunk, writer->nr_full, false) - item.chunk;
	return item;
}

/* Gives a place to the next chunk, if it is here. */
static bool place_next(struct lz4_writer *writer, struct lz4_item *ret)
{
	struct lz4_item *parked = parking_place(writer, writer->next);

	if (writer->next == writer->nr_chunks)
		return false;
	if (bitmap_test(writer->zeros, writer->next)) {
		*ret = next_zeros(writer);
	} else if (parked->count) {
		assert(parked->chunk == writer->next);
		*ret = *parked;
		parked->count = 0;
	} else {
		return false;
	}
	ret->file_off = writer->file_end;
	writer->file_end += ret->count * (LZ4_BLOCK_AROUND + ret->size);
	writer->next += ret->count;
	return true;
}

static void give_back(struct lz4_writer *writer, const struct lz4_item *item)
{
	if (item->buffer)
		writer->spares[writer->nr_spares++] = item->buffer;
}

/*
 * Writes every chunk whose turn it is, and those that become it meanwhile.  Takes the lock over from the
 * caller and releases it.
 */
static int drain(struct lz4_writer *writer)
{
	struct lz4_item item;
	int r = 0, failed;

	writer->drainers++;
	while (place_next(writer, &item)) {
		pthread_cond_broadcast(&writer->moved);
		pthread_mutex_unlock(&writer->lock);
		failed = write_item(writer, &item);
		pthread_mutex_lock(&writer->lock);
		r = r ? r : failed;
		writer->written += failed ? 0 : item.count;
		give_back(writer, &item);
	}
	writer->drainers--;
	pthread_cond_broadcast(&writer->moved);
	pthread_mutex_unlock(&writer->lock);
	return r;
}

/* True if @item lies in a buffer of its worker, so that parking it takes one of the spares. */
static bool is_in_buffer(const struct lz4_worker *worker, const struct lz4_item *item)
{
	return item->data == worker->output || item->data == worker->input;
}

static bool can_park(const struct lz4_worker *worker, const struct lz4_item *item)
{
	const struct lz4_writer *writer = worker->writer;

	return item->chunk - writer->next < LZ4_PARKED_MAX &&
	       (!is_in_buffer(worker, item) || writer->nr_spares);
}

static bool can_go_on(const struct lz4_worker *worker, const struct lz4_item *item)
{
	return item->chunk <= worker->writer->next || can_park(worker, item);
}

/* True if no worker can go on, so that the chunk they wait for will not come. */
static bool is_stuck(const struct lz4_writer *writer)
{
	if (writer->drainers)
		return false;
	for (const struct lz4_worker *worker = writer->workers; worker; worker = worker->next_worker)
		if (!worker->wants || can_go_on(worker, worker->wants))
			return false;
	return true;
}

static int wait_for_room(struct lz4_worker *worker, const struct lz4_item *item)
{
	struct lz4_writer *writer = worker->writer;
	int none = 0;

	worker->wants = item;
	while (!atomic_load(&writer->error) && !can_go_on(worker, item)) {
		if (is_stuck(writer)) {
			atomic_compare_exchange_strong(&writer->error, &none, -EDEADLK);
			pthread_cond_broadcast(&writer->moved);
		} else {
			pthread_cond_wait(&writer->moved, &writer->lock);
		}
	}
	worker->wants = NULL;
	return atomic_load(&writer->error);
}

/* Swaps the worker's buffer that @item lies in for a spare one, so that @item can wait without it. */
static void detach(struct lz4_worker *worker, struct lz4_item *item)
{
	struct lz4_writer *writer = worker->writer;
	unsigned char **buffer = item->data == worker->output ? &worker->output : &worker->input;

	if (is_in_buffer(worker, item)) {
		item->buffer = *buffer;
		*buffer = writer->spares[--writer->nr_spares];
	}
}

static bool is_known(struct lz4_writer *writer, uint64_t chunk)
{
	const struct lz4_item *parked = parking_place(writer, chunk);

	return chunk < writer->next || bitmap_test(writer->zeros, chunk) ||
	       (parked->count && parked->chunk == chunk);
}

/*
 * A file takes one writer at a time, so that a second one would wait in the kernel: who finds a drainer at
 * work leaves the block to it and goes on compressing, as long as there are spare buffers.
 */
static int submit(struct lz4_worker *worker, struct lz4_item *item)
{
	struct lz4_writer *writer = worker->writer;
	bool mine;
	int r;

	pthread_mutex_lock(&writer->lock);
	r = wait_for_room(worker, item);
	if (!r && is_known(writer, item->chunk))
		r = -EEXIST;
	if (r) {
		pthread_mutex_unlock(&writer->lock);
		return r;
	}
	mine = item->chunk == writer->next && !(writer->drainers && can_park(worker, item));
	if (!mine)
		detach(worker, item);
	*parking_place(writer, item->chunk) = *item;
	if (mine)
		return drain(writer);
	pthread_mutex_unlock(&writer->lock);
	return 0;
}

/*
 * Contents.
 */

static bool are_runs_good(const struct lz4_run *runs, size_t nr_runs, uint32_t len)
{
	uint64_t at = 0;

	for (size_t i = 0; i < nr_runs; i++) {
		if (runs[i].off < at)
			return false;
		at = (uint64_t)runs[i].off + runs[i].len;
		if (at > len)
			return false;
	}
	return true;
}

/* The chunk's @len bytes in one piece. */
static const unsigned char *gather(
	struct lz4_worker *worker, const struct lz4_run *runs, size_t nr_runs, uint32_t len)
{
	uint32_t at = 0;

	if (nr_runs == 1 && runs->len == len)
		return runs->data;
	for (size_t i = 0; i < nr_runs; i++) {
		memset(worker->input + at, 0, runs[i].off - at);
		if (runs[i].len)
			memcpy(worker->input + runs[i].off, runs[i].data, runs[i].len);
		at = runs[i].off + runs[i].len;
	}
	memset(worker->input + at, 0, len - at);
	return worker->input;
}

static void encode(
	struct lz4_worker *worker, const unsigned char *data, uint32_t len, struct lz4_item *item)
{
	const struct lz4_writer *writer = worker->writer;
	const struct lz4_zero *zero = zero_of(writer, item->chunk);

	item->size = lz4_compress_block(
		worker->state, data, len, worker->output, writer->options.acceleration);
	if (!item->size) {
		item->kind = LZ4_KIND_STORED;
		item->size = len;
		item->sum = lz4_sum_of(data, len);
		item->data = data;
	} else if (item->size == zero->size &&
		   !memcmp(worker->output, zero->data, LZ4_BLOCK_HEADER + item->size)) {
		/* Equal contents have equal compressed forms: zeros are found without looking for them. */
		encode_zero(zero, item);
	} else {
		item->kind = LZ4_KIND_COMPRESSED;
		item->data = worker->output;
	}
}

int lz4_worker_put(
	struct lz4_worker *worker, uint64_t chunk, const struct lz4_run *runs, size_t nr_runs, uint64_t tag)
{
	struct lz4_writer *writer = worker->writer;
	struct lz4_item item = {.chunk = chunk, .count = 1, .tag = tag};
	int r = atomic_load(&writer->error);
	uint32_t len;

	if (r)
		return r;
	if (chunk >= writer->nr_chunks)
		return -EINVAL;
	len = lz4_chunk_len(writer, chunk);
	if (!are_runs_good(runs, nr_runs, len))
		return -EINVAL;
	if (nr_runs)
		encode(worker, gather(worker, runs, nr_runs, len), len, &item);
	else
		encode_zero(zero_of(writer, chunk), &item);
	return submit(worker, &item);
}

int lz4_writer_zeros(struct lz4_writer *writer, uint64_t first, uint64_t count)
{
	int r = atomic_load(&writer->error);
	uint64_t end;

	if (r)
		return r;
	if (u64_add_overflows(first, count, &end) || end > writer->nr_chunks)
		return -EINVAL;
	pthread_mutex_lock(&writer->lock);
	for (uint64_t chunk = first; chunk < end && !r; chunk++)
		r = is_known(writer, chunk) ? -EEXIST : 0;
	for (uint64_t chunk = first; chunk < end && !r; chunk++)
		writer->zeros[chunk / 64] |= 1ull << (chunk % 64);
	if (!r && !writer->drainers)
		return drain(writer);
	pthread_mutex_unlock(&writer->lock);
	return r;
}
