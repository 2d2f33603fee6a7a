/* A kernel that shows how it was started, and then answers on the serial line. */
#include "kernel.h"

void main(uint32_t magic, uint32_t info);

void main(uint32_t magic, uint32_t info)
{
	serial_start();
	say("weft test kernel\n");
	multiboot_read(magic, info);
	timer_start();
	pci_show();
	acpi_start();
	floppy_config();
	disk_start();
	root_start();
	say("ready\n");
	shell();
}
