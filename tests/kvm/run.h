/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/run.h - one run of minivmm under test: configuration, process, event log, dumps, verdict.
 *
 *      START_TEST(a_sentence_that_holds)
 *      {
 *              struct run run;
 *
 *              NEEDS_KVM();
 *              run_start(&run, &(struct guest){.cmdline = "scenario=null-deref"});
 *              run_ends(&run, 0);
 *              ...
 *              run_finish(&run);
 *      }
 *      END_TEST
 *
 * Every function here that can find something wrong ends the test, with minivmm's standard error in
 * the message.  A run has its own temporary directory and its own guest name; both go with
 * run_finish(), or, after a test that failed, with harness_fini().
 */
#ifndef TESTS_KVM_RUN_H
#define TESTS_KVM_RUN_H

#include "tests/kvm/events.h"
#include "tests/kvm/process.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#define MIB (1ull << 20)

/* Exit codes of minivmm, as README.md documents them. */
enum {
	CODE_OK,
	CODE_HOST,
	CODE_USAGE,
	CODE_CONFIG,
	CODE_NO_KVM,
	CODE_CRASHED,
	CODE_DUMP,
	CODE_GUEST,
	CODE_NOT_RUNNING,
	CODE_REFUSED
};

/* Our choice: what takes milliseconds gets a minute, so that a busy machine is no failure. */
#define RUN_LIMIT_MS (60000 * time_factor())
/* seconds; for tcase_set_timeout: over one RUN_LIMIT_MS, so that our own message comes first */
#define TEST_TIMEOUT (150 * time_factor())

/* TEST_TIME_FACTOR of the environment, 1 to 100, for machines that are slow by nature; 1 if it is not set. */
int time_factor(void);

/* What guest.cfg says. */
struct guest {
	const char *kernel;   /* NULL = the stub */
	const char *initrd;   /* NULL = none */
	const char *cmdline;  /* of the first VM */
	const char *recovery; /* command line of a VM that recovers; NULL = the same */
	unsigned memory;      /* MiB; 0 = 64 */
	unsigned vcpus;       /* 0 = 1 */
	const char *dir; /* of its RAM and its dumps, on tmpfs; NULL = minivmm's default for this guest */
	const char *dump_dir; /* of its dumps alone; NULL = the same */
	const char *more;     /* further lines of the file, with their [section]; NULL = none */
	const int *
		fds; /* standard input, output and error, -1 = closed; NULL = /dev/null and files of the run */
	bool background;     /* a terminal among them has another job in its foreground */
	const char *events;  /* event file; NULL = the run's own, which only then has a log */
	const char *console; /* --console; NULL = a file of the run */
};

struct run {
	char dir[256];      /* temporary directory */
	char name[64];      /* of the guest */
	char dump_dir[256]; /* of its dumps */
	char console[300], err[300];
	struct process vmm; /* empty after its end */
	int code;           /* exit code after its end */
	struct event_log log;
};

/* ---- the whole program ----------------------------------------------------------------------- */

/* Finds the programs, asks minivmm whether KVM is usable, makes a directory.  Not 0: said why. */
int harness_init(void);

/* Waits for processes that tests left, removes every file of every run. */
void harness_fini(void);

/*
 * private_tmpfs - mount a tmpfs that nobody else uses, in a mount namespace that ends with the test; its
 * path in @path.  @options: of mount(8), besides the mode.
 * Result: false if this user may not mount.
 */
bool private_tmpfs(char *path, size_t size, const char *options);

/* A test case of @suite with TEST_TIMEOUT. */
TCase *run_tcase(Suite *suite, const char *name);

/* Paths of the programs, absolute. */
extern const char *minivmm_path, *stub_path, *judge_path;

/* Prints SKIP and the reason if KVM is not usable.  @test: the test's __func__. */
bool skip_without_kvm(const char *test);

#define NEEDS_KVM()                                                                                        \
	do {                                                                                               \
		if (skip_without_kvm(__func__))                                                            \
			return;                                                                            \
	} while (0)

/* Prints SKIP, the test and a reason of its own. */
void print_skip(const char *test, const char *reason);

/* ---- one run --------------------------------------------------------------------------------- */

/* Names and directories alone, nothing is started: for run_program and for files that a test makes. */
void run_prepare(struct run *run);

/* Writes guest.cfg, starts "minivmm run". */
void run_start(struct run *run, const struct guest *guest);

/* Waits for its end (RUN_LIMIT_MS) and for exit code @code. */
#define run_ends(run, want)                                                                                \
	do {                                                                                               \
		run_wait(run);                                                                             \
		run_assert(                                                                                \
			run, (run)->code == (want), "minivmm ended with %d, not %d", (run)->code, (want)); \
	} while (0)
void run_wait(struct run *run);

/* SIGTERM, to a guest that does not listen to its power button: minivmm must end with 0. */
void run_stops(struct run *run);

/* run_await - the event @name of @generation, now or later (RUN_LIMIT_MS). */
const char *run_await(struct run *run, const char *name, int generation);

/* The next one after the event @after; NULL: the first. */
const char *run_await_next(struct run *run, const char *name, int generation, const char *after);

/* An event that must be there already. */
const char *run_event(struct run *run, const char *name, int generation);

/* Event @name, of any generation, happened @count times. */
#define run_count(run, name, count)                                                                        \
	run_assert(run, event_count(&(run)->log, name) == (count), "%u events '%s', not %u",               \
		event_count(&(run)->log, name), name, (unsigned)(count))

/* A number that an event must have. */
uint64_t run_u64(struct run *run, const char *event, const char *field);

/* Signals minivmm. */
void run_signal(struct run *run, int signal);

/* The dumper process of this run; it must be there. */
void run_find_dumper(struct run *run, struct process *ret);

/* The published dump of @generation: its path in @path.  Exactly one must be there. */
void run_dump_path(struct run *run, int generation, char *path, size_t size);

/* Files (no sockets) in the directory of dumps that end with @suffix; the path of one of them in @path (or NULL). */
unsigned run_files(const struct run *run, const char *suffix, char *path, size_t size);

/* MiB that the VM of @generation had in the end, if it got memory while it ran; else 0. */
uint64_t run_added_memory(struct run *run, int generation);

#define JUDGE_NO_REGISTERS 1 /* the guest printed none: it did not panic itself */
#define JUDGE_NO_FILL 2      /* it filled nothing */

/* vmcore-check must accept @path as the dump of @generation, by the console's log (or that in @console). */
void run_judge(struct run *run, const char *path, int generation, unsigned flags, const char *console);

/* Text that the console must have got. */
void run_said(struct run *run, const char *text);

/* Ends what runs, removes what is there. */
void run_finish(struct run *run);

/* For assertions: the formatted text and what minivmm wrote to standard error. */
const char *run_story(const struct run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define run_assert(run, expr, ...) ck_assert_msg(expr, "%s", run_story(run, __VA_ARGS__))

/* ---- other programs -------------------------------------------------------------------------- */

struct output {
	int code; /* exit status, or 128 + signal */
	char out[32768], err[16384];
};

/* Runs @argv to its end in @run's directory for temporary files; a program that hangs ends the test. */
void run_program(struct run *run, struct output *ret, char *const argv[]);

/* The same for minivmm with arguments, NULL last. */
void run_minivmm(struct run *run, struct output *ret, ...) __attribute__((sentinel));

#endif /* TESTS_KVM_RUN_H */
