/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_serial.c - vmm/devices/serial.c as a driver sees it: through the port bus, register by
 * register.  Names of registers and bits: PC16550D data sheet.
 */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "vmm/devices/serial.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define BASE 0x3f8
enum { DATA = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };
#define IER_RX 1
#define IER_THRE 2
#define IIR_NONE 1
#define IIR_THRE 2
#define IIR_RX 4
#define DLAB 0x80
#define LOOP 0x10

static struct scratch scratch;
static struct console console;
static const uint32_t generation;
static struct serial serial;
static struct bus ports;
static _Atomic bool stop;
static bool irq;           /* the line's level */
static unsigned irq_edges; /* changes of it */
static char output[128];

static void set_irq(void *opaque, bool level)
{
	ck_assert_ptr_eq(opaque, &irq);
	ck_assert_msg(level != irq, "told the level it has already");
	irq = level;
	irq_edges++;
}

static void setup(void)
{
	scratch_init(&scratch);
	irq = false;
	irq_edges = 0;
	ck_assert_int_eq(
		console_open(&console, scratch_path(&scratch, "out", output, sizeof(output)), 0), 0);
	bus_init(&ports, "port");
	serial_init(&serial, &console, &generation, &stop, set_irq, &irq);
	ck_assert_int_eq(serial_add(&serial, &ports, BASE), 0);
}

static void teardown(void)
{
	serial_fini(&serial);
	console_close(&console);
	scratch_fini(&scratch);
}

static uint8_t in(unsigned reg)
{
	uint8_t value;

	bus_read(&ports, 0, BASE + reg, &value, 1);
	return value;
}

static void out(unsigned reg, uint8_t value)
{
	ck_assert_int_eq(bus_write(&ports, 0, BASE + reg, &value, 1), BUS_CONTINUE);
}

static void receives(const char *text)
{
	serial_input(&serial, text, strlen(text));
}

static void check_output(const char *expected)
{
	autoclose int fd = open(output, O_RDONLY | O_CLOEXEC);
	char text[64] = "";
	struct stat st;

	console_flush(&console, NSEC_PER_SEC);
	ck_assert(fd >= 0 && !fstat(fd, &st) && st.st_size < (off_t)sizeof(text));
	ck_assert_int_eq(io_pread_full(fd, text, (size_t)st.st_size, 0), 0);
	ck_assert_str_eq(text, expected);
}

/* ---- registers ---------------------------------------------------------------------------------- */

START_TEST(at_first_nothing_is_pending_and_the_transmitter_is_empty)
{
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert_uint_eq(in(IIR), IIR_NONE);
	ck_assert_uint_eq(in(IER), 0);
	ck_assert_uint_eq(in(MSR), 0xb0); /* CTS, DSR, DCD: somebody listens */
	ck_assert(!irq);
}
END_TEST

START_TEST(bytes_that_are_sent_reach_the_console_in_order)
{
	for (const char *c = "hello\r\n"; *c; c++) {
		ck_assert_uint_eq(in(LSR)&0x20, 0x20);
		out(DATA, (uint8_t)*c);
	}
	check_output("hello\r\n");
}
END_TEST

START_TEST(with_dlab_the_first_two_registers_are_the_divisor)
{
	out(IER, IER_RX);
	receives("q");
	out(LCR, DLAB | 3);
	out(DATA, 0x0c);
	out(IER, 0x01);
	ck_assert_uint_eq(in(DATA), 0x0c);
	ck_assert_uint_eq(in(IER), 0x01);
	out(LCR, 3);
	ck_assert_uint_eq(in(LCR), 3);
	ck_assert_uint_eq(in(IER), IER_RX);
	ck_assert_uint_eq(in(DATA), 'q'); /* setting the divisor took nothing from the FIFO */
	check_output("");                 /* and sent nothing */
}
END_TEST

START_TEST(the_scratch_register_keeps_what_is_written)
{
	out(SCR, 0xa5);
	ck_assert_uint_eq(in(SCR), 0xa5);
	out(SCR, 0x5a);
	ck_assert_uint_eq(in(SCR), 0x5a);
}
END_TEST

START_TEST(status_registers_cannot_be_written)
{
	out(LSR, 0);
	out(MSR, 0);
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert_uint_eq(in(MSR), 0xb0);
}
END_TEST

START_TEST(registers_keep_only_the_bits_that_they_have)
{
	out(IER, 0xff);
	ck_assert_uint_eq(in(IER), 0x0f); /* how drivers tell a 16550 from later chips */
	out(MCR, 0xff);
	ck_assert_uint_eq(in(MCR), 0x1f);
}
END_TEST

