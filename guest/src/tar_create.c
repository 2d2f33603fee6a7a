/* `tar-create DIR NAME...`: a pax archive of what is there, on standard output. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "links.h"
#include "tar_out.h"
#include "tar_write.h"
#include "tools.h"

enum { ARCHIVE_END = 2 * TAR_BLOCK, ROOM_FOR_NAMES = 4 * TAR_PATH_ROOM };

static struct pax pax;
static struct tar_segment segments[TAR_MAX_SEGMENTS];
static char path[TAR_PATH_ROOM];
static int status = TOOL_OK;

static void complain(const char *what)
{
	tool_complain(what);
	status = TOOL_INCOMPLETE;
}

static bool want_attribute(const char *name)
{
	return strncmp(name, "trusted.overlay.", 16) != 0 && strcmp(name, "security.selinux") != 0;
}

static void add_attributes(int fd)
{
	static char names[64 * 1024], value[64 * 1024];
	ssize_t length = flistxattr(fd, names, sizeof names);
	for (const char *name = names; length > 0 && name < names + length; name += strlen(name) + 1) {
		char key[300];
		ssize_t got = want_attribute(name) ? fgetxattr(fd, name, value, sizeof value) : -1;
		snprintf(key, sizeof key, "SCHILY.xattr.%.255s", name);
		bool fits = pax.length + (size_t)(got < 0 ? 0 : got) < TAR_MAX_PAX - ROOM_FOR_NAMES;
		if (got >= 0 && !(fits && pax_add(&pax, key, value, (size_t)got))) {
			tool_complain_why(path, "more extended attributes than an archive holds");
			status = TOOL_INCOMPLETE;
		}
	}
}

static void put_header(const struct tar_item *item)
{
	uint8_t block[TAR_BLOCK];
	pax_add_item(&pax, item); /* there is room: attributes leave some for the names, which are bounded */
	if (pax.length) {
		tar_write_pax_header(block, item, pax.length);
		out_put(block, sizeof block);
		out_put(pax.bytes, pax.length);
		out_put_zeros(tar_padding(pax.length));
	}
	tar_write_header(block, item);
	out_put(block, sizeof block);
}

static struct tar_item describe(const struct stat *what, char type)
{
	return (struct tar_item){.type = type,
				 .path = path,
				 .link = "",
				 .mode = what->st_mode & 07777,
				 .uid = what->st_uid,
				 .gid = what->st_gid,
				 .mtime = what->st_mtim};
}

/* The pieces of the file that are no holes; how many. The last one takes in what is too much for the list. */
static size_t find_segments(int fd, uint64_t size)
{
	size_t count = 0;
	for (uint64_t at = 0; at < size;) {
		off_t begin = lseek(fd, (off_t)at, SEEK_DATA);
		if (begin < 0 && errno == ENXIO)
			break;
		off_t end = begin < 0 ? -1 : lseek(fd, begin, SEEK_HOLE);
		if (end < 0) { /* a file system that knows nothing of holes */
			segments[0] = (struct tar_segment){0, size};
			return 1;
		}
		bool last = count == TAR_MAX_SEGMENTS - 2;
		at = last || (uint64_t)end > size ? size : (uint64_t)end;
		if ((uint64_t)begin < size)
			segments[count++] = (struct tar_segment){(uint64_t)begin, at - (uint64_t)begin};
	}
	return count;
}

static bool has_holes(size_t count, uint64_t size)
{
	return size && (count != 1 || segments[0].offset || segments[0].length != size);
}

/* The number of segments, then each; a hole at the end is shown by an empty segment there, as GNU tar does. */
static size_t add_end_segment(size_t count, uint64_t size)
{
	if (!count || segments[count - 1].offset + segments[count - 1].length < size)
		segments[count++] = (struct tar_segment){size, 0};
	return count;
}

static uint64_t map_line(bool write_it, uint64_t number)
{
	char line[24];
	int length = snprintf(line, sizeof line, "%llu\n", (unsigned long long)number);
	if (write_it)
		out_put(line, (size_t)length);
	return (uint64_t)length;
}

/* The map's length with its padding, and whether it is written or only counted. */
static uint64_t put_map(bool write_it, size_t count)
{
	uint64_t length = map_line(write_it, count);
	for (size_t i = 0; i < count; i++) {
		length += map_line(write_it, segments[i].offset);
		length += map_line(write_it, segments[i].length);
	}
	if (write_it)
		out_put_zeros(tar_padding(length));
	return length + tar_padding(length);
}

