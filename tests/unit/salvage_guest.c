/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/salvage_guest.c - see salvage_guest.h */
#include "tests/unit/salvage_guest.h"

#include "dump/read/reader.h"
#include "dump/record/choices.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

const struct salvage_way salvage_ways[] = {
	{"vmapp", "none", "all", false},
	{"vmapp", "none", "zero", false},
	{"vmapp", "lz4", "zero", false},
	{"remap", "none", "zero", false},
	{"hybrid", "none", "zero", false},
	{"vmapp", "none", "all", true},
	{"vmapp", "none", "zero", true},
	{"vmapp", "lz4", "all", true},
};
const int nr_salvage_ways = ARRAY_LEN(salvage_ways);

static void set_options(struct dump_fixture *f, const struct salvage_way *way)
{
	struct dump_options *options = &f->record->options;

	while (strcmp(dump_strategies[options->strategy].name, way->strategy))
		options->strategy++;
	while (strcmp(dump_sinks[options->sink].name, way->sink))
		options->sink++;
	options->chunk = GUEST_CHUNK_PAGES * PAGE_SIZE_4K;
	options->selectors = strcmp(way->select, "zero") ? 1 : 2;
}

void guest_init(struct salvage_guest *g, const struct salvage_way *way)
{
	*g = (struct salvage_guest){.disk.fd = -1};
	fixture_init(&g->f, GUEST_PAGES * PAGE_SIZE_4K, MIB(1), 1);
	fixture_fill(&g->f, 0, GUEST_PAGES / 4, GUEST_SEED);
	fixture_fill(&g->f, GUEST_PAGES / 2, GUEST_PAGES / 2, GUEST_SEED);
	set_options(&g->f, way);
	g->dir = g->f.dir;
	g->dir_fd = g->f.dir_fd;
	if (way->on_disk) {
		place_init(&g->disk, NULL);
		g->dir = g->disk.path;
		g->dir_fd = g->disk.fd;
	}
	ck_assert_int_eq(dump_engine_announce(g->f.record, g->f.region_fd, g->f.dir_fd, -1, -1), 0);
}

void guest_fini(struct salvage_guest *g)
{
	if (g->disk.fd >= 0)
		place_fini(&g->disk);
	fixture_fini(&g->f);
}

bool guest_has(const struct salvage_guest *g, const char *name)
{
	return !faccessat(g->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static unsigned calls, call_nth;
static int call_error;

static int at_call(enum io_call call, size_t *len)
{
	(void)call;
	(void)len;
	if (++calls != call_nth)
		return 0;
	if (!call_error)
		_exit(9);
	return call_error;
}

static void arm(unsigned nth, int error)
{
	calls = 0;
	call_nth = nth;
	call_error = error;
	io_test_hook = at_call;
}

/* True if the process got to the call. */
static bool wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "signal %d", WTERMSIG(status));
	ck_assert(!WEXITSTATUS(status) || WEXITSTATUS(status) == 9);
	return WEXITSTATUS(status) == 9;
}

bool guest_dump(struct salvage_guest *g, unsigned nth)
{
	pid_t pid = fork();
	bool got_there;

	if (!pid) {
		struct dump_engine engine = fixture_engine(&g->f);

		engine.proc_fd = publish_proc_open(); /* of this process */
		engine.dir_fd = g->dir_fd;
		arm(nth, 0);
		if (dump_engine_run(&engine))
			fprintf(stderr, "%s\n", engine.why);
		_exit(0);
	}
	got_there = wait_for(pid);
	close(g->f.region_fd); /* with its lock */
	g->f.region_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return got_there;
}

int guest_salvage(struct salvage_guest *g, bool by_dump, struct salvage_request more,
	struct salvage_result *ret, char why[256])
{
	char path[160], region[160];
	const char *dump = guest_has(g, GUEST_LZ4) ? GUEST_LZ4 : GUEST_DUMP;
	bool apart = g->disk.fd >= 0 && (by_dump || guest_has(g, dump));

	snprintf(region, sizeof(region), "%s/%s", g->f.dir, GUEST_REGION);
	snprintf(path, sizeof(path), "%s/%s", g->dir, by_dump || apart ? dump : GUEST_REGION);
	/* a region whose dump has not begun, or has its final name, on another file system */
	more.path = g->disk.fd >= 0 && !apart ? region : path;
	more.region_path = apart ? region : NULL;
	return dump_salvage(&more, ret, why, 256);
}

bool guest_salvage_killed(struct salvage_guest *g, bool by_dump, unsigned nth, int error)
{
	pid_t pid = fork();

	if (!pid) {
		struct salvage_result result = {0};
		char why[256];
		int r;

		arm(nth, error);
		r = guest_salvage(g, by_dump, (struct salvage_request){0}, &result, why);
		io_test_hook = NULL;
		if (r && !why[0])
			_exit(1);
		_exit(r ? 9 : 0);
	}
	return wait_for(pid);
}

static void check_ram(struct salvage_guest *g, struct reader *reader, const char *what)
{
	static const unsigned char zeros[PAGE_SIZE_4K];
	unsigned char want[PAGE_SIZE_4K], got[PAGE_SIZE_4K];

	for (uint64_t page = 0; page < GUEST_PAGES; page++) {
		bool filled = page < GUEST_PAGES / 4 || page >= GUEST_PAGES / 2;

		fixture_page(page, GUEST_SEED, want);
		if (reader_read_image(reader, g->f.layout.head + page * PAGE_SIZE_4K, got, sizeof(got)) ||
			memcmp(got, filled ? want : zeros, sizeof(got)))
			ck_abort_msg("%s: page %u is wrong", what, (unsigned)page);
	}
}

void guest_check_file(struct salvage_guest *g, const char *name, const char *what)
{
	struct reader_counts counts;
	struct reader *reader;
	char why[256];
	int fd = openat(g->dir_fd, name, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: there is no %s", what, name);
	ck_assert_msg(!reader_open_fds(fd, -1, &reader, why, sizeof(why)), "%s: %s: %s", what, name, why);
	ck_assert_msg(reader->kind == READER_COMPLETE && !reader->damage[0], "%s: %s is not complete: %s",
		what, name, reader->damage);
	ck_assert_int_eq(reader_count(reader, &counts), 0);
	ck_assert_uint_eq(counts.missing + counts.pending, 0);
	ck_assert(counts.dumped >= GUEST_PAGES / 4 * 3);
	check_ram(g, reader, what);
	reader_close(reader);
}

void guest_check(struct salvage_guest *g, const char *what)
{
	/* an uncompressed dump that became complete before a salvage could see it is where the engine put it */
	const char *name = guest_has(g, GUEST_LZ4_FINAL) ? GUEST_LZ4_FINAL : GUEST_FINAL;
	bool in_region_dir = g->disk.fd >= 0 && fixture_exists(&g->f, GUEST_FINAL);
	struct salvage_guest there = *g;

	if (in_region_dir) {
		there.dir_fd = g->f.dir_fd;
		there.disk.fd = -1;
	}
	guest_check_file(&there, in_region_dir ? GUEST_FINAL : name, what);
	ck_assert_msg(fixture_nr_files(&g->f) + (g->disk.fd >= 0 ? place_nr_files(&g->disk) : 0) == 1,
		"%s: files are left", what);
}
