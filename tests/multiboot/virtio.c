/*
 * Virtio devices by their legacy interface (virtio 1.0, section 4.1.4.8 and 2.4), polled.
 *
 * A queue has one request at a time, so its descriptors are always the first ones.
 */
#include "virtio.h"

enum {
	PORT_FEATURES = 4,
	PORT_QUEUE_ADDRESS = 8,
	PORT_QUEUE_SIZE = 12,
	PORT_QUEUE = 14,
	PORT_NOTIFY = 16,
	PORT_STATUS = 18,
	ACKNOWLEDGED = 1,
	HAS_DRIVER = 2,
	DRIVER_READY = 4,
	NEXT = 1,
	FOR_DEVICE_TO_WRITE = 2,
	PAGE = 4096,
	FIRST_BAR = 0x10,
	COMMAND = 0x04,
	PORTS_AND_MASTER = 5,
};

uint16_t virtio_open(uint16_t pci_id, uint32_t number)
{
	int device = pci_find(VIRTIO_VENDOR, pci_id, number);
	if (device < 0)
		return 0;
	uint32_t bar = pci_read((uint16_t)device, FIRST_BAR);
	if (!(bar & 1))
		return 0;
	pci_write((uint16_t)device, COMMAND, pci_read((uint16_t)device, COMMAND) | PORTS_AND_MASTER);
	uint16_t ports = (uint16_t)(bar & ~3u);
	outb(ports + PORT_STATUS, 0);
	outb(ports + PORT_STATUS, ACKNOWLEDGED | HAS_DRIVER);
	outl(ports + PORT_FEATURES, 0);	/* nothing but what every device can */
	return ports;
}

bool queue_open(struct queue *queue, uint16_t ports, uint16_t number)
{
	outw(ports + PORT_QUEUE, number);
	uint16_t size = inw(ports + PORT_QUEUE_SIZE);
	if (!size || size > QUEUE_MOST)
		return false;
	uint32_t available = (uint32_t)queue->memory + size * sizeof(struct descriptor);
	uint32_t used = (available + 6 + 2u * size + PAGE - 1) & ~(PAGE - 1u);
	queue->ports = ports;
	queue->number = number;
	queue->size = size;
	queue->descriptors = (struct descriptor *)queue->memory;
	queue->available = (struct available *)available;
	queue->used = (volatile struct used *)used;
	outl(ports + PORT_QUEUE_ADDRESS, (uint32_t)queue->memory / PAGE);
	return true;
}

void virtio_ready(uint16_t ports)
{
	outb(ports + PORT_STATUS, ACKNOWLEDGED | HAS_DRIVER | DRIVER_READY);
}

void queue_describe(struct queue *queue, uint16_t at, void *bytes, uint32_t count, bool to_write, bool more)
{
	struct descriptor *one = &queue->descriptors[at];
	one->address = (uint32_t)bytes;
	one->length = count;
	one->flags = (uint16_t)((to_write ? FOR_DEVICE_TO_WRITE : 0) | (more ? NEXT : 0));
	one->next = (uint16_t)(at + 1);
}

void queue_offer(struct queue *queue, uint16_t first)
{
	queue->available->ring[queue->available->index % queue->size] = first;
	__sync_synchronize();
	queue->available->index++;
	__sync_synchronize();
	outw(queue->ports + PORT_NOTIFY, queue->number);
}

bool queue_take(struct queue *queue, uint16_t *first, uint32_t *length)
{
	if (queue->seen == queue->used->index)
		return false;
	__sync_synchronize();
	*first = (uint16_t)queue->used->ring[queue->seen % queue->size].first;
	*length = queue->used->ring[queue->seen % queue->size].length;
	queue->seen++;
	return true;
}
