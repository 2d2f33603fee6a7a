#include "attach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* It looks like the folder it covers; memory where there was none is everybody's. */
static void attach_memory(const struct mount_entry *entry)
{
	struct stat covered;
	char options[64];
	unsigned mode = stat(entry->at, &covered) == 0 && S_ISDIR(covered.st_mode) ? covered.st_mode & 07777u : 01777u;
	int used = snprintf(options, sizeof options, "mode=%04o", mode);
	if (entry->size)
		snprintf(options + used, sizeof options - (size_t)used, ",size=%s", entry->size);
	make_mount_point(entry);
	if (mount("tmpfs", entry->at, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | flags_of(entry), options) < 0)
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

static void attach_folder_of_disk(const struct mount_entry *entry, const char *device)
{
	char folder[PATH_ROOM];
	stage_disk(entry, device);
	if (snprintf(folder, sizeof folder, "%s/%s", stage, entry->sub ? entry->sub : "") >= (int)sizeof folder)
		fatal("mount on %s: its sub is too long", entry->at);
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		die(entry, folder);
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
