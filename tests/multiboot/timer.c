/* The timer chip's interrupt, a hundred times a second, so that a kernel with nothing to do sleeps. */
#include "kernel.h"

enum {
	PIT_CHANNEL_0 = 0x40,
	PIT_MODE = 0x43,
	PIT_HERTZ = 1193182,
	TICKS_A_SECOND = 100,
	PIC_COMMAND = 0x20,
	PIC_DATA = 0x21,
	PIC2_COMMAND = 0xA0,
	PIC2_DATA = 0xA1,
	FIRST_VECTOR = 0x20,
	VECTORS = 0x30,
	CODE_SEGMENT = 8,
	INTERRUPT_GATE = 0x8E00,
};

volatile uint32_t ticks;
static uint64_t gates[VECTORS];

void on_tick(void);

static void set_gate(int vector, void (*handler)(void))
{
	uint32_t address = (uint32_t)handler;
	uint32_t low = CODE_SEGMENT << 16 | (address & 0xFFFF);
	uint32_t high = (address & 0xFFFF0000) | INTERRUPT_GATE;
	gates[vector] = (uint64_t)high << 32 | low;
}

/* Interrupt controllers: vectors from 0x20 on, and only the timer's comes through. */
static void start_controllers(void)
{
	outb(PIC_COMMAND, 0x11);
	outb(PIC2_COMMAND, 0x11);
	outb(PIC_DATA, FIRST_VECTOR);
	outb(PIC2_DATA, FIRST_VECTOR + 8);
	outb(PIC_DATA, 1 << 2);
	outb(PIC2_DATA, 2);
	outb(PIC_DATA, 1);
	outb(PIC2_DATA, 1);
	outb(PIC_DATA, 0xFE);
	outb(PIC2_DATA, 0xFF);
}

void timer_start(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint32_t base;
	} table = {sizeof gates - 1, (uint32_t)gates};

	set_gate(FIRST_VECTOR, on_tick);
	__asm__ volatile("lidt %0" : : "m"(table));
	start_controllers();
	outb(PIT_MODE, 0x34);
	outb(PIT_CHANNEL_0, (PIT_HERTZ / TICKS_A_SECOND) & 0xFF);
	outb(PIT_CHANNEL_0, (PIT_HERTZ / TICKS_A_SECOND) >> 8);
	__asm__ volatile("sti");
}

void rest(void)
{
	__asm__ volatile("hlt");
}
