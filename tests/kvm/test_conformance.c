/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_conformance.c - every strategy, selector and format is held to one contract: each page
 * of the selection is in the dump as the guest left it, every other one is a hole, registers are right, the
 * counts are those that the guest's own words predict, and the dump is no larger than it must be.
 *
 * The table has one row for each combination that makes sense; a second one has those that do not.
 * CONFORMANCE_SCALE multiplies the guests' memory (`make check-long`: 4).
 */
#include "tests/kvm/judges.h"
#include "tests/kvm/suites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE 4096ull
#define FILL "fill=pattern:20,text:20,zero:15,freed:15 "
#define LIST FILL "select=pattern,text"
/* our choice: what a stub touches besides its fills, each touch costing a huge page; with head and tail */
#define OVERHEAD (32 * MIB)

struct combination {
	const char *strategy, *select, *compress;
	const char *absent;  /* kinds of fill that are out of the selection; NULL = none */
	const char *cmdline; /* NULL = FILL */
	const char *more;    /* lines of [dump] */
};

/* clang-format off: a table reads better as one */
static const struct combination table[] = {
	{"vmapp", "all", "none", NULL, NULL, NULL},
	{"vmapp", "zero", "none", "zero", NULL, NULL},
	{"vmapp", "pages", "none", "freed", NULL, NULL},
	{"vmapp", "list", "none", "zero,freed", LIST, NULL},
	{"vmapp", "zero,pages", "none", "zero,freed", NULL, NULL},
	{"vmapp", "zero,list", "none", "zero,freed", LIST, NULL},
	{"vmapp", "list,pages", "none", "zero,freed", LIST, NULL},
	{"vmapp", "zero,list,pages", "none", "zero,freed", LIST, NULL},
	{"vmapp", "list,pages", "none", "pattern,text,freed", FILL "select=zero,freed", NULL},
	{"vmapp", "list", "none", "pattern,text", FILL "select=zero,freed", NULL},
	{"vmapp", "pages", "none", "freed", NULL, "order = descending"},
	{"vmapp", "zero,pages", "none", "zero,freed", NULL, "chunk = 64K\nworkers = 3"},
	{"vmapp", "all", "lz4", NULL, NULL, NULL},
	{"vmapp", "zero", "lz4", "zero", NULL, NULL},
	{"vmapp", "pages", "lz4", "freed", NULL, NULL},
	{"vmapp", "list", "lz4", "zero,freed", LIST, NULL},
	{"vmapp", "zero,pages", "lz4", "zero,freed", NULL, NULL},
	{"vmapp", "zero,list", "lz4", "zero,freed", LIST, NULL},
	{"vmapp", "list,pages", "lz4", "zero,freed", LIST, NULL},
	{"vmapp", "zero,list,pages", "lz4", "zero,freed", LIST, NULL},
	{"vmapp", "all", "lz4", NULL, NULL, "compress_level = 65537"},
	{"vmapp", "pages", "lz4", "freed", NULL, "chunk = 64K\nworkers = 4"},
	{"vmapp", "zero", "lz4", "zero", NULL, "chunk = 4M\nworkers = 1"},
	{"vmapp", "zero", "lz4", "zero", NULL, "virtual = yes"},
	{"remap", "all", "none", NULL, NULL, NULL},
	{"remap", "all", "none", NULL, NULL, "virtual = yes"},
	{"remap", "zero", "none", "zero", NULL, NULL},
	{"remap", "pages", "none", "freed", NULL, NULL},
	{"remap", "list", "none", "zero,freed", LIST, NULL},
	{"remap", "zero,pages", "none", "zero,freed", NULL, NULL},
	{"remap", "zero,list", "none", "zero,freed", LIST, NULL},
	{"remap", "list,pages", "none", "zero,freed", LIST, NULL},
	{"remap", "zero,list,pages", "none", "zero,freed", LIST, NULL},
	{"hybrid", "all", "none", NULL, NULL, NULL},
	{"hybrid", "zero", "none", "zero", NULL, NULL},
	{"hybrid", "pages", "none", "freed", NULL, NULL},
	{"hybrid", "list", "none", "zero,freed", LIST, NULL},
	{"hybrid", "zero,pages", "none", "zero,freed", NULL, NULL},
	{"hybrid", "zero,list", "none", "zero,freed", LIST, NULL},
	{"hybrid", "list,pages", "none", "zero,freed", LIST, NULL},
	{"hybrid", "zero,list,pages", "none", "zero,freed", LIST, NULL},
	{"hypercall", "all", "none", NULL, NULL, NULL},
	{"hypercall", "all", "none", "freed", FILL "dump=used", NULL},
	{"hypercall", "all", "none", NULL, FILL "release=1", NULL},
	{"hypercall", "all", "none", "freed", FILL "dump=used release=1 streams=1 piece=64", NULL},
	{"addmem", "all", "none", NULL, NULL, NULL},
	{"addmem", "all", "none", "freed", FILL "dump=used", NULL},
	{"addmem", "all", "none", NULL, FILL "areas=1 piece=64", NULL},
};
/* clang-format on */
#define NR_TABLE ((int)(sizeof(table) / sizeof(table[0])))

