/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/ideal-lz4.c - the yardstick for compressed dumps: nothing but LZ4_compress_fast, chunk by chunk.
 *
 * Compresses a file, or contents that it generates itself, into one buffer a thread, and drops the
 * result.  Nothing is written, no order is kept: what a dump does beyond this is what it costs.
 *
 *	mixed contents   | zeros | text | random | text | zeros | ...     chunk by chunk
 *
 * Shares no code with the project, so that it cannot share its mistakes.  One line a run, words of
 * the form name=value; with --runs above 1 a last line with the median.
 *
 * Threads: each worker takes the next chunk from one atomic counter and reports a status; the main
 * thread waits for all of them.
 */
#include "bench/ideal.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <lz4.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_MAX (4ull << 20) /* the LZ4 frame format's largest block */

struct options {
	const char *file;     /* NULL = generated contents */
	const char *save;     /* generated contents go there too; NULL = nowhere */
	const char *contents; /* mixed, text, random or zero */
	uint64_t size;        /* bytes */
	uint64_t chunk;       /* bytes */
	unsigned threads;
	unsigned runs;
	unsigned acceleration;
};

struct job {
	const struct options *options;
	const unsigned char *bytes;
	uint64_t size;
	_Atomic uint64_t next;   /* next chunk's number; taken by the workers with fetch_add */
	_Atomic uint64_t packed; /* bytes that all chunks became */
};

static uint64_t step(uint64_t *state) /* xorshift64 */
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void fill_random(unsigned char *at, uint64_t len, uint64_t seed)
{
	for (; len >= sizeof(seed); at += sizeof(seed), len -= sizeof(seed)) {
		step(&seed);
		memcpy(at, &seed, sizeof(seed));
	}
}

/* Words and numbers; LZ4 makes about half of it, as of a kernel's memory. */
static void fill_text(unsigned char *at, uint64_t len, uint64_t seed)
{
	uint64_t used = 0;
	char line[96];

	while (used < len) {
		uint64_t a = step(&seed), b = step(&seed);
		int n = snprintf(line, sizeof(line), "%c%c%c%c page=%llx flags=%x count=%u\n",
			(int)('a' + a % 26), (int)('a' + a / 26 % 26), (int)('a' + a / 676 % 26),
			(int)('a' + b % 26), (unsigned long long)(b & 0xffffffffff), (unsigned)(a >> 48),
			(unsigned)(b >> 60));
		uint64_t take = (uint64_t)n < len - used ? (uint64_t)n : len - used;

		memcpy(at + used, line, take);
		used += take;
	}
}

static void fill_chunk(unsigned char *at, uint64_t len, uint64_t index, const char *contents)
{
	static const char order[] = "ztrt"; /* mixed: a quarter zeros, a quarter random, half text */
	char kind = !strcmp(contents, "mixed") ? order[index % 4] : *contents;
	uint64_t seed = index * 0x9e3779b97f4a7c15ull + 1;

	if (kind == 't')
		fill_text(at, len, seed);
	else if (kind == 'r')
		fill_random(at, len, seed);
	else
		memset(at, 0, len);
}

static int generate(const struct options *options, unsigned char **ret)
{
	int fd = -1, prot = PROT_READ | PROT_WRITE;
	unsigned char *at;

	if (options->save) {
		fd = open(options->save, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || ftruncate(fd, (off_t)options->size))
			return -errno;
		/* allocated before the first store: a full disk must not be a SIGBUS */
		if (fallocate(fd, 0, 0, (off_t)options->size))
			return -errno;
	}
	at = mmap(NULL, options->size, prot, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	for (uint64_t off = 0; off < options->size; off += options->chunk) {
		uint64_t rest = options->size - off;

		fill_chunk(at + off, rest < options->chunk ? rest : options->chunk, off / options->chunk,
			options->contents);
	}
	*ret = at;
	return 0;
}

static int load(const char *path, uint64_t *ret_size, unsigned char **ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *at;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!st.st_size)
		return -ENODATA;
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	close(fd);
	*ret_size = (uint64_t)st.st_size;
	*ret = at;
	return 0;
}

static int compress_chunks(struct job *job, char *out)
{
	uint64_t chunk = job->options->chunk;

	for (;;) {
		uint64_t off = atomic_fetch_add(&job->next, 1) * chunk;
		int n;

		if (off >= job->size)
			return 0;
		n = LZ4_compress_fast((const char *)job->bytes + off, out,
			(int)(job->size - off < chunk ? job->size - off : chunk),
			LZ4_COMPRESSBOUND((int)chunk), (int)job->options->acceleration);
		if (n <= 0)
			return -EIO;
		atomic_fetch_add(&job->packed, (uint64_t)n);
	}
}

