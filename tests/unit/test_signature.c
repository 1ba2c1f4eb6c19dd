/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_signature.c - titles and signatures of crashes of every kind, and of what is none. */
#include "tests/unit/suites.h"

#include "dump/base/num.h"
#include "dump/linux/signature.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pieces of logs in the form that printk has been given them, of functions that do not exist. */
#define CPU "CPU: 1 PID: 77 Comm: worker Not tainted 6.12.0-test #1\n"
#define RIP(f) "RIP: 0010:" f "+0x16/0x20\n"
#define RAX "RAX: 0000000000000000 RBX: 0000000000000063 RCX: ffff888000000000\n"
#define TRACE                                                                                              \
	"Call Trace:\n <TASK>\n ? old_one+0x5/0x10\n outer_write.isra.0+0x41/0x11c\n "                     \
	"vfs_something+0xd6/0x3f0\n"                                                                       \
	" ksys_thing+0x6b/0xf0\n do_syscall_64+0x58/0xc0\nRIP: 0033:0x7f1234567890\n </TASK>\n"
#define END "---[ end trace 0000000000000000 ]---\n"
#define OOPS(n) "Oops: 0002 [#" n "] PREEMPT SMP NOPTI\n"
#define FATAL                                                                                              \
	"Kernel panic - not syncing: Fatal exception\n---[ end Kernel panic - not syncing: Fatal "         \
	"exception ]---\n"
#define PANIC(text) "Kernel panic - not syncing: " text "\n"
#define PANIC_TRACE                                                                                        \
	CPU "Call Trace:\n <TASK>\n dump_stack_lvl+0x44/0x5c\n panic+0x118/0x2ed\n who_panics+0x16/0x20\n" \
	    " outer_write+0x41/0x11c\n </TASK>\n"
#define REST "|outer_write|vfs_something"
#define NULL_POINTER                                                                                       \
	"BUG: kernel NULL pointer dereference, address: 0000000000000018\n#PF: supervisor write access "   \
	"in kernel mode\n"

