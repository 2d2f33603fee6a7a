#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

static int route_socket = -1;

void request_begin(struct request *request, uint16_t type, uint16_t flags, const void *fixed, size_t length)
{
	memset(request, 0, sizeof *request);
	request->header.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + NLMSG_ALIGN(length));
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	memcpy(request->body, fixed, length);
}

static struct nlattr *append(struct request *request, uint16_t type, const void *data, size_t length)
{
	struct nlattr *attribute = (void *)((uint8_t *)request + request->header.nlmsg_len);
	size_t total = NLA_HDRLEN + length;
	if (request->header.nlmsg_len + NLA_ALIGN(total) > sizeof *request)
		fatal("netlink request too long"); /* a defect: every request is of a known shape */
	attribute->nla_type = type;
	attribute->nla_len = (uint16_t)total;
	if (length)
		memcpy((uint8_t *)attribute + NLA_HDRLEN, data, length);
	request->header.nlmsg_len += NLA_ALIGN(total);
	return attribute;
}

void request_add(struct request *request, uint16_t type, const void *data, size_t length)
{
	append(request, type, data, length);
}

void request_add_text(struct request *request, uint16_t type, const char *text)
{
	append(request, type, text, strlen(text) + 1);
}

void request_add_u32(struct request *request, uint16_t type, uint32_t value)
{
	append(request, type, &value, sizeof value);
}

struct nlattr *request_open(struct request *request, uint16_t type)
{
	return append(request, type, NULL, 0);
}

void request_close(struct request *request, struct nlattr *nest)
{
	uint8_t *end = (uint8_t *)request + request->header.nlmsg_len;
	nest->nla_len = (uint16_t)(end - (uint8_t *)nest);
}

int request_send(struct request *request)
{
	if (route_socket < 0)
		route_socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (route_socket < 0 || send(route_socket, request, request->header.nlmsg_len, 0) < 0)
		return -errno;
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		uint8_t rest[sizeof *request + 256]; /* a refused request is sent back with the refusal */
	} answer;
	ssize_t got = recv(route_socket, &answer, sizeof answer, 0);
	if (got < 0)
		return -errno;
	if ((size_t)got < sizeof answer.header + sizeof answer.error || answer.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.error.error;
}
