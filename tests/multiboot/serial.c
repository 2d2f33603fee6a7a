/* COM1: an 8250 as every PC has it, without interrupts. */
#include "kernel.h"

enum {
	COM1 = 0x3F8,
	DATA = 0,
	INTERRUPTS = 1,
	FIFO = 2,
	LINE = 3,
	MODEM = 4,
	STATUS = 5,
	RECEIVED = 1 << 0,
	SENDABLE = 1 << 5,
};

void serial_start(void)
{
	outb(COM1 + INTERRUPTS, 0);
	outb(COM1 + LINE, 0x80);	/* the divisor: 115200 baud */
	outb(COM1 + DATA, 1);
	outb(COM1 + INTERRUPTS, 0);
	outb(COM1 + LINE, 0x03);	/* 8 bits, no parity, 1 stop bit */
	outb(COM1 + FIFO, 0x07);
	outb(COM1 + MODEM, 0x03);
}

static void put_byte(char c)
{
	while (!(inb(COM1 + STATUS) & SENDABLE))
		;
	outb(COM1 + DATA, (uint8_t)c);
}

void serial_put(char c)
{
	if (c == '\n')
		put_byte('\r');
	put_byte(c);
}

int serial_get(void)
{
	return inb(COM1 + STATUS) & RECEIVED ? inb(COM1 + DATA) : -1;
}
