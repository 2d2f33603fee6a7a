#include "etc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

/* O_NOFOLLOW and the unlink before it: an image's /etc/resolv.conf is often a link to somewhere that does not exist. */
static FILE *create(const char *path)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd < 0 ? NULL : fdopen(fd, "w");
}

static void write_hostname(FILE *out, const struct config *config)
{
	fprintf(out, "%s\n", config->hostname);
}

static void write_hosts(FILE *out, const struct config *config)
{
	fprintf(out, "127.0.0.1 localhost\n::1 localhost\n");
	if (config->hostname)
		fprintf(out, "127.0.1.1 %s\n", config->hostname);
	for (int i = 0; i < config->host_count; i++)
		fprintf(out, "%s %s\n", config->hosts[i].address, config->hosts[i].name);
}

static void write_resolver(FILE *out, const struct config *config)
{
	for (int i = 0; i < config->search_count; i++)
		fprintf(out, "%s%s%s", i ? " " : "search ", config->search[i], i + 1 == config->search_count ? "\n" : "");
	for (int i = 0; i < config->dns_count; i++)
		fprintf(out, "nameserver %s\n", config->dns[i]);
}

/* With a root that cannot be written to, the file is made in /run and bound over the one in the image. */
static void provide(const char *name, const struct config *config, void (*write)(FILE *, const struct config *))
{
	char path[64], spare[64];
	snprintf(path, sizeof path, "/etc/%s", name);
	snprintf(spare, sizeof spare, "/run/weft/%s", name);
	FILE *out = create(path);
	bool bind = !out;
	if (bind && !(out = create(spare))) {
		say("%s: %s", spare, strerror(errno));
		return;
	}
	write(out, config);
	fclose(out);
	if (bind && mount(spare, path, NULL, MS_BIND, NULL) < 0)
		say("%s: the root is read-only and has no such file to cover: %s", path, strerror(errno));
}

void write_etc(const struct config *config)
{
	mkdir("/etc", 0755);
	mkdir("/run/weft", 0755);
	if (config->hostname && sethostname(config->hostname, strlen(config->hostname)) < 0)
		say("host name %s: %s", config->hostname, strerror(errno));
	if (config->hostname)
		provide("hostname", config, write_hostname);
	provide("hosts", config, write_hosts);
	if (config->dns_count || config->search_count)
		provide("resolv.conf", config, write_resolver);
}
