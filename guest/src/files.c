#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t read_file(const char *path, char *out, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size_t have = 0;
	ssize_t got = 0;
	while (have < room - 1 && (got = read(fd, out + have, room - 1 - have)) > 0)
		have += (size_t)got;
	close(fd);
	out[have] = 0;
	return got < 0 ? -1 : (ssize_t)have;
}

ssize_t read_line(const char *path, char *out, size_t room)
{
	ssize_t length = read_file(path, out, room);
	if (length > 0 && out[length - 1] == '\n')
		out[--length] = 0;
	return length;
}

bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size_t length = strlen(text);
	bool done = write(fd, text, length) == (ssize_t)length;
	close(fd);
	return done;
}

bool find_by_attribute(const char *dir, const char *leaf, const char *wanted, char *name, size_t room)
{
	DIR *entries = opendir(dir);
	bool found = false;
	if (!entries)
		return false;
	for (struct dirent *entry; !found && (entry = readdir(entries));) {
		char path[512], value[256];
		snprintf(path, sizeof path, "%s/%s/%s", dir, entry->d_name, leaf);
		found = entry->d_name[0] != '.' && read_line(path, value, sizeof value) >= 0 && !strcasecmp(value, wanted);
		if (found)
			snprintf(name, room, "%s", entry->d_name);
	}
	closedir(entries);
	return found;
}

static bool make_folder(const char *path, mode_t mode)
{
	struct stat what;
	if (mkdir(path, mode) == 0)
		return true;
	int error = errno; /* a read-only file system says so even where the folder is there */
	bool there = stat(path, &what) == 0;
	errno = there ? ENOTDIR : error;
	return there && S_ISDIR(what.st_mode);
}

bool make_folders(const char *path, mode_t mode)
{
	char part[PATH_ROOM];
	size_t length = strlen(path);
	if (length >= sizeof part) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(part, path, length + 1);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (!make_folder(part, mode))
			return false;
		*slash = '/';
	}
	return make_folder(part, mode);
}