static int pack_chunks(void *opaque)
{
	char *out = malloc(LZ4_COMPRESSBOUND(CHUNK_MAX));
	int r = out ? compress_chunks(opaque, out) : -ENOMEM;

	free(out);
	return r;
}

static int run(struct job *job, double *ret_seconds)
{
	atomic_store(&job->next, 0);
	atomic_store(&job->packed, 0);
	return ideal_threads(job->options->threads, pack_chunks, job, ret_seconds);
}

static const char usage[] =
	"usage: ideal-lz4 [--file FILE | --contents mixed|text|random|zero --size BYTES [--save FILE]]\n"
	"                 [--chunk BYTES] [--threads N] [--acceleration N] [--runs N]\n"
	"Compresses FILE or generated contents with LZ4_compress_fast and drops the result.\n"
	"Defaults: --contents mixed --size 1G --chunk 2M --threads 1 --acceleration 1 --runs 1\n";

static bool is_contents(const char *name)
{
	return !strcmp(name, "mixed") || !strcmp(name, "text") || !strcmp(name, "random") ||
	       !strcmp(name, "zero");
}

static bool parse_option(int c, struct options *ret)
{
	switch (c) {
	case 'f':
		ret->file = optarg;
		return true;
	case 'w':
		ret->save = optarg;
		return true;
	case 'k':
		ret->contents = optarg;
		return is_contents(optarg);
	case 's':
		return ideal_size(optarg, &ret->size);
	case 'c':
		return ideal_size(optarg, &ret->chunk) && ret->chunk <= CHUNK_MAX;
	case 't':
		return ideal_count(optarg, IDEAL_THREADS_MAX, &ret->threads);
	case 'a':
		return ideal_count(optarg, 65537, &ret->acceleration);
	case 'r':
		return ideal_count(optarg, IDEAL_RUNS_MAX, &ret->runs);
	default:
		return false;
	}
}

static bool parse_options(int argc, char **argv, struct options *ret)
{
	static const struct option longs[] = {
		{"file", required_argument, NULL, 'f'},
		{"save", required_argument, NULL, 'w'},
		{"contents", required_argument, NULL, 'k'},
		{"size", required_argument, NULL, 's'},
		{"chunk", required_argument, NULL, 'c'},
		{"threads", required_argument, NULL, 't'},
		{"acceleration", required_argument, NULL, 'a'},
		{"runs", required_argument, NULL, 'r'},
		{NULL, 0, NULL, 0},
	};
	bool ok = true;
	int c;

	while (ok && (c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		ok = parse_option(c, ret);
	return ok && optind == argc && !(ret->file && ret->save);
}

static void report(const struct job *job, const char *what, double seconds)
{
	const struct options *options = job->options;

	printf("ideal-lz4 %s contents=%s bytes=%llu chunk=%llu threads=%u acceleration=%u packed=%llu "
	       "seconds=%.4f gb_per_s=%.3f\n",
		what, options->file ? options->file : options->contents, (unsigned long long)job->size,
		(unsigned long long)options->chunk, options->threads, options->acceleration,
		(unsigned long long)job->packed, seconds, (double)job->size / 1e9 / seconds);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct options options = {.contents = "mixed",
		.size = 1ull << 30,
		.chunk = 2ull << 20,
		.threads = 1,
		.runs = 1,
		.acceleration = 1};
	struct job job = {.options = &options};
	double seconds[IDEAL_RUNS_MAX] = {0};
	unsigned char *bytes = NULL;
	char what[32];
	int r;

	if (!parse_options(argc, argv, &options)) {
		fprintf(stderr, "%sThe chunk is at most 4 MiB.\n", usage);
		return 2;
	}
	job.size = options.size;
	r = options.file ? load(options.file, &job.size, &bytes) : generate(&options, &bytes);
	job.bytes = bytes;
	for (unsigned i = 0; i < options.runs && !r; i++) {
		r = run(&job, &seconds[i]);
		snprintf(what, sizeof(what), "run=%u", i + 1);
		if (!r)
			report(&job, what, seconds[i]);
	}
	if (r) {
		fprintf(stderr, "ideal-lz4: %s: %s\n", options.file ? options.file : "generated contents",
			strerror(-r));
		return 1;
	}
	if (options.runs > 1) {
		qsort(seconds, options.runs, sizeof(seconds[0]), ideal_by_value);
		report(&job, "median", seconds[options.runs / 2]);
	}
	return 0;
}
