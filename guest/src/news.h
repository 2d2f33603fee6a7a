/* What programs of the machine have to tell the host: a socket for them, EVENT for the host. Nobody waits for an answer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pollset.h"

#define NEWS_SOCKET "/run/weft/events.sock"

enum {
	NEWS_MAX_KIND = 31,
	NEWS_MAX_TEXT = 1024,
	NEWS_MAX_BYTES = NEWS_MAX_KIND + 1 + NEWS_MAX_TEXT, /* a datagram: kind, a space, text */
};

void news_start(void);
void news_poll(struct pollset *set, bool host_listens);

/* `host_listens`: there is a session, with a host that knows of events. Until then they wait in the socket, some ten. */
void news_step(bool host_listens);
