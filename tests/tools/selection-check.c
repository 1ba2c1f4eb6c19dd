/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/tools/selection-check.c - the independent judge of what is in a dump and what is not: the page
 * bitmap, every hole, and the counts in the trailer against what the guest stub said and left behind.
 *
 * Knows nothing of the project's code, only docs/vmcore.md and docs/guest-stub.md.  The contents of filled
 * pages are vmcore-check's business.  The model of a selection:
 *
 *      list    the frames of the console's lines "stub: select"
 *      pages   by the descriptor array, which is read from the dump: reference count and no free flag; the
 *              array itself; what lies behind its last entry
 *      zero    leaves the bitmap alone, but no page of zeros is stored
 *      guest   the guest wrote the dump: the bitmap tells where there is data, no more
 *
 * Prints one line a check, "ok" or "BAD" first.  Exit status: 0 all passed, 1 one failed, 2 usage.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096ull
#define META_TYPE 0x4d4d0001u
#define META_PAGE_DESC 432u
#define SEGMENTS_MAX 8u
#define FREE_FLAG 1u
/* our choice: head, notes, bitmap, progress and trailer of a guest of some 100 MiB in 4 KiB pages */
#define SLACK (1ull << 20)

enum selector { SEL_ALL, SEL_ZERO, SEL_LIST, SEL_PAGES, SEL_NR, SEL_GUEST = 31 };
static const char *const selector_names[SEL_NR] = {"all", "zero", "list", "pages"};
enum { ROLE_DUMP = 1, STATE_COMPLETE = 4 };

struct segment {
	uint64_t gpa, bytes, off;
};

struct dump {
	int fd;
	struct stat st;
	unsigned char
		*map; /* owned: a copy of the whole file; a mapping would fill the holes that it reads */
	const unsigned char *trailer; /* in @map */
	uint64_t head, ram, bitmap, bitmap_bytes;
	struct segment segments[SEGMENTS_MAX];
	uint32_t nr_segments;
	unsigned char *listed; /* owned: one byte a page of RAM offset; the console's list */
	unsigned selectors;    /* bits of enum selector */
	unsigned distrusted;   /* those that must have kept every page, since the guest lied */
	bool restored;         /* from an LZ4 file: holes may be stored */
	unsigned failed;
};

__attribute__((format(printf, 3, 4))) static bool check(struct dump *dump, bool ok, const char *fmt, ...)
{
	va_list args;

	fputs(ok ? "ok  " : "BAD ", stdout);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	dump->failed += !ok;
	return ok;
}

