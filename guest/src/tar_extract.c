/* `tar-extract DIR`: makes what an archive on standard input holds. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "clean_name.h"
#include "place.h"
#include "tar_read.h"
#include "tools.h"

enum { IN_BYTES = 128 * 1024 };

/* What a folder gets when everything in it is made: its time would change, and its mode may forbid it. */
struct later {
	struct later *before;
	unsigned mode;
	struct timespec mtime;
	char name[];
};

static struct tar_reader reader;
static struct later *later;
static char name[TAR_PATH_ROOM]; /* of the entry, cleaned */
static int file = -1;            /* the entry's, while it is a file: it is made beside its place, and put there when whole */
static int file_folder = -1;
static char file_leaf[NAME_MAX + 1], file_beside[32];
static int status = TOOL_OK;

static void complain(void)
{
	tool_complain(name);
	status = TOOL_INCOMPLETE;
}

/* Only root can give files away; what others make is theirs. */
static bool want_owner(void)
{
	return geteuid() == 0;
}

static void set_attributes(int fd)
{
	const char *key, *value;
	size_t at = 0, key_length, value_length;
	char text[256];
	while (tar_reader_attribute(&reader, &at, &key, &key_length, &value, &value_length)) {
		snprintf(text, sizeof text, "%.*s", (int)(key_length < 255 ? key_length : 255), key);
		if (fsetxattr(fd, text, value, value_length, 0) < 0 && errno != ENOTSUP && (want_owner() || errno != EPERM))
			complain();
	}
}

static void drop_file(void)
{
	unlinkat(file_folder, file_beside, 0);
	close(file);
	close(file_folder);
	file = file_folder = -1;
}

/* What is mounted over a file cannot be replaced, but written to. */
static bool write_over(void)
{
	off_t at = 0;
	ssize_t done = 1;
	int target = openat(file_folder, file_leaf, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
	while (target >= 0 && done > 0)
		done = sendfile(target, file, &at, IN_BYTES);
	close(target);
	return target >= 0 && done == 0;
}

static void put_file(void)
{
	if (renameat(file_folder, file_beside, file_folder, file_leaf) < 0 && (errno != EBUSY || !write_over()))
		complain();
	drop_file();
}

/* The owner first: changing it takes set-user-ID and capabilities away. */
static void finish_file(void)
{
	const struct tar_entry *entry = &reader.entry;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry->mtime};
	if (ftruncate(file, (off_t)entry->size) < 0 || (want_owner() && fchown(file, entry->uid, entry->gid) < 0) ||
	    fchmod(file, entry->mode) < 0)
		complain();
	set_attributes(file);
	if (futimens(file, times) < 0)
		complain();
	put_file();
}

