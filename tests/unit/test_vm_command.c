/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_vm_command.c - vmm/machine/vm.c and vm_command.c: vCPU threads do as they are told, whatever is told
 * next, and however soon.  The threads are real, the guests in them count.
 */
#include "dump/base/io.h"
#include "tests/unit/chance.h"
#include "tests/unit/suites.h"
#include "vmm/host/console.h"
#include "vmm/machine/vm.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define VCPUS 3u
/* far more than a thread that is not forgotten needs, on any host */
#define PATIENCE_NS (20 * NSEC_PER_SEC)
#define ROUNDS 3000

static struct vm *vm;
static struct vm_shared shared;
static struct console console;
static struct vcpu vcpus[VCPUS];
static struct kvm_run runs[VCPUS];
static _Atomic uint64_t counts[VCPUS];
static _Atomic uint32_t parks[VCPUS];

/* Some exits take their time before the thread looks for its command again. */
static void run(void *opaque)
{
	struct vcpu *vcpu = opaque;

	while (atomic_load(&vm->command) == VM_RUN) {
		atomic_fetch_add(&counts[vcpu->id], 1);
		sched_yield();
	}
	if (vcpu->id)
		usleep(vcpu->id * 20);
}

static void resumed(void *opaque)
{
	(void)opaque;
	sched_yield();
}

static void park(void *opaque)
{
	struct vcpu *vcpu = opaque;

	atomic_fetch_add(&parks[vcpu->id], 1);
}

static void *thread(void *opaque)
{
	static const struct vm_duties duties = {.run = run, .resumed = resumed, .park = park};

	vm_obey(vm, &duties, opaque);
	return NULL;
}

static void setup(void)
{
	pthread_condattr_t attr;

	ck_assert_int_eq(vcpu_kick_init(), 0);
	vm = calloc(1, sizeof(*vm));
	ck_assert_ptr_nonnull(vm);
	ck_assert_int_eq(console_open(&console, "none", 0), 0);
	shared = (struct vm_shared){.console = &console};
	vm->shared = &shared;
	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->commanded, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&vm->parked, &attr);
	vm->vcpus = vcpus;
	for (uint32_t i = 0; i < VCPUS; i++) {
		vcpus[i] = (struct vcpu){.vm = vm, .id = i, .run = &runs[i]};
		ck_assert_int_eq(pthread_create(&vcpus[i].thread, NULL, thread, &vcpus[i]), 0);
		vm->nr_vcpus_created++;
	}
}

static void teardown(void)
{
	vm_quit(vm);
	for (uint32_t i = 0; i < VCPUS; i++)
		pthread_join(vcpus[i].thread, NULL);
	console_close(&console);
	free(vm);
}

/* Every guest gets on. */
static void all_run(const char *after)
{
	uint64_t end = clock_mono_ns() + PATIENCE_NS;

	for (uint32_t i = 0; i < VCPUS; i++) {
		uint64_t before = atomic_load(&counts[i]);

		while (atomic_load(&counts[i]) == before) {
			ck_assert_msg(clock_mono_ns() < end, "vCPU %u stands still after %s", i, after);
			sched_yield();
		}
	}
}

START_TEST(a_vm_that_is_resumed_runs_on_every_vcpu_however_short_the_pause_was)
{
	vm_start(vm);
	for (int i = 0; i < ROUNDS; i++) {
		(void)vm_pause(vm, 0); /* some have stopped, some are about to */
		if (chance_below(2))
			usleep((useconds_t)chance_below(60));
		vm_resume(vm);
		if (chance_below(2))
			continue; /* and at once again */
		all_run("a pause");
	}
	all_run("many pauses");
}
END_TEST

START_TEST(a_pause_is_waited_for_until_all_stand_still_even_right_after_a_resume)
{
	vm_start(vm);
	for (int i = 0; i < ROUNDS / 10; i++) {
		ck_assert_uint_eq(vm_pause(vm, PATIENCE_NS), 0);
		vm_resume(vm);
	}
	all_run("many pauses");
}
END_TEST

START_TEST(asked_to_park_more_than_once_and_while_paused_each_vcpu_parks_once)
{
	vm_start(vm);
	all_run("the start");
	(void)vm_pause(vm, 0);
	vm_ask_to_park(vm);
	vm_ask_to_park(vm);
	ck_assert_int_eq(vm_park(vm, PATIENCE_NS), 0);
	ck_assert_int_eq(vm_park(vm, PATIENCE_NS), 0);
	for (uint32_t i = 0; i < VCPUS; i++)
		ck_assert_uint_eq(atomic_load(&parks[i]), 1);
	ck_assert_uint_eq(vm->nr_parked, VCPUS);
}
END_TEST

Suite *suite_vm_command(void)
{
	Suite *suite = suite_create("vm command");
	TCase *tcase = tcase_create("commands");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_vm_that_is_resumed_runs_on_every_vcpu_however_short_the_pause_was);
	tcase_add_test(tcase, a_pause_is_waited_for_until_all_stand_still_even_right_after_a_resume);
	tcase_add_test(tcase, asked_to_park_more_than_once_and_while_paused_each_vcpu_parks_once);
	suite_add_tcase(suite, tcase);
	return suite;
}
