/* `probe tcp|udp|icmp ADDRESS PORT MS [SOURCE_PORT]`: one packet, and what came of it, as a line OUTCOME MS [WHY]. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "tools.h"

enum { MOST_MS = 60000, ECHO_BYTES = 16, IP_HEADER_MAX = 60, NAMES_PORT = 53 };

struct probe {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	socklen_t length;
	uint16_t source_port;
	int timeout_ms;
	uint64_t begin_ns;
};

static const char greeting[] = "weft probe\n";

/* RFC 1035, 4.1: who serves the root? A name server is silent to anything that is no question. */
static const char question[] = "\x57\x65\1\0\0\1\0\0\0\0\0\0\0\0\2\0\1";

static bool parse_number(const char *text, long most, long *out)
{
	char *end;
	errno = 0;
	*out = strtol(text, &end, 10);
	return *text && !*end && !errno && *out >= 0 && *out <= most;
}

static bool parse_target(struct probe *probe, const char *address, uint16_t port)
{
	if (inet_pton(AF_INET, address, &probe->to.v4.sin_addr) == 1) {
		probe->to.v4.sin_family = AF_INET;
		probe->to.v4.sin_port = htons(port);
		probe->length = sizeof probe->to.v4;
	} else if (inet_pton(AF_INET6, address, &probe->to.v6.sin6_addr) == 1) {
		probe->to.v6.sin6_family = AF_INET6;
		probe->to.v6.sin6_port = htons(port);
		probe->length = sizeof probe->to.v6;
	}
	return probe->length != 0;
}

static bool parse(struct probe *probe, int argc, char **argv)
{
	long port, timeout, source = 0;
	if (argc < 5 || argc > 6 || !parse_number(argv[3], 65535, &port) || !parse_number(argv[4], MOST_MS, &timeout) ||
	    (argc == 6 && !parse_number(argv[5], 65535, &source)))
		return false;
	probe->timeout_ms = (int)timeout;
	probe->source_port = (uint16_t)source;
	return parse_target(probe, argv[2], (uint16_t)port);
}

static int say_outcome(const struct probe *probe, const char *outcome, int error)
{
	uint64_t us = (clock_ns(CLOCK_MONOTONIC) - probe->begin_ns) / 1000;
	printf("%s %llu.%03llu", outcome, (unsigned long long)(us / 1000), (unsigned long long)(us % 1000));
	printf(error ? " %s\n" : "\n", strerror(error));
	return fflush(stdout) == 0 ? TOOL_OK : TOOL_FAILED;
}

static int say_error(const struct probe *probe, int error)
{
	if (error == ECONNREFUSED)
		return say_outcome(probe, "refused", 0);
	if (error == ETIMEDOUT)
		return say_outcome(probe, "silent", 0);
	return say_outcome(probe, "unreachable", error);
}

/* False: the time is over. */
static bool wait_for(const struct probe *probe, int fd, short events)
{
	for (;;) {
		int64_t left = probe->timeout_ms - (int64_t)((clock_ns(CLOCK_MONOTONIC) - probe->begin_ns) / 1000000);
		struct pollfd wanted = {.fd = fd, .events = events};
		int got = poll(&wanted, 1, left > 0 ? (int)left : 0);
		if (got > 0 || (!got && left <= 0))
			return got > 0;
	}
}

