/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/lz4_fixture.c - see lz4_fixture.h */
#include "tests/unit/lz4_fixture.h"

#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/scratch.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define THREADS_MAX 8

static uint64_t step(uint64_t *state) /* xorshift64 */
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void fill_random(unsigned char *at, uint64_t len, uint64_t seed)
{
	for (uint64_t i = 0; i < len; i++)
		at[i] = (unsigned char)(step(&seed) >> 24);
}

static void fill_text(unsigned char *at, uint64_t len, uint64_t seed)
{
	static const char *const words[] = {
		"panic ", "page ", "vcpu=", "guest ", "0x", "\n", "chunk ", "dump "};

	for (uint64_t i = 0; i < len;) {
		const char *word = words[step(&seed) % ARRAY_LEN(words)];
		uint64_t n = u64_min(strlen(word), len - i);

		memcpy(at + i, word, n);
		i += n;
		if (i < len && !(step(&seed) % 4))
			at[i++] = (unsigned char)('0' + seed % 10);
	}
}

/* One chunk.  Mixed ones are random, text, zeros, or zeros with a few pages of text. */
static void fill(unsigned char *at, uint64_t len, uint64_t seed, enum lz4_content content)
{
	if (content == LZ4_MIXED && seed % 4 == 3 && len > 2 * PAGE_SIZE_4K) {
		fill_text(at + PAGE_SIZE_4K, PAGE_SIZE_4K, seed + 1);
		return;
	}
	if (content == LZ4_MIXED)
		content = (enum lz4_content)(seed * 7 / 3 % 3);
	if (content == LZ4_RANDOM)
		fill_random(at, len, seed + 1);
	else if (content == LZ4_TEXT)
		fill_text(at, len, seed + 1);
}

