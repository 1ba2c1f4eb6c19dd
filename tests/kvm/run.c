/* SPDX-License-Identifier: Apache-2.0 */
/* tests/kvm/run.c - see run.h; the life of a run.  What is asked about one is in verdict.c. */
#include "tests/kvm/run.h"

#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* docs/guest.cfg.md, dump.dir */
#define DUMP_ROOT "/dev/shm/minivmm"
/* our choice: a dumper that a dead test left finishes a few GiB in this time */
#define ORPHANS_MS 30000

const char *minivmm_path, *stub_path, *judge_path;

static char base[160];   /* of all runs' temporary directories */
static char no_kvm[256]; /* why not; "" = usable */
static pid_t main_pid;   /* of the whole program: part of every guest's name */

/* ---- the whole program ----------------------------------------------------------------------- */

static const char *find_program(const char *variable, const char *fallback)
{
	const char *name = getenv(variable);
	char *path = realpath(name ? name : fallback, NULL); /* kept for the program's life */

	if (!path)
		fprintf(stderr, "kvm-tests: %s=%s: %s\n", variable, name ? name : fallback,
			strerror(errno));
	return path;
}

int time_factor(void)
{
	const char *text = getenv("TEST_TIME_FACTOR");
	int factor = text ? atoi(text) : 1;

	return factor < 1 ? 1 : factor > 100 ? 100 : factor;
}

/* "minivmm info" says whether KVM is usable, and why not.  No test runs yet, so no Check function here. */
static int ask_for_kvm(void)
{
	char *argv[] = {arg(minivmm_path), arg("info"), NULL};
	char path[300], text[8192];
	struct process process;
	const char *at;
	int code;

	snprintf(path, sizeof(path), "%s/info", base);
	code = process_start(&process, argv, path, path);
	if (!code)
		code = process_wait(&process, RUN_LIMIT_MS);
	if (code < 0)
		return code;
	if (code != CODE_NO_KVM)
		return 0;
	read_file(path, text, sizeof(text));
	at = strstr(text, "unusable: ");
	snprintf(no_kvm, sizeof(no_kvm), "%.200s", at ? at + strlen("unusable: ") : "minivmm info says so");
	no_kvm[strcspn(no_kvm, "\n")] = '\0';
	return 0;
}

int harness_init(void)
{
	const char *tmp = getenv("TMPDIR");
	int err;

	main_pid = getpid();
	minivmm_path = find_program("MINIVMM", "build/minivmm");
	stub_path = find_program("STUB", "build/guest-stub/stub.elf");
	judge_path = find_program("VMCORE_CHECK", "build/tests/tools/vmcore-check");
	if (!minivmm_path || !stub_path || !judge_path)
		return -ENOENT;
	snprintf(base, sizeof(base), "%.128s/minivmm-test.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(base)) {
		fprintf(stderr, "kvm-tests: %s: %s\n", base, strerror(errno));
		return -EIO;
	}
	err = ask_for_kvm();
	if (err)
		fprintf(stderr, "kvm-tests: minivmm info: %s\n", strerror(-err));
	return err;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	remove(path);
	return 0;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void harness_fini(void)
{
	char pattern[128];
	glob_t found;

	/* a test that failed leaves its dumper at work, and its directories */
	if (process_reap_all(ORPHANS_MS))
		fprintf(stderr, "kvm-tests: a dumper process of a failed test is still there\n");
	snprintf(pattern, sizeof(pattern), DUMP_ROOT "/test-%d-*", main_pid);
	if (!glob(pattern, 0, NULL, &found)) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			remove_tree(found.gl_pathv[i]);
		globfree(&found);
	}
	remove_tree(base);
}

bool private_tmpfs(char *path, size_t size, const char *options)
{
	char text[128];

	snprintf(path, size, "%s/tmpfs-%d", base, getpid());
	snprintf(text, sizeof(text), "mode=0700,%s", options);
	ck_assert_msg(!mkdir(path, 0700), "%s: %s", path, strerror(errno));
	return !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("test", path, "tmpfs", MS_NOSUID | MS_NODEV, text);
}

