#include "etc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
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

static void write_machine_id(FILE *out, const struct config *config)
{
	fprintf(out, "%s\n", config->machine_id);
}

static const struct etc_file {
	const char *name;
	void (*write)(FILE *out, const struct config *config);
} etc_files[] = {
	{"hostname", write_hostname},
	{"hosts", write_hosts},
	{"resolv.conf", write_resolver},
	{"machine-id", write_machine_id},
};

static bool is_wanted(const struct etc_file *file, const struct config *config)
{
	if (file->write == write_hostname)
		return config->hostname;
	if (file->write == write_resolver)
		return config->dns_count || config->search_count;
	return file->write != write_machine_id || config->machine_id;
}

static void name_spare(char *path, size_t room, const char *name)
{
	snprintf(path, room, "/run/weft/%s", name);
}

/* With a root that cannot be written to, the file is made in /run and bound over the one in the image. Few images have a
 * machine id, and none misses it. */
static FILE *create_spare(const char *name, const char *path)
{
	char spare[64];
	name_spare(spare, sizeof spare, name);
	mkdir("/run/weft", 0755);
	FILE *out = create(spare);
	if (out && mount(spare, path, NULL, MS_BIND, NULL) == 0)
		return out;
	if (errno != ENOENT || strcmp(name, "machine-id") != 0)
		say("%s: the root is read-only and has no such file to cover: %s", path, strerror(errno));
	if (out)
		fclose(out);
	unlink(spare);
	return NULL;
}

static void provide(const char *etc, const struct etc_file *file, bool apart, const struct config *config)
{
	char path[64];
	snprintf(path, sizeof path, "%s/%s", etc, file->name);
	FILE *out = create(path);
	if (out && apart)
		fclose(out);
	if (!out || apart)
		out = create_spare(file->name, path);
	if (!out)
		return;
	file->write(out, config);
	fclose(out);
}

bool etc_has_machine_id(const char *id)
{
	char there[64] = "";
	int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t length = read(fd, there, sizeof there - 1);
	close(fd);
	return id && length > 0 && !strncmp(there, id, strlen(id));
}

void write_etc(const struct config *config, const char *etc, bool apart)
{
	mkdir(etc, 0755);
	for (size_t i = 0; i < sizeof etc_files / sizeof *etc_files; i++)
		if (is_wanted(&etc_files[i], config))
			provide(etc, &etc_files[i], apart, config);
}

/* A file that is bound over another one is written where it is. */
static void renew(const struct etc_file *file, const struct config *config)
{
	char spare[64];
	name_spare(spare, sizeof spare, file->name);
	int fd = open(spare, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out) {
		provide("/etc", file, false, config);
		return;
	}
	file->write(out, config);
	fclose(out);
}

void renew_etc(const struct config *config)
{
	for (size_t i = 0; i < sizeof etc_files / sizeof *etc_files; i++)
		if (is_wanted(&etc_files[i], config))
			renew(&etc_files[i], config);
}

static bool write_one(const struct file_entry *file)
{
	char folder[PATH_ROOM];
	snprintf(folder, sizeof folder, "%s", file->path);
	*strrchr(folder, '/') = 0;
	if (*folder && !make_folders(folder, 0755))
		return false;
	FILE *out = create(file->path);
	bool done = out && fchmod(fileno(out), file->mode) == 0 && fputs(file->content, out) >= 0;
	return out && fclose(out) == 0 && done;
}

void write_files(const struct config *config)
{
	for (int i = 0; i < config->file_count; i++)
		if (!write_one(&config->files[i]))
			fatal("file %s: %s", config->files[i].path, strerror(errno));
}

void set_host_name(const struct config *config)
{
	if (config->hostname && sethostname(config->hostname, strlen(config->hostname)) < 0)
		say("host name %s: %s", config->hostname, strerror(errno));
}