void lz4_fixture_init(struct lz4_fixture *fixture, const struct lz4_image *image, enum lz4_content content)
{
	uint64_t size = lz4_image_size(image);

	*fixture = (struct lz4_fixture){.image = *image, .spares = 4};
	fixture->bytes = calloc(1, size + 1);
	ck_assert_ptr_nonnull(fixture->bytes);
	fixture->table = mmap(
		NULL, lz4_table_bytes(image), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(fixture->table != MAP_FAILED);
	fixture->fd = memfd_create("lz4_fixture", MFD_CLOEXEC);
	ck_assert_int_ge(fixture->fd, 0);
	fill_text(fixture->bytes, image->head / 2, 77);
	fill_random(fixture->bytes + size - image->tail / 3, image->tail / 3, 78);
	for (uint64_t off = 0; off < image->ram; off += image->chunk)
		fill(fixture->bytes + image->head + off, u64_min(image->chunk, image->ram - off),
			off / image->chunk, content);
}

void lz4_fixture_fini(struct lz4_fixture *fixture)
{
	lz4_writer_destroy(fixture->writer);
	free(fixture->bytes);
	munmap(fixture->table, lz4_table_bytes(&fixture->image));
	cleanup_close(&fixture->fd);
}

int lz4_fixture_start(struct lz4_fixture *fixture)
{
	struct lz4_writer_options options = {
		.image = fixture->image,
		.acceleration = 1,
		.spares = fixture->spares,
		.table = fixture->table,
		.written = fixture->written,
		.written_arg = fixture,
	};

	lz4_writer_destroy(fixture->writer);
	fixture->writer = NULL;
	fixture->next = 0;
	ck_assert_int_eq(ftruncate(fixture->fd, 0), 0);
	return lz4_writer_create(fixture->fd, &options, &fixture->writer);
}

static bool is_zero(const unsigned char *at, uint64_t len)
{
	return !*at && !memcmp(at, at + 1, len - 1);
}

int lz4_fixture_put(struct lz4_fixture *fixture, struct lz4_worker *worker, uint64_t chunk)
{
	uint64_t off = chunk * fixture->image.chunk;
	uint64_t len = u64_min(fixture->image.chunk, fixture->image.ram - off);
	const unsigned char *at = fixture->bytes + fixture->image.head + off;
	struct lz4_run runs[3] = {{.len = (uint32_t)len, .data = at}};
	size_t nr = 1;

	if (is_zero(at, len)) {
		switch (chunk % 3) {
		case 0:
			return lz4_writer_zeros(fixture->writer, chunk, 1);
		case 1:
			nr = 0;
			break;
		default:
			break;
		}
	} else if (len > 2 * PAGE_SIZE_4K && is_zero(at, PAGE_SIZE_4K)) {
		/* a page in two runs, and an empty one */
		runs[0] = (struct lz4_run){.off = 4096, .len = 100, .data = at + 4096};
		runs[1] = (struct lz4_run){.off = 4196, .len = 0, .data = NULL};
		runs[2] = (struct lz4_run){.off = 4196, .len = (uint32_t)len - 4196, .data = at + 4196};
		nr = 3;
	}
	return lz4_worker_put(worker, chunk, runs, nr, chunk + 1000);
}

static void *put_some(void *arg)
{
	struct lz4_fixture *fixture = arg;
	uint64_t nr = lz4_blocks_of(fixture->image.ram, fixture->image.chunk);
	struct lz4_worker *worker = NULL;
	intptr_t r = lz4_worker_create(fixture->writer, &worker);

	while (!r) {
		uint64_t chunk = atomic_fetch_add(&fixture->next, 1);

		if (chunk >= nr)
			break;
		r = lz4_fixture_put(fixture, worker, chunk);
	}
	lz4_worker_destroy(worker);
	return (void *)r;
}

int lz4_fixture_put_all(struct lz4_fixture *fixture, unsigned threads)
{
	pthread_t ids[THREADS_MAX];
	int r = 0;

	ck_assert_uint_le(threads, THREADS_MAX);
	for (unsigned i = 0; i < threads; i++)
		ck_assert_int_eq(pthread_create(&ids[i], NULL, put_some, fixture), 0);
	for (unsigned i = 0; i < threads; i++) {
		void *result;

		ck_assert_int_eq(pthread_join(ids[i], &result), 0);
		r = r ? r : (int)(intptr_t)result;
	}
	return r;
}

int lz4_fixture_end(struct lz4_fixture *fixture)
{
	const struct lz4_image *image = &fixture->image;
	uint64_t tail = image->head + image->ram;
	int r = lz4_writer_finish(fixture->writer);

	if (!r)
		r = lz4_writer_patch(fixture->writer, tail, fixture->bytes + tail, image->tail);
	if (!r)
		r = lz4_writer_patch(fixture->writer, 0, fixture->bytes, image->head);
	if (!r)
		r = lz4_writer_sum(fixture->writer);
	lz4_writer_destroy(fixture->writer);
	fixture->writer = NULL;
	return r;
}

int lz4_fixture_write(struct lz4_fixture *fixture, unsigned threads)
{
	int r = lz4_fixture_start(fixture);

	if (!r)
		r = lz4_fixture_put_all(fixture, threads);
	return r ? r : lz4_fixture_end(fixture);
}

void lz4_fixture_check_reader(const struct lz4_fixture *fixture, struct lz4_reader *reader)
{
	uint64_t size = lz4_image_size(&fixture->image);
	autofree unsigned char *buf = malloc(size + 1);
	uint64_t seed = 4711;

	ck_assert(lz4_reader_is_complete(reader));
	ck_assert_uint_eq(lz4_reader_size(reader), size);
	ck_assert_int_eq(lz4_reader_read(reader, 0, buf, size), 0);
	ck_assert(!memcmp(buf, fixture->bytes, size));
	for (int i = 0; i < 50; i++) {
		uint64_t off = step(&seed) % size;
		uint64_t len = step(&seed) % u64_min(size - off, KIB(100) + i * KIB(10)) + 1;

		memset(buf, 0x5a, len);
		ck_assert_int_eq(lz4_reader_read(reader, off, buf, len), 0);
		ck_assert(!memcmp(buf, fixture->bytes + off, len));
	}
	ck_assert_int_eq(lz4_reader_read(reader, size, buf, 0), 0);
	ck_assert_int_eq(lz4_reader_read(reader, size, buf, 1), -EINVAL);
	ck_assert_int_eq(lz4_reader_read(reader, UINT64_MAX, buf, 2), -EINVAL);
}

void lz4_fixture_check_tool(const struct lz4_fixture *fixture)
{
	uint64_t size = lz4_image_size(&fixture->image);
	autofree unsigned char *buf = malloc(size + 1);
	struct scratch scratch;
	struct stat st;
	char path[128], command[400];
	int fd;

	scratch_init(&scratch);
	scratch_path(&scratch, "out", path, sizeof(path));
	/* from a copy with a name, since this process's memfd is not another's */
	snprintf(command, sizeof(command), "cat <&%d >%s/in.lz4 && lz4 -q -d %s/in.lz4 -c >%s", fixture->fd,
		scratch.dir, scratch.dir, path);
	ck_assert_int_eq(lseek(fixture->fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(fcntl(fixture->fd, F_SETFD, 0), 0);
	ck_assert_msg(!system(command), "%s", command);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, size);
	ck_assert_int_eq(io_pread_full(fd, buf, size, 0), 0);
	ck_assert(!memcmp(buf, fixture->bytes, size));
	close(fd);
	scratch_fini(&scratch);
}

uint64_t lz4_fixture_check_partial(const struct lz4_fixture *fixture)
{
	const struct lz4_image *image = &fixture->image;
	autoclose int table_fd = memfd_create("table", MFD_CLOEXEC);
	autofree unsigned char *buf = malloc(image->chunk);
	struct lz4_reader *reader;
	uint64_t found = 0;

	ck_assert_int_eq(io_pwrite_full(table_fd, fixture->table, lz4_table_bytes(image), 4096), 0);
	if (lz4_reader_open_partial(fixture->fd, table_fd, 4096, &reader))
		return 0;
	ck_assert(!lz4_reader_is_complete(reader));
	for (uint64_t off = 0; off < image->ram; off += image->chunk) {
		uint64_t len = u64_min(image->chunk, image->ram - off);
		struct lz4_block block;

		ck_assert_int_eq(lz4_reader_block(reader, image->head + off, &block), 0);
		ck_assert_uint_eq(block.image_off, image->head + off);
		ck_assert_uint_eq(block.image_len, len);
		ck_assert_int_eq(lz4_reader_read(reader, image->head + off, buf, len),
			block.kind == LZ4_KIND_NONE ? -ENXIO : 0);
		if (block.kind == LZ4_KIND_NONE)
			continue;
		ck_assert(!memcmp(buf, fixture->bytes + image->head + off, len));
		found++;
	}
	lz4_reader_close(reader);
	return found;
}
