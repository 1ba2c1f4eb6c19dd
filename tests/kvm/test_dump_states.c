/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_dump_states.c - every command of "minivmm dump" on a crash in every state: what it says, and that none
 * of them loses anything.
 *
 * The table says for each state what the list calls it and how each command ends; salvage comes last, and what is
 * there afterwards is judged page by page.
 */
#include "tests/kvm/judges.h"
#include "tests/kvm/suites.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define NO_LINUX 10 /* exit code: README.md */
/* docs/vmcore.md, "Trailer" */
#define TRAILER_STATE 20
#define STATE_FAILED 3u
#define TRAILER_ERROR 24
#define ERROR_ENOSPC (-28)

static struct output output; /* large; each test is a process of its own */

/* A crash of a guest whose dumper and minivmm are still there, or are not. */
enum state { WAITING, RUNNING, PARTIAL, FAILED, UNNAMED, TWO_NAMES, COMPLETE };

static const struct row {
	enum state state;
	const char *compress;
	const char *called; /* by the list */
	/* exit codes: of info and read; of dmesg and bt, as there is no Linux in it; of the others */
	int look, linux_in_it, save, rm, rm_force_while_in_use, salvage;
} rows[] = {
	{WAITING, "none", "waiting", CODE_OK, NO_LINUX, CODE_DUMP, CODE_DUMP, CODE_DUMP, CODE_DUMP},
	{RUNNING, "none", "in progress", CODE_OK, NO_LINUX, CODE_DUMP, CODE_DUMP, CODE_DUMP, CODE_DUMP},
	{WAITING, "lz4", "waiting", CODE_OK, NO_LINUX, CODE_DUMP, CODE_DUMP, CODE_DUMP, CODE_DUMP},
	{RUNNING, "lz4", "in progress", CODE_OK, NO_LINUX, CODE_DUMP, CODE_DUMP, CODE_DUMP, CODE_DUMP},
	{PARTIAL, "none", "partial", CODE_OK, NO_LINUX, CODE_DUMP, CODE_DUMP, -1, CODE_OK},
	{PARTIAL, "lz4", "partial", CODE_OK, NO_LINUX, CODE_DUMP, CODE_DUMP, -1, CODE_OK},
	{FAILED, "none", "failed", CODE_OK, NO_LINUX, CODE_DUMP, CODE_DUMP, -1, CODE_OK},
	{FAILED, "lz4", "failed", CODE_OK, NO_LINUX, CODE_DUMP, CODE_DUMP, -1, CODE_OK},
	{UNNAMED, "none", "unnamed", CODE_OK, NO_LINUX, CODE_OK, CODE_DUMP, -1, CODE_OK},
	{UNNAMED, "lz4", "unnamed", CODE_OK, NO_LINUX, CODE_OK, CODE_DUMP, -1, CODE_OK},
	{TWO_NAMES, "none", "two names", CODE_OK, NO_LINUX, CODE_OK, -1, -1, CODE_OK},
	{TWO_NAMES, "lz4", "two names", CODE_OK, NO_LINUX, CODE_OK, -1, -1, CODE_OK},
	{COMPLETE, "none", "complete", CODE_OK, NO_LINUX, CODE_OK, -1, -1, CODE_CONFIG},
	{COMPLETE, "lz4", "complete", CODE_OK, NO_LINUX, CODE_OK, -1, -1, CODE_CONFIG},
};

static bool is_lz4_row(const struct row *row)
{
	return !strcmp(row->compress, "lz4");
}

/* What is there of generation @generation, by its suffix; its path. */
static void find_file(const struct run *run, const char *suffix, char *path, size_t size)
{
	run_assert(run, run_files(run, suffix, path, size) == 1, "there is not one file %s", suffix);
}

static void start(struct run *run, const struct row *row, const char *cmdline, const char *recovery)
{
	char more[256];

	snprintf(more, sizeof(more),
		"[dump]\ncompress = %s\nstall_timeout = 0\n[recovery]\nbackoff = 0\nmax = 5\nhandover = "
		"none",
		row->compress);
	run_start(run,
		&(struct guest){.cmdline = cmdline, .recovery = recovery, .memory = 256, .more = more});
}

/* Two crashes while the dumper stands still in the first one's dump. */
static void queue_two(struct run *run, const struct row *row, struct process *dumper)
{
	start(run, row, "scenario=panic-call delay=500 fill=pattern:60,text:20 generations=2", NULL);
	run_await(run, "run", 0);
	run_find_dumper(run, dumper);
	run_await(run, "dump-linked", 0);
	ck_assert_int_eq(process_signal(dumper, SIGSTOP), 0);
	run_await(run, "crash", 1);
	run_await(run, "ready", 2);
}

/* A dumper and a minivmm that were killed in the middle. */
static void kill_both(struct run *run, const struct row *row)
{
	struct process dumper;

	start(run, row, "scenario=null-deref fill=pattern:60,text:20", "scenario=idle");
	run_await(run, "run", 0);
	run_find_dumper(run, &dumper);
	run_await(run, "dump-linked", 0);
	ck_assert_int_eq(process_signal(&dumper, SIGSTOP), 0);
	run_await(run, "ready", 1); /* nothing more comes to the console */
	run_signal(run, SIGKILL);
	run_wait(run);
	ck_assert_int_eq(process_signal(&dumper, SIGKILL), 0);
	ck_assert_int_eq(process_wait_gone(&dumper, RUN_LIMIT_MS), 0);
	process_close(&dumper);
}

static void complete_one(struct run *run, const struct row *row)
{
	start(run, row, "scenario=null-deref fill=pattern:30,text:20", "scenario=ready-poweroff");
	run_ends(run, CODE_OK);
}

