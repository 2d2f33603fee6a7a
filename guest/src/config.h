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
	CONFIG_MAX_MOUNTS = 32,
	CONFIG_MAX_FILES = 64,
	CONFIG_MAX_SERVICES = 32,
	CONFIG_MAX_AFTER = 8,
	CONFIG_MAX_SYSCTLS = 64,
	CONFIG_ERROR_BYTES = 160,
};

enum restart { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct nic {
	uint8_t mac[6];
	uint8_t was[6]; /* by which a copy's guest still knows it: elsewhere the same as `mac` */
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
	char *serial; /* of a block device, or ... */
	char *tag;    /* ... of a folder of the host; neither: memory */
	char *at, *type;
	char *sub;    /* a folder of the file system, made when it is missing; NULL: its root */
	char *size;   /* of memory; NULL: half of the machine's */
	bool copy;    /* what the image has at this place goes into it when it is empty */
	bool read_only;
};

struct file_entry {
	char *path, *content;
	unsigned mode;
};

/* A program beside the entry point. The lists end with NULL. */
struct service {
	char *name, *cwd, *user;
	char **argv, **env;
	int argc, env_count;
	char *after[CONFIG_MAX_AFTER];
	int after_count;
	enum restart restart;
	bool once;    /* it has started when it has ended well */
	bool ordered; /* it is in config.order */
};

struct sysctl_entry {
	char *name, *value;
};

/* All strings point into the text that was parsed: it must live as long as the configuration. */
struct config {
	char *hostname;
	char *machine_id;  /* 32 hexadecimal digits */
	char *forked_from; /* the machine's name that this is a copy of */
	bool template;     /* to be nobody, and to wait for who it is to be */
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
	uint32_t most_restarts; /* of RESTART_ON_FAILURE, when they are bounded */
	bool restarts_bounded;
	int stop_signal; /* 0: SIGTERM */
	struct service services[CONFIG_MAX_SERVICES];
	int service_count;
	int order[CONFIG_MAX_SERVICES]; /* the order to start them in: nobody before whom it waits for */
	char *service_argv[CONFIG_MAX_ARGS + CONFIG_MAX_SERVICES], *service_env[CONFIG_MAX_ENV + CONFIG_MAX_SERVICES];
	bool read_only; /* the root, once everything is prepared */
	struct file_entry files[CONFIG_MAX_FILES];
	int file_count;
	struct mount_entry mounts[CONFIG_MAX_MOUNTS];
	int mount_count;
	struct sysctl_entry sysctls[CONFIG_MAX_SYSCTLS];
	int sysctl_count;
	char error[CONFIG_ERROR_BYTES]; /* after a failed parse: which line, and why */
};

/* Parses `length` bytes of `text` in place (text[length] must be writable). False: see config->error. */
bool config_parse(struct config *config, char *text, size_t length);