void print_skip(const char *test, const char *reason)
{
	const char *end = strstr(test, "_fn"); /* Check's name for the function */

	printf("SKIP %.*s: %s\n", end ? (int)(end - test) : (int)strlen(test), test, reason);
	fflush(stdout);
}

bool skip_without_kvm(const char *test)
{
	if (no_kvm[0])
		print_skip(test, no_kvm);
	return no_kvm[0];
}

/* ---- start ----------------------------------------------------------------------------------- */

void run_prepare(struct run *run)
{
	static unsigned number;

	process_adopt_orphans();
	*run = (struct run){.vmm.pidfd = -1, .log = {.fd = -1, .watch = -1}};
	snprintf(run->name, sizeof(run->name), "test-%d-%d-%u", main_pid, getpid(), number++);
	snprintf(run->dir, sizeof(run->dir), "%s/%s", base, run->name);
	snprintf(run->dump_dir, sizeof(run->dump_dir), DUMP_ROOT "/%s", run->name);
	snprintf(run->console, sizeof(run->console), "%s/console", run->dir);
	snprintf(run->err, sizeof(run->err), "%s/stderr", run->dir);
	ck_assert_msg(!mkdir(run->dir, 0700), "%s: %s", run->dir, strerror(errno));
}

static void write_config(const struct run *run, const struct guest *guest, const char *path)
{
	FILE *file = fopen(path, "we");

	ck_assert_msg(file, "%s: %s", path, strerror(errno));
	fprintf(file, "[vm]\nname = %s\nkernel = %s\ncmdline = %s\nmemory = %uM\nvcpus = %u\n", run->name,
		guest->kernel ? guest->kernel : stub_path, guest->cmdline,
		guest->memory ? guest->memory : 64, guest->vcpus ? guest->vcpus : 1);
	if (guest->initrd)
		fprintf(file, "initrd = %s\n", guest->initrd);
	if (guest->dir)
		fprintf(file, "memory_dir = %s\n", guest->dir);
	if (guest->recovery)
		fprintf(file, "[recovery]\ncmdline = %s\n", guest->recovery);
	if (guest->dump_dir)
		fprintf(file, "[dump]\ndir = %s\n", guest->dump_dir);
	if (guest->more)
		fprintf(file, "%s\n", guest->more);
	ck_assert_int_eq(fclose(file), 0);
}

void run_start(struct run *run, const struct guest *guest)
{
	char config[300], events[300], out[300];
	char *argv[] = {arg(minivmm_path), arg("run"), config, arg("--events"), events, arg("--console"),
		run->console, NULL};
	int err = 0;

	run_prepare(run);
	if (guest->dump_dir || guest->dir)
		snprintf(run->dump_dir, sizeof(run->dump_dir), "%s",
			guest->dump_dir ? guest->dump_dir : guest->dir);
	snprintf(config, sizeof(config), "%s/guest.cfg", run->dir);
	snprintf(events, sizeof(events), "%s/events", run->dir);
	snprintf(out, sizeof(out), "%s/stdout", run->dir);
	write_config(run, guest, config);
	if (guest->console)
		argv[6] = arg(guest->console);
	if (guest->events)
		argv[4] = arg(guest->events);
	else
		err = event_log_open(&run->log, events);
	if (!err)
		err = guest->fds ? process_start_on(&run->vmm, argv, guest->fds, guest->background)
				 : process_start(&run->vmm, argv, out, run->err);
	ck_assert_msg(!err, "cannot start %s: %s", minivmm_path, strerror(-err));
}

/* ---- wait, end ------------------------------------------------------------------------------- */

void run_wait(struct run *run)
{
	int code = process_wait(&run->vmm, RUN_LIMIT_MS);

	run_assert(run, code != -ETIMEDOUT, "minivmm has not ended within %d s", RUN_LIMIT_MS / 1000);
	run_assert(run, code >= 0, "waiting for minivmm: %s", strerror(-code));
	run->code = code;
	event_log_update(&run->log);
}

