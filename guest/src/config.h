/* What the machine is told at boot: the text of /weft.conf as one flat structure. See docs/reference/guest-config.md. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONFIG_VERSION = 1,
	CONFIG_MAX_BYTES = 256 * 1024,
	CONFIG_MAX_ARGS = 1024,
	CONFIG_MAX_ENV = 1024,
	CONFIG_MAX_NICS = 16,
	CONFIG_MAX_ADDRESSES = 8,
	CONFIG_MAX_WIRES = 8,
	CONFIG_MAX_DNS = 8,
	CONFIG_MAX_SEARCH = 8,
	CONFIG_MAX_HOSTS = 1024,
	CONFIG_MAX_MOUNTS = 16,
	CONFIG_MAX_SYSCTLS = 64,
	CONFIG_ERROR_BYTES = 160,
};

enum restart { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct nic {
	uint8_t mac[6];
	char *name;
	char *addresses[CONFIG_MAX_ADDRESSES]; /* ADDRESS/PREFIX, IPv4 or IPv6 */
	int address_count;
	char *gateways[2];
	int gateway_count;
	uint32_t mtu; /* 0: as the device comes */
	bool wired;   /* an end of a wire: carries no traffic of its own */
};

struct wire {
	char *a, *b;
};

struct host {
	char *address, *name;
};

struct mount_entry {
	char *serial, *at, *type;
	bool read_only;
};

struct sysctl_entry {
	char *name, *value;
};

/* All strings point into the text that was parsed: it must live as long as the configuration. */
struct config {
	char *hostname;
	char *root_serial, *root_type; /* NULL: stay in the initramfs */
	char *overlay_size;            /* bytes, or a percentage of memory; NULL: no overlay */
	struct nic nics[CONFIG_MAX_NICS];
	int nic_count;
	struct wire wires[CONFIG_MAX_WIRES];
	int wire_count;
	char *dns[CONFIG_MAX_DNS];
	int dns_count;
	char *search[CONFIG_MAX_SEARCH];
	int search_count;
	struct host hosts[CONFIG_MAX_HOSTS];
	int host_count;
	char *argv[CONFIG_MAX_ARGS + 1];
	int argc;
	char *env[CONFIG_MAX_ENV + 1];
	int env_count;
	char *cwd, *user;
	enum restart restart;
	struct mount_entry mounts[CONFIG_MAX_MOUNTS];
	int mount_count;
	struct sysctl_entry sysctls[CONFIG_MAX_SYSCTLS];
	int sysctl_count;
	char error[CONFIG_ERROR_BYTES]; /* after a failed parse: which line, and why */
};

/* Parses `length` bytes of `text` in place (text[length] must be writable). False: see config->error. */
bool config_parse(struct config *config, char *text, size_t length);