static const struct oops {
	const char *log, *title, *signature;
} oopses[] = {
	/* page faults */
	{NULL_POINTER "PGD 0 P4D 0 \n" OOPS("1") CPU RIP("bad_write") RAX TRACE END FATAL,
		"BUG: kernel NULL pointer dereference in bad_write",
		"BUG: kernel NULL pointer dereference|bad_write" REST},
	{"BUG: unable to handle page fault for address: ffffc90000123000\n" OOPS("1")
			CPU RIP("bad_read.cold") TRACE FATAL,
		"BUG: unable to handle page fault in bad_read",
		"BUG: unable to handle page fault|bad_read" REST},
	{"BUG: unable to handle kernel paging request at ffff8880deadb000\n" OOPS("1") RIP("older")
			TRACE FATAL,
		"BUG: unable to handle page fault in older", "BUG: unable to handle page fault|older" REST},
	{"BUG: unable to handle kernel NULL pointer dereference at 0000000000000018\n" OOPS("1")
			RIP("older") TRACE FATAL,
		"BUG: kernel NULL pointer dereference in older",
		"BUG: kernel NULL pointer dereference|older" REST},
	{NULL_POINTER OOPS("1") "RIP: 0010:0x0\nCode: Unable to access opcode bytes\n" TRACE FATAL,
		"BUG: kernel NULL pointer dereference in outer_write",
		"BUG: kernel NULL pointer dereference|outer_write|vfs_something|ksys_thing"},
	{OOPS("1") CPU RIP("bad_write") TRACE FATAL, "Oops in bad_write", "Oops|bad_write" REST},
	/* the second oops is not the cause */
	{NULL_POINTER OOPS("1") RIP("first") TRACE END
		"BUG: unable to handle page fault for address: ffff00\n" OOPS("2") RIP("second")
			TRACE END FATAL,
		"BUG: kernel NULL pointer dereference in first",
		"BUG: kernel NULL pointer dereference|first" REST},
	/* in an interrupt */
	{NULL_POINTER OOPS("1") RIP("irq_part") "Call Trace:\n <IRQ>\n handle_thing+0x1/0x2\n </IRQ>\n "
						"<TASK>\n idle_thing+0x1/0x2\n </TASK>\n" PANIC(
							"Fatal exception in interrupt"),
		"BUG: kernel NULL pointer dereference in irq_part",
		"BUG: kernel NULL pointer dereference|irq_part|handle_thing|idle_thing"},
	/* of a module, with an address before each frame, as older kernels have it */
	{NULL_POINTER OOPS("1") "RIP: 0010:mod_thing+0x10/0x20 [some_module]\nCall Trace:\n "
				"[<ffffffff81234567>] caller_thing+0x1/0x2 [other]\n" END FATAL,
		"BUG: kernel NULL pointer dereference in mod_thing",
		"BUG: kernel NULL pointer dereference|mod_thing|caller_thing"},
	/* traps */
	{"general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] "
	 "PREEMPT SMP\n" RIP("use_poison") TRACE FATAL,
		"general protection fault in use_poison", "general protection fault|use_poison" REST},
	{"Oops: general protection fault, probably for non-canonical address 0xdffffc0000000003: 0000 [#1] "
	 "SMP KASAN NOPTI\n"
	 "KASAN: null-ptr-deref in range [0x0000000000000018-0x000000000000001f]\n" RIP("use_poison")
			TRACE FATAL,
		"general protection fault in use_poison", "general protection fault|use_poison" REST},
	{"general protection fault: 0000 [#1] SMP\n" RIP("use_poison") TRACE FATAL,
		"general protection fault in use_poison", "general protection fault|use_poison" REST},
	{"divide error: 0000 [#1] PREEMPT SMP\n" RIP("average") TRACE FATAL, "divide error in average",
		"divide error|average" REST},
	{"Oops: divide error: 0000 [#1] SMP\n" RIP("average") TRACE FATAL, "divide error in average",
		"divide error|average" REST},
	{"invalid opcode: 0000 [#1] SMP\n" RIP("not_code") TRACE FATAL, "invalid opcode in not_code",
		"invalid opcode|not_code" REST},
	{"stack segment: 0000 [#1] SMP\n" RIP("non_canonical") TRACE FATAL,
		"stack segment in non_canonical", "stack segment|non_canonical" REST},
	{"alignment check: 0000 [#1] SMP\n" RIP("odd") TRACE FATAL, "alignment check in odd",
		"alignment check|odd" REST},
	{"int3: 0000 [#1] SMP\n" RIP("probe") TRACE FATAL, "int3 in probe", "int3|probe" REST},
	{"control protection fault: 0003 [#1] SMP\n" RIP("jump") TRACE FATAL,
		"control protection fault in jump", "control protection fault|jump" REST},
	{"BUG: stack guard page was hit at 00000000aaaabbbb (stack is 0000000011112222..0000000033334444)\n"
	 "kernel stack overflow (double-fault): 0000 [#1] SMP\n" RIP("recurse")
			TRACE PANIC("Fatal exception in interrupt"),
		"BUG: stack guard page was hit in recurse", "BUG: stack guard page was hit|recurse" REST},
	{"BUG: TASK stack guard page was hit at ffffc90000100000 (stack is "
	 "ffffc90000101000..ffffc90000105000)\n"
	 "Oops: stack guard page: 0000 [#1] SMP\n" RIP("recurse") TRACE FATAL,
		"BUG: stack guard page was hit in recurse", "BUG: stack guard page was hit|recurse" REST},
	{"traps: PANIC: double fault, error_code: 0x0\ndouble fault: 0000 [#1] SMP\n" RIP("no_stack")
			TRACE FATAL,
		"double fault in no_stack", "double fault|no_stack" REST},
	/* BUG() and WARN() */
	{"------------[ cut here ]------------\nkernel BUG at fs/some/inode.c:1234!\ninvalid opcode: 0000 "
	 "[#1] SMP\n" RIP("evict_thing") TRACE FATAL,
		"kernel BUG at fs/some/inode.c in evict_thing",
		"kernel BUG at fs/some/inode.c|evict_thing" REST},
	{"kernel BUG at mm/slub.c:99!\nOops: invalid opcode: 0000 [#1] SMP\n" RIP("free_thing.part.0")
			TRACE FATAL,
		"kernel BUG at mm/slub.c in free_thing", "kernel BUG at mm/slub.c|free_thing" REST},
	{"WARNING: CPU: 0 PID: 1 at kernel/some/file.c:55 check_thing+0x12/0x30\n" CPU RIP("check_thing")
			TRACE END PANIC("panic_on_warn set ...") PANIC_TRACE,
		"WARNING at kernel/some/file.c in check_thing",
		"WARNING at kernel/some/file.c|check_thing" REST},
	{"WARNING: kernel/some/file.c:55 at check_thing+0x12/0x30, CPU#0: sh/77\n" RIP("check_thing")
			TRACE END PANIC("kernel: panic_on_warn set ..."),
		"WARNING at kernel/some/file.c in check_thing",
		"WARNING at kernel/some/file.c|check_thing" REST},
	{"WARNING: possible circular locking dependency detected\n" TRACE PANIC("panic_on_warn set ..."),
		"WARNING: possible circular locking dependency detected in outer_write",
		"WARNING: possible circular locking dependency "
		"detected|outer_write|vfs_something|ksys_thing"},
	/* a warning that went before has nothing to do with it */
	{"WARNING: CPU: 0 PID: 1 at kernel/a.c:5 check+0x1/0x2\n" RIP("check")
			TRACE END NULL_POINTER OOPS("1") RIP("bad_write") TRACE FATAL,
		"BUG: kernel NULL pointer dereference in bad_write",
		"BUG: kernel NULL pointer dereference|bad_write" REST},
	{"WARNING: CPU: 0 PID: 1 at kernel/a.c:5 check+0x1/0x2\n" RIP("check") TRACE END "all is well\n",
		"", ""},
	/* lockups and stalls */
	{"watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [spinner:432]\n" CPU RIP("spin")
			TRACE PANIC("softlockup: hung tasks"),
		"BUG: soft lockup in spin", "BUG: soft lockup|spin" REST},
	{"NMI watchdog: Watchdog detected hard LOCKUP on cpu 1\n" CPU RIP("spin_irq")
			TRACE PANIC("Hard LOCKUP"),
		"hard LOCKUP in spin_irq", "hard LOCKUP|spin_irq" REST},
	{"watchdog: CPU1: Watchdog detected hard LOCKUP on cpu 1\n" RIP("spin_irq")
			TRACE PANIC("Hard LOCKUP"),
		"hard LOCKUP in spin_irq", "hard LOCKUP|spin_irq" REST},
	{"INFO: task mount:321 blocked for more than 120 seconds.\n      Not tainted\ntask:mount state:D "
	 "stack:0 pid:321\n"
	 "Call Trace:\n <TASK>\n __schedule+0x1/0x2\n schedule+0x1/0x2\n io_schedule+0x1/0x2\n "
	 "wait_for_thing+0x1/0x2\n mount_thing+0x1/0x2\n </TASK>\n" PANIC("hung_task: blocked tasks"),
		"INFO: task hung in wait_for_thing", "INFO: task hung|wait_for_thing|mount_thing"},
	{"rcu: INFO: rcu_preempt self-detected stall on CPU\nrcu: \t1-....: (2100 ticks this GP)\n" RIP(
		 "busy") TRACE PANIC("RCU Stall"),
		"INFO: rcu stall in busy", "INFO: rcu stall|busy" REST},
	{"rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n" RIP("busy") TRACE PANIC("RCU Stall"),
		"INFO: rcu stall in busy", "INFO: rcu stall|busy" REST},
	{"BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 33s!\n",
		"BUG: workqueue lockup", "BUG: workqueue lockup"},
	/* what checks itself */
	{"BUG: KASAN: slab-use-after-free in read_gone+0x34/0x50\nRead of size 8 at addr ffff888012345678 "
	 "by task sh/77\n" CPU
	 "Call Trace:\n <TASK>\n dump_stack_lvl+0x1/0x2\n print_report+0x1/0x2\n kasan_report+0x1/0x2\n "
	 "read_gone+0x34/0x50\n caller+0x1/0x2\n </TASK>\n" PANIC("KASAN: panic_on_warn set ..."),
		"KASAN: slab-use-after-free in read_gone", "KASAN: slab-use-after-free|read_gone|caller"},
	{"BUG: KASAN: stack-out-of-bounds in walk.constprop.0+0x1/0x2\n" PANIC(
		 "kernel: panic_on_warn set ..."),
		"KASAN: stack-out-of-bounds in walk", "KASAN: stack-out-of-bounds|walk"},
	{"BUG: KFENCE: use-after-free read in read_gone+0x1/0x2\n",
		"KFENCE: use-after-free read in read_gone", "KFENCE: use-after-free read|read_gone"},
	{"BUG: KMSAN: uninit-value in use_it+0x1/0x2\n", "KMSAN: uninit-value in use_it",
		"KMSAN: uninit-value|use_it"},
	{"BUG: KCSAN: data-race in one+0x1/0x2 / two.isra.0+0x3/0x4\n", "KCSAN: data-race in one / two",
		"KCSAN: data-race in one / two"},
	{"UBSAN: array-index-out-of-bounds in drivers/some/dev.c:77:12\nindex 9 is out of range for type "
	 "'int [8]'\n" CPU
	 "Call Trace:\n <TASK>\n dump_stack_lvl+0x1/0x2\n __ubsan_handle_out_of_bounds+0x1/0x2\n "
	 "pick+0x1/0x2\n </TASK>\n" PANIC("UBSAN: panic_on_warn set ..."),
		"UBSAN: array-index-out-of-bounds in drivers/some/dev.c",
		"UBSAN: array-index-out-of-bounds in drivers/some/dev.c|pick"},
	{"BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580\n" CPU
	 "Call Trace:\n <TASK>\n __might_resched+0x1/0x2\n lock_it+0x1/0x2\n </TASK>\n",
		"BUG: sleeping function called from invalid context at kernel/locking/mutex.c in lock_it",
		"BUG: sleeping function called from invalid context at kernel/locking/mutex.c|lock_it"},
	{"BUG: scheduling while atomic: worker/77/0x00000002\n" TRACE PANIC(
		 "scheduling while atomic: worker/77"),
		"BUG: scheduling while atomic in outer_write",
		"BUG: scheduling while atomic|outer_write|vfs_something|ksys_thing"},
	{"BUG: spinlock bad magic on CPU#3, worker/77\n lock: 0xffff888001234567, .magic: 00000000\n" TRACE,
		"BUG: spinlock bad magic on CPU#N in outer_write",
		"BUG: spinlock bad magic on CPU#N|outer_write|vfs_something|ksys_thing"},
	{"BUG: Bad page state in process worker  pfn:12345\n" TRACE, "BUG: Bad page state in outer_write",
		"BUG: Bad page state|outer_write|vfs_something|ksys_thing"},
	/* panics that say it themselves */
	{"sysrq: Trigger a crash\n" PANIC("sysrq triggered crash") PANIC_TRACE,
		"Kernel panic: sysrq triggered crash",
		"Kernel panic: sysrq triggered crash|who_panics|outer_write"},
	{PANIC("VFS: Unable to mount root fs on unknown-block(0,0)") PANIC_TRACE,
		"Kernel panic: VFS: Unable to mount root fs on unknown-block(N,N)",
		"Kernel panic: VFS: Unable to mount root fs on unknown-block(N,N)|who_panics|outer_write"},
	{PANIC("Attempted to kill init! exitcode=0x00000100") PANIC_TRACE,
		"Kernel panic: Attempted to kill init! exitcode=X",
		"Kernel panic: Attempted to kill init! exitcode=X|who_panics|outer_write"},
	{NULL_POINTER OOPS("1") RIP("in_init")
			TRACE END PANIC("Attempted to kill init! exitcode=0x00000009") PANIC_TRACE,
		"BUG: kernel NULL pointer dereference in in_init",
		"BUG: kernel NULL pointer dereference|in_init" REST},
	{"worker invoked oom-killer: gfp_mask=0xcc0\n" PANIC(
		 "Out of memory: system-wide panic_on_oom is enabled") PANIC_TRACE,
		"Kernel panic: Out of memory: system-wide panic_on_oom is enabled",
		"Kernel panic: Out of memory: system-wide panic_on_oom is enabled|who_panics|outer_write"},
	{PANIC("System is deadlocked on memory"), "Kernel panic: System is deadlocked on memory",
		"Kernel panic: System is deadlocked on memory"},
	{"mce: [Hardware Error]: CPU 0: Machine Check Exception: 5 Bank 4: be00000000000000\n" PANIC(
		 "Fatal machine check"),
		"Kernel panic: Fatal machine check", "Kernel panic: Fatal machine check"},
	{PANIC("stack-protector: Kernel stack is corrupted in: smash.part.0+0x12/0x34") PANIC_TRACE,
		"Kernel panic: stack-protector: Kernel stack is corrupted in: smash",
		"Kernel panic: stack-protector: Kernel stack is corrupted in: "
		"smash|who_panics|outer_write"},
	{PANIC("No working init found.  Try passing init= option to kernel."),
		"Kernel panic: No working init found.  Try passing init= option to kernel",
		"Kernel panic: No working init found.  Try passing init= option to kernel"},
	{PANIC("corrupted stack end detected inside scheduler"),
		"Kernel panic: corrupted stack end detected inside scheduler",
		"Kernel panic: corrupted stack end detected inside scheduler"},
	/* an echo of nothing */
	{PANIC("Fatal exception"), "Kernel panic: Fatal exception", "Kernel panic: Fatal exception"},
	/* the newest counts: the log of a kernel that kexec started may be there */
	{PANIC("an old one") "Linux version 6.12\n" PANIC("a new one"), "Kernel panic: a new one",
		"Kernel panic: a new one"},
	/* no crash */
	{"Linux version 6.12\nCommand line: root=/dev/vda\nRun /sbin/init as init process\n", "", ""},
	{"rcu: INFO: rcu_preempt is fine\nINFO: task mount:321 did well\nBUG\nOops\nOops: \n[#1]\n: [#1]\n",
		"", ""},
	{"", "", ""},
};