/* Takes away what is in the way; a folder stays, and is then what the error is about. */
static void clear_way(int parent, const char *leaf)
{
	struct stat what;
	if (fstatat(parent, leaf, &what, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(what.st_mode))
		unlinkat(parent, leaf, 0);
}

static bool make_file(int parent, const char *leaf)
{
	struct stat what;
	if (fstatat(parent, leaf, &what, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(what.st_mode)) {
		errno = EISDIR;
		return false;
	}
	if (snprintf(file_leaf, sizeof file_leaf, "%s", leaf) >= (int)sizeof file_leaf) {
		errno = ENAMETOOLONG;
		return false;
	}
	snprintf(file_beside, sizeof file_beside, ".weft-%d", (int)getpid());
	unlinkat(parent, file_beside, 0);
	file_folder = fcntl(parent, F_DUPFD_CLOEXEC, 0);
	file = openat(file_folder, file_beside, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0) {
		int error = errno;
		close(file_folder);
		file_folder = -1;
		errno = error;
	}
	return file >= 0;
}

static bool remember_folder(void)
{
	struct later *folder = malloc(sizeof *folder + strlen(name) + 1);
	if (!folder)
		return false;
	*folder = (struct later){later, reader.entry.mode, reader.entry.mtime};
	strcpy(folder->name, name);
	later = folder;
	return true;
}

static bool make_folder(int parent, const char *leaf)
{
	int fd = place_open(name, O_RDONLY | O_DIRECTORY);
	if (fd < 0) {
		clear_way(parent, leaf);
		if (mkdirat(parent, leaf, 0700) < 0 && errno != EEXIST)
			return false;
		fd = openat(parent, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0)
		return false;
	bool done = !want_owner() || fchown(fd, reader.entry.uid, reader.entry.gid) == 0;
	set_attributes(fd);
	close(fd);
	return remember_folder() && done;
}

static bool make_hard_link(const char *clean)
{
	char target[TAR_PATH_ROOM];
	const char *from_leaf, *leaf;
	clean_name(target, reader.entry.link);
	int from = fcntl(place_parent(target, &from_leaf), F_DUPFD_CLOEXEC, 0);
	int parent = from < 0 ? -1 : place_parent(clean, &leaf);
	if (parent >= 0 && strcmp(target, clean) != 0)
		clear_way(parent, leaf);
	bool done = parent >= 0 && (linkat(from, from_leaf, parent, leaf, 0) == 0 || !strcmp(target, clean));
	int error = errno;
	close(from);
	errno = error;
	return done;
}

static mode_t device_kind(char type)
{
	return type == '3' ? S_IFCHR : type == '4' ? S_IFBLK : S_IFIFO;
}

/* Links, devices, FIFOs: made in one step, then described by name. */
static bool make_special(int parent, const char *leaf)
{
	const struct tar_entry *entry = &reader.entry;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry->mtime};
	clear_way(parent, leaf);
	if (entry->type == '2' && symlinkat(entry->link, parent, leaf) < 0)
		return false;
	if (entry->type != '2' &&
	    mknodat(parent, leaf, device_kind(entry->type) | 0600, makedev(entry->major, entry->minor)) < 0)
		return false;
	if (want_owner() && fchownat(parent, leaf, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (entry->type != '2' && fchmodat(parent, leaf, entry->mode, 0) < 0)
		return false;
	return utimensat(parent, leaf, times, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool make_entry(void)
{
	const char *leaf;
	int parent = place_parent(name, &leaf);
	char type = reader.entry.type;
	if (parent < 0)
		return false;
	if (type == '5')
		return make_folder(parent, leaf);
	if (type == '1')
		return make_hard_link(name);
	if (type != '0')
		return make_special(parent, leaf);
	return make_file(parent, leaf);
}

static void begin_entry(void)
{
	clean_name(name, reader.entry.path);
	if (!make_entry())
		complain();
}

/* After a failure the rest of this file is passed over. */
static void write_data(const struct tar_event *event)
{
	for (size_t at = 0; file >= 0 && at < event->length;) {
		ssize_t done = pwrite(file, event->data + at, event->length - at, (off_t)(event->offset + at));
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			complain();
			drop_file();
			return;
		}
		at += (size_t)done;
	}
}

static void finish_folders(void)
{
	for (; later; later = later->before) {
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, later->mtime};
		snprintf(name, sizeof name, "%s", later->name);
		int fd = place_open(name, O_RDONLY | O_DIRECTORY);
		if (fd < 0 || fchmod(fd, later->mode) < 0 || futimens(fd, times) < 0)
			complain();
		close(fd);
	}
}

/* False: the archive is damaged. */
static bool take(const uint8_t *data, size_t length)
{
	struct tar_event event;
	do {
		size_t used = tar_reader_feed(&reader, data, length, &event);
		data += used;
		length -= used;
		if (event.kind == TAR_ENTRY)
			begin_entry();
		else if (event.kind == TAR_DATA)
			write_data(&event);
		else if (event.kind == TAR_END && file >= 0)
			finish_file();
		else if (event.kind == TAR_BAD)
			tool_complain_why("damaged archive", event.reason);
	} while (event.kind != TAR_BAD && (length || event.kind != TAR_NOTHING));
	return event.kind != TAR_BAD;
}

/* Whoever writes the archive goes on until its end: it is read to there in any case. */
static bool read_archive(void)
{
	static uint8_t in[IN_BYTES];
	bool good = true;
	for (;;) {
		ssize_t got = read(STDIN_FILENO, in, sizeof in);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		good = good && take(in, (size_t)got);
	}
	if (good && !tar_reader_is_whole(&reader)) {
		tool_complain_why("damaged archive", "it ends too early");
		good = false;
	}
	return good;
}

int tool_tar_extract(int argc, char **argv)
{
	if (argc != 2) {
		tool_complain_why("usage", "tar-extract DIR");
		return TOOL_FAILED;
	}
	if (!place_set_root(argv[1])) {
		tool_complain(argv[1]);
		return TOOL_FAILED;
	}
	umask(0);
	bool good = read_archive();
	if (file >= 0)
		drop_file();
	finish_folders();
	return good ? status : TOOL_FAILED;
}