START_TEST(enabling_the_fifo_shows_in_iir)
{
	ck_assert_uint_eq(in(IIR)&0xc0, 0);
	out(FCR, 1);
	ck_assert_uint_eq(in(IIR)&0xc0, 0xc0);
	out(FCR, 0);
	ck_assert_uint_eq(in(IIR)&0xc0, 0);
}
END_TEST

START_TEST(in_loop_back_mode_bytes_and_modem_lines_come_back_and_nothing_is_sent)
{
	out(MCR, LOOP);
	out(DATA, 'z');
	ck_assert_uint_eq(in(LSR)&1, 1);
	ck_assert_uint_eq(in(DATA), 'z');
	ck_assert_uint_eq(in(LSR)&1, 0);
	check_output("");
	ck_assert_uint_eq(in(MSR)&0xf0, 0);
	out(MCR, LOOP | 1); /* DTR comes back as DSR */
	ck_assert_uint_eq(in(MSR)&0xf0, 0x20);
	out(MCR, LOOP | 2); /* RTS as CTS */
	ck_assert_uint_eq(in(MSR)&0xf0, 0x10);
	out(MCR, LOOP | 4); /* OUT1 as RI */
	ck_assert_uint_eq(in(MSR)&0xf0, 0x40);
	out(MCR, LOOP | 8); /* OUT2 as DCD */
	ck_assert_uint_eq(in(MSR)&0xf0, 0x80);
	out(MCR, LOOP | 0xa); /* what Linux's probe writes and expects */
	ck_assert_uint_eq(in(MSR)&0xf0, 0x90);
}
END_TEST

/* ---- receiving ---------------------------------------------------------------------------------- */

START_TEST(input_is_read_in_order_and_lsr_tells_when_there_is_some)
{
	receives("ab");
	ck_assert_uint_eq(in(LSR), 0x61);
	ck_assert_uint_eq(in(DATA), 'a');
	ck_assert_uint_eq(in(LSR), 0x61);
	ck_assert_uint_eq(in(DATA), 'b');
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert_uint_eq(in(DATA), 0);
}
END_TEST

START_TEST(input_beyond_the_fifo_is_dropped_and_what_came_first_stays)
{
	char byte;

	for (int i = 0; i < 300; i++) /* the ring's start is somewhere in its middle */
		receives("x"), (void)in(DATA);
	for (int i = 0; i < SERIAL_FIFO + 100; i++) {
		byte = (char)(i * 3);
		serial_input(&serial, &byte, 1);
	}
	for (int i = 0; i < SERIAL_FIFO; i++) {
		ck_assert_uint_eq(in(LSR)&1, 1);
		ck_assert_uint_eq(in(DATA), (uint8_t)(i * 3));
	}
	ck_assert_uint_eq(in(LSR)&1, 0);
}
END_TEST

START_TEST(clearing_the_fifo_drops_the_input_and_its_interrupt)
{
	out(IER, IER_RX);
	receives("abc");
	ck_assert(irq);
	out(FCR, 3);
	ck_assert(!irq);
	ck_assert_uint_eq(in(LSR)&1, 0);
	receives("d");
	ck_assert_uint_eq(in(DATA), 'd');
}
END_TEST

/* ---- interrupts --------------------------------------------------------------------------------- */

START_TEST(input_raises_the_interrupt_until_all_of_it_is_read)
{
	out(IER, IER_RX);
	ck_assert(!irq);
	receives("ab");
	ck_assert(irq);
	ck_assert_uint_eq(in(IIR), IIR_RX);
	ck_assert(irq); /* reading IIR does not acknowledge this one */
	(void)in(DATA);
	ck_assert(irq);
	(void)in(DATA);
	ck_assert(!irq);
	ck_assert_uint_eq(in(IIR), IIR_NONE);
	ck_assert_uint_eq(irq_edges, 2);
}
END_TEST

START_TEST(an_interrupt_that_is_not_enabled_stays_away_until_it_is)
{
	receives("a");
	out(DATA, 'b');
	ck_assert(!irq);
	ck_assert_uint_eq(in(IIR), IIR_NONE);
	out(IER, IER_RX);
	ck_assert(irq);
	out(IER, 0);
	ck_assert(!irq);
}
END_TEST

