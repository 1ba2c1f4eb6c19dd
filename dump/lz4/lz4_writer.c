/* SPDX-License-Identifier: Apache-2.0 */
/* dump/lz4/lz4_writer.c - see lz4_writer.h; the two ends of the file */
#include "dump/lz4/lz4_writer_impl.h"

#include "dump/base/bitmap.h"
#include "dump/base/io.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <unistd.h>

/* our choice: zero blocks are written this many bytes at a time, most of a system call's cost saved */
#define ZEROS_AT_ONCE KIB(512)
/* our choice: what is read at a time to make a checksum of it; it stays in the CPU's cache */
#define SUM_AT_ONCE KIB(128)

static int make_zero(struct lz4_writer *writer, struct lz4_zero *zero, uint32_t len, uint64_t count)
{
	unsigned char *one = malloc(lz4_buffer_bytes(writer));
	void *zeros = calloc(1, len);
	void *state = malloc((size_t)LZ4_sizeofState());
	uint32_t bytes;
	int r = -ENOMEM;

	if (one && zeros && state) {
		zero->size = lz4_compress_block(state, zeros, len, one, writer->options.acceleration);
		if (!zero->size) { /* a short last chunk of a few bytes */
			zero->size = len;
			lz4_put32(one, len | LZ4_BLOCK_STORED);
			memset(one + LZ4_BLOCK_HEADER, 0, len);
			lz4_put32(one + LZ4_BLOCK_HEADER + len, lz4_sum_of(zeros, len));
		}
		bytes = LZ4_BLOCK_AROUND + zero->size;
		zero->copies = u64_min(u64_max(ZEROS_AT_ONCE / bytes, 1), count);
		zero->data = malloc(zero->copies * bytes);
		for (uint64_t i = 0; zero->data && i < zero->copies; i++)
			memcpy(zero->data + i * bytes, one, bytes);
		r = zero->data ? 0 : -ENOMEM;
	}
	free(one);
	free(zeros);
	free(state);
	return r;
}

static int make_zeros(struct lz4_writer *writer)
{
	const struct lz4_image *image = &writer->options.image;
	uint64_t rest = image->ram % image->chunk;
	int r = 0;

	if (writer->nr_full)
		r = make_zero(writer, &writer->zero, (uint32_t)image->chunk, writer->nr_full);
	if (!r && rest)
		r = make_zero(writer, &writer->short_zero, (uint32_t)rest, 1);
	return r;
}

static uint64_t head_blocks(const struct lz4_writer *writer)
{
	return lz4_blocks_of(writer->options.image.head, LZ4_BLOCK_MAX);
}

/* Blocks of head and tail. */
static uint64_t room_blocks(const struct lz4_writer *writer)
{
	return head_blocks(writer) + lz4_blocks_of(writer->options.image.tail, LZ4_BLOCK_MAX);
}

static int make_buffers(struct lz4_writer *writer)
{
	uint32_t spares = writer->options.spares;

	/* One word more than is needed, since the last may be looked at as a whole. */
	writer->zeros = calloc(writer->nr_chunks / 64 + 1, sizeof(*writer->zeros));
	writer->spares = calloc((size_t)spares + 1, sizeof(*writer->spares));
	writer->patched = calloc(room_blocks(writer) / 64 + 1, sizeof(*writer->patched));
	if (!writer->zeros || !writer->spares || !writer->patched)
		return -ENOMEM;
	for (; writer->nr_spares < spares; writer->nr_spares++) {
		writer->spares[writer->nr_spares] = malloc(lz4_buffer_bytes(writer));
		if (!writer->spares[writer->nr_spares])
			return -ENOMEM;
	}
	return make_zeros(writer);
}

static uint32_t zeros_sum(uint64_t len)
{
	static const unsigned char zeros[KIB(64)];
	struct lz4_sum sum;

	lz4_sum_start(&sum);
	for (; len; len -= u64_min(len, sizeof(zeros)))
		lz4_sum_add(&sum, zeros, u64_min(len, sizeof(zeros)));
	return lz4_sum_end(&sum);
}

/*
 * The size fields of the head's or tail's stored blocks, from file offset @at on, and the checksums of
 * their bytes, which stay holes.  Ends at *ret_end.
 */
static int write_stored_part(struct lz4_writer *writer, uint64_t bytes, uint64_t at, uint64_t *ret_end)
{
	unsigned char field[LZ4_BLOCK_HEADER];
	int r;

	while (bytes) {
		uint32_t len = (uint32_t)u64_min(bytes, LZ4_BLOCK_MAX);

		lz4_put32(field, len | LZ4_BLOCK_STORED);
		r = io_pwrite_full(writer->fd, field, sizeof(field), at);
		if (r)
			return r;
		at += sizeof(field) + len;
		bytes -= len;
		lz4_put32(field, zeros_sum(len));
		r = io_pwrite_full(writer->fd, field, sizeof(field), at);
		if (r)
			return r;
		at += sizeof(field);
	}
	*ret_end = at;
	return 0;
}

