#include "wire.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "netlink.h"

/* Neither matchall nor its option number is in every kernel's headers under the same name: these are ABI. */
enum { MATCHALL_ACT = 2, PRIORITY = 1 };

/* Receive offload glues TCP segments together; a wire hands on the frames that came. */
static void stop_merging(const char *name)
{
	struct ethtool_value off = {.cmd = ETHTOOL_SGRO, .data = 0};
	struct ifreq ask = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(ask.ifr_name, name, strnlen(name, IF_NAMESIZE - 1));
	ask.ifr_data = (void *)&off;
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &ask) < 0)
		say("%s: receive offload stays on: %s", name, strerror(errno));
	close(fd);
}

static int add_ingress(unsigned index)
{
	struct tcmsg fixed = {.tcm_ifindex = (int)index, .tcm_parent = TC_H_INGRESS, .tcm_handle = TC_H_MAKE(TC_H_INGRESS, 0)};
	struct request request;
	request_begin(&request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &fixed, sizeof fixed);
	request_add_text(&request, TCA_KIND, "ingress");
	return request_send(&request);
}

static void begin_filter(struct request *request, unsigned index, const char *kind)
{
	struct tcmsg fixed = {.tcm_ifindex = (int)index,
			      .tcm_parent = TC_H_MAKE(TC_H_INGRESS, 0),
			      .tcm_info = TC_H_MAKE(PRIORITY << 16, htons(ETH_P_ALL))};
	request_begin(request, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &fixed, sizeof fixed);
	request_add_text(request, TCA_KIND, kind);
}

static void add_redirect(struct request *request, uint16_t actions_type, unsigned target)
{
	struct tc_mirred redirect = {.action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = target};
	struct nlattr *actions = request_open(request, actions_type);
	struct nlattr *first = request_open(request, 1);
	request_add_text(request, TCA_ACT_KIND, "mirred");
	struct nlattr *options = request_open(request, TCA_ACT_OPTIONS);
	request_add(request, TCA_MIRRED_PARMS, &redirect, sizeof redirect);
	request_close(request, options);
	request_close(request, first);
	request_close(request, actions);
}

static int redirect_with_matchall(unsigned from, unsigned to)
{
	struct request request;
	begin_filter(&request, from, "matchall");
	struct nlattr *options = request_open(&request, TCA_OPTIONS);
	add_redirect(&request, MATCHALL_ACT, to);
	request_close(&request, options);
	return request_send(&request);
}

/* A key with an empty mask matches everything; kernels without matchall mostly have u32. */
static int redirect_with_u32(unsigned from, unsigned to)
{
	struct {
		struct tc_u32_sel sel;
		struct tc_u32_key key;
	} everything = {.sel = {.flags = TC_U32_TERMINAL, .nkeys = 1}};
	struct request request;
	begin_filter(&request, from, "u32");
	struct nlattr *options = request_open(&request, TCA_OPTIONS);
	request_add(&request, TCA_U32_SEL, &everything, sizeof everything);
	add_redirect(&request, TCA_U32_ACT, to);
	request_close(&request, options);
	return request_send(&request);
}

static void redirect(const char *from, const char *to)
{
	unsigned from_index = if_nametoindex(from), to_index = if_nametoindex(to);
	int error = add_ingress(from_index);
	if (error)
		fatal("wire %s %s: ingress queue: %s", from, to, strerror(-error));
	if (redirect_with_matchall(from_index, to_index) == 0)
		return;
	error = redirect_with_u32(from_index, to_index);
	if (error)
		fatal("wire %s %s: the kernel has neither matchall nor u32 with mirred: %s", from, to, strerror(-error));
}

void connect_wire(const char *a, const char *b)
{
	stop_merging(a);
	stop_merging(b);
	redirect(a, b);
	redirect(b, a);
}

void rehearse_wire(void)
{
	struct tcmsg fixed = {.tcm_ifindex = (int)if_nametoindex("lo"),
			      .tcm_parent = TC_H_INGRESS,
			      .tcm_handle = TC_H_MAKE(TC_H_INGRESS, 0)};
	struct request request;
	if (add_ingress((unsigned)fixed.tcm_ifindex))
		return;
	redirect_with_matchall((unsigned)fixed.tcm_ifindex, (unsigned)fixed.tcm_ifindex);
	request_begin(&request, RTM_DELQDISC, 0, &fixed, sizeof fixed);
	request_send(&request);
}
