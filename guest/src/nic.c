#include "nic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "files.h"
#include "log.h"
#include "netlink.h"

enum { NIC_WAIT_MS = 5000 };

bool address_parse(const char *text, struct address *out)
{
	char copy[80];
	snprintf(copy, sizeof copy, "%s", text);
	char *slash = strchr(copy, '/');
	if (slash)
		*slash = 0;
	out->family = strchr(copy, ':') ? AF_INET6 : AF_INET;
	out->length = out->family == AF_INET6 ? 16 : 4;
	long prefix = slash ? strtol(slash + 1, NULL, 10) : out->length * 8;
	out->prefix = (uint8_t)prefix;
	return prefix >= 0 && prefix <= out->length * 8 && inet_pton(out->family, copy, out->bytes) == 1;
}

static void send_or_die(struct request *request, const char *what, const char *name)
{
	int error = request_send(request);
	if (error)
		fatal("%s: %s: %s", name, what, strerror(-error));
}

static void begin_link(struct request *request, int index, unsigned flags)
{
	struct ifinfomsg link = {.ifi_index = index, .ifi_flags = flags, .ifi_change = flags};
	request_begin(request, RTM_NEWLINK, 0, &link, sizeof link);
}

void link_rename(int index, const char *name)
{
	struct request request;
	begin_link(&request, index, 0);
	request_add_text(&request, IFLA_IFNAME, name);
	send_or_die(&request, "naming it", name);
}

void link_bring_up(int index, const char *name, uint32_t mtu, unsigned flags)
{
	struct request request;
	begin_link(&request, index, IFF_UP | flags);
	if (mtu)
		request_add_u32(&request, IFLA_MTU, mtu);
	send_or_die(&request, "bringing it up", name);
}

bool nic_is_renamed(const struct nic *nic)
{
	return memcmp(nic->mac, nic->was, sizeof nic->mac) != 0;
}

/* While it is down: nothing is ever sent from the address it had. */
void nic_set_mac(int index, const struct nic *nic)
{
	struct request request;
	begin_link(&request, index, 0);
	request_add(&request, IFLA_ADDRESS, nic->mac, sizeof nic->mac);
	send_or_die(&request, "giving it its address", nic->name);
}

/* The fabric hands out every address once, so nobody needs to be asked whether it is taken (NODAD). */
static void add_address(int index, const struct nic *nic, const char *text)
{
	struct address address;
	if (!address_parse(text, &address))
		fatal("%s: '%s' is not ADDRESS/PREFIX", nic->name, text);
	struct ifaddrmsg fixed = {.ifa_family = address.family,
				  .ifa_prefixlen = address.prefix,
				  .ifa_flags = address.family == AF_INET6 ? IFA_F_NODAD : 0,
				  .ifa_index = (unsigned)index};
	struct request request;
	request_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &fixed, sizeof fixed);
	request_add(&request, IFA_LOCAL, address.bytes, address.length);
	request_add(&request, IFA_ADDRESS, address.bytes, address.length);
	if (address.family == AF_INET && address.prefix < 31) {
		uint32_t broadcast;
		memcpy(&broadcast, address.bytes, 4);
		broadcast |= htonl(0xffffffffu >> address.prefix);
		request_add(&request, IFA_BROADCAST, &broadcast, 4);
	}
	send_or_die(&request, text, nic->name);
}

static void add_default_route(int index, const struct nic *nic, const char *text)
{
	struct address gateway;
	if (!address_parse(text, &gateway))
		fatal("%s: gateway '%s' is not an address", nic->name, text);
	struct rtmsg fixed = {.rtm_family = gateway.family,
			      .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = RTPROT_BOOT,
			      .rtm_scope = RT_SCOPE_UNIVERSE,
			      .rtm_type = RTN_UNICAST};
	struct request request;
	request_begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &fixed, sizeof fixed);
	request_add(&request, RTA_GATEWAY, gateway.bytes, gateway.length);
	request_add_u32(&request, RTA_OIF, (uint32_t)index);
	send_or_die(&request, text, nic->name);
}

