/*
 * One connection, which we open (RFC 9293). What we send is acknowledged before more is sent, and sent again every second
 * until then; what comes out of order is left out, since it comes again.
 */
#include "net.h"

enum {
	HEAD = 20,
	MOST = 1400,
	ROOM = 16384,
	PATIENCE = 1000,	/* for what a kernel answers; a program may take longer */
	LONG_PATIENCE = 6000,
	AGAIN = 100,
	FIN = 1,
	SYN = 2,
	RST = 4,
	PSH = 8,
	ACK = 16,
};

static struct {
	uint32_t to;
	uint16_t port, own_port;
	uint32_t sent, acknowledged, received;	/* the next number we send, they want, we want */
	bool open, over;
} connection;
static uint8_t arrived[ROOM];
static uint32_t arrived_count;

static void send_segment(uint8_t flags, uint32_t number, const void *bytes, uint32_t count)
{
	static uint8_t segment[HEAD + MOST];
	uint32_t length = HEAD + count, own = ip_own();

	memset(segment, 0, HEAD);
	put16(segment, connection.own_port);
	put16(segment + 2, connection.port);
	put32(segment + 4, number);
	put32(segment + 8, connection.received);
	segment[12] = HEAD / 4 << 4;
	segment[13] = flags;
	put16(segment + 14, (uint16_t)(ROOM - arrived_count));
	memcpy(segment + HEAD, bytes, count);
	/* The sum begins with a header that is not sent: addresses, protocol, length. */
	uint32_t sum = (own >> 16) + (own & 0xFFFF) + (connection.to >> 16) + (connection.to & 0xFFFF) + TCP + length;
	put16(segment + 16, ip_checksum(sum, segment, length));
	ip_send(TCP, connection.to, segment, length);
}

static void acknowledge(void)
{
	send_segment(ACK, connection.sent, NULL, 0);
}

static void take_bytes(uint32_t number, const uint8_t *bytes, uint32_t count, bool last)
{
	if (number == connection.received && count <= ROOM - arrived_count) {
		memcpy(arrived + arrived_count, bytes, count);
		arrived_count += count;
		connection.received += count + last;
		connection.over |= last;
	}
	if (count || last)
		acknowledge();
}

void tcp_take(uint32_t from, const uint8_t *segment, uint32_t length)
{
	uint32_t head = length < HEAD ? HEAD : (segment[12] >> 4) * 4u, number;
	if (length < head || from != connection.to || get16(segment) != connection.port
	    || get16(segment + 2) != connection.own_port)
		return;
	uint8_t flags = segment[13];
	number = get32(segment + 4);
	if (flags & RST) {
		connection.over = true;
		return;
	}
	if (flags & ACK && get32(segment + 8) == connection.sent)
		connection.acknowledged = connection.sent;
	if (flags & SYN && !connection.open) {
		connection.received = number + 1;
		connection.open = connection.acknowledged == connection.sent;
		acknowledge();
	} else if (connection.open) {
		take_bytes(number, segment + head, length - head, flags & FIN);
	}
}

/* Sends it again and again until it is acknowledged. */
static bool insist(uint8_t flags, const void *bytes, uint32_t count)
{
	uint32_t number = connection.sent, since = ticks, last = ticks - AGAIN;

	connection.sent += count + (flags & SYN ? 1 : 0);
	while (connection.acknowledged != connection.sent) {
		if (connection.over || ticks - since > PATIENCE)
			return false;
		if (ticks - last >= AGAIN) {
			send_segment(flags, number, bytes, count);
			last = ticks;
		}
		ip_poll();
		rest();
	}
	return true;
}

bool tcp_connect(uint32_t to, uint16_t port)
{
	static uint16_t last_port = 1024;

	memset(&connection, 0, sizeof connection);
	arrived_count = 0;
	connection.to = to;
	connection.port = port;
	connection.own_port = ++last_port;
	connection.sent = ticks << 16;
	connection.acknowledged = connection.sent - 1;
	return insist(SYN, NULL, 0) && connection.open;
}

bool tcp_over(void)
{
	return connection.over;
}

bool tcp_send(const void *bytes, uint32_t count)
{
	const uint8_t *at = bytes;
	for (uint32_t part; count; at += part, count -= part) {
		part = count < MOST ? count : MOST;
		if (!insist(ACK | PSH, at, part))
			return false;
	}
	return true;
}

bool tcp_receive(void *bytes, uint32_t count)
{
	for (uint32_t since = ticks; arrived_count < count; rest()) {
		ip_poll();
		if (arrived_count < count && (connection.over || ticks - since > LONG_PATIENCE))
			return false;
	}
	memcpy(bytes, arrived, count);
	arrived_count -= count;
	memcpy(arrived, arrived + count, arrived_count);	/* forwards: they overlap */
	return true;
}
