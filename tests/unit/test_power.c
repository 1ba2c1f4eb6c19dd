/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_power.c - vmm/machine/power.c and vmm/machine/pvpanic.c: what a guest's port writes do to its VM */
#include "tests/unit/suites.h"
#include "vmm/memory/gmem.h"
#include "vmm/machine/power.h"
#include "vmm/machine/vm.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct vm *vm;
static struct vm_shared shared;

static void setup(void)
{
	vm = calloc(1, sizeof(*vm));
	ck_assert_ptr_nonnull(vm);
	shared.notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm->shared = &shared;
	bus_init(&vm->ports, "port");
	ck_assert_int_eq(power_add(vm), 0);
	ck_assert_int_eq(pvpanic_add(vm), 0);
}

static void teardown(void)
{
	close(shared.notify_fd);
	free(vm);
}

static uint8_t in(uint16_t port)
{
	uint8_t value;

	bus_read(&vm->ports, 0, port, &value, 1);
	return value;
}

static void runs_on_after(uint16_t port, uint8_t value)
{
	ck_assert_int_eq(bus_write(&vm->ports, 1, port, &value, 1), BUS_CONTINUE);
	ck_assert(!atomic_load(&vm->ended));
}

static void ends_with(uint16_t port, uint8_t value, enum vm_end_kind kind)
{
	uint64_t rung;

	ck_assert_int_eq(bus_write(&vm->ports, 1, port, &value, 1), BUS_STOP);
	ck_assert(atomic_load(&vm->end_valid));
	ck_assert_int_eq(vm->end.kind, kind);
	ck_assert_uint_eq(vm->end.cpu, 1);
	ck_assert_uint_gt(vm->end.ns, 0);
	ck_assert_int_eq(read(shared.notify_fd, &rung, sizeof(rung)), sizeof(rung));
}

START_TEST(the_sleep_register_powers_off_with_type_and_enable_bit_only)
{
	runs_on_after(PORT_SLEEP_CONTROL, 0);
	runs_on_after(PORT_SLEEP_CONTROL, SLEEP_TYPE_S5 << 2);
	runs_on_after(PORT_SLEEP_CONTROL, 0x20);
	runs_on_after(PORT_SLEEP_STATUS, 0x20 | SLEEP_TYPE_S5 << 2);
	ck_assert_uint_eq(in(PORT_SLEEP_STATUS), 0);
	ends_with(PORT_SLEEP_CONTROL, 0x20 | SLEEP_TYPE_S5 << 2, VM_END_POWER_OFF);
	ck_assert_uint_eq(vm->end.detail, 0);
}
END_TEST

START_TEST(the_reset_register_reboots_when_its_bit_is_set)
{
	runs_on_after(PORT_RESET, 0x02); /* Linux chooses the kind of reset first */
	ck_assert_uint_eq(in(PORT_RESET), 0);
	ends_with(PORT_RESET, 0x06, VM_END_REBOOT);
}
END_TEST

START_TEST(the_reset_vector_reboots_by_the_reset_register)
{
	static const uint8_t expected[] = {0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee}; /* mov dx, mov al, out */
	int shm = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct region region;
	uint8_t code[16];

	ck_assert_int_eq(region_create(&region, shm, MIB(16)), 0);
	close(shm);
	ck_assert_int_eq(power_put_reset_vector(&region), 0);
	ck_assert_int_eq(gmem_copy_in(&region, 0xffff0, code, sizeof(code)), 0);
	ck_assert_mem_eq(code, expected, sizeof(expected));
	region_destroy(&region);
}
END_TEST

START_TEST(the_keyboard_controllers_reset_line_reboots)
{
	ck_assert_uint_eq(in(PORT_KEYBOARD)&0x02, 0); /* it takes commands */
	runs_on_after(PORT_KEYBOARD, 0xaa);
	runs_on_after(PORT_KEYBOARD, 0xff); /* pulses no line */
	ends_with(PORT_KEYBOARD, 0xfe, VM_END_REBOOT);
}
END_TEST

START_TEST(a_panic_told_through_pvpanic_is_a_crash_with_that_reason)
{
	ck_assert_uint_eq(in(PORT_PVPANIC), 7); /* understood: panicked, crash-loaded, shutdown */
	runs_on_after(PORT_PVPANIC, 0);
	runs_on_after(PORT_PVPANIC, 0x80);
	ends_with(PORT_PVPANIC, 1, VM_END_CRASH);
	ck_assert_int_eq(vm->end.reason, DUMP_REASON_PVPANIC);
	ck_assert_str_eq(dump_reason_name(vm->end.reason), "pvpanic");
	ck_assert_uint_eq(vm->end.detail, 1);
}
END_TEST

START_TEST(a_guest_with_a_crash_kernel_is_left_alone)
{
	uint64_t rung;

	runs_on_after(PORT_PVPANIC, 2);
	ck_assert(atomic_load(&vm->crash_loaded));
	ck_assert_int_eq(read(shared.notify_fd, &rung, sizeof(rung)), sizeof(rung));
	runs_on_after(PORT_PVPANIC, 2); /* said once */
	ck_assert_int_lt(read(shared.notify_fd, &rung, sizeof(rung)), 0);
}
END_TEST

START_TEST(a_shutdown_told_through_pvpanic_is_a_power_off)
{
	ends_with(PORT_PVPANIC, 4, VM_END_POWER_OFF);
}
END_TEST

Suite *suite_power(void)
{
	Suite *suite = suite_create("power");
	TCase *tc = tcase_create("ports");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_sleep_register_powers_off_with_type_and_enable_bit_only);
	tcase_add_test(tc, the_reset_register_reboots_when_its_bit_is_set);
	tcase_add_test(tc, the_reset_vector_reboots_by_the_reset_register);
	tcase_add_test(tc, the_keyboard_controllers_reset_line_reboots);
	tcase_add_test(tc, a_panic_told_through_pvpanic_is_a_crash_with_that_reason);
	tcase_add_test(tc, a_guest_with_a_crash_kernel_is_left_alone);
	tcase_add_test(tc, a_shutdown_told_through_pvpanic_is_a_power_off);
	suite_add_tcase(suite, tc);
	return suite;
}
