#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "copy.h"
#include "files.h"
#include "log.h"
#include "mounts.h"

/* Where a disk is while one of its folders is taken from it. */
static const char stage[] = "/run/weft/stage";

/* Whole requests are held in one piece of memory: larger ones are hard to come by in a small machine. */
static const char host_options[] = "trans=virtio,version=9p2000.L,msize=65536,cache=mmap";

static void die(const struct mount_entry *entry, const char *what)
{
	fatal("mount of %s (%s) on %s: %s", what, entry->type, entry->at, strerror(errno));
}

static unsigned long flags_of(const struct mount_entry *entry)
{
	return entry->read_only ? MS_RDONLY : 0;
}

static void make_mount_point(const struct mount_entry *entry)
{
	if (!make_folders(entry->at, 0755))
		fatal("mount point %s: %s", entry->at, strerror(errno));
}

static void copy_or_die(const char *at, int from, int to)
{
	if (!copy_content(from, to))
		fatal("mount on %s: what the image has there could not be copied", at);
}

/* Memory where there was no folder is everybody's. */
bool cover_with_memory(const char *at, unsigned long flags, const char *size, bool copy)
{
	struct stat covered;
	char options[64];
	int from = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned mode = from >= 0 && fstat(from, &covered) == 0 ? covered.st_mode & 07777u : 01777u;
	snprintf(options, sizeof options, "mode=%04o,size=%s", mode, size ? size : "50%");
	bool done = make_folders(at, 0755) && mount("tmpfs", at, "tmpfs", flags & ~(unsigned long)MS_RDONLY, options) == 0;
	if (done && copy && from >= 0 && !folder_is_empty(from)) {
		int to = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		copy_or_die(at, from, to);
		close(to);
	}
	if (from >= 0)
		close(from);
	return done && (!(flags & MS_RDONLY) || mount(NULL, at, NULL, MS_REMOUNT | flags, NULL) == 0);
}

static void attach_memory(const struct mount_entry *entry)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | flags_of(entry);
	if (!cover_with_memory(entry->at, flags, entry->size, entry->copy))
		die(entry, "memory");
}

static void attach_host_folder(const struct mount_entry *entry)
{
	make_mount_point(entry);
	const char *options = strcmp(entry->type, "9p") == 0 ? host_options : NULL;
	if (mount(entry->tag, entry->at, entry->type, flags_of(entry), options) < 0)
		die(entry, entry->tag);
}

static void attach_whole_disk(const struct mount_entry *entry, const char *device)
{
	make_mount_point(entry);
	if (mount(device, entry->at, entry->type, flags_of(entry), NULL) < 0)
		die(entry, device);
}

/* A disk that cannot be written to can still be looked at. */
static void stage_disk(const struct mount_entry *entry, const char *device)
{
	if (!make_folders(stage, 0700))
		fatal("%s: %s", stage, strerror(errno));
	if (mount(device, stage, entry->type, 0, NULL) == 0)
		return;
	if ((errno != EROFS && errno != EACCES) || mount(device, stage, entry->type, MS_RDONLY, NULL) < 0)
		die(entry, device);
}

static void bind_folder(const struct mount_entry *entry, const char *folder)
{
	if (mount(folder, entry->at, NULL, MS_BIND, NULL) < 0)
		die(entry, folder);
	if (entry->read_only && mount(NULL, entry->at, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		die(entry, folder);
}

/* A machine that was switched off in the middle of the copy finds the mark, and begins anew. */
static void fill_folder(const struct mount_entry *entry, int folder)
{
	char mark[PATH_ROOM];
	snprintf(mark, sizeof mark, "%s/" COPY_MARK "%s%s", stage, entry->sub ? "-" : "", entry->sub ? entry->sub : "");
	int from = open(entry->at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (access(mark, F_OK) == 0 && (!remove_content(folder) || (unlink(mark) < 0 && errno != ENOENT)))
		die(entry, "what was left of a copy");
	if (from >= 0 && folder_is_empty(folder)) {
		int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || fsync(fd) < 0)
			die(entry, mark);
		close(fd);
		copy_or_die(entry->at, from, folder);
		sync();
		unlink(mark);
	}
	if (from >= 0)
		close(from);
}

static bool is_read_only(int folder)
{
	struct statvfs what;
	return fstatvfs(folder, &what) == 0 && (what.f_flag & ST_RDONLY);
}

static void attach_folder_of_disk(const struct mount_entry *entry, const char *device)
{
	char folder[PATH_ROOM];
	stage_disk(entry, device);
	if (snprintf(folder, sizeof folder, "%s/%s", stage, entry->sub ? entry->sub : "") >= (int)sizeof folder)
		fatal("mount on %s: its sub is too long", entry->at);
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		die(entry, folder);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die(entry, folder);
	if (entry->copy && !is_read_only(fd))
		fill_folder(entry, fd);
	close(fd);
	make_mount_point(entry);
	bind_folder(entry, folder);
	umount2(stage, 0);
}

static void attach_disk(const struct mount_entry *entry)
{
	char device[80];
	wait_for_device(entry->serial, device, sizeof device);
	if (entry->sub || entry->copy)
		attach_folder_of_disk(entry, device);
	else
		attach_whole_disk(entry, device);
}

void attach_mounts(const struct config *config)
{
	for (int i = 0; i < config->mount_count; i++) {
		const struct mount_entry *entry = &config->mounts[i];
		if (entry->serial)
			attach_disk(entry);
		else if (entry->tag)
			attach_host_folder(entry);
		else
			attach_memory(entry);
	}
}

void detach_mounts(const struct config *config)
{
	for (int i = config->mount_count; i-- > 0;) {
		const char *at = config->mounts[i].at;
		if (umount2(at, 0) < 0)
			mount(NULL, at, NULL, MS_REMOUNT | MS_RDONLY, NULL);
	}
}