/* Separate from the above: the bytes of a hole are in the file when the file reaches behind them. */
static void publish_stored_part(struct lz4_entry *entries, uint64_t bytes, uint64_t at)
{
	for (; bytes; entries++) {
		uint32_t len = (uint32_t)u64_min(bytes, LZ4_BLOCK_MAX);

		lz4_publish(entries, at, len, LZ4_KIND_STORED);
		at += LZ4_BLOCK_AROUND + len;
		bytes -= len;
	}
}

static int write_start(struct lz4_writer *writer)
{
	const struct lz4_image *image = &writer->options.image;
	unsigned char header[LZ4_FRAME_HEADER];
	int r;

	lz4_frame_build(lz4_image_size(image), header);
	r = io_pwrite_full(writer->fd, header, sizeof(header), 0);
	if (!r)
		r = write_stored_part(writer, image->head, sizeof(header), &writer->file_end);
	if (!r && ftruncate(writer->fd, (off_t)writer->file_end) < 0)
		r = -errno;
	if (!r)
		publish_stored_part(writer->table->entries, image->head, sizeof(header));
	return r;
}

/*
 * Until the header is there, with its magic last, the memory is no table.  A kill takes a thread between
 * two of its instructions, so that only the compiler has to keep the order.
 */
static void start_table(struct lz4_writer *writer)
{
	const struct lz4_image *image = &writer->options.image;
	struct lz4_table_header *header = &writer->table->header;

	memset(writer->table, 0, lz4_table_bytes(image));
	*header = (struct lz4_table_header){
		.version = LZ4_TABLE_VERSION,
		.size = sizeof(*header),
		.nr_blocks = lz4_image_blocks(image),
		.image = *image,
		.acceleration = (uint32_t)writer->options.acceleration,
	};
	atomic_signal_fence(memory_order_release);
	memcpy(header->magic, LZ4_TABLE_MAGIC, sizeof(header->magic));
}

int lz4_writer_create(int fd, const struct lz4_writer_options *options, struct lz4_writer **ret_writer)
{
	const struct lz4_image *image = &options->image;
	struct lz4_writer *writer;
	int r;

	r = lz4_image_check(image);
	if (r)
		return r;
	if (options->acceleration < LZ4_ACCELERATION_LEAST || options->acceleration > LZ4_ACCELERATION_MOST)
		return -EINVAL;
	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return -ENOMEM;
	writer->fd = fd;
	writer->options = *options;
	writer->table = options->table;
	writer->entries = writer->table->entries + lz4_blocks_of(image->head, LZ4_BLOCK_MAX);
	writer->nr_chunks = lz4_blocks_of(image->ram, image->chunk);
	writer->nr_full = image->ram / image->chunk;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->moved, NULL);
	start_table(writer);
	r = make_buffers(writer);
	if (!r)
		r = write_start(writer);
	if (r) {
		lz4_writer_destroy(writer);
		return r;
	}
	*ret_writer = writer;
	return 0;
}

void lz4_writer_destroy(struct lz4_writer *writer)
{
	if (!writer)
		return;
	assert(!writer->workers);
	for (size_t i = 0; i < LZ4_PARKED_MAX; i++) /* left there by a failure */
		if (writer->parked[i].count)
			free(writer->parked[i].buffer);
	while (writer->nr_spares)
		free(writer->spares[--writer->nr_spares]);
	free(writer->spares);
	free(writer->zeros);
	free(writer->patched);
	free(writer->zero.data);
	free(writer->short_zero.data);
	pthread_cond_destroy(&writer->moved);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
}

/* End of frame, and the table in its skippable frame. */
static int write_table(struct lz4_writer *writer, uint64_t at)
{
	uint64_t bytes = lz4_table_bytes(&writer->options.image);
	unsigned char start[LZ4_BLOCK_HEADER + LZ4_SKIPPABLE_HEADER] = {0};
	struct lz4_table_footer footer = {.frame_off = at + LZ4_BLOCK_HEADER};
	int r;

	memcpy(footer.magic, LZ4_TABLE_MAGIC, sizeof(footer.magic));
	lz4_put32(start + LZ4_BLOCK_HEADER, LZ4_TABLE_FRAME);
	footer.sum = htole32(lz4_sum_of(writer->table, bytes));
	lz4_put32(start + LZ4_BLOCK_HEADER + 4, (uint32_t)(bytes + sizeof(footer)));
	r = io_pwrite_full(writer->fd, start, sizeof(start), at);
	if (!r)
		r = io_pwrite_full(writer->fd, writer->table, bytes, at + sizeof(start));
	if (!r)
		r = io_pwrite_full(writer->fd, &footer, sizeof(footer), at + sizeof(start) + bytes);
	return r;
}

