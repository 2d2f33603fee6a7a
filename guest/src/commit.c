#include "commit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "frame.h"
#include "local.h"
#include "log.h"
#include "outq.h"

enum { READ_MS = 10 * 1000, ANSWER_MS = 60 * 1000, TURN_BYTES = 4096 };

static enum { IDLE, READING, SENDING, WAITING } state;
static int listener = -1, client = -1;
static uint16_t stream;
static int64_t deadline_ms;
static char text[COMMIT_MAX_BYTES + 1];
static size_t have, sent;

void commit_start(void)
{
	if (listener >= 0)
		close(listener);
	listener = local_open(COMMIT_SOCKET, SOCK_STREAM);
}

static void finish(const char *answer)
{
	if (send(client, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		say("commit: %s", strerror(errno));
	close(client);
	client = -1;
	state = IDLE;
}

static void refuse(const char *why)
{
	char answer[FRAME_MAX_PAYLOAD + 16];
	int length = snprintf(answer, sizeof answer, "error %s", why);
	for (int i = 0; i < length; i++)
		if (answer[i] == '\n')
			answer[i] = ' ';
	strcpy(answer + length, "\n");
	finish(answer);
}

static void take_client(void)
{
	client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (client < 0)
		return;
	state = READING;
	have = sent = 0;
	deadline_ms = now_ms() + READ_MS;
}

/* Until the other end says that this is all. */
static void read_client(void)
{
	ssize_t got = read(client, text + have, sizeof text - have);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (now_ms() >= deadline_ms)
			refuse("the text did not end");
		return;
	}
	if (got < 0) {
		refuse(strerror(errno));
		return;
	}
	have += (size_t)got;
	if (have > COMMIT_MAX_BYTES) {
		refuse("more than 65536 bytes");
	} else if (!got) {
		state = SENDING;
		stream = (uint16_t)(stream % 0xffff + 1);
		deadline_ms = now_ms() + ANSWER_MS;
	}
}

/* In pieces, the last of them empty. */
static void send_text(void)
{
	while (state == SENDING && outq_has_room(OUTQ_DATA_ROOM)) {
		size_t length = have - sent < TURN_BYTES ? have - sent : TURN_BYTES;
		outq_send(KIND_COMMIT, stream, text + sent, length);
		sent += length;
		if (!length)
			state = WAITING;
	}
}

void commit_step(bool host_listens)
{
	if (state == IDLE && listener >= 0)
		take_client();
	if (state == READING)
		read_client();
	if ((state == SENDING || state == WAITING) && !host_listens)
		refuse("no host listens");
	send_text();
	if ((state == SENDING || state == WAITING) && now_ms() >= deadline_ms)
		refuse("the host has not answered");
}

void commit_poll(struct pollset *set)
{
	if (state == IDLE)
		pollset_add(set, listener, POLLIN);
	if (state == READING)
		pollset_add(set, client, POLLIN);
	if (state == SENDING && outq_has_room(OUTQ_DATA_ROOM))
		pollset_wake_at(set, 0); /* without room, the port wakes us when it has taken something */
	if (state != IDLE)
		pollset_wake_at(set, deadline_ms);
}

void commit_answer(uint16_t of, bool accepted, const char *why)
{
	if (state != WAITING || of != stream)
		return;
	if (accepted)
		finish("ok\n");
	else
		refuse(why);
}
