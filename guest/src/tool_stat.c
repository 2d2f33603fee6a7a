/* `stat PATH`: what is there, as lines KEY VALUE. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools.h"

static const char *type_name(mode_t mode)
{
	static const struct {
		mode_t type;
		const char *name;
	} types[] = {
		{S_IFREG, "file"}, {S_IFDIR, "folder"}, {S_IFLNK, "link"},	{S_IFCHR, "char"},
		{S_IFBLK, "block"}, {S_IFIFO, "fifo"},	{S_IFSOCK, "socket"},
	};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if ((mode & S_IFMT) == types[i].type)
			return types[i].name;
	return "unknown";
}

static void print_encoded(const char *key, const char *text)
{
	printf("%s ", key);
	for (; *text; text++)
		printf(strchr("% \n\r", *text) ? "%%%02X" : "%c", (unsigned char)*text);
	printf("\n");
}

static void print_link(const char *path)
{
	char target[PATH_MAX];
	ssize_t length = readlink(path, target, sizeof target - 1);
	if (length < 0)
		return;
	target[length] = 0;
	print_encoded("target", target);
}

static void print_real(const char *path)
{
	char real[PATH_MAX];
	struct stat what;
	if (!realpath(path, real) || stat(real, &what) < 0)
		return;
	print_encoded("real", real);
	printf("real_type %s\n", type_name(what.st_mode));
}

int tool_stat(int argc, char **argv)
{
	struct stat what;
	if (argc != 2) {
		tool_complain_why("usage", "stat PATH");
		return TOOL_FAILED;
	}
	if (lstat(argv[1], &what) < 0) {
		tool_complain(argv[1]);
		return TOOL_INCOMPLETE;
	}
	printf("type %s\nmode %04o\nuid %u\ngid %u\nsize %llu\n", type_name(what.st_mode), what.st_mode & 07777u,
	       what.st_uid, what.st_gid, (unsigned long long)what.st_size);
	printf("mtime_ns %lld\n", (long long)what.st_mtim.tv_sec * 1000000000 + what.st_mtim.tv_nsec);
	if (S_ISLNK(what.st_mode))
		print_link(argv[1]);
	print_real(argv[1]);
	return fflush(stdout) == 0 ? TOOL_OK : TOOL_FAILED;
}
