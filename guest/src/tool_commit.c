/* `commit`: gives its standard input to the host to be kept. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "commit.h"
#include "local.h"
#include "tools.h"

static bool send_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t done = send(fd, text, length, MSG_NOSIGNAL);
		if (done < 0 && errno != EINTR)
			return false;
		text += done < 0 ? 0 : done;
		length -= done < 0 ? 0 : (size_t)done;
	}
	return shutdown(fd, SHUT_WR) == 0;
}

/* Up to `room` bytes, until the other end closes. */
static ssize_t read_all(int fd, char *out, size_t room)
{
	size_t have = 0;
	while (have < room) {
		ssize_t got = read(fd, out + have, room - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (!got)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

int tool_commit(int argc, char **argv)
{
	static char text[COMMIT_MAX_BYTES + 1];
	if (argc != 1) {
		tool_complain_why(argv[1], "the text comes from standard input");
		return TOOL_FAILED;
	}
	ssize_t length = read_all(STDIN_FILENO, text, sizeof text);
	if (length < 0 || length > COMMIT_MAX_BYTES) {
		tool_complain_why("standard input", length < 0 ? strerror(errno) : "more than 65536 bytes");
		return TOOL_FAILED;
	}
	int fd = local_connect(COMMIT_SOCKET, SOCK_STREAM);
	if (fd < 0 || !send_all(fd, text, (size_t)length) || (length = read_all(fd, text, sizeof text - 1)) < 0) {
		tool_complain(COMMIT_SOCKET);
		return TOOL_FAILED;
	}
	text[length] = 0;
	text[strcspn(text, "\n")] = 0;
	if (!strcmp(text, "ok"))
		return TOOL_OK;
	tool_complain_why("refused", strncmp(text, "error ", 6) ? "no answer" : text + 6);
	return TOOL_INCOMPLETE;
}
