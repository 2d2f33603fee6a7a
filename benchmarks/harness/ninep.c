/* A client of 9P that does nothing but ask: 9P2000, or the same in 9P2000.L.
 *
 *   ninep HOST PORT DIALECT ANAME read|walk SECONDS CLIENTS COUNT
 *
 * read: 64 KB after 64 KB of the file `large`, over and over. walk: walk to one of the files dN/fN, stat it, clunk it.
 * Each client has one request out at a time. Prints for each client how many of these rounds it was served.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MSIZE = 65536 + 24, FOLDERS = 10, FILES = 100, NOFID = -1 };
enum { LOPEN = 12, GETATTR = 24, VERSION = 100, ATTACH = 104, WALK = 110, OPEN = 112, READ = 116, CLUNK = 120, STAT = 124 };

struct client {
	int fd;
	uint32_t rounds, step;
	uint64_t offset;
	uint8_t expected;
};

static const char *aname;
static int modern; /* 9P2000.L */
static uint32_t count;
static uint8_t frame[MSIZE], reply[MSIZE];
static uint32_t used;

static void fail(const char *what)
{
	fprintf(stderr, "ninep: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
	exit(1);
}

/* Requests are put together in `frame`. */
static void put(const void *data, uint32_t size)
{
	memcpy(frame + used, data, size);
	used += size;
}

static void put16(uint16_t number)
{
	number = htole16(number);
	put(&number, 2);
}

static void put32(uint32_t number)
{
	number = htole32(number);
	put(&number, 4);
}

static void put64(uint64_t number)
{
	number = htole64(number);
	put(&number, 8);
}

static void put_text(const char *text)
{
	put16(strlen(text));
	put(text, strlen(text));
}

static void begin(uint8_t type)
{
	used = 4;
	put(&type, 1);
	put16(type == VERSION ? 0xffff : 1);
}

static void ask(struct client *client)
{
	uint32_t size = htole32(used);
	memcpy(frame, &size, 4);
	client->expected = frame[4] + 1;
	if (send(client->fd, frame, used, MSG_NOSIGNAL) != (ssize_t)used)
		fail("send");
}

/* One whole reply into `reply`: its size. */
static uint32_t receive(struct client *client)
{
	uint32_t size, have = 0;
	do {
		ssize_t got = recv(client->fd, reply + have, sizeof reply - have, 0);
		if (got <= 0)
			fail("recv");
		have += got;
		memcpy(&size, reply, 4), size = le32toh(size);
	} while (have < 4 || have < size);
	errno = 0;
	if (have != size || reply[4] != client->expected)
		fail("reply");
	return size;
}

static void call(struct client *client)
{
	ask(client);
	receive(client);
}

static void open_client(struct client *client, const char *host, const char *port, int reads)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	int one = 1;
	inet_pton(AF_INET, host, &to.sin_addr);
	client->fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(client->fd, (struct sockaddr *)&to, sizeof to) != 0)
		fail("connect");
	begin(VERSION), put32(MSIZE), put_text(modern ? "9P2000.L" : "9P2000"), call(client);
	uint32_t msize;
	memcpy(&msize, reply + 7, 4);
	if (le32toh(msize) < count + 24)
		fail("msize");
	begin(ATTACH), put32(0), put32(NOFID), put_text(modern ? "" : "root"), put_text(aname);
	if (modern)
		put32(0);
	call(client);
	if (reads) {
		begin(WALK), put32(0), put32(1), put16(1), put_text("large"), call(client);
		if (modern)
			begin(LOPEN), put32(1), put32(0), call(client);
		else
			begin(OPEN), put32(1), put("\0", 1), call(client);
	}
}

static void ask_read(struct client *client)
{
	begin(READ), put32(1), put64(client->offset), put32(count);
	ask(client);
}

static void ask_walk(struct client *client)
{
	char folder[16], file[16];
	switch (client->step) {
	case 0:
		snprintf(folder, sizeof folder, "d%u", client->rounds % FOLDERS);
		snprintf(file, sizeof file, "f%u", client->rounds / FOLDERS % FILES);
		begin(WALK), put32(0), put32(2), put16(2), put_text(folder), put_text(file);
		break;
	case 1:
		begin(modern ? GETATTR : STAT), put32(2);
		if (modern)
			put64(0x7ff);
		break;
	default:
		begin(CLUNK), put32(2);
	}
	ask(client);
}

static void go_on(struct client *client, int reads)
{
	uint32_t size = receive(client);
	if (reads) {
		client->offset = size == count + 11 ? client->offset + count : 0;
		client->rounds += size == count + 11;
		ask_read(client);
	} else {
		client->step = (client->step + 1) % 3;
		client->rounds += client->step == 0;
		ask_walk(client);
	}
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	if (argc != 9)
		return 2;
	modern = strcmp(argv[3], "9P2000.L") == 0, aname = argv[4], count = atoi(argv[8]);
	int reads = strcmp(argv[5], "read") == 0, many = atoi(argv[7]), poll = epoll_create1(0);
	struct client *clients = calloc(many, sizeof *clients);
	for (int at = 0; at < many; at++) {
		open_client(&clients[at], argv[1], argv[2], reads);
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[at]};
		epoll_ctl(poll, EPOLL_CTL_ADD, clients[at].fd, &event);
	}
	double end = now() + atof(argv[6]);
	for (int at = 0; at < many; at++)
		reads ? ask_read(&clients[at]) : ask_walk(&clients[at]);
	while (now() < end) {
		struct epoll_event events[64];
		int ready = epoll_wait(poll, events, 64, 1000);
		for (int at = 0; at < ready; at++)
			go_on(events[at].data.ptr, reads);
	}
	for (int at = 0; at < many; at++)
		printf("%u\n", clients[at].rounds);
	return 0;
}
