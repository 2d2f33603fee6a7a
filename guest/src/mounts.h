/* File systems: the kernel's own, the root with its overlay, and what the configuration adds. */
#pragma once

#include <stddef.h>

#include "config.h"

void mount_kernel_filesystems(void);

/* Makes the configured root `/`; the initramfs is emptied. Without a root, the initramfs stays. */
void mount_root(const struct config *config);

/* What only makes sense below the final root: /run, /tmp, /dev/pts, cgroups, configured mounts. */
void mount_rest(const struct config *config);

void make_root_read_only(void);

/* Writes back and detaches what can be written to. */
void unmount_all(void);

/* The path of the block device with this serial number; ends the machine when none comes within 5 s. */
void wait_for_device(const char *serial, char *device, size_t room);