static const struct {
	unsigned vcpus, memory; /* MiB */
} sizes[] = {{1, 64}, {2, 96}, {4, 128}};
#define NR_SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

static bool guest_dumps(const struct combination *c)
{
	return !strcmp(c->strategy, "hypercall") || !strcmp(c->strategy, "addmem");
}

static bool has_word(const char *list, const char *word)
{
	return list && strstr(list, word); /* no name is part of another one */
}

/* The number behind "@key": in "minivmm dump info --json"; -1 if it is not there. */
static long long json_number(const char *json, const char *key)
{
	char quoted[64];
	const char *at;

	snprintf(quoted, sizeof(quoted), "\"%s\": ", key);
	at = strstr(json, quoted);
	return at && at[strlen(quoted)] != '"' ? strtoll(at + strlen(quoted), NULL, 10) : -1;
}

/* Frames of all kinds of fill that @kinds names; NULL: of all kinds. */
static uint64_t filled(const struct run *run, const char *kinds)
{
	static const char *const all[] = {"pattern", "text", "zero", "freed"};
	uint64_t frames = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!kinds || has_word(kinds, all[i]))
			frames += frames_said(run, "fill", all[i]);
	return frames;
}

/* The line of "minivmm run" about a selector is there, and right. */
static void check_line(struct run *run, const char *selector, long long count)
{
	static char err[1 << 16];
	char line[128];

	read_file(run->err, err, sizeof(err));
	snprintf(line, sizeof(line), "%lld pages excluded by selector %s\n", count, selector);
	run_assert(run, !!strstr(err, line) == (count > 0), "'%s' is %s", line,
		count > 0 ? "missing" : "there, though nothing was excluded");
}

/* What minivmm tells of the pages, against what the guest's lines predict. */
static void check_counts(struct run *run, const struct combination *c, const char *path)
{
	static struct output output;
	long long total, zero, list, pages, listed = (long long)frames_said(run, "select", NULL);
	long long freed = (long long)filled(run, "freed"), zeros = (long long)filled(run, "zero");
	const char *json;

	run_minivmm(run, &output, "dump", "info", "--json", path, NULL);
	json = strstr(output.out, "\"pages\": {");
	run_assert(run, !output.code && json && strstr(output.out, "\"state\": \"complete\""),
		"dump info: %.1000s%.300s", output.out, output.err);
	total = json_number(json, "total");
	run_assert(run, !json_number(json, "pending") && !json_number(json, "missing"), "%.400s", json);
	json = strstr(json, "\"excluded_by\": {");
	run_assert(run, json, "dump info tells of no selectors: %.1000s", output.out);
	zero = json_number(json, "zero");
	list = json_number(json, "list");
	pages = json_number(json, "pages");
	run_assert(run,
		(zero >= 0) == has_word(c->select, "zero") && (list >= 0) == has_word(c->select, "list") &&
			(pages >= 0) == has_word(c->select, "pages"),
		"counts of other selectors than %s: %.300s", c->select, json);
	if (zero >= 0)
		run_assert(
			run, list >= 0 || zero >= zeros, "zero excluded %lld pages of %lld", zero, zeros);
	if (list >= 0)
		run_assert(run, list == total - listed,
			"list excluded %lld pages, %lld of %lld were listed", list, listed, total);
	if (pages >= 0 && list >= 0)
		run_assert(run, pages == (has_word(c->cmdline, "select=zero,freed") ? freed : 0),
			"pages excluded %lld of what was listed", pages);
	else if (pages >= 0)
		run_assert(run,
			pages >= freed && pages <= total - (long long)filled(run, "pattern,text,zero"),
			"pages excluded %lld pages of %lld, %lld were freed", pages, total, freed);
	check_line(run, "zero", zero);
	check_line(run, "list", list);
	check_line(run, "pages", pages);
}