/* As a dumper leaves it that found no room any more. */
static void give_up(const struct run *run, const struct row *row)
{
	uint32_t state = STATE_FAILED;
	int32_t error = ERROR_ENOSPC;
	char path[512];
	struct stat st;
	int fd;

	/* an unfinished LZ4 file has its tables in the region */
	find_file(run, is_lz4_row(row) ? ".region.partial" : ".vmcore.partial", path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert(fd >= 0 && !fstat(fd, &st));
	ck_assert_int_eq(
		pwrite(fd, &error, sizeof(error), st.st_size - PAGE + TRAILER_ERROR), sizeof(error));
	ck_assert_int_eq(
		pwrite(fd, &state, sizeof(state), st.st_size - PAGE + TRAILER_STATE), sizeof(state));
	close(fd);
}

/* The row's crash; the file to name to the commands, and to salvage. */
static void set_up(struct run *run, const struct row *row, struct process *dumper, char *path, size_t size)
{
	const char *final = is_lz4_row(row) ? ".vmcore.lz4" : ".vmcore";
	char partial[32], from[400];

	snprintf(partial, sizeof(partial), "%s.partial", final);
	switch (row->state) {
	case WAITING:
		queue_two(run, row, dumper);
		find_file(run, "-g1.region.partial", path, size);
		break;
	case RUNNING:
		queue_two(run, row, dumper);
		snprintf(from, sizeof(from), "-g0%s", partial);
		find_file(run, from, path, size);
		break;
	case PARTIAL:
	case FAILED:
		kill_both(run, row);
		find_file(run, partial, path, size);
		if (row->state == FAILED)
			give_up(run, row);
		break;
	case UNNAMED:
	case TWO_NAMES:
		complete_one(run, row);
		find_file(run, final, from, sizeof(from));
		snprintf(path, size, "%s.partial", from);
		ck_assert_int_eq(row->state == UNNAMED ? rename(from, path) : link(from, path), 0);
		break;
	case COMPLETE:
		complete_one(run, row);
		find_file(run, final, path, size);
		break;
	}
}

#define ends_with_code(run, row, command, want)                                                            \
	run_assert(run, output.code == (want), "%s %s: %s ended with %d, not %d:\n%s%s", (row)->called,    \
		(row)->compress, command, output.code, want, output.out, output.err)

static void look(struct run *run, const struct row *row, const char *path)
{
	char want[64], memory[300], saved[300];

	run_minivmm(run, &output, "dump", "list", run->dump_dir, "--json", NULL);
	ends_with_code(run, row, "list", CODE_OK);
	snprintf(want, sizeof(want), "\"state\": \"%s\"", row->called);
	run_assert(run, strstr(output.out, want), "%s %s: the list says:\n%s", row->called, row->compress,
		output.out);
	run_minivmm(run, &output, "dump", "info", path, NULL);
	ends_with_code(run, row, "info", row->look);
	snprintf(memory, sizeof(memory), "%s/memory", run->dir);
	run_minivmm(run, &output, "dump", "read", path, "--phys", "0x200000", "--len", "4096", "--output",
		memory, NULL);
	ends_with_code(run, row, "read", row->look);
	run_minivmm(run, &output, "dump", "dmesg", path, NULL);
	ends_with_code(run, row, "dmesg", row->linux_in_it);
	run_minivmm(run, &output, "dump", "bt", path, NULL);
	ends_with_code(run, row, "bt", row->linux_in_it);
	snprintf(saved, sizeof(saved), "%s/saved", run->dir);
	ck_assert_int_eq(mkdir(saved, 0700), 0);
	run_minivmm(run, &output, "dump", "save", path, saved, NULL);
	ends_with_code(run, row, "save", row->save);
}

/* Nothing is left but the dump of @generation, and it is whole. */
static void judge(struct run *run, int generation)
{
	char path[512];

	find_final(run, generation, path, sizeof(path));
	judge_dump(run, path, &(struct claim){.generation = generation, .select = "all"});
	run_assert(run, !run_files(run, ".partial", NULL, 0), "names of an unfinished dump are left");
}

START_TEST(every_command_on_a_crash_in_every_state_says_what_it_is_and_loses_nothing)
{
	const struct row *row = &rows[_i];
	struct process dumper;
	char path[512];
	struct run run;

	NEEDS_KVM();
	set_up(&run, row, &dumper, path, sizeof(path));
	look(&run, row, path);
	if (row->rm >= 0) {
		run_minivmm(&run, &output, "dump", "rm", path, NULL);
		ends_with_code(&run, row, "rm", row->rm);
	}
	if (row->rm_force_while_in_use >= 0) {
		run_minivmm(&run, &output, "dump", "rm", "--force", path, NULL);
		ends_with_code(&run, row, "rm --force", row->rm_force_while_in_use);
	}
	run_minivmm(&run, &output, "dump", "salvage", path, NULL);
	ends_with_code(&run, row, "salvage", row->salvage);
	if (row->state == WAITING || row->state == RUNNING) {
		ck_assert_int_eq(process_signal(&dumper, SIGCONT), 0);
		run_ends(&run, CODE_OK);
		process_close(&dumper);
		judge(&run, 1);
	}
	judge(&run, 0);
	run_finish(&run);
}
END_TEST

Suite *suite_dump_states(void)
{
	Suite *suite = suite_create("dump-states");
	TCase *tcase = run_tcase(suite, "states");

	tcase_add_loop_test(tcase,
		every_command_on_a_crash_in_every_state_says_what_it_is_and_loses_nothing, 0,
		(int)(sizeof(rows) / sizeof(rows[0])));
	return suite;
}
