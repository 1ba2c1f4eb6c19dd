/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_gate.c - vmm/memory/gate.c: a VM touches no more memory than the budget covers */
#include "dump/base/io.h"
#include "tests/unit/suites.h"
#include "vmm/memory/gate.h"
#include "vmm/memory/gmem.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RAM MIB(64)
#define RESERVE MIB(4)
#define LIMIT (RAM + RESERVE)
/* A thread that can go on has done so by then, on a loaded machine too; one that waits is given this long. */
#define DONE_MS 10000
#define STUCK_MS 100

static char shm_path[] = "/dev/shm/minivmm-test-XXXXXX";
static int shm, proc, notify;
static struct budget budget;
static struct gate gate;
static struct region dead, next;
static struct publish_names names;

/* One thread that writes the first byte of each page of a range. */
struct toucher {
	pthread_t thread;
	uint64_t off, len;
	int done; /* eventfd */
};

static void *touch_thread(void *opaque)
{
	struct toucher *toucher = opaque;
	uint64_t one = 1;

	for (uint64_t off = 0; off < toucher->len; off += PAGE_SIZE_4K)
		((volatile char *)next.map)[toucher->off + off] = 1;
	return write(toucher->done, &one, sizeof(one)) < 0 ? opaque : NULL;
}

static void touch(struct toucher *toucher, uint64_t off, uint64_t len)
{
	*toucher = (struct toucher){.off = off, .len = len, .done = eventfd(0, EFD_CLOEXEC)};
	ck_assert_int_ge(toucher->done, 0);
	ck_assert_int_eq(pthread_create(&toucher->thread, NULL, touch_thread, toucher), 0);
}

static bool readable_in(int fd, int ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, ms) == 1;
}

static void finish(struct toucher *toucher)
{
	ck_assert_msg(readable_in(toucher->done, DONE_MS), "a touch still waits");
	ck_assert_int_eq(pthread_join(toucher->thread, NULL), 0);
	close(toucher->done);
}