/* The dump is as large as what is in it, and what it took was given back. */
static void check_amounts(struct run *run, const struct combination *c, const char *path)
{
	const char *done = run_event(run, "dump-done", 0);
	uint64_t dumped = run_u64(run, done, "dumped"), released = run_u64(run, done, "released");
	uint64_t all = filled(run, NULL) * PAGE, in = all - (c->absent ? filled(run, c->absent) * PAGE : 0);
	uint64_t least = is_lz4(path) ? filled(run, "pattern") * PAGE : in, bytes;
	struct stat st;

	if (is_lz4(path) && has_word(c->absent, "pattern"))
		least = 0;
	ck_assert_int_eq(stat(path, &st), 0);
	bytes = (uint64_t)st.st_blocks * 512; /* its unit */
	run_assert(run, (st.st_mode & 07777) == 0600, "mode %o", st.st_mode & 07777);
	run_assert(run, bytes == run_u64(run, done, "file_bytes"), "%llu bytes, the event says %s",
		(unsigned long long)bytes, done);
	run_assert(run, bytes >= least && bytes <= in + OVERHEAD,
		"the dump takes %llu bytes, %llu are in it", (unsigned long long)bytes,
		(unsigned long long)in);
	run_assert(run, dumped >= in && dumped <= in + OVERHEAD, "%llu bytes dumped of %llu",
		(unsigned long long)dumped, (unsigned long long)in);
	if (!strcmp(c->strategy, "remap") || !strcmp(c->strategy, "hybrid"))
		all -= in; /* the rest stays where it is, in the dump */
	if (has_word(c->cmdline, "release=1"))
		all /= 2; /* other vCPUs may touch memory during a release, which hides some of it */
	run_assert(run, released >= all && released <= filled(run, NULL) * PAGE + OVERHEAD,
		"%llu bytes released of %llu", (unsigned long long)released, (unsigned long long)all);
}

static void conform(const struct combination *c, unsigned vcpus, unsigned memory, const char *dir)
{
	char cmdline[256], more[256], path[512];
	struct run run;

	snprintf(cmdline, sizeof(cmdline), "scenario=null-deref %s", c->cmdline ? c->cmdline : FILL);
	snprintf(more, sizeof(more), "[dump]\nstrategy = %s\nselect = %s\ncompress = %s\n%s", c->strategy,
		c->select, c->compress, c->more ? c->more : "");
	run_start(&run, &(struct guest){.cmdline = cmdline,
				.recovery = "scenario=ready-poweroff",
				.memory = memory * env_number("CONFORMANCE_SCALE", 1),
				.vcpus = vcpus,
				.dir = dir,
				.more = more});
	run_ends(&run, CODE_OK);
	run_count(&run, "dump-done", 1);
	run_event(&run, "ready", 1);
	find_final(&run, 0, path, sizeof(path));
	run_assert(&run, is_lz4(path) == !strcmp(c->compress, "lz4"), "%s of compress = %s", path,
		c->compress);
	judge_dump(&run, path,
		&(struct claim){.select = guest_dumps(c) ? "guest" : c->select, .absent = c->absent});
	if (!guest_dumps(c))
		check_counts(&run, c, path);
	check_amounts(&run, c, path);
	run_assert(&run, !run_files(&run, ".partial", NULL, 0), "names of an unfinished dump are left");
	run_finish(&run);
}

/* Says so and is false if this build cannot do it (yet). */
static bool offered(const struct combination *c, const char *test)
{
	char reason[64];
	struct run run;
	bool yes;

	run_prepare(&run);
	yes = has_strategy(&run, c->strategy);
	run_finish(&run);
	snprintf(reason, sizeof(reason), "this minivmm has no strategy %s", c->strategy);
	if (!yes)
		print_skip(test, reason);
	return yes;
}

START_TEST(a_dump_holds_all_of_its_selection_and_nothing_else)
{
	const struct combination *c = &table[_i / NR_SIZES];

	NEEDS_KVM();
	if (offered(c, __func__))
		conform(c, sizes[_i % NR_SIZES].vcpus, sizes[_i % NR_SIZES].memory, NULL);
}
END_TEST

START_TEST(with_small_pages_a_dump_holds_all_of_its_selection_and_nothing_else)
{
	char dir[256];

	NEEDS_KVM();
	if (!offered(&table[_i], __func__))
		return;
	if (!private_tmpfs(dir, sizeof(dir), "huge=never")) {
		print_skip(__func__, "this user may not mount a tmpfs");
		return;
	}
	conform(&table[_i], 2, 64, dir);
}
END_TEST