START_TEST(enabling_the_transmitter_interrupt_raises_it_and_reading_iir_acknowledges)
{
	out(IER, IER_THRE);
	ck_assert(irq);
	ck_assert_uint_eq(in(IIR), IIR_THRE);
	ck_assert(!irq);
	ck_assert_uint_eq(in(IIR), IIR_NONE);
	out(IER, IER_THRE); /* it was enabled already */
	ck_assert(!irq);
}
END_TEST

START_TEST(each_byte_sent_raises_the_transmitter_interrupt_again)
{
	out(IER, IER_THRE);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(in(IIR), IIR_THRE);
		ck_assert(!irq);
		out(DATA, 'x');
		ck_assert(irq);
	}
	ck_assert_uint_eq(irq_edges, 7);
	check_output("xxx");
}
END_TEST

START_TEST(received_data_comes_before_an_empty_transmitter)
{
	out(IER, IER_RX | IER_THRE);
	receives("a");
	ck_assert_uint_eq(in(IIR), IIR_RX);
	ck_assert_uint_eq(in(IIR), IIR_RX); /* and the other one was not acknowledged by that */
	(void)in(DATA);
	ck_assert(irq);
	ck_assert_uint_eq(in(IIR), IIR_THRE);
	ck_assert(!irq);
}
END_TEST

START_TEST(a_byte_sent_in_loop_back_mode_interrupts_as_received_and_as_sent)
{
	out(MCR, LOOP);
	out(IER, IER_RX | IER_THRE);
	ck_assert_uint_eq(in(IIR), IIR_THRE);
	out(DATA, 'y');
	ck_assert_uint_eq(in(IIR), IIR_RX);
	ck_assert_uint_eq(in(DATA), 'y');
	ck_assert_uint_eq(in(IIR), IIR_THRE);
	ck_assert(!irq);
}
END_TEST

START_TEST(wide_accesses_reach_one_register_and_straddling_ones_none)
{
	uint32_t wide = 0;
	uint16_t word = 0x4142;

	out(SCR, 0x77);
	bus_read(&ports, 0, BASE + SCR, &wide, 4); /* over the end of the ports */
	ck_assert_uint_eq(wide, UINT32_MAX);
	bus_write(&ports, 0, BASE + DATA, &word, 2);
	check_output("B");
}
END_TEST

Suite *suite_serial(void)
{
	Suite *suite = suite_create("serial");
	TCase *registers = tcase_create("registers"), *input = tcase_create("receiving");
	TCase *interrupts = tcase_create("interrupts");

	tcase_add_checked_fixture(registers, setup, teardown);
	tcase_add_test(registers, at_first_nothing_is_pending_and_the_transmitter_is_empty);
	tcase_add_test(registers, bytes_that_are_sent_reach_the_console_in_order);
	tcase_add_test(registers, with_dlab_the_first_two_registers_are_the_divisor);
	tcase_add_test(registers, the_scratch_register_keeps_what_is_written);
	tcase_add_test(registers, status_registers_cannot_be_written);
	tcase_add_test(registers, registers_keep_only_the_bits_that_they_have);
	tcase_add_test(registers, enabling_the_fifo_shows_in_iir);
	tcase_add_test(registers, in_loop_back_mode_bytes_and_modem_lines_come_back_and_nothing_is_sent);
	tcase_add_test(registers, wide_accesses_reach_one_register_and_straddling_ones_none);
	suite_add_tcase(suite, registers);

	tcase_add_checked_fixture(input, setup, teardown);
	tcase_add_test(input, input_is_read_in_order_and_lsr_tells_when_there_is_some);
	tcase_add_test(input, input_beyond_the_fifo_is_dropped_and_what_came_first_stays);
	tcase_add_test(input, clearing_the_fifo_drops_the_input_and_its_interrupt);
	suite_add_tcase(suite, input);

	tcase_add_checked_fixture(interrupts, setup, teardown);
	tcase_add_test(interrupts, input_raises_the_interrupt_until_all_of_it_is_read);
	tcase_add_test(interrupts, an_interrupt_that_is_not_enabled_stays_away_until_it_is);
	tcase_add_test(
		interrupts, enabling_the_transmitter_interrupt_raises_it_and_reading_iir_acknowledges);
	tcase_add_test(interrupts, each_byte_sent_raises_the_transmitter_interrupt_again);
	tcase_add_test(interrupts, received_data_comes_before_an_empty_transmitter);
	tcase_add_test(interrupts, a_byte_sent_in_loop_back_mode_interrupts_as_received_and_as_sent);
	suite_add_tcase(suite, interrupts);
	return suite;
}
