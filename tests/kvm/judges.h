/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/judges.h - the verdict about a dump of any strategy, selector and format: vmcore-check for what
 * is in it, selection-check for what is not, and lz4 for what is compressed.
 *
 * Like run.h: whatever finds something wrong ends the test.
 */
#ifndef TESTS_KVM_JUDGES_H
#define TESTS_KVM_JUDGES_H

#include "tests/kvm/run.h"

/* For claim.flags, besides those of run.h: the guest was stopped while it dumped, and not as it printed. */
#define JUDGE_ANY_REGISTERS 4

/* What a dump must be. */
struct claim {
	int generation;
	const char *select;     /* as dump.select; "guest": the guest wrote it; NULL: not looked at */
	const char *distrusted; /* selectors that could not believe the guest; NULL = none */
	const char *absent;     /* kinds of fill that are not in it, "zero,freed"; NULL = none */
	const char *any;        /* kinds that may be in it or not; NULL = none */
	unsigned flags;         /* JUDGE_* */
	const char *console;    /* another log than the run's; NULL = the run's */
};

/* The final dump of @generation, of either format; exactly one must be there. */
void find_final(struct run *run, int generation, char *path, size_t size);

/* True for a name that ends in .lz4. */
bool is_lz4(const char *path);

/* Judges @path; an LZ4 file is restored with lz4(1) first. */
void judge_dump(struct run *run, const char *path, const struct claim *claim);

/* True if this build of minivmm has the strategy. */
bool has_strategy(struct run *run, const char *name);

/* Frames in the lines "stub: @line ... pfn=FIRST-LAST" of the console's generation 0 (@kind: of that one). */
uint64_t frames_said(const struct run *run, const char *line, const char *kind);

/* A number of an environment variable, @fallback if it is not set. */
unsigned env_number(const char *name, unsigned fallback);

/* Changes of the configuration for check_config: "section.key=value", NULL last. */
#define SETS_MAX 6

/*
 * check_config - "minivmm check" of a guest with @sets.
 * Result: its exit code; what it wrote to standard error in @err.
 */
int check_config(struct run *run, const char *const sets[], char *err, size_t size);

#endif /* TESTS_KVM_JUDGES_H */
