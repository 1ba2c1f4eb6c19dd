/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/process.h - child processes of a test: start, wait with a limit, signal, look into /proc.
 *
 * A process is signalled through its pidfd only, so that never another one with a reused number is hit.
 * Waiting is poll() on the pidfd.  Nothing here knows of minivmm.
 */
#ifndef TESTS_KVM_PROCESS_H
#define TESTS_KVM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* For argv: execv() wants char *, and changes nothing. */
static inline char *arg(const char *text)
{
	return (char *)(uintptr_t)text;
}

#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_SEC 1000000000ull

struct process {
	pid_t pid; /* 0 = none */
	int pidfd; /* owned; -1 = none */
};

/*
 * process_start - run @argv with stdin from /dev/null, output into the files @out and @err (made anew).
 * The process is killed when the calling thread ends, however that happens.
 * Result: 0 or -errno of fork or pidfd_open; a program that cannot be executed exits with status 127.
 */
int process_start(struct process *ret, char *const argv[], const char *out, const char *err);

/*
 * process_start_on - the same with the descriptors @fds for standard input, output and error; -1: it is closed.  A terminal
 * among them becomes that of a session of its own, in the background of it if @background.
 */
int process_start_on(struct process *ret, char *const argv[], const int fds[3], bool background);

/*
 * process_wait - wait at most @ms for a child.
 * Result: its exit status, 128 + number of the signal that killed it, or -ETIMEDOUT.  After an end the
 * process is reaped and @process is empty.
 */
int process_wait(struct process *process, int ms);

/* process_wait_gone - the same for any process: 0 when it is gone within @ms, -ETIMEDOUT if not. */
int process_wait_gone(const struct process *process, int ms);

/* Sends @signal; 0 or -errno (-ESRCH: it has ended). */
int process_signal(const struct process *process, int signal);

/* Kills it if it still runs, reaps it if it is a child; accepts an empty one. */
void process_fini(struct process *process);

/* Forgets a process that is not a child; it runs on. */
void process_close(struct process *process);

/*
 * process_find_child - a child of @parent whose command line is "@name @argument" (any directory).
 * Result: 0 and an open *ret; -ESRCH if there is none.
 */
int process_find_child(struct process *ret, pid_t parent, const char *name, const char *argument);

/* Lets orphans of this process's descendants become its children, so that process_reap_all sees them. */
void process_adopt_orphans(void);

/* Waits at most @ms until no child is left.  Result: 0 or -ETIMEDOUT. */
int process_reap_all(int ms);

/* What a process has of everything that could leak. */
struct process_usage {
	unsigned fds, threads;
	uint64_t anonymous; /* bytes of private memory that are resident */
};

/* Result: 0 or -errno. */
int process_usage(pid_t pid, struct process_usage *ret);

/* Bytes of memory behind the unnamed files (O_TMPFILE, memfd, deleted) that it has open, each once. */
uint64_t process_unnamed_bytes(pid_t pid);

uint64_t now_ns(void); /* CLOCK_MONOTONIC, as minivmm's events */

/* Sleeps until @ns.  For moments that are random on purpose, not for waiting that something happens. */
void sleep_until(uint64_t ns);

/* Reads at most @size - 1 bytes of a file, NUL-terminated; "" if it cannot be read. */
size_t read_file(const char *path, char *buf, size_t size);

#endif /* TESTS_KVM_PROCESS_H */
