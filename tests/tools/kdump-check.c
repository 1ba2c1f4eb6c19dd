/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/tools/kdump-check.c - judge: does a dump of the selector `linux` leave out the pages that makedumpfile
 * leaves out?  Shares no code with either.
 *
 *      kdump-check OURS.vmcore THEIRS [--zero]
 *
 * THEIRS: what makedumpfile made of the same memory with the same level, a kdump file.  Its second bitmap has
 * a bit for each page frame that it kept; pages of zeros have one too, and share one copy of their bytes.  Ours:
 * the page bitmap in the tail room (docs/vmcore.md).  With --zero (odd levels) pages of zeros count as left out
 * on both sides: ours by their contents, theirs by that copy.
 *
 * Prints the frames that differ, and the totals.  Exit status: 0 no difference, 1 differences, 2 usage or
 * files that cannot be read.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u
#define SHOWN 20 /* differences that are printed one by one */

struct file {
	const unsigned char *at;
	uint64_t size;
};

struct segment {
	uint64_t gpa, size, off;
};

struct ours {
	struct file file;
	uint64_t head;
	uint32_t nr_segments;
	struct segment segments[8];
	const unsigned char *bitmap;
};

struct theirs {
	struct file file;
	const unsigned char *kept;
	uint64_t nr_bits;
	uint64_t descs; /* file offset of a descriptor for each kept page, in order */
	uint64_t data;  /* of the first page's bytes: the page of zeros, if zeros are left out */
};

static struct file open_file(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct file file;
	struct stat st;
	void *at;

	if (fd < 0 || fstat(fd, &st)) {
		perror(path);
		exit(2);
	}
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED) {
		perror(path);
		exit(2);
	}
	close(fd);
	file.at = at;
	file.size = (uint64_t)st.st_size;
	return file;
}

static void refuse(const char *why)
{
	fprintf(stderr, "kdump-check: %s\n", why);
	exit(2);
}

static uint64_t get(const struct file *file, uint64_t off, unsigned bytes)
{
	uint64_t value = 0;

	if (off > file->size || bytes > file->size - off)
		refuse("a file ends before its header does");
	memcpy(&value, file->at + off, bytes);
	return value;
}

/* docs/vmcore.md, "Tail room": the trailer is the start of the last page. */
static struct ours open_ours(const char *path)
{
	struct ours ours = {.file = open_file(path)};
	uint64_t trailer = ours.file.size - PAGE, bitmap;

	if (ours.file.size < 2 * PAGE || memcmp(ours.file.at + trailer, "MVMMTAIL", 8) != 0)
		refuse("the first file is no dump of minivmm's");
	ours.nr_segments = (uint32_t)get(&ours.file, trailer + 28, 4);
	ours.head = get(&ours.file, trailer + 40, 8);
	bitmap = get(&ours.file, trailer + 72, 8);
	if (ours.nr_segments > 8 || bitmap > ours.file.size)
		refuse("the trailer is damaged");
	for (uint32_t i = 0; i < ours.nr_segments; i++) {
		ours.segments[i].gpa = get(&ours.file, trailer + 112 + 24 * i, 8);
		ours.segments[i].size = get(&ours.file, trailer + 120 + 24 * i, 8);
		ours.segments[i].off = get(&ours.file, trailer + 128 + 24 * i, 8);
	}
	ours.bitmap = ours.file.at + bitmap;
	return ours;
}

/*
 * makedumpfile's IMPLEMENTATION and diskdump_mod.h: disk_dump_header in the first block, sub header in the next
 * ones, then two bitmaps: memory that exists, memory that is kept.
 */
static struct theirs open_theirs(const char *path)
{
	struct theirs theirs = {.file = open_file(path)};
	const struct file *file = &theirs.file;
	uint64_t block, sub, bitmaps;

	if (file->size < 2 * PAGE || memcmp(file->at, "KDUMP   ", 8) != 0)
		refuse("the second file is no kdump file");
	block = get(file, 428, 4);
	sub = get(file, 432, 4);
	bitmaps = get(file, 436, 4);
	theirs.nr_bits = bitmaps / 2 * block * 8;
	if (block != PAGE || (1 + sub + bitmaps) * block > file->size)
		refuse("the kdump header is not understood");
	theirs.kept = file->at + (1 + sub) * block + bitmaps / 2 * block;
	theirs.descs = (1 + sub + bitmaps) * block;
	theirs.data = theirs.descs;
	for (uint64_t i = 0; i < theirs.nr_bits / 8; i++)
		theirs.data += 24u * (unsigned)__builtin_popcount(theirs.kept[i]);
	return theirs;
}

static bool bit(const unsigned char *map, uint64_t n)
{
	return map[n / 8] >> (n % 8) & 1;
}

static bool is_zero(const unsigned char *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

int main(int argc, char **argv)
{
	bool zero = argc == 4 && !strcmp(argv[3], "--zero");
	uint64_t desc, kept = 0, pages = 0, only_ours = 0, only_theirs = 0;
	struct theirs theirs;
	struct ours ours;

	if (argc != 3 && !zero) {
		fprintf(stderr, "usage: kdump-check OURS.vmcore THEIRS [--zero]\n");
		return 2;
	}
	ours = open_ours(argv[1]);
	theirs = open_theirs(argv[2]);
	desc = theirs.descs; /* frames ascend on both sides */
	for (uint32_t i = 0; i < ours.nr_segments; i++) {
		const struct segment *seg = &ours.segments[i];

		for (uint64_t page = 0; page < seg->size / PAGE; page++) {
			uint64_t pfn = seg->gpa / PAGE + page, off = seg->off / PAGE + page;
			bool we = bit(ours.bitmap, off);
			bool they = pfn < theirs.nr_bits && bit(theirs.kept, pfn);

			if (they && get(&theirs.file, desc, 8) == theirs.data && zero)
				they = false;
			if (pfn < theirs.nr_bits && bit(theirs.kept, pfn))
				desc += 24;
			if (we && zero && is_zero(ours.file.at + ours.head + off * PAGE))
				we = false;
			pages++;
			kept += we;
			only_ours += we && !they;
			only_theirs += they && !we;
			if (we != they && only_ours + only_theirs <= SHOWN)
				printf("frame %#llx is kept by %s alone\n", (unsigned long long)pfn,
					we ? "minivmm" : "makedumpfile");
		}
	}
	printf("%llu pages, %llu kept; kept by minivmm alone %llu, by makedumpfile alone %llu\n",
		(unsigned long long)pages, (unsigned long long)kept, (unsigned long long)only_ours,
		(unsigned long long)only_theirs);
	return only_ours || only_theirs;
}
