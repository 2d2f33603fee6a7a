/* The test kernel: what its files offer each other. It uses one processor, no paging, and polls everything. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void outb(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void outw(uint16_t port, uint16_t value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static inline void outl(uint16_t port, uint32_t value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t value;
	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;
	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/* text.c: strings, and lines to the serial line. */
void *memcpy(void *to, const void *from, size_t count);
void *memset(void *to, int byte, size_t count);
int memcmp(const void *one, const void *other, size_t count);
size_t length_of(const char *text);
bool same(const char *one, const char *other);
/* What is behind `prefix` in `text`, or NULL if `text` does not start so. */
const char *after(const char *text, const char *prefix);
/* Formats: %s %c %d %u %x, %02x to %08x, %% and nothing else. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* serial.c: COM1, polled. */
void serial_start(void);
void serial_put(char c);
/* The next byte, or -1 if there is none. */
int serial_get(void);

/* timer.c: the time since the start, in hundredths of a second. */
extern volatile uint32_t ticks;
void timer_start(void);
/* Sleeps until something happens, a hundredth of a second at most. */
void rest(void);

/* config.c: plan9.ini, then the words of the command line, each a line; a later line wins. */
void config_add(const char *text, size_t length);
void config_add_words(const char *words);
/* The value of `name`, or NULL. Valid until the kernel ends. */
const char *config_find(const char *name);

/* multiboot.c: what the boot loader tells. Takes the configuration from it. */
void multiboot_read(uint32_t magic, uint32_t info);

/* pci.c: the bus. A device is bus << 8 | slot << 3 | function. */
uint32_t pci_read(uint16_t device, uint8_t offset);
void pci_write(uint16_t device, uint8_t offset, uint32_t value);
/* One of the devices of this vendor and kind, from 0; or -1. */
int pci_find(uint16_t vendor, uint16_t id, uint32_t number);
void pci_show(void);

/* Bytes of a sector, of disks and floppies alike. */
enum { SECTOR = 512 };

/* disk.c: the first virtio disk. */
void disk_start(void);
bool disk_is_there(void);
bool disk_read(uint32_t sector, uint8_t *bytes);
bool disk_write(uint32_t sector, const uint8_t *bytes);

/* acpi.c: how the machine ends. */
void acpi_start(void);
bool power_button_pressed(void);
/* These do not return. */
void power_off(void);
void reboot(void);

/* fdc.c: the floppy drive, a sector at a time. The first call says whether there is one, and its floppy 1.44 MB. */
bool floppy_start(void);
bool floppy_read(uint32_t sector, void *to);
bool floppy_write(uint32_t sector, const void *from);

/* floppy.c: the lines of CONFIG.INI on the floppy that is in become part of the configuration. */
void floppy_config(void);
/* Adds a line to that file, and says whether it could. */
bool floppy_save(const char *line);

/* root.c: a root over the network, if the configuration says so. */
void root_start(void);
/* What a server has takes the root's place, from now on. `address` may be followed by something else. */
bool root_mount(const char *address, uint16_t port);

/* shell.c: commands on the serial line. Does not return. */
void shell(void);
