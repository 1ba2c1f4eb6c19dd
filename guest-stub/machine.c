/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/machine.c - see machine.h.
 */
#include "guest-stub/machine.h"

/* 16550: line status register, transmitter empty (PC16550D data sheet, 8.6.3) */
#define UART_LSR 5
#define UART_LSR_THRE 0x20
/* our choice: a UART that is not ready after so many polls is not there */
#define UART_POLLS 100000
/* our choice: more than the largest message, below FW_CONSOLE_MAX */
#define CONSOLE_BYTES 32768

struct machine machine;

static char console_buf[CONSOLE_BYTES];
static struct text console = {.buf = console_buf, .size = sizeof(console_buf)};

uint32_t fw_prepare(void *block, uint16_t call, uint32_t size)
{
	struct fw_header *h = block;

	h->magic = FW_MAGIC;
	h->version = FW_VERSION;
	h->call = call;
	h->size = size;
	h->status = FW_PENDING;
	return (uint32_t)((uint64_t)block >> FW_BLOCK_SHIFT);
}

int32_t fw_call(void *block, uint16_t call, uint32_t size)
{
	struct fw_header *h = block;

	if (!machine.firmware)
		return FW_ENOTSUP;
	out32(FW_PORT, fw_prepare(block, call, size));
	return h->status;
}

void crash_mark_set(void)
{
	*(volatile uint64_t *)CRASH_MARK_AT = CRASH_MARK;
}

/* True if the mark is there; it is taken away. */
static bool crash_mark_take(void)
{
	volatile uint64_t *mark = (volatile uint64_t *)CRASH_MARK_AT;
	bool found = *mark == CRASH_MARK;

	*mark = 0;
	return found;
}

void machine_query(void)
{
	static struct fw_query query __attribute__((aligned(FW_BLOCK_ALIGN)));

	machine.vcpus = 1;
	machine.firmware = in32(FW_PORT) == FW_SIGNATURE;
	if (!machine.firmware) {
		machine.recovery = crash_mark_take();
		machine.generation = machine.recovery;
		return;
	}
	if (fw_call(&query, FW_QUERY, sizeof(query)) != FW_OK)
		return;
	machine.calls = query.calls;
	machine.memory = query.memory;
	machine.memory_max = query.memory_max;
	machine.memory_end = query.memory_end;
	machine.features = query.features;
	machine.events_gsi = query.events_gsi;
	machine.vcpus = query.vcpus < MAX_CPUS ? query.vcpus : MAX_CPUS;
	machine.generation = query.generation;
	machine.recovery = query.recovery;
	machine.tsc_khz = query.tsc_khz;
	machine.dump_mode = query.dump_mode;
}

static void uart_write(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int polls = 0;

		while (!(in8(PORT_UART + UART_LSR) & UART_LSR_THRE) && polls < UART_POLLS)
			polls++;
		out8(PORT_UART, (uint8_t)s[i]);
	}
}

void con_flush(void)
{
	static struct fw_console_write block __attribute__((aligned(FW_BLOCK_ALIGN)));

	if (!console.len)
		return;
	block.buf = (fw_gpa_t)console.buf;
	block.len = (uint32_t)console.len;
	if (fw_call(&block, FW_CONSOLE_WRITE, sizeof(block)) != FW_OK)
		uart_write(console.buf, console.len);
	console.len = 0;
}

void con_printf(const char *format, ...)
{
	va_list args;

	if (console.len > console.size / 2)
		con_flush();
	va_start(args, format);
	text_vprintf(&console, format, args);
	va_end(args);
}

void con_new_line(void)
{
	if (console.len && console.buf[console.len - 1] != '\n')
		con_printf("\n");
}

void report_ready(void)
{
	static struct fw_ready block __attribute__((aligned(FW_BLOCK_ALIGN)));

	fw_call(&block, FW_READY, sizeof(block));
	con_printf("stub: ready\n");
	con_flush();
}

void heartbeat(uint64_t progress)
{
	static struct fw_heartbeat block __attribute__((aligned(FW_BLOCK_ALIGN)));

	block.progress = progress;
	fw_call(&block, FW_HEARTBEAT, sizeof(block));
}

void cpu_halt_forever(void)
{
	uint32_t never = 0;

	for (;;)
		gate(GATE_WAIT, (uint64_t)&never, 0);
}

void power_off(uint32_t code)
{
	static struct fw_power block __attribute__((aligned(FW_BLOCK_ALIGN)));

	con_printf("stub: power off, code %u\n", code);
	con_flush();
	block.code = code;
	fw_call(&block, FW_POWER_OFF, sizeof(block));
	out16(PORT_ACPI_PM1, 0x2000); /* ACPI 6.4, 4.8.3.2.1: SLP_EN, with QEMU's sleep type for S5 */
	cpu_halt_forever();
}

void reboot(void)
{
	static struct fw_power block __attribute__((aligned(FW_BLOCK_ALIGN)));

	con_printf("stub: reboot\n");
	con_flush();
	fw_call(&block, FW_REBOOT, sizeof(block));
	out8(PORT_RESET, 0x06); /* Intel ICH9 data sheet, 13.7.5: SYS_RST and RST_CPU */
	cpu_halt_forever();
}
