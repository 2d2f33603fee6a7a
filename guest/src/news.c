#include "news.h"

#include <sys/socket.h>
#include <unistd.h>

#include "local.h"
#include "outq.h"
#include "proto.h"

enum { PER_TURN = 8 };

static int listener = -1;

void news_start(void)
{
	if (listener >= 0)
		close(listener);
	listener = local_open(NEWS_SOCKET, SOCK_DGRAM);
}

/* Bounded a turn: a program that never stops telling must not keep init from reaping. */
void news_step(bool host_listens)
{
	char text[NEWS_MAX_BYTES + 1];
	for (int i = 0; host_listens && i < PER_TURN && outq_has_room(OUTQ_DATA_ROOM); i++) {
		ssize_t got = listener < 0 ? -1 : recv(listener, text, NEWS_MAX_BYTES, 0);
		if (got < 0)
			return;
		text[got] = 0;
		size_t length = dump_event(outq_payload(), text);
		if (length)
			outq_commit(KIND_EVENT, 0, length);
	}
}

void news_poll(struct pollset *set, bool host_listens)
{
	if (host_listens && outq_has_room(OUTQ_DATA_ROOM))
		pollset_add(set, listener, POLLIN);
}
