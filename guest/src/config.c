/* The parser of /weft.conf. Pure: no input or output, no allocation; it decodes the text in place. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "fields.h"

static bool fail(struct config *config, const char *why, const char *what)
{
	snprintf(config->error, sizeof config->error, "%s%s%.60s", why, what ? ": " : "", what ? what : "");
	return false;
}

static bool append(struct config *config, char **list, int *count, int limit, char *value)
{
	if (!value)
		return fail(config, "a value is missing or badly encoded", NULL);
	if (*count >= limit)
		return fail(config, "too many of these", NULL);
	list[(*count)++] = value;
	return true;
}

static bool set_once(struct config *config, char **where, struct line *line)
{
	if (*where)
		return fail(config, "given twice", NULL);
	*where = take_word(line);
	return *where || fail(config, "a value is missing or badly encoded", NULL);
}

static bool key_version(struct config *config, struct line *line)
{
	uint32_t version;
	char *text = take_word(line);
	if (!text || !parse_number(text, UINT32_MAX, &version))
		return fail(config, "not a version number", text);
	return version == CONFIG_VERSION || fail(config, "a configuration of another version than this init's", text);
}

static bool key_hostname(struct config *config, struct line *line)
{
	return set_once(config, &config->hostname, line);
}

static bool key_root(struct config *config, struct line *line)
{
	if (config->root_serial)
		return fail(config, "given twice", NULL);
	for (char *field; line->rest;) {
		if (!(field = take_word(line)))
			return fail(config, "an option is empty or badly encoded", NULL);
		char *value = split_option(field);
		if (value && *value && !strcmp(field, "serial"))
			config->root_serial = value;
		else if (value && *value && !strcmp(field, "type"))
			config->root_type = value;
		else
			return fail(config, "unknown option", field);
	}
	return (config->root_serial && config->root_type) || fail(config, "needs serial= and type=", NULL);
}

static bool key_overlay(struct config *config, struct line *line)
{
	char *field = take_word(line);
	char *value = field ? split_option(field) : NULL;
	if (!value || strcmp(field, "size") != 0 || config->overlay_size)
		return fail(config, "needs size= once", field);
	size_t digits = strspn(value, "0123456789");
	bool percent = value[digits] == '%' && !value[digits + 1];
	if (!digits || digits > 15 || (value[digits] && !percent))
		return fail(config, "size is neither bytes nor a percentage", value);
	config->overlay_size = value;
	return true;
}

static bool nic_option(struct config *config, struct nic *nic, char *name, char *value)
{
	if (!strcmp(name, "name")) {
		nic->name = value;
		return (*value && strlen(value) < 16 && !strchr(value, '/')) || fail(config, "not an interface name", value);
	}
	if (!strcmp(name, "addr"))
		return append(config, nic->addresses, &nic->address_count, CONFIG_MAX_ADDRESSES, value);
	if (!strcmp(name, "gw"))
		return append(config, nic->gateways, &nic->gateway_count, 2, value);
	if (!strcmp(name, "mtu"))
		return parse_number(value, 65535, &nic->mtu) || fail(config, "not an MTU", value);
	return fail(config, "unknown option", name);
}

static bool key_nic(struct config *config, struct line *line)
{
	if (config->nic_count >= CONFIG_MAX_NICS)
		return fail(config, "too many of these", NULL);
	struct nic *nic = &config->nics[config->nic_count];
	char *mac = take_word(line);
	if (!mac || !parse_mac(mac, nic->mac))
		return fail(config, "not a MAC address", mac);
	while (line->rest) {
		char *field = take_word(line);
		char *value = field ? split_option(field) : NULL;
		if (!value)
			return fail(config, "an option is not NAME=VALUE", field);
		if (!nic_option(config, nic, field, value))
			return false;
	}
	if (!nic->name)
		return fail(config, "needs name=", NULL);
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

static bool key_wire(struct config *config, struct line *line)
{
	char *a = take_word(line), *b = take_word(line);
	if (config->wire_count >= CONFIG_MAX_WIRES)
		return fail(config, "too many of these", NULL);
	struct nic *nic_a = a ? find_nic(config, a) : NULL, *nic_b = b ? find_nic(config, b) : NULL;
	if (!nic_a || !nic_b || nic_a == nic_b)
		return fail(config, "needs the names of two different NICs given before", NULL);
	if (nic_a->wired || nic_b->wired || nic_a->address_count || nic_b->address_count)
		return fail(config, "a wired NIC has one wire and no address", NULL);
	nic_a->wired = nic_b->wired = true;
	config->wires[config->wire_count++] = (struct wire){a, b};
	return true;
}

static bool key_dns(struct config *config, struct line *line)
{
	return append(config, config->dns, &config->dns_count, CONFIG_MAX_DNS, take_word(line));
}

static bool key_search(struct config *config, struct line *line)
{
	return append(config, config->search, &config->search_count, CONFIG_MAX_SEARCH, take_word(line));
}

static bool key_host(struct config *config, struct line *line)
{
	char *address = take_word(line), *name = take_word(line);
	if (!address || !name)
		return fail(config, "needs an address and a name", NULL);
	if (config->host_count >= CONFIG_MAX_HOSTS)
		return fail(config, "too many of these", NULL);
	config->hosts[config->host_count++] = (struct host){address, name};
	return true;
}

static bool key_arg(struct config *config, struct line *line)
{
	return append(config, config->argv, &config->argc, CONFIG_MAX_ARGS, take_field(line));
}

static bool key_env(struct config *config, struct line *line)
{
	char *value = take_word(line);
	if (value && (!strchr(value, '=') || *value == '='))
		return fail(config, "not NAME=VALUE", value);
	return append(config, config->env, &config->env_count, CONFIG_MAX_ENV, value);
}

static bool key_cwd(struct config *config, struct line *line)
{
	return set_once(config, &config->cwd, line);
}

static bool key_user(struct config *config, struct line *line)
{
	return set_once(config, &config->user, line);
}

static bool key_restart(struct config *config, struct line *line)
{
	static const char *const names[] = {"never", "on-failure", "always"};
	char *value = take_word(line);
	for (int i = 0; value && i < 3; i++)
		if (!strcmp(value, names[i])) {
			config->restart = (enum restart)i;
			return true;
		}
	return fail(config, "not never, on-failure or always", value);
}

static bool mount_option(struct config *config, struct mount_entry *entry, char *field)
{
	if (!strcmp(field, "ro")) {
		entry->read_only = true;
		return true;
	}
	char *value = split_option(field);
	if (value && *value && !strcmp(field, "serial"))
		entry->serial = value;
	else if (value && *value == '/' && !strcmp(field, "at"))
		entry->at = value;
	else if (value && *value && !strcmp(field, "type"))
		entry->type = value;
	else
		return fail(config, "unknown option", field);
	return true;
}

static bool key_mount(struct config *config, struct line *line)
{
	if (config->mount_count >= CONFIG_MAX_MOUNTS)
		return fail(config, "too many of these", NULL);
	struct mount_entry *entry = &config->mounts[config->mount_count];
	while (line->rest) {
		char *field = take_word(line);
		if (!field)
			return fail(config, "an option is empty or badly encoded", NULL);
		if (!mount_option(config, entry, field))
			return false;
	}
	if (!entry->serial || !entry->at || !entry->type)
		return fail(config, "needs serial=, at= and type=", NULL);
	config->mount_count++;
	return true;
}

/* The name becomes a path below /proc/sys, so only what sysctl names are made of is let through. */
static bool key_sysctl(struct config *config, struct line *line)
{
	char *name = take_word(line), *value = take_word(line);
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
	if (!name || !value || name[strspn(name, letters)] || strstr(name, "..") || *name == '/')
		return fail(config, "needs a name and a value", name);
	if (config->sysctl_count >= CONFIG_MAX_SYSCTLS)
		return fail(config, "too many of these", NULL);
	config->sysctls[config->sysctl_count++] = (struct sysctl_entry){name, value};
	return true;
}

