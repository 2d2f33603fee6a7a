/* The network of a copy of a machine that runs. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"
#include "net.h"
#include "nic.h"
#include "prefix.h"

/* Not those that the kernel gives an interface itself. */
static bool read_address(const struct ifaddrs *one, const char *name, struct address *out)
{
	if (strcmp(one->ifa_name, name) != 0 || !one->ifa_addr || !one->ifa_netmask)
		return false;
	out->family = (uint8_t)one->ifa_addr->sa_family;
	if (out->family == AF_INET)
		memcpy(out->bytes, &((const struct sockaddr_in *)one->ifa_addr)->sin_addr, out->length = 4);
	else if (out->family == AF_INET6)
		memcpy(out->bytes, &((const struct sockaddr_in6 *)one->ifa_addr)->sin6_addr, out->length = 16);
	else
		return false;
	out->prefix = (uint8_t)prefix_length(one->ifa_netmask);
	return out->family == AF_INET || !IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)out->bytes);
}

static bool is_among(const struct nic *nic, const struct address *address)
{
	struct address one;
	for (int i = 0; i < nic->address_count; i++)
		if (address_parse(nic->addresses[i], &one) && one.family == address->family && one.prefix == address->prefix &&
		    !memcmp(one.bytes, address->bytes, one.length))
			return true;
	return false;
}

static bool has_its_addresses(const struct nic *nic, const char *name, const struct ifaddrs *all)
{
	struct address address;
	int right = 0;
	for (const struct ifaddrs *one = all; one; one = one->ifa_next)
		if (read_address(one, name, &address)) {
			if (!is_among(nic, &address))
				return false;
			right++;
		}
	return right == nic->address_count;
}

static void renew_nic(int index, const struct nic *nic, const char *name, const struct ifaddrs *all)
{
	struct address address;
	if (!nic_is_renamed(nic) && has_its_addresses(nic, name, all))
		return;
	nic_bring_down(index, nic);
	for (const struct ifaddrs *one = all; one; one = one->ifa_next)
		if (read_address(one, name, &address))
			nic_remove_address(index, &address);
	if (nic_is_renamed(nic))
		nic_set_mac(index, nic);
	nic_bring_up(index, nic);
	nic_address(index, nic);
}

/* All are found before any is changed: one may get what another was. */
void renew_network(const struct config *config)
{
	int indexes[CONFIG_MAX_NICS];
	char names[CONFIG_MAX_NICS][IF_NAMESIZE];
	struct ifaddrs *all = NULL;
	for (int i = 0; i < config->nic_count; i++)
		indexes[i] = nic_find(&config->nics[i], names[i]);
	if (config->nic_count && getifaddrs(&all) < 0)
		fatal("the addresses that there are cannot be read");
	for (int i = 0; i < config->nic_count; i++)
		renew_nic(indexes[i], &config->nics[i], names[i], all);
	if (all)
		freeifaddrs(all);
}