static const char *log_text;

static bool line_of(void *arg, uint64_t index, char line[SIGNATURE_LINE_MAX])
{
	const char *at = log_text;

	(void)arg;
	while (index--) {
		at = strchr(at, '\n');
		if (!at)
			return false;
		at++;
	}
	snprintf(line, SIGNATURE_LINE_MAX, "%.*s", (int)strcspn(at, "\n"), at);
	return true;
}

static void make(const char *text, struct signature *ret)
{
	uint64_t nr = 0;

	log_text = text;
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		nr++;
	signature_make(ret, nr, line_of, NULL);
}

START_TEST(every_kind_of_crash_has_its_title_and_signature)
{
	struct signature signature;

	make(oopses[_i].log, &signature);
	ck_assert_str_eq(signature.title, oopses[_i].title);
	ck_assert_str_eq(signature.text, oopses[_i].signature);
}
END_TEST

/* The same crash elsewhere and later: all numbers differ, and so do suffixes. */
START_TEST(two_of_a_kind_have_one_signature)
{
	struct signature a, b;
	char other[4096];

	make(oopses[_i].log, &a);
	snprintf(other, sizeof(other), "%s", oopses[_i].log);
	for (char *at = other; (at = strstr(at, "+0x")); at++)
		at[3] = '7';
	for (char *at = other; (at = strstr(at, "PID: ")); at++)
		at[5] = '9';
	for (char *at = other; (at = strstr(at, "CPU#")); at++)
		at[4] = '9';
	for (char *at = other; (at = strstr(at, "ffff8")); at++)
		at[5] = 'c';
	make(other, &b);
	ck_assert_str_eq(a.title, b.title);
	ck_assert_str_eq(a.text, b.text);
}
END_TEST

