/* The PCI bus by ports CF8 and CFC, and what there is of virtio on it. */
#include "kernel.h"

enum {
	ADDRESS = 0xCF8,
	DATA = 0xCFC,
	BUSES = 8,
	ID = 0x00,
	STATUS = 0x04,
	HEADER_TYPE = 0x0C,
	FIRST_BAR = 0x10,
	CAPABILITIES = 0x34,
	HAS_CAPABILITIES = 1 << 20,
	VENDOR_SPECIFIC = 9,
	VIRTIO_VENDOR = 0x1AF4,
	VIRTIO_FIRST = 0x1000,
	VIRTIO_MODERN = 0x1040,
	VIRTIO_LAST = 0x107F,
};

uint32_t pci_read(uint16_t device, uint8_t offset)
{
	outl(ADDRESS, 1u << 31 | (uint32_t)device << 8 | (offset & 0xFC));
	return inl(DATA);
}

void pci_write(uint16_t device, uint8_t offset, uint32_t value)
{
	outl(ADDRESS, 1u << 31 | (uint32_t)device << 8 | (offset & 0xFC));
	outl(DATA, value);
}

static bool is_there(uint16_t device)
{
	return (pci_read(device, ID) & 0xFFFF) != 0xFFFF;
}

/* The device after `device` that is there, or -1. A device without function 0 has no others. */
static int next_device(int device)
{
	for (device++; device < BUSES << 8; device++) {
		if (!is_there((uint16_t)(device & ~7)))
			device |= 7;
		else if (is_there((uint16_t)device))
			return device;
	}
	return -1;
}

int pci_find(uint16_t vendor, uint16_t id, uint32_t number)
{
	for (int device = next_device(-1); device >= 0; device = next_device(device))
		if (pci_read((uint16_t)device, ID) == ((uint32_t)id << 16 | vendor) && !number--)
			return device;
	return -1;
}

static const char *name_of(uint16_t id)
{
	static const char *const old[] = {"net", "block", "balloon", "console", "scsi", "random", "other", "other", "other", "9p"};
	static const char *const kinds[] = {"other", "net", "block", "console", "random", "balloon"};
	if (id < VIRTIO_MODERN)
		return id - VIRTIO_FIRST < 10 ? old[id - VIRTIO_FIRST] : "other";
	return id - VIRTIO_MODERN < 6 ? kinds[id - VIRTIO_MODERN] : "other";
}

/* The capabilities of virtio 1.0 (section 4.1.4 of the specification): common, notify, isr, device, and one for pci. */
static uint32_t modern_parts(uint16_t device)
{
	uint32_t parts = 0;
	if (!(pci_read(device, STATUS) & HAS_CAPABILITIES))
		return 0;
	for (uint8_t at = pci_read(device, CAPABILITIES) & 0xFC; at;) {
		uint32_t word = pci_read(device, at);
		if ((word & 0xFF) == VENDOR_SPECIFIC)
			parts |= 1u << (word >> 24);
		at = word >> 8 & 0xFC;
	}
	return parts;
}

static void show_virtio(uint16_t device, uint16_t id)
{
	uint32_t bar = pci_read(device, FIRST_BAR), parts = modern_parts(device);
	say("virtio: %s %02x:%02x.%u id %04x", name_of(id), device >> 8, device >> 3 & 31, device & 7, id);
	if (id < VIRTIO_MODERN && bar & 1)
		say(", legacy ports at %x", bar & ~3u);
	if ((parts & 0x1E) == 0x1E)
		say(", 1.0");
	say("\n");
}

void pci_show(void)
{
	for (int device = next_device(-1); device >= 0; device = next_device(device)) {
		uint32_t word = pci_read((uint16_t)device, ID);
		uint16_t id = (uint16_t)(word >> 16);
		say("pci: %02x:%02x.%u %04x:%04x\n", device >> 8, device >> 3 & 31, device & 7, word & 0xFFFF, id);
		if ((word & 0xFFFF) == VIRTIO_VENDOR && id >= VIRTIO_FIRST && id <= VIRTIO_LAST)
			show_virtio((uint16_t)device, id);
	}
}
