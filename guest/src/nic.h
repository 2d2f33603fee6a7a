/* One interface: found, named, brought up, addressed. What cannot be done ends the machine. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"

struct address {
	uint8_t family, prefix, length;
	uint8_t bytes[16];
};

/* ADDRESS or ADDRESS/PREFIX, IPv4 or IPv6. */
bool address_parse(const char *text, struct address *out);

void link_rename(int index, const char *name);
void link_bring_up(int index, const char *name, uint32_t mtu, unsigned flags);

/* Looks for all that are there, so that they need not be looked for when time counts. */
void nics_remember(void);
void nics_forget(void);

/* One of those that are remembered, as it is now: its number, or 0 for no more. */
int nics_known(int which, struct nic *nic);

/* Its number and its name as it is now. It is known by the address that it `was`, and may still have to come: 5 s. */
int nic_find(const struct nic *nic, char name[IF_NAMESIZE]);

/* Whether it is to get another address than it was known by. */
bool nic_is_renamed(const struct nic *nic);
void nic_set_mac(int index, const struct nic *nic);

void nic_bring_up(int index, const struct nic *nic);

/* Its addresses and the default routes through it. */
void nic_address(int index, const struct nic *nic);

void nic_bring_down(int index, const struct nic *nic);

/* A refusal means nothing: with the first address of a network, others of it may go by themselves. */
void nic_remove_address(int index, const struct address *address);

/* Takes it down, and its addresses away. */
void nic_undo(int index, const struct nic *nic);
