#include "outq.h"

#include <string.h>
#include <unistd.h>

enum { OUTQ_BYTES = 64 * 1024, WRITE_BYTES = 16 * 1024 };

static uint8_t queue[OUTQ_BYTES];
static size_t head, tail;

static size_t room(void)
{
	return OUTQ_BYTES - (tail - head);
}

bool outq_has_room(size_t needed)
{
	return room() >= needed;
}

bool outq_is_empty(void)
{
	return head == tail;
}

void outq_clear(void)
{
	head = tail = 0;
}

uint8_t *outq_payload(void)
{
	if (head) {
		memmove(queue, queue + head, tail - head);
		tail -= head;
		head = 0;
	}
	return queue + tail + FRAME_HEADER;
}

void outq_commit(uint8_t kind, uint16_t stream, size_t length)
{
	frame_header(queue + tail, kind, stream, (uint32_t)length);
	tail += FRAME_HEADER + length;
}

void outq_send(uint8_t kind, uint16_t stream, const void *payload, size_t length)
{
	uint8_t *to = outq_payload();
	if (length)
		memcpy(to, payload, length);
	outq_commit(kind, stream, length);
}

void outq_flush(int fd)
{
	while (head < tail) {
		size_t count = tail - head < WRITE_BYTES ? tail - head : WRITE_BYTES;
		ssize_t done = write(fd, queue + head, count);
		if (done <= 0)
			return;
		head += (size_t)done;
	}
	head = tail = 0;
}
