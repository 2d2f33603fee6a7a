/* virtio.c: devices by their legacy interface, and their queues. */
#pragma once

#include "kernel.h"

enum {
	VIRTIO_VENDOR = 0x1AF4,
	VIRTIO_NET = 0x1000,
	VIRTIO_BLOCK = 0x1001,
	VIRTIO_CONFIG = 20,	/* the port where a device's own settings begin */
	QUEUE_MOST = 256,
};

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct available {
	uint16_t flags;
	volatile uint16_t index;
	uint16_t ring[QUEUE_MOST];
};

struct used {
	uint16_t flags, index;
	struct {
		uint32_t first, length;
	} ring[QUEUE_MOST];
};

struct queue {
	uint16_t ports, number, size, seen;
	struct descriptor *descriptors;
	struct available *available;
	volatile struct used *used;
	uint8_t memory[4 * 4096] __attribute__((aligned(4096)));
};

/* The ports of one of the devices of this kind, from 0, which is reset then; 0 if there is none. */
uint16_t virtio_open(uint16_t pci_id, uint32_t number);
/* Between opening a device and saying that it may begin. */
bool queue_open(struct queue *queue, uint16_t ports, uint16_t number);
void virtio_ready(uint16_t ports);

/* Fill in a descriptor; `more`: the next one belongs to it. Then the first of them is offered, and taken back. */
void queue_describe(struct queue *queue, uint16_t at, void *bytes, uint32_t count, bool to_write, bool more);
void queue_offer(struct queue *queue, uint16_t first);
bool queue_take(struct queue *queue, uint16_t *first, uint32_t *length);