/* ---- what makes no sense ------------------------------------------------------------------------ */

/* Refused with a message that names both keys. */
static const struct {
	const char *sets[SETS_MAX];
	const char *keys[2];
} nonsense[] = {
	{{"dump.compress=lz4", "dump.strategy=remap"}, {"compress", "strategy"}},
	{{"dump.compress=lz4", "dump.strategy=hybrid"}, {"compress", "strategy"}},
	{{"dump.compress=lz4", "dump.strategy=hypercall"}, {"compress", "strategy"}},
	{{"dump.compress=lz4", "dump.strategy=addmem"}, {"compress", "strategy"}},
	{{"dump.compress=lz4", "dump.chunk=8M"}, {"compress", "chunk"}},
	{{"dump.compress=lz4", "dump.order=descending"}, {"compress", "order"}},
	{{"dump.strategy=hypercall", "dump.select=zero"}, {"select", "strategy"}},
	{{"dump.strategy=hypercall", "dump.select=list"}, {"select", "strategy"}},
	{{"dump.strategy=hypercall", "dump.select=pages"}, {"select", "strategy"}},
	{{"dump.strategy=hypercall", "dump.select=zero,pages"}, {"select", "strategy"}},
	{{"dump.strategy=addmem", "dump.select=zero"}, {"select", "strategy"}},
	{{"dump.strategy=addmem", "dump.select=list"}, {"select", "strategy"}},
	{{"dump.strategy=addmem", "dump.select=pages"}, {"select", "strategy"}},
	{{"dump.strategy=addmem", "dump.select=zero,list,pages"}, {"select", "strategy"}},
	/* within one key */
	{{"dump.select="}, {"select", "all"}},
	{{"dump.select=zero,"}, {"select", "all"}},
	{{"dump.select=freed"}, {"select", "pages"}},
	{{"dump.strategy=copy"}, {"strategy", "vmapp"}},
	{{"dump.compress=gzip"}, {"compress", "lz4"}},
};
#define NR_NONSENSE ((int)(sizeof(nonsense) / sizeof(nonsense[0])))

START_TEST(a_combination_that_makes_no_sense_is_refused_with_a_reason_that_names_both_keys)
{
	struct run run;
	char err[2048];
	int code;

	run_prepare(&run);
	code = check_config(&run, nonsense[_i].sets, err, sizeof(err));
	run_assert(&run, code == CODE_CONFIG, "minivmm check ended with %d: %s", code, err);
	for (int i = 0; i < 2; i++)
		run_assert(&run, strstr(err, nonsense[_i].keys[i]), "no word of '%s': %s",
			nonsense[_i].keys[i], err);
	run_finish(&run);
}
END_TEST

START_TEST(every_combination_of_the_table_is_accepted_by_check)
{
	char strategy[64], select[64], compress[64], err[2048];
	const struct combination *c = &table[_i];
	struct run run;
	int code;

	if (!offered(c, __func__))
		return;
	run_prepare(&run);
	snprintf(strategy, sizeof(strategy), "dump.strategy=%s", c->strategy);
	snprintf(select, sizeof(select), "dump.select=%s", c->select);
	snprintf(compress, sizeof(compress), "dump.compress=%s", c->compress);
	code = check_config(
		&run, (const char *const[]){strategy, select, compress, NULL}, err, sizeof(err));
	run_assert(&run, code == CODE_OK, "minivmm check ended with %d: %s", code, err);
	run_finish(&run);
}
END_TEST

Suite *suite_conformance(void)
{
	Suite *suite = suite_create("conformance");
	TCase *tcase = run_tcase(suite, "combinations");

	tcase_add_loop_test(
		tcase, a_dump_holds_all_of_its_selection_and_nothing_else, 0, NR_TABLE * NR_SIZES);
	tcase_add_loop_test(
		tcase, with_small_pages_a_dump_holds_all_of_its_selection_and_nothing_else, 0, NR_TABLE);

	tcase = run_tcase(suite, "refusals");
	tcase_add_loop_test(tcase,
		a_combination_that_makes_no_sense_is_refused_with_a_reason_that_names_both_keys, 0,
		NR_NONSENSE);
	tcase_add_loop_test(tcase, every_combination_of_the_table_is_accepted_by_check, 0, NR_TABLE);
	return suite;
}
