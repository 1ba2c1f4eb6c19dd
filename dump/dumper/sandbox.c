/* SPDX-License-Identifier: Apache-2.0 */
/* dump/dumper/sandbox.c - see sandbox.h */
#include "dump/dumper/sandbox_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static int drop_capabilities(void)
{
	cap_t none;
	int r = 0;

	/* Bounding and ambient sets: only who holds CAP_SETPCAP may, and only who holds caps needs to. */
	for (cap_value_t cap = 0; cap < cap_max_bits(); cap++)
		cap_drop_bound(cap);
	cap_reset_ambient();
	none = cap_init();
	if (!none)
		return -ENOMEM;
	if (cap_set_proc(none) < 0)
		r = -errno;
	cap_free(none);
	return r;
}

#ifndef HAVE_SANITIZER

/* Allowed with any arguments: they act on descriptors that the dumper holds, or on its own memory. */
static const int allowed[] = {
	/* the dump: data in, data out, holes, names */
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(lseek),
	SCMP_SYS(fallocate),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(fsync),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(linkat),
	SCMP_SYS(unlinkat),
	SCMP_SYS(close),
	SCMP_SYS(write),
	/* the socket */
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	/* memory and threads, as glibc does them */
	SCMP_SYS(munmap),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getcpu),
	SCMP_SYS(sched_yield),
	SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	/* sandbox_confine(): they only take away */
	SCMP_SYS(landlock_create_ruleset),
	SCMP_SYS(landlock_add_rule),
	SCMP_SYS(landlock_restrict_self),
	/* abort() of a failed assertion, and of malloc() with its message */
	SCMP_SYS(writev),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
};

/*
 * Commands of fcntl(2) that act on nothing but the dumper's own descriptors and the locks of its files.  What is left out
 * changes open files that it shares with the VMM: their flags (a read of the VMM's would wait for ever), and whom the
 * kernel signals about them (F_SETOWN and F_SETSIG would kill the VMM).
 */
static const int fcntl_commands[] = {
	F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_GET_SEALS, F_OFD_SETLK, F_OFD_GETLK};

static int allow_fcntl(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(fcntl_commands) && !r; i++) {
		/* the kernel looks at 32 bits, whatever is above them */
		const struct scmp_arg_cmp command = SCMP_A1(
			SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)(unsigned)fcntl_commands[i]);

		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, &command);
	}
	return r;
}

/* The calls that are allowed with some arguments only. */
static int allow_some(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp no_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	const struct scmp_arg_cmp tmpfile = SCMP_A2(SCMP_CMP_MASKED_EQ, O_TMPFILE, O_TMPFILE);
	const struct scmp_arg_cmp no_tmpfile = SCMP_A2(SCMP_CMP_MASKED_EQ, O_TMPFILE & ~O_DIRECTORY, 0);
	const struct scmp_arg_cmp thread = SCMP_A0(
		SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM);
	/* the VMM has the same user: it is not to be killed, nor moved to one CPU; abort() signals its own thread */
	const struct scmp_arg_cmp own = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);
	const struct scmp_arg_cmp caller = SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, 0);
	int r = allow_fcntl(filter);

	if (!r)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &no_exec);
	if (!r)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &no_exec);
	if (!r)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, &thread);
	if (!r)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &own);
	if (!r)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(sched_setaffinity), 1, &caller);
	/* Its flags lie in memory, where a filter cannot look; glibc falls back to clone. */
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!r)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, &tmpfile);
	/* glibc's malloc looks for /proc/sys/vm/overcommit_memory when it trims, and lives without it */
	if (!r)
		r = seccomp_rule_add_array(
			filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 1, &no_tmpfile);
	return r;
}

static int filter_syscalls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = 0;

	if (!filter)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(allowed) && !r; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!r)
		r = allow_some(filter);
	if (!r)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

#else

/* The sanitizers for addresses and threads read /proc and clone at exit: with them there is no filter. */
static int filter_syscalls(void)
{
	return 0;
}

#endif

int sandbox_enter(void)
{
	const struct rlimit no_core = {0};
	int first = 0;
	int r;

	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		first = -errno;
	r = drop_capabilities();
	first = first ? first : r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 && !first)
		first = -errno;
	r = filter_syscalls();
	return first ? first : r;
}
