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
static int create(const char *path)
{
	unlink(path);
	return open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
}

static bool write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t done = write(fd, text, length);
		if (done < 0)
			return false;
		text += done;
		length -= (size_t)done;
	}
	return true;
}

/* What goes into a file, gathered into few writes, without memory that would have to be found and given back. */
struct text {
	int fd;
	size_t have;
	char bytes[1024];
};

static void put(struct text *text, const char *word)
{
	size_t length = strlen(word);
	if (length > sizeof text->bytes - text->have) {
		write_all(text->fd, text->bytes, text->have);
		text->have = 0;
	}
	if (length > sizeof text->bytes) {
		write_all(text->fd, word, length);
		return;
	}
	memcpy(text->bytes + text->have, word, length);
	text->have += length;
}

static void put_line(struct text *text, const char *first, const char *second)
{
	put(text, first);
	put(text, second);
	put(text, "\n");
}

static void put_hostname(struct text *text, const struct config *config)
{
	put_line(text, config->hostname, "");
}

static void put_hosts(struct text *text, const struct config *config)
{
	put(text, "127.0.0.1 localhost\n::1 localhost\n");
	if (config->hostname)
		put_line(text, "127.0.1.1 ", config->hostname);
	for (int i = 0; i < config->host_count; i++) {
		put(text, config->hosts[i].address);
		put_line(text, " ", config->hosts[i].name);
	}
}

static void put_resolver(struct text *text, const struct config *config)
{
	for (int i = 0; i < config->search_count; i++) {
		put(text, i ? " " : "search ");
		put(text, config->search[i]);
	}
	if (config->search_count)
		put(text, "\n");
	for (int i = 0; i < config->dns_count; i++)
		put_line(text, "nameserver ", config->dns[i]);
}

static void put_machine_id(struct text *text, const struct config *config)
{
	put_line(text, config->machine_id, "");
}

static const struct etc_file {
	const char *name;
	void (*put)(struct text *text, const struct config *config);
} etc_files[] = {
	{"hostname", put_hostname},
	{"hosts", put_hosts},
	{"resolv.conf", put_resolver},
	{"machine-id", put_machine_id},
};

static bool is_wanted(const struct etc_file *file, const struct config *config)
{
	if (file->put == put_hostname)
		return config->hostname;
	if (file->put == put_resolver)
		return config->dns_count || config->search_count;
	return file->put != put_machine_id || config->machine_id;
}

static void fill(int fd, const struct etc_file *file, const struct config *config)
{
	struct text text;
	text.fd = fd;
	text.have = 0;
	file->put(&text, config);
	write_all(fd, text.bytes, text.have);
	close(fd);
}

/* Files opened before it was known what is to be in them. */
static struct early {
	int fd; /* 0: none */
	bool is_new;
} early[sizeof etc_files / sizeof *etc_files];

static void name_file(char path[64], const struct etc_file *file)
{
	snprintf(path, 64, "/etc/%s", file->name);
}

/* A file of the image is copied into the overlay's upper layer by being opened to be written to: that takes long, and is
 * the same for everybody. */
void prepare_etc(void)
{
	mkdir("/etc", 0755);
	for (size_t i = 0; i < sizeof etc_files / sizeof *etc_files; i++) {
		char path[64];
		name_file(path, &etc_files[i]);
		int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
		early[i].is_new = fd < 0 && errno == ENOENT;
		fd = early[i].is_new ? create(path) : fd;
		early[i].fd = fd < 0 ? 0 : fd;
	}
}

/* Whether a file was opened early, and has what it is to have now: be it nothing. */
static bool fill_early(size_t number, const struct config *config)
{
	const struct etc_file *file = &etc_files[number];
	int fd = early[number].fd;
	char path[64];
	if (!fd)
		return false;
	early[number].fd = 0;
	if (is_wanted(file, config) && ftruncate(fd, 0) == 0) {
		fill(fd, file, config);
		return true;
	}
	name_file(path, file);
	if (early[number].is_new)
		unlink(path);
	close(fd);
	return true;
}

static void name_spare(char *path, size_t room, const char *name)
{
	snprintf(path, room, "/run/weft/%s", name);
}

/* With a root that cannot be written to, the file is made in /run and bound over the one in the image. Few images have a
 * machine id, and none misses it. */
static int create_spare(const char *name, const char *path)
{
	char spare[64];
	name_spare(spare, sizeof spare, name);
	mkdir("/run/weft", 0755);
	int fd = create(spare);
	if (fd >= 0 && mount(spare, path, NULL, MS_BIND, NULL) == 0)
		return fd;
	if (errno != ENOENT || strcmp(name, "machine-id") != 0)
		say("%s: the root is read-only and has no such file to cover: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	unlink(spare);
	return -1;
}

static void provide(const char *etc, const struct etc_file *file, bool apart, const struct config *config)
{
	char path[64];
	snprintf(path, sizeof path, "%s/%s", etc, file->name);
	int fd = create(path);
	if (fd >= 0 && apart)
		close(fd);
	if (fd < 0 || apart)
		fd = create_spare(file->name, path);
	if (fd >= 0)
		fill(fd, file, config);
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
		if ((!fill_early(i, config) || apart) && is_wanted(&etc_files[i], config))
			provide(etc, &etc_files[i], apart, config);
}

/* A file that is bound over another one is written where it is. */
static void renew(const struct etc_file *file, const struct config *config)
{
	char spare[64];
	name_spare(spare, sizeof spare, file->name);
	int fd = open(spare, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		provide("/etc", file, false, config);
	else
		fill(fd, file, config);
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
	int fd = create(file->path);
	bool done = fd >= 0 && fchmod(fd, file->mode) == 0 && write_all(fd, file->content, strlen(file->content));
	return fd >= 0 && close(fd) == 0 && done;
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
