/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_lies.c - guests that lie to minivmm while they die: every scenario lie-* of the stub, with
 * the selectors and strategies that its lie is about.
 *
 * Whatever the lie, minivmm survives it, recovers the guest, and the dump is complete within bounded
 * time.  A selector that was lied to keeps every page and says why.  The stub checks every status itself.
 */
#include "tests/kvm/judges.h"
#include "tests/kvm/suites.h"

#include <stdio.h>
#include <string.h>

#define EVERY_KIND "pattern,text,zero,freed"
/* our choice: a hundred times what these dumps take on an idle machine, for a busy one */
#define DUMP_LIMIT_NS (20 * NSEC_PER_SEC)

/* How a dump is made. */
struct way {
	const char *strategy, *compress;
};
static const struct way ways[] = {
	{"vmapp", "none"}, {"vmapp", "lz4"}, {"remap", "none"}, {"hybrid", "none"}};
#define NR_WAYS ((int)(sizeof(ways) / sizeof(ways[0])))

/* Lies to selectors. */
struct lie {
	const char *scenario, *select;
	const char *distrusted; /* selectors that notice; NULL = it cannot be noticed */
	const char *why;        /* what minivmm then says */
	const char *absent;     /* kinds that are left out all the same */
	const char *any;        /* kinds of which nobody can know */
};

static const struct lie lies[] = {
	{"lie-list-loop", "list", "list", "more work than memory has pages", NULL, NULL},
	{"lie-list-range", "list", "list", "outside RAM", NULL, NULL},
	{"lie-list-overlap", "list", "list", "more work than memory has pages", NULL, NULL},
	{"lie-list-huge", "list", "list", "more work than memory has pages", NULL, NULL},
	{"lie-list-count", "list", "list", "list", NULL, NULL},
	{"lie-list-loop", "zero,list,pages", "list", "more work than memory has pages", "zero,freed", NULL},
	{"lie-pages-range", "pages", "pages", "page descriptors are outside RAM", NULL, NULL},
	{"lie-pages-count", "pages", "pages", "page descriptors are outside RAM", NULL, NULL},
	{"lie-pages-count", "zero,pages", "pages", "page descriptors are outside RAM", "zero", NULL},
	{"lie-pages-garbage", "pages", NULL, NULL, NULL, EVERY_KIND},
};
#define NR_LIES ((int)(sizeof(lies) / sizeof(lies[0])))

/* Lies in the panic call and in firmware calls. */
static const struct {
	const char *scenario, *strategy, *select;
	const char *any; /* kinds of which nobody can know */
} calls[] = {
	{"lie-string", "vmapp", "all", NULL},
	{"lie-string", "hypercall", "all", NULL},
	{"lie-regs", "vmapp", "all", NULL},
	{"lie-regs", "addmem", "all", NULL},
	{"lie-block", "vmapp", "all", NULL},
	{"lie-block", "hypercall", "all", NULL},
	{"lie-block", "addmem", "all", NULL},
	{"lie-calls", "vmapp", "all", NULL},
	{"lie-calls", "remap", "all", NULL},
	{"lie-calls", "hypercall", "all", NULL},
	{"lie-calls", "addmem", "all", NULL},
	{"lie-streams", "hypercall", "all", NULL},
	{"lie-streams", "addmem", "all", NULL},
	{"lie-areas", "hypercall", "all", NULL},
	{"lie-areas", "addmem", "all", NULL},
	{"lie-race", "vmapp", "list,pages", EVERY_KIND},
	{"lie-race", "remap", "list,pages", EVERY_KIND},
	{"lie-race", "hypercall", "all", NULL},
	{"lie-race", "addmem", "all", NULL},
};
#define NR_CALLS ((int)(sizeof(calls) / sizeof(calls[0])))

