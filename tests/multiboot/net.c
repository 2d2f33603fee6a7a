/* One virtio NIC. Each request is two descriptors: the header of virtio, and a frame. */
#include "net.h"
#include "virtio.h"

enum { HEADER = 10, BUFFERS = 16, RECEIVED = 0, SENT = 1 };

uint8_t net_address[ETHERNET_ADDRESS];
static struct queue queues[2];
static uint8_t headers[BUFFERS][HEADER], frames[BUFFERS][FRAME_MOST];

static void offer_buffer(uint16_t number)
{
	queue_describe(&queues[RECEIVED], (uint16_t)(2 * number), headers[number], HEADER, true, true);
	queue_describe(&queues[RECEIVED], (uint16_t)(2 * number + 1), frames[number], FRAME_MOST, true, false);
	queue_offer(&queues[RECEIVED], (uint16_t)(2 * number));
}

bool net_start(uint32_t number)
{
	uint16_t ports = virtio_open(VIRTIO_NET, number);
	if (!ports || !queue_open(&queues[RECEIVED], ports, RECEIVED) || !queue_open(&queues[SENT], ports, SENT))
		return false;
	for (uint16_t i = 0; i < ETHERNET_ADDRESS; i++)
		net_address[i] = inb((uint16_t)(ports + VIRTIO_CONFIG + i));
	virtio_ready(ports);
	for (uint16_t i = 0; i < BUFFERS; i++)
		offer_buffer(i);
	return true;
}

void net_send(const void *frame, uint32_t length)
{
	static uint8_t header[HEADER];
	uint16_t first;
	uint32_t written;

	queue_describe(&queues[SENT], 0, header, HEADER, false, true);
	queue_describe(&queues[SENT], 1, (void *)frame, length, false, false);
	queue_offer(&queues[SENT], 0);
	while (!queue_take(&queues[SENT], &first, &written))
		;
}

uint32_t net_receive(uint8_t frame[FRAME_MOST])
{
	uint16_t first;
	uint32_t length;

	if (!queue_take(&queues[RECEIVED], &first, &length) || length < HEADER)
		return 0;
	length -= HEADER;
	memcpy(frame, frames[first / 2], length);
	offer_buffer(first / 2);
	return length;
}