static void put_file(int fd, const struct stat *what)
{
	struct tar_item item = describe(what, '0');
	uint64_t extent = (uint64_t)what->st_size;
	bool maybe_sparse = (uint64_t)what->st_blocks * 512 < extent;
	size_t count = maybe_sparse ? find_segments(fd, extent) : 1;
	if (!maybe_sparse)
		segments[0] = (struct tar_segment){0, extent};
	item.sparse = maybe_sparse && has_holes(count, extent);
	item.extent = extent;
	count = item.sparse ? add_end_segment(count, extent) : count;
	for (size_t i = 0; i < count; i++)
		item.size += segments[i].length;
	uint64_t data = item.size;
	item.size += item.sparse ? put_map(false, count) : 0;
	add_attributes(fd);
	put_header(&item);
	if (item.sparse)
		put_map(true, count);
	for (size_t i = 0; i < count; i++) /* the header has promised their sizes, whatever becomes of the file */
		if (!out_put_file(fd, segments[i].offset, segments[i].length))
			complain(path);
	out_put_zeros(tar_padding(data));
}

static void put_entry(int parent, const char *name);

/* File systems that are views of the kernel: endless, or different at every look. */
static bool is_view(int fd, dev_t device)
{
	struct statfs what;
	struct stat devices;
	if (stat("/dev", &devices) == 0 && devices.st_dev == device)
		return true;
	if (fstatfs(fd, &what) < 0)
		return false;
	switch ((unsigned long)what.f_type) {
	case PROC_SUPER_MAGIC:
	case SYSFS_MAGIC:
	case CGROUP_SUPER_MAGIC:
	case CGROUP2_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

static void put_content(int fd, size_t length)
{
	DIR *entries = fdopendir(fd);
	if (!entries) {
		complain(path);
		close(fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(entries));) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (length + strlen(entry->d_name) + 2 > sizeof path) {
			errno = ENAMETOOLONG;
			complain(path);
			continue;
		}
		strcpy(path + length, entry->d_name);
		put_entry(dirfd(entries), entry->d_name);
		path[length] = 0;
	}
	closedir(entries);
}

static void put_folder(int fd, const struct stat *what, bool descend)
{
	size_t length = strlen(path);
	if (length && path[length - 1] != '/')
		strcpy(path + length++, "/");
	struct tar_item item = describe(what, '5');
	add_attributes(fd);
	put_header(&item);
	if (descend)
		put_content(fd, length);
	else
		close(fd);
}

static void put_link(int parent, const char *name, const struct stat *what)
{
	char target[TAR_PATH_ROOM];
	ssize_t length = readlinkat(parent, name, target, sizeof target - 1);
	if (length < 0) {
		complain(path);
		return;
	}
	target[length] = 0;
	struct tar_item item = describe(what, '2');
	item.link = target;
	put_header(&item);
}

static void put_special(const struct stat *what)
{
	struct tar_item item = describe(what, S_ISCHR(what->st_mode) ? '3' : S_ISBLK(what->st_mode) ? '4' : '6');
	item.major = major(what->st_rdev);
	item.minor = minor(what->st_rdev);
	if (S_ISSOCK(what->st_mode))
		tool_complain_why(path, "a socket, left out");
	else
		put_header(&item);
}

/* Not waiting for the other end, should it be a FIFO by now. */
static void put_opened(int parent, const char *name, bool is_folder)
{
	struct stat what, around;
	int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (is_folder ? O_DIRECTORY : 0));
	if (fd < 0 || fstat(fd, &what) < 0) {
		complain(path);
		close(fd);
		return;
	}
	if (is_folder) {
		bool other = fstat(parent, &around) < 0 || around.st_dev != what.st_dev;
		put_folder(fd, &what, !other || !is_view(fd, what.st_dev));
		return;
	}
	put_file(fd, &what);
	close(fd);
}

static void put_entry(int parent, const char *name)
{
	struct stat what;
	pax.length = 0;
	if (fstatat(parent, name, &what, AT_SYMLINK_NOFOLLOW) < 0) {
		complain(path);
		return;
	}
	const char *first = links_meet(&what, path);
	if (first) {
		struct tar_item item = describe(&what, '1');
		item.link = first;
		put_header(&item);
	} else if (S_ISDIR(what.st_mode) || S_ISREG(what.st_mode)) {
		put_opened(parent, name, S_ISDIR(what.st_mode));
	} else if (S_ISLNK(what.st_mode)) {
		put_link(parent, name, &what);
	} else {
		put_special(&what);
	}
}

int tool_tar_create(int argc, char **argv)
{
	if (argc < 3) {
		tool_complain_why("usage", "tar-create DIR NAME...");
		return TOOL_FAILED;
	}
	if (chdir(argv[1]) < 0) {
		tool_complain(argv[1]);
		return TOOL_FAILED;
	}
	for (int i = 2; i < argc; i++) {
		int length = snprintf(path, sizeof path, "%s", argv[i]);
		errno = ENAMETOOLONG;
		if (length >= (int)sizeof path - 1)
			complain(argv[i]);
		else
			put_entry(AT_FDCWD, argv[i]);
	}
	out_put_zeros(ARCHIVE_END);
	out_flush();
	return status;
}