static uint64_t behind(const struct region *region)
{
	struct stat st;

	ck_assert_int_eq(fstat(region->fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void give_back(uint64_t off, uint64_t len)
{
	ck_assert_int_eq(io_fallocate(dead.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 dead.layout.head + off, len),
		0);
	gate_wake(&gate);
}

static enum gate_news await_news(struct gate_report *report)
{
	uint64_t count;

	ck_assert_msg(readable_in(notify, DONE_MS), "no news from the gate");
	ck_assert_int_eq(read(notify, &count, sizeof(count)), sizeof(count));
	return gate_take_news(&gate, report);
}

/* A dead VM with @used bytes; its dump takes nothing, or @fills all that it gives back. */
static void open_gate(uint64_t used, bool fills, bool allow)
{
	ck_assert_int_eq(io_fallocate(dead.fd, 0, dead.layout.head, used), 0);
	ck_assert_int_eq(
		budget_add(&budget,
			&(struct budget_claim){.region_fd = dead.fd, .names = &names, .fills = fills}),
		0);
	ck_assert_int_eq(gate_init(&gate, &(struct gate_options){.budget = &budget,
						  .allow = allow,
						  .block = PAGE_SIZE_4K,
						  .memory_dir_fd = shm,
						  .dump_dir_fd = allow ? -1 : shm,
						  .notify_fd = notify}),
		0);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(shm_path));
	shm = open(shm_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	proc = publish_proc_open();
	notify = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert(shm >= 0 && proc >= 0 && notify >= 0);
	ck_assert_int_eq(region_create(&dead, shm, RAM), 0);
	ck_assert_int_eq(region_create(&next, shm, RAM), 0);
	budget_init(&budget, LIMIT, 0, 0, shm, shm);
	gate_none(&gate);
	publish_names_init(&names, "g-20260101T000000.000Z-g0");
}

static void teardown(void)
{
	gate_fini(&gate);
	budget_fini(&budget);
	region_destroy(&dead);
	region_destroy(&next);
	unlinkat(shm, names.final, 0);
	close(shm);
	close(proc);
	close(notify);
	rmdir(shm_path);
}

START_TEST(a_vm_that_the_budget_covers_is_not_gated)
{
	struct toucher toucher;

	open_gate(RESERVE, false, false);
	ck_assert_int_eq(gate_attach(&gate, &next, 1), 0);
	ck_assert_ptr_null(atomic_load(&next.gate));
	touch(&toucher, 0, RAM);
	finish(&toucher);
	ck_assert_uint_eq(gate_granted(&gate), 0);
}
END_TEST

START_TEST(a_touch_beyond_the_budget_waits_until_memory_is_given_back)
{
	struct gate_report report;
	struct toucher toucher;

	open_gate(RAM, false, false);
	ck_assert_int_eq(gate_attach(&gate, &next, 1), 1);
	touch(&toucher, 0, RAM);
	ck_assert_msg(!readable_in(toucher.done, STUCK_MS), "more was touched than there is");
	ck_assert_uint_eq(gate_stalled_until(&gate), UINT64_MAX);
	ck_assert_uint_le(behind(&next), RESERVE);
	give_back(0, MIB(16));
	ck_assert_msg(!readable_in(toucher.done, STUCK_MS), "more was touched than there is");
	ck_assert_uint_le(behind(&next), RESERVE + MIB(16));
	ck_assert_uint_gt(behind(&next), RESERVE);
	give_back(0, RAM);
	finish(&toucher);
	ck_assert_int_eq(await_news(&report), GATE_OVER);
	ck_assert_uint_eq(report.generation, 1);
	ck_assert_uint_eq(report.uncovered, 0);
	ck_assert_uint_ge(report.waits, 1);
	ck_assert_uint_ge(report.longest_ns, STUCK_MS / 2 * NSEC_PER_MSEC);
	ck_assert_uint_ne(gate_stalled_until(&gate), UINT64_MAX);
}
END_TEST

START_TEST(what_was_populated_before_never_waits)
{
	struct toucher toucher;

	memset(next.map + MIB(8), 1, RESERVE);
	open_gate(RAM, false, false);
	ck_assert_int_eq(gate_attach(&gate, &next, 1), 1);
	ck_assert_uint_eq(gate_granted(&gate), RESERVE);
	touch(&toucher, MIB(8), RESERVE);
	finish(&toucher);
	ck_assert_uint_eq(gate_granted(&gate), RESERVE);
}
END_TEST

static void *copy(void *opaque)
{
	struct toucher *toucher = opaque;
	uint64_t one = 1;

	if (gmem_copy_out(&next, MIB(40) - 1, "xy", 2))
		return opaque;
	return write(toucher->done, &one, sizeof(one)) < 0 ? opaque : NULL;
}

START_TEST(a_write_through_the_file_waits_as_well)
{
	struct toucher toucher;
	pthread_t thread;

	open_gate(RAM, false, false);
	ck_assert_int_eq(gate_attach(&gate, &next, 1), 1);
	touch(&toucher, 0, RESERVE);
	finish(&toucher);
	toucher.done = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(pthread_create(&thread, NULL, copy, &toucher), 0);
	ck_assert_msg(!readable_in(toucher.done, STUCK_MS), "the write took memory that is not there");
	ck_assert_uint_le(behind(&next), RESERVE);
	give_back(0, MIB(16));
	ck_assert(readable_in(toucher.done, DONE_MS));
	pthread_join(thread, NULL);
	close(toucher.done);
}
END_TEST

START_TEST(who_waits_goes_on_when_the_vm_is_to_stop)
{
	struct toucher touchers[3];

	open_gate(RAM, false, false);
	ck_assert_int_eq(gate_attach(&gate, &next, 1), 1);
	for (size_t i = 0; i < ARRAY_LEN(touchers); i++)
		touch(&touchers[i], i * MIB(20), MIB(20));
	ck_assert(!readable_in(touchers[0].done, STUCK_MS));
	gate_detach(&gate, &dead); /* not the one that is gated: nothing happens */
	ck_assert(!readable_in(touchers[0].done, STUCK_MS));
	gate_detach(&gate, &next);
	for (size_t i = 0; i < ARRAY_LEN(touchers); i++)
		finish(&touchers[i]);
	ck_assert_ptr_null(atomic_load(&next.gate));
}
END_TEST

START_TEST(a_dump_that_fills_its_memory_lets_the_vm_exceed_the_budget_where_that_is_allowed)
{
	struct gate_report report;
	struct toucher toucher;

	open_gate(RAM, true, true);
	ck_assert_int_eq(gate_attach(&gate, &next, 1), 0);
	ck_assert_int_eq(await_news(&report), GATE_OVER);
	ck_assert_uint_eq(report.uncovered, RAM - RESERVE);
	touch(&toucher, 0, RAM);
	finish(&toucher);
}
END_TEST

START_TEST(where_it_is_not_allowed_the_vm_waits_until_a_dump_is_removed)
{
	struct gate_report report;
	struct toucher toucher;

	open_gate(RAM, true, false);
	ck_assert_int_eq(publish_link(proc, dead.fd, shm, names.final), 0);
	ck_assert_int_eq(gate_attach(&gate, &next, 1), 1);
	touch(&toucher, 0, RAM);
	ck_assert(!readable_in(toucher.done, STUCK_MS));
	/* it waits, but as long as the dump is made this is not the last word */
	ck_assert_int_eq(gate_take_news(&gate, &report), GATE_NO_NEWS);
	budget_dump_over(&budget, 0);
	region_destroy(&dead);
	budget_reaped(&budget, 0, (void (*)(void *))gate_wake, &gate);
	ck_assert_int_eq(await_news(&report), GATE_BLOCKED);
	ck_assert_uint_le(behind(&next), RESERVE);
	ck_assert_int_eq(unlinkat(shm, names.final, 0), 0);
	finish(&toucher);
	ck_assert_int_eq(await_news(&report), GATE_OVER);
}
END_TEST

/* True if some mapping of this process is registered for missing pages ("um" in VmFlags). */
static bool something_is_registered(void)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool found = false;
	char line[256];

	ck_assert_ptr_nonnull(smaps);
	while (fgets(line, sizeof(line), smaps))
		if (!strncmp(line, "VmFlags:", 8) && strstr(line, " um "))
			found = true;
	fclose(smaps);
	return found;
}

START_TEST(nothing_is_registered_when_the_handover_is_over)
{
	struct gate_report report;

	open_gate(RAM, false, false);
	ck_assert(!something_is_registered());
	ck_assert_int_eq(gate_attach(&gate, &next, 1), 1);
	ck_assert(something_is_registered());
	give_back(0, RAM);
	ck_assert_int_eq(await_news(&report), GATE_OVER);
	ck_assert(!something_is_registered());
	ck_assert_int_eq(gate_attach(&gate, &next, 2), 0);
}
END_TEST

START_TEST(while_memory_goes_over_the_budget_holds_at_every_moment)
{
	struct toucher touchers[4];
	uint64_t most = 0;

	open_gate(RAM, false, false);
	ck_assert_int_eq(gate_attach(&gate, &next, 1), 1);
	for (size_t i = 0; i < ARRAY_LEN(touchers); i++)
		touch(&touchers[i], i * (RAM / 4), RAM / 4);
	for (uint64_t off = 0; off < RAM; off += PAGE_SIZE_4K * 16) {
		give_back(off, PAGE_SIZE_4K * 16);
		/* the VM that takes is asked first: what the dead one gives in between is missed, not added */
		most = u64_max(most, behind(&next) + behind(&dead));
	}
	for (size_t i = 0; i < ARRAY_LEN(touchers); i++)
		finish(&touchers[i]);
	ck_assert_uint_le(most, LIMIT);
	ck_assert_uint_eq(behind(&next), RAM);
}
END_TEST

Suite *suite_gate(void)
{
	Suite *suite = suite_create("gate");
	TCase *tc = tcase_create("gate");
	int err = gate_probe();

	if (err) {
		printf("SKIP gate: userfaultfd: %s\n", strerror(-err));
		return suite;
	}
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_vm_that_the_budget_covers_is_not_gated);
	tcase_add_test(tc, a_touch_beyond_the_budget_waits_until_memory_is_given_back);
	tcase_add_test(tc, what_was_populated_before_never_waits);
	tcase_add_test(tc, a_write_through_the_file_waits_as_well);
	tcase_add_test(tc, who_waits_goes_on_when_the_vm_is_to_stop);
	tcase_add_test(
		tc, a_dump_that_fills_its_memory_lets_the_vm_exceed_the_budget_where_that_is_allowed);
	tcase_add_test(tc, where_it_is_not_allowed_the_vm_waits_until_a_dump_is_removed);
	tcase_add_test(tc, nothing_is_registered_when_the_handover_is_over);
	tcase_add_test(tc, while_memory_goes_over_the_budget_holds_at_every_moment);
	suite_add_tcase(suite, tc);
	return suite;
}