/* The whole of a run of a guest that lies, up to its end, with what must hold whatever the lie. */
static void run_liar(struct run *run, const char *scenario, const struct way *way, const char *select,
	unsigned vcpus, char *path, size_t size)
{
	static char console[1 << 18];
	char cmdline[128], more[128];
	uint64_t took;

	snprintf(
		cmdline, sizeof(cmdline), "scenario=%s fill=pattern:20,text:20,zero:15,freed:15", scenario);
	snprintf(more, sizeof(more), "[dump]\nstrategy = %s\ncompress = %s\nselect = %s", way->strategy,
		way->compress, select);
	run_start(run, &(struct guest){.cmdline = cmdline,
			       .recovery = "scenario=ready-poweroff",
			       .memory = 96,
			       .vcpus = vcpus,
			       .more = more});
	run_ends(run, CODE_OK);
	run_event(run, "ready", 1);
	run_count(run, "crash", 1);
	run_count(run, "dump-done", 1);
	run_count(run, "dump-resumed", 0);
	took = event_ns(run_event(run, "dump-done", 0)) - event_ns(run_event(run, "crash", 0));
	run_assert(run, took < DUMP_LIMIT_NS, "the dump took %llu ms",
		(unsigned long long)(took / NSEC_PER_MSEC));
	read_file(run->console, console, sizeof(console));
	run_assert(run, strstr(console, "stub: lie") && strstr(console, " done\n"),
		"the guest did not lie: %.1000s", console);
	run_assert(run, !strstr(console, "stub: error:"), "the guest was treated wrongly: %.1000s",
		strstr(console, "stub: error:"));
	run_assert(run, !run_files(run, ".partial", NULL, 0), "names of an unfinished dump are left");
	find_final(run, 0, path, size);
}

static bool offered(const char *strategy, const char *test)
{
	struct run run;
	bool yes;

	run_prepare(&run);
	yes = has_strategy(&run, strategy);
	run_finish(&run);
	if (!yes)
		print_skip(test, "this minivmm does not have the strategy");
	return yes;
}

START_TEST(a_selector_that_was_lied_to_keeps_every_page_and_says_why)
{
	const struct lie *lie = &lies[_i / NR_WAYS];
	const struct way *way = &ways[_i % NR_WAYS];
	static char err[1 << 16];
	char path[512], start[64];
	const char *line;
	struct run run;

	NEEDS_KVM();
	if (!offered(way->strategy, __func__))
		return;
	run_liar(&run, lie->scenario, way, lie->select, 2, path, sizeof(path));
	judge_dump(&run, path,
		&(struct claim){.select = lie->select,
			.distrusted = lie->distrusted,
			.absent = lie->absent,
			.any = lie->any});
	if (lie->distrusted) {
		read_file(run.err, err, sizeof(err));
		snprintf(start, sizeof(start), "warning: generation 0: %s: ", lie->distrusted);
		line = strstr(err, start);
		run_assert(&run, line && strstr(line, lie->why), "no '%s...%s'", start, lie->why);
	}
	run_finish(&run);
}
END_TEST

START_TEST(a_guest_that_calls_firmware_wrongly_is_dumped_and_recovered)
{
	const struct way way = {calls[_i].strategy, "none"};
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_liar(&run, calls[_i].scenario, &way, calls[_i].select, 2, path, sizeof(path));
	judge_dump(&run, path, &(struct claim){.any = calls[_i].any});
	run_finish(&run);
}
END_TEST

START_TEST(a_selection_list_that_changes_while_it_is_read_does_no_harm)
{
	static const unsigned vcpus[] = {1, 3, 4};
	const struct way way = {"vmapp", "none"};
	char path[512];
	struct run run;

	NEEDS_KVM();
	run_liar(&run, "lie-race", &way, "zero,list,pages", vcpus[_i], path, sizeof(path));
	judge_dump(&run, path, &(struct claim){.any = EVERY_KIND});
	run_finish(&run);
}
END_TEST

Suite *suite_lies(void)
{
	Suite *suite = suite_create("lies");
	TCase *tcase = run_tcase(suite, "lies");

	tcase_add_loop_test(
		tcase, a_selector_that_was_lied_to_keeps_every_page_and_says_why, 0, NR_LIES * NR_WAYS);
	tcase_add_loop_test(
		tcase, a_guest_that_calls_firmware_wrongly_is_dumped_and_recovered, 0, NR_CALLS);
	tcase_add_loop_test(tcase, a_selection_list_that_changes_while_it_is_read_does_no_harm, 0, 3);
	return suite;
}
