#include "news.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "files.h"
#include "log.h"
#include "outq.h"
#include "proto.h"

enum { PER_TURN = 8 };

static int listener = -1;

void news_start(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = NEWS_SOCKET};
	bool made = make_folders("/run/weft", 0755);
	unlink(NEWS_SOCKET);
	listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t before = umask(0177);
	made = made && listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0;
	umask(before);
	if (made)
		return;
	say("%s: %s", NEWS_SOCKET, strerror(errno)); /* nothing can be told from inside; all else goes on */
	close(listener);
	listener = -1;
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
