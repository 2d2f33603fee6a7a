#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "files.h"
#include "log.h"
#include "netlink.h"
#include "nic.h"
#include "wire.h"

/* The kernel numbers interfaces in probe order, which is not the order QEMU was told. Those with a wrong name first get one
 * that nobody wants, so that two of them can change places. */
static void name_nics(const struct config *config, int *indexes)
{
	bool is_wrong[CONFIG_MAX_NICS];
	for (int i = 0; i < config->nic_count; i++) {
		char name[IF_NAMESIZE], spare[IF_NAMESIZE];
		indexes[i] = nic_find(&config->nics[i], name);
		snprintf(spare, sizeof spare, "weft-%d", i);
		is_wrong[i] = strcmp(name, config->nics[i].name) != 0;
		if (is_wrong[i])
			link_rename(indexes[i], spare);
	}
	for (int i = 0; i < config->nic_count; i++)
		if (is_wrong[i])
			link_rename(indexes[i], config->nics[i].name);
	nics_forget();
}

/* Without IPv6 and without an address a NIC that is up says nothing: no router solicitation, no multicast report. */
static void silence(const char *name)
{
	char path[80];
	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	if (!write_file(path, "1") && errno != ENOENT)
		fatal("%s: turning IPv6 off: %s", name, strerror(errno));
}

static void set_up_nic(int index, const struct nic *nic)
{
	if (nic_is_renamed(nic))
		nic_set_mac(index, nic);
	if (nic->wired)
		silence(nic->name);
	nic_bring_up(index, nic);
	nic_address(index, nic);
}

void set_up_loopback(void)
{
	link_bring_up((int)if_nametoindex("lo"), "lo", 0, 0);
}

void set_up_network(const struct config *config)
{
	int indexes[CONFIG_MAX_NICS];
	name_nics(config, indexes);
	for (int i = 0; i < config->nic_count; i++)
		set_up_nic(indexes[i], &config->nics[i]);
	for (int i = 0; i < config->wire_count; i++)
		connect_wire(config->wires[i].a, config->wires[i].b);
}
