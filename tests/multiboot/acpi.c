/* How the machine ends: the power button and the power switch of ACPI, and resets. */
#include "kernel.h"

enum {
	BIOS_AREA = 0xE0000,
	BIOS_END = 0x100000,
	RSDT_POINTER = 16,
	TABLE_LENGTH = 4,
	TABLE_ENTRIES = 36,
	FADT_EVENTS = 56,
	FADT_CONTROL = 64,
	POWER_BUTTON = 1 << 8,
	SLEEP = 1 << 13,	/* into the state 0, which is "off" in QEMU's tables */
	RESET_CONTROL = 0xCF9,
	KEYBOARD = 0x64,
	KEYBOARD_RESET = 0xFE,
};

static uint16_t events, control;

static uint32_t word_at(uint32_t address)
{
	return *(const volatile uint32_t *)address;
}

static uint32_t find_rsdt(void)
{
	for (uint32_t at = BIOS_AREA; at < BIOS_END; at += 16)
		if (memcmp((const void *)at, "RSD PTR ", 8) == 0)
			return word_at(at + RSDT_POINTER);
	return 0;
}

static uint32_t find_fadt(void)
{
	uint32_t rsdt = find_rsdt();
	if (!rsdt)
		return 0;
	for (uint32_t at = rsdt + TABLE_ENTRIES; at < rsdt + word_at(rsdt + TABLE_LENGTH); at += 4)
		if (memcmp((const void *)word_at(at), "FACP", 4) == 0)
			return word_at(at);
	return 0;
}

/* The button is only reported to those who ask for it: the second half of the event registers. */
void acpi_start(void)
{
	uint32_t fadt = find_fadt();
	if (!fadt) {
		say("acpi: no tables\n");
		return;
	}
	events = (uint16_t)word_at(fadt + FADT_EVENTS);
	control = (uint16_t)word_at(fadt + FADT_CONTROL);
	say("acpi: events at %x, control at %x\n", events, control);
	outw(events + 2, POWER_BUTTON);
}

bool power_button_pressed(void)
{
	if (!events || !(inw(events) & POWER_BUTTON))
		return false;
	outw(events, POWER_BUTTON);
	return true;
}

/* A machine that ends does it within a moment; else whoever looks at the console should know. */
static void stay(const char *wish)
{
	for (uint32_t since = ticks; ticks - since < 100;)
		rest();
	say("the machine does not %s\n", wish);
	for (;;)
		rest();
}

void power_off(void)
{
	if (control)
		outw(control, SLEEP);
	stay("power off");
}

void reboot(void)
{
	outb(RESET_CONTROL, 0x02);
	outb(RESET_CONTROL, 0x06);
	outb(KEYBOARD, KEYBOARD_RESET);
	stay("reboot");
}
