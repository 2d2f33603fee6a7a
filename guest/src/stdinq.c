#include "stdinq.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto.h"

enum { WORTH_A_FRAME = PROTO_WINDOW / 4 };

/* Mapped, not allocated: the pages of a stream go back to the machine when it ends. */
bool stdinq_open(struct stdinq *queue)
{
	void *bytes = mmap(NULL, PROTO_WINDOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	queue->bytes = bytes == MAP_FAILED ? NULL : bytes;
	return queue->bytes;
}

void stdinq_close(struct stdinq *queue)
{
	if (queue->bytes)
		munmap(queue->bytes, PROTO_WINDOW);
	queue->bytes = NULL;
	queue->taken += (uint32_t)queue->have;
	queue->have = 0;
}

bool stdinq_push(struct stdinq *queue, const uint8_t *data, size_t length)
{
	if (!queue->bytes) {
		queue->taken += (uint32_t)length;
		return true;
	}
	if (queue->have + length > PROTO_WINDOW)
		return false;
	size_t at = (queue->head + queue->have) % PROTO_WINDOW;
	size_t first = PROTO_WINDOW - at < length ? PROTO_WINDOW - at : length;
	memcpy(queue->bytes + at, data, first);
	memcpy(queue->bytes, data + first, length - first);
	queue->have += length;
	return true;
}

bool stdinq_pour(struct stdinq *queue, int fd)
{
	while (queue->have) {
		size_t first = PROTO_WINDOW - queue->head;
		ssize_t done = write(fd, queue->bytes + queue->head, queue->have < first ? queue->have : first);
		if (done < 0)
			return errno == EAGAIN || errno == EINTR;
		queue->head = (queue->head + (size_t)done) % PROTO_WINDOW;
		queue->have -= (size_t)done;
		queue->taken += (uint32_t)done;
	}
	return true;
}

uint32_t stdinq_take_credit(struct stdinq *queue)
{
	uint32_t credit = queue->taken;
	if (!credit || (queue->have && credit < WORTH_A_FRAME))
		return 0;
	queue->taken = 0;
	return credit;
}
