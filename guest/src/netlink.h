/* One rtnetlink request at a time: build it, send it, wait for the kernel's answer. */
#pragma once

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

struct request {
	struct nlmsghdr header;
	uint8_t body[1024];
};

/* Begins a request of `type` whose fixed part is `fixed`. */
void request_begin(struct request *request, uint16_t type, uint16_t flags, const void *fixed, size_t length);
void request_add(struct request *request, uint16_t type, const void *data, size_t length);
void request_add_text(struct request *request, uint16_t type, const char *text);
void request_add_u32(struct request *request, uint16_t type, uint32_t value);

/* Attributes added between open and close are inside attribute `type`. */
struct nlattr *request_open(struct request *request, uint16_t type);
void request_close(struct request *request, struct nlattr *nest);

/* 0, or -errno as the kernel said it. */
int request_send(struct request *request);
