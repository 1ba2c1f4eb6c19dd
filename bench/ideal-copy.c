/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/ideal-copy.c - the yardstick for the vmapp strategy: nothing but its inherent work.
 *
 * Variants punch and scan do less: the inherent work of giving memory back, and of looking for zeros.
 *
 * Moves a file's worth of memory from one O_TMPFILE to another on the same tmpfs, chunk by chunk,
 * giving each chunk of the source back to the host right after it was copied:
 *
 *	source  [ released | released | copying | data ... ]
 *	dest    [   data   |   data   | growing | hole ... ]
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
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PAGE 4096ull
#define HUGE_PAGE (2ull << 20)

enum variant {
	VARIANT_PWRITE,
	VARIANT_MEMCPY,
	VARIANT_COPY_FILE_RANGE,
	VARIANT_PUNCH, /* releases the source, copies nothing: what excluding everything costs */
	VARIANT_SCAN,  /* looks whether each page is zero, and keeps it: what selector zero cannot avoid */
	VARIANT_NR
};

static const char *const variant_names[VARIANT_NR] = {
	[VARIANT_PWRITE] = "pwrite",
	[VARIANT_MEMCPY] = "memcpy",
	[VARIANT_COPY_FILE_RANGE] = "copy_file_range",
	[VARIANT_PUNCH] = "punch",
	[VARIANT_SCAN] = "scan",
};

struct options {
	const char *dir;
	uint64_t size;  /* bytes; multiple of chunk */
	uint64_t chunk; /* bytes; multiple of 4 KiB */
	unsigned threads;
	unsigned runs;
	enum variant variant;
};

/* One end of the copy. */
struct end {
	int fd;             /* owned, O_TMPFILE */
	unsigned char *map; /* owned, shared mapping of the whole file; NULL if the variant needs none */
};

struct job {
	const struct options *options;
	struct end source, dest;
	_Atomic uint64_t next;  /* next chunk's number; taken by the workers with fetch_add */
	_Atomic uint64_t zeros; /* pages of zeros found by VARIANT_SCAN */
};

