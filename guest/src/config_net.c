/* Keys of the network. */
#include <string.h>

#include "config_keys.h"

bool key_hostname(struct config *config, struct line *line)
{
	return config_set_once(config, &config->hostname, line);
}

bool key_forkedfrom(struct config *config, struct line *line)
{
	return config_set_once(config, &config->forked_from, line);
}

bool key_machineid(struct config *config, struct line *line)
{
	if (!config_set_once(config, &config->machine_id, line))
		return false;
	const char *id = config->machine_id;
	return (strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32) || config_fail(config, "not a machine id", id);
}

bool key_template(struct config *config, struct line *line)
{
	return config_set_flag(config, &config->template, line);
}

static bool nic_option(struct config *config, struct nic *nic, char *name, char *value)
{
	if (!strcmp(name, "name")) {
		nic->name = value;
		return (*value && strlen(value) < 16 && !strchr(value, '/')) || config_fail(config, "not an interface name", value);
	}
	if (!strcmp(name, "addr"))
		return config_append(config, nic->addresses, &nic->address_count, CONFIG_MAX_ADDRESSES, value);
	if (!strcmp(name, "gw"))
		return config_append(config, nic->gateways, &nic->gateway_count, 2, value);
	if (!strcmp(name, "was"))
		return parse_mac(value, nic->was) || config_fail(config, "not a MAC address", value);
	if (!strcmp(name, "mtu"))
		return parse_number(value, 65535, &nic->mtu) || config_fail(config, "not an MTU", value);
	return config_fail(config, "unknown option", name);
}

bool key_nic(struct config *config, struct line *line)
{
	if (config->nic_count >= CONFIG_MAX_NICS)
		return config_fail(config, "too many of these", NULL);
	struct nic *nic = &config->nics[config->nic_count];
	char *mac = take_word(line);
	if (!mac || !parse_mac(mac, nic->mac))
		return config_fail(config, "not a MAC address", mac);
	memcpy(nic->was, nic->mac, sizeof nic->was);
	while (line->rest) {
		char *field = take_word(line);
		char *value = field ? split_option(field) : NULL;
		if (!value)
			return config_fail(config, "an option is not NAME=VALUE", field);
		if (!nic_option(config, nic, field, value))
			return false;
	}
	if (!nic->name)
		return config_fail(config, "needs name=", NULL);
	config->nic_count++;
	return true;
}

static struct nic *find_nic(struct config *config, const char *name)
{
	for (int i = 0; i < config->nic_count; i++)
		if (!strcmp(config->nics[i].name, name))
			return &config->nics[i];
	return NULL;
}

bool key_wire(struct config *config, struct line *line)
{
	char *a = take_word(line), *b = take_word(line);
	if (config->wire_count >= CONFIG_MAX_WIRES)
		return config_fail(config, "too many of these", NULL);
	struct nic *nic_a = a ? find_nic(config, a) : NULL, *nic_b = b ? find_nic(config, b) : NULL;
	if (!nic_a || !nic_b || nic_a == nic_b)
		return config_fail(config, "needs the names of two different NICs given before", NULL);
	if (nic_a->wired || nic_b->wired || nic_a->address_count || nic_b->address_count)
		return config_fail(config, "a wired NIC has one wire and no address", NULL);
	nic_a->wired = nic_b->wired = true;
	config->wires[config->wire_count++] = (struct wire){a, b};
	return true;
}

bool key_dns(struct config *config, struct line *line)
{
	return config_append(config, config->dns, &config->dns_count, CONFIG_MAX_DNS, take_word(line));
}

bool key_search(struct config *config, struct line *line)
{
	return config_append(config, config->search, &config->search_count, CONFIG_MAX_SEARCH, take_word(line));
}

bool key_host(struct config *config, struct line *line)
{
	char *address = take_word(line), *name = take_word(line);
	if (!address || !name)
		return config_fail(config, "needs an address and a name", NULL);
	if (config->host_count >= CONFIG_MAX_HOSTS)
		return config_fail(config, "too many of these", NULL);
	config->hosts[config->host_count++] = (struct host){address, name};
	return true;
}

/* The name becomes a path below /proc/sys, so only what sysctl names are made of is let through. */
bool key_sysctl(struct config *config, struct line *line)
{
	char *name = take_word(line), *value = take_word(line);
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
	if (!name || !value || name[strspn(name, letters)] || strstr(name, "..") || *name == '/')
		return config_fail(config, "needs a name and a value", name);
	if (config->sysctl_count >= CONFIG_MAX_SYSCTLS)
		return config_fail(config, "too many of these", NULL);
	config->sysctls[config->sysctl_count++] = (struct sysctl_entry){name, value};
	return true;
}