static uint32_t u32_at(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t u64_at(const unsigned char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static bool asked(const struct dump *dump, unsigned selector)
{
	return dump->selectors & (1u << selector);
}

/* Asked for, and it has the truth to go by. */
static bool believed(const struct dump *dump, unsigned selector)
{
	return asked(dump, selector) && !(dump->distrusted & (1u << selector));
}

/* ---- the file --------------------------------------------------------------------------------- */

static bool read_trailer(struct dump *dump)
{
	uint64_t size = (uint64_t)dump->st.st_size;

	dump->trailer = dump->map + size - PAGE;
	if (!check(dump,
		    !memcmp(dump->trailer, "MVMMTAIL", 8) && u32_at(dump->trailer + 16) == ROLE_DUMP &&
			    u32_at(dump->trailer + 20) == STATE_COMPLETE &&
			    u64_at(dump->trailer + 32) == size,
		    "the trailer is that of a complete dump"))
		return false;
	dump->head = u64_at(dump->trailer + 40);
	dump->ram = u64_at(dump->trailer + 48);
	dump->bitmap = u64_at(dump->trailer + 72);
	dump->bitmap_bytes = u64_at(dump->trailer + 80);
	dump->nr_segments = u32_at(dump->trailer + 28);
	for (unsigned i = 0; i < dump->nr_segments && i < SEGMENTS_MAX; i++)
		memcpy(&dump->segments[i], dump->trailer + 112 + i * sizeof(struct segment),
			sizeof(struct segment));
	return check(dump,
		dump->nr_segments && dump->nr_segments <= SEGMENTS_MAX && dump->ram % PAGE == 0 &&
			dump->head + dump->ram <= size && dump->bitmap == dump->head + dump->ram &&
			dump->bitmap_bytes >= (dump->ram / PAGE + 7) / 8 &&
			dump->bitmap_bytes < size - dump->bitmap,
		"rooms, segments and the page bitmap are inside the file");
}

/* The RAM offset of a guest-physical address; -1: not RAM. */
static int64_t ram_offset(const struct dump *dump, uint64_t gpa)
{
	for (unsigned i = 0; i < dump->nr_segments; i++) {
		const struct segment *s = &dump->segments[i];

		if (gpa >= s->gpa && gpa - s->gpa < s->bytes)
			return (int64_t)(s->off + (gpa - s->gpa));
	}
	return -1;
}

/* The guest-physical address at RAM offset @off. */
static uint64_t gpa_at(const struct dump *dump, uint64_t off)
{
	unsigned i = dump->nr_segments - 1;

	while (i && dump->segments[i].off > off)
		i--;
	return dump->segments[i].gpa + (off - dump->segments[i].off);
}

/* The metadata note's address and number of page descriptors. */
static bool find_descriptors(const struct dump *dump, uint64_t *ret_gpa, uint64_t *ret_nr)
{
	Elf64_Phdr p;
	Elf64_Nhdr n;

	memcpy(&p, dump->map + sizeof(Elf64_Ehdr), sizeof(p));
	if (p.p_type != PT_NOTE || p.p_offset > dump->head || p.p_filesz > dump->head - p.p_offset)
		return false;
	for (uint64_t at = 0; at + sizeof(n) <= p.p_filesz;) {
		uint64_t desc;

		memcpy(&n, dump->map + p.p_offset + at, sizeof(n));
		desc = at + sizeof(n) + ((n.n_namesz + 3ull) & ~3ull);
		at = desc + ((n.n_descsz + 3ull) & ~3ull);
		if (at > p.p_filesz)
			return false;
		if (n.n_type != META_TYPE || n.n_descsz < META_PAGE_DESC + 16)
			continue;
		*ret_gpa = u64_at(dump->map + p.p_offset + desc + META_PAGE_DESC);
		*ret_nr = u64_at(dump->map + p.p_offset + desc + META_PAGE_DESC + 8);
		return true;
	}
	return false;
}

/* ---- the model -------------------------------------------------------------------------------- */

/* Marks the frames of the lines "stub: select" that @generation printed. */
static bool read_list(struct dump *dump, const char *path, unsigned generation)
{
	unsigned now = generation;
	unsigned long long first, last;
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;

	if (!file)
		return false;
	while (getline(&line, &room, file) >= 0) {
		const char *banner = strstr(line, "stub: minivmm guest-stub "),
			   *select = strstr(line, "stub: select pfn=");

		if (banner && (banner = strstr(banner, "generation ")))
			sscanf(banner, "generation %u", &now);
		if (now != generation || !select ||
			sscanf(select, "stub: select pfn=%llu-%llu", &first, &last) != 2)
			continue;
		for (uint64_t pfn = first; pfn <= last; pfn++) {
			int64_t off = ram_offset(dump, pfn * PAGE);

			if (off >= 0)
				dump->listed[(uint64_t)off / PAGE] = 1;
		}
	}
	free(line);
	fclose(file);
	return true;
}

/* What "pages" keeps. */
struct descriptors {
	const unsigned char *array; /* in the dump */
	uint64_t gpa, nr;
};

static bool find_array(struct dump *dump, struct descriptors *ret)
{
	int64_t off;

	if (!find_descriptors(dump, &ret->gpa, &ret->nr))
		return check(dump, false, "the metadata name the page descriptors");
	off = ram_offset(dump, ret->gpa);
	if (!check(dump,
		    ret->nr && off >= 0 && ret->nr <= dump->ram / 8 &&
			    ram_offset(dump, ret->gpa + 8 * ret->nr - 1) ==
				    off + (int64_t)(8 * ret->nr) - 1,
		    "%llu page descriptors lie in RAM", (unsigned long long)ret->nr))
		return false;
	ret->array = dump->map + dump->head + (uint64_t)off;
	return true;
}

static bool kept_by_pages(const struct descriptors *desc, uint64_t gpa)
{
	uint64_t pfn = gpa / PAGE;

	if (pfn >= desc->nr)
		return true;
	if (gpa + PAGE > desc->gpa && gpa < desc->gpa + 8 * desc->nr)
		return true;
	return u32_at(desc->array + 8 * pfn) && !(u32_at(desc->array + 8 * pfn + 4) & FREE_FLAG);
}

/* What is counted over all pages of RAM. */
struct tally {
	uint64_t kept, not_zero;   /* pages */
	uint64_t wrong_bit, first; /* the bitmap is not the model; the first such frame */
	uint64_t stored;           /* pages out of the selection that take memory */
	uint64_t zeros;            /* pages of zeros that are stored though "zero" was asked for */
	uint64_t kept_holes;
};

static bool is_zero(const unsigned char *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

/* Fills @data: one byte a page, 1 = the file has memory there.  Looks before anything is read. */
static void find_data(const struct dump *dump, unsigned char *data)
{
	uint64_t at = dump->head, end = dump->head + dump->ram;

	while (at < end) {
		off_t from = lseek(dump->fd, (off_t)at, SEEK_DATA);
		off_t to = from < 0 ? -1 : lseek(dump->fd, from, SEEK_HOLE);

		if (from < 0 || to < 0 || (uint64_t)from >= end)
			return;
		at = (uint64_t)to;
		for (uint64_t off = (uint64_t)from / PAGE * PAGE; off < at && off < end; off += PAGE)
			data[(off - dump->head) / PAGE] = 1;
	}
}

static void tally_page(struct dump *dump, struct tally *tally, const struct descriptors *desc,
	const unsigned char *data, uint64_t page)
{
	uint64_t gpa = gpa_at(dump, page * PAGE);
	bool bit = dump->map[dump->bitmap + page / 8] >> page % 8 & 1, keep = true, zero = true;

	if (believed(dump, SEL_LIST))
		keep = dump->listed[page];
	if (believed(dump, SEL_PAGES))
		keep = keep && kept_by_pages(desc, gpa);
	if (asked(dump, SEL_GUEST))
		keep = data[page];
	if (bit != keep && !tally->wrong_bit++)
		tally->first = gpa / PAGE;
	if (data[page])
		zero = is_zero(dump->map + dump->head + page * PAGE);
	tally->kept += keep;
	tally->not_zero += keep && !zero;
	tally->kept_holes += keep && !data[page];
	tally->stored += !keep && (dump->restored ? !zero : data[page]);
	tally->zeros += keep && data[page] && zero;
}

static void check_counts(struct dump *dump, const struct tally *tally)
{
	uint64_t pages = dump->ram / PAGE;
	uint64_t by_list = u64_at(dump->trailer + 408 + 8 * SEL_LIST);
	uint64_t by_pages = u64_at(dump->trailer + 408 + 8 * SEL_PAGES);
	uint64_t by_zero = u64_at(dump->trailer + 408 + 8 * SEL_ZERO);

	check(dump, u32_at(dump->trailer + 400) == dump->selectors,
		"the trailer names these selectors (%#x)", u32_at(dump->trailer + 400));
	check(dump, u32_at(dump->trailer + 404) == dump->distrusted,
		"the right selectors did not believe the guest (%#x)", u32_at(dump->trailer + 404));
	check(dump, by_list + by_pages == pages - tally->kept,
		"%llu + %llu pages were excluded by list and by pages, %llu are out of the selection",
		(unsigned long long)by_list, (unsigned long long)by_pages,
		(unsigned long long)(pages - tally->kept));
	check(dump, believed(dump, SEL_LIST) || !by_list, "list counts only what it can");
	check(dump, believed(dump, SEL_PAGES) || !by_pages, "pages counts only what it can");
	check(dump, asked(dump, SEL_ZERO) ? by_zero <= tally->kept - tally->not_zero : !by_zero,
		"zero excluded %llu pages, %llu selected ones are zeros", (unsigned long long)by_zero,
		(unsigned long long)(tally->kept - tally->not_zero));
}

static void judge(struct dump *dump, const struct tally *tally)
{
	uint64_t pages = dump->ram / PAGE, bytes = (uint64_t)dump->st.st_blocks * 512, past = 0;
	uint64_t most = (asked(dump, SEL_ZERO) ? tally->not_zero : tally->kept) * PAGE + SLACK;

	check(dump, !tally->wrong_bit,
		"the page bitmap is the selection (%llu of %llu pages kept; %llu differ, "
		"the first is frame %llu)",
		(unsigned long long)tally->kept, (unsigned long long)pages,
		(unsigned long long)tally->wrong_bit, (unsigned long long)tally->first);
	for (uint64_t page = pages; page < dump->bitmap_bytes * 8; page++)
		past += dump->map[dump->bitmap + page / 8] >> page % 8 & 1;
	check(dump, !past, "no bit is set past the last page");
	check(dump, !tally->stored, "what is out of the selection is %s (%llu pages are not)",
		dump->restored ? "zero" : "a hole", (unsigned long long)tally->stored);
	if (!asked(dump, SEL_GUEST))
		check_counts(dump, tally);
	if (dump->restored)
		return;
	check(dump, !asked(dump, SEL_ZERO) || !tally->zeros, "no page of zeros is stored (%llu)",
		(unsigned long long)tally->zeros);
	check(dump, bytes <= most, "the dump takes %llu bytes, the selection at most %llu",
		(unsigned long long)bytes, (unsigned long long)most);
}

/* ---- what is asked ---------------------------------------------------------------------------- */

static bool parse_select(char *text, unsigned *ret)
{
	char *save = NULL;

	if (!strcmp(text, "guest")) {
		*ret = 1u << SEL_GUEST;
		return true;
	}
	for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		unsigned i = 0;

		while (i < SEL_NR && strcmp(word, selector_names[i]))
			i++;
		if (i == SEL_NR)
			return false;
		*ret |= 1u << i;
	}
	return *ret;
}

static int usage(void)
{
	fputs("usage: selection-check --select all|guest|zero,list,pages [--console LOG [--generation N]]\n"
	      "                       [--distrusted LIST] [--restored] FILE\n"
	      "--distrusted: those of the selectors that could not believe the guest.\n"
	      "--console is needed for list.  --restored: FILE comes out of lz4, holes may be stored.\n",
		stderr);
	return 2;
}

/* Reads [@from, @to), which has no hole in it. */
static bool copy_in(struct dump *dump, off_t from, off_t to)
{
	while (from < to) {
		ssize_t n = pread(dump->fd, dump->map + from, (size_t)(to - from), from);

		if (n <= 0)
			return false;
		from += n;
	}
	return true;
}

static bool open_dump(struct dump *dump, const char *path)
{
	off_t at = 0;

	dump->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (dump->fd < 0 || fstat(dump->fd, &dump->st) || (uint64_t)dump->st.st_size < 2 * PAGE)
		return false;
	dump->map = calloc(1, (size_t)dump->st.st_size);
	while (dump->map && (at = lseek(dump->fd, at, SEEK_DATA)) >= 0) {
		off_t end = lseek(dump->fd, at, SEEK_HOLE);

		if (end < 0 || !copy_in(dump, at, end))
			return false;
		at = end;
	}
	return dump->map && errno == ENXIO;
}

static void run_checks(struct dump *dump, const char *console, unsigned generation)
{
	struct descriptors desc = {0};
	struct tally tally = {0};
	unsigned char *data;

	if (!read_trailer(dump))
		return;
	data = calloc(dump->ram / PAGE, 1);
	dump->listed = calloc(dump->ram / PAGE, 1);
	if (!check(dump, data && dump->listed, "memory for the model"))
		return;
	find_data(dump, data);
	if (believed(dump, SEL_LIST) &&
		!check(dump, console && read_list(dump, console, generation), "the console can be read"))
		return;
	if (believed(dump, SEL_PAGES) && !find_array(dump, &desc))
		return;
	for (uint64_t page = 0; page < dump->ram / PAGE; page++)
		tally_page(dump, &tally, &desc, data, page);
	judge(dump, &tally);
	free(data);
	free(dump->listed);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"select", required_argument, NULL, 's'},
		{"distrusted", required_argument, NULL, 'd'},
		{"console", required_argument, NULL, 'l'},
		{"generation", required_argument, NULL, 'g'},
		{"restored", no_argument, NULL, 'r'},
		{NULL, 0, NULL, 0},
	};
	const char *console = NULL;
	struct dump dump = {.fd = -1};
	unsigned generation = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 's' && !parse_select(optarg, &dump.selectors))
			return usage();
		if (c == 'd' && !parse_select(optarg, &dump.distrusted))
			return usage();
		if (c == 'l')
			console = optarg;
		if (c == 'g')
			generation = (unsigned)strtoul(optarg, NULL, 10);
		if (c == 'r')
			dump.restored = true;
		if (c == '?')
			return usage();
	}
	if (!dump.selectors || optind + 1 != argc)
		return usage();
	if (!open_dump(&dump, argv[optind])) {
		fprintf(stderr, "selection-check: %s: %s\n", argv[optind], strerror(errno));
		return 1;
	}
	run_checks(&dump, console, generation);
	free(dump.map);
	close(dump.fd);
	return dump.failed ? 1 : 0;
}