/* From the port that is wanted, if one is; a second probe shall not wait for the first one's port. */
static bool bind_source(const struct probe *probe, int fd)
{
	struct sockaddr_in6 from = {.sin6_family = probe->to.any.sa_family}; /* the port is where sockaddr_in has it */
	int on = 1;
	from.sin6_port = htons(probe->source_port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	return !probe->source_port || bind(fd, (struct sockaddr *)&from, probe->length) == 0;
}

static int probe_tcp(const struct probe *probe, int fd)
{
	int error = 0;
	socklen_t size = sizeof error;
	if (!bind_source(probe, fd))
		return say_error(probe, errno);
	if (connect(fd, &probe->to.any, probe->length) < 0 && errno != EINPROGRESS)
		return say_error(probe, errno);
	if (!wait_for(probe, fd, POLLOUT))
		return say_outcome(probe, "silent", 0);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return error ? say_error(probe, error) : say_outcome(probe, "connected", 0);
}

static int probe_udp(const struct probe *probe, int fd)
{
	bool names = probe->to.v4.sin_port == htons(NAMES_PORT); /* sockaddr_in6 has it there too */
	char answer[1];
	if (!bind_source(probe, fd) || connect(fd, &probe->to.any, probe->length) < 0 ||
	    send(fd, names ? question : greeting, names ? sizeof question - 1 : sizeof greeting - 1, MSG_NOSIGNAL) < 0)
		return say_error(probe, errno);
	if (!wait_for(probe, fd, POLLIN))
		return say_outcome(probe, "silent", 0);
	return recv(fd, answer, sizeof answer, MSG_TRUNC) < 0 ? say_error(probe, errno) : say_outcome(probe, "answered", 0);
}

static uint16_t sum_bytes(const uint8_t *bytes, size_t length)
{
	uint32_t sum = 0;
	for (size_t i = 0; i + 1 < length; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Of IPv6 the kernel makes the checksum, over more than is here. */
static void write_echo(const struct probe *probe, uint8_t *out)
{
	bool v4 = probe->to.any.sa_family == AF_INET;
	struct icmphdr head = {.type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST};
	head.un.echo.id = htons(probe->source_port);
	head.un.echo.sequence = htons(1);
	memset(out, 0, ECHO_BYTES);
	memcpy(out, &head, sizeof head);
	head.checksum = v4 ? sum_bytes(out, ECHO_BYTES) : 0;
	memcpy(out, &head, sizeof head);
}

/* A raw socket hears every answer, and of IPv4 with the header before it. */
static bool is_answer(const struct probe *probe, const uint8_t *bytes, ssize_t length)
{
	bool v4 = probe->to.any.sa_family == AF_INET;
	size_t begin = v4 && length > 0 ? (bytes[0] & 15u) * 4u : 0;
	struct icmphdr head;
	if (length < 0 || (size_t)length < begin + sizeof head)
		return false;
	memcpy(&head, bytes + begin, sizeof head);
	return head.type == (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) && head.un.echo.id == htons(probe->source_port);
}

static int probe_icmp(const struct probe *probe, int fd)
{
	uint8_t echo[ECHO_BYTES], answer[IP_HEADER_MAX + ECHO_BYTES];
	write_echo(probe, echo);
	if (connect(fd, &probe->to.any, probe->length) < 0 || send(fd, echo, sizeof echo, MSG_NOSIGNAL) < 0)
		return say_error(probe, errno);
	while (wait_for(probe, fd, POLLIN)) {
		ssize_t length = recv(fd, answer, sizeof answer, 0);
		if (length < 0 && errno != EAGAIN && errno != EINTR)
			return say_error(probe, errno);
		if (is_answer(probe, answer, length))
			return say_outcome(probe, "answered", 0);
	}
	return say_outcome(probe, "silent", 0);
}

static const struct {
	const char *name;
	int (*run)(const struct probe *probe, int fd);
	int type, protocol, protocol6;
} kinds[] = {
	{"tcp", probe_tcp, SOCK_STREAM, IPPROTO_TCP, IPPROTO_TCP},
	{"udp", probe_udp, SOCK_DGRAM, IPPROTO_UDP, IPPROTO_UDP},
	{"icmp", probe_icmp, SOCK_RAW, IPPROTO_ICMP, IPPROTO_ICMPV6},
};

/* Also what others than the target answer: that there is no way, or that it is forbidden. */
static void hear_errors(int fd, bool v4)
{
	int on = 1;
	setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof on);
}

static int find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(name, kinds[i].name))
			return (int)i;
	return -1;
}

int tool_probe(int argc, char **argv)
{
	struct probe probe = {.begin_ns = clock_ns(CLOCK_MONOTONIC)};
	int kind = argc > 1 ? find_kind(argv[1]) : -1;
	if (kind < 0 || !parse(&probe, argc, argv)) {
		tool_complain_why("usage", "probe tcp|udp|icmp ADDRESS PORT MS [SOURCE_PORT]");
		return TOOL_FAILED;
	}
	int family = probe.to.any.sa_family, protocol = family == AF_INET ? kinds[kind].protocol : kinds[kind].protocol6;
	int fd = socket(family, kinds[kind].type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (fd < 0) {
		tool_complain(argv[1]);
		return TOOL_FAILED;
	}
	hear_errors(fd, family == AF_INET);
	int result = kinds[kind].run(&probe, fd);
	close(fd);
	return result;
}