static void wait_for_nic(const struct nic *nic, char *name, size_t room)
{
	const uint8_t *m = nic->was;
	char mac[18];
	snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	int64_t give_up = now_ms() + NIC_WAIT_MS;
	for (long wait_ms = 1; !find_by_attribute("/sys/class/net", "address", mac, name, room); wait_ms *= 2) {
		if (now_ms() > give_up)
			fatal("%s: no interface has the MAC address %s", nic->name, mac);
		struct timespec pause = {0, (wait_ms < 64 ? wait_ms : 64) * 1000000};
		nanosleep(&pause, NULL);
	}
}

static struct known {
	uint8_t mac[6];
	char name[IF_NAMESIZE];
	int index;
} known[CONFIG_MAX_NICS];
static int known_count;

void nics_remember(void)
{
	struct ifaddrs *all;
	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *one = all; one && known_count < CONFIG_MAX_NICS; one = one->ifa_next) {
		const struct sockaddr_ll *link = (const void *)one->ifa_addr;
		if (!link || link->sll_family != AF_PACKET || (one->ifa_flags & IFF_LOOPBACK))
			continue;
		struct known *nic = &known[known_count++];
		memcpy(nic->mac, link->sll_addr, sizeof nic->mac);
		snprintf(nic->name, sizeof nic->name, "%s", one->ifa_name);
		nic->index = link->sll_ifindex;
	}
	freeifaddrs(all);
}

int nics_known(int which, struct nic *nic)
{
	if (which >= known_count)
		return 0;
	*nic = (struct nic){.name = known[which].name};
	memcpy(nic->mac, known[which].mac, sizeof nic->mac);
	memcpy(nic->was, known[which].mac, sizeof nic->was);
	return known[which].index;
}

/* What was remembered is good once: then names and addresses change. */
void nics_forget(void)
{
	known_count = 0;
}

int nic_find(const struct nic *nic, char name[IF_NAMESIZE])
{
	for (int i = 0; i < known_count; i++)
		if (!memcmp(known[i].mac, nic->was, sizeof nic->was)) {
			memcpy(name, known[i].name, IF_NAMESIZE);
			return known[i].index;
		}
	wait_for_nic(nic, name, IF_NAMESIZE);
	return (int)if_nametoindex(name);
}

/* QEMU's virtio-net filters by MAC address unless the guest asks for everything: a wire must. */
void nic_bring_up(int index, const struct nic *nic)
{
	link_bring_up(index, nic->name, nic->mtu, nic->wired ? IFF_PROMISC : 0);
}

void nic_address(int index, const struct nic *nic)
{
	for (int i = 0; i < nic->address_count; i++)
		add_address(index, nic, nic->addresses[i]);
	for (int i = 0; i < nic->gateway_count; i++)
		add_default_route(index, nic, nic->gateways[i]);
}

void nic_remove_address(int index, const struct address *address)
{
	struct ifaddrmsg fixed = {.ifa_family = address->family, .ifa_prefixlen = address->prefix, .ifa_index = (unsigned)index};
	struct request request;
	request_begin(&request, RTM_DELADDR, 0, &fixed, sizeof fixed);
	request_add(&request, IFA_LOCAL, address->bytes, address->length);
	request_send(&request);
}

void nic_bring_down(int index, const struct nic *nic)
{
	struct ifinfomsg link = {.ifi_index = index, .ifi_change = IFF_UP};
	struct request request;
	request_begin(&request, RTM_NEWLINK, 0, &link, sizeof link);
	send_or_die(&request, "bringing it down", nic->name);
}

void nic_undo(int index, const struct nic *nic)
{
	struct address address;
	for (int i = 0; i < nic->address_count; i++)
		if (address_parse(nic->addresses[i], &address))
			nic_remove_address(index, &address);
	nic_bring_down(index, nic);
}
