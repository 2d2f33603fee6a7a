#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tar_format.h"

static int root = -1, last = -1;
static char last_name[TAR_PATH_ROOM];

bool place_set_root(const char *folder)
{
	root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root >= 0;
}

int place_open(const char *clean, int flags)
{
	struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	return (int)syscall(SYS_openat2, root, clean, &how, sizeof how);
}

static bool make_one(char *folder)
{
	char *slash = strrchr(folder, '/');
	if (slash)
		*slash = 0;
	int above = place_open(slash ? folder : ".", O_PATH | O_DIRECTORY);
	if (slash)
		*slash = '/';
	bool made = above >= 0 && mkdirat(above, slash ? slash + 1 : folder, 0755) == 0;
	if (above >= 0)
		close(above);
	return made;
}

/* One part after the other, since any of them may be a link or missing. */
static bool make_all(char *folder)
{
	for (char *end = folder; end;) {
		end = strchr(end, '/');
		if (end)
			*end = 0;
		int fd = place_open(folder, O_PATH | O_DIRECTORY);
		bool there = fd >= 0 || (errno == ENOENT && make_one(folder));
		if (fd >= 0)
			close(fd);
		if (end)
			*end++ = '/';
		if (!there)
			return false;
	}
	return true;
}

static int open_folder(const char *name)
{
	char copy[TAR_PATH_ROOM];
	int fd = place_open(name, O_PATH | O_DIRECTORY);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	snprintf(copy, sizeof copy, "%s", name);
	return make_all(copy) ? place_open(name, O_PATH | O_DIRECTORY) : -1;
}

int place_parent(const char *clean, const char **leaf)
{
	char folder[TAR_PATH_ROOM] = ".";
	const char *slash = strrchr(clean, '/');
	*leaf = slash ? slash + 1 : clean;
	if (slash)
		snprintf(folder, sizeof folder, "%.*s", (int)(slash - clean), clean);
	if (last >= 0 && !strcmp(folder, last_name))
		return last;
	if (last >= 0)
		close(last);
	last = open_folder(folder);
	strcpy(last_name, folder);
	return last;
}
