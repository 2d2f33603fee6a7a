#include "copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "files.h"
#include "links.h"
#include "log.h"

enum { PIECE_BYTES = 64 * 1024, MOST_DESCRIPTORS = 4096 };

/* Where the copy is, from its top: for hard links and complaints. */
static char path[PATH_ROOM];
static int top = -1;

static bool is_content(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && strcmp(entry->d_name, "lost+found") &&
	       strncmp(entry->d_name, COPY_MARK, sizeof COPY_MARK - 1);
}

/* The descriptor stays the caller's. */
static DIR *open_entries(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? NULL : fdopendir(fd);
}

bool folder_is_empty(int folder)
{
	DIR *entries = open_entries(folder);
	bool empty = entries;
	for (struct dirent *entry; empty && (entry = readdir(entries));)
		empty = !is_content(entry);
	if (entries)
		closedir(entries);
	return empty;
}

static bool remove_one(int folder, const char *name)
{
	if (unlinkat(folder, name, 0) == 0)
		return true;
	if (errno != EISDIR && errno != EPERM)
		return false;
	int inside = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool done = inside >= 0 && remove_content(inside);
	if (inside >= 0)
		close(inside);
	return done && unlinkat(folder, name, AT_REMOVEDIR) == 0;
}

bool remove_content(int folder)
{
	DIR *entries = open_entries(folder);
	bool done = entries;
	for (struct dirent *entry; done && (entry = readdir(entries));)
		done = !is_content(entry) || remove_one(folder, entry->d_name);
	if (entries)
		closedir(entries);
	return done;
}

/* Everything below runs in the child. */

static void require(bool good)
{
	if (good)
		return;
	say("copy of %.200s: %s", path, strerror(errno));
	_exit(1);
}

static void copy_attributes(int from, int to)
{
	static char names[64 * 1024], value[64 * 1024];
	ssize_t length = flistxattr(from, names, sizeof names);
	for (const char *name = names; length > 0 && name < names + length; name += strlen(name) + 1) {
		ssize_t got = strncmp(name, "trusted.overlay.", 16) ? fgetxattr(from, name, value, sizeof value) : -1;
		require(got < 0 || fsetxattr(to, name, value, (size_t)got, 0) == 0 || errno == ENOTSUP || errno == EPERM);
	}
}

/* The owner first: changing it takes set-user-ID and capabilities away. */
static void describe(int from, int to, const struct stat *what)
{
	struct timespec times[2] = {what->st_atim, what->st_mtim};
	require(fchown(to, what->st_uid, what->st_gid) == 0 && fchmod(to, what->st_mode & 07777) == 0);
	copy_attributes(from, to);
	require(futimens(to, times) == 0);
}

static void copy_piece(int from, int to, off_t at, off_t end)
{
	static uint8_t piece[PIECE_BYTES];
	while (at < end) {
		size_t want = end - at < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES;
		ssize_t got = pread(from, piece, want, at);
		require(got >= 0 || errno == EINTR);
		if (!got)
			return;
		for (ssize_t done = 0, more; done < got; done += more) {
			more = pwrite(to, piece + done, (size_t)(got - done), at + done);
			require(more > 0);
		}
		at += got > 0 ? got : 0;
	}
}

static void copy_file(int from_folder, int to_folder, const char *name, const struct stat *what)
{
	int from = openat(from_folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int to = from < 0 ? -1 : openat(to_folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	require(to >= 0 && ftruncate(to, what->st_size) == 0);
	for (off_t at = 0, end; at < what->st_size; at = end) {
		off_t begin = lseek(from, at, SEEK_DATA);
		if (begin < 0 && errno == ENXIO)
			break;
		end = begin < 0 ? -1 : lseek(from, begin, SEEK_HOLE);
		end = end < 0 ? what->st_size : end;
		copy_piece(from, to, begin < 0 ? at : begin, end);
	}
	describe(from, to, what);
	close(from);
	close(to);
}

static void copy_link(int from_folder, int to_folder, const char *name, const struct stat *what)
{
	char target[PATH_ROOM];
	struct timespec times[2] = {what->st_atim, what->st_mtim};
	ssize_t length = readlinkat(from_folder, name, target, sizeof target - 1);
	require(length >= 0);
	target[length] = 0;
	require(symlinkat(target, to_folder, name) == 0);
	require(fchownat(to_folder, name, what->st_uid, what->st_gid, AT_SYMLINK_NOFOLLOW) == 0);
	require(utimensat(to_folder, name, times, AT_SYMLINK_NOFOLLOW) == 0);
}

static void copy_special(int to_folder, const char *name, const struct stat *what)
{
	struct timespec times[2] = {what->st_atim, what->st_mtim};
	if (S_ISSOCK(what->st_mode))
		return; /* whoever made it is not there */
	require(mknodat(to_folder, name, what->st_mode, what->st_rdev) == 0);
	require(fchownat(to_folder, name, what->st_uid, what->st_gid, AT_SYMLINK_NOFOLLOW) == 0);
	require(fchmodat(to_folder, name, what->st_mode & 07777, 0) == 0);
	require(utimensat(to_folder, name, times, AT_SYMLINK_NOFOLLOW) == 0);
}

static void copy_folder(int from, int to);

static void copy_inner_folder(int from_folder, int to_folder, const char *name, const struct stat *what)
{
	require(mkdirat(to_folder, name, 0700) == 0);
	int from = openat(from_folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int to = openat(to_folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	require(from >= 0 && to >= 0);
	copy_folder(from, to);
	describe(from, to, what);
	close(from);
	close(to);
}

static void copy_one(int from, int to, const char *name)
{
	struct stat what;
	require(fstatat(from, name, &what, AT_SYMLINK_NOFOLLOW) == 0);
	const char *first = links_meet(&what, path);
	if (first)
		require(linkat(top, first, to, name, 0) == 0);
	else if (S_ISDIR(what.st_mode))
		copy_inner_folder(from, to, name, &what);
	else if (S_ISREG(what.st_mode))
		copy_file(from, to, name, &what);
	else if (S_ISLNK(what.st_mode))
		copy_link(from, to, name, &what);
	else
		copy_special(to, name, &what);
}

static void copy_folder(int from, int to)
{
	size_t length = strlen(path);
	DIR *entries = open_entries(from);
	require(entries);
	for (struct dirent *entry; (entry = readdir(entries));) {
		if (!is_content(entry))
			continue;
		int more = snprintf(path + length, sizeof path - length, "%s%s", length ? "/" : "", entry->d_name);
		errno = ENAMETOOLONG;
		require((size_t)more < sizeof path - length);
		copy_one(from, to, entry->d_name);
		path[length] = 0;
	}
	closedir(entries);
}

static _Noreturn void run_copy(int from, int to)
{
	struct rlimit limit = {MOST_DESCRIPTORS, MOST_DESCRIPTORS};
	struct stat what;
	setrlimit(RLIMIT_NOFILE, &limit);
	umask(0);
	top = to;
	copy_folder(from, to);
	strcpy(path, ".");
	require(fstat(from, &what) == 0);
	describe(from, to, &what);
	_exit(0);
}

/* A process of its own: init must outlive whatever a file system does to who reads it, and what it remembers goes with it. */
bool copy_content(int from, int to)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0)
		run_copy(from, to);
	if (pid < 0)
		say("copy: %s", strerror(errno));
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}