/* Waits for a change of the log or the end of minivmm; false when the time is over. */
static bool wait_for_news(const struct run *run, uint64_t end, bool *ret_ended)
{
	struct pollfd fds[] = {
		{.fd = run->log.watch, .events = POLLIN}, {.fd = run->vmm.pidfd, .events = POLLIN}};
	uint64_t now = now_ns();

	if (now >= end)
		return false;
	poll(fds, 2, (int)((end - now) / NSEC_PER_MSEC) + 1);
	*ret_ended = fds[1].revents;
	return true;
}

void run_stops(struct run *run)
{
	run_signal(run, SIGTERM);
	run_ends(run, CODE_OK);
}

TCase *run_tcase(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, TEST_TIMEOUT);
	suite_add_tcase(suite, tcase);
	return tcase;
}

const char *run_await(struct run *run, const char *name, int generation)
{
	return run_await_next(run, name, generation, NULL);
}

const char *run_await_next(struct run *run, const char *name, int generation, const char *after)
{
	uint64_t end = now_ns() + RUN_LIMIT_MS * NSEC_PER_MSEC;
	bool ended = !run->vmm.pid;

	for (;;) {
		bool last = ended; /* what was written before the end is there now */
		const char *event;

		event_log_update(&run->log);
		event = event_find(&run->log, name, generation, after);
		if (event)
			return event;
		run_assert(run, !last, "minivmm ended without an event '%s' of generation %d", name,
			generation);
		run_assert(run, wait_for_news(run, end, &ended),
			"no event '%s' of generation %d within %d s", name, generation,
			RUN_LIMIT_MS / 1000);
	}
}

void run_signal(struct run *run, int signal)
{
	int err = process_signal(&run->vmm, signal);

	run_assert(run, !err, "signal %d to minivmm: %s", signal, strerror(-err));
}

/*
 * The kernel lets the parent go on a moment before the child's new command line can be read, and nothing
 * tells when it can: this is the one place that has to look again.
 */
void run_find_dumper(struct run *run, struct process *ret)
{
	uint64_t end = now_ns() + RUN_LIMIT_MS * NSEC_PER_MSEC;
	int err;

	while ((err = process_find_child(ret, run->vmm.pid, "minivmm", "dumper")) && now_ns() < end)
		sleep_until(now_ns() + NSEC_PER_MSEC);
	run_assert(run, !err, "no dumper process: %s", strerror(-err));
}

void run_finish(struct run *run)
{
	char memory_dir[sizeof(run->dump_dir)];
	int err;

	process_fini(&run->vmm);
	event_log_close(&run->log);
	/* whatever the test did, the dumper does not stay */
	err = process_reap_all(RUN_LIMIT_MS);
	run_assert(run, !err, "a process that minivmm started is still there");
	snprintf(memory_dir, sizeof(memory_dir), DUMP_ROOT "/%s", run->name);
	remove_tree(memory_dir);
	remove_tree(run->dump_dir);
	remove_tree(run->dir);
}

/* ---- other programs -------------------------------------------------------------------------- */

void run_program(struct run *run, struct output *ret, char *const argv[])
{
	struct process process;
	char out[300], err[300];
	int r;

	snprintf(out, sizeof(out), "%s/program-stdout", run->dir);
	snprintf(err, sizeof(err), "%s/program-stderr", run->dir);
	r = process_start(&process, argv, out, err);
	ck_assert_msg(!r, "cannot start %s: %s", argv[0], strerror(-r));
	ret->code = process_wait(&process, RUN_LIMIT_MS);
	ck_assert_msg(ret->code >= 0, "%s has not ended within %d s", argv[0], RUN_LIMIT_MS / 1000);
	read_file(out, ret->out, sizeof(ret->out));
	read_file(err, ret->err, sizeof(ret->err));
}

void run_minivmm(struct run *run, struct output *ret, ...)
{
	char *argv[16] = {arg(minivmm_path)};
	size_t nr = 1;
	va_list args;

	va_start(args, ret);
	while ((argv[nr] = va_arg(args, char *)) && nr < sizeof(argv) / sizeof(argv[0]) - 2)
		nr++;
	va_end(args);
	argv[nr] = NULL;
	run_program(run, ret, argv);
}
