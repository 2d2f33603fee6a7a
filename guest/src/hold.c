#include "hold.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "etc.h"
#include "files.h"
#include "log.h"
#include "nic.h"
#include "random.h"

enum { DEEPEST = 32, PART_OF_MEMORY = 3 };

static int nowhere = -1;
static uint64_t left; /* bytes that may still be read */
static dev_t root;

static void read_whole(int fd, off_t size)
{
	off_t at = 0;
	if ((uint64_t)size > left)
		return;
	left -= (uint64_t)size;
	while (at < size && sendfile(nowhere, fd, &at, (size_t)(size - at)) > 0)
		continue;
}

static void read_folder(int fd, int depth);

/* Folders of another file system are no business of the root's. Files may seem to be: an overlay says whose they are. */
static void read_entry(int folder, const char *name, int depth)
{
	struct stat what;
	if (fstatat(folder, name, &what, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	bool is_folder = S_ISDIR(what.st_mode) && what.st_dev == root && depth < DEEPEST;
	if (!is_folder && !(S_ISREG(what.st_mode) && what.st_size))
		return;
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (is_folder ? O_DIRECTORY : 0));
	if (fd < 0)
		return;
	if (is_folder) {
		read_folder(fd, depth + 1);
	} else {
		read_whole(fd, what.st_size);
		close(fd);
	}
}

static void read_folder(int fd, int depth)
{
	DIR *entries = fdopendir(fd);
	if (!entries) {
		close(fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(entries));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			read_entry(fd, entry->d_name, depth);
	closedir(entries);
}

static void read_root(void)
{
	struct sysinfo machine;
	struct stat what;
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || nowhere < 0 || fstat(fd, &what) < 0 || sysinfo(&machine) < 0)
		fatal("reading the root: %s", strerror(errno));
	root = what.st_dev;
	left = (uint64_t)machine.totalram * machine.mem_unit / PART_OF_MEMORY;
	read_folder(fd, 0);
	close(nowhere);
}

/* The kernel has looked for partitions on all of them. A copy's floppy is another one. */
static void forget_device(const char *name, const char *root_serial)
{
	char path[320], serial[64];
	snprintf(path, sizeof path, "/sys/block/%s/serial", name);
	if (read_line(path, serial, sizeof serial) < 0 || (root_serial && !strcasecmp(serial, root_serial)))
		return;
	snprintf(path, sizeof path, "/dev/%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKFLSBUF, 0) < 0)
		fatal("%s: what was read of it cannot be forgotten: %s", path, strerror(errno));
	close(fd);
}

void hold_prepare(const struct config *config)
{
	if (config->root_serial)
		read_root();
	if (config->root_serial && config->overlay_size)
		prepare_etc();
	DIR *devices = opendir("/sys/block");
	for (struct dirent *entry; devices && (entry = readdir(devices));)
		if (entry->d_name[0] != '.')
			forget_device(entry->d_name, config->root_serial);
	if (devices)
		closedir(devices);
	random_prepare();
	nics_remember();
}
