/* net.c, ip.c, tcp.c: a virtio NIC, one address, one connection. Everything is polled by who waits for something. */
#pragma once

#include "kernel.h"

enum { ETHERNET_ADDRESS = 6, FRAME_MOST = 1514 };

/* net.c: frames of one of the NICs, from 0. */
extern uint8_t net_address[ETHERNET_ADDRESS];
bool net_start(uint32_t number);
void net_send(const void *frame, uint32_t length);
/* The length of the next frame, which is copied to `frame`; 0 if there is none. */
uint32_t net_receive(uint8_t frame[FRAME_MOST]);

/* ip.c: addresses are numbers, 10.0.0.1 is 0x0A000001. */
struct ip_addresses {
	uint32_t own, mask, gateway;
};
void ip_start(struct ip_addresses addresses);
/* False while nobody has said who has that address: it has been asked then. */
bool ip_send(uint8_t protocol, uint32_t to, const void *bytes, uint32_t length);
/* Takes what has come, and answers what is for us to answer. */
void ip_poll(void);
uint16_t ip_checksum(uint32_t sum, const void *bytes, uint32_t length);
uint32_t ip_own(void);
/* The address at the beginning of `text`, and what is behind it; NULL if there is none. */
const char *ip_parse(const char *text, uint32_t *address);

/* tcp.c: false when nobody answers for long, and when the other end has closed or refused. */
enum { TCP = 6 };
bool tcp_connect(uint32_t to, uint16_t port);
/* Whether the other end has said that it does not want the connection, or no more of it. */
bool tcp_over(void);
bool tcp_send(const void *bytes, uint32_t count);
bool tcp_receive(void *bytes, uint32_t count);
void tcp_take(uint32_t from, const uint8_t *segment, uint32_t length);

/* Numbers as networks have them, the highest byte first. */
static inline uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t get32(const uint8_t *at) { return (uint32_t)get16(at) << 16 | get16(at + 2); }

static inline void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, (uint16_t)(value >> 16));
	put16(at + 2, (uint16_t)value);
}