static const struct {
	const char *name;
	bool (*parse)(struct config *config, struct line *line);
} keys[] = {
	{"arg", key_arg},         {"cwd", key_cwd},       {"dns", key_dns},         {"env", key_env},
	{"host", key_host},       {"hostname", key_hostname}, {"mount", key_mount}, {"nic", key_nic},
	{"overlay", key_overlay}, {"restart", key_restart},   {"root", key_root},   {"search", key_search},
	{"sysctl", key_sysctl},   {"user", key_user},     {"version", key_version}, {"wire", key_wire},
};

static bool parse_line(struct config *config, char *text)
{
	struct line line = {strchr(text, ' ')};
	if (!line.rest)
		return fail(config, "not KEY VALUE", text);
	*line.rest++ = 0;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (!strcmp(text, keys[i].name)) {
			if (!keys[i].parse(config, &line))
				return false;
			return !line.rest || fail(config, "something follows the value", text);
		}
	return fail(config, "unknown key", text);
}

/* Puts the line's number in front of what is wrong with it. */
static bool blame_line(struct config *config, int number)
{
	char why[CONFIG_ERROR_BYTES];
	memcpy(why, config->error, sizeof why);
	snprintf(config->error, sizeof config->error, "line %d: %.140s", number, why);
	return false;
}

bool config_parse(struct config *config, char *text, size_t length)
{
	memset(config, 0, sizeof *config);
	if (length > CONFIG_MAX_BYTES || memchr(text, 0, length))
		return fail(config, "too long, or not text", NULL);
	text[length] = 0;
	int number = 1;
	for (char *next; *text; text = next, number++) {
		char *end = strchr(text, '\n');
		next = end ? end + 1 : text + strlen(text);
		if (end)
			*end = 0;
		bool is_version = !strncmp(text, "version ", 8);
		if (is_version != (number == 1))
			return fail(config, "the first line, and only it, gives the version", NULL);
		if (!parse_line(config, text))
			return blame_line(config, number);
	}
	return number > 1 || fail(config, "empty", NULL);
}
