#include "mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "clock.h"
#include "etc.h"
#include "files.h"
#include "log.h"
#include "loop.h"

enum { DEVICE_WAIT_MS = 5000 };

static const unsigned long SAFE = MS_NOSUID | MS_NODEV | MS_NOEXEC;

static const struct config *mounted;

static void mount_or_die(const char *source, const char *target, const char *type, unsigned long flags,
			 const char *data)
{
	if (mount(source, target, type, flags, data) < 0)
		fatal("mount of %s (%s) on %s: %s", source, type, target, strerror(errno));
}

static void mount_if_possible(const char *type, const char *target, unsigned long flags, const char *data)
{
	mkdir(target, 0755); /* on a read-only root it is there already, or the mount fails and is missed by nobody */
	mount(type, target, type, flags, data);
}

void mount_kernel_filesystems(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount_or_die("proc", "/proc", "proc", SAFE, NULL);
	mount_or_die("sysfs", "/sys", "sysfs", SAFE, NULL);
	if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") < 0 && errno != EBUSY)
		fatal("mount of /dev: %s", strerror(errno));
}

/* A mapped device, which the kernel has made before it started us or refuses to; or an image in the initramfs, as a
 * machine has that came over the network whole. */
static void use_path(const char *path, char *device, size_t room)
{
	struct stat what;
	if (stat(path, &what) < 0 || !S_ISREG(what.st_mode))
		snprintf(device, room, "%s", path);
	else if (!loop_attach(path, device, room))
		fatal("%s cannot be a block device: %s", path, strerror(errno));
}

/* Drivers are built in and have usually probed by now; when not, waiting starts short so as not to add to the boot. */
void wait_for_device(const char *serial, char *device, size_t room)
{
	if (*serial == '/') {
		use_path(serial, device, room);
		return;
	}
	int64_t give_up = now_ms() + DEVICE_WAIT_MS;
	char name[64];
	for (long wait_ms = 1; !find_by_attribute("/sys/block", "serial", serial, name, sizeof name); wait_ms *= 2) {
		if (now_ms() > give_up)
			fatal("no block device has the serial number '%s'", serial);
		struct timespec pause = {0, (wait_ms < 64 ? wait_ms : 64) * 1000000};
		nanosleep(&pause, NULL);
	}
	snprintf(device, room, "/dev/%s", name);
}

static bool is_read_only_type(const char *type)
{
	return !strcmp(type, "squashfs") || !strcmp(type, "erofs");
}

/* The lower root stays mounted in the initramfs, which is hidden below the new root from then on. */
static const char *mount_overlay(const struct config *config)
{
	char options[64];
	snprintf(options, sizeof options, "mode=0755,size=%s", config->overlay_size);
	mkdir("/upper", 0755);
	mount_or_die("tmpfs", "/upper", "tmpfs", 0, options);
	mkdir("/upper/root", 0755);
	mkdir("/upper/work", 0755);
	mkdir("/merged", 0755);
	if (!config->template)
		write_etc(config, "/upper/root/etc", false); /* before the overlay sees it: a copy and a whiteout less for each file */
	mount_or_die("overlay", "/merged", "overlay", 0, "lowerdir=/lower,upperdir=/upper/root,workdir=/upper/work");
	return "/merged";
}

/* With an overlay, an image without the directory gets one, and so does one that has a link or a file there, which must not
 * lead the mount astray. */
static void move_mount(const char *from, const char *root)
{
	char to[64];
	struct stat what;
	snprintf(to, sizeof to, "%s%s", root, from);
	if (lstat(to, &what) == 0 && !S_ISDIR(what.st_mode))
		unlink(to);
	mkdir(to, 0755);
	if (lstat(to, &what) < 0 || !S_ISDIR(what.st_mode) || mount(from, to, NULL, MS_MOVE, NULL) < 0)
		fatal("the root file system has no usable directory %s: %s", from, strerror(errno));
}

/* The initramfs lives in memory: what it held is given back, this running binary excepted. */
static void empty_initramfs(void)
{
	unlink("/init");
	unlink("/weft.conf");
}

void mount_root(const struct config *config)
{
	mounted = config;
	if (!config->root_serial)
		return;
	char device[80];
	wait_for_device(config->root_serial, device, sizeof device);
	bool overlay = config->overlay_size;
	mkdir("/lower", 0755);
	mount_or_die(device, "/lower", config->root_type,
		     overlay || is_read_only_type(config->root_type) ? MS_RDONLY : 0, NULL);
	const char *root = overlay ? mount_overlay(config) : "/lower";
	move_mount("/proc", root);
	move_mount("/sys", root);
	move_mount("/dev", root);
	empty_initramfs();
	if (chdir(root) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		fatal("switch to the root file system: %s", strerror(errno));
}

static void link_standard_streams(void)
{
	static const char *const links[][2] = {
		{"/proc/self/fd", "/dev/fd"},
		{"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/stderr"},
	};
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			say("%s: %s", links[i][1], strerror(errno));
}

/* What is written there is in memory with an overlay, too: no mount is needed that would hide what the image has there. */
static void provide_memory(const struct config *config, const char *at, mode_t mode)
{
	struct stat what;
	bool absent = stat(at, &what) < 0;
	if (config->overlay_size && absent && mkdir(at, mode) == 0)
		chmod(at, mode); /* init's umask */
	if (config->overlay_size && !config->read_only)
		return;
	cover_with_memory(at, MS_NOSUID | MS_NODEV, NULL, true); /* where there is no such folder, nobody misses it */
}

void mount_devices(void)
{
	mount_if_possible("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666,gid=5");
	mount_if_possible("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
	mount_if_possible("cgroup2", "/sys/fs/cgroup", SAFE, NULL);
	link_standard_streams();
}

void mount_rest(const struct config *config)
{
	provide_memory(config, "/run", 0755);
	provide_memory(config, "/tmp", 01777);
	attach_mounts(config);
}

void make_root_read_only(void)
{
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		fatal("the root file system cannot be made read-only: %s", strerror(errno));
}

void unmount_all(void)
{
	sync();
	if (mounted)
		detach_mounts(mounted);
	mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	sync();
}
