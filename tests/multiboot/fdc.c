/* The floppy drive: an 82077AA at its usual ports, with DMA channel 2, polled. */
#include "kernel.h"

enum {
	DRIVE_CONTROL = 0x3F2,
	STATUS = 0x3F4,
	DATA = 0x3F5,
	RATE = 0x3F7,
	RUNNING = 0x1C,		/* the motor of drive 0, DMA on, not in reset */
	READY = 0x80,
	TO_US = 0x40,
	SPECIFY = 0x03,
	SENSE = 0x08,
	RECALIBRATE = 0x07,
	SEEK = 0x0F,
	READ = 0x46,		/* double density, one track */
	WRITE = 0x45,
	HEADS = 2,
	SECTORS = 18,
	GAP = 0x1B,
	BYTES_512 = 2,
	DMA_MASK = 0x0A,
	DMA_MODE = 0x0B,
	DMA_FLIP = 0x0C,
	DMA_ADDRESS = 0x04,
	DMA_COUNT = 0x05,
	DMA_PAGE = 0x81,
	DMA_CHANNEL = 2,
	DMA_MASKED = 4,
	DMA_TO_MEMORY = 0x46,
	DMA_FROM_MEMORY = 0x4A,
	CMOS_INDEX = 0x70,
	CMOS_DATA = 0x71,
	CMOS_FLOPPIES = 0x10,
	PATIENCE = 300,		/* hundredths of a second */
};

/* The DMA controller reaches 16 MB, and no transfer may cross a border of 64 KB. */
static uint8_t buffer[SECTOR] __attribute__((aligned(SECTOR)));

static bool wait_status(uint8_t wanted)
{
	uint32_t end = ticks + PATIENCE;
	while ((inb(STATUS) & (READY | TO_US)) != wanted)
		if ((int32_t)(ticks - end) > 0)
			return false;
	return true;
}

static bool command(const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!wait_status(READY))
			return false;
		outb(DATA, bytes[i]);
	}
	return true;
}

static bool results(uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!wait_status(READY | TO_US))
			return false;
		bytes[i] = inb(DATA);
	}
	return true;
}

/* How the last movement or reset ended: its first byte is 0x80 while none has. */
static uint8_t sense(void)
{
	uint8_t bytes[2] = {0x80, 0};
	if (command((const uint8_t[]){SENSE}, 1) && results(bytes, 1) && bytes[0] != 0x80)
		results(bytes + 1, 1);
	return bytes[0];
}

static bool wait_moved(void)
{
	uint32_t end = ticks + PATIENCE;
	uint8_t state;
	while ((state = sense()) == 0x80)
		if ((int32_t)(ticks - end) > 0)
			return false;
	return (state & 0xC0) == 0;
}

static void prepare_dma(bool writing)
{
	uint32_t address = (uint32_t)buffer;
	outb(DMA_MASK, DMA_MASKED | DMA_CHANNEL);
	outb(DMA_FLIP, 0);
	outb(DMA_ADDRESS, (uint8_t)address);
	outb(DMA_ADDRESS, (uint8_t)(address >> 8));
	outb(DMA_PAGE, (uint8_t)(address >> 16));
	outb(DMA_COUNT, (SECTOR - 1) & 0xFF);
	outb(DMA_COUNT, (SECTOR - 1) >> 8);
	outb(DMA_MODE, writing ? DMA_FROM_MEMORY : DMA_TO_MEMORY);
	outb(DMA_MASK, DMA_CHANNEL);
	__asm__ volatile("" : : : "memory");	/* another than the processor reads and writes the buffer */
}

static bool transfer(uint32_t sector, bool writing)
{
	uint8_t track = (uint8_t)(sector / (HEADS * SECTORS)), head = sector / SECTORS % HEADS;
	uint8_t first = (uint8_t)(sector % SECTORS + 1), state[7];
	const uint8_t seek[] = {SEEK, (uint8_t)(head << 2), track};
	const uint8_t words[] = {writing ? WRITE : READ, (uint8_t)(head << 2), track, head, first, BYTES_512, SECTORS,
				 GAP, 0xFF};

	if (!command(seek, sizeof seek) || !wait_moved())
		return false;
	prepare_dma(writing);
	bool done = command(words, sizeof words) && results(state, sizeof state) && (state[0] & 0xC0) == 0;
	__asm__ volatile("" : : : "memory");
	return done;
}

bool floppy_start(void)
{
	outb(CMOS_INDEX, CMOS_FLOPPIES);
	if (inb(CMOS_DATA) >> 4 == 0)
		return false;
	outb(DRIVE_CONTROL, 0);
	outb(DRIVE_CONTROL, RUNNING);
	outb(RATE, 0);
	for (int drive = 0; drive < 4; drive++)
		sense();
	return command((const uint8_t[]){SPECIFY, 0xDF, 0x02}, 3) && command((const uint8_t[]){RECALIBRATE, 0}, 2) &&
	       wait_moved();
}

bool floppy_read(uint32_t sector, void *to)
{
	if (!transfer(sector, false))
		return false;
	memcpy(to, buffer, SECTOR);
	return true;
}

bool floppy_write(uint32_t sector, const void *from)
{
	memcpy(buffer, from, SECTOR);
	return transfer(sector, true);
}
