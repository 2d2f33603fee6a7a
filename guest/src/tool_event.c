/* `event KIND`: tells the host each line of its standard input. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "local.h"
#include "news.h"
#include "tools.h"

/* A host that is away for longer loses what is told meanwhile. */
static const struct timeval patience = {5, 0};

static int connect_to_init(void)
{
	int fd = local_connect(NEWS_SOCKET, SOCK_DGRAM);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
		return -1;
	return fd;
}

int tool_event(int argc, char **argv)
{
	static char line[NEWS_MAX_BYTES + 1];
	int result = TOOL_OK;
	if (argc != 2 || strlen(argv[1]) > NEWS_MAX_KIND) {
		tool_complain_why("usage", "event KIND, with a line for each event on standard input");
		return TOOL_FAILED;
	}
	int fd = connect_to_init();
	if (fd < 0) {
		tool_complain(NEWS_SOCKET);
		return TOOL_FAILED;
	}
	size_t head = (size_t)sprintf(line, "%s ", argv[1]);
	while (fgets(line + head, NEWS_MAX_TEXT + 1, stdin)) {
		size_t length = strcspn(line, "\n");
		if (length > head && send(fd, line, length, MSG_NOSIGNAL) < 0) {
			tool_complain_why("not told", errno == EAGAIN ? "nobody listens" : strerror(errno));
			result = TOOL_INCOMPLETE;
		}
	}
	return result;
}