int lz4_writer_finish(struct lz4_writer *writer)
{
	const struct lz4_image *image = &writer->options.image;
	struct lz4_entry *entries = writer->entries + writer->nr_chunks;
	uint64_t end = writer->file_end;
	int r = atomic_load(&writer->error);

	assert(!writer->tail_off);
	if (r)
		return r;
	if (writer->written != writer->nr_chunks)
		return lz4_writer_fail(writer, -ENODATA);
	r = write_stored_part(writer, image->tail, writer->file_end, &end);
	if (!r && ftruncate(writer->fd, (off_t)end) < 0)
		r = -errno;
	if (!r) {
		publish_stored_part(entries, image->tail, writer->file_end);
		r = write_table(writer, end);
	}
	if (r)
		return lz4_writer_fail(writer, r);
	writer->tail_off = writer->file_end;
	return 0;
}

/* A part of the image whose blocks are stored. */
struct room {
	uint64_t start;       /* file offset of its first block */
	uint64_t bytes;       /* of image */
	uint64_t first_block; /* number in writer->patched */
};

static uint64_t place_of(const struct room *room, uint64_t off)
{
	return room->start + off / LZ4_BLOCK_MAX * (LZ4_BLOCK_AROUND + LZ4_BLOCK_MAX) + LZ4_BLOCK_HEADER +
	       off % LZ4_BLOCK_MAX;
}

/* @len bytes at offset @off of @room. */
static int patch_stored(struct lz4_writer *writer, const struct room *room, uint64_t off,
	const unsigned char *data, uint64_t len)
{
	while (len) {
		uint64_t block = room->first_block + off / LZ4_BLOCK_MAX;
		uint64_t n = u64_min(len, LZ4_BLOCK_MAX - off % LZ4_BLOCK_MAX);
		int r = io_pwrite_full(writer->fd, data, n, place_of(room, off));

		if (r)
			return r;
		writer->patched[block / 64] |= 1ull << (block % 64);
		data += n;
		off += n;
		len -= n;
	}
	return 0;
}

static struct room head_room(const struct lz4_writer *writer)
{
	return (struct room){.start = LZ4_FRAME_HEADER, .bytes = writer->options.image.head};
}

static struct room tail_room(const struct lz4_writer *writer)
{
	return (struct room){.start = writer->tail_off,
		.bytes = writer->options.image.tail,
		.first_block = head_blocks(writer)};
}

int lz4_writer_patch(struct lz4_writer *writer, uint64_t off, const void *data, uint64_t len)
{
	const struct lz4_image *image = &writer->options.image;
	const struct room head = head_room(writer), rear = tail_room(writer);
	uint64_t tail = image->head + image->ram;
	uint64_t end;
	int r;

	if (u64_add_overflows(off, len, &end) || end > lz4_image_size(image))
		return -EINVAL;
	if (end <= image->head)
		r = patch_stored(writer, &head, off, data, len);
	else if (off >= tail && writer->tail_off)
		r = patch_stored(writer, &rear, off - tail, data, len);
	else
		return -EINVAL;
	return r ? lz4_writer_fail(writer, r) : 0;
}

/* The checksum of the block at offset @off of @room, of what the file holds. */
static int sum_block(struct lz4_writer *writer, const struct room *room, uint64_t off, unsigned char *buf)
{
	uint64_t len = u64_min(LZ4_BLOCK_MAX, room->bytes - off), at = place_of(room, off);
	unsigned char field[LZ4_SUM_BYTES];
	struct lz4_sum sum;
	int r = 0;

	lz4_sum_start(&sum);
	for (uint64_t done = 0; !r && done < len; done += SUM_AT_ONCE) {
		uint64_t n = u64_min(SUM_AT_ONCE, len - done);

		r = io_pread_full(writer->fd, buf, n, at + done);
		if (!r)
			lz4_sum_add(&sum, buf, n);
	}
	lz4_put32(field, lz4_sum_end(&sum));
	return r ? r : io_pwrite_full(writer->fd, field, sizeof(field), at + len);
}

static int sum_room(struct lz4_writer *writer, const struct room *room, unsigned char *buf)
{
	uint64_t nr = lz4_blocks_of(room->bytes, LZ4_BLOCK_MAX);
	int r = 0;

	for (uint64_t i = 0; !r && i < nr; i++) {
		uint64_t block = room->first_block + i;

		if (!bitmap_test(writer->patched, block))
			continue;
		r = sum_block(writer, room, i * LZ4_BLOCK_MAX, buf);
		if (!r)
			writer->patched[block / 64] &= ~(1ull << (block % 64));
	}
	return r;
}

int lz4_writer_sum(struct lz4_writer *writer)
{
	const struct room head = head_room(writer), tail = tail_room(writer);
	unsigned char *buf = malloc(SUM_AT_ONCE);
	int r = buf ? sum_room(writer, &head, buf) : -ENOMEM;

	if (!r && writer->tail_off)
		r = sum_room(writer, &tail, buf);
	free(buf);
	return r ? lz4_writer_fail(writer, r) : 0;
}

uint64_t lz4_writer_file_bytes(struct lz4_writer *writer)
{
	uint64_t bytes;

	pthread_mutex_lock(&writer->lock);
	bytes = writer->file_end;
	pthread_mutex_unlock(&writer->lock);
	return bytes;
}
