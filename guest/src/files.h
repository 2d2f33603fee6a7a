/* Small files: sysfs, procfs and the three of /etc. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PATH_ROOM = 4096 };

/* Reads up to room-1 bytes and ends them with NUL. Returns the length, or -1 with errno. */
ssize_t read_file(const char *path, char *out, size_t room);

/* Like read_file, without the newline at the end that sysfs adds. */
ssize_t read_line(const char *path, char *out, size_t room);

/* Writes to a file that exists (sysfs, procfs). False: errno says why. */
bool write_file(const char *path, const char *text);

/* The first entry of directory `dir` whose file `dir/ENTRY/leaf` holds exactly `wanted` (case ignored). */
bool find_by_attribute(const char *dir, const char *leaf, const char *wanted, char *name, size_t room);

/* A folder and those above it, as far as they are missing. False: errno says why. */
bool make_folders(const char *path, mode_t mode);