START_TEST(hostile_lines_end_and_are_printable)
{
	static const char *const starts[] = {"Kernel panic - not syncing: ", "BUG: ", "BUG: KASAN: x in ",
		"WARNING: CPU: 1 at ", "UBSAN: x in ", "kernel BUG at ", "Oops: ", "x: 0000 [#1]",
		"RIP: 0010:", "watchdog: watchdog: watchdog: "};
	char text[2048];
	struct signature signature;
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", starts[_i]);

	for (size_t i = len; i < sizeof(text) - 2; i++)
		text[i] = (char)(i % 7 ? 'A' + i % 60 : 0x80 + i % 128);
	text[sizeof(text) - 2] = '\n';
	text[sizeof(text) - 1] = '\0';
	for (char *at = text; (at = strchr(at, '\n')) && at < text + sizeof(text) - 2; at++)
		*at = 'x';
	make(text, &signature);
	ck_assert_uint_lt(strlen(signature.title), sizeof(signature.title));
	for (const char *c = signature.title; *c; c++)
		ck_assert(*c >= ' ' && *c <= '~');
	for (const char *c = signature.text; *c; c++)
		ck_assert(*c >= ' ' && *c <= '~');
}
END_TEST

Suite *suite_signature(void)
{
	Suite *suite = suite_create("signature");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, every_kind_of_crash_has_its_title_and_signature, 0, ARRAY_LEN(oopses));
	tcase_add_loop_test(tc, two_of_a_kind_have_one_signature, 0, ARRAY_LEN(oopses));
	tcase_add_loop_test(tc, hostile_lines_end_and_are_printable, 0, 10);
	suite_add_tcase(suite, tc);
	return suite;
}
