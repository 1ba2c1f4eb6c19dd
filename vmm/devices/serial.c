/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/devices/serial.c - see serial.h */
#include "vmm/devices/serial.h"

#include <string.h>

/* Register offsets; DLAB = bit 7 of LCR selects the divisor latch at 0 and 1 */
#define REG_DATA 0 /* RBR, THR, DLL */
#define REG_IER 1  /* IER, DLM */
#define REG_IIR 2  /* IIR, FCR */
#define REG_LCR 3
#define REG_MCR 4
#define REG_LSR 5
#define REG_MSR 6
#define REG_SCR 7

#define IER_RX 0x01
#define IER_THRE 0x02
#define IIR_NONE 0x01
#define IIR_THRE 0x02
#define IIR_RX 0x04
#define IIR_FIFO 0xc0
#define FCR_ENABLE 0x01
#define FCR_CLEAR_RX 0x02
#define LCR_DLAB 0x80
#define MCR_DTR 0x01
#define MCR_RTS 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define LSR_DATA 0x01
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI 0x40
#define MSR_DCD 0x80

static uint8_t pending_interrupt(const struct serial *s)
{
	if ((s->ier & IER_RX) && s->fifo_count)
		return IIR_RX;
	if ((s->ier & IER_THRE) && s->thr_empty_pending)
		return IIR_THRE;
	return IIR_NONE;
}

static void update_irq(struct serial *s)
{
	bool level = pending_interrupt(s) != IIR_NONE;

	if (level == s->irq_level)
		return;
	s->irq_level = level;
	s->set_irq(s->opaque, level);
}

static void fifo_put(struct serial *s, uint8_t byte)
{
	if (s->fifo_count == SERIAL_FIFO)
		return;
	s->fifo[(s->fifo_head + s->fifo_count++) % SERIAL_FIFO] = byte;
}

static uint8_t fifo_get(struct serial *s)
{
	uint8_t byte = s->fifo[s->fifo_head];

	if (!s->fifo_count)
		return 0;
	s->fifo_head = (s->fifo_head + 1) % SERIAL_FIFO;
	s->fifo_count--;
	return byte;
}

/* In loop-back mode the modem outputs come back as inputs: drivers probe the chip so. */
static uint8_t modem_status(const struct serial *s)
{
	if (!(s->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (uint8_t)((s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
			 (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static uint8_t read_register(struct serial *s, uint64_t offset)
{
	bool divisor = s->lcr & LCR_DLAB;
	uint8_t value;

	switch (offset) {
	case REG_DATA:
		return divisor ? s->dll : fifo_get(s);
	case REG_IER:
		return divisor ? s->dlm : s->ier;
	case REG_IIR:
		value = pending_interrupt(s);
		if (value == IIR_THRE)
			s->thr_empty_pending = false; /* reading IIR acknowledges this one */
		return (uint8_t)(value | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0));
	case REG_LCR:
		return s->lcr;
	case REG_MCR:
		return s->mcr;
	case REG_LSR:
		return (uint8_t)(LSR_THRE | LSR_TEMT | (s->fifo_count ? LSR_DATA : 0));
	case REG_MSR:
		return modem_status(s);
	default:
		return s->scr;
	}
}

static void serial_read(void *device, const struct bus_access *access, uint64_t *ret_value)
{
	struct serial *s = device;

	pthread_mutex_lock(&s->lock);
	*ret_value = read_register(s, access->offset);
	update_irq(s);
	pthread_mutex_unlock(&s->lock);
}

static void write_register(struct serial *s, uint64_t offset, uint8_t value)
{
	bool divisor = s->lcr & LCR_DLAB;

	switch (offset) {
	case REG_DATA:
		if (divisor)
			s->dll = value;
		else if (s->mcr & MCR_LOOP)
			fifo_put(s, value);
		if (!divisor)
			s->thr_empty_pending = true; /* sent at once */
		break;
	case REG_IER:
		if (divisor) {
			s->dlm = value;
			break;
		}
		if (!(s->ier & IER_THRE) && (value & IER_THRE))
			s->thr_empty_pending = true;
		s->ier = value & 0x0f;
		break;
	case REG_IIR:
		s->fcr = value;
		if (value & FCR_CLEAR_RX)
			s->fifo_count = 0;
		break;
	case REG_LCR:
		s->lcr = value;
		break;
	case REG_MCR:
		s->mcr = value & 0x1f;
		break;
	case REG_SCR:
		s->scr = value;
		break;
	default:
		break; /* LSR and MSR are read-only */
	}
}

static enum bus_verdict serial_write(void *device, const struct bus_access *access, uint64_t value)
{
	struct serial *s = device;
	char byte = (char)value;
	bool sends;

	pthread_mutex_lock(&s->lock);
	sends = access->offset == REG_DATA && !(s->lcr & LCR_DLAB) && !(s->mcr & MCR_LOOP);
	write_register(s, access->offset, (uint8_t)value);
	update_irq(s);
	pthread_mutex_unlock(&s->lock);
	/* outside the lock: it may wait for the terminal, and input must go on */
	if (sends)
		console_write(s->console, *s->generation, &byte, 1, s->stop);
	return BUS_CONTINUE;
}

static const struct bus_device_ops serial_ops = {.read = serial_read, .write = serial_write};

void serial_init(struct serial *s, struct console *console, const uint32_t *generation,
	const _Atomic bool *stop, void (*set_irq)(void *opaque, bool level), void *opaque)
{
	memset(s, 0, sizeof(*s));
	s->console = console;
	s->stop = stop;
	s->generation = generation;
	s->set_irq = set_irq;
	s->opaque = opaque;
	pthread_mutex_init(&s->lock, NULL);
}

void serial_fini(struct serial *s)
{
	pthread_mutex_destroy(&s->lock);
}

int serial_add(struct serial *s, struct bus *ports, uint64_t base)
{
	return bus_add(ports, &(struct bus_device){.name = "serial port",
				      .base = base,
				      .len = SERIAL_PORTS,
				      .ops = &serial_ops,
				      .opaque = s});
}

void serial_input(struct serial *s, const char *bytes, size_t len)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < len; i++)
		fifo_put(s, (uint8_t)bytes[i]);
	update_irq(s);
	pthread_mutex_unlock(&s->lock);
}