/* Maps all of @fd at an address that huge pages can use. */
static int map_aligned(int fd, uint64_t size, unsigned char **ret_map)
{
	unsigned char *room = mmap(NULL, size + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *at;

	if (room == MAP_FAILED)
		return -errno;
	at = room + (-(uintptr_t)room & (HUGE_PAGE - 1));
	if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return -errno;
	(void)madvise(at, size, MADV_HUGEPAGE); /* a wish: mounts with huge=advise ask for it */
	*ret_map = at;
	return 0;
}

static int end_open(struct end *end, const struct options *options, bool mapped)
{
	end->map = NULL;
	end->fd = open(options->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (end->fd < 0)
		return -errno;
	if (ftruncate(end->fd, (off_t)options->size))
		return -errno;
	return mapped ? map_aligned(end->fd, options->size, &end->map) : 0;
}

static void end_close(struct end *end, uint64_t size)
{
	if (end->map)
		munmap(end->map, size);
	if (end->fd >= 0)
		close(end->fd);
}

/* Every page gets contents of its own, so that a misplaced chunk is seen. */
static void populate(unsigned char *map, uint64_t size)
{
	for (uint64_t off = 0; off < size; off += PAGE) {
		uint64_t word = off / PAGE * 0x9e3779b97f4a7c15ull + 1;

		memset(map + off, (int)(word >> 56) | 1, PAGE);
		memcpy(map + off, &word, sizeof(word));
	}
}

/* A quarter of what is scanned is zeros: those pages have to be read to the end. */
static void zero_quarter(unsigned char *map, uint64_t size)
{
	for (uint64_t off = 0; off < size; off += 4 * PAGE)
		memset(map + off, 0, PAGE);
}

static int verify(const struct job *job)
{
	uint64_t pages = job->options->size / PAGE;
	struct stat st;

	if (job->options->variant == VARIANT_SCAN)
		return atomic_load(&job->zeros) == (pages + 3) / 4 ? 0 : -EILSEQ;
	for (uint64_t off = 0; off < job->options->size && job->options->variant != VARIANT_PUNCH;
		off += PAGE) {
		uint64_t want = off / PAGE * 0x9e3779b97f4a7c15ull + 1, got;

		if (pread(job->dest.fd, &got, sizeof(got), (off_t)off) != sizeof(got) || got != want)
			return -EILSEQ;
	}
	if (fstat(job->source.fd, &st))
		return -errno;
	return st.st_blocks ? -EBUSY : 0;
}

/* Bytes of this process's shared mappings that are mapped by huge pages now. */
static uint64_t huge_bytes(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "re");
	unsigned long long kib = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "ShmemPmdMapped: %llu kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib << 10;
}

static int copy_by_pwrite(const struct job *job, uint64_t off, uint64_t len)
{
	while (len) {
		ssize_t n = pwrite(job->dest.fd, job->source.map + off, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int copy_by_file_range(const struct job *job, uint64_t off, uint64_t len)
{
	off_t in = (off_t)off, out = (off_t)off;

	while (len) {
		ssize_t n = copy_file_range(job->source.fd, &in, job->dest.fd, &out, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		len -= (uint64_t)n;
	}
	return 0;
}

/* Words ored together, so that the compiler uses vectors; most pages end in their first 64 bytes. */
static bool is_zero(const unsigned char *page)
{
	uint64_t words[8], any = 0;

	for (unsigned at = 0; at < PAGE && !any; at += sizeof(words)) {
		memcpy(words, page + at, sizeof(words));
		for (unsigned i = 0; i < 8; i++)
			any |= words[i];
	}
	return !any;
}

static int scan(struct job *job, uint64_t off, uint64_t len)
{
	uint64_t zeros = 0;

	for (uint64_t at = off; at < off + len; at += PAGE)
		zeros += is_zero(job->source.map + at);
	atomic_fetch_add(&job->zeros, zeros);
	return 0;
}

static int copy_and_release(struct job *job, uint64_t off, uint64_t len)
{
	int r = 0;

	switch (job->options->variant) {
	case VARIANT_PWRITE:
		r = copy_by_pwrite(job, off, len);
		break;
	case VARIANT_MEMCPY:
		memcpy(job->dest.map + off, job->source.map + off, len);
		break;
	case VARIANT_COPY_FILE_RANGE:
		r = copy_by_file_range(job, off, len);
		break;
	case VARIANT_SCAN:
		return scan(job, off, len);
	default: /* VARIANT_PUNCH has nothing to copy */
		break;
	}
	if (r)
		return r;
	return madvise(job->source.map + off, len, MADV_REMOVE) ? -errno : 0;
}

static int copy_chunks(void *opaque)
{
	struct job *job = opaque;
	uint64_t chunk = job->options->chunk;

	for (;;) {
		uint64_t off = atomic_fetch_add(&job->next, 1) * chunk;
		int r = off < job->options->size ? copy_and_release(job, off, chunk) : 0;

		if (r || off >= job->options->size)
			return r;
	}
}

static int run(const struct options *options, double *ret_seconds, uint64_t *ret_huge)
{
	struct job job = {.options = options, .source.fd = -1, .dest.fd = -1};
	int r = end_open(&job.source, options, true);

	if (!r)
		r = end_open(&job.dest, options, options->variant == VARIANT_MEMCPY);
	if (!r) {
		populate(job.source.map, options->size);
		if (options->variant == VARIANT_SCAN)
			zero_quarter(job.source.map, options->size);
		*ret_huge = huge_bytes();
		r = ideal_threads(options->threads, copy_chunks, &job, ret_seconds);
	}
	if (!r)
		r = verify(&job);
	end_close(&job.source, options->size);
	end_close(&job.dest, options->size);
	return r;
}

/* Too little room would end in SIGBUS while the source is filled. */
static int check_room(const struct options *options)
{
	uint64_t need = options->size + options->threads * options->chunk + HUGE_PAGE;
	struct statvfs vfs;

	if (statvfs(options->dir, &vfs))
		return -errno;
	return (uint64_t)vfs.f_bavail * vfs.f_frsize < need ? -ENOSPC : 0;
}

static bool parse_variant(const char *text, enum variant *ret)
{
	for (unsigned i = 0; i < VARIANT_NR; i++) {
		if (!strcmp(text, variant_names[i])) {
			*ret = (enum variant)i;
			return true;
		}
	}
	return false;
}

static const char usage[] =
	"usage: ideal-copy [--dir DIR] [--size BYTES] [--chunk BYTES] [--threads N] [--runs N]\n"
	"                  [--variant pwrite|memcpy|copy_file_range|punch|scan]\n"
	"Copies a file from tmpfs to the same tmpfs and releases each chunk of the source after it;\n"
	"punch: only releases; scan: only looks for pages of zeros, in contents of which a quarter is.\n"
	"Defaults: --dir /dev/shm --size 1G --chunk 2M --threads 1 --runs 1 --variant pwrite\n";

static bool parse_options(int argc, char **argv, struct options *ret)
{
	static const struct option longs[] = {
		{"dir", required_argument, NULL, 'd'},
		{"size", required_argument, NULL, 's'},
		{"chunk", required_argument, NULL, 'c'},
		{"threads", required_argument, NULL, 't'},
		{"runs", required_argument, NULL, 'r'},
		{"variant", required_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	bool ok = true;
	int c;

	while (ok && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'd':
			ret->dir = optarg;
			break;
		case 's':
			ok = ideal_size(optarg, &ret->size);
			break;
		case 'c':
			ok = ideal_size(optarg, &ret->chunk);
			break;
		case 't':
			ok = ideal_count(optarg, IDEAL_THREADS_MAX, &ret->threads);
			break;
		case 'r':
			ok = ideal_count(optarg, IDEAL_RUNS_MAX, &ret->runs);
			break;
		case 'v':
			ok = parse_variant(optarg, &ret->variant);
			break;
		default:
			ok = false;
			break;
		}
	}
	return ok && optind == argc && !(ret->chunk % PAGE) && !(ret->size % ret->chunk);
}

static void report(const struct options *options, const char *what, double seconds, uint64_t huge)
{
	printf("ideal-copy %s variant=%s dir=%s bytes=%llu chunk=%llu threads=%u source_huge=%llu "
	       "seconds=%.4f gb_per_s=%.3f\n",
		what, variant_names[options->variant], options->dir, (unsigned long long)options->size,
		(unsigned long long)options->chunk, options->threads, (unsigned long long)huge, seconds,
		(double)options->size / 1e9 / seconds);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct options options = {
		.dir = "/dev/shm", .size = 1ull << 30, .chunk = HUGE_PAGE, .threads = 1, .runs = 1};
	double seconds[IDEAL_RUNS_MAX] = {0};
	uint64_t huge = 0;
	char what[32];
	int r;

	if (!parse_options(argc, argv, &options)) {
		fprintf(stderr, "%sThe chunk is a multiple of 4 KiB, the size a multiple of the chunk.\n",
			usage);
		return 2;
	}
	r = check_room(&options);
	for (unsigned i = 0; i < options.runs && !r; i++) {
		r = run(&options, &seconds[i], &huge);
		snprintf(what, sizeof(what), "run=%u", i + 1);
		if (!r)
			report(&options, what, seconds[i], huge);
	}
	if (r) {
		fprintf(stderr, "ideal-copy: %s, %llu bytes: %s\n", options.dir,
			(unsigned long long)options.size, strerror(-r));
		return 1;
	}
	if (options.runs > 1) {
		qsort(seconds, options.runs, sizeof(seconds[0]), ideal_by_value);
		report(&options, "median", seconds[options.runs / 2], huge);
	}
	return 0;
}
