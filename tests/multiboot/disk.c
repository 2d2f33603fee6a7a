/* The first virtio disk: sectors of 512 bytes, one at a time. */
#include "virtio.h"

enum { READ = 0, WRITE = 1, FLUSH = 4, PATIENCE = 1000 };

static struct queue requests;
static bool there;

void disk_start(void)
{
	uint16_t ports = virtio_open(VIRTIO_BLOCK, 0);
	if (!ports || !queue_open(&requests, ports, 0))
		return;
	virtio_ready(ports);
	there = true;
	say("disk: %u sectors\n", inl(ports + VIRTIO_CONFIG));
}

static bool request(uint32_t kind, uint32_t sector, uint8_t *bytes, uint32_t count)
{
	struct {
		uint32_t kind, reserved, sector, sector_high;
	} head = {kind, 0, sector, 0};
	volatile uint8_t status = 0xFF;
	uint16_t first, next = 1;
	uint32_t length;

	if (!there)
		return false;
	queue_describe(&requests, 0, &head, sizeof head, false, true);
	if (count)
		queue_describe(&requests, next++, bytes, count, kind == READ, true);
	queue_describe(&requests, next, (void *)&status, 1, true, false);
	queue_offer(&requests, 0);
	for (uint32_t since = ticks; !queue_take(&requests, &first, &length); rest())
		if (ticks - since > PATIENCE)
			return false;
	return status == 0;
}

bool disk_read(uint32_t sector, uint8_t *bytes)
{
	return request(READ, sector, bytes, SECTOR);
}

bool disk_write(uint32_t sector, const uint8_t *bytes)
{
	return request(WRITE, sector, (uint8_t *)bytes, SECTOR) && request(FLUSH, 0, NULL, 0);
}

bool disk_is_there(void)
{
	return there;
}
