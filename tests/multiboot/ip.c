/* IPv4 on Ethernet without options and fragments, ARP, and answers to pings. */
#include "net.h"

enum {
	ETHERNET = 14,
	TYPE_IP = 0x0800,
	TYPE_ARP = 0x0806,
	ARP = 28,
	ARP_REQUEST = 1,
	ARP_ANSWER = 2,
	IP = 20,
	HOPS = 64,
	ICMP = 1,
	PING = 8,
};

static const uint8_t everybody[ETHERNET_ADDRESS] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
static struct ip_addresses addresses;
static uint8_t neighbour[ETHERNET_ADDRESS];	/* the one that was asked for last */
static uint32_t neighbour_address;
static uint8_t incoming[FRAME_MOST], outgoing[FRAME_MOST];

void ip_start(struct ip_addresses given)
{
	addresses = given;
}

uint32_t ip_own(void)
{
	return addresses.own;
}

/* The sum of the Internet, in which `sum` is what was summed before. */
uint16_t ip_checksum(uint32_t sum, const void *bytes, uint32_t length)
{
	const uint8_t *at = bytes;
	for (; length > 1; at += 2, length -= 2)
		sum += get16(at);
	if (length)
		sum += (uint32_t)at[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xFFFF) + (sum >> 16);
	return (uint16_t)~sum;
}

static void send_frame(const uint8_t *to, uint16_t type, uint32_t length)
{
	memcpy(outgoing, to, ETHERNET_ADDRESS);
	memcpy(outgoing + ETHERNET_ADDRESS, net_address, ETHERNET_ADDRESS);
	put16(outgoing + 2 * ETHERNET_ADDRESS, type);
	net_send(outgoing, ETHERNET + length);
}

static void send_arp(uint16_t operation, const uint8_t *to, uint32_t to_address)
{
	static const uint8_t kinds[] = {0, 1, TYPE_IP >> 8, 0, ETHERNET_ADDRESS, 4};
	uint8_t *arp = outgoing + ETHERNET;
	memcpy(arp, kinds, sizeof kinds);
	put16(arp + 6, operation);
	memcpy(arp + 8, net_address, ETHERNET_ADDRESS);
	put32(arp + 14, addresses.own);
	memcpy(arp + 18, to, ETHERNET_ADDRESS);
	put32(arp + 24, to_address);
	send_frame(to, TYPE_ARP, ARP);
}

static void take_arp(const uint8_t *arp)
{
	uint32_t from = get32(arp + 14);
	if (get16(arp + 6) == ARP_REQUEST && get32(arp + 24) == addresses.own)
		send_arp(ARP_ANSWER, arp + 8, from);
	if (from == neighbour_address)
		memcpy(neighbour, arp + 8, ETHERNET_ADDRESS);
}

static bool know_neighbour(uint32_t to)
{
	static const uint8_t nobody[ETHERNET_ADDRESS];
	uint32_t next = (to & addresses.mask) == (addresses.own & addresses.mask) ? to : addresses.gateway;
	if (next != neighbour_address)
		memset(neighbour, 0, sizeof neighbour);
	neighbour_address = next;
	if (memcmp(neighbour, nobody, sizeof neighbour) != 0)
		return true;
	send_arp(ARP_REQUEST, everybody, next);
	return false;
}

bool ip_send(uint8_t protocol, uint32_t to, const void *bytes, uint32_t length)
{
	uint8_t *ip = outgoing + ETHERNET;

	if (IP + length > FRAME_MOST - ETHERNET || !know_neighbour(to))
		return false;
	memset(ip, 0, IP);
	ip[0] = 4 << 4 | IP / 4;
	put16(ip + 2, (uint16_t)(IP + length));
	ip[8] = HOPS;
	ip[9] = protocol;
	put32(ip + 12, addresses.own);
	put32(ip + 16, to);
	put16(ip + 10, ip_checksum(0, ip, IP));
	memcpy(ip + IP, bytes, length);
	send_frame(neighbour, TYPE_IP, IP + length);
	return true;
}

static void take_ping(uint32_t from, uint8_t *icmp, uint32_t length)
{
	if (length < 8 || icmp[0] != PING)
		return;
	icmp[0] = 0;
	put16(icmp + 2, 0);
	put16(icmp + 2, ip_checksum(0, icmp, length));
	ip_send(ICMP, from, icmp, length);
}

static void take_ip(uint8_t *ip, uint32_t there)
{
	uint32_t head = (ip[0] & 15) * 4u, length = get16(ip + 2);
	if (ip[0] >> 4 != 4 || head < IP || length < head || length > there || get32(ip + 16) != addresses.own)
		return;
	if (ip[9] == ICMP)
		take_ping(get32(ip + 12), ip + head, length - head);
	if (ip[9] == TCP)
		tcp_take(get32(ip + 12), ip + head, length - head);
}

void ip_poll(void)
{
	for (uint32_t length; addresses.own && (length = net_receive(incoming)) != 0;) {
		uint16_t type = get16(incoming + 2 * ETHERNET_ADDRESS);
		if (type == TYPE_ARP && length >= ETHERNET + ARP)
			take_arp(incoming + ETHERNET);
		if (type == TYPE_IP && length >= ETHERNET + IP)
			take_ip(incoming + ETHERNET, length - ETHERNET);
	}
}

const char *ip_parse(const char *text, uint32_t *address)
{
	*address = 0;
	for (int part = 0; part < 4; part++) {
		uint32_t number = 0;
		const char *start = text;
		while (*text >= '0' && *text <= '9')
			number = 10 * number + (uint32_t)(*text++ - '0');
		if (text == start || number > 255 || (part < 3 && *text++ != '.'))
			return NULL;
		*address = *address << 8 | number;
	}
	return text;
}
